# Hosts of a test's own on one machine: network namespaces joined by a bridge. Sourced by the tests that need them;
# $folder is theirs, and so is show_logs, which prints what helps to see why a test failed.

skip() {
  echo "skipped: $*"
  exit 77
}

fail() {
  echo "FAILED: $*"
  show_logs
  exit 1
}

# until_true SECONDS WHAT COMMAND...: waits until COMMAND succeeds.
until_true() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  while ! "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "$what has not come"
    sleep 0.2
  done
}

# enter_namespaces SCRIPT ARGUMENTS...: starts the test once more in namespaces of its own: all that it starts ends with it,
# and no packet leaves it. Returns there.
enter_namespaces() {
  [ -z "${OUTERLOOP_TEST_INSIDE:-}" ] || return 0
  PATH=$PATH:/usr/sbin:/sbin
  command -v ip >/dev/null || skip "no ip here (apt-get install iproute2)"
  unshare --net --uts --mount --ipc --pid --fork true 2>/dev/null || skip "this machine allows no namespaces"
  OUTERLOOP_TEST_INSIDE=yes exec setpriv --pdeathsig KILL \
    unshare --net --uts --mount --ipc --pid --fork --mount-proc --kill-child bash "$@"
}

# The network of the hosts to come; this test itself is at 10.98.0.1.
make_bridge() {
  ip link set lo up
  ip link add bridge type bridge && ip addr add 10.98.0.1/24 dev bridge && ip link set bridge up ||
    skip "no network bridge can be made here"
}

# start_host N COMMAND...: the host nN at 10.98.0.1N, with a network, host name, processes and shared memory of its own.
# Its first process waits for its network, then runs COMMAND; with that process everything of the host dies.
start_host() {
  local number=$1 holder=$folder/host-$1.pid
  shift
  ip link del "veth$number" 2>/dev/null
  unshare --net --uts --mount --ipc --pid --fork --mount-proc --kill-child bash -c '
    number=$1
    shift
    hostname "n$number"
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
    ip link set lo up && ip addr add "10.98.0.1$number/24" dev eth0 && ip link set eth0 up
    "$@"
    exit' host "$number" "$@" &
  echo $! >"$holder"
  disown
  until_true 5 "n$number's namespaces" has_own_network "$(cat "$holder")"
  ip link add "veth$number" type veth peer name eth0 netns "$(cat "$holder")" &&
    ip link set "veth$number" master bridge up || fail "n$number got no network"
  until_true 5 "n$number's address" has_address "$number"
}

has_address() { enter_host "$1" ip -oneline address show dev eth0 up 2>/dev/null | grep -q 'inet 10\.98\.'; }

has_own_network() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
kill_host() { kill -KILL "$(cat "$folder/host-$1.pid")"; }
cut_link() { ip link set "veth$1" down; }
heal_link() { ip link set "veth$1" up; }

stop_hosts() {
  local holder
  for holder in "$folder"/host-*.pid; do
    [ ! -e "$holder" ] || kill -KILL "$(cat "$holder")" 2>/dev/null
  done
}

# enter_host N COMMAND...
enter_host() {
  local holder
  holder=$(cat "$folder/host-$1.pid") || return
  shift
  nsenter --target "$holder" --root --wd --net --uts --mount --ipc --pid="/proc/$holder/ns/pid_for_children" "$@"
}

# write_agent FILE: what mpirun starts its daemons with, in the place of ssh: FILE, a host's address, a command line. The
# daemons' folders of sessions, which hosts do not share, are in the host's own shared memory.
write_agent() {
  cat >"$1" <<AGENT
#!/usr/bin/env bash
folder=$folder
$(declare -f enter_host)
host=\${1#10.98.0.1}
shift
enter_host "\$host" env TMPDIR=/dev/shm sh -c "\$*"
AGENT
  chmod +x "$1"
}

# --- runs

# has_lines N TEXT FILE
has_lines() { grep -e "$2" "$3" 2>/dev/null | awk -v least="$1" 'END {exit NR < least}'; }
checkpoint_of() {
  local name
  name=$(find "$1/checkpoints" -maxdepth 1 -name '[0-9]*.h5' 2>/dev/null | sed 's|.*/||; s|\.h5$||' | sort | tail -n 1)
  echo $((10#${name:-0}))
}
has_checkpoint() { [ "$(checkpoint_of "$1")" -ge "$2" ]; }
result() { sed -n "s/^ *\"$2\": *\"\{0,1\}\([^\",]*\).*/\1/p" "$1/result.json"; }

# Stops a worker that is started in the place of a lost one, within MPI_Init, which takes it fractions of a second.
stop_replacement() {
  local end=$((SECONDS + 30))
  until pkill -STOP -f -- "^$program train --respawn\$"; do
    [ "$SECONDS" -lt "$end" ] || fail "no replacement has come"
  done
}
