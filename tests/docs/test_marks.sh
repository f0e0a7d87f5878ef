#!/usr/bin/env bash
# test_marks.sh SOURCES: the pages are marked (marks.sh), and pages that are not are refused.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/marks.sh" "$1"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ln -s "$1/tests" "$folder/tests"

# page EXPECTED: the page on standard input is refused with that text; where it is empty, accepted.
page() {
  cat >"$folder/page.md"
  local said status=0
  said=$("$here/marks.sh" "$folder" page.md) || status=$?
  if [ -z "$1" ]; then
    [ "$status" -eq 0 ] || { echo "refused: $said" && exit 1; }
  elif [ "$status" -eq 0 ] || [[ $said != *"$1"* ]]; then
    echo "expected \"$1\", got: $said"
    exit 1
  fi
}

page '' <<<$'```sh run\nouterloop --help\n```\n\n    h = x W\n\n```python\nouterloop train\n```'
page 'page.md:1: a block of sh without a mark' <<<$'```sh\nouterloop --help\n```'
page 'page.md:1: a block of sh without a mark' <<<$'```sh sometimes\nouterloop --help\n```'
page 'page.md:2: a command in a block that is not' <<<$'```\nouterloop --help\n```'
page 'page.md:3: a command in a block that is not' <<<$'text\n\n    scripts/run --help'
page 'page.md:1: a command in a block that is not' <<<'    OMP_NUM_THREADS=1 build/release/outerloop train'
page 'there is no test test_of_nothing' <<<$'```sh by test_of_nothing\nouterloop --help\n```'
page '' <<<$'```sh by test_slurm_one_node\nsbatch it\n```'
page 'a block that does not end' <<<$'```sh run\nouterloop --help'

# Without names all pages are read, those in folders of docs too.
mkdir -p "$folder"/{docs/lab,rules}
echo text | tee "$folder"/{README.md,docs/page.md,rules/README.md} >"$folder/docs/lab/page.md"
"$here/marks.sh" "$folder"
printf '```sh\nouterloop --help\n' >"$folder/docs/lab/page.md"
said=$("$here/marks.sh" "$folder") && echo "docs/lab/page.md was not read" && exit 1
[[ $said == docs/lab/page.md:1:* ]] || { echo "expected docs/lab/page.md:1, got: $said" && exit 1; }
