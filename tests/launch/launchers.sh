#!/usr/bin/env bash
# Launchers that are not as they should be: another MPI's mpirun first in PATH, srun without PMIx, jobs of Slurm that are too small
# or that only the environment knows of, host names and temporary folders that mpirun cannot use. Before a run meets them
# `outerloop doctor` says so. Arguments: the folder of the sources, the program.
set -uo pipefail
source "$(dirname "$(readlink -f "$0")")/launch.sh" "$@"

# warns NAME TEXT COMMAND...: doctor, called by COMMAND, has a warning of that name, with TEXT in it or in its remedy.
warns() {
  local name=$1 text=$2
  shift 2
  expect 0 "doctor" "$@" "$program" doctor --json doctor.json
  grep -A 1 "^  WARNING $name " out | grep -qF -- "$text" || fail "doctor does not warn of $name with: $text"
  tr -d '\n' <doctor.json | grep -q "\"message\": [^}]*\"name\": \"$name\", *\"ok\": false, *\"remedy\": \"[^\"]" ||
    fail "doctor --json does not warn of $name"
}
trains() {
  local run=$1 ranks=$2
  shift 2
  expect 0 "$run" "$@" "$launcher" -n "$ranks" "$program" train smoke --run-dir "$run" --set updates=1
  [ "$(stop_reason "$run")" = updates ] || fail "$run did not train"
}
refuses() {
  local text=$1
  shift
  expect 2 "$text" "$@" "$launcher" -n 3 "$program" train smoke --run-dir refused
  says "$text" "$text"
  [ ! -e refused ] || fail "$text: it began nevertheless"
}

echo "1. another MPI's mpirun first in PATH"
mkdir other
printf '#!/bin/sh\necho "HYDRA build details:"\n' >other/mpirun
chmod +x other/mpirun
if [ -n "$(type -P mpirun.openmpi)" ]; then
  trains behind-another 2 env PATH="$folder/other:$PATH"
  expect 0 doctor env PATH="$folder/other:$PATH" "$program" doctor
  grep -q "other/mpirun is another MPI's" out || fail "doctor does not say which mpirun is taken"
fi

echo "2. tasks of srun without PMIx refuse to train; a batch script's shell and other commands do not"
step=(env SLURM_JOB_ID=7 SLURM_NTASKS=3 SLURM_PROCID=1 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=3)
expect 2 "a task of srun" "${step[@]}" "$program" train smoke --run-dir lonely
says "this is task 1 of 3 that srun started" "a task of srun"
[ ! -e lonely ] || fail "a task of srun began a run"
warns launch "scripts/mpirun -n 3" "${step[@]}"
expect 2 "a rank of MPICH" env PMI_RANK=0 PMI_SIZE=2 "$program" train smoke --run-dir lonely
says "this is task 0 of 2" "a rank of MPICH"
expect 0 "a batch script's shell" env SLURM_JOB_ID=7 SLURM_NTASKS=3 SLURM_PROCID=0 "$program" train smoke --run-dir batch \
  --set updates=1
expect 0 "another command of a task" "${step[@]}" "$program" inspect batch/rule.h5

echo "3. variables of an MPI job that has ended, and of one that this script was started in"
stale=(env OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1 PMIX_RANK=0 PMIX_NAMESPACE=1
  'PMIX_SERVER_URI2=1.0;tcp4://127.0.0.1:1')
expect 2 "variables of a job that has ended" "${stale[@]}" "$program" train smoke --run-dir stale
says "that of an MPI job which has ended" "variables of a job that has ended"
warns launch 'unset ${!PMIX_@}' "${stale[@]}"
trains inside-stale 2 "${stale[@]}" OMPI_UNIVERSE_SIZE=1 'OMPI_MCA_ess=^singleton'

echo "4. a job of Slurm with one task on this host takes any number of ranks; on others they must fit"
host=$(uname -n)
job=(env SLURM_JOB_ID=7 SLURM_JOBID=7 SLURM_NNODES=1 SLURM_NTASKS=1 SLURM_TASKS_PER_NODE=1 SLURM_CPUS_ON_NODE=2
  SLURM_JOB_CPUS_PER_NODE=2)
trains one-task 3 "${job[@]}" SLURM_NODELIST="$host" SLURM_JOB_NODELIST="$host"
expect 0 doctor "${job[@]}" SLURM_CPUS_ON_NODE=1 SLURM_NODELIST="$host" SLURM_JOB_NODELIST="$host" "$program" doctor
grep -q 'scripts/mpirun -n 2' out || fail "doctor advises other than a job of one core has"
mkdir srun
printf '#!/bin/sh\nexit 1\n' >srun/srun
chmod +x srun/srun
two=(env SLURM_JOB_ID=7 SLURM_JOBID=7 SLURM_NNODES=2 SLURM_NTASKS=2 'SLURM_TASKS_PER_NODE=1(x2)' 'SLURM_NODELIST=n[1-2]'
  'SLURM_JOB_NODELIST=n[1-2]')
