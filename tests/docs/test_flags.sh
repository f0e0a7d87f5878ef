#!/usr/bin/env bash
# test_flags.sh SOURCES OUTERLOOP: the pages' options are those of --help (flags.sh), and others are refused.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sources=$1 outerloop=$2
"$here/flags.sh" "$sources" "$outerloop"
page=$(mktemp)
trap 'rm -f "$page"' EXIT

# refused EXPECTED: the page on standard input is, with that text.
refused() {
  local said status=0
  cat >"$page"
  said=$("$here/flags.sh" "$sources" "$outerloop" "$page") || status=$?
  [ "$status" -ne 0 ] && [[ $said == *"$1"* ]] || { echo "expected \"$1\", got: $said" && exit 1; }
}
refused 'outerloop train has no --ressume' <<<$'```sh run\nscripts/mpirun -n 3 build/release/outerloop train --ressume\n```'
refused 'outerloop evaluate has no --joinable' <<<'Then `outerloop evaluate rule.h5 --joinable`.'
refused 'there is no command outerloop improve' <<<'Then `outerloop improve --draws 3`.'
refused 'nothing of ours has --forever' <<<'With `--forever` it goes on.'
