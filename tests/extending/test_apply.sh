#!/usr/bin/env bash
# test_apply.sh SOURCES: the edits of docs/extending.md fit the sources (apply.sh), may be applied to what has them already, and
# are refused where only some of them were made.
set -euo pipefail
sources=$1
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
  echo "FAILED: $*"
  exit 1
}

# Sources of their own, which may have the edits: the page, and the files that it edits.
mkdir -p "$folder/tree/docs"
cp "$sources/docs/extending.md" "$folder/tree/docs"
sed -n 's|^+++ b/||p' "$sources/docs/extending.md" | while read -r file; do
  mkdir -p "$(dirname "$folder/tree/$file")"
  cp "$sources/$file" "$folder/tree/$file"
done
rules=common/rule/rules.cpp
cp "$folder/tree/$rules" "$folder/rules.cpp"

"$here/apply.sh" "$folder/tree" "$folder/edited" || fail "the edits do not fit"
grep -q oja_theta "$folder/edited/$rules" || fail "the edits are not made"

"$here/apply.sh" "$folder/tree" "$folder/tree"
said=$("$here/apply.sh" "$folder/tree" "$folder/again") || fail "refused where the sources have the edits"
[[ $said == *"in these files already"* ]] || fail "said of sources that have the edits: $said"
diff -r "$folder/edited" "$folder/again" || fail "the edits were made twice"

cp "$folder/rules.cpp" "$folder/tree/$rules"
! grep -q oja_theta "$folder/rules.cpp" || exit 0 # these sources have the edits themselves
said=$("$here/apply.sh" "$folder/tree" "$folder/half" 2>&1) && fail "half of the edits were not noticed"
[[ $said == *"only some of them were applied"*"$rules"* ]] || fail "said of sources with half of the edits: $said"
[ "$(grep -c oja_theta "$folder/half/$rules")" -eq 0 ] || fail "half of the edits were completed"
