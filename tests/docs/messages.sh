#!/usr/bin/env bash
# messages.sh SOURCES [PAGE]: what the page quotes as messages of the program (the first column of its tables under `message`, in
# backticks) stands in the sources. … is for what differs.
set -euo pipefail
sources=$1 page=${2:-docs/troubleshooting.md}
cd "$sources"

# Strings of the sources, put together where the compiler would: "a" "b" over the end of a line.
text=$(cat cli/*.cpp coordinator/*.cpp worker/*.cpp worker/*/*.cpp common/*/*.cpp common/*/*/*.cpp scripts/mpirun scripts/cmake/*.cmake \
  common/rule/reference/CMakeLists.txt | tr '\n' ' ' | sed 's/" *"//g; s/" *+ *"//g')

# Messages of others begin with their name: "mpirun: `...`".
quoted=$(awk -F'|' '
  /^\| message \|/ {inside = 1; next}
  !/^\|/ {inside = 0}
  inside && $2 !~ /^-/ && $2 !~ /mpirun:/ {
    column = $2
    while (match(column, /`[^`]*`/)) {
      print substr(column, RSTART + 1, RLENGTH - 2)
      column = substr(column, RSTART + RLENGTH)
    }
  }' "$page")
count=0
while IFS= read -r message; do
  rest=$message
  while [ -n "$rest" ]; do
    part=${rest%%…*}
    [ "$part" = "$rest" ] && rest= || rest=${rest#*…}
    [[ $part =~ [a-z] ]] || continue
    [[ $text == *"$part"* ]] || { echo "$page: the program does not print \"$part\"" && exit 1; }
    count=$((count + 1))
  done
done <<<"$quoted"
[ "$count" -ge "${3:-20}" ] || { echo "$page: $count quoted messages found: is its table as it was?" && exit 1; }
