#!/usr/bin/env bash
# fresh.sh: the README's first steps, `make demo` and `make test` on a machine that has never seen this project (`make fresh`). The machine is a
# minimal Debian, made with mmdebstrap from this one's own apt sources. Root tries it, and in another one an ordinary user.
#
#   RELEASE=trixie    another release than this machine's
#   FRESH_AS=root     root's run alone; FRESH_AS=ordinary the other's
#
# What is tried is the newest commit. Nothing of this machine is seen there but the compiler, read-only, and a copy of what cargo
# has fetched. All of it is in target/fresh and goes away at the end. Where it cannot be tried it says why and ends with 77.
# `bare.sh` makes the root and enters it.
set -euo pipefail

# The steps, each in the namespaces that the one before it made.
case ${1:-} in
make)
    # 2. Makes the roots and goes into them. All mounts are in this namespace, so none outlives it.
    . "$(dirname "$0")/bare.sh"
    shift
    work=$1 release=$2 sysroot=$3 runs=$4 cargo=${CARGO_HOME:-$HOME/.cargo}
    say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
    enter() {
        # A namespace of processes for each run: nothing that it leaves running disturbs the next.
        unshare --mount --pid --fork --kill-child --propagation private bash "$0" enter "$@" </dev/null
    }

    say "a bare $release"
    # Ordinary installations have libnss-systemd, and what it does to a program that asks for names has been missed before.
    bare_makes "$work/root" ca-certificates,make,libnss-systemd
    bare_readies "$work/root"
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
            rm -rf target/dma target/rsync target/prometheus
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
    . "$(dirname "$0")/bare.sh"
    root=$2 sysroot=$3 account=$4
    shift 4
    bare_mounts "$root"
    mount --bind "$sysroot" "$root/rust"
    mount -o remount,bind,ro "$root/rust"
    bare_goes_in "$root"
    cd /src 2>/dev/null || cd /
    if [ "$account" = root ]; then home=/root path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    else home=/home/$account path=/usr/local/bin:/usr/bin:/bin; fi
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
    . tests/support/bare.sh
    bare_needs "${RELEASE:-}"
    bare_work "$PWD/target/fresh"

    # Root may try what is somebody else's, which git only does when it is told to.
    commit() { git -c safe.directory="$PWD" "$@"; }
    if [ -n "$(commit status --porcelain)" ]; then echo "what is not committed is not tried"; fi
    mkdir "$work/src"
    commit archive HEAD | tar -x --no-same-owner -C "$work/src"
    bare_runs make "$work" "$release" "$(rustc --print sysroot)" "${FRESH_AS:-root ordinary}"
}
