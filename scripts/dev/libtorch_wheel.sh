# Functions to fetch PyPI's LibTorch and to build against it. Sourced by bash, after lib.sh; needs python3-venv.
# All files are in `folder`, which the script sets, beside `fresh` (not empty: start from scratch).

marker=.made-by-outerloop

skip() {
  say "skipped: $1"
  exit 77
}

# Creates `folder`, outside of the sources. Removes only files that these scripts made.
make_folder() {
  folder=$(realpath -m "$folder")
  case $folder/ in
    / | "$root"/*) die 2 "--root $folder: a folder outside of $root, please" ;;
  esac
  [ ! -e "$folder" ] || [ -e "$folder/$marker" ] ||
    die 2 "$folder exists and was not made by this script: give another --root"
  [ -z "$fresh" ] || rm -rf --one-file-system "$folder"
  mkdir -p "$folder/wheels"
  touch "$folder/$marker"
  [ -x "$folder/python/bin/pip" ] || python3 -m venv "$folder/python" >/dev/null 2>&1 ||
    skip "no venv here (apt-get install python3-venv)"
}

# fetch PACKAGE...: the wheels without their dependencies, which for torch would be gigabytes of CUDA. pip keeps existing
# files.
fetch() {
  "$folder/python/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$folder/wheels" "$@" >"$folder/pip.log" 2>&1 || skip "pip could not fetch $*: $(tail -n 1 "$folder/pip.log")"
}

# unpack TARGET WHEEL [PATTERN...]: members that match a pattern; all without patterns.
unpack() {
  "$folder/python/bin/python" - "$@" <<'END'
import fnmatch, sys, zipfile
target, wheel, patterns = sys.argv[1], sys.argv[2], sys.argv[3:] or ["*"]
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(target, [name for name in archive.namelist() if any(fnmatch.fnmatch(name, p) for p in patterns)])
END
}

# fetch_cuda SITE: if the wheel unpacked in SITE was built with CUDA, even the CPU library links two small CUDA libraries:
# the wheel names their versions. They are found in the library's own folder.
fetch_cuda() {
  local site=$1 needed
  needed=$(sed -n -E 's/^Requires-Dist: (cuda-toolkit)\[[^]]*\](==[^;]*);.*/\1[cupti,cudart]\2/p
    s/^Requires-Dist: (nvidia-cuda-(cupti|runtime)[^;]*);.*/\1/p' "$site"/torch-*.dist-info/METADATA | tr -d ' ')
  case $needed in
    '') return ;;
    cuda-toolkit*)
      fetch "${needed/\[cupti,cudart\]/}"
      unpack "$site" "$(newest cuda_toolkit)" '*/METADATA'
      needed=$(sed -n -E 's/^Requires-Dist: (nvidia-cuda-(cupti|runtime)==[^;]*);.*extra == .(cupti|cudart).$/\1/p' \
        "$site"/cuda_toolkit-*.dist-info/METADATA | sort -u)
      ;;
  esac
  # shellcheck disable=SC2086
  fetch $needed
  local wheel
  for wheel in nvidia_cuda_cupti nvidia_cuda_runtime; do unpack "$site" "$(newest $wheel)" '*/lib/*'; done
}

# newest NAME: the most recently fetched wheel with that name.
newest() {
  local wheels
  wheels=$(ls -t "$folder/wheels/$1"[-_]*.whl)
  head -n 1 <<<"$wheels"
}

# make_libtorch [VERSION]: sets `wheel`, `version`, and `site`, the folder of its unpacked files for the CPU. Without
# VERSION the newest.
make_libtorch() {
  local asked=${1:-}
  fetch "torch${asked:+==$asked}"
  wheel=$(newest torch)
  [ -z "$asked" ] || wheel=$(ls "$folder/wheels/torch-$asked"[-+]*.whl)
  version=$(basename "$wheel" | cut -d- -f2)
  site=$folder/torch-$version
  [ ! -e "$site/complete" ] || return 0
  rm -rf "$site"
  # libtorch_cuda is half of the wheel, and would be linked if found.
  unpack "$site" "$wheel" 'torch/include/*' 'torch/lib/libtorch_cpu*' 'torch/lib/libc10.so' 'torch/lib/libgomp*' \
    'torch/lib/libgfortran*' 'torch/lib/*openblas*' 'torch/lib/*arm_compute*' '*.dist-info/METADATA' 'torch.libs/*'
  fetch_cuda "$site"
  touch "$site/complete"
}

# configure_against_wheel BUILD [CMake's arguments]: the release build in the folder BUILD. The headers require C++20.
configure_against_wheel() {
  local build=$1
  shift
  # A build of sources in another folder cannot be reused.
  grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$build/CMakeCache.txt" || rm -rf "$build"
  cmake -S "$root" -B "$build" -G Ninja -Wno-dev --log-level=NOTICE -U 'OUTERLOOP_TORCH_*' -D CMAKE_BUILD_TYPE=Release \
    -D CMAKE_PREFIX_PATH="$site/torch" -D OUTERLOOP_TORCH_STANDARD=20 -D OUTERLOOP_TESTS=ON "$@" ||
    die 1 "the configuration failed; the lines above say why"
  grep -q "^OUTERLOOP_TORCH_CPU:.*=$site/" "$build/CMakeCache.txt" || die 1 "another LibTorch was found than $site"
}

# build_against_wheel BUILD TARGET...
build_against_wheel() {
  cmake --build "$1" --parallel "${OUTERLOOP_JOBS:-$(build_jobs)}" --target "${@:2}" ||
    die 1 "the build failed; the compiler's own lines above say why"
}
