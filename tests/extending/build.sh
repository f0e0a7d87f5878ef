#!/usr/bin/env bash
# build.sh SOURCES CMAKE: does what docs/extending.md says in a copy of the sources: new files, edits, build, data check, training.
set -euo pipefail
sources=$1 cmake=$2
folder=$(mktemp -d "${TMPDIR:-/tmp}/outerloop-extending.XXXXXX")
trap 'rm -rf "$folder"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

tar -C "$sources" --exclude-vcs --exclude=./build --exclude=./runs --exclude=./.cache -c . | tar -C "$folder" -x
cp -r "$folder/docs/examples/common" "$folder"
"$sources/tests/extending/apply.sh" "$sources" "$folder"

# A copy elsewhere is the same to ccache only where paths are relative to it.
export CCACHE_BASEDIR=$folder CCACHE_NOHASHDIR=1
"$cmake" -S "$folder" -B "$folder/build/release" -G Ninja -D CMAKE_BUILD_TYPE=Release -D OUTERLOOP_REFERENCE=OFF \
  -D OUTERLOOP_TESTS=OFF -D OUTERLOOP_WARNINGS_AS_ERRORS=ON >"$folder/configure.log" || fail "$(tail "$folder/configure.log")"
"$cmake" --build "$folder/build/release" --target outerloop >"$folder/build.log" || fail "$(tail -n 20 "$folder/build.log")"

cd "$folder"
build/release/outerloop data check gratings | tee check.txt
grep -q '3600 examples of .* in 36 classes' check.txt || fail "gratings are not what the page says"
build/release/outerloop bench gradient docs/examples/oja.textproto | tee gradient.txt
grep -q decorrelation gradient.txt || fail "the gradient of another rule was compared"
scripts/mpirun -n 3 build/release/outerloop train docs/examples/oja.textproto --run-dir runs/oja
grep -q '"stop_reason": *"updates"' runs/oja/result.json || fail "training did not end well"
build/release/outerloop evaluate runs/oja/rule.h5 --draws 2 --labels 5 --baselines untrained --readouts ridge
build/release/outerloop inspect runs/oja/rule.h5 | tee inspect.txt
grep -q decorrelation inspect.txt || fail "rule.h5 does not hold the new rule's θ"
# θ has moved, so gradients came and were applied.
! grep -q 'hebb.* 1\.0000 ' inspect.txt || fail "θ has not moved"
