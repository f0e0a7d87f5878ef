#!/usr/bin/env bash
# test_old_names.sh SOURCES: no file has a name or a path that is no more (old_names.tsv), neither sources nor pages, tests,
# scripts, configurations or build files.
set -euo pipefail
list=$(cd "$(dirname "$0")" && pwd)/old_names.tsv
cd "$1"

# check FILE...: prints what is old in them; folders are looked through.
check() {
  local pattern now found
  while IFS=$'\t' read -r pattern now _; do
    [[ $pattern != '#'* ]] || continue
    found=$(grep -rnIE --exclude-dir={.git,build,runs,.cache} --exclude=old_names.tsv -e "$pattern" -- "$@" || true)
    [ -z "$found" ] || printf '%s\n  it is %s now\n' "$found" "$now"
  done <"$list"
}

old=$(check .)
[ -z "$old" ] || { echo "$old" && exit 1; }

# Each expression finds the line that is beside it.
page=$(mktemp)
trap 'rm -f "$page"' EXIT
rows=0
while IFS=$'\t' read -r pattern now line; do
  [[ $pattern != '#'* ]] || continue
  echo "$line" >"$page"
  [[ $(check "$page") == *"it is $now now"* ]] || { echo "$pattern does not find \"$line\"" && exit 1; }
  rows=$((rows + 1))
done <"$list"
[ "$rows" -gt 0 ] || { echo "$list is empty" && exit 1; }
echo "$rows old names are nowhere"
