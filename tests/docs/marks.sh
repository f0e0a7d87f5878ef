#!/usr/bin/env bash
# marks.sh SOURCES [PAGE...]: every block of shell commands in the pages (all of them without PAGE, see pages.sh) says how it is
# checked, in the line that begins it:
#
#     ```sh run        tests/docs/page.sh runs it, in the order of the page
#     ```sh by TEST    the CTest test TEST runs what it says
#     ```sh cluster    needs more hosts, another batch system or devices than the tests have
#     ```sh long       takes too long, or fetches too much
#     ```sh root       changes the machine
#
# Commands in a block of another kind are refused, so that none is forgotten.
set -euo pipefail
list=$("$(dirname "$0")/pages.sh" "$@")
mapfile -t pages <<<"$list"
cd "$1"

# FILE:LINE and what is wrong there.
faults=$(awk '
  function fault(text) {print FILENAME ":" FNR ": " text}
  function is_command(line,    words, n, i) {
    n = split(line, words, " ")
    for (i = 1; i <= n && words[i] ~ /^[A-Z_]+=/; i++) continue
    return i <= n && words[i] ~ command
  }
  BEGIN {
    command = "^((build/[a-z]+/(tests/)?)?(outerloop|test_[a-z_]+|fuzz_[a-z_]+)|scripts/[a-z0-9-]+|cmake|ctest|cpack|ninja|" \
      "apt-get|update-alternatives|sbatch|scancel|scontrol|srun|mpirun|python3|pip|tensorboard|git|docker|buildah|apptainer|" \
      "podman|cp|cat|cd|mkdir|export|h5ls|h5dump|man)$"
  }
  FNR == 1 {inside = 0}
  !inside && /^ *```/ {
    inside = 1
    kind = $1; sub(/^`+/, "", kind)
    unmarked = 0
    if (kind == "sh") {
      if ($2 == "by" && NF == 3) print FILENAME ":" FNR ":by " $3
      else if (NF != 2 || $2 !~ /^(run|cluster|long|root)$/) fault("a block of sh without a mark: run, by TEST, cluster, long or root")
    } else unmarked = (kind ~ /^(|bash|shell|console|text)$/)
    next
  }
  inside && /^ *```$/ {inside = 0; next}
  ((inside && unmarked) || (!inside && /^    /)) && is_command($0) {
    fault("a command in a block that is not ```sh with a mark: " $0)
  }
  END {if (inside) fault("a block that does not end")}' "${pages[@]}")

# is_test NAME: the tests' CMakeLists.txt name it, as it is or put together by a foreach(): test_${name}_package.
is_test() {
  local pattern
  grep -rqw --include=CMakeLists.txt -- "$1" tests && return
  while read -r pattern; do
    # shellcheck disable=SC2053
    [[ $1 == $pattern ]] && return
  done < <(grep -rhoE --include=CMakeLists.txt 'NAME test_[a-z_0-9]*\$\{[a-z]+\}[a-z_0-9]*' tests | sed 's/NAME //; s/\${[a-z]*}/*/')
  return 1
}

bad=0
while IFS= read -r fault; do
  case $fault in
    '') ;;
    *:by\ *)
      is_test "${fault##*:by }" || { echo "${fault%:by *}: there is no test ${fault##*:by }" && bad=1; }
      ;;
    *) echo "$fault" && bad=1 ;;
  esac
done <<<"$faults"
exit "$bad"
