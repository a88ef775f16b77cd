#!/usr/bin/env bash
# fresh.sh: the README's first steps, `make demo` and `make test` on a machine that has never seen this project (`make fresh`). The machine is a
# minimal Debian, made with mmdebstrap from this one's own apt sources. Root tries it, and in another one an ordinary user.
#
#   RELEASE=trixie    another release than this machine's
#   FRESH_AS=root     root's run alone; FRESH_AS=ordinary the other's
#
# What is tried is the newest commit. Nothing of this machine is seen there but the compiler, read-only, and a copy of what cargo
# has fetched. All of it is in target/fresh and goes away at the end. Where it cannot be tried it says why and ends with 77.
#
# A root is entered by pivot_root in a mount namespace: in a chroot nobody may make a user namespace.
set -euo pipefail

# The steps, each in the namespaces that the one before it made.
case ${1:-} in
make)
    # 2. Makes the roots and goes into them. All mounts are in this namespace, so none outlives it.
    shift
    work=$1 release=$2 sysroot=$3 runs=$4 cargo=${CARGO_HOME:-$HOME/.cargo}
    say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
    enter() {
        # A namespace of processes for each run: nothing that it leaves running disturbs the next.
        unshare --mount --pid --fork --kill-child --propagation private bash "$0" enter "$@" </dev/null
    }

    say "a bare $release"
    # Ordinary installations have libnss-systemd, and what it does to a program that asks for names has been missed before.
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,make,libnss-systemd --aptopt="$work/apt.conf" \
        "$release" "$work/root" "$work/sources.list" ||
        { echo "no bare root here: mmdebstrap could not make one of $release" >&2; exit 77; }
    # No service starts by itself: the network is this machine's.
    printf '#!/bin/sh\nexit 101\n' >"$work/root/usr/sbin/policy-rc.d"
    chmod 755 "$work/root/usr/sbin/policy-rc.d"
    cp -L /etc/resolv.conf /etc/hosts "$work/root/etc/"
    mkdir -p "$work/root/rust" "$work/root/cargo/registry"
    for fetched in config.toml registry/cache registry/index; do
        if [ -e "$cargo/$fetched" ]; then cp -a "$cargo/$fetched" "$work/root/cargo/$fetched"; fi
    done
    chown -R 0:0 "$work/root/cargo"
    cp -a "$work/root" "$work/ordinary"
    cp -a "$work/root" "$work/readme"
    cp -a "$work/src" "$work/readme/src"
    mv "$work/src" "$work/root/src"

    # What the one finds does not keep the other from looking.
    failed=0
    if [[ $runs = *root* ]]; then
        say "the README's five minutes, as root"
        enter "$work/readme" "$sysroot" root bash tests/support/readme.sh bare /src || failed=1
        say "make demo, as root"
        enter "$work/root" "$sysroot" root make demo || failed=1
        say "make test, as root"
        enter "$work/root" "$sysroot" root make test || failed=1
    fi
    if [[ $runs = *ordinary* ]]; then
        say "what the README has root install for an ordinary user"
        mv "$work/root/src" "$work/ordinary/src"
        enter "$work/ordinary" "$sysroot" root sh -euc '
            apt-get update -qq
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
                gcc libc6-dev libseccomp-dev rsync openssh-server openssh-client acl attr uidmap >/dev/null
            # The kernel counts processes by number, whatever root they are in: one that this machine has hardly given away.
            useradd --uid 58613 --create-home --shell /bin/bash visitor
            # What root has built is built; what else it has put there an ordinary user has not.
            rm -rf target/dma target/rsync
            chown -R visitor: /src /cargo'
        if ! enter "$work/ordinary" "$sysroot" visitor unshare --user true 2>/dev/null; then
            echo "this kernel gives an ordinary user no user namespace: the run is one without"
        fi
        say "make demo, as an ordinary user"
        enter "$work/ordinary" "$sysroot" visitor make demo || failed=1
        say "make test, as an ordinary user"
        enter "$work/ordinary" "$sysroot" visitor make test || failed=1
    fi
    if [ "$failed" != 0 ]; then
        say "something failed in a bare $release; the lines above say what"
        exit 1
    fi
    say "demo and tests work in a bare $release"
    exit 0
    ;;
