#!/usr/bin/env bash
# test_links.sh SOURCES: what pages link to is there, headings included. Every page of docs is linked from docs/README.md, or from
# the README.md of its own folder. What sources and pages name in words is there too: `docs/PAGE.md`, `docs/PAGE.md, §3.4`, and
# `docs/PAGE.md, "Heading"`. The table of files in docs/lab/fused-kernels.md has those of its folder.
set -euo pipefail
list=$("$(dirname "$0")/pages.sh" "$1")
mapfile -t pages <<<"$list"
cd "$1"
bad=0
fault() {
  [ -z "$1" ] || { echo "$1" && bad=1; }
}

# titles PAGE: its headings as they are written.
titles() { awk '/^```/ {inside = !inside} !inside && /^#+ / {sub(/^#+ /, ""); print}' "$1"; }

# headings PAGE: as GitHub names them.
headings() { titles "$1" | awk '{print tolower($0)}' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'; }

# sections PAGE: the numbers of its headings: §3 of "3. Name", §3.4 of "3.4 Name".
sections() { titles "$1" | sed -nE 's/^([0-9]+(\.[0-9]+)*)\.? .*/§\1/p'; }

# links PAGE: prints which of its links lead nowhere.
links() {
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

# linked PAGE: docs/README.md links to it, or the README.md of its own folder does.
linked() {
  local folder=${1%/*}
  [ "$1" = docs/README.md ] || grep -qF "](${1#docs/}" docs/README.md ||
    { [ -e "$folder/README.md" ] && [ "$1" != "$folder/README.md" ] && grep -qF "](${1##*/}" "$folder/README.md"; }
}

# named FILE: what it names, one a line, as above, and `§3.5` alone. Lines of a comment are one text.
named() {
  sed -E 's/^[[:space:]]*(\/\/+|#+|\*)?[[:space:]]*//' "$1" | tr '\n' ' ' |
    grep -oE '[A-Za-z0-9_/.-]+\.md(\)?, (§[0-9.]*|"[A-Za-z][^"]*"))?|§[0-9.]*' | sed 's/\.md)/.md/; s/\.*$//' || true
}

# references FILE: prints which of them are wrong. §3.5 alone is of the page that the § before it is of; in a page the first alone is
# of the page itself.
references() {
  local file=$1 page='' name part
  [[ $file != *.md ]] || page=$file
  while IFS= read -r name; do
    part=${name#*.md}
    part=${part#, }
    if [[ $name == *.md* ]]; then
      name=${name%%.md*}.md
      if [[ $file == *.md ]] && [ -e "$(dirname "$file")/$name" ]; then name=$(dirname "$file")/$name; fi
      if [ ! -e "$name" ]; then
        if [[ $name == docs/* ]] || [ -n "$part" ]; then echo "$file: there is no page $name"; fi
        continue
      fi
      [[ $part != §* ]] || page=$name
    elif [ -n "$page" ]; then
      name=$page
    else
      echo "$file: of which page is $part?"
      continue
    fi
    case $part in
      \"*) titles "$name" | sed -E 's/^[0-9.]+ //' | grep -qxF -- "$(cut -d '"' -f 2 <<<"$part")" || echo "$file: $name has no heading $part" ;;
      §*) sections "$name" | grep -qxF -- "$part" || echo "$file: $name has no $part" ;;
    esac
  done < <(named "$file")
}

# mapped PAGE FOLDER: prints how the files of the page's table "file | what it does" differ from those in the folder.
mapped() {
  diff <(awk -F'|' '/^\| file \|/ {inside = 1; next} !/^\|/ {inside = 0} inside {print $2}' "$1" | grep -oE '`[^`]+`' | tr -d '`' | sort) \
    <(find "$2" -type f -printf '%P\n' | sort) | sed -n "s#^<#$1 names a file that is not in $2:#p; s#^>#$1 does not name a file of $2:#p"
}

for page in "${pages[@]}"; do
  fault "$(links "$page")"
  [[ $page != docs/* ]] || linked "$page" || fault "neither docs/README.md nor that of its folder links to $page"
done
count=0
while IFS= read -r file; do
  fault "$(references "$file")"
  count=$((count + $(named "$file" | grep -c § || true)))
done < <(grep -rIlE '\.md|§' --exclude-dir={.git,build,runs,.cache} --exclude=test_*.sh .)
[ "$count" -ge 10 ] || fault "only $count references to § found: are they written otherwise now?"

fault "$(mapped docs/lab/fused-kernels.md common/rule/fused)"

# The checks themselves find what is wrong.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# finds COUNT CHECK FILE: in the text on standard input CHECK finds so many faults.
finds() {
  local said
  cat >"$folder/$3"
  said=$("$2" "$folder/$3")
  [ "$(grep -c . <<<"$said")" -eq "$1" ] || fault "$2 of $3 does not find $1 faults, but: $said"
}
finds 2 links page.md <<<$'# A heading\n[here](#a-heading) [not here](#another) [nowhere](nothing.md)'
finds 0 references right.h <<<$'// The step (docs/update-rule.md, §3.6), its\n// top (§3.1). Adjoint: docs/update-rule.md,\n// §6. Threads: docs/fused-engine.md, "Threads".'
finds 4 references wrong.h <<<$'// docs/update-rule.md, §3.7; docs/update-rule.md,\n// §9; then §3.8 and docs/fused-engine.md, "Looms".'
finds 2 references unknown.h <<<$'// The step (§3.6 of docs/update-rules.md).'
finds 2 references page.md <<<$'# A page\n## 1. One\n### 1.1 Of it\nSee §1, §1.1, §1.2; [the rule](docs/update-rule.md), §8.'
sed 's/`arena.h`/`areas.h`/' docs/lab/fused-kernels.md >"$folder/map.md"
[ "$(mapped "$folder/map.md" common/rule/fused | wc -l)" -eq 2 ] || fault "a file too many and one too few are not found in a table"
exit "$bad"
