# Functions shared by scripts/run, scripts/test and scripts/mpirun. Sourced by bash, never executed itself.

# A closed standard stream would be reused by the next opened file. Scripts do not read standard input, which may be the
# input of a surrounding loop; a terminal stays, since sudo prompts there.
[ -t 0 ] || exec </dev/null
[ -e /proc/self/fd/1 ] || exec >/dev/null
[ -e /proc/self/fd/2 ] || exec 2>/dev/null

export PATH # bash's own where there was none, which it does not export by itself
# Open MPI 5 does not start without it.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d : -f 6)}"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s: %s\n' "${0##*/}" "$*"; }

# die STATUS MESSAGE: 2 is bad usage or a machine that lacks something, 1 is a failure while running.
die() {
  printf '%s: %s\n' "${0##*/}" "${*:2}" >&2
  exit "$1"
}

# Cores this process may use: its affinity, limited by CPU quotas and by Slurm's job (common/base/cores.h counts the same).
# nproc would obey OMP_NUM_THREADS, which is irrelevant to ranks.
cores() {
  local cores quota
  cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
  quota=$(cpu_quota)
  [ -z "$quota" ] || [ $(((quota + 999) / 1000)) -ge "$cores" ] || cores=$(((quota + 999) / 1000))
  if [ -n "${SLURM_JOB_ID:-}" ] && [[ ${SLURM_CPUS_ON_NODE:-} =~ ^[1-9][0-9]{0,5}$ ]]; then
    [ "$SLURM_CPUS_ON_NODE" -ge "$cores" ] || cores=$SLURM_CPUS_ON_NODE
  fi
  echo "$cores"
}

