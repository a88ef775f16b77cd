#!/usr/bin/env bash
# readme.sh: the README's "A working backup in five minutes", its commands as they stand there, server and client on one machine.
#
#   readme.sh apart WORK SNAPGATE [SCRIPT [WORD…]]   in a copy of this machine that nothing is written through to, with that program
#                                                    for what is built; or another script there in the place of the README
#   readme.sh bare DIR              on this machine, from the sources in DIR: for a bare Debian that goes away (`make fresh`)
#
# What takes its turn by whether systemd runs is taken as the README says.
set -euo pipefail

# The code of one step, its blocks counted from 1.
block() {
    awk -v step="$1" -v wanted="$2" '
        /^## / { inside = /^## A working backup in five minutes/ }
        !inside { next }
        /^[0-9]+\. / { number = $0 + 0; blocks = 0; code = 0; next }
        /^       / { if (!code) blocks++; code = 1; if (number == step && blocks == wanted) print substr($0, 8); next }
        { code = 0 }
    ' README.md | grep . || { echo "the README has no block $2 in step $1" >&2; exit 1; }
}

# The code of a block of "Getting it back", counted from 1, without its comments.
chapter() {
    awk -v wanted="$1" '
        /^## / { inside = /^## Getting it back/ }
        !inside { next }
        /^    / { if (!code) blocks++; code = 1; if (blocks == wanted) print substr($0, 5); next }
        { code = 0 }
    ' README.md | sed 's/  *#.*//' | grep . || { echo "the README has no block $1 in its chapter" >&2; exit 1; }
}

say() { printf '== %s\n' "$*"; }

# Without a network of the machine's nothing here is in the way of another sshd. Every Debian has perl.
loopback() { perl -e 'my $up = pack("a16s", "lo", 0x41); socket(S, 2, 2, 0) && ioctl(S, 0x8914, $up) or die "lo: $!"'; }

case $1 in
bare)
    cd "$2"
    say "1: what it needs"
    echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/99yes
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    block 1 1 | grep '^apt-get' >/tmp/step
    bash -eux /tmp/step >/tmp/apt 2>&1 || { tail -20 /tmp/apt; exit 1; }
    # The rest of what the build fetches.
    make build
    exec unshare --net bash "$0" here "$2" </dev/null
    ;;
apart)
    work=$2 program=$3
    for tool in perl sshd rsync su service setsid; do
        command -v "$tool" >/dev/null || { echo "this machine has no $tool"; exit 77; }
    done
    exec unshare --mount --net --pid --fork --kill-child --propagation private bash "$0" enter "$work" "$program" "${@:4}" </dev/null
    ;;
enter)
    work=$2 program=$3 script=${4:-}
    mount -t tmpfs tmpfs "$work"
    mkdir "$work/upper" "$work/work" "$work/root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root" ||
        { echo "this machine cannot lay a copy over itself"; exit 77; }
    root=$work/root
    mkdir -p "$root/src" "$root/built" "$root/proc" "$root/dev" "$root/tmp"
    cp -a README.md Makefile docs packaging policies sshd_config.d tests/support/{readme,with_clients}.sh tests/support/ways ${script:+"$script"} "$root/src/"
    cp "$program" "$program-shell" "$root/built/"
    # In the place of cargo: it has built already.
    printf '#!/bin/sh\necho \x27"executable":"/built/snapgate"\x27\n' >"$root/built/cargo"
    chmod 755 "$root/built" "$root/built/cargo"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t tmpfs tmpfs "$root/run"
    # Whoever lists its content may have one of another machine.
    rm -rf "$root/etc/snapgate" "$root/var/spool/snapgate" "$root/srv/backups" "$root/etc/ssh/sshd_config.d/50-snapgate.conf"
    cd "$root"
    mkdir -p old
    pivot_root . old
    cd /src
    umount -l /old
    for group in snapgate; do if getent group "$group" >/dev/null; then groupdel "$group"; fi; done
    for account in laptop me jane clerk newage web1 router-a router-b; do if getent passwd "$account" >/dev/null; then userdel "$account"; fi; done
    export CARGO=/built/cargo
    if [ -n "$script" ]; then exec bash "/src/${script##*/}" "${@:5}"; fi
    exec bash /src/readme.sh here /src
    ;;
here)
    cd "$2"
    loopback
    ;;
*) echo "readme.sh: apart or bare" >&2; exit 64 ;;
esac

systemd() { [ -d /run/systemd/system ]; }
# The machine of somebody who has an sshd already, and a client that knows it by name.
grep -q backup.example.org /etc/hosts || echo '127.0.0.1 backup.example.org' >>/etc/hosts
useradd --create-home --shell /bin/sh me
echo precious >~me/file
chown me: ~me/file
as_me() { su - me -c "$1"; }

say "1: the program"
block 1 1 | grep -v '^apt-get' >/tmp/step
bash -eux /tmp/step

say "2: the server"
block 2 1 >/tmp/step
# A mailer that is not set up takes nothing, and `init` would say so.
printf 'Subject: is somebody there\n\n' | /usr/sbin/sendmail root 2>/dev/null || sed -i 's/$/ --transport off/' /tmp/step
# It ends with 1 where its check has found something: sshd has no block yet.
sed -i 's/$/ || [ $? = 1 ]/' /tmp/step
bash -eux /tmp/step
made() { stat -c '%n %U %G %a' /srv/backups /var/spool/snapgate /var/spool/snapgate/sessions /etc/snapgate /etc/snapgate/policies; }
made >/tmp/made
# The package makes the same.
if command -v systemd-tmpfiles >/dev/null; then
    systemd-tmpfiles --create /usr/lib/tmpfiles.d/snapgate.conf
    made | diff /tmp/made -
