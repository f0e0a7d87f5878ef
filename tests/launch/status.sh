#!/usr/bin/env bash
# The exit status of scripts/mpirun is rank 0's, and mpirun is silent beside the line that says what is wrong. Arguments: the
# folder of the sources, the program.
set -uo pipefail
source "$(dirname "$(readlink -f "$0")")/launch.sh" "$@"

echo "1. 2: arguments and configuration"
expect 2 "an unknown flag" "$launcher" -n 2 "$program" train --nonsense
says "outerloop: " "an unknown flag"
expect 2 "an unknown preset" "$launcher" -n 3 "$program" train nonsense
says "outerloop: nonsense: neither a file nor a preset" "an unknown preset"
expect 2 "a key out of range" "$launcher" -n 2 "$program" train smoke --set batch=-1
says "outerloop: " "a key out of range"

echo "2. 0: a run that came to its end"
expect 0 "a run" "$launcher" -n 2 "$program" train smoke --run-dir run --set updates=2
[ "$(exit_status run)" = 0 ] || fail "result.json says $(exit_status run)"
expect 2 "a folder that is not empty" "$launcher" -n 2 "$program" train smoke --run-dir run
says "outerloop: run: the run directory is not empty" "a folder that is not empty"

echo "3. 1: rank 0 was killed, or never came"
"$launcher" -n 2 "$program" train smoke --run-dir killed --set updates=0 --set seconds=600 >out 2>err &
job=$!
until_true 60 test -s killed/metrics.jsonl || fail "it does not train"
for process in $(ranks_of killed); do
  ! grep -qzx OMPI_COMM_WORLD_RANK=0 "/proc/$process/environ" || kill -KILL "$process"
done
wait "$job"
status=$?
[ "$status" = 1 ] || fail "rank 0 was killed: status $status"
expect 1 "no rank 0" "$launcher" -n 1 sh -c "exit 3; $program train smoke"

echo "4. of another program mpirun's own; and below a shell the ranks' statuses are their own as well"
expect 0 "another program" "$launcher" -n 2 true
expect 2 "a shell" "$launcher" -n 1 sh -c "$program train nonsense; echo \$? >code"
[ "$(cat code)" = 2 ] || fail "the shell saw $(cat code)"

echo "5. where rank 0's file is out of reach, as on another host, result.json says it; else it is 1"
# The shell around rank 0 hides the file, as another host would.
hidden='rm -f "$OUTERLOOP_STATUS_FILE"; exec "$@"'
expect 0 "result.json" "$launcher" -n 1 sh -c "$hidden" sh "$program" train smoke --run-dir elsewhere --set updates=1
expect 1 "neither" "$launcher" -n 1 sh -c "$hidden" sh "$program" train smoke --run-dir elsewhere

echo "6. Ctrl-C twice is over within seconds, and leaves the last checkpoint"
"$launcher" -n 2 "$program" train smoke --run-dir twice --set updates=0 --set seconds=600 >out 2>err &
job=$!
until_true 60 test -s twice/metrics.jsonl || fail "it does not train"
# The ranks stand still, so that the first one alone would not end them.
kill -STOP $(ranks_of twice)
kill -INT "$job"
sleep 0.2
began=$SECONDS
kill -INT "$job"
wait "$job"
status=$?
[ "$status" = 1 ] || fail "Ctrl-C twice: status $status"
[ $((SECONDS - began)) -le 6 ] || fail "Ctrl-C twice: over after $((SECONDS - began)) s"
grep -q 'Ctrl-C once more ends them at once' err || fail "the first one's line does not say so"
"$program" inspect twice/checkpoints/latest >out 2>err || fail "no checkpoint is left"

echo "7. a rank that ends before the others have begun ends the start, with a line"
began=$SECONDS
expect 1 "a rank that ends" "$launcher" -n 2 sh -c '[ "$OMPI_COMM_WORLD_RANK" = 0 ] || exit 3; exec "$@"' sh "$program" train \
  smoke --run-dir half
grep -q 'mpirun: a rank has ended before all had begun' err || fail "no line says it"
[ $((SECONDS - began)) -le 40 ] || fail "it took $((SECONDS - began)) s"
expect 1 "ranks that never come" env OUTERLOOP_START_SECONDS=3 "$launcher" -n 2 sh -c "sleep 100; $program train smoke"
grep -q 'have not found each other within 3 s' err || fail "no line says that none came"

echo "8. the script killed in its first second leaves nothing behind"
"$launcher" -n 2 "$program" train smoke --run-dir orphan --set updates=0 --set seconds=600 >out 2>err &
job=$!
sleep 0.7
kill -KILL "$job"
wait "$job" 2>/dev/null
until_true 60 eval "! pgrep -f -- '$launcher -n 2 $program train smoke --run-dir orphan ' >/dev/null" || fail "a watcher is left"

echo "9. a run that is not there cannot be joined, and that is said"
mkdir -p ended/checkpoints
echo '{"stop_reason": "updates"}' >ended/result.json
for run in nowhere ended; do
  expect 2 "joining $run" "$launcher" -n 1 "$program" train --join "$run"
  says "$run/join.json: cannot be read; no run is active there" "joining $run"
done

echo "10. without PATH the programs are those of the shell's own"
expect 0 "no PATH" env -i OUTERLOOP_CACHE_DIR="$OUTERLOOP_CACHE_DIR" "$(type -P bash)" "$launcher" -n 2 "$program" train smoke \
  --run-dir pathless --set updates=1

echo "11. an mpirun that stands still is ended once rank 0 has gone, and leaves no shared memory"
# Files of the job alone, since other jobs may run beside it; Open MPI 5 has a word for the namespace, and no such files.
segments() { [ -z "$namespace" ] || ls /dev/shm | grep "^vader_segment.*\.$(printf %x "$namespace")\." || true; }
"$launcher" -n 2 "$program" train smoke --run-dir still --set updates=0 --set seconds=600 >out 2>err &
job=$!
until_true 60 test -s still/metrics.jsonl || fail "it does not train"
ranks=$(ranks_of still)
namespace=$(tr '\0' '\n' <"/proc/${ranks%%[[:space:]]*}/environ" | sed -n 's/^PMIX_NAMESPACE=\([0-9]*\)$/\1/p')
[ -z "$namespace" ] || [ "$(segments | wc -l)" = 2 ] || fail "the shared memory of two ranks was not found: $(segments)"
kill -STOP "$(ps -o ppid= -p "${ranks%%[[:space:]]*}" | tr -d ' ')"
kill -KILL $ranks
began=$SECONDS
wait "$job"
status=$?
[ "$status" = 1 ] || fail "an mpirun that stands still: status $status"
[ $((SECONDS - began)) -le 30 ] || fail "an mpirun that stands still: over after $((SECONDS - began)) s"
grep -q 'mpirun did not end by itself, and was ended' err || fail "no line says that mpirun was ended"
! grep -q Killed err || fail "the shell's own line about mpirun is there as well"
[ -z "$(segments)" ] || fail "shared memory is left: $(segments)"
echo passed
