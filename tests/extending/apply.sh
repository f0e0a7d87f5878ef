#!/usr/bin/env bash
# apply.sh SOURCES TARGET: applies the edits that docs/extending.md shows to TARGET, into which the files that they are in are
# copied first where they are missing. Sources to which somebody has applied the page's edits are left as they are.
set -euo pipefail
sources=$1 target=$2
page=$sources/docs/extending.md
mkdir -p "$target"
cd "$target"
edits=$(awk '/^```diff$/ {inside = 1; next} /^```$/ {inside = 0} inside' "$page")
[ -n "$edits" ] || { echo "$page shows no edits" >&2; exit 1; }
files=$(sed -n 's|^+++ b/||p' <<<"$edits")
while read -r file; do
  mkdir -p "$(dirname "$file")"
  [ -e "$file" ] || cp "$sources/$file" "$file"
done <<<"$files"
# Lines may have moved, but must be the same: an edit that fits by half is an edit that nobody checked.
patch_here() { patch --quiet --strip=1 --fuzz=0 --no-backup-if-mismatch --reject-file=- "$@" <<<"$edits"; }
if patch_here --dry-run --force --reverse >/dev/null 2>&1; then
  echo "the edits of docs/extending.md are in these files already"
  exit 0
fi
patch_here --dry-run --force >/dev/null || {
  echo "the edits in docs/extending.md do not fit the sources any more, or only some of them were applied: bring the page up" \
    "to date, or take these files back to what they were:" >&2
  sed 's/^/  /' <<<"$files" >&2
  exit 1
}
patch_here
