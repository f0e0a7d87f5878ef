#!/usr/bin/env bash
# Standard streams that are closed, full, or somebody else's. Arguments: the folder of the sources, the program.
set -uo pipefail
source "$(dirname "$(readlink -f "$0")")/launch.sh" "$@"

echo "1. whichever descriptors are closed, no file of the run takes their numbers"
number=0
for closed in '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
  number=$((number + 1))
  (eval "exec $closed"; exec "$program" train smoke --run-dir "run$number" --set updates=2) >out 2>err || fail "train $closed"
  ! grep -qv '^{' "run$number/metrics.jsonl" || fail "$closed: what belongs on the screen is in metrics.jsonl"
  [ "$(stop_reason "run$number")" = updates ] || fail "$closed: it did not train to the end"
  (eval "exec $closed"; exec "$program" inspect "run$number/rule.h5" --json "inspected$number") >out 2>err || fail "inspect $closed"
  grep -q '"checksum_ok": true' "inspected$number" && [ "$(head -c 1 "inspected$number")" = '{' ] ||
    fail "$closed: the JSON has something else in it"
done
expect 0 "a run whose first start had no streams" "$program" train --resume --run-dir run7 --set updates=3
(exec <&- >&- 2>&-; exec "$launcher" -n 2 "$program" train smoke --run-dir both --set updates=2) >out 2>err || fail "the script"
[ "$(stop_reason both)" = updates ] || fail "the script: it did not train to the end"
! grep -qv '^{' both/metrics.jsonl || fail "the script: what belongs on the screen is in metrics.jsonl"

echo "2. a table that could not be printed is one line, and status 1"
full() {
  local status=0
  timeout 120 "$program" "$@" >/dev/full 2>err || status=$?
  [ "$status" = 1 ] || fail "$*: status $status onto a full disk"
  says "standard output: cannot be written: No space left on device" "$*"
}
full --version
full --help
full inspect run1/rule.h5
full inspect --config run1/rule.h5
full data check two_moons
full data list
full doctor
full evaluate run1/rule.h5 --dataset two_moons --draws 2 --baselines none --readouts ridge --inner-steps 3
full train smoke --run-dir full --set updates=2 --json full.json
[ "$(stop_reason full)" = updates ] && [ "$(exit_status full)" = 1 ] || fail "result.json says $(exit_status full)"
cmp full/result.json full.json || fail "two results"

echo "3. so is a file"
expect 1 "--json" "$program" inspect run1/rule.h5 --json /dev/full
says "/dev/full: cannot be written: No space left on device" "--json"
expect 1 "a limit on the size of files" bash -c 'ulimit -f 1; exec "$@" >/dev/null' limited "$program" inspect run1/rule.h5 --json limited.json
says "limited.json: cannot be written: File too large" "a limit on the size of files"
status=0
"$launcher" -n 2 "$program" train smoke --run-dir full-ranks --set updates=1 >/dev/full 2>err || status=$?
[ "$status" = 1 ] || fail "scripts/mpirun onto a full disk: status $status"
says "standard output: cannot be written" "scripts/mpirun onto a full disk"

echo "4. scripts/mpirun reads nothing of the list of a loop around it"
count=0
while read -r name; do
  "$launcher" -n 1 "$program" train smoke --run-dir "$name" --set updates=1 >out 2>err || fail "run $name"
  count=$((count + 1))
done <<<$'loop1\nloop2'
[ "$count" = 2 ] || fail "the loop ran $count times"

echo "5. nohup is respected, alone and under scripts/mpirun; without it SIGHUP ends the run"
hang_up() {
  local run=$1 process
  shift
  "$@" >out 2>err </dev/null &
  process=$!
  until_true 60 test -s "$run/metrics.jsonl" || fail "$run does not train"
  kill -HUP "$process" $(ranks_of "$run") 2>/dev/null
  wait "$process" || fail "$run ended with $?"
}
arguments=(--set updates=0 --set seconds=4)
hang_up alone nohup "$program" train smoke --run-dir alone "${arguments[@]}"
[ "$(stop_reason alone)" = seconds ] || fail "SIGHUP ended a run under nohup"
hang_up ranks nohup "$launcher" -n 2 "$program" train smoke --run-dir ranks "${arguments[@]}"
[ "$(stop_reason ranks)" = seconds ] || fail "SIGHUP ended the ranks of a run under nohup"
hang_up ended "$program" train smoke --run-dir ended --set updates=0 --set seconds=100
[ "$(stop_reason ended)" = signal ] || fail "SIGHUP did not end a run"

echo "6. a usage error is said, whatever rank the environment names"
for variable in OMPI_COMM_WORLD_RANK PMIX_RANK PMI_RANK SLURM_PROCID; do
  expect 2 "$variable" env "$variable=3" OMPI_FIRST_RANKS=0 "$program" inspect --nonsense
  says "outerloop: " "$variable"
done
echo passed
