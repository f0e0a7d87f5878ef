# A Slurm of the tests' own, without systemd: munged, slurmctld and slurmd in a folder that goes with it.
# Sourced by the tests beside it; $sources, $program and $folder are theirs.
source "$(dirname "${BASH_SOURCE[0]}")/../hosts/namespaces.sh"

# can_start_slurm: leaves the test where this machine cannot.
can_start_slurm() {
  local command
  [ "$(id -u)" -eq 0 ] || skip "only root can start Slurm's daemons"
  PATH=$PATH:/usr/sbin:/sbin
  for command in munged slurmctld slurmd sbatch scontrol squeue srun; do
    command -v "$command" >/dev/null || skip "no $command here (apt-get install slurmctld slurmd slurm-client munge)"
  done
}

show_logs() {
  echo "--- the jobs' logs"
  tail -n 40 "$folder"/*.log 2>/dev/null
  echo "--- slurmctld's"
  grep -v -e debug "$folder/slurm/slurmctld.log" 2>/dev/null | tail -n 25
}

# write_slurm_configuration "NodeName=…" lines on standard input; the controller's address as the argument.
write_slurm_configuration() {
  local slurm=$folder/slurm controller=$1 address=$2 base=$((20000 + (RANDOM % 10000) * 2))
  mkdir -p "$slurm/state" "$slurm/spool"
  {
    cat <<END
ClusterName=outerloop
SlurmctldHost=$controller($address)
SlurmctldPort=$base
SlurmdPort=$((base + 1))
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool/%n
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd-%n.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
PropagateResourceLimits=NONE
JobRequeue=1
KillWait=5
MinJobAge=3600
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
SlurmdTimeout=8
END
    cat
    echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
  } >"$slurm/slurm.conf"
  export SLURM_CONF=$slurm/slurm.conf
}

start_munge() {
  local slurm=$folder/slurm
  (umask 077 && head -c 128 /dev/urandom >"$slurm/munge.key")
  chmod 755 "$folder" "$slurm"
  munged --force --key-file="$slurm/munge.key" --socket="$slurm/munge.socket" --pid-file="$slurm/munged.pid" \
    --log-file="$slurm/munged.log" --seed-file="$slurm/munge.seed" 2>/dev/null || fail "munged did not start"
}

# One node, this host, all on loopback.
start_slurm() {
  local host
  host=$(hostname -s)
  write_slurm_configuration "$host" 127.0.0.1 <<END
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 Boards=1 SocketsPerBoard=1 CoresPerSocket=8 ThreadsPerCore=1 State=UNKNOWN
END
  start_munge
  slurmctld && slurmd -N "$host" || fail "Slurm's daemons did not start"
  until_true 20 "an idle node" node_is_idle
}

node_is_idle() { [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; }

# Three nodes, the hosts n1 to n3, and a controller at 10.98.0.1.
start_slurm_of_three() {
  local node
  make_bridge
  hostname controller
  write_slurm_configuration controller 10.98.0.1 <<END
NodeName=n[1-3] NodeAddr=10.98.0.1[1-3] CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 ThreadsPerCore=1 State=UNKNOWN
END
  start_munge
  slurmctld || fail "slurmctld did not start"
  for node in 1 2 3; do start_node "$node"; done
  until_true 20 "three idle nodes" nodes_are_idle 3
}

start_node() { start_host "$1" bash -c 'slurmd -D -N "$1" >/dev/null 2>&1' node "n$1"; }
nodes_are_idle() { [ "$(sinfo --noheader --Node --format=%T 2>/dev/null | grep -c idle)" -eq "$1" ]; }
is_down() { sinfo --noheader --Node --nodes="$1" --format=%T 2>/dev/null | grep -q down; }
# batch_node JOB: the number of the node that its script runs on.
batch_node() { scontrol show job "$1" --oneliner | sed -n 's/.*BatchHost=n\([0-9]\).*/\1/p'; }

# Ends what was started here, by the processes' own numbers.
stop_slurm() {
  local file slurm=$folder/slurm
  scancel --state=RUNNING --signal=KILL --full --user=root 2>/dev/null
  scontrol shutdown >/dev/null 2>&1
  sleep 1
  stop_hosts
  for file in "$slurm"/*.pid; do
    [ ! -e "$file" ] || kill -KILL "$(cat "$file")" 2>/dev/null
  done
  [ -n "${OUTERLOOP_KEEP:-}" ] || rm -rf "$folder"
}

# --- jobs

# submit [options of sbatch] SCRIPT ARGUMENTS...: the job's number on standard output.
submit() { (cd "$sources" && sbatch --parsable --chdir="$folder" "$@") || fail "sbatch $*"; }

state_of() { scontrol show job "$1" --oneliner 2>/dev/null | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p' | head -n 1; }
job_is() { [ "$(state_of "$1")" = "$2" ]; }
has_ended() { [[ $(state_of "$1") =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)$ ]]; }

# wait_for_end JOB SECONDS STATE: waits, and holds the end against what it must be.
wait_for_end() {
  until_true "$2" "job $1's end (it is $(state_of "$1"))" has_ended "$1"
  job_is "$1" "$3" || fail "job $1 ended as $(state_of "$1"), not $3"
}
