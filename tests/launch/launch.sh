# What the tests beside it share: $sources, $program and a folder of their own, which is the working directory.
sources=$1
program=$2
launcher=$sources/scripts/mpirun
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; cd / && rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export OUTERLOOP_CACHE_DIR=$folder/cache
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 # where mpirun is called without the script

fail() {
  echo "FAILED: $*"
  tail -n 15 out err 2>/dev/null
  exit 1
}

# expect STATUS WHAT COMMAND...: its exit status; output is in the files out and err.
expect() {
  local wanted=$1 what=$2 status=0
  shift 2
  timeout -k 5 120 "$@" >out 2>err || status=$?
  [ "$status" = "$wanted" ] || fail "$what: status $status, not $wanted"
}

# says TEXT WHAT: the only line of standard error that is not Open MPI's forwarding of a signal, and it holds TEXT.
says() {
  [ "$(grep -vc '^mpirun: Forwarding' err)" = 1 ] && grep -qF -- "$1" err || fail "$2: not one line with: $1"
}

stop_reason() { sed -n 's/^ *"stop_reason": "\(.*\)",\{0,1\}$/\1/p' "$1/result.json"; }
exit_status() { sed -n 's/^ *"exit_status": \([0-9]*\),\{0,1\}$/\1/p' "$1/result.json"; }
# ranks_of RUN: the processes of the ranks that train there, not those of mpirun and the script.
ranks_of() {
  local process
  for process in $(pgrep -f -- "$program train smoke --run-dir $1 "); do
    [ "$(readlink "/proc/$process/exe")" != "$(readlink -f "$program")" ] || echo "$process"
  done
}
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}
