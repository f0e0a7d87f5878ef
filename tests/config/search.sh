#!/usr/bin/env bash
# scripts/dev/search: each variant and seed is run once, however often the script is called; a failed run is repeated.
# search.sh SOURCE, with a program that only pretends to train.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/build/release"
cp -r "$1/scripts" "$folder/scripts"
cat >"$folder/scripts/mpirun" <<'END'
#!/usr/bin/env bash
shift 2
exec "$@"
END
cat >"$folder/build/release/outerloop" <<'END'
#!/usr/bin/env bash
case $1 in
  train)
    echo "$4" >>"$CALLS"
    [ "$4" != "$FAILS" ] || exit 1
    mkdir -p "$4"
    echo '{"updates": 3, "gradients": 12, "seconds": 1.5}' >"$4/result.json"
    ;;
  evaluate)
    while [ "$1" != --json ]; do shift; done
    echo '{"tables": [{"dataset": "glyphs", "inner_steps": 100, "rows": [
      {"method": "rule", "accuracy": 0.8, "minus_random": 0.2, "minus_random_ci95": 0.01}]}]}' >"$2"
    ;;
esac
END
chmod +x "$folder/scripts/mpirun" "$folder/build/release/outerloop"
printf '# a comment\nfirst\tbase\t\nsecond one\tbase\tbatch=2 streams=8\nthird\tbase\t\n' >"$folder/variants.tsv"

export CALLS=$folder/calls FAILS=$folder/out/second_one-1
search() { "$folder/scripts/dev/search" --variants "$folder/variants.tsv" --out "$folder/out" --inner-steps 100 --seeds "0 1"; }
# expect WHAT WANTED FOUND
expect() {
  [ "$2" = "$3" ] || {
    echo "search.sh: $1: $3 instead of $2"
    exit 1
  }
}

status=0
search >"$folder/said" 2>&1 || status=$?
expect "exit status where a run fails" 1 "$status"
expect "runs at first" 6 "$(wc -l <"$CALLS")"
expect "lines at first" 5 "$(wc -l <"$folder/out/results.jsonl")"
grep -q "second one, seed 1 failed" "$folder/said" || expect "what is said of the run that fails" "its name" "$(cat "$folder/said")"

FAILS=
search >"$folder/table" 2>"$folder/said"
expect "runs after going on" 7 "$(wc -l <"$CALLS")"
expect "the run that went on" "$folder/out/second_one-1" "$(tail -1 "$CALLS")"
search >"$folder/table" 2>"$folder/said"
expect "runs when all is there" 7 "$(wc -l <"$CALLS")"
expect "rows of the table" 6 "$(grep -c "20 ± 1 |" "$folder/table")"
expect "rows with what was changed" 2 "$(grep -c "| second one | batch=2 streams=8 | [01] | 3 |" "$folder/table")"
