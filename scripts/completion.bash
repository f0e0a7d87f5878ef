# Bash completion of outerloop's commands and flags, parsed from --help.
_outerloop() {
  local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} words= before=()
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == -* ]] || before+=("${COMP_WORDS[i]}")
  done
  # Only bench and data have subcommands.
  case ${before[0]:-} in
    bench | data) before=("${before[@]:0:2}") ;;
    *) before=("${before[@]:0:1}") ;;
  esac
  words=$("$program" "${before[@]}" --help 2>/dev/null | awk -v flags="$([[ $word == -* ]] && echo yes)" '
    /^[A-Za-z].*:$/ {commands = /^(Subcommands|SUBCOMMANDS):/; next}
    flags && /^  +-/ {gsub(/,/, " "); for (i = 1; i <= NF && $i ~ /^-/; i++) print $i}
    !flags && commands && /^  [a-z]/ {print $1}')
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _outerloop outerloop
