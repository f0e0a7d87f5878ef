#!/usr/bin/env bash
# A run over three hosts, in which workers, a host and rank 0 die, and links are cut: for 10 s and 60 s, within
# silence_seconds and beyond it. It goes on with the rest, names its losses and how it noticed them, ends in time, and in
# deterministic mode with the unbroken run's bits.
# Arguments: the folder of the sources, the program, and what is to happen; nothing: all of it.
set -uo pipefail
sources=$1
program=$2
source "$(dirname "$0")/namespaces.sh"

show_logs() { tail -n 40 "$folder"/*.log 2>/dev/null | tr '\r' '\n'; }

major=$(mpirun --version 2>/dev/null | sed -n 's/.*(Open MPI) \([45]\)\..*/\1/p')
[ -n "$major" ] || skip "these options of mpirun are Open MPI 4's and 5's"
enter_namespaces "$0" "$@"
folder=$(mktemp -d /var/tmp/outerloop-several-XXXXXX)
trap 'stop_hosts; [ -n "${OUTERLOOP_KEEP:-}" ] || rm -rf "$folder"' EXIT
hostname n0
make_bridge
for number in 1 2; do start_host "$number" sleep infinity; done
write_agent "$folder/agent"
export OMPI_MCA_plm_rsh_agent=$folder/agent OMPI_MCA_plm=rsh OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_btl_tcp_if_include=10.98.0.0/24 OMPI_MCA_oob_tcp_if_include=10.98.0.0/24
export PRTE_MCA_plm_ssh_agent=$folder/agent PRTE_MCA_plm=ssh PRTE_MCA_prte_if_include=10.98.0.0/24  # of Open MPI 5
[ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

# start RUN SETTINGS...: rank 0 and worker 1 on n0, 2 and 3 on n1, 4 and 5 on n2.
start() {
  run=$folder/$1
  log=$folder/$1.log
  shift
  launch smoke --set evaluation.every_updates=0 --set batch=10 --set streams=10 --set checkpoint.every_updates=20 "$@"
  until_true 60 "the run's beginning" is_at 20
}

launch() {
  "$sources/scripts/mpirun" -H "${slots:-n0:2,10.98.0.11:2,10.98.0.12:2}" -n "${ranks:-6}" "$program" train --run-dir "$run" "$@" \
    </dev/null >>"$log" 2>&1 &
  job=$!
}

say() { echo "$SECONDS s: $*"; }
updates() { grep -v '"event"' "$run/metrics.jsonl" 2>/dev/null | tail -n 1 | sed -n 's/.*"update":\([0-9]*\).*/\1/p'; }
is_at() { [ "$(($(updates) + 0))" -ge "$1" ]; }
has_ended() { ! kill -0 "$job" 2>/dev/null; }
# goes_on SECONDS WHAT: twenty updates more come within SECONDS.
goes_on() { until_true "$1" "$2" is_at $(($(updates) + 20)); }

# ends SECONDS REASON LOST: the run ends in time, for that reason, with so many workers lost, and the job with it.
ends() {
  until_true "$1" "the end of the run" has_result
  say "the run has ended"
  until_true 40 "the end of the job" has_ended
  [ "$(result "$run" stop_reason)" = "$2" ] || fail "it ended by $(result "$run" stop_reason), not $2"
  [ "$(result "$run" workers_lost)" = "$3" ] || fail "$(result "$run" workers_lost) workers were lost, not $3"
  until_true 40 "the end of all ranks" no_rank_is_left
}
has_result() { [ -s "$run/result.json" ] && [ "$(result "$run" stop_reason)" != running ]; }
no_rank_is_left() { ! pgrep -f -- "--run-dir $run " >/dev/null; }

# has_bits_of SETTINGS...: θ is that of the same run, unbroken, in one process.
has_bits_of() {
  "$program" train smoke --run-dir "$run-unbroken" --set evaluation.every_updates=0 --set batch=10 --set streams=10 "$@" \
    </dev/null >"$run-unbroken.log" 2>&1 || fail "the unbroken run failed"
  [ "$(result "$run" theta_sha256)" = "$(result "$run-unbroken" theta_sha256)" ] || fail "θ has other bits"
}

# cut SECONDS HOST
cut() {
  cut_link "$2"
  sleep "$1"
  heal_link "$2"
  healed=$SECONDS
}

deterministic=(--set mode=deterministic --set updates=300)

links_are_cut_for_less_than_silence_seconds() {
  start waited "${deterministic[@]}" --set silence_seconds=70
  cut 10 2
  goes_on 60 "the run's going on after 10 s"
  say "it went on $((SECONDS - healed)) s after the cut of 10 s"
  cut 60 2
  goes_on 150 "the run's going on after 60 s"
  say "it went on $((SECONDS - healed)) s after the cut of 60 s"
  ends 120 updates 0
  has_bits_of "${deterministic[@]}"
}

a_link_is_cut_for_longer() {
  start cut --set updates=1000000 --set silence_seconds=5
  cut_link 2
  until_true 20 "the loss of n2's workers" has_lines 2 'on n2 (process [0-9]*) is lost: no sign of life' "$log"
  goes_on 10 "the run's going on without n2"
  sleep "50"
  goes_on 10 "the run's going on without n2"
  heal_link 2
  sleep 15
  goes_on 10 "the run's going on beside n2"
  kill -TERM "$job"
  ends 40 signal 2
}

a_host_dies() {
  start killed "${deterministic[@]}" --set silence_seconds=5
  kill_host 2
  if [ "$major" -ge 5 ]; then
    its_job_ends_and_is_resumed
    return
  fi
  until_true 20 "the loss of n2's workers" has_lines 2 'on n2 (process [0-9]*) is lost: ' "$log"
  goes_on 10 "the run's going on without n2"
  ends 120 updates 2
  has_bits_of "${deterministic[@]}"
  start_host 2 sleep infinity  # for what comes next
}

# Open MPI 5's mpirun ends a job that has lost a host.
its_job_ends_and_is_resumed() {
  until_true 60 "the end of the job" has_ended
  until_true 40 "the end of all ranks" no_rank_is_left
  say "the job has ended"
  start_host 2 sleep infinity
  launch --resume
  ends 120 updates 0
  has_bits_of "${deterministic[@]}"
}

a_worker_dies() {
  start worker "${deterministic[@]}"
  enter_host 2 pkill -KILL --newest -f -- "--run-dir $run " || fail "there is no worker on n2"
  until_true 10 "the loss of a worker" has_lines 1 'on n2 (process [0-9]*) is lost: its process has ended' "$log"
  goes_on 10 "the run's going on without it"
  ends 120 updates 1
  grep -q '"noticed_by": "connection"' "$run/result.json" || fail "result.json does not say how the loss was noticed"
  has_bits_of "${deterministic[@]}"
}

milliseconds() { echo $(($(date +%s%N) / 1000000)); }
losses() { grep -c 'is lost: its process has ended' "$log"; }

# Workers on other hosts are killed one after another: each loss is in the log within 2 s. OUTERLOOP_HOST_KILLS says how
# many, in jobs of a few, since many ranks on few cores would measure the scheduler.
workers_die_one_by_one() {
  local kills=${OUTERLOOP_HOST_KILLS:-6} all=0 worst=0 times=
  while [ "$all" -lt "$kills" ]; do kill_workers_of_a_job $((kills - all < 6 ? kills - all : 6)); done
  say "$kills kills on other hosts, noticed after ms:$times; the slowest after $worst"
  [ "$worst" -le "${OUTERLOOP_HOST_KILL_MS:-2000}" ] || fail "a loss was noticed only after $worst ms"
}

# kill_workers_of_a_job COUNT: adds to all, worst and times.
kill_workers_of_a_job() {
  local number killed took each=$(($1 / 2 + 1))
  run=$folder/kills-$all
  log=$folder/kills-$all.log
  slots=n0:2,10.98.0.11:$each,10.98.0.12:$each
  ranks=$((2 + 2 * each)) launch smoke --set evaluation.every_updates=0 --set batch=4 --set updates=100000000
  until_true 120 "the run's beginning" is_at 5
  for ((number = 1; number <= $1; ++number)); do
    sleep 0.$((RANDOM % 10))
    killed=$(milliseconds)
    enter_host $((number % 2 + 1)) pkill -KILL --newest -f -- "--run-dir $run " || fail "there is no worker to kill"
    while [ "$(losses)" -lt "$number" ]; do
      [ $(($(milliseconds) - killed)) -lt 20000 ] || fail "the loss of a worker has not been noticed"
      sleep 0.02
    done
    took=$(($(milliseconds) - killed))
    times+=" $took"
    [ "$took" -le "$worst" ] || worst=$took
  done
  all=$((all + $1))
  kill -TERM "$job"
  ends 60 signal "$1"
}

# Workers on other hosts learn of it by their connections: they end long before their deadline.
rank_0_dies() {
  start headless --set updates=1000000
  kill -KILL "$(rank_0)" || fail "there is no rank 0"
  until_true 10 "the end of the workers on n1 and n2" no_rank_is_on_other_hosts
  until_true 60 "the end of the job" has_ended
  until_true 40 "the end of all ranks" no_rank_is_left
  grep -q "the coordinator's process has ended" "$log" || [ "$major" -ge 5 ] || fail "no worker said why it ended"
}
rank_0() {
  local file
  for file in $(grep -lzsxF OMPI_COMM_WORLD_RANK=0 /proc/[0-9]*/environ); do
    file=${file%/environ}
    ! tr '\0' ' ' <"$file/cmdline" | grep -q "^$program train .*--run-dir $run " || basename "$file"
  done | head -n 1
}
no_rank_is_on_other_hosts() {
  ! enter_host 1 pgrep -f -- "--run-dir $run " >/dev/null && ! enter_host 2 pgrep -f -- "--run-dir $run " >/dev/null
}

# A replacement that stands still while MPI starts it ends the job, and rank 0 is not on the script's host: the script reads
# in result.json how the job has ended, and starts it again.
a_replacement_stands_still() {
  [ "$major" -lt 5 ] || return 0  # which starts no replacements
  slots=10.98.0.11:3,10.98.0.12:2 ranks=4 start respawned "${deterministic[@]}" --respawn
  enter_host 2 pkill -KILL --newest -f -- "--run-dir $run " || fail "there is no worker on n2"
  stop_replacement
  until_true 60 "the end of the job" has_lines 1 'MPI was asked to start a worker' "$log"
  until_true 60 "the next job" has_lines 1 'the run continues from its last checkpoint' "$log"
  pkill -KILL -f -- "^$program train --respawn\$"
  ends 120 updates 0
  has_bits_of "${deterministic[@]}"
}

# A rank that dies before meta-training begins ends the start.
a_rank_dies_in_the_start() {
  run=$folder/unborn
  log=$folder/unborn.log
  launch smoke --set tasks.cache_directory="$folder/no-cache-yet"
  until_true 60 "a rank on n2" enter_host 2 pgrep -f -- "^$program .*--run-dir $run "
  until_true 30 "the run directory" test -e "$run/config.textproto"
  enter_host 2 pkill -KILL --newest -f -- "^$program .*--run-dir $run " || fail "there is no worker on n2"
  if ! has_lines 1 'Meta-training' "$log"; then
    until_true 10 "the end of the start" has_lines 1 'has ended during the start; the job ends' "$log"
  fi
  kill -TERM "$job" 2>/dev/null
  until_true 60 "the end of the job" has_ended
  until_true 40 "the end of all ranks" no_rank_is_left
}

for scenario in ${3:-a_worker_dies workers_die_one_by_one a_rank_dies_in_the_start a_replacement_stands_still
  a_host_dies links_are_cut_for_less_than_silence_seconds a_link_is_cut_for_longer rank_0_dies}; do
  slots=
  say "${scenario//_/ }"
  "$scenario"
done
say "passed"
