# Checks of scripts/mpirun before it starts a job, and the job's exit status. Sourced by scripts/mpirun, after lib.sh.

# --- Open MPI's mpirun

# Sets `launcher` to the first mpirun of Open MPI, and `major` to its version. A Python environment or a module may have put
# another MPI's first in PATH.
find_launcher() {
  local version
  while read -r launcher; do
    version=$(timeout 10 "$launcher" --version 2>/dev/null </dev/null) || true
    if [[ $version =~ \((Open MPI|OpenRTE)\)\ ([0-9]+)\. ]]; then
      major=${BASH_REMATCH[2]}
      return
    fi
  done < <(type -aP mpirun mpirun.openmpi orterun
    ls /usr/bin/mpirun.openmpi /usr/lib64/openmpi/bin/mpirun /usr/local/bin/mpirun 2>/dev/null)
  die 2 "no mpirun of Open MPI found: run scripts/run, or apt-get install openmpi-bin"
}

# Unsets the variables of a surrounding job: with them mpirun would act as one of its ranks.
leave_other_jobs() {
  [ -n "${OMPI_COMM_WORLD_RANK:-}${PMIX_RANK:-}${PMIX_NAMESPACE:-}${PMI_RANK:-}" ] || return 0
  local name kept=${OMPI_MCA_pmix_server_uri:-}
  for name in ${!PMIX_@} ${!PMI_@} ${!OMPI_COMM_WORLD_@} ${!OMPI_MCA_orte_ess_@} ${!OMPI_MCA_ess@} ${!PRTE_LAUNCH@} \
    OMPI_UNIVERSE_SIZE OMPI_APP_CTX_NUM_PROCS OMPI_NUM_APP_CTX OMPI_FIRST_RANKS OMPI_FILE_LOCATION OMPI_COMMAND OMPI_ARGV \
    OMPI_PARENT_PORT OMPI_MCA_pmix OMPI_MCA_initial_wdir OMPI_MCA_mpi_oversubscribe OMPI_MCA_shmem_RUNTIME_QUERY_hint \
    OMPI_MCA_orte_app_num OMPI_MCA_orte_bound_at_launch OMPI_MCA_orte_hnp_uri OMPI_MCA_orte_local_daemon_uri \
    OMPI_MCA_orte_jobfam_session_dir OMPI_MCA_orte_top_session_dir OMPI_MCA_orte_tmpdir_base OMPI_MCA_orte_launch \
    OMPI_MCA_orte_num_nodes OMPI_MCA_orte_precondition_transports; do
    unset "$name"
  done
  [ -z "$kept" ] || export OMPI_MCA_pmix_server_uri=$kept
}

# --- this host

# Open MPI 4.1 writes the host's name up to its first dot into 64 bytes after a prefix, and aborts from 57 characters on; in
# node names it accepts letters, digits, hyphens and dots. cli/doctor_launch.cpp implements the same check.
check_host_name() {
  local name first
  name=$(uname -n)
  first=${name%%.*}
  [ "$major" -eq 4 ] || return 0
  [ "${#first}" -le 56 ] ||
    die 2 "the host name $name has ${#first} characters, and mpirun of Open MPI 4 aborts beyond 56: give this host a shorter" \
      "one (hostname NAME as root, docker run --hostname NAME), or call the program without mpirun, as one process"
  [[ ! $name =~ [^A-Za-z0-9.-] ]] ||
    die 2 "the host name $name: mpirun of Open MPI 4 takes letters, digits, '-' and '.' only: give this host another (hostname" \
      "NAME as root, docker run --hostname NAME), or call the program without mpirun, as one process"
}

# can_write FOLDER: whether files can be created there, of the size of Open MPI's files at start-up.
can_write() {
  local file written=yes
  file=$(mktemp "$1/outerloop-XXXXXX" 2>/dev/null) || return 1
  head -c 4194304 /dev/zero 2>/dev/null >"$file" || written=
  rm -f "$file"
  [ -n "$written" ]
}

