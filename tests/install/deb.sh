#!/usr/bin/env bash
# The package that cpack makes, installed in a Debian that has nothing else: the program starts, trains on the fonts that the
# package recommends, and says what is there. Arguments: build folder, cpack.
set -euo pipefail
# shellcheck source=scripts/dev/debian.sh
source "$(dirname "$(readlink -f "$0")")/../../scripts/dev/debian.sh"
build=$1
cpack=$2
skip() {
  echo "skipped: $*"
  exit 77
}
fail() {
  echo "FAILED: $*"
  exit 1
}
reason=$(can_make_debian) || skip "$reason"
command -v dpkg-shlibdeps >/dev/null || skip "no dpkg-shlibdeps here (apt-get install dpkg-dev)"
# shellcheck disable=SC1091
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -e "/usr/share/debootstrap/scripts/$release" ] || skip "debootstrap does not know '$release'"

folder=$(mktemp -d /var/tmp/outerloop-deb-XXXXXX)
trap 'rm -rf --one-file-system "$folder"' EXIT
(cd "$build" && "$cpack" -G DEB -B "$folder/made" >"$folder/cpack.log" 2>&1) || fail "$(tail -n 5 "$folder/cpack.log")"
package=$(echo "$folder"/made/*.deb)
system=$folder/system
make_debian "$release" "$system" "$folder/debootstrap.log" || skip "debootstrap: $(tail -n 1 "$folder/debootstrap.log")"
cp "$package" "$system/outerloop.deb"

enter_debian "$system" bash -euc '
  apt-get -qq -o Dpkg::Use-Pty=0 --no-install-recommends install /outerloop.deb fonts-dejavu >/installed 2>&1 </dev/null ||
    { tail -n 5 /installed; exit 1; }
  cd /tmp
  outerloop --version
  outerloop doctor
  /usr/share/outerloop/scripts/mpirun -n 2 outerloop train smoke --set updates=2 --run-dir run
  outerloop inspect run/rule.h5
  ls /usr/share/man/man1/outerloop*.1* || true' >"$folder/log" 2>&1 ||
  fail "$(tail -n 30 "$folder/log")"
grep -q 'Meta-training ended (updates)' "$folder/log" || fail "it did not train: $(tail -n 30 "$folder/log")"
grep -q 'ok .*MPI .*Open MPI' "$folder/log" || fail "doctor does not find Open MPI: $(grep -A1 MPI "$folder/log")"
echo "passed: $(basename "$package") in a bare $release"
