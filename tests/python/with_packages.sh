#!/usr/bin/env bash
# with_packages.sh PYTHON TEST ARGUMENTS...: runs a test of this folder with the packages that its second line names,
# in an environment outside of the sources that is kept: ${XDG_CACHE_HOME}/outerloop/python, or below /var/tmp.
set -euo pipefail
python=$1
test=$(dirname "$(readlink -f "$0")")/$2
shift 2
packages=$(sed -n '2s/^# Packages: //p' "$test")
[ -n "$packages" ] || { echo "$test names no packages" && exit 1; }
environment=${XDG_CACHE_HOME:-/var/tmp}/outerloop/python-$(basename "$test" .py)
skip() {
  echo "skipped: $*"
  exit 77
}
if ! [ -e "$environment/complete" ]; then
  rm -rf "$environment"
  "$python" -m venv "$environment" >/dev/null 2>&1 || skip "no venv here (apt-get install python3-venv)"
  # shellcheck disable=SC2086
  "$environment/bin/pip" install --quiet $packages >"$environment/pip.log" 2>&1 ||
    skip "pip could not install $packages: $(tail -n 1 "$environment/pip.log")"
  echo "$packages" >"$environment/complete"
fi
exec "$environment/bin/python" "$test" "$@"
