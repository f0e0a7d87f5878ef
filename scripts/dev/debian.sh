# Functions to make and enter another Debian in a folder. Sourced by bash, with or without lib.sh; needs root and
# debootstrap.

# can_make_debian: if this machine cannot, prints the reason on one line and returns 1.
can_make_debian() {
  if [ "$(id -u)" -ne 0 ]; then
    echo "only root can make and enter another system"
  elif ! command -v debootstrap >/dev/null; then
    echo "no debootstrap here (apt-get install debootstrap)"
  elif ! unshare --mount --pid --fork true 2>/dev/null; then
    echo "this machine allows no mount namespace"
  else
    return 0
  fi
  return 1
}

# make_debian RELEASE FOLDER LOG: a bare Debian, whose apt uses the same package source as debootstrap: the mirror
# OUTERLOOP_DEBIAN_MIRROR and this machine's proxy. Returns debootstrap's status; its output is in LOG.
make_debian() {
  local release=$1 system=$2 log=$3 proxy= mirror=${OUTERLOOP_DEBIAN_MIRROR:-http://deb.debian.org/debian}
  eval "$(apt-config shell proxy Acquire::http::Proxy 2>/dev/null || true)"
  mkdir -p "$system"
  env ${proxy:+http_proxy="$proxy"} debootstrap --variant=minbase "$release" "$system" "$mirror" >"$log" 2>&1 || return
  [ -z "$proxy" ] || echo "Acquire::http::Proxy \"$proxy\";" >"$system/etc/apt/apt.conf.d/proxy"
  # A system that can be recreated needs no fsync for each file of 500 packages, which takes longer than everything else.
  echo force-unsafe-io >"$system/etc/dpkg/dpkg.cfg.d/unsafe-io"
  # Packages must not start daemons.
  printf '#!/bin/sh\nexit 101\n' >"$system/usr/sbin/policy-rc.d"
  chmod +x "$system/usr/sbin/policy-rc.d"
}

# enter_debian FOLDER COMMAND...: runs the command in FOLDER, in separate namespaces, so that its mounts and processes end
# with it, however it ends. FOLDER.ccache, if it exists, is mounted as /ccache.
enter_debian() {
  cp -L /etc/resolv.conf "$1/etc/resolv.conf" 2>/dev/null || true
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child bash -euc '
    system=$1; shift
    mount --bind "$system" "$system" # its / is a mount of its own, which unshare --mount in there asks for
    mount -t proc proc "$system/proc"
    mount --rbind /sys "$system/sys"
    mount --rbind /dev "$system/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$system/dev/shm"
    if [ -d "$system.ccache" ]; then
      mkdir -p "$system/ccache"
      mount --bind "$system.ccache" "$system/ccache"
    fi
    exec chroot "$system" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM="${TERM:-dumb}" \
      DEBIAN_FRONTEND=noninteractive CCACHE_DIR=/ccache CCACHE_MAXSIZE=2G "$@"' inside "$@"
}
