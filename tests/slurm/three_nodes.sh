#!/usr/bin/env bash
# scripts/slurm/train.sbatch over nodes that die: a run goes on without a node of its workers; one whose first node dies
# is put back by Slurm and goes on elsewhere; one that MPI does not come back to is started again within its job. All end
# at the bits of an unbroken run.
# Arguments: the folder of the sources, the program.
set -uo pipefail
sources=$1
program=$2
source "$(dirname "$0")/slurm.sh"

can_start_slurm
enter_namespaces "$0" "$@"

folder=$(mktemp -d /var/tmp/outerloop-slurm-XXXXXX)
trap stop_slurm EXIT
export OUTERLOOP_HOME=$sources OUTERLOOP_PROGRAM=$program
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
export OUTERLOOP_END_SECONDS=5
start_slurm_of_three

train=$sources/scripts/slurm/train.sbatch
unending=(smoke --set mode=deterministic --set batch=4 --set streams=4 --set deadline_seconds=5)
small=("${unending[@]}" --set updates=100)
long=("${unending[@]}" --set updates=1000)
"$sources/scripts/mpirun" -n 1 "$program" train "${small[@]}" --run-dir "$folder/unbroken" >/dev/null || fail "unbroken"
bits=$(result "$folder/unbroken" theta_sha256)

echo "1. a node of workers dies in a job with --no-kill: the run continues with the others"
job=$(submit --no-kill --nodes=3 --ntasks-per-node=1 --output="$folder/worker.log" "$train" "$folder/worker" "${small[@]}" \
  --set checkpoint.every_updates=5)
until_true 60 "training" has_checkpoint "$folder/worker" 5
first=$(batch_node "$job")
[ "$first" = 1 ] || fail "the script runs on n$first"
kill_host 3
wait_for_end "$job" 180 COMPLETED
[ "$(result "$folder/worker" workers_lost)" = 1 ] || fail "$(result "$folder/worker" workers_lost) workers were lost"
[ "$(result "$folder/worker" theta_sha256)" = "$bits" ] || fail "other bits of θ"
! has_lines 2 'starting:' "$folder/worker.log" || fail "it was started twice"

echo "2. the node that the script runs on dies: Slurm puts the job back, and it goes on where it stood"
until_true 30 "n3's end" is_down n3
start_node 3
until_true 30 "three nodes again" nodes_are_idle 3
job=$(submit --nodes=2 --ntasks-per-node=1 --output="$folder/first.log" "$train" "$folder/first" "${small[@]}" \
  --set checkpoint.every_updates=5)
until_true 60 "training" has_checkpoint "$folder/first" 5
dead=$(batch_node "$job")
kill_host "$dead"
until_true 90 "the second start" has_lines 2 'starting:' "$folder/first.log"
wait_for_end "$job" 180 COMPLETED
grep -q 'SLURM_RESTART_COUNT 1' "$folder/first.log" || fail "the log does not tell the second start"
grep -q 'starting: .*--resume' "$folder/first.log" || fail "it was not resumed"
[ "$(result "$folder/first" theta_sha256)" = "$bits" ] || fail "other bits of θ"

echo "3. a replacement stands still: the run continues in the same job, once the steps of its first start are over"
until_true 30 "n$dead's end" is_down "n$dead"
start_node "$dead"
until_true 30 "three nodes again" nodes_are_idle 3
job=$(submit --nodes=2 --ntasks-per-node=2 --output="$folder/respawned.log" "$train" "$folder/respawned" "${long[@]}" \
  --set checkpoint.every_updates=5 --respawn)
until_true 60 "training" has_checkpoint "$folder/respawned" 5
pkill -KILL --newest -f -- "^$program train --run-dir $folder/respawned " || fail "there is no worker"
stop_replacement
until_true 90 "the next start" has_lines 1 'the run continues from its last checkpoint' "$folder/respawned.log"
steps=$(squeue --noheader --steps --jobs "$job" --format=%i | grep -c '\.[0-9]')
[ "$steps" -le 1 ] || fail "the second start has begun beside $steps steps"
pkill -KILL -f -- "^$program train --respawn\$"
wait_for_end "$job" 180 COMPLETED
"$sources/scripts/mpirun" -n 1 "$program" train "${long[@]}" --run-dir "$folder/longer" >/dev/null || fail "unbroken"
[ "$(result "$folder/respawned" theta_sha256)" = "$(result "$folder/longer" theta_sha256)" ] || fail "other bits of θ"
! has_lines 2 'starting:' "$folder/respawned.log" || fail "Slurm has put it back"
echo passed
