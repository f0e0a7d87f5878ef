#!/usr/bin/env bash
# test_messages.sh SOURCES: the messages that docs/troubleshooting.md quotes are those of the program, and others are refused.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/messages.sh" "$1"
page=$(mktemp)
trap 'rm -f "$page"' EXIT

# changed SED: the page, edited so, is refused.
changed() {
  sed "$1" "$sources/docs/troubleshooting.md" >"$page"
  ! "$here/messages.sh" "$sources" "$page" >/dev/null || { echo "not refused: $1" && exit 1; }
}
sources=$1
changed 's/the run directory is not empty/the run folder is not empty/'
changed 's/| message |/| words |/'
