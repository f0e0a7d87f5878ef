#!/usr/bin/env bash
# includes.sh SOURCES: every `#include "..."` of the sources obeys the table of folders in docs/architecture.md, and every
# folder with sources is in it. A row holds for the folders below it that have no row of their own; the longest path counts.
# Its third column:
#
#     nothing           includes of its own folders alone
#     all above         of every row above
#     `a/` `b/`         of the folders that end so, which stand above
#
# Folders in one row may not include each other. "the only place that includes `mpi.h`" in the second column is held to as well.
# Files in folders of docs/examples count as in the folder to which docs/extending.md copies them.
set -euo pipefail
cd "$1"

list_sources() {
  find . \( -name .git -o -name build -o -name runs -o -name .cache \) -prune -o \
    -type f \( -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.cc' -o -name '*.cpp' -o -name '*.cu' \) -print |
    sed 's|^\./||' | sort
}

# The rows of the table; the files, as "file PATH"; the includes, as "include PATH:LINE:#include ...".
{
  awk '/^## / {inside = ($0 == "## The folders, lowest first")} inside && /^\| `/ {print "row " $0}' docs/architecture.md
  find proto -name '*.proto' | sed 's/^/file /'
  list_sources | sed 's/^/file /'
  list_sources | tr '\n' '\0' | xargs -0 -r grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' | sed 's/^/include /'
} | awk '
  function fault(text) {print text; bad = 1}

  # names(CELL, LIST): the words between backquotes; their number.
  function names(cell, list,    parts, n, i) {
    n = split(cell, parts, "`")
    for (i = 2; i <= n; i += 2) list[i / 2] = parts[i]
    return int(n / 2)
  }

  # row_named(NAME): the folder or file of the table that ends with that name; empty where none or several do.
  function row_named(name,    path, found, count) {
    for (path in row_of)
      if (path == name || substr(path, length(path) - length(name)) == "/" name) {found = path; count++}
    return count == 1 ? found : ""
  }

  # folder_of(PATH): the folder or file of the table to which it belongs; empty where there is none.
  function folder_of(path,    copied) {
    copied = path
    if (sub(/^docs\/examples\//, "", copied) && copied ~ /\// && row_above(copied) != "") return row_above(copied)
    return row_above(path)
  }
  function row_above(path) {
    if (path in row_of) return path
    while (sub(/[^\/]*\/?$/, "", path) && path != "") if (path in row_of) return path
    return ""
  }

  # file_of(INCLUDED, FROM): the file that is meant; empty where none of ours is.
  function file_of(included, from,    here) {
    if (included in files) return included
    if (("docs/examples/" included) in files) return "docs/examples/" included
    here = from
    sub(/[^\/]*$/, "", here)
    if ((here included) in files) return here included
    if (included ~ /^outerloop\/[a-z_]+\.pb\.h$/) {
      sub(/^outerloop\//, "proto/", included)
      sub(/\.pb\.h$/, ".proto", included)
      if (included in files) return included
    }
    return ""
  }

  function read_row(line,    cells, folders, allowed, n, m, i, j, to) {
    rows++
    if (split(line, cells, "|") != 5) {fault("docs/architecture.md: this row has not three columns:" line); return}
    n = names(cells[2], folders)
    for (i = 1; i <= n; i++) {
      if (folders[i] in row_of) fault("docs/architecture.md: two rows have " folders[i])
      row_of[folders[i]] = rows
    }
    m = names(cells[4], allowed)
    if (m == 0 && cells[4] !~ /^ *(nothing|all above|) *$/)
      fault("docs/architecture.md: what may " folders[1] " include? \"" cells[4] "\" is neither nothing, all above nor a list of folders")
    for (i = 1; i <= n; i++) {
      if (cells[4] ~ /all above/) all_above[folders[i]] = 1
      for (j = 1; j <= m; j++) {
        to = row_named(allowed[j])
        may[folders[i], to] = 1
        if (to == "" || row_of[to] >= rows)
          fault("docs/architecture.md: " folders[i] " may include " allowed[j] ", which is not one folder in a row above")
      }
    }
    if (match(cells[3], /the only place that includes `[^`]*`/)) {
      names(substr(cells[3], RSTART, RLENGTH), allowed)
      only[allowed[1]] = folders[1]
    }
  }

  function check_include(where, included,    from, to, path, file) {
    path = where
    sub(/:.*/, "", path)
    from = folder_of(path)
    file = file_of(included, path)
    if (file == "") {
      # Highway asks for quotes; the revision is generated.
      if (included !~ /^hwy\// && included != "outerloop_revision.h") fault(where ": there is no " included)
      return
    }
    to = folder_of(file)
    checked++
    if (from == to || from == "" || to == "") return
    if ((from, to) in may || (from in all_above && row_of[to] < row_of[from])) return
    fault(where ": " from " may not include " to " (" included ")")
  }

  $1 == "row" {sub(/^row /, ""); read_row($0); next}
  $1 == "file" {
    files[$2] = 1
    folder = folder_of($2)
    if (folder == "") {
      sub(/[^\/]*$/, "", $2)
      if (!($2 in missing)) fault("docs/architecture.md: no row has the folder " $2 ", which has sources")
      missing[$2] = 1
    }
    used[folder] = 1
    next
  }
  {
    where = $2
    sub(/:#.*/, "", where)
    included = $0
    quoted = match(included, /"[^"]*"/)
    if (!quoted && !match(included, /<[^>]*>/)) next
    included = substr(included, RSTART + 1, RLENGTH - 2)
    if (quoted) check_include(where, included)
    else if (included in only) {
      path = where
      sub(/:.*/, "", path)
      if (folder_of(path) != only[included]) fault(where ": only " only[included] " may include " included)
    }
  }
  END {
    for (path in row_of)
      if (!(path in used) && system("test -e \"" path "\"") != 0) fault("docs/architecture.md: there is no " path)
    if (rows == 0) fault("docs/architecture.md: there is no table under \"The folders, lowest first\"")
    if (checked == 0) fault("no include was found")
    if (!bad) print checked " includes obey " rows " rows"
    exit bad
  }'