fi

say "3: sshd"
mkdir -p /run/sshd
ssh-keygen -A >/dev/null
systemd || /usr/sbin/sshd
block 3 1 >/tmp/step
systemd || sed -i 's/systemctl reload ssh *# without systemd: \(.*\)/\1/' /tmp/step
bash -eux /tmp/step

say "4: what sends the mail"
if systemd; then
    block 4 1 >/tmp/step
else
    block 4 2 | sed 's|^[0-9*/ ]*  /|/|' >/tmp/step
fi
bash -eux /tmp/step

say "5: the client's key"
block 5 1 >/tmp/client
as_me 'sh -eux /tmp/client'
cp ~me/.ssh/id_backup.pub laptop.pub

say "6: the client"
block 6 1 >/tmp/step
# It ends with 1 where its check has found something, for instance that no mailer is there.
sed -i 's/$/ || [ $? = 1 ]/' /tmp/step
bash -eux /tmp/step | tee /tmp/added
# What it prints, its blocks counted from 1.
printed() { awk -v wanted="$1" '/^    / { if (!code) blocks++; code = 1; if (blocks == wanted) print substr($0, 5); next } { code = 0 }' /tmp/added | grep .; }

say "7: the first push"
printed 1 >~me/.ssh/config
block 7 1 >/tmp/greet
printed 3 | sed 's/^[0-9,]* [0-9*]* \* \* \*  //' >/tmp/cron
grep -q '^rsync' /tmp/cron
chown me: ~me/.ssh/config
cron() { setsid -w su me -c 'cd; exec env -i HOME="$HOME" PATH=/usr/bin:/bin /bin/sh /tmp/cron' </dev/null; }
if cron; then echo "cron pushes to a server whose key nobody knows"; exit 1; fi
printed 2 >~me/.ssh/known_hosts
chown me: ~me/.ssh/known_hosts
chmod 755 /tmp/greet
as_me 'sh -eux /tmp/greet' </dev/null | tee /tmp/greeting
grep -q 'you are `laptop`' /tmp/greeting
cron
cron || [ $? = 75 ]
grep -q precious /srv/backups/laptop/current/file
# What the timer does, and what is shown then. Two pushes in one second have names a second apart.
sleep 1
/usr/bin/snapgate maintain
snapgate status laptop | grep -q '^laptop .* -$'

say "getting it back, on the server"
mkdir -p ~me/docs
echo words >~me/docs/text
ln -s /etc/passwd ~me/docs/link
chown -h me: ~me/docs ~me/docs/text ~me/docs/link
cron
# Of pushes in quick succession the last may have the name of a second that is still to come.
sleep 2
# As it was a day ago: with a clock that is a day ahead, as a test may set it.
chapter 3 | sed 's/ @1d / @0h /' >/tmp/step
grep -q 'restore --client' /tmp/step
bash -eux /tmp/step
diff -r ~me/docs /root/docs
grep -q precious /root/laptop/file
chapter 4 >/tmp/step
bash -eux /tmp/step
grep -q precious /root/file
echo 'options: { force: [munge-links] }' >>/etc/snapgate/policies/laptop.yaml
touch -h ~me/docs/link
sleep 1
cron
sleep 2
[ "$(readlink /srv/backups/laptop/current/docs/link)" = /rsyncd-munged//etc/passwd ]
chapter 5 >/tmp/step
bash -eux /tmp/step
[ "$(readlink /root/plain/docs/link)" = /etc/passwd ]
rm -r /root/docs
chapter 3 | head -1 | sed 's/ @1d / /' >/tmp/step
bash -eux /tmp/step
[ "$(readlink /root/docs/link)" = /etc/passwd ]

say "getting it back, on the client"
as_me 'rsync backup:' </dev/null && exit 1
sed -i 's/^verbs: .*/verbs: [rsync, status, restore, browse]/' /etc/snapgate/policies/laptop.yaml
grep -q 'verbs: \[rsync, status, restore, browse\]' README.md
mkdir /tmp/back /tmp/new
chown me: /tmp/back /tmp/new
# Looking around is another test's (tests/browse), since nobody types here.
chapter 1 | sed 's/:@1d/:@0h/' | grep '^rsync' >/tmp/step
[ "$(wc -l </tmp/step)" = 2 ]
as_me 'cd /tmp/back && sh -eux /tmp/step' </dev/null
grep -q precious /tmp/back/file
diff -r ~me/docs /tmp/back/docs
as_me 'rsync backup:' </dev/null | grep -q "$(readlink /srv/backups/laptop/current | sed 's|.*/||')"
chapter 2 | sed 's| /mnt/| /tmp/new/|' >/tmp/step
as_me 'sh -eux /tmp/step' </dev/null
grep -q precious /tmp/new/file

say "the rehearsal"
block 4 2 | grep drill | sed 's|^[0-9*/ ]*  /|/|' >/tmp/step
bash -eux /tmp/step
snapgate drill laptop | grep -q 'restored as they are stored'

say "nothing but the gate"
as_me 'ssh backup id' </dev/null && exit 1
as_me 'ssh backup "rm -rf /srv/backups/laptop"' </dev/null && exit 1
grep -q precious /srv/backups/laptop/current/file
say "the README works word for word"
