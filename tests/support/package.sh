#!/usr/bin/env bash
# package.sh [RELEASE]: the Debian package, from `apt install` to purge, in bare Debians that go away (`make package-test`).
#
#   SNAPGATE=PROGRAM   a built snapgate with snapgate-shell beside it; otherwise a debug build is packaged
#   LINTIAN=no         without lintian, whose packages are many
#   UPGRADE_FROM=COMMIT   also builds that commit, which takes minutes, upgrades from it and downgrades to it; kept in target/older
#   ROOTS=DIR          keeps the bare roots there, and takes them from there the next time
#
# Two roots are made with mmdebstrap from this machine's own apt sources. In the one a newcomer installs the package and pushes;
# then cron pushes, fail2ban bans, and it is upgraded, downgraded, removed and purged (package/). In the other are systemd, lintian, AppArmor and fail2ban. Where that cannot be done it says
# why and ends with 77. `bare.sh` makes the roots and enters them.
set -euo pipefail

say() { printf '== %s (%s s)\n' "$*" "$SECONDS"; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

case ${1:-} in
make)
    # 2. Makes the roots and goes into them. All mounts are in this namespace, so none outlives it.
    . "$(dirname "$0")/bare.sh"
    work=$2 release=$3 lintian=$4 kept=$5
    bare() {
        local tar=$kept/$release-$2.tar
        if ! [ -e "$tar" ]; then
            bare_makes "$tar.new" "$1" --format=tar
            mv "$tar.new" "$tar"
        fi
        mkdir "$work/$2"
        tar -x --numeric-owner --xattrs --xattrs-include='*' -f "$tar" -C "$work/$2"
        bare_readies "$work/$2"
        mkdir -p "$work/$2/shared"
    }
    enter() {
        unshare --mount --pid --fork --kill-child --propagation private bash "$0" enter "$@" </dev/null
    }
    bare "ca-certificates,openssh-server,rsync,ucf,systemd,apparmor,fail2ban,python3-systemd$([ "$lintian" = no ] || echo ,lintian)" tools \
        >"$work/tools.log" 2>&1 &
    tools=$!
    # A server that somebody has reached by ssh so far.
    bare ca-certificates,openssh-server,perl-base,cron,fail2ban server
    say "a bare $release with an sshd"
    enter "$work/server" "$work/shared" newcomer || fail "a newcomer's server; the lines above say at what"
    wait "$tools" || { cat "$work/tools.log"; exit 77; }
    say "a $release with systemd, AppArmor and fail2ban"
    enter "$work/tools" "$work/shared" tools "$lintian" || fail "the package beside other tools; the lines above say at what"
    say "the package is good on $release"
    exit 0
    ;;
enter)
    # 3. Goes into a root.
    . "$(dirname "$0")/bare.sh"
    root=$2 shared=$3
    shift 3
    bare_mounts "$root"
    mount --bind "$shared" "$root/shared"
    bare_goes_in "$root"
    cd /root
    # This shell stays, the first process here and the parent of every orphan.
    status=0
    env -i "${kept[@]}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root TERM=dumb LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive bash /shared/package.sh "$@" || status=$?
    exit "$status"
    ;;
esac