refuses "3 ranks do not fit into Slurm's job 7, which has 2 tasks on 2 nodes" "${two[@]}" PATH="$folder/srun:$PATH"
expect 0 doctor "${two[@]}" PATH="$folder/srun:$PATH" "$program" doctor
grep -q 'scripts/mpirun -n 2 fills its 2 nodes' out || fail "doctor advises other than the job's tasks"

echo "5. Slurm's variables without srun, as in a container"
mkdir tools
for tool in bash timeout env awk sed grep nproc stat mktemp head rm cat id uname ls tail dirname readlink setpriv ps mpirun; do
  [ -z "$(type -P "$tool")" ] || ln -s "$(type -P "$tool")" "tools/$tool"
done
inside=(env PATH="$folder/tools" SLURM_JOB_ID=7 SLURM_JOBID=7 SLURM_NNODES=1 SLURM_NTASKS=2 SLURM_TASKS_PER_NODE=2
  SLURM_NODELIST=node17 SLURM_JOB_NODELIST=node17)
refuses "there is no srun here, as in a container" "${inside[@]}"
warns Slurm 'unset ${!SLURM_@}' "${inside[@]}"

echo "6. a temporary folder that is missing or full: /dev/shm stands in"
if [ -w /dev/shm ]; then
  trains no-folder 2 env TMPDIR="$folder/missing"
  grep -q "missing is full or cannot be written to" err || fail "the script does not say so"
  warns temporary "TMPDIR=/dev/shm scripts/mpirun" env TMPDIR="$folder/missing"
fi

[ "$(id -u)" -eq 0 ] && unshare -um true 2>/dev/null || { echo "passed; host names and full folders need root" && exit 0; }
if [ -w /dev/shm ]; then
  # shellcheck disable=SC2016
  full=(unshare -m bash -c 'mkdir -p "$0" && mount -t tmpfs -o size=256k tmpfs "$0" && TMPDIR=$0 exec "$@"' "$folder/full")
  trains full-folder 2 "${full[@]}"
  warns temporary "No space left on device" "${full[@]}"
fi

echo "7. host names that mpirun of Open MPI 4 aborts on"
if mpirun --version | grep -q ') 4\.'; then
  named() { python3 -c 'import os, socket, sys; socket.sethostname(sys.argv[1]); os.execvp(sys.argv[2], sys.argv[2:])' "$@"; }
  export -f named
  # shellcheck disable=SC2016
  host=(unshare -u bash -c 'named "$@"' host)
  longest=$(printf 'h%.0s' {1..56})
  trains long-name 2 "${host[@]}" "$longest.example"
  refuses "has 57 characters" "${host[@]}" "${longest}h"
  warns "host name" "aborts beyond 56" "${host[@]}" "${longest}h"
  refuses "takes letters, digits" "${host[@]}" node_1
  warns "host name" "takes letters, digits" "${host[@]}" node_1
fi

echo "8. on one host ranks listen on loopback alone, and a run goes on where there is nothing but loopback"
# Ports, in the kernel's notation, on which the ranks of RUN listen for other hosts.
open_ports() {
  local process sockets
  for process in $(ranks_of "$1"); do
    sockets=$(readlink /proc/"$process"/fd/* 2>/dev/null | sed -n 's/^socket:\[\(.*\)\]$/\1/p')
    awk -v of="$sockets" 'BEGIN {split(of, list, "\n"); for (i in list) mine[list[i]] = 1}
      $4 == "0A" && $10 in mine && $2 !~ /^(0100007F|0*1000000):/ {print $2}' /proc/net/tcp /proc/net/tcp6
  done
}
"$launcher" -n 3 "$program" train smoke --run-dir "$folder/ports" --set updates=1000000 >out 2>err &
until_true 60 test -e ports/checkpoints/latest || fail "the run for its ports did not begin"
three_ranks() { [ "$(ranks_of "$folder/ports" | wc -l)" = 3 ]; }
until_true 10 three_ranks || fail "the ranks of the run for its ports were not found: $(ranks_of "$folder/ports" | wc -l)"
[ -z "$(open_ports "$folder/ports")" ] || fail "ranks listen for other hosts: $(open_ports "$folder/ports")"
kill %1 && wait %1
[ "$(stop_reason ports)" = signal ] || fail "the run for its ports did not end by the signal"
if unshare -n ip link set lo up 2>/dev/null; then
  kinds=(--respawn "")
  ! mpirun --version | grep -q '(Open MPI) 4' || kinds+=(--joinable) # Open MPI 5 lets nobody join
  for more in "${kinds[@]}"; do
    expect 0 "a run with loopback alone, $more" unshare -n sh -c 'ip link set lo up && exec "$@"' - \
      "$launcher" -n 3 "$program" train smoke --run-dir "alone$more" --set updates=20 $more
  done
else
  echo "not tested: loopback alone, which needs root and ip (apt-get install iproute2)"
fi
echo passed
