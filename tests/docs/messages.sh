#!/usr/bin/env bash
# messages.sh SOURCES [PAGE...]: what the pages quote as messages of the program (the first column of their tables under `message`,
# in backticks) stands in the sources. … is for what differs. All pages (pages.sh) quote 20 messages at least.
set -euo pipefail
shopt -s globstar
list=$("$(dirname "$0")/pages.sh" "$@")
mapfile -t pages <<<"$list"
[ $# -gt 1 ] && least=1 || least=20
cd "$1"

# Strings of the sources, put together where the compiler would: "a" "b" over the end of a line.
text=$(cat {cli,common,coordinator,worker}/**/*.cpp scripts/{mpirun,launch.sh} scripts/cmake/*.cmake common/rule/reference/CMakeLists.txt | tr '\n' ' ' | sed 's/" *"//g; s/" *+ *"//g')

# Messages of others begin with their name: "mpirun: `...`".
quoted=$(awk -F'|' '
  FNR == 1 {inside = 0}
  /^\| message \|/ {inside = 1; next}
  !/^\|/ {inside = 0}
  inside && $2 !~ /^-/ && $2 !~ /mpirun:/ {
    column = $2
    while (match(column, /`[^`]*`/)) {
      print FILENAME "\t" substr(column, RSTART + 1, RLENGTH - 2)
      column = substr(column, RSTART + RLENGTH)
    }
  }' "${pages[@]}")
count=0
while IFS=$'\t' read -r page rest; do
  while [ -n "$rest" ]; do
    part=${rest%%…*}
    [ "$part" = "$rest" ] && rest= || rest=${rest#*…}
    [[ $part =~ [a-z] ]] || continue
    [[ $text == *"$part"* ]] || { echo "$page: the program does not print \"$part\"" && exit 1; }
    count=$((count + 1))
  done
done <<<"$quoted"
[ "$count" -ge "$least" ] || { echo "$count quoted messages found in ${pages[*]}: are the tables written otherwise now?" && exit 1; }