# What the two roots' runs share.
if [ -d /shared/package ]; then for part in /shared/package/*.sh; do . "$part"; done; fi
block=/etc/ssh/sshd_config.d/50-snapgate.conf
ours=/usr/share/snapgate/50-snapgate.conf
deb() { echo "/shared/snapgate_$1_$(dpkg --print-architecture).deb"; }
quietly() { "$@" >/tmp/said 2>&1 || { cat /tmp/said; fail "$*"; }; }
is() { [ "$1" = "$2" ] || fail "\`$1\`, but \`$2\` was expected"; }
status_of() { dpkg-query --show --showformat '${db:Status-Abbrev}${Version}' snapgate; }
made() { stat -c '%n %U %G %a' /srv/backups /var/spool/snapgate /var/spool/snapgate/sessions /etc/snapgate /etc/snapgate/policies /etc/snapgate/keys; }
as_made='/srv/backups root root 711
/var/spool/snapgate root snapgate 1730
/var/spool/snapgate/sessions root snapgate 660
/etc/snapgate root snapgate 750
/etc/snapgate/policies root snapgate 750
/etc/snapgate/keys root root 755'
enabled() { find /etc/systemd/system -name 'snapgate-*' -printf '%f\n' | sort; }
# By name: compared with what the package brings, one that it forgot would be missed by nobody.
all_units='snapgate-check.timer
snapgate-digest.timer
snapgate-drill.timer
snapgate-maintain.timer
snapgate-metrics.timer
snapgate-watch.path
snapgate-watch.timer'
# What a shell, man and a monitoring find where they look for it, in DIRECTORY; pages end with ENDING.
are_placed() {
    local file
    for file in man/man8/snapgate.8"$2" man/man8/snapgate-shell.8"$2" man/man8/snapgate-add-client.8"$2" man/man5/snapgate.yaml.5"$2" man/man5/snapgate-policy.5"$2" \
        bash-completion/completions/snapgate zsh/vendor-completions/_snapgate fish/vendor_completions.d/snapgate.fish \
        doc/snapgate/monitoring/snapgate.rules.yml doc/snapgate/monitoring/snapgate-dashboard.json doc/snapgate/README.md doc/snapgate/docs/ways/laptop.md; do
        [ -s "$1/$file" ] || fail "there is no $1/$file"
    done
}

# What a newcomer types, from the package to the first snapshot, as the README has it. The last is the client's, who has a key.
mapfile -t commands < <(awk '/^## / { inside = /^## A working backup in five minutes/ } inside && /^    [^ ]/ { print substr($0, 5) }' /shared/README.md 2>/dev/null)
# Runs one of them, counted from 1. Those of snapgate end with 1 where their check has found something of this machine, and say it.
typed() {
    local run=(bash -c) code=0
    if [ "$1" = 4 ]; then run=(su - me -c); fi
    (cd /root && "${run[@]}" "${commands[$1 - 1]}") >/tmp/said 2>&1 </dev/null || code=$?
    if [ "$code" != 0 ]; then cat /tmp/said; fi
    [ "$code" = 0 ] || { [ "$code" = 1 ] && [[ ${commands[$1 - 1]} = snapgate* ]]; } || fail "${commands[$1 - 1]}"
}

case ${1:-} in
newcomer)
    # The only step that uses the network: what is installed is a package's own business, and its clock runs.
    quietly apt-get update
    mkdir -m 0750 /srv/backups
    cp "$(deb "$(cat /shared/version)")" /root/snapgate.deb
    is "${#commands[@]} ${commands[0]}" '4 apt install ./snapgate.deb' # no more than four
    echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/99yes
    grep -q backup.example.org /etc/hosts || echo '127.0.0.1 backup.example.org' >>/etc/hosts
    begun=$(date +%s%N)
    typed 1
    cp /tmp/said /tmp/installed
    echo $((($(date +%s%N) - begun) / 1000000)) >/tmp/took
    exec unshare --net bash "$0" life </dev/null
    ;;
life)
    perl -e 'my $up = pack("a16s", "lo", 0x41); socket(S, 2, 2, 0) && ioctl(S, 0x8914, $up) or die "lo: $!"'
    # Services may be started and reloaded now: as without an init system invoke-rc.d would not do it unasked.
    printf '#!/bin/sh\nexit 0\n' >/usr/sbin/policy-rc.d
    version=$(cat /shared/version)

    say "installed by apt in $(cat /tmp/took) ms"
    is "$(status_of)" "ii $version"
    is "$(made)" "${as_made/711/750}" # the store was there before, and is its owner's
    chmod 0711 /srv/backups
    is "$(enabled)" "$all_units"
    are_placed /usr/share .gz
    cmp "$block" "$ours"
    command -v newuidmap >/dev/null || fail "uidmap is not among what is recommended"
    [ -x /usr/sbin/sendmail ] || fail "no mailer is among what is recommended"
    # Debian 13 brings systemd's two programs along; in Debian 12 the package's own script does their work.
    if command -v systemd-tmpfiles >/dev/null; then echo "made by systemd-tmpfiles"; else echo "made without systemd"; fi
    grep -q 'nothing runs before there is a site file' /tmp/installed
    # Of its own, with a log: what it says of a reload is looked at.
    ssh-keygen -A >/dev/null
    mkdir -p /run/sshd
    /usr/sbin/sshd -E /tmp/sshd.log -o PidFile=/run/sshd.pid
    reloads() { grep -c 'Received SIGHUP' /tmp/sshd.log || true; }
    reloaded() {
        for try in $(seq 100); do
            if [ "$(reloads)" -ge "$1" ]; then return; fi
            sleep 0.1
        done
        cat /tmp/said
        fail "sshd was reloaded $(reloads) times, not $1"
    }

    # A stand-in for the system's log daemon, which writes what it gets as rsyslog does.
    perl -MSocket -e '
        socket(LOG, AF_UNIX, SOCK_DGRAM, 0) && bind(LOG, sockaddr_un("/run/log")) or die "log: $!"; chmod 0666, "/run/log";
        open(OUT, ">>", "/shared/auth.log"); select(OUT); $| = 1;
        while (defined recv(LOG, $line, 65536, 0)) { $line =~ s/^<\d+>(\w+ +\d+ [\d:]+) /$1 backup /; print "$line\n" }' &
    until [ -S /run/log ]; do sleep 0.1; done

    # Somebody who has a key.
    useradd --create-home --shell /bin/bash me
    install -o me -m 0600 /dev/null ~me/file
    echo precious >~me/file
    install -d -o me -m 0700 ~me/.ssh
    su me -c "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_backup"
    cp ~me/.ssh/id_backup.pub /root/laptop.pub
    begun=$(date +%s%N)
    typed 2
    typed 3
    cp /root/laptop.sh ~me/
    typed 4
    took=$(($(cat /tmp/took) + ($(date +%s%N) - begun) / 1000000))
    is "$(cat /srv/backups/laptop/current/file)" precious
    say "${#commands[@]} commands and $took ms from \`apt install\` to the first snapshot"
    [ "$took" -lt 180000 ] || fail "that is more than three minutes"
    push() { su me -c 'rsync -a --delete ~/ backup:' </dev/null; }
    echo 'syslog: /run/log' >>/etc/snapgate/snapgate.yaml
    snapgate check >/tmp/check 2>&1 || [ $? = 1 ] || { cat /tmp/check; fail "check"; }

    # What fail2ban is to know, and what it is to leave alone.
    su me -c 'ssh backup id' </dev/null >/dev/null 2>&1 && fail "a client has run id"
    su me -c 'rsync -a ~/file backup:../other' </dev/null >/dev/null 2>&1 && fail "a client has left its place"
    sed -i 's/^verbs:/from: [192.0.2.1]\n&/' /etc/snapgate/policies/laptop.yaml
    push 2>/dev/null && fail "a client came from elsewhere"
    sed -i '/^from:/d; s/^verbs:.*/verbs: [status]/' /etc/snapgate/policies/laptop.yaml
    push 2>/dev/null && fail "a client did what its policy has not"
    sed -i 's/^verbs:.*/verbs: [rsync, status]/' /etc/snapgate/policies/laptop.yaml

    say "Debian's cron pushes, and its fail2ban bans who is refused"
    cron_begins
    fail2ban_bans
    cron_pushes

    say "upgrade"
    # The store, and all that is a client's on this machine, to the inode's time.
    untouched() { find /srv/backups -printf '%p %i %m %U %G %s %T@ %C@\n' | sort; grep -E '^(laptop|snapgate):' /etc/passwd /etc/shadow; }
    untouched >/tmp/before
    compare() { untouched | diff /tmp/before - || fail "the store or an account is not as it was"; }
    was=$(reloads)
    quietly dpkg -i "$(deb 90.0)"
    is "$(status_of)" "ii 90.0"
    cmp "$block" "$ours"
    grep -q 'of the next version' "$block" || fail "the upgrade left the old block"
    grep -q 'of the next version' /etc/fail2ban/filter.d/snapgate.conf
    reloaded $((was + 1))
    compare
    say "downgrade"
    quietly dpkg -i "$(deb "$version")"
    is "$(status_of)" "ii $version"
    cmp "$block" "$ours"
    grep -q 'of the next version' "$block" && fail "the downgrade left the new block"
    reloaded $((was + 2))
    quietly dpkg -i "$(deb "$version")"
    compare
    # sshd heeds a signal before the next connection. Nothing changed, so there was none.
    push
    is "$(reloads)" $((was + 2))
    untouched >/tmp/before

    say "what an administrator has changed"
    echo '# mine' >>"$block"
    echo '# mine' >>/etc/fail2ban/filter.d/snapgate.conf
    # As `systemctl disable` would.
    rm /etc/systemd/system/*.wants/snapgate-drill.timer
    quietly dpkg -i --force-confold "$(deb 90.0)"
    grep -q '^# mine' "$block" || fail "the upgrade took the administrator's block away"
    grep -q '^# mine' /etc/fail2ban/filter.d/snapgate.conf
    enabled | grep -q drill && fail "the upgrade enabled what was disabled"
    rm "$block"
    quietly dpkg -i --force-confold "$(deb "$version")"
    [ -e "$block" ] && fail "the block that was removed is back"
    compare

    say "an sshd that does not take it"
    quietly dpkg --purge snapgate
    [ -e "$block" ] && fail "there is a block that nobody put there"
    echo 'NoSuchKey yes' >/etc/ssh/sshd_config.d/99-mine.conf
    quietly dpkg -i "$(deb "$version")"
    is "$(status_of)" "ii $version"
    grep -q 'sshd does not take' /tmp/said && grep -q NoSuchKey /tmp/said || { cat /tmp/said; fail "nothing is said of it"; }
    [ -e "$block" ] && fail "the block is there although sshd does not take it"
    rm /etc/ssh/sshd_config.d/99-mine.conf
    quietly dpkg-reconfigure snapgate
    cmp "$block" "$ours"

    say "remove"
    # The purge before took the settings.
    [ -e /etc/snapgate/snapgate.yaml ] && fail "a purge left the site file"
    compare
    printf '%s\n' 'store: /srv/backups' 'syslog: off' 'mail: { to: [root], transport: "smtp://127.0.0.1:1" }' >/etc/snapgate/snapgate.yaml
    chgrp snapgate /etc/snapgate/snapgate.yaml
    chmod 0640 /etc/snapgate/snapgate.yaml
    # The account and the snapshots are there: the client is taken up again.
    typed 3
    push
    su me -c 'ssh backup id' </dev/null >/dev/null 2>&1 && fail "a client has run id"
    untouched >/tmp/before
    quietly dpkg --remove snapgate
    [ -e /usr/bin/snapgate-shell ] && fail "the gate is still there"
    for kept in "$block" /etc/snapgate/policies/laptop.yaml /etc/fail2ban/filter.d/snapgate.conf; do [ -e "$kept" ] || fail "$kept went"; done
    push 2>/dev/null && fail "a client was let in without the gate"
    su me -c 'ssh backup id' </dev/null 2>/dev/null && fail "a client has a shell without the gate"
    compare

    say "purge, with a client's account and a mail that nobody sent"
    quietly dpkg --purge snapgate
    compare
    grep -q 'stays, so that no client.*laptop' /tmp/said || { cat /tmp/said; fail "nothing is said of the block"; }
    grep -q 'messages in it were never sent' /tmp/said || { cat /tmp/said; fail "nothing is said of the mail"; }
    [ -e "$block" ] || fail "a client's account has no block"
    [ -e /etc/snapgate ] && fail "/etc/snapgate is left"
    # An account whose shell is one: the block alone holds it.
    usermod --shell /bin/bash laptop
    su me -c 'ssh backup id' </dev/null 2>/dev/null && fail "a client has a shell after a purge"
    usermod --shell /usr/bin/snapgate-shell laptop 2>/dev/null

    say "purge, and nothing is left of it"
    quietly dpkg -i "$(deb "$version")"
    mkdir -p /etc/snapgate/mine/store
    echo precious >/etc/snapgate/mine/store/file
    userdel laptop 2>/dev/null
    rm /root/snapgate.deb
    find /var/spool/snapgate -mindepth 2 -delete
    find /srv/backups -printf '%p %i %m %U %G %s %T@ %C@\n' | sort >/tmp/store
    quietly dpkg --purge snapgate
    find /srv/backups -printf '%p %i %m %U %G %s %T@ %C@\n' | sort | diff /tmp/store - || fail "the store is not as it was"
    is "$(cat /etc/snapgate/mine/store/file)" precious
    rm -r /etc/snapgate
    # But the store, the group, and the copies of older states that ucf and shadow keep of their own files.
    left=$(
        find / -xdev \( -path /proc -o -path /sys -o -path /shared -o -path /srv -o -path /tmp -o -path /var/log \) -prune -o \
            \( -name '*snapgate*' -o -lname '*snapgate*' \) -print
        grep -rl snapgate /etc /var/lib/ucf /var/lib/dpkg/status | grep -vE '^/etc/(group|gshadow|passwd|shadow)-?$|^/var/lib/ucf/.*\.[0-9]+$' || true
    )
    [ -z "$left" ] || fail "left of it: $left"

    if [ -e /shared/older ]; then
        say "an older build, $(cat /shared/older)"
        older_and_back "$(cat /shared/older)" "$version"
    fi
    ;;
tools)
    lintian=$2 version=$(cat /shared/version)
    quietly dpkg -i "$(deb "$version")"
    is "$(made)" "$as_made"
    is "$(enabled)" "$all_units"
    cmp "$block" "$ours"
    say "systemd takes the units"
    systemd-analyze verify /usr/lib/systemd/system/snapgate-* >/tmp/verified 2>&1 || { cat /tmp/verified; fail "systemd-analyze verify"; }
    if grep snapgate /tmp/verified; then fail "systemd-analyze has something to say"; fi

    parser=$(apparmor_parser --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
    if [ "$parser" -ge 4 ]; then
        say "AppArmor $parser takes the profile"
        cmp /etc/apparmor.d/snapgate /usr/share/snapgate/apparmor.d/snapgate
        apparmor_parser --skip-kernel-load --skip-cache /etc/apparmor.d/snapgate
        # For the gate itself, and with the right that it is there for.
        apparmor_parser --skip-kernel-load --skip-cache --names /etc/apparmor.d/snapgate | grep -qx snapgate
    else
        say "AppArmor $parser has no rule for namespaces: no profile"
        [ -e /etc/apparmor.d/snapgate ] && fail "a profile that the parser rejects is in its directory"
    fi

    say "fail2ban knows an attacker's lines, and no others"
    matched=$(fail2ban-regex /shared/auth.log /etc/fail2ban/filter.d/snapgate.conf | sed -n 's/^Lines: .* \([0-9]*\) matched, .*/\1/p')
    is "$matched" "$(grep -cE ' result=refused code=(program|path|address) ' /shared/auth.log)"
    # One of each of three kinds, and the five for which an address was banned.
    [ "$matched" = 8 ] || { cat /shared/auth.log; fail "fail2ban knows $matched of 8 lines"; }
    grep -q ' result=refused code=verb ' /shared/auth.log && grep -q ' result=published ' /shared/auth.log || fail "there are no other lines"
    # Debian's own jail wants a log that is not here.
    rm /etc/fail2ban/jail.d/*
    cp /usr/share/doc/snapgate/fail2ban/jail.d/snapgate.conf /etc/fail2ban/jail.d/
    fail2ban-client --test >/tmp/said 2>&1 || { cat /tmp/said; fail "fail2ban does not take the jail"; }

    quietly dpkg --purge snapgate
    [ -e /etc/apparmor.d/snapgate ] && fail "a purge left the profile"
    if [ "$lintian" = no ]; then exit 0; fi
    say "lintian"
    useradd --system checker
    cp "$(deb "$version")" /tmp/
    cd /tmp
    su -s /bin/sh checker -c "lintian --tag-display-limit 0 --info --fail-on error,warning,info ./snapgate_*.deb" || fail "lintian"
    ;;
esac

# 1. What it needs, and the packages. In braces, so that bash has read all of it when somebody changes this file.
case ${1:-} in newcomer | life | tools) exit 0 ;; esac
{
    self=$(realpath "$0")
    cd "$(dirname "$self")/../.."
    export PATH="$PATH:/usr/sbin:/sbin"
    . tests/support/bare.sh
    bare_needs "${1:-${RELEASE:-}}"

    program=${SNAPGATE:-}
    if [ -z "$program" ]; then
        # As `make test` has built it: for a plain `cargo build` some crates would be built anew.
        program=$(${CARGO:-cargo} test --locked --quiet --no-run --test readme --message-format=json |
            sed -n 's/.*"executable":"\([^"]*\/snapgate\)".*/\1/p')
    fi

    # The older build's package. A version before every release, since packages of this one are to be later.
    older='' from=${UPGRADE_FROM:-}
    if [ -n "$from" ] && ! commit=$(git rev-parse --verify --quiet "$from^{commit}"); then
        [ "$(git rev-parse --is-shallow-repository)" = true ] || fail "there is no commit $from"
        echo "skipped: the upgrade from $from, which this shallow checkout does not have"
    elif [ -n "$from" ]; then
        older=$PWD/target/older/$commit
        if ! [ -d "$older/src" ]; then
            rm -rf "$older/new"
            mkdir -p "$older/new"
            git archive "$commit" | tar -x -C "$older/new"
            mv "$older/new" "$older/src"
        fi
        built=$(cd "$older/src" && CARGO_TARGET_DIR=$older/build ${CARGO:-cargo} build --locked --bins --message-format=json |
            sed -n 's/.*"executable":"\([^"]*\/snapgate\)".*/\1/p')
        [ -x "$built" ] || fail "$from could not be built"
        older=$(DPKG_DEB_COMPRESSOR_TYPE=gzip VERSION=0.0+g${commit:0:7} bash "$older/src/packaging/deb" "$(dirname "$built")" "$older/none")
    fi

    # What `make pages` makes, from a build like that of the tests: a package without its manual is not the one that is installed.
    [ -d target/pages ] || ${CARGO:-cargo} run --locked --quiet --package snapgate-pages -- target/pages

    bare_work "$PWD/target/package"
    kept=$(realpath -m "${ROOTS:-$work/kept}")
    mkdir -p "$work/shared/programs" "$kept"

    # The package, and one of a later version that has other settings. They are thrown away, and need not be small.
    for built in "$program" "$program-shell"; do strip -o "$work/shared/programs/$(basename "$built")" "$built"; done
    export DPKG_DEB_COMPRESSOR_TYPE=gzip
    # `make deb` itself, but for what cargo does: that program stands in cargo's place, and knows what it is asked for.
    cat >"$work/cargo" <<END
