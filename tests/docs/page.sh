#!/usr/bin/env bash
# page.sh SOURCES OUTERLOOP PAGE: runs the blocks of PAGE that begin with ```sh run, in order, in a folder of their own where
# everything has the names that the pages use. Blocks like ```textproto my.textproto or ```python my.py become files first.
# Commands are run as they stand, but `outerloop` is a stand-in that makes them small: a few updates, two draws.
set -euo pipefail
sources=$1 outerloop=$2 page=$1/$3
folder=$(mktemp -d "${TMPDIR:-/tmp}/outerloop-page.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OUTERLOOP_REAL=$outerloop
export PATH=$folder/build/release:$PATH
export PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1

mkdir -p build/release runs
ln -s "$sources"/{configs,docs,proto,rules,scripts,tests} .
cp "$(dirname "$0")/small_outerloop.sh" build/release/outerloop
cp rules/one-core-hour.h5 rule.h5

# Debian's Python, which has Debian's numpy.
[ ! -x /usr/bin/python3 ] || ln -s /usr/bin/python3 build/release/python3
if grep -q '^```python .*\.py$' "$page" && ! python3 -c 'import numpy, h5py' 2>/dev/null; then
  echo "skipped: no numpy or h5py" && exit 77
fi
if grep -q '^import matplotlib' "$page" && ! python3 -c 'import matplotlib' 2>/dev/null; then
  echo "skipped: no matplotlib (apt-get install python3-matplotlib)" && exit 77
fi

# The array and the pictures that some pages have of their own: 64 rows of 196 bytes; Fashion-MNIST in MNIST's layout.
{
  header="{'descr': '|u1', 'fortran_order': False, 'shape': (64, 196), }"
  printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header"
  seq 1 12544 | awk '{printf "%c", 33 + ($1 * 7919) % 90}'
} >mine.npy
fashion=/usr/share/datasets/fashion-mnist
if [ ! -d $fashion ] && grep -qE "my-images|$fashion|outerloop (evaluate|figure)" "$page"; then
  echo "skipped: no dataset-fashion-mnist" && exit 77
fi
if grep -q my-images "$page"; then
  for copy in my-images other-images; do cp -rL $fashion $copy; done
fi

# Most pages begin where scripts/run ends.
grep -q 'runs/first' "$page" && outerloop train smoke --run-dir runs/first >train.log 2>&1 || true

# block NUMBER: the file or the commands of the page's block of that number.
awk -v folder="$folder" '
  !inside && /^```/ {
    inside = 1
    name = ""
    if ($1 == "```sh" && $2 == "run") name = sprintf("block-%03d.sh", ++number)
    if ($1 ~ /^```(textproto|python)$/ && NF == 2) name = $2
    if (name != "") {printf "" > (folder "/" name)}
    next
  }
  inside && /^```$/ {inside = 0; if (name != "") close(folder "/" name); next}
  inside && name != "" {print > (folder "/" name)}' "$page"

shopt -s nullglob
blocks=(block-*.sh)
[ "${#blocks[@]}" -gt 0 ] || { echo "$page has no block that is run" >&2; exit 1; }
for block in "${blocks[@]}"; do
  sed 's/^/+ /' "$block"
  bash -euo pipefail "$block" >out 2>&1 </dev/null || {
    echo "FAILED (exit status $?), in $3:"
    tail -n 20 out
    exit 1
  }
  tail -n 3 out
done
