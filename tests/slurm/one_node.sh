#!/usr/bin/env bash
# scripts/slurm's batch scripts in a real Slurm of one node: a run whose time is up goes back into the queue until it is
# done, at the bits of an unbroken run; cancelled, it leaves a checkpoint; bad arguments end the job once.
# Arguments: the folder of the sources, the program.
set -uo pipefail
sources=$1
program=$2
source "$(dirname "$0")/slurm.sh"

can_start_slurm
folder=$(mktemp -d /tmp/outerloop-slurm-XXXXXX)
trap stop_slurm EXIT
export OUTERLOOP_HOME=$sources OUTERLOOP_PROGRAM=$program
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
start_slurm

train=$sources/scripts/slurm/train.sbatch
updates=600 # more than a fast machine makes before the signals have come
small=(smoke --set mode=deterministic --set batch=3 --set streams=3 --set "updates=$updates")

# 0. All jobs at once: most of the time they wait, for Slurm's clock or to be put back.
"$sources/scripts/mpirun" -n 1 "$program" train "${small[@]}" --run-dir "$folder/unbroken" >/dev/null || fail "unbroken"
broken=$(submit --ntasks-per-node=3 --output="$folder/broken.log" "$train" "$folder/broken" "${small[@]}" \
  --set checkpoint.every_updates=3)
# Slurm sends its signal 25 s before a limit of one minute, or earlier.
timed=$(submit --time=1 --signal=B:USR1@25 --output="$folder/timed.log" "$train" "$folder/timed" smoke --set updates=0 \
  --set seconds=45)
cancelled=$(submit --ntasks-per-node=1 --cpus-per-task=2 --output="$folder/cancelled.log" "$train" "$folder/cancelled" \
  smoke --set updates=0 --set seconds=600 --set checkpoint.every_updates=2)
array=$(submit --array=1-2 --ntasks-per-node=1 --output="$folder/array-%a.log" "$sources/scripts/slurm/array.sbatch" \
  "$folder/seeds" smoke --set updates=4)
table=$(submit --dependency="afterok:$array" --cpus-per-task=2 --output="$folder/table.log" \
  "$sources/scripts/slurm/evaluate.sbatch" "$folder/seeds/seed-1/rule.h5" --dataset two_moons --draws 3 \
  --inner-steps 4 --baselines none --readouts ridge)
refused=$(submit --ntasks-per-node=1 --output="$folder/refused.log" "$train" "$folder/refused" smoke --set bacth=4)

echo "1. scancel leaves a checkpoint, and another submission goes on from it"
until_true 60 "the run to cancel" has_checkpoint "$folder/cancelled" 2
grep -q '2 threads' "$folder/cancelled.log" || fail "--cpus-per-task=2 gave other than two threads"
scancel "$cancelled"
wait_for_end "$cancelled" 60 CANCELLED
[ "$(result "$folder/cancelled" stop_reason)" = signal ] || fail "it ended without a word"
reached=$(checkpoint_of "$folder/cancelled")
[ "$reached" -ge 2 ] && [ "$reached" = "$(result "$folder/cancelled" updates)" ] || fail "no checkpoint of its end"
again=$(submit --ntasks-per-node=1 --output="$folder/again.log" "$train" "$folder/cancelled" smoke \
  --set updates=$((reached + 2)))

echo "2. a job whose time is up while it trains goes back into the queue, and ends at the unbroken run's bits"
# This signal comes by hand, since Slurm's own clock counts in minutes; it goes where --signal=B: sends it.
for start in 1 2; do
  until_true 90 "start $start" has_lines "$start" 'Meta-training neuron_local' "$folder/broken.log"
  until_true 90 "start $start's training" has_checkpoint "$folder/broken" $((start * 6))
  scancel --batch --signal=USR1 "$broken"
  until_true 60 "requeue $start" has_lines "$start" 'back into the queue' "$folder/broken.log"
  [ "$(checkpoint_of "$folder/broken")" -lt "$updates" ] || fail "it was done before the signal came"
done
wait_for_end "$broken" 120 COMPLETED
grep -q 'SLURM_RESTART_COUNT 2' "$folder/broken.log" || fail "the log does not tell the third start"
grep -q 'starting: .*--resume' "$folder/broken.log" || fail "it was not resumed"
[ "$(result "$folder/broken" updates)" = "$updates" ] || fail "it made $(result "$folder/broken" updates) updates"
[ "$(result "$folder/broken" stop_reason)" = updates ] || fail "it stopped for $(result "$folder/broken" stop_reason)"
[ "$(result "$folder/broken" theta_sha256)" = "$(result "$folder/unbroken" theta_sha256)" ] || fail "other bits of θ"

echo "3. the cancelled run went on"
wait_for_end "$again" 120 COMPLETED
grep -q "from checkpoint $(printf %09d "$reached")" "$folder/again.log" || fail "it did not go on from $reached"
[ "$(result "$folder/cancelled" updates)" = $((reached + 2)) ] || fail "it made other updates"

echo "4. bad arguments end the job, once, with a line that says why"
wait_for_end "$refused" 60 FAILED
has_lines 1 "bacth.*batch" "$folder/refused.log" || fail "the line is not there"
! has_lines 2 "starting:" "$folder/refused.log" || fail "it was started again"

echo "5. an array makes a run for each seed, and its evaluation waits for all of them"
wait_for_end "$table" 180 COMPLETED
for seed in 1 2; do
  grep -qx "seed: $seed" "$folder/seeds/seed-$seed/config.textproto" || fail "seed $seed is another"
  [ "$(result "$folder/seeds/seed-$seed" updates)" = 4 ] || fail "seed $seed was not run to its end"
done
[ "$(result "$folder/seeds/seed-1" theta_sha256)" != "$(result "$folder/seeds/seed-2" theta_sha256)" ] || fail "one θ"
grep -q '"accuracy"' "$folder/seeds/seed-1/rule.evaluation.json" || fail "no table"
ls "$folder/seeds/seed-1/rule.figures"/*.png >/dev/null || fail "no figure"

echo "6. Slurm's own signal before the time limit does the same"
wait_for_end "$timed" 240 COMPLETED
has_lines 1 'the time is up: back into the queue' "$folder/timed.log" || fail "it was not put back"
has_lines 2 'starting:' "$folder/timed.log" || fail "it was started once only"
[ "$(result "$folder/timed" stop_reason)" = seconds ] || fail "it stopped for $(result "$folder/timed" stop_reason)"
echo passed
