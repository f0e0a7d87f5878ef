#!/usr/bin/env bash
# test_links.sh SOURCES: what pages link to is there, headings included, and docs/README.md links to every page of docs.
set -euo pipefail
cd "$1"
bad=0

# headings PAGE: as GitHub names them.
headings() {
  awk '/^```/ {inside = !inside} !inside && /^#+ / {sub(/^#+ /, ""); print tolower($0)}' "$1" |
    sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# check PAGE: prints what is missing.
check() {
  local page=$1 target file
  while read -r target; do
    file=${target%%#*}
    if [ -n "$file" ]; then file=$(dirname "$page")/$file; else file=$page; fi
    if [ ! -e "$file" ]; then
      echo "$page: there is no $target"
    elif [[ $target == *#* ]] && ! grep -qxF -- "${target#*#}" <<<"$(headings "$file")"; then
      echo "$page: $file has no heading ${target#*#}"
    fi
  done < <(awk '/^```/ {inside = !inside} !inside' "$page" | grep -oE '\]\([^) ]+\)' | sed 's/^](//; s/)$//' | grep -vE '^[a-z]+://' || true)
}

for page in README.md docs/*.md rules/README.md; do
  missing=$(check "$page")
  [ -z "$missing" ] || { echo "$missing" && bad=1; }
done
for page in docs/*.md; do
  [ "$page" = docs/README.md ] || grep -qF "](${page#docs/}" docs/README.md ||
    { echo "docs/README.md does not link to ${page#docs/}" && bad=1; }
done

# The check itself finds what is missing.
page=$(mktemp --suffix=.md)
trap 'rm -f "$page"' EXIT
printf '# A heading\n[here](#a-heading) [not here](#another) [nowhere](nothing.md)\n' >"$page"
[ "$(check "$page" | wc -l)" -eq 2 ] || { echo "links to nothing are not found: $(check "$page")" && bad=1; }
exit "$bad"
