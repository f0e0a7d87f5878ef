#!/usr/bin/env bash
# flags.sh SOURCES OUTERLOOP [PAGE...]: the options that pages give to `outerloop COMMAND` are in its --help, and those that they
# name alone (`--respawn`) in that of some command or script of ours, but for those of others. And each command, figure and
# benchmark that --help lists has a page that names it.
set -euo pipefail
sources=$1 outerloop=$2
shift 2
[ $# -gt 0 ] && everything= || everything=yes
list=$("$(dirname "$0")/pages.sh" "$sources" "$@")
mapfile -t pages <<<"$list"
cd "$sources"
bad=0
fault() {
  echo "$*"
  bad=1
}

# Options of programs of others that pages name alone.
foreign=" --oversubscribe --hostfile --mca --enable-recovery --with-ft --mpi --shm-size --parallel --target --preset --prefix
  --open-mode --requeue --no-kill --signal --time --nodes --ntasks-per-node --array --dependency --cpus-per-task --gpus-per-node
  --gpus-per-task --gpus --nv
  --cpus --hostname --map-by --bind-to --no-install-recommends --display --set --help "

declare -A help
commands=$("$outerloop" --help | awk '/^Subcommands:/ {inside = 1; next} inside && NF && /^  [a-z]/ {print $1}')
[ -n "$commands" ] || fault "no commands in --help"
for command in $commands; do
  help[$command]=$("$outerloop" "$command" --help 2>&1)
  for part in $(awk '/^Subcommands:/ {inside = 1; next} inside && NF && /^  [a-z]/ {print $1}' <<<"${help[$command]}"); do
    help[$command]+=$'\n'$("$outerloop" "$command" "$part" --help 2>&1)
    [ -z "$everything" ] || grep -qE "\b$command $part\b" "${pages[@]}" || fault "no page names: outerloop $command $part"
  done
  [ -z "$everything" ] || grep -qE "outerloop $command\b" "${pages[@]}" || fault "no page names: outerloop $command"
done
if [ -n "$everything" ]; then
  figures=$({ "$outerloop" figure nothing rule.h5 2>&1 || true; } | sed -n 's/.*there are //p' | tr -d ',.')
  [ -n "$figures" ] || fault "no list of figures"
  for figure in $figures; do grep -qw -- "$figure" docs/evaluation.md || fault "docs/evaluation.md does not name the figure $figure"; done
fi
ours=$(printf '%s\n' "${help[@]}"; for script in scripts/* scripts/dev/*; do
  [ ! -f "$script" ] || [ ! -x "$script" ] || cat "$script"; done)

# has TEXT OPTION: the option is a word of the text.
has() { grep -qE -- "(^|[^a-z-])$2([^a-z-]|\$)" <<<"$1"; }

# What stands in ```sh blocks, line by line, and in `...`: FILE:LINE and the code.
code=$(awk '
  FNR == 1 {inside = 0}
  /^ *```/ {inside = !inside && $1 == "```sh" ? 1 : (inside ? 0 : 2); next}
  inside == 1 {print FILENAME ":" FNR "\t" $0; next}
  inside == 2 {next}
  {
    line = $0
    while (match(line, /`[^`]+`/)) {
      print FILENAME ":" FNR "\t" substr(line, RSTART + 1, RLENGTH - 2)
      line = substr(line, RSTART + RLENGTH)
    }
  }' "${pages[@]}")
count=0
while IFS=$'\t' read -r where line; do
  line=${line%%  #*}
  options=$(grep -oE '(^|[ [])--[a-z][a-z-]+' <<<"$line" | tr -d ' [' || true)
  [ -n "$options" ] || continue
  command=
  [[ $line =~ (^|[ /])outerloop\ ([a-z]+) ]] && command=${BASH_REMATCH[2]} && line=${line#*outerloop }
  if [ -n "$command" ]; then
    [ -n "${help[$command]:-}" ] || { fault "$where: there is no command outerloop $command" && continue; }
    options=$(grep -oE '(^|[ [])--[a-z][a-z-]+' <<<"$line" | tr -d ' [' || true)
    for option in $options; do
      count=$((count + 1))
      has "${help[$command]}" "$option" || fault "$where: outerloop $command has no $option"
    done
  elif [[ $line == --* ]]; then
    for option in $options; do
      count=$((count + 1))
      has "$ours" "$option" || has "$foreign" "$option" || fault "$where: nothing of ours has $option"
    done
  fi
done <<<"$code"
[ -z "$everything" ] || [ "$count" -ge 50 ] || fault "only $count options found: are pages written otherwise now?"
exit "$bad"