# Selects a folder for temporary files: TMPDIR or /tmp; if that is full or missing, /dev/shm.
find_temporary_folder() {
  local folder=${OMPI_MCA_orte_tmpdir_base:-${TMPDIR:-/tmp}}
  [[ $folder == /* ]] || folder=$PWD/$folder # to Open MPI a relative one is one of /
  if ! can_write "$folder"; then
    can_write /dev/shm ||
      die 2 "neither $folder nor /dev/shm can be written to, and mpirun needs 4 MiB for its files: free some space, or name a" \
        "folder of this host that has some: export TMPDIR=FOLDER"
    say "$folder is full or cannot be written to: the files of this job that are temporary go to /dev/shm" >&2
    folder=/dev/shm
  fi
  [ -z "${OMPI_MCA_orte_tmpdir_base:-}" ] || export OMPI_MCA_orte_tmpdir_base=$folder
  export TMPDIR=$folder
}

# --- networks

# Whether the caller has chosen networks, in the environment, among ARGUMENTS or in Open MPI's files.
networks_are_chosen() {
  local pattern='(_if_include|_if_exclude|[^a-z]btl )' # in files `btl` is the distribution's
  [[ "$(compgen -e | grep -E '^(OMPI|PRTE|PMIX)_MCA_' | tr '\n' ' ') $*" =~ $pattern ]] ||
    grep -qsE "^[^#]*$pattern" ~/.openmpi/mca-params.conf /etc/openmpi*/openmpi-mca-params.conf ~/.prte/mca-params.conf
}

# Whether this host has addresses other than those of loopback.
has_other_networks() {
  local addresses
  ! addresses=$(hostname -I 2>/dev/null) || [[ $addresses =~ [0-9a-f] ]]
}

# Whether Open MPI 4's shared memory has room: 4 MiB of each rank, and as much again.
shared_memory_suffices() {
  local blocks bytes
  read -r blocks bytes < <(stat -f -c '%a %S' /dev/shm 2>/dev/null) && [ $((blocks * bytes >> 23)) -ge "$ranks" ]
}

# A job on one host connects through loopback alone. A job that workers of other hosts may join, and those workers, use only the
# other networks, because Open MPI takes 127.0.0.1 of two hosts for one network. It listens on all networks, whichever it connects
# through. So if no ranks can be added, those of the job use shared memory and do not listen at all.
keep_to_loopback() {
  local argument grows= memory=sm
  [ -z "$elsewhere" ] && grep -qs '0x[0-9a-f]*[13579bdf]$' /sys/class/net/lo/flags || return 0
  ! networks_are_chosen "$@" || return 0
  for argument in "$@"; do
    [[ $argument != --join* ]] || ! has_other_networks || return 0
    [[ $argument != --join* && $argument != --respawn ]] || grows=yes
  done
  preset OMPI_MCA_btl_tcp_if_include lo
  # Open MPI 5's daemons never take loopback where there is another network, and do not start if they are told to.
  if [ "$major" -lt 5 ]; then
    memory=vader
    preset OMPI_MCA_oob_tcp_if_include lo
    preset PMIX_MCA_ptl_tcp_if_include lo
  fi
  [ -n "$grows" ] || ! shared_memory_suffices || preset OMPI_MCA_btl "self,$memory"
}

# --- Slurm

# In a Slurm job mpirun takes hosts and slots from Slurm's variables. On this host alone it may start any number of ranks.
# On several hosts the ranks must fit, and it needs srun, which is missing in a container that inherited the variables.
look_at_slurm() {
  local id=${SLURM_JOB_ID:-${SLURM_JOBID:-}} nodes=${SLURM_JOB_NODELIST:-${SLURM_NODELIST:-}}
  local count=${SLURM_JOB_NUM_NODES:-${SLURM_NNODES:-1}} name
  tasks=
  [ -n "$id" ] && [ -z "$elsewhere" ] || return 0
  [[ ! ${SLURM_NTASKS:-} =~ ^[0-9]{1,6}$ ]] || tasks=$SLURM_NTASKS
  name=$(uname -n)
  if [ "$count" = 1 ] && { [ "$nodes" = "$name" ] || [ "${nodes%%.*}" = "${name%%.*}" ]; }; then return; fi
  elsewhere=yes
  [ -z "${OMPI_MCA_plm:-}${PRTE_MCA_plm:-}" ] || return 0
  name=$(type -P srun) && [ -f "$name" ] && [ -x "$name" ] ||
    die 2 "SLURM_JOB_ID=$id is set (nodes ${nodes:-unknown}), but there is no srun here, as in a container: for ranks on this host" \
      "alone unset Slurm's variables (unset \${!SLURM_@}, in bash); for the job's nodes call mpirun outside of the container"
  [ -z "$tasks" ] || [ "$ranks" -le "$tasks" ] || [ -n "$oversubscribed" ] ||
    die 2 "$ranks ranks do not fit into Slurm's job $id, which has $tasks tasks on $count nodes ($nodes): start -n $tasks, or ask" \
      "Slurm for --ntasks=$ranks"
}

# --- the exit status

# If rank 0 runs on this host, it leaves its status in a file named in the environment. All ranks then end with 0, because
# mpirun prints its own lines for any other status. If rank 0 is elsewhere, the status is read from result.json.
prepare_status() {
  job_folder=$(mktemp -d "$TMPDIR/outerloop-XXXXXX")
  trap 'rm -rf "$job_folder"' EXIT
  export OUTERLOOP_STATUS_FILE=$job_folder/status
  : >"$OUTERLOOP_STATUS_FILE"
  find_run_directory "$@"
  old_result=$(identity_of_result)
}

# Finds out from the arguments whether outerloop runs, whether it trains, and where result.json will be.
find_run_directory() {
  local argument word before= after= config= directory=
  ours= trains=
  for argument in "$@"; do
    word=${argument##*/}
    if [[ $word == outerloop* || ($argument == *[[:space:]]* && $argument == *outerloop*) ]]; then ours=yes; fi
    [[ ! $argument =~ outerloop.*[[:space:]\"\']train([[:space:]]|$) ]] || trains=yes
    if [ -n "$after" ]; then
      case $before in
        --run-dir) directory=$argument ;;
        --join | --init-theta | --set | --json | --data) ;;
        *) [[ $argument == -* || -n $config ]] || config=$argument ;;
      esac
      [[ $argument != --run-dir=* ]] || directory=${argument#--run-dir=}
    elif [ "$argument" = train ] && [ -n "$ours" ]; then
      after=yes trains=yes
    fi
    before=$argument
  done
  config=${config##*/}
  config=${config%%.*}
  run_directory=${directory:-runs/${config:-laptop}}
}

identity_of() { stat -c '%i %y' "$1" 2>/dev/null || true; }
identity_of_result() { identity_of "$run_directory/result.json"; }

# Whether standard output is a file on a full disk.
output_is_full() {
  local free=%a
  [ "$(id -u)" -ne 0 ] || free=%f
  [ "/proc/$$/fd/1" -ef /dev/full ] || { [ -f "/proc/$$/fd/1" ] && [ "$(stat -L -f -c "$free" "/proc/$$/fd/1" 2>/dev/null)" = 0 ]; }
}

# status_of_job STATUS_OF_MPIRUN: for programs other than outerloop, mpirun's.
status_of_job() {
  local left
  left=$(grep -x '[0-9]*' "$OUTERLOOP_STATUS_FILE" 2>/dev/null | tail -n 1)
  if [ -z "$left" ] && [ -n "$trains" ] && [ "$(identity_of_result)" != "$old_result" ]; then
    left=$(value_of "$run_directory/result.json" exit_status)
  fi
  if [[ $left =~ ^[0-9]{1,3}$ ]]; then
    echo "$left"
  elif [ -n "$ours" ]; then
    echo 1
  else
    echo "$1"
  fi
}

# --- starting again

# take_restarts ARGUMENTS...: sets `restarts`, and `arguments` to the others.
take_restarts() {
  restarts=3
  arguments=()
  while [ $# -gt 0 ]; do
    case $1 in
      --restarts)
        restarts=${2:-}
        shift
        ;;
      --restarts=*) restarts=${1#*=} ;;
      *) arguments+=("$1") ;;
    esac
    [[ $restarts =~ ^[0-9]{1,4}$ ]] || die 2 "--restarts needs a number, not '$restarts'"
    shift || true
  done
}

# Processes of the job that has ended, on this host: its ranks inherit the name of the status file.
processes_of_job() {
  env -u OUTERLOOP_STATUS_FILE grep -lzsxF "OUTERLOOP_STATUS_FILE=$OUTERLOOP_STATUS_FILE" /proc/[0-9]*/environ |
    sed 's|/proc/\([0-9]*\)/environ|\1|' || true
}

# Replaces this script with a new one for the same command line.
start_again() {
  rm -rf "$job_folder"
  [ "${#presets[@]}" -eq 0 ] || unset "${presets[@]}"
  exec "$root/scripts/mpirun" --restarts "$restarts" "${arguments[@]}"
}

# Starts the same command line once more if restarts are left. `train` then resumes the run in OUTERLOOP_RESTART, whatever
# configuration and folder its arguments name. Before that, the old job's processes must have ended.
restart() {
  local updates left old
  updates=$(value_of "$run_directory/result.json" updates)
  left=${OUTERLOOP_RESTARTS_LEFT:-$restarts}
  [ "${updates:-0}" -le "${OUTERLOOP_RESTARTED_AT:-0}" ] || left=$restarts
  [ "$left" -gt 0 ] || return 0
  for _ in {1..100}; do
    old=$(processes_of_job)
    [ -n "$old" ] || break
    sleep 0.2
  done
  [ -z "$old" ] || kill -KILL $old 2>/dev/null || true
  say "the run continues from its last checkpoint, update ${updates:-unknown} at the latest ($((left - 1)) restarts are left)" >&2
  export OUTERLOOP_RESTART=$run_directory OUTERLOOP_RESTARTED_AT=${updates:-0} OUTERLOOP_RESTARTS_LEFT=$((left - 1))
  start_again
}

# Joins the run in `joins` again if its job was ended by a hanging MPI call and continues in a new job within 60 s.
rejoin() {
  local tries
  for ((tries = 0; tries < 300; ++tries)); do
    if [ -r "$joins/join.json" ] && [ "$(identity_of "$joins/join.json")" != "$joined_by" ]; then
      say "the run in $joins continues in a new job: joining it again" >&2
      start_again
    fi
    case $(value_of "$joins/result.json" stop_reason) in
      mpi) ;;
      running) [ "$(value_of "$joins/result.json" started)" != "$joined_start" ] || return 0 ;;
      *) return 0 ;;
    esac
    [ -z "$stopping" ] || return 0
    sleep 0.2
  done
}
