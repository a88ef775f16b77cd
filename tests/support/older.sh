#!/bin/sh
# Puts rsyncs of other releases beneath target/rsync/, for the tests (tests/support/older.rs). Nothing of them is installed.
#
#   older.sh         3.2.7, as Debian 12 had it at first, unpacked from its package
#   older.sh all     besides 3.2.3 and 3.4.1, of Debian 11 and 13, built from Debian's sources, and another program that speaks
#                    protocol 27: gokr-rsync, with the C library that it wants
#
# What cannot be had is said, and is no failure: the tests then leave it out.
set -u
cd "$(dirname "$0")/../.." || exit 1
home=$PWD/target/rsync

none() {
    echo "no $1 to be had: tests with it are skipped"
}

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    [ -x "$home/3.2.7/usr/bin/rsync" ] || none "rsync 3.2.7 without root and apt"
    exit 0
fi

if ! [ -x "$home/3.2.7/usr/bin/rsync" ]; then
    offered() { apt-cache madison rsync | sed -n 's/^ *rsync | *\(3\.2\.7[^ ]*\) |.*/\1/p' | head -n 1; }
    version=$(offered)
    if [ -z "$version" ]; then
        apt-get update -qq >/dev/null 2>&1
        version=$(offered)
    fi
    echo "unpacking rsync 3.2.7, which many servers have, into target/rsync"
    mkdir -p "$home/3.2.7"
    (cd "$home/3.2.7" && [ -n "$version" ] && apt-get download -qq "rsync=$version" 2>/dev/null && dpkg -x rsync_*.deb .) || none "rsync 3.2.7"
fi

[ "${1:-}" = all ] || exit 0

# Other suites of the mirror that this machine uses, in an apt of their own: the machine's is not changed.
mirror=$(apt-get indextargets --format '$(SITE)' "Created-By: Packages" | grep -v security | head -n 1)
of_suite() {
    work=$home/apt/$1
    mkdir -p "$work/lists/partial" "$work/archives/partial"
    for kind in deb deb-src; do
        echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main"
    done >"$work/sources.list"
    printf '%s\n' "Dir::State::lists \"$work/lists\";" "Dir::Cache \"$work\";" "Dir::Etc::sourcelist \"$work/sources.list\";" \
        'Dir::Etc::sourceparts "-";' 'APT::Sandbox::User "root";' >"$work/apt.conf"
    export APT_CONFIG="$work/apt.conf"
    shift
    apt-get update -qq >/dev/null 2>&1 && apt-get -qq "$@" 2>/dev/null
}

# Without what would be linked in besides: what is tested is how it stores files.
build() {
    [ -x "$home/$1/usr/bin/rsync" ] && return
    echo "building rsync $1 into target/rsync"
    work=$home/$1/source
    mkdir -p "$work" "$home/$1/usr/bin"
    apt-get install -y -qq --no-install-recommends gcc make libacl1-dev libattr1-dev libpopt-dev zlib1g-dev >/dev/null 2>&1
    # Of an old suite not every file may be there any more; the source itself is checked against the suite's signed list.
    (cd "$work" && of_suite "$2" source --download-only rsync)
    (
        cd "$work" && tar -x --strip-components=1 -f rsync_*.orig.tar.* &&
            # Debian leaves these two out; configure only wants to see that they are there.
            mkdir -p zlib popt && touch zlib/dummy.in popt/dummy.in &&
            # Debian 11's C library had no such call, and 3.2.3 knows no way without it where there is one and it fails.
            ac_cv_func_lchmod=no ./configure --disable-debug --disable-openssl --disable-xxhash --disable-zstd --disable-lz4 --disable-md2man \
                --with-included-popt=no --with-included-zlib=no &&
            make -j2 rsync && cp rsync ../usr/bin/rsync
    ) >"$home/$1/log" 2>&1 || {
        none "rsync $1 ($home/$1/log)"
        return
    }
    # A suite moves on.
    "$home/$1/usr/bin/rsync" --version 2>/dev/null | grep -q "version $1 " || {
        none "rsync $1, since $2 has another by now"
        rm -rf "${home:?}/$1"
    }
}

build 3.2.3 bullseye
build 3.4.1 trixie

if ! [ -x "$home/gokr/rsync" ]; then
    echo "unpacking gokr-rsync into target/rsync"
    mkdir -p "$home/gokr"
    if (cd "$home/gokr" && of_suite sid download gokr-rsync libc6 && for package in ./*.deb; do dpkg -x "$package" . || exit 1; done); then
        printf '%s\n' '#!/bin/sh' "lib=$home/gokr/usr/lib/\$(uname -m)-linux-gnu" \
            "exec \$lib/ld-linux-*.so.? --library-path \$lib $home/gokr/usr/bin/gokr-rsync \"\$@\"" >"$home/gokr/rsync"
        chmod 755 "$home/gokr/rsync"
    else
        none gokr-rsync
    fi
fi
