#!/usr/bin/env bash
# scripts/manuals brings enough classes, does nothing twice, leaves other folders alone; `texts` reads what it brought. The
# pages stay where scripts/test puts them. Arguments: sources, outerloop.
set -euo pipefail
sources=$1
outerloop=$2
manuals=$sources/scripts/manuals
fail() {
  echo "FAILED: $*"
  exit 1
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

status=0
"$manuals" >"$folder/log" 2>&1 || status=$?
cat "$folder/log"
if [ "$status" -ne 0 ]; then
  grep -qE 'could not download|no apt-get|is set: give a folder' "$folder/log" || fail "exit status $status"
  echo "skipped: the registries are out of reach"
  exit 77
fi
here=$(sed -n 's/.* packages are in //p' "$folder/log" | tail -n 1)

echo "1. classes and passages"
# Of 120 words, runs of ASCII's letters here: every page gives as many as go into it.
enough=$(find "$here" -name '*.txt' -print0 | LC_ALL=C sort -z | LC_ALL=C xargs -0 awk '
  {n = split(FILENAME, parts, "/"); words[parts[n - 1] "/" parts[n]] += gsub(/[A-Za-z]+/, "")}
  END {for (page in words) {class = page; sub(/\/.*/, "", class); print class, int(words[page] / 120)}}' |
  awk '{passages[$1] += $2} END {for (class in passages) n += passages[class] >= 100; print n + 0}')
[ "$enough" -ge 60 ] || fail "$enough classes of 100 passages, 60 are needed"
! grep -rlE "^[.'](TH|SH|PP|de|ds|so) " "$here" | grep . || fail "markup was left"
[ -z "$(find "$here" -mindepth 1 ! -type f ! -type d)" ] || fail "links were left"
[ -z "$(find "$here" -type f -name '*.txt' -print0 | xargs -0 sha256sum | cut -c 1-64 | sort | uniq -d)" ] ||
  fail "two pages have the same text"

echo "2. nothing twice"
touch "$folder/before"
"$manuals" | grep -q 'are in' || fail "the second call says something else"
[ -z "$(find "$here" -newer "$folder/before")" ] || fail "the second call wrote something"

echo "3. texts"
OUTERLOOP_CACHE_DIR=$folder/none "$outerloop" data check texts >"$folder/none.log" && fail "texts without pages"
grep -q "NOT OK: texts: no folder $folder/none/manuals: run scripts/manuals" "$folder/none.log" ||
  fail "$(cat "$folder/none.log")"
mkdir "$folder/cache"
ln -s "$here" "$folder/cache/manuals"
OUTERLOOP_CACHE_DIR=$folder/cache "$outerloop" data check texts || fail "texts does not read them"

echo "4. refusals"
mkdir "$folder/other"
touch "$folder/other/file"
refused() {
  status=0
  "$manuals" "$@" >"$folder/log" 2>&1 || status=$?
  [ "$status" -eq 2 ] && [ "$(wc -l <"$folder/log")" -eq 1 ] || fail "$*: $status: $(cat "$folder/log")"
}
refused "$folder/other"
refused --bring
refused "$folder/a" "$folder/b"
[ -e "$folder/other/file" ] || fail "another folder was emptied"
