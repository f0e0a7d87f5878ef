#!/usr/bin/env bash
# What `cmake --install` leaves: a program that finds its presets, a package that another project builds with, a man
# page for every command, completion. Arguments: sources, build folder, cmake.
set -euo pipefail
sources=$1
build=$2
cmake=$3
fail() {
  echo "FAILED: $*"
  exit 1
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/prefix
"$cmake" --install "$build" --prefix "$prefix" >"$folder/install.log" || fail "$(tail -n 5 "$folder/install.log")"
# What `--target outerloop` alone leaves to install.
if [ -d "$build/man" ]; then
  mv "$build/man" "$folder/man"
  restored=1
  "$cmake" --install "$build" --prefix "$folder/without-pages" >"$folder/without.log" 2>&1 || restored=0
  mv "$folder/man" "$build/man"
  [ "$restored" = 1 ] || fail "without man pages: $(tail -n 5 "$folder/without.log")"
  "$folder/without-pages/bin/outerloop" --version >/dev/null || fail "without man pages there is no program"
  grep -q 'outerloop_manual' "$folder/without.log" || fail "it does not say that man pages are missing"
fi
[ -f "$prefix/share/outerloop/config.proto" ] || fail "config.proto is not installed"
# Away from the sources, so that nothing of them is found by accident.
cd "$folder"

echo "1. the installed program"
"$prefix/bin/outerloop" train smoke --set updates=2 --run-dir run >/dev/null || fail "it does not train"
"$prefix/bin/outerloop" inspect run/rule.h5 >inspected && grep -q neuron_local inspected || fail "it does not inspect"
"$prefix/share/outerloop/scripts/mpirun" -n 2 "$prefix/bin/outerloop" train smoke --set updates=2 --run-dir two \
  >/dev/null || fail "its launcher does not start it"

# build_project NAME ARGUMENT...: the project tests/install/NAME, with the installed package.
build_project() {
  local name=$1
  shift
  "$cmake" -G Ninja -S "$sources/tests/install/$name" -B "$name" -D CMAKE_PREFIX_PATH="$prefix" -D CMAKE_BUILD_TYPE=Release \
    "$@" >"$name.log" 2>&1 || fail "$(tail -n 20 "$name.log")"
  "$cmake" --build "$name" >>"$name.log" 2>&1 || fail "$(tail -n 20 "$name.log")"
}
# applies PROGRAM: it applies a rule to an array.
applies() {
  "$1" "$prefix/share/outerloop/rules/one-core-hour.h5" | tee printed
  grep -qx '32 features of 200 examples' printed || fail "$1 printed something else"
}

echo "2. another project, which applies a rule without MPI"
build_project consumer -D CMAKE_DISABLE_FIND_PACKAGE_MPI=ON -D CMAKE_DISABLE_FIND_PACKAGE_CLI11=ON
applies consumer/consumer
ldd consumer/consumer >libraries
grep -q libhdf5 libraries || fail "ldd does not show what it links: $(cat libraries)"
! grep libmpi libraries || fail "it links MPI"
! grep '^CAIRO_' consumer/CMakeCache.txt || fail "Cairo was looked for"

echo "3. components, and a project that links all"
build_project components
applies components/everything

echo "4. completion"
commands=$("$prefix/bin/outerloop" --help | awk '/^[A-Z][a-z]*:$/ {on = /^Subcommands/; next} on && /^  [a-z]/ {print $1}')
[ "$(wc -w <<<"$commands")" -ge 9 ] || fail "--help lists other commands: $commands"
# shellcheck disable=SC1091
source "$prefix/share/bash-completion/completions/outerloop"
complete_line() {
  COMP_WORDS=("$prefix/bin/outerloop" "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _outerloop
  printf '%s ' "${COMPREPLY[@]}"
}
[ "$(complete_line tr)" = 'train ' ] || fail "tr is completed to '$(complete_line tr)'"
[ "$(complete_line train --resu)" = '--resume ' ] || fail "train --resu is completed to '$(complete_line train --resu)'"
[ "$(complete_line bench un)" = 'unroll ' ] || fail "bench un is completed to '$(complete_line bench un)'"
[ "$(complete_line evaluate --dr)" = '--draws ' ] || fail "evaluate --dr is completed to '$(complete_line evaluate --dr)'"

echo "5. man pages"
if ! command -v help2man >/dev/null; then
  echo "no help2man here: there are none"
else
  for command in $commands; do
    page=$prefix/share/man/man1/outerloop-$command.1
    [ -s "$page" ] || fail "outerloop $command has no man page"
    grep -q 'SH OPTIONS' "$page" || fail "$page tells no options"
  done
  grep -q -e 'init\\-theta' "$prefix/share/man/man1/outerloop-train.1" || fail "train's page lacks a flag"
fi
echo passed
