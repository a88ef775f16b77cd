# bare.sh: what `fresh.sh` and `package.sh` share: bare Debians, made with mmdebstrap from this machine's own apt sources. To be sourced.
#
# A root is entered by pivot_root in a mount namespace of its own: in a chroot nobody may make a user namespace (unshare(2), EPERM).

cannot() {
    echo "no bare root here: $*" >&2
    exit 77
}

# What it needs, and which release is asked for: sets `release`, and `here`, this machine's.
bare_needs() {
    if [ "$(id -u)" != 0 ]; then cannot "it needs root"; fi
    if ! command -v apt-get >/dev/null; then cannot "it needs apt and its sources (Debian, Ubuntu)"; fi
    . /etc/os-release
    here=${VERSION_CODENAME:-}
    release=${1:-$here}
    if [ -z "$release" ]; then cannot "/etc/os-release has no VERSION_CODENAME: say RELEASE="; fi
    if ! unshare --mount --pid --net --fork --propagation private sh -c 'mount -t proc proc /proc && mount -t tmpfs tmpfs /mnt' 2>/dev/null; then
        cannot "the kernel gives no namespace of mounts (in a container: --privileged)"
    fi
    if ! command -v mmdebstrap >/dev/null; then
        echo "a bare root needs mmdebstrap: installing (apt-get): mmdebstrap"
        apt-get update -qq || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null ||
            cannot "mmdebstrap could not be installed"
    elif [ -z "$(bare_sources)" ]; then
        apt-get update -qq || true
    fi
    if [ -z "$(bare_sources)" ]; then cannot "apt has no sources of ${NAME:-this distribution} $here"; fi
}

# The distribution's own, by what their signed lists say, and no other's that the machine may use.
bare_sources() {
    apt-get indextargets --format '$(ORIGIN) $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        while read -r origin site suite component; do
            if [ "${origin,,}" = "$ID" ] && [[ $suite = "$here" || $suite = "$here"-* ]]; then
                echo "deb $site $release${suite#"$here"} $component"
            fi
        done
}

# A directory of this run's, which goes away with it. One run at a time in a checkout. The lock is on the script, since nothing in that
# directory stays.
bare_work() {
    work=$1 child=''
    exec 9<"$self"
    flock -n 9 || { echo "another run is using $work" >&2; exit 1; }
    trap bare_clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # A run that was killed outright left it; its processes and mounts went with it.
    rm -rf --one-file-system "$work"
    mkdir -p "$work"
}
bare_clean() {
    trap - EXIT INT TERM HUP
    if [ -n "$child" ]; then
        kill -KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    # The last process there may still be ending.
    for try in 1 2 3 4 5; do
        if rm -rf --one-file-system "$work" 2>/dev/null; then return; fi
        sleep "$try"
    done
    echo "something of $work is left" >&2
}

# Runs the script again, where all that it mounts and starts goes away with it, and ends as that ends.
bare_runs() {
    bare_sources >"$work/sources.list"
    # The way to the network, for example a proxy. Hooks and the rest are this machine's own.
    apt-config dump | grep '^Acquire::' | grep -v '^Acquire::IndexTargets' >"$work/apt.conf" || true
    # When this script is killed, however, the kernel ends everything in the namespaces.
    setpriv --pdeathsig KILL unshare --mount --pid --ipc --uts --fork --kill-child --mount-proc --propagation private bash "$self" "$@" &
    child=$!
    status=0
    wait "$child" || status=$?
    child=''
    exit "$status"
}

# Makes a root of these packages, as a directory or with --format=tar.
bare_makes() {
    local to=$1 packages=$2
    shift 2
    TMPDIR=$work mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt="$work/apt.conf" "$release" "$to" "$work/sources.list" "$@" ||
        { echo "no bare root here: mmdebstrap could not make one of $release" >&2; exit 77; }
}
# And what it has of this machine.
bare_readies() {
    # No service starts by itself: the network is this machine's.
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
    cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
}

# Mounts what a root needs, in a namespace of mounts. Then `bare_goes_in`.
bare_mounts() {
    mount --bind "$1" "$1"
    mount --bind /dev "$1/dev"
    mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$1/dev/shm"
    mount -t devpts -o nosuid,noexec,newinstance,gid=5,mode=620,ptmxmode=666 devpts "$1/dev/pts"
    mount --rbind /sys "$1/sys"
    mount -t proc -o nosuid,nodev,noexec proc "$1/proc"
    mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs "$1/run"
    mkdir -m 1777 "$1/run/lock"
}
# Nothing of this machine is seen there any more. What of the environment goes along is in `kept`.
bare_goes_in() {
    cd "$1"
    pivot_root . mnt
    umount -l /mnt
    kept=()
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY TEST_THREADS; do
        if [ -n "${!name:-}" ]; then kept+=("$name=${!name}"); fi
    done
}
