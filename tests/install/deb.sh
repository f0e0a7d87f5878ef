#!/usr/bin/env bash
# The package that cpack makes, installed in a Debian that has nothing else: the program starts, trains on the fonts that the
# package recommends, and says what is there. Arguments: build folder, cpack.
set -euo pipefail
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
[ "$(id -u)" -eq 0 ] || skip "only root can make and enter another system"
for command in debootstrap dpkg-shlibdeps; do
  command -v "$command" >/dev/null || skip "no $command here (apt-get install debootstrap dpkg-dev)"
done
# shellcheck disable=SC1091
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -e "/usr/share/debootstrap/scripts/$release" ] || skip "debootstrap does not know '$release'"

folder=$(mktemp -d /var/tmp/outerloop-deb-XXXXXX)
trap 'rm -rf --one-file-system "$folder"' EXIT
(cd "$build" && "$cpack" -G DEB -B "$folder/made" >"$folder/cpack.log" 2>&1) || fail "$(tail -n 5 "$folder/cpack.log")"
package=$(echo "$folder"/made/*.deb)
system=$folder/system
debootstrap --variant=minbase "$release" "$system" "${OUTERLOOP_DEBIAN_MIRROR:-http://deb.debian.org/debian}" \
  >"$folder/debootstrap.log" 2>&1 || skip "debootstrap: $(tail -n 1 "$folder/debootstrap.log")"
echo force-unsafe-io >"$system/etc/dpkg/dpkg.cfg.d/unsafe-io"
printf '#!/bin/sh\nexit 101\n' >"$system/usr/sbin/policy-rc.d" && chmod +x "$system/usr/sbin/policy-rc.d"
cp "$package" "$system/outerloop.deb"
cp -L /etc/resolv.conf "$system/etc/resolv.conf" 2>/dev/null || true

# The mounts and processes end with this script, however it ends.
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child bash -euc '
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  exec chroot "$1" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    bash -euc "
      apt-get -qq -o Dpkg::Use-Pty=0 --no-install-recommends install /outerloop.deb fonts-dejavu >/installed 2>&1 </dev/null ||
        { tail -n 5 /installed; exit 1; }
      cd /tmp
      outerloop --version
      outerloop doctor
      /usr/share/outerloop/scripts/mpirun -n 2 outerloop train smoke --set updates=2 --run-dir run
      outerloop inspect run/rule.h5
      ls /usr/share/man/man1/outerloop*.1* || true"' inside "$system" >"$folder/log" 2>&1 ||
  fail "$(tail -n 30 "$folder/log")"
grep -q 'Meta-training ended (updates)' "$folder/log" || fail "it did not train: $(tail -n 30 "$folder/log")"
grep -q 'ok .*MPI .*Open MPI' "$folder/log" || fail "doctor does not find Open MPI: $(grep -A1 MPI "$folder/log")"
echo "passed: $(basename "$package") in a bare $release"
