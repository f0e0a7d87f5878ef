#!/usr/bin/env bash
# gpu_bundle.sh SOURCES: what scripts/dev/gpu-bundle makes runs in a bare Debian that has nothing else but python3 and PyPI's
# torch. Needs root, debootstrap, a Debian mirror and PyPI. Without a GPU, on the cpu: of CUDA's libraries only the two small
# ones that LibTorch's CPU library links are there.
set -euo pipefail
sources=$1
source "$sources/scripts/lib.sh"
source "$sources/scripts/dev/debian.sh"
source "$sources/scripts/dev/libtorch_wheel.sh"
fail() { die 1 "FAILED: $*"; }
reason=$(can_make_debian) || skip "$reason"

# 1. The bundle. Its folder of downloads and the build is kept.
folder=${XDG_CACHE_HOME:-/var/tmp}/outerloop/gpu-bundle
work=$(mktemp -d /var/tmp/outerloop-gpu-XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
status=0
"$sources/scripts/dev/gpu-bundle" "$work/bundle" --root "$folder" || status=$?
[ "$status" -eq 0 ] || exit "$status"
version=$(sed -n 's/^torch //p' "$work/bundle/made-with")

# 2. The other machine. It has no wheel of its own: pip would unpack the same files.
system=$work/system
make_debian bookworm "$system" "$work/log" || skip "debootstrap: $(tail -n 1 "$work/log")"
enter_debian "$system" sh -c 'apt-get -q update && apt-get -qy install --no-install-recommends python3' >"$work/log" 2>&1 ||
  fail "python3 could not be installed: $(tail -n 1 "$work/log")"
packages=$system/usr/local/lib/python3.11/dist-packages
mkdir -p "$packages"
for wheel in "$folder/wheels/torch-$version"[-+]*.whl "$(newest nvidia_cuda_cupti)" "$(newest nvidia_cuda_runtime)"; do
  unpack "$packages" "$wheel"
done
mv "$work/bundle" "$system/opt/bundle"

# 3. The check, as an ordinary user, in a folder that is not the bundle.
enter_debian "$system" sh -c 'useradd --create-home someone && cd /home/someone && setpriv --reuid someone --regid someone \
  --clear-groups env HOME=/home/someone /opt/bundle/check --device cpu --sizes laptop --lanes 1,4 --seconds 20' \
  >"$work/output" 2>&1 || fail "check: $(tail -n 60 "$work/output")"
table=$system/home/someone/outerloop-check/table.txt
cat "$table"
expect() { grep -qE "$1" "$table" || fail "the table has no line $1"; }
for part in 'golden files' 'an inner step' 'meta-training, 20 s' 'few-shot accuracy'; do expect "^$part.* held +[0-9]+ s$"; done
for file in small_a small_b option_separate_backward reference_size; do
  expect "^  $file.h5 +float64 +state within [0-9.e+-]+, gradient within [0-9.e+-]+$"
done
for lanes in 1 4; do expect "^  laptop +$lanes +[0-9.]+ +[0-9.]+ +[0-9.]+ "; done
expect '^  [1-9][0-9]* updates, '
expect '^  Fashion-MNIST: [0-9.]+ % correct, [+-][0-9.]+ ± [0-9.]+ points over random initialisation$'

# 4. A machine that lacks something: one line that says what to do.
try() { enter_debian "$system" /opt/bundle/check "$@" 2>&1 || true; }
[[ $(try --device cuda --out /tmp/1) == *"libraries of torch are missing: lib"*"pip install torch==$version brings them" ]] ||
  fail "without CUDA's libraries check --device cuda says: $(try --device cuda --out /tmp/1)"
sed -i "s/^__version__ = .*/__version__ = '1.0.0'/" "$packages/torch/version.py"
[[ $(try --device cpu --out /tmp/2) == *"torch here is 1.0.0, "*"pip install torch==$version"* ]] ||
  fail "with another torch check says: $(try --device cpu --out /tmp/2)"
echo "passed: the bundle for torch $version in a bare bookworm"
