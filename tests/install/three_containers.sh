#!/usr/bin/env bash
# Part of scripts/dev/check-container, inside network, mount and process namespaces of its own: three containers of $image, each with
# a network, host name, processes and shared memory of its own, which share the two folders that docker/compose.yaml shares,
# and run its commands: $coordinator in one, $worker in two. in_storage is buildah.
set -euo pipefail
trap 'rm_containers' EXIT
containers=()
rm_containers() { for container in "${containers[@]}"; do in_storage rm "$container" >/dev/null 2>&1 || true; done; }

ip link set lo up
ip link add bridge type bridge && ip addr add 10.97.0.1/24 dev bridge && ip link set bridge up

# start_container NAME NUMBER COMMAND: its process id in $holder.
start_container() {
  local name=$1 number=$2 container
  shift 2
  container=$(in_storage from --pull-never "$image")
  containers+=("$container")
  unshare --net --ipc --mount --pid --fork --mount-proc --kill-child bash -euc '
    name=$1 number=$2 container=$3; shift 3
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
    ip link set lo up && ip addr add "10.97.0.1$number/24" dev eth0 && ip link set eth0 up
    in_storage run --isolation chroot --hostname "$name" --volume "$shared/hosts:/work/hosts" \
      --volume "$shared/runs:/work/runs" "$container" -- "$@"' container "$name" "$number" "$container" "$@" &
  holder=$!
  until [ "$(readlink "/proc/$holder/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
  ip link add "veth$number" type veth peer name eth0 netns "$holder"
  ip link set "veth$number" master bridge up
}

# The commands are words without quotes in them.
# shellcheck disable=SC2086
{
  start_container worker-1 2 $worker
  start_container worker-2 3 $worker
  start_container coordinator 1 $coordinator
}
wait "$holder"
# The workers' containers end by themselves.
wait