#!/bin/sh
case "\$*" in
"build --release --locked" | "run --release --locked --quiet --package snapgate-pages -- target/pages") ;;
"build --release --locked --quiet --bin snapgate --message-format=json") echo '"executable":"$work/shared/programs/snapgate"' ;;
*) echo "make deb asks cargo for: \$*" >&2; exit 64 ;;
esac
END
    chmod 755 "$work/cargo"
    deb=$(OUT=$work/once make --no-print-directory --silent deb CARGO="$work/cargo" | tail -1)
    cmp "$deb" "$(OUT=$work/twice packaging/deb "$work/shared/programs" target/pages)" || fail "two packages of the same programs are not the same"
    # The tarball, on a machine that has another place for programs.
    tar -xzf "$(OUT=$work packaging/dist x86_64 "$work/shared/programs" target/pages)" -C "$work"
    (cd "$work"/snapgate-*-linux && DESTDIR=$work/placed PREFIX=/opt/gate sh packaging/install bin pages)
    "$work/placed/opt/gate/bin/snapgate" --help >/dev/null
    are_placed "$work/placed/opt/gate/share" ''
    grep -q '^ExecStart=/opt/gate/bin/snapgate watch' "$work/placed/opt/gate/lib/systemd/system/snapgate-watch.service" || fail "the tarball's unit"
    grep -q 'ForceCommand /opt/gate/bin/snapgate-shell' "$work/placed/opt/gate/share/doc/snapgate/50-snapgate.conf" || fail "the tarball's block"
    rm -r "$work/shared/programs"
    dpkg-deb --field "$deb" Version >"$work/shared/version"
    cp -r "$deb" "$self" README.md tests/support/package "$work/shared/"
    if [ -n "$older" ]; then
        cp "$older" "$work/shared/"
        dpkg-deb --field "$older" Version >"$work/shared/older"
    fi
    dpkg-deb --raw-extract "$deb" "$work/later"
    sed -i 's/^Version: .*/Version: 90.0/' "$work/later/DEBIAN/control"
    for settings in usr/share/snapgate/50-snapgate.conf etc/fail2ban/filter.d/snapgate.conf; do
        echo '# of the next version' >>"$work/later/$settings"
    done
    dpkg-deb --root-owner-group -Zgzip --build "$work/later" "$work/shared" >/dev/null

    bare_runs make "$work" "$release" "${LINTIAN:-yes}" "$kept"
}
