#!/usr/bin/env bash
# pages.sh SOURCES [PAGE...]: the pages given, or all that the tests of this folder read, one a line: README.md, what is below docs,
# rules/README.md.
set -euo pipefail
shopt -s globstar
cd "$1"
shift
[ $# -gt 0 ] || set -- README.md docs/**/*.md rules/README.md
printf '%s\n' "$@"
