#!/usr/bin/env bash
# A run over three hosts, in which a worker and a host die, and links are cut: for 10 s and 60 s, within the deadline and
# beyond it. It goes on with the rest, names its losses, ends in time, and in deterministic mode with the unbroken run's bits.
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
  "$sources/scripts/mpirun" -H n0:2,10.98.0.11:2,10.98.0.12:2 -n 6 "$program" train --run-dir "$run" "$@" \
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

links_are_cut_for_less_than_the_deadline() {
  start waited "${deterministic[@]}"
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
  start cut --set updates=1000000 --set deadline_seconds=5
  cut_link 2
  until_true 20 "the loss of n2's workers" has_lines 2 'on n2 (process [0-9]*) is lost: silent for 5 s' "$log"
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
  start killed "${deterministic[@]}" --set deadline_seconds=5
  kill_host 2
  if [ "$major" -ge 5 ]; then
    its_job_ends_and_is_resumed
    return
  fi
  until_true 20 "the loss of n2's workers" has_lines 2 'on n2 (process [0-9]*) is lost: silent for 5 s' "$log"
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
  start worker "${deterministic[@]}" --set deadline_seconds=5
  enter_host 2 pkill -KILL --newest -f -- "--run-dir $run " || fail "there is no worker on n2"
  until_true 20 "the loss of a worker" has_lines 1 'on n2 (process [0-9]*) is lost: silent for 5 s' "$log"
  goes_on 10 "the run's going on without it"
  ends 120 updates 1
  has_bits_of "${deterministic[@]}"
}

for scenario in ${3:-a_worker_dies a_host_dies links_are_cut_for_less_than_the_deadline a_link_is_cut_for_longer}; do
  say "${scenario//_/ }"
  "$scenario"
done
say "passed"
