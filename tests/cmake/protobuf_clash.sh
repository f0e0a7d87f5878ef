#!/usr/bin/env bash
# protobuf_clash.sh SOURCES CMAKE COMPILER: libraries that pass for LibTorch's, with and without a protobuf of their own.
set -euo pipefail
sources=$1 cmake=$2 compiler=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# library NAME SONAME [OPTION...]: from the code on standard input.
library() {
  local name=$1 soname=$2
  shift 2
  "$compiler" -shared -fPIC -x c++ - -x none -o "$name" -Wl,-soname,"$soname" "$@"
}

# check TORCH: what the configuration says of it beside libprotobuf.so.32, in one line.
check() {
  "$cmake" -D MODULE="$sources/scripts/cmake/OuterloopProtobuf.cmake" -D TORCH="$1" -D OURS="$folder/libprotobuf.so" \
    -P check.cmake 2>&1 | tr -s ' \n' ' '
}

expect() {
  [[ $2 == *"$3"* ]] || { echo "$1: expected \"$3\", got: $2" >&2; exit 1; }
}

cat >check.cmake <<'END'
include(${MODULE})
outerloop_check_protobuf(${TORCH} ${OURS})
message(STATUS "they get along")
END
own='namespace google { namespace protobuf { namespace internal { void VerifyVersion(int, int, const char*) {} } } }'
generated='namespace google { namespace protobuf { class Arena { public: template <class T> static T* Create() { return 0; } };
  template int* Arena::Create<int>(); } }'
library libprotobuf.so libprotobuf.so.32 <<<"$own"
library libprotobuf_old.so libprotobuf.so.23 <<<"$own"

library with_ours.so libtorch_cpu.so -Wl,--no-as-needed ./libprotobuf.so <<<"$generated"
library without.so libtorch_cpu.so <<<"int nothing;"
library hidden.so libtorch_cpu.so -fvisibility=hidden <<<"$own"
library shown.so libtorch_cpu.so <<<"$own"
library with_old.so libtorch_cpu.so -Wl,--no-as-needed ./libprotobuf_old.so <<<"int nothing;"

for good in with_ours without hidden; do expect $good "$(check $folder/$good.so)" "they get along"; done
expect shown "$(check "$folder/shown.so" || true)" "shown.so shows a protobuf of its own beside ours"
expect shown "$(check "$folder/shown.so" || true)" "configure with -DOUTERLOOP_REFERENCE=OFF"
expect with_old "$(check "$folder/with_old.so" || true)" "links libprotobuf.so.23, and we link libprotobuf.so.32"
! check "$folder/shown.so" >/dev/null || { echo "a clash does not end the configuration" >&2; exit 1; }

# Headers of a protobuf in LibTorch's folder are not those of our library, unless that is there, too.
mkdir -p wheel/include/ATen {wheel,other}/include/google/protobuf {wheel,other}/lib
touch wheel/include/ATen/ATen.h {wheel,other}/include/google/protobuf/service.h other/lib/libprotobuf.so
cat >headers.cmake <<'END'
include(${MODULE})
outerloop_find_protobuf_headers()
find_path(Protobuf_INCLUDE_DIR google/protobuf/service.h)
message(STATUS "headers in ${Protobuf_INCLUDE_DIR}")
END
headers() {
  "$cmake" -D MODULE="$sources/scripts/cmake/OuterloopProtobuf.cmake" -D "CMAKE_PREFIX_PATH=$folder/wheel;$folder/other" \
    -P headers.cmake 2>&1
}
expect "a wheel" "$(headers)" "headers in $folder/other/include"
touch wheel/lib/libprotobuf.so.32
expect "one prefix for both" "$(headers)" "headers in $folder/wheel/include"
