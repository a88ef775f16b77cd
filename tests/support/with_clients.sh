#!/usr/bin/env bash
# with_clients.sh: for the scripts that are tests of clients: what they say and expect, and a machine that is a server and, as `me`, its
# clients. Read by clients.sh and shared.sh, in the copy of this machine that `readme.sh apart` makes; needs a build with debug assertions
# for the file `faked-fault`.
say() { printf '== %s\n' "$*"; }
loopback() { perl -e 'my $up = pack("a16s", "lo", 0x41); socket(S, 2, 2, 0) && ioctl(S, 0x8914, $up) or die "lo: $!"'; }
# What a run may change, but for the programs' own backups of their files, and the index of keys, which is a hint.
state() {
    cat /etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/subuid /etc/subgid
    find /etc/snapgate /srv/backups \( -name .clients.lock -o -name keys.index \) -prune -o -printf '%p %U %G %m %l\n' | sort
    cat /etc/snapgate/policies/* /etc/snapgate/keys/* 2>/dev/null || true
}
# Runs it, keeps what it says in /tmp/said, and expects this exit code and these words.
expect() {
    local code=0 wanted=$1 words=$2
    shift 2
    "$@" >/tmp/said 2>&1 </dev/null || code=$?
    if [ "$code" != "$wanted" ] || { [ -n "$words" ] && ! grep -qF -e "$words" /tmp/said; }; then
        echo "exit $code instead of $wanted, or no \`$words\`, of: $*"
        cat /tmp/said
        exit 1
    fi
}
# The same, and nothing has changed.
refuses() {
    state >/tmp/before
    expect "$@"
    state | diff /tmp/before - || { echo "it changed something: $*"; exit 1; }
}
# The keys of a client by the index, which whoever changes clients brings up to date.
indexed() { grep -ac "^SHA256:[^ ]* $1 " /etc/snapgate/keys.index || true; }
# Adds a client, whatever `check` has to say of this machine.
adds() {
    local code=0
    snapgate add-client "$@" --host backup.example.org >/tmp/said 2>&1 </dev/null || code=$?
    [ "$code" -le 1 ] || { echo "exit $code of add-client $*"; cat /tmp/said; exit 1; }
}
removes() { expect 0 "removed its policy" snapgate remove-client "$1" --destroy-data "$1"; }
fault() { echo "$1" >/etc/snapgate/faked-fault; }
as_me() { su - me -c "$1" </dev/null; }

loopback
grep -q backup.example.org /etc/hosts || echo '127.0.0.1 backup.example.org' >>/etc/hosts
install -m 755 /built/snapgate /built/snapgate-shell /usr/bin/
cp sshd_config.d/50-snapgate.conf /etc/ssh/sshd_config.d/
ssh-keygen -A >/dev/null
mkdir -p /run/sshd /tmp/mails
useradd --create-home --shell /bin/sh me
echo precious >~me/file
su - me -c 'mkdir -p -m 700 ~/.ssh; for key in id_backup second third fourth fifth sixth seventh; do ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/$key; done'
key=$(cat ~me/.ssh/id_backup.pub) second=$(cat ~me/.ssh/second.pub) third=$(cat ~me/.ssh/third.pub)