enter)
    # 3. Goes into a root as that account and runs the command there.
    root=$2 sysroot=$3 account=$4
    shift 4
    mount --bind "$root" "$root"
    mount --bind /dev "$root/dev"
    mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/dev/shm"
    mount -t devpts -o nosuid,noexec,newinstance,gid=5,mode=620,ptmxmode=666 devpts "$root/dev/pts"
    mount --rbind /sys "$root/sys"
    mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
    mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs "$root/run"
    mkdir -m 1777 "$root/run/lock"
    mount --bind "$sysroot" "$root/rust"
    mount -o remount,bind,ro "$root/rust"
    cd "$root"
    pivot_root . mnt
    umount -l /mnt
    cd /src 2>/dev/null || cd /
    if [ "$account" = root ]; then home=/root path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    else home=/home/$account path=/usr/local/bin:/usr/bin:/bin; fi
    kept=()
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY TEST_THREADS; do
        if [ -n "${!name:-}" ]; then kept+=("$name=${!name}"); fi
    done
    # This shell stays. It is the first process here and the parent of every orphan, which make would choke on in that place.
    status=0
    setpriv --reuid "$account" --regid "$account" --init-groups env -i "${kept[@]}" \
        PATH="/rust/bin:$path" HOME="$home" USER="$account" LOGNAME="$account" CARGO_HOME=/cargo TERM=dumb "$@" || status=$?
    exit "$status"
    ;;
esac

# 1. What it needs, and the commit. In braces, so that bash has read all of it when somebody changes this file.
{
    self=$(realpath "$0")
    cd "$(dirname "$self")/../.."
    export PATH="$PATH:/usr/sbin:/sbin"
    cannot() {
        echo "no bare root here: $*" >&2
        exit 77
    }
    if [ "$(id -u)" != 0 ]; then cannot "it needs root"; fi
    if ! command -v apt-get >/dev/null; then cannot "it needs apt and its sources (Debian, Ubuntu)"; fi
    . /etc/os-release
    here=${VERSION_CODENAME:-}
    release=${RELEASE:-$here}
    if [ -z "$release" ]; then cannot "/etc/os-release has no VERSION_CODENAME: say RELEASE="; fi
    if ! unshare --mount --pid --fork --propagation private sh -c 'mount -t proc proc /proc && mount -t tmpfs tmpfs /mnt' 2>/dev/null; then
        cannot "the kernel gives no namespace of mounts (in a container: --privileged)"
    fi

    # The distribution's own, by what their signed lists say, and no other's that the machine may use.
    sources() {
        apt-get indextargets --format '$(ORIGIN) $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
            while read -r origin site suite component; do
                if [ "${origin,,}" = "$ID" ] && [[ $suite = "$here" || $suite = "$here"-* ]]; then
                    echo "deb $site $release${suite#"$here"} $component"
                fi
            done
    }
    if ! command -v mmdebstrap >/dev/null; then
        echo "a bare root needs mmdebstrap: installing (apt-get): mmdebstrap"
        apt-get update -qq || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null ||
            cannot "mmdebstrap could not be installed"
    elif [ -z "$(sources)" ]; then
        apt-get update -qq || true
    fi
    if [ -z "$(sources)" ]; then cannot "apt has no sources of ${NAME:-this distribution} $here"; fi

    work=$PWD/target/fresh
    # One at a time in a checkout. The lock is on this file, since nothing in that directory stays.
    exec 9<"$self"
    flock -n 9 || { echo "another run is using $work" >&2; exit 1; }
    child=''
    clean() {
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
    trap clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # A run that was killed outright left it; its processes and mounts went with it.
    rm -rf --one-file-system "$work"
    mkdir -p "$work"

    # Root may try what is somebody else's, which git only does when it is told to.
    commit() { git -c safe.directory="$PWD" "$@"; }
    if [ -n "$(commit status --porcelain)" ]; then echo "what is not committed is not tried"; fi
    mkdir "$work/src"
    commit archive HEAD | tar -x --no-same-owner -C "$work/src"
    sources >"$work/sources.list"
    # The way to the network, for example a proxy. Hooks and the rest are this machine's own.
    apt-config dump | grep '^Acquire::' | grep -v '^Acquire::IndexTargets' >"$work/apt.conf" || true

    sysroot=$(rustc --print sysroot)
    # When this script is killed, however, the kernel ends everything in the namespaces.
    setpriv --pdeathsig KILL unshare --mount --pid --ipc --uts --fork --kill-child --mount-proc --propagation private \
        bash "$self" make "$work" "$release" "$sysroot" "${FRESH_AS:-root ordinary}" &
    child=$!
    status=0
    wait "$child" || status=$?
    child=''
    exit "$status"
}