# cpu_quota [ROOT]: the smallest CPU quota, in thousandths of a core, of this process's control group and its ancestors,
# versions 1 and 2; empty if there is no limit. ROOT is prepended to every path, for tests.
cpu_quota() {
  local root=${1:-} mount mounted group type options quota period least=
  while read -r mount mounted type options; do
    if [ "$type" = cgroup2 ]; then
      group=$(sed -n 's/^0:://p' "$root/proc/self/cgroup" 2>/dev/null)
    elif [ "$type" = cgroup ] && [[ ,$options, == *,cpu,* ]]; then
      group=$(sed -n -E 's/^[0-9]+:([^:]*,)?cpu(,[^:]*)?:(.*)$/\3/p' "$root/proc/self/cgroup" 2>/dev/null)
    else
      continue
    fi
    # The group's path begins at the hierarchy's root, which may be invisible in a container.
    [ "$mount" = / ] || group=${group#"$mount"}
    [[ $group != */..* ]] || group=
    while :; do
      while [[ $group == */ ]]; do group=${group%/}; done
      quota= period=
      if [ "$type" = cgroup2 ]; then
        read -r quota period 2>/dev/null <"$root$mounted$group/cpu.max" || true
      else
        read -r quota 2>/dev/null <"$root$mounted$group/cpu.cfs_quota_us" || true
        read -r period 2>/dev/null <"$root$mounted$group/cpu.cfs_period_us" || true
      fi
      if [[ $quota =~ ^[1-9][0-9]*$ && $period =~ ^[1-9][0-9]*$ ]]; then
        quota=$(((quota * 1000 + period - 1) / period))
        [ -n "$least" ] && [ "$least" -le "$quota" ] || least=$quota
      fi
      [ -n "$group" ] || break
      group=${group%/*}
    done
  done < <(awk '{for (i = 7; i < NF; ++i) if ($i == "-") print $4, $5, $(i + 1), $(i + 3)}' "$root/proc/self/mountinfo" 2>/dev/null)
  [ -z "$least" ] || echo "$least"
}

# Number of parallel compilers: a file that includes LibTorch needs up to 2 GiB.
build_jobs() {
  local available_kib jobs cores
  cores=$(cores)
  available_kib=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null)
  jobs=$((${available_kib:-4194304} / 2097152))
  [ "$jobs" -ge 1 ] || jobs=1
  [ "$jobs" -le "$cores" ] || jobs=$cores
  echo "$jobs"
}

# --- packages -------------------------------------------------------------------------------------------------------

# packages_of SECTION...: the names listed under these sections of scripts/packages, one per line.
packages_of() {
  awk -v wanted=" $* " '
    /^[[:space:]]*(#|$)/ {next}
    /^\[/ {gsub(/[][[:space:]]/, ""); inside = index(wanted, " " $0 " "); next}
    inside {print $1}' "$root/scripts/packages"
}

# Prints those of the given packages that are not installed.
packages_missing() {
  local name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done
}

# as_root COMMAND...: runs the command, with sudo if needed; returns 125 if there is neither root nor sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    sudo "$@"
  else
    return 125
  fi
}

# install_packages SECTION...: announces and installs missing packages; does nothing if none is missing.
install_packages() {
  local missing status=0
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    die 2 "no apt-get here: install what scripts/packages lists by hand (docs/install.md), then give --no-install"
  mapfile -t missing < <(packages_missing $(packages_of "$@"))
  [ "${#missing[@]}" -gt 0 ] || return 0
  as_root true || status=$?
  [ "$status" -ne 125 ] ||
    die 2 "neither root nor sudo; as root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
  say "installing ${#missing[@]} Debian packages and what they depend on: ${missing[*]}"
  # Without a network the existing lists may suffice, so a failed update is not an error.
  apt_get update || say "apt-get update failed, going on with the package lists that are here"
  apt_get --yes --no-install-recommends install "${missing[@]}" ||
    die 1 "apt-get could not install the packages; its own lines above say why"
}

# Where `texts` looks for the manual pages unless it is given a path.
manuals_folder() {
  if [ -n "${OUTERLOOP_CACHE_DIR:-}" ]; then
    echo "$OUTERLOOP_CACHE_DIR/manuals"
  elif [ -n "${XDG_CACHE_HOME:-}" ]; then
    echo "$XDG_CACHE_HOME/outerloop/manuals"
  elif [ -n "${HOME:-}" ]; then
    echo "$HOME/.cache/outerloop/manuals"
  else
    die 2 "none of OUTERLOOP_CACHE_DIR, XDG_CACHE_HOME and HOME is set: give a folder"
  fi
}

# fetch_manuals: fetches the default data of `texts`. Everything else works without it.
fetch_manuals() {
  "$root/scripts/manuals" || say "warning: without the manual pages the dataset texts needs a path; the line above says why"
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -qq -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Use-Pty=0 -o Acquire::Languages=none "$@" </dev/null | quiet_dpkg
  return "${PIPESTATUS[0]}"
}

# dpkg's output for about 500 packages is of no interest; one dot per ten packages shows progress.
quiet_dpkg() {
  awk '
    /^(Selecting previously|Preparing to unpack|\(Reading database|Setting up|Processing triggers)/ {next}
    /^(update-alternatives: using|debconf: delaying|invoke-rc.d: )/ {next}
    /^Unpacking/ {if (++unpacked % 10 == 0) {printf "."; fflush()} next}
    {print}
    END {if (unpacked >= 10) print ""}'
}

# LibTorch's package accepts the reference BLAS, which is several times slower. Another fast BLAS chosen by the user is
# kept.
use_openblas() {
  local machine library link now wanted
  command -v gcc >/dev/null && command -v update-alternatives >/dev/null || return 0
  machine=$(gcc -print-multiarch)
  for library in blas lapack; do
    link=lib$library.so.3-$machine
    now=$(readlink -f "/usr/lib/$machine/lib$library.so.3" || true)
    case $now in
      */openblas-*) continue ;;
      "/usr/lib/$machine/$library/"* | "") ;;
      *) say "note: lib$library.so.3 is $now, not OpenBLAS; left as it is" && continue ;;
    esac
    wanted=$(update-alternatives --list "$link" 2>/dev/null | grep /openblas- | head -n 1 || true)
    [ -n "$wanted" ] || die 2 "lib$library.so.3 is not OpenBLAS: apt-get install libopenblas0-pthread"
    say "making OpenBLAS the machine's lib$library.so.3 (it was ${now:-missing})"
    as_root update-alternatives --quiet --set "$link" "$wanted" ||
      die 2 "lib$library.so.3 is not OpenBLAS; as root: update-alternatives --set $link $wanted"
  done
}

# --- building -------------------------------------------------------------------------------------------------------

# configure PRESET [cmake arguments]: starts from scratch if the folder was configured for a tree that has since moved.
configure() {
  local preset=$1 cache=$root/build/$1/CMakeCache.txt fresh=()
  shift
  if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    say "build/$preset was configured for another folder: configuring it anew"
    fresh=(--fresh)
  fi
  (cd "$root" && cmake --preset "$preset" "${fresh[@]}" --log-level=NOTICE -Wno-dev "$@")
}

# configured PRESET: whether ninja alone can continue.
configured() {
  [ -f "$root/build/$1/build.ninja" ] &&
    grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$root/build/$1/CMakeCache.txt" 2>/dev/null
}

# build PRESET [targets]
build() {
  local preset=$1
  shift
  cmake --build "$root/build/$preset" --parallel "$(build_jobs)" ${1:+--target} "$@"
}

# --- running --------------------------------------------------------------------------------------------------------

# value_of FILE KEY: a value of a JSON object with one key per line; empty if there is no such file or key.
value_of() {
  { sed -n "s/^ *\"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$1" 2>/dev/null || true; } | head -n 1
}

# wait_for PROCESS: waits for the exit status, however many signals interrupt the wait.
wait_for() {
  local status=0
  while kill -0 "$1" 2>/dev/null; do
    wait "$1" 2>/dev/null || true # bash would print a line for a process that a signal has ended
  done
  wait "$1" 2>/dev/null || status=$?
  return "$status"
}
