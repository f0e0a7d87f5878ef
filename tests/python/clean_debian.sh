#!/usr/bin/env bash
# clean_debian.sh SOURCES PROGRAM: in a bare Debian 12 with python3-torch the commands of docs/python-rules.md that make modules
# run as written. PROGRAM reads what they made. Needs root, debootstrap and a Debian mirror.
set -euo pipefail
sources=$1 program=$2
source "$sources/scripts/dev/debian.sh"
reason=$(can_make_debian) || { echo "skipped: $reason" && exit 77; }
folder=$(mktemp -d "${TMPDIR:-/var/tmp}/outerloop-python.XXXXXX")
trap 'rm -rf --one-file-system "$folder"' EXIT
system=$folder/debian

make_debian bookworm "$system" "$folder/log" || { echo "skipped: no Debian mirror: $(tail -n 1 "$folder/log")" && exit 77; }
enter_debian "$system" sh -c 'apt-get -q update && apt-get -qy install --no-install-recommends python3-torch' >"$folder/log" ||
  { tail -n 5 "$folder/log" >&2 && exit 1; }

# The page's commands of Python, in its folder; comments are part of them.
commands=$(awk '/^```sh by/ {inside = 1; next} /^```/ {inside = 0} inside && /^(cd|python3) /' "$sources/docs/python-rules.md")
grep -q '^python3 oja_rule.py' <<<"$commands" || { echo "docs/python-rules.md makes its module in another way" >&2 && exit 1; }
commands+=$'\npython3 learned_optimizer.py learned_optimizer.pt' # as its first lines say
mkdir -p "$system/outerloop/docs/examples"
cp -r "$sources/docs/examples/python" "$system/outerloop/docs/examples"
echo "$commands"
enter_debian "$system" bash -euc "cd /outerloop; $commands"

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
cd "$system/outerloop/docs/examples/python"
for rule in oja_rule learned_optimizer; do
  "$program" bench gradient $rule.textproto
  "$program" train $rule.textproto --set seconds=0 --set updates=2 --run-dir "$folder/$rule"
done
