#!/usr/bin/env bash
# scripts/hosts: a job over hosts without ssh. Each host here is a process tree with a host name of its own, in a network that
# they share and that nothing else can see. Arguments: the folder of the sources, the program.
set -uo pipefail
sources=$1
program=$2
source "$(dirname "$0")/../hosts/namespaces.sh"
show_logs() { tail -n 20 "$folder"/*.log; }

[ "$(id -u)" -eq 0 ] || skip "only root can give processes a host name of their own"
enter_namespaces "$0" "$@"

folder=$(mktemp -d /var/tmp/outerloop-without-ssh-XXXXXX)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/hosts"
ip link set lo up 2>/dev/null || skip "no ip here (apt-get install iproute2)"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo

# host NAME COMMAND...
host() {
  local name=$1
  shift
  unshare --uts --ipc --mount --fork --kill-child bash -c '
    hostname "$0" && mount -t tmpfs -o mode=1777 tmpfs /dev/shm && exec "$@"' "$name" "$@"
}

echo "1. a first host and two of workers: the run ends, and so do they"
host second "$sources/scripts/hosts" serve "$folder/hosts" 2 >"$folder/second.log" 2>&1 &
second=$!
host third "$sources/scripts/hosts" serve "$folder/hosts" 1 >"$folder/third.log" 2>&1 &
third=$!
host first "$sources/scripts/hosts" run "$folder/hosts" 2 "$program" train smoke --run-dir "$folder/run" \
  >"$folder/first.log" 2>&1 || fail "the run ended with $?"
grep -q '"stop_reason": "updates"' "$folder/run/result.json" || fail "it did not train to the end"
grep -q '^  worker 3 ' "$folder/first.log" || fail "not three workers"
for name in second third; do
  grep -q "\"$name\"" "$folder/run/environment.json" || fail "$name is none of the run's hosts"
done
wait "$second" || fail "the second host ended with $?"
wait "$third" || fail "the third host ended with $?"

echo "2. hosts that do not come: one line after the time that is given"
OUTERLOOP_HOSTS_SECONDS=1 host first "$sources/scripts/hosts" run "$folder/hosts" 2 "$program" train smoke \
  --run-dir "$folder/never" >"$folder/none.log" 2>&1 && fail "a run without hosts succeeded"
grep -q 'of 2 hosts these serve after 1 s: none' "$folder/none.log" || fail "it does not say what is missing"
[ ! -e "$folder/never" ] || fail "it began without them"

echo "3. a host that serves alone ends at a signal, and takes its name with it"
host second timeout --signal=TERM 3 "$sources/scripts/hosts" serve "$folder/hosts" 1 >"$folder/second.log" 2>&1 &
second=$!
until [ -e "$folder/hosts/second.slots" ]; do sleep 0.1; done
wait "$second"
[ $? -eq 124 ] || fail "it ended by itself"
[ -z "$(find "$folder/hosts" -name 'second*')" ] || fail "it left $(ls "$folder/hosts")"
echo passed
