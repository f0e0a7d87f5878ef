#!/usr/bin/env bash
# The packages of scripts/manual-packages exist in Debian 12 and 13, in sizes that stay below 60 MB together, and none is one
# of those that are kept for an examination. Argument: sources. Environment: OUTERLOOP_DEBIAN_MIRROR.
set -euo pipefail
sources=$1
mirror=${OUTERLOOP_DEBIAN_MIRROR:-http://deb.debian.org/debian}
fail() {
  echo "FAILED: $*"
  exit 1
}
skip() {
  echo "skipped: $*"
  exit 77
}
mapfile -t packages < <(grep -v '^#' "$sources/scripts/manual-packages")
[ "${#packages[@]}" -ge 60 ] || fail "${#packages[@]} packages"
[ -z "$(printf '%s\n' "${packages[@]}" | sort | uniq -d)" ] || fail "a package stands there twice"
kept='manpages|manpages-dev|git-man|perl|perl-doc|tcl8\.6-doc'
! printf '%s\n' "${packages[@]}" | grep -xE "$kept" || fail "it is kept for an examination"
command -v apt-get >/dev/null || skip "no apt-get here"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for release in bookworm trixie; do
  here=$folder/$release
  mkdir -p "$here"/{lists,cache}
  echo "deb $mirror $release main" >"$here/sources.list"
  apt=(-o Dir::Etc::sourcelist="$here/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$here"
       -o Dir::State::lists="$here/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$here/cache"
       -o Acquire::Languages=none -o APT::Sandbox::User=root)
  # Lists that cannot be had are warnings for apt-get.
  apt-get -qq "${apt[@]}" update >"$here/log" 2>&1 && ! grep -q '^[WE]:' "$here/log" ||
    skip "no package lists of $release: $(grep '^[WE]:' "$here/log" | head -n 1)"
  apt-cache "${apt[@]}" show --no-all-versions "${packages[@]}" 2>"$here/log" |
    awk '/^Package:/ {name = $2} /^Size:/ {print name, $2}' | sort -u >"$here/sizes" || true
  missing=$(comm -23 <(printf '%s\n' "${packages[@]}" | sort) <(cut -d ' ' -f 1 "$here/sizes" | sort))
  [ -z "$missing" ] || fail "not in $release:" $missing
  bytes=$(awk '{sum += $2} END {print sum}' "$here/sizes")
  echo "$release: ${#packages[@]} packages, $bytes bytes"
  [ "$bytes" -le 60000000 ] || fail "$bytes bytes in $release"
done
