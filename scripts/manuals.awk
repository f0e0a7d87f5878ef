# Extracts the text of manual pages in roff: man(7), mdoc(7) and pod2man's output.
# Called by scripts/manuals with -v folder=OUT;
# a page FOLDER/NAME becomes OUT/NAME.txt. The rule, line by line:
#  - A line that begins with . or ' is a request or macro. The arguments of those in `shown`, below, are text; all others
#    are left out, including .TH and .Dt, which name the package and its version.
#  - Left out with all lines between them: definitions (.de, .am and .ig to ..), equations (.EQ to .EN), drawings (.PS to
#    .PE), and the layout of a table (.TS to the line that ends with a full stop). The cells of a table are text.
#  - Escapes: a font, size, colour, number or string register is removed, \- is a hyphen, a named character is a space,
#    comments go to the end of their line.
#  - A page with only .so is an alias: nothing is written.

BEGIN {
  split("B I R SM SB BI BR IB IR RB RI SH SS IP OP SY UR MT " \
        "Sh Ss It Nm Nd Pp Ad An Ap Aq Ar At Brq Bq Cd Cm D1 Dl Dq Dv Em Er Ev Fa Fl Fn Fo Ft Ic In Li Lk Ms Mt No Ns Op " \
        "Pa Pf Pq Ql Qq Rv Sq St Sx Sy Ta Tn Va Vt Xr Ux Nx Fx", names, " ")
  for (i in names) shown[names[i]] = 1
}

FNR == 1 {
  if (written != "") close(written)
  written = folder "/" substr(FILENAME, match(FILENAME, /[^\/]*$/)) ".txt"
  end = ""
  layout = 0
}

{ sub(/\r$/, "") }

end != "" {
  if ($0 ~ end) end = ""
  next
}

layout {
  if (/\.[ \t]*$/) layout = 0
  next
}

/^[.'][ \t]*\\?"/ {next}

/^[.']/ {
  sub(/^[.'][ \t]*/, "")
  name = $1
  arguments = $0
  sub(/^[^ \t]+[ \t]*/, "", arguments)
  if (name ~ /^(de1?|ami?1?|ig|dei1?)$/) {
    mark = name == "ig" ? $2 : $3
    gsub(/[^A-Za-z0-9]/, "", mark)
    end = mark == "" ? "^[.'][ \t]*\\.[ \t]*$" : "^[.'][ \t]*" mark "[ \t]*$"
  } else if (name == "EQ") end = "^[.'][ \t]*EN"
  else if (name == "PS") end = "^[.'][ \t]*PE"
  else if (name == "TS") layout = 1
  if (!(name in shown)) next
  if (name ~ /^([BIR][BIR]|OP|SY)$/) arguments = joined(arguments)
  else if (name == "IP") arguments = first(arguments)
  else if (name ~ /^[A-Z][a-z]/) arguments = without_macros(arguments)
  gsub(/"/, " ", arguments)
  print text(arguments) > written
  next
}

{ print text($0) > written }

# Arguments joined without spaces: `.BR file s` is "files".
function joined(line,    result, part) {
  result = ""
  while (line != "") {
    if (match(line, /^"[^"]*"?/)) part = substr(line, 2, RLENGTH - 1 - (substr(line, RLENGTH, 1) == "\"" && RLENGTH > 1))
    else if (match(line, /^(\\ |[^ \t])+/)) part = substr(line, 1, RLENGTH)
    else {
      sub(/^[ \t]+/, "", line)
      continue
    }
    line = substr(line, RLENGTH + 1)
    result = result part
  }
  return result
}

# Removes an indentation that may follow: `.IP "two words" 4`.
function first(line) {
  if (match(line, /^"[^"]*"?|^(\\ |[^ \t])+/)) return substr(line, 1, RLENGTH)
  return ""
}

# mdoc's macros may be arguments of others: `.Op Fl a Ar file`.
function without_macros(line,    count, parts, result, i) {
  count = split(line, parts, /[ \t]+/)
  result = ""
  for (i = 1; i <= count; ++i)
    if (!(parts[i] in shown) && parts[i] !~ /^(Ao|Ac|Bo|Bc|Bro|Brc|Do|Dc|Eo|Ec|Fc|Oo|Oc|Po|Pc|Qo|Qc|So|Sc|Xo|Xc)$/)
      result = result " " parts[i]
  return result
}

function text(line) {
  sub(/\\["#].*/, "", line)
  gsub(/T[{}]/, " ", line)
  gsub(/\\[*nfFgkmMsVY][-+]?(\[[^]]*\]|\(..|.)/, "", line)
  gsub(/\\[hvwDlLoxABCNRXZSb]'[^']*'/, " ", line)
  gsub(/\\-|\\\(hy|\\\[hy\]/, "-", line)
  gsub(/\\\((aq|oq|cq)|\\\[(aq|oq|cq)\]/, "'", line)
  gsub(/\\\(..|\\\[[^]]*\]/, " ", line)
  gsub(/\\[&|^%:,\/cdup{}!?)'`]/, "", line)
  gsub(/\\.?/, " ", line)
  return line
}
