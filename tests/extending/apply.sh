#!/usr/bin/env bash
# apply.sh SOURCES TARGET: applies the edits that docs/extending.md shows to TARGET, into which the files that they are in are
# copied first where they are missing.
set -euo pipefail
sources=$1 target=$2
page=$sources/docs/extending.md
mkdir -p "$target"
cd "$target"
edits=$(awk '/^```diff$/ {inside = 1; next} /^```$/ {inside = 0} inside' "$page")
[ -n "$edits" ] || { echo "$page shows no edits" >&2; exit 1; }
sed -n 's|^+++ b/||p' <<<"$edits" | while read -r file; do
  mkdir -p "$(dirname "$file")"
  [ -e "$file" ] || cp "$sources/$file" "$file"
done
# Lines may have moved, but must be the same: an edit that fits by half is an edit that nobody checked.
patch --quiet --strip=1 --fuzz=0 --no-backup-if-mismatch <<<"$edits" || {
  echo "the edits in docs/extending.md do not fit the sources any more: bring them up to date" >&2
  exit 1
}
