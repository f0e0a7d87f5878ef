#!/usr/bin/env bash
# Stands in for outerloop where pages are tested: the same, with options that make it small wherever a page leaves them to their
# defaults.
set -euo pipefail
given=" $* "

# unless TEXT OPTION...: adds the options where TEXT was not given.
extra=()
unless() {
  local text=$1
  shift
  [[ $given == *"$text"* ]] || extra+=("$@")
}

# Where the manual pages could not be fetched, pages that train the preset laptop are run with images alone.
manuals=${OUTERLOOP_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/outerloop}/manuals
if [[ $given == " train laptop "* && ! -e $manuals/.made-from ]]; then
  echo "small_outerloop: no manual pages in $manuals: the preset images takes the place of laptop" >&2
  set -- train images "${@:3}"
fi

help=
[[ $given == *" --help "* ]] && help=yes
case $help${1:-} in
  train)
    if [[ $given == *" --resume "* ]]; then
      unless "updates=" --set updates=6
    elif [[ $given != *" --join "* ]]; then
      unless "updates=" --set updates=4
      unless "seconds=" --set seconds=0
    fi
    ;;
  evaluate)
    unless --draws --draws 2
    unless --baselines --baselines untrained,pixels
    unless --readouts --readouts ridge
    unless --inner-steps --inner-steps 5
    ;;
  figure)
    unless --draws --draws 2
    unless --values --values 2,4
    ;;
  bench)
    case ${2:-} in
      engine) unless --sizes --sizes laptop; unless --engines --engines fused; unless --repetitions --repetitions 1 ;;
      unroll) unless --lengths --lengths 5; unless --repetitions --repetitions 1 ;;
      coordinator) unless --seconds --seconds 0.2; unless --repetitions --repetitions 1 ;;
    esac
    ;;
esac
exec "$OUTERLOOP_REAL" "$@" "${extra[@]}"
