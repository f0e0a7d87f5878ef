#!/usr/bin/env bash
# scripts/manuals.awk on pages of each kind. Argument: sources.
set -euo pipefail
rule=$1/scripts/manuals.awk
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/in" "$folder/out"

cat >"$folder/in/plain.1" <<'PAGE'
.\" A comment
'\" t
.TH PLAIN 1 "2024-01-01" "package 1.2" "User Commands"
.de Vb
hidden definition
..
.am URL
.  ad l
.  .
.SH "SEE ALSO"
.B plain
[\fIOPTION\fR]... \fBfi\-le\fP \" a comment
.BR file s " and" (3)
.TP 5
.IP "\(bu" 2
It\(aqs a na\[:i]ve \s-1TCP\s0 \*(lqtest\*(rq\c
.if n .hidden
.ds hidden text
.ig
hidden too
..
.EQ
x over y
.EN
after\ the \h'2n'end\&.
.TS
tab(;) box;
l l.
cell;T{
other
T}
.TE
PAGE
cat >"$folder/expected" <<'PAGE'
SEE ALSO
plain
[OPTION]... fi-le
files and(3)
It's a na ve TCP test
after the end.
cell;
other
PAGE

cat >"$folder/in/mdoc.3" <<'PAGE'
.Dd March 1, 2020
.Dt HIDDEN 3
.Os
.Sh NAME
.Nm mdoc_open
.Nd opens "a page"
.Bl -tag -width indent
.It Fl a Ar file
Calls
.Xr open 2 .
.El
PAGE
printf '.so man1/plain.1\n' >"$folder/in/alias.1"

LC_ALL=C awk -v folder="$folder/out" -f "$rule" "$folder"/in/*

words() { tr -s ' \t' ' ' <"$1" | sed 's/^ //; s/ $//' | grep -v '^$' || true; }
diff <(words "$folder/expected") <(words "$folder/out/plain.1.txt") || { echo "FAILED: man(7)" && exit 1; }
diff <(printf 'NAME\nmdoc_open\nopens a page\na file\nCalls\nopen 2 .\n') <(words "$folder/out/mdoc.3.txt") ||
  { echo "FAILED: mdoc(7)" && exit 1; }
[ ! -e "$folder/out/alias.1.txt" ] || { echo "FAILED: an alias became a text" && exit 1; }
