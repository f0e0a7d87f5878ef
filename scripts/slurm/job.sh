# Functions shared by the batch scripts in this folder. Sourced by bash inside a job, never executed itself.

say() { printf '%s %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${SLURM_JOB_NAME:-outerloop}" "$*"; }

# die STATUS MESSAGE
die() {
  say "$2"
  exit "$1"
}

# Slurm runs a copy of the script, so its path is useless: use OUTERLOOP_HOME, or the folder where `sbatch` was called.
find_program() {
  home=${OUTERLOOP_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
  program=${OUTERLOOP_PROGRAM:-$home/build/release/outerloop}
  [ -x "$home/scripts/mpirun" ] ||
    die 2 "$home holds no scripts/mpirun: call sbatch in Outerloop's folder, or set OUTERLOOP_HOME"
  [ -x "$program" ] || die 2 "$program is missing: build it, or set OUTERLOOP_PROGRAM"
}

say_where() {
  say "job ${SLURM_JOB_ID:-none} on ${SLURM_JOB_NODELIST:-this host}, SLURM_RESTART_COUNT ${SLURM_RESTART_COUNT:-0}," \
    "${SLURM_NTASKS:-1} ranks of ${SLURM_CPUS_PER_TASK:-1} cores"
}

# set_of_user KEY ARGUMENTS...: whether --set KEY=… is among the arguments.
set_of_user() {
  local key=$1 argument
  shift
  for argument in "$@"; do
    [[ $argument != "$key="* && $argument != "--set=$key="* ]] || return 0
  done
  return 1
}

# Arguments that a resumed run still accepts; the others are stored in its folder.
keep_resumable() {
  resumable=()
  local assignment
  while [ $# -gt 0 ]; do
    assignment=
    case $1 in
      --set) assignment=${2:-} && shift ;;
      --set=*) assignment=${1#--set=} ;;
      --json) resumable+=("$1" "${2:-}") && shift ;;
      --json=* | --data=*) resumable+=("$1") ;;
      --data) resumable+=("$1" "${2:-}") && shift ;;
    esac
    case ${assignment%%=*} in
      updates | seconds | device | engine.threads | deadline_seconds | silence_seconds | max_failures | log.*)
        resumable+=(--set "$assignment")
        ;;
    esac
    shift || break
  done
}

# The newest checkpoint's number, or nothing: a start must get beyond it to justify another one.
newest_checkpoint() {
  find "$1/checkpoints" -maxdepth 1 -name '[0-9]*.h5' 2>/dev/null | sed 's|.*/||; s|\.h5$||' | sort -n | tail -n 1
}

# Distinguishes result.json files of successive ends: each is a new file. A live run has none.
result_of() { grep -qs '"stop_reason": *"running"' "$1/result.json" || stat -c '%i %y' "$1/result.json" 2>/dev/null; }

# stop_reason RUN_DIR: the stop reason in result.json, or `none` if this start did not end properly.
stop_reason() {
  local reason=
  [ "$(result_of "$1")" = "$old_result" ] || grep -q '"running"' "$1/result.json" || reason=$(sed -n 's/^ *"stop_reason": *"\([a-z]*\)".*/\1/p' "$1/result.json")
  echo "${reason:-none}"
}

# start_ranks ARGUMENTS...: starts mpirun in the background; its process is in $launcher.
# Recovery is enabled in scripts/mpirun. Its srun must not end the other nodes' daemons when one has died.
start_ranks() {
  export OMPI_MCA_plm_slurm_args="${OMPI_MCA_plm_slurm_args:---kill-on-bad-exit=0 --no-kill}"
  set -m
  "$home/scripts/mpirun" -n "${SLURM_NTASKS:-1}" "$program" "$@" </dev/null &
  launcher=$!
  set +m
}

# Waits for mpirun, which may hang at its end once a node has gone: it is terminated a minute after result.json was written.
# A run that ended because of a hanging MPI call (`mpi`) continues in a new job, which scripts/mpirun starts.
wait_for_ranks() {
  local directory=$1 waited=0
  while kill -0 "$launcher" 2>/dev/null; do
    sleep 1 &
    wait $! || true
    case $(stop_reason "$directory") in none | mpi) continue ;; esac
    waited=$((waited + 1))
    [ "$waited" -ne "${OUTERLOOP_END_SECONDS:-60}" ] || kill -TERM "$launcher" 2>/dev/null || true
    [ "$waited" -ne $((${OUTERLOOP_END_SECONDS:-60} + 30)) ] || kill -KILL -- "-$launcher" 2>/dev/null || true
  done
  wait "$launcher" && status=0 || status=$?
}

# train RUN_DIR CONFIG ARGUMENTS...: one start of a run, from its beginning or from its newest checkpoint; then the
# end of the job, or another start.
train() {
  local directory=$1 config=$2 before signal reason
  shift 2
  local arguments=("$@")
  [ "${SLURM_CPUS_PER_TASK:-1}" -le 1 ] || set_of_user engine.threads "$@" ||
    arguments+=(--set "engine.threads=$SLURM_CPUS_PER_TASK")
  if [ -e "$directory/config.textproto" ]; then
    [ "${SLURM_RESTART_COUNT:-0}" -eq 0 ] || { keep_resumable "${arguments[@]}" && arguments=("${resumable[@]}"); }
    arguments=(--resume "${arguments[@]}")
  else
    arguments=("$config" "${arguments[@]}")
  fi
  before=$(newest_checkpoint "$directory")
  old_result=$(result_of "$directory")
  say_where
  say "starting: outerloop train --run-dir $directory ${arguments[*]}${before:+ (from checkpoint $before)}"

  # USR1 means that the time is up, TERM that the job is cancelled: both end the ranks with a checkpoint.
  signal=
  trap 'signal=USR1; kill -USR1 "$launcher" 2>/dev/null || true' USR1
  trap 'signal=${signal:-TERM}; kill -TERM "$launcher" 2>/dev/null || true' TERM INT
  start_ranks train --run-dir "$directory" "${arguments[@]}"
  wait_for_ranks "$directory"
  reason=$(stop_reason "$directory")
  say "ended: stop_reason $reason, exit status $status, checkpoint $(newest_checkpoint "$directory")"
  go_on_or_end "$directory" "$reason" "$signal" "$before"
}

# The run's stop reason decides: a run whose time was up, or that was cut short, is restarted as long as it
# makes progress.
go_on_or_end() {
  local directory=$1 reason=$2 signal=$3 before=$4
  case $reason:$signal in
    updates:* | seconds:*) exit 0 ;;
    signal:USR1) requeue "the time is up" ;;
    signal:*) die 0 "stopped by somebody; to continue, submit it again" ;;
    diverged:* | disk:*) die 1 "$reason: another start would not help" ;;
  esac
  [ "$status" -ne 2 ] || die 2 "the line above says what is wrong with the arguments"
  [ "$(newest_checkpoint "$directory")" != "$before" ] ||
    die 1 "no checkpoint was written in this start, so another one would not get further"
  requeue "the run was cut short"
}

# A job that is being cancelled must not be requeued. Slurm ends this script while it requeues the job.
requeue() {
  local state
  state=$(squeue --noheader --jobs "$SLURM_JOB_ID" --format=%T 2>/dev/null)
  [ "$state" = RUNNING ] || die 1 "$1, but the job is ${state:-gone}: not put back"
  say "$1: back into the queue"
  trap '' TERM
  scontrol requeue "$SLURM_JOB_ID" || die 1 "scontrol requeue failed; to continue, submit it again"
  sleep 60
  die 1 "still here a minute after scontrol requeue"
}
