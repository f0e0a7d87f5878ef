#!/usr/bin/env bash
# scripts/hosts: a job over hosts without ssh, each with a network, a name, processes and shared memory of its own. Arguments:
# the folder of the sources, the program.
set -uo pipefail
sources=$1
program=$2
source "$(dirname "$0")/../hosts/namespaces.sh"
show_logs() { tail -n 20 "$folder"/*.log; }

[ "$(id -u)" -eq 0 ] || skip "only root can give processes a network of their own"
enter_namespaces "$0" "$@"

folder=$(mktemp -d /var/tmp/outerloop-without-ssh-XXXXXX)
trap 'stop_hosts; rm -rf "$folder"' EXIT
mkdir "$folder/hosts"
hostname n0
make_bridge
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1

# serve N SLOTS: the host nN, which does nothing but serve, with a folder of its own for what is temporary.
serve() {
  start_host "$1" env TMPDIR=/dev/shm "$sources/scripts/hosts" serve "$folder/hosts" "$2" >"$folder/n$1.log" 2>&1
}
run() { "$sources/scripts/hosts" run "$folder/hosts" 2 "$program" train smoke --run-dir "$1"; }
has_ended() { ! kill -0 "$(cat "$folder/host-$1.pid")" 2>/dev/null; }

echo "1. a first host and two of workers: the run ends, and so do they"
serve 1 2
serve 2 1
run "$folder/run" >"$folder/first.log" 2>&1 || fail "the run ended with $?"
grep -q '"stop_reason": "updates"' "$folder/run/result.json" || fail "it did not train to the end"
grep -q '^  worker 3 ' "$folder/first.log" || fail "not three workers"
for number in 1 2; do
  grep -q "\"n$number\"" "$folder/run/environment.json" || fail "n$number is none of the run's hosts"
  until_true 10 "the end of n$number" has_ended "$number"
  grep -q 'the job has ended' "$folder/n$number.log" || fail "n$number did not see the end of the job"
done

echo "2. hosts that do not come: one line after the time that is given"
OUTERLOOP_HOSTS_SECONDS=1 run "$folder/never" >"$folder/none.log" 2>&1 && fail "a run without hosts succeeded"
grep -q 'of 2 hosts these serve after 1 s: none' "$folder/none.log" || fail "it does not say what is missing"
[ ! -e "$folder/never" ] || fail "it began without them"

echo "3. a host that serves alone ends at a signal, and takes its name with it"
timeout --signal=TERM 3 "$sources/scripts/hosts" serve "$folder/hosts" 1 >"$folder/alone.log" 2>&1 &
alone=$!
until_true 5 "its offer" test -e "$folder/hosts/n0.slots"
wait "$alone"
[ $? -eq 124 ] || fail "it ended by itself"
[ -z "$(find "$folder/hosts" -name 'n0*')" ] || fail "it left $(ls "$folder/hosts")"
echo passed
