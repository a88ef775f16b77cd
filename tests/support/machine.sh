#!/usr/bin/env bash
# machine.sh [RELEASE]: a whole machine of its own, with systemd and a kernel of Debian's, from the package to its third start (`make machine`).
#
#   SNAPGATE=PROGRAM   a built snapgate with snapgate-shell beside it; otherwise a debug build is packaged
#   ROOTS=DIR          keeps the bare root there, and takes it from there the next time
#
# What the suite and package.sh cannot have is here: units that systemd starts, a clock that is set, AppArmor, dm-crypt, a start of the
# machine with the store closed, and a kernel without Landlock. qemu's machine has no network. Where it cannot be made it says why and
# ends with 77. qemu emulates the processor, which is slow; ACCEL=kvm is fast where the kernel can do that. `bare.sh` makes the root.
set -euo pipefail

say() { printf '== %s (%s s)\n' "$*" "$SECONDS"; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

case ${1:-} in
make)
    # 2. The disk, and three starts from it.
    . "$(dirname "$0")/bare.sh"
    work=$2 release=$3 kept=$4
    tar=$kept/$release-machine.tar
    if ! [ -e "$tar" ]; then
        bare_makes "$tar.new" "linux-image-cloud-amd64,initramfs-tools,systemd-sysv,dbus,udev,kmod,procps,cron,openssh-server,rsync,ucf,tzdata,"\
"exim4-daemon-light,uidmap,cryptsetup-bin,e2fsprogs,fdisk,apparmor,perl-base" --format=tar
        mv "$tar.new" "$tar"
    fi
    mkdir "$work/root"
    tar -x --numeric-owner --xattrs --xattrs-include='*' -f "$tar" -C "$work/root"
    say "a $release with a kernel"
    cp "$work"/shared/* "$work/root/root/"
    echo backup >"$work/root/etc/hostname"
    echo '127.0.0.1 localhost backup' >"$work/root/etc/hosts"
    printf '%s\n' '/dev/vda / ext4 defaults,noatime 0 1' >"$work/root/etc/fstab"
    ln -sf /dev/null "$work/root/etc/systemd/system/serial-getty@ttyS0.service"
    printf '%s\n' '[Unit]' 'After=multi-user.target' '[Service]' 'Type=oneshot' 'Environment=HOME=/root USER=root TERM=dumb LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive' \
        'WorkingDirectory=/root' 'ExecStart=/bin/bash /root/machine.sh started' 'StandardOutput=tty' 'StandardError=inherit' 'TTYPath=/dev/ttyS0' \
        'ExecStopPost=/bin/systemctl --no-block poweroff' '[Install]' 'WantedBy=graphical.target' >"$work/root/etc/systemd/system/machine.service"
    mkdir -p "$work/root/etc/systemd/system/default.target.wants"
    ln -s ../machine.service "$work/root/etc/systemd/system/default.target.wants/"
    cp "$work"/root/boot/vmlinuz-* "$work/kernel"
    cp "$work"/root/boot/initrd.img-* "$work/initrd"
    mount -t proc proc "$work/root/proc"
    printf '#!/bin/sh\nexit 101\n' >"$work/root/usr/sbin/policy-rc.d"
    chmod 755 "$work/root/usr/sbin/policy-rc.d"
    chroot "$work/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive dpkg -i /root/snapgate.deb >"$work/said" 2>&1 ||
        { cat "$work/said"; fail "the package"; }
    rm "$work/root/usr/sbin/policy-rc.d"
    umount "$work/root/proc"
    truncate -s 2G "$work/disk"
    mke2fs -q -t ext4 -d "$work/root" "$work/disk"
    rm -rf "$work/root"
    truncate -s 64M "$work/other" "$work/store"
    # kvm cannot run every kernel inside of another virtual machine.
    accelerated=${ACCEL:-tcg}
    starts() {
        timeout --foreground 2400 qemu-system-x86_64 -accel "$accelerated" -cpu max -smp 2 -m 1024 -nodefaults -nographic -serial stdio -nic none -no-reboot \
            -kernel "$work/kernel" -initrd "$work/initrd" -append "root=/dev/vda rw console=ttyS0 quiet loglevel=3 systemd.show_status=0 $2" \
            -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" -device virtio-scsi-pci \
            -drive "file=$work/other,format=raw,if=none,id=other,cache=unsafe" -device scsi-hd,drive=other \
            -drive "file=$work/store,format=raw,if=none,id=store,cache=unsafe" -device scsi-hd,drive=store \
            </dev/null 2>&1 | sed -u "s/\r//g" | tee "$work/said"
        grep -q "^== start $1 is good" "$work/said" || fail "start $1 of the machine; the lines above say at what"
    }
    starts 1 ''
    starts 2 ''
    starts 3 lsm=lockdown,yama,apparmor
    # Whoever gets the disk finds none of this in it.
    if grep -qa "dear diary" "$work/store" "$work/other"; then fail "the disk of the store can be read without a key"; fi
    say "the machine is good on $release"
    exit 0
    ;;
started) ;;
*)
    # 1. What it needs, and the package. In braces, so that bash has read all of it when somebody changes this file.
    {
        self=$(realpath "$0")
        cd "$(dirname "$self")/../.."
        export PATH="$PATH:/usr/sbin:/sbin"
        . tests/support/bare.sh
        bare_needs "${1:-${RELEASE:-trixie}}"
        [ "$(uname -m)" = x86_64 ] || cannot "it emulates x86_64 alone"
        if ! command -v qemu-system-x86_64 >/dev/null; then
            echo "a machine needs qemu: installing (apt-get): qemu-system-x86"
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-system-x86 >/dev/null || cannot "qemu could not be installed"
        fi
        program=${SNAPGATE:-}
        if [ -z "$program" ]; then
            program=$(${CARGO:-cargo} test --locked --quiet --no-run --test readme --message-format=json |
                sed -n 's/.*"executable":"\([^"]*\/snapgate\)".*/\1/p')
        fi
        [ -d target/pages ] || ${CARGO:-cargo} run --locked --quiet --package snapgate-pages -- target/pages
        bare_work "$PWD/target/machine"
        kept=$(realpath -m "${ROOTS:-$work/kept}")
        mkdir -p "$work/shared" "$work/programs" "$kept"
        for built in "$program" "$program-shell"; do strip -o "$work/programs/$(basename "$built")" "$built"; done
        deb=$(DPKG_DEB_COMPRESSOR_TYPE=gzip OUT=$work packaging/deb "$work/programs" target/pages)
        mv "$deb" "$work/shared/snapgate.deb"
        cp "$self" docs/encryption.md "$work/shared/"
        bare_runs make "$work" "$release" "$kept"
    }
    ;;
esac

# 3. In the machine, at each start.
number=$(($(cat starts 2>/dev/null || echo 0) + 1))
echo "$number" >starts
quietly() { "$@" >/tmp/said 2>&1 || { cat /tmp/said; fail "$*"; }; }
# Those of snapgate end with 1 where their check has found something.
checks() { "$@" >/tmp/said 2>&1 || [ $? = 1 ] || { cat /tmp/said; fail "$*"; }; }
# The code of docs/encryption.md about LUKS, its blocks counted from 1. The passphrase is typed by nobody.
page() {
    awk -v wanted="$1" '
        /^## / { inside = /LUKS$/ }
        inside && /^    / { if (!code) blocks++; code = 1; if (blocks == wanted) print substr($0, 5); next }
        !/^$/ { code = 0 }
    ' encryption.md >/tmp/step
    grep -q "$2" /tmp/step || { cat /tmp/step; fail "block $1 of the page does not have \`$2\`"; }
    sed -i 's/^cryptsetup luks/echo secret | cryptsetup -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 luks/; s/^cryptsetup open/echo secret | cryptsetup -q open/; s/^snapgate check/& || [ $? = 1 ]/' /tmp/step
    quietly bash -ex /tmp/step
}
push() { su me -c 'rsync -a --delete --exclude=.ssh ~/ backup:' </dev/null >/tmp/said 2>&1; }
pushed() { push || { cat /tmp/said; fail "a push"; }; }
mails() { cat /var/mail/me 2>/dev/null || true; }
# Waits for a mail whose subject has these words, and says how long that took.
told() {
    local begun=$SECONDS
    until mails | grep -q "^Subject: .*$1"; do
        [ $((SECONDS - begun)) -lt "$2" ] || { mails | grep '^Subject:'; journalctl --no-pager -n 30; fail "no mail with \`$1\` within $2 s"; }
        sleep 0.5
    done
    say "a mail: \`$(mails | grep -m 1 "^Subject: .*$1")\` after $((SECONDS - begun)) s"
}
lands() {
    for unit in watch maintain check digest metrics; do
        systemctl start "snapgate-$unit.service" || { journalctl --no-pager -u "snapgate-$unit.service" -n 30; fail "snapgate-$unit.service"; }
    done
    systemctl list-units --failed --plain --no-legend 'snapgate-*' | grep . && fail "units have failed"
    true
}
closed() {
    if push; then fail "a push went beside the closed store"; fi
    grep -qF "code store" /tmp/said || { cat /tmp/said; fail "no code"; }
    [ -z "$(ls -A /srv/backups)" ] || fail "something is beneath the mount point"
}

units() {
    for unit in /usr/lib/systemd/system/snapgate-*.timer /usr/lib/systemd/system/snapgate-*.path; do
        systemctl --quiet is-enabled "${unit##*/}" && systemctl --quiet is-active "${unit##*/}" || fail "${unit##*/} does not run"
    done
}
snapshots() { ls /srv/backups/laptop/snapshots | wc -l; }

# As a real machine's clock goes on while it is off; the emulated one begins anew with the time of this one, and snapshots would be of a time to come.
if [ -e /root/when ]; then date --set "@$(cat /root/when)" >/dev/null; fi
until systemctl --quiet is-active ssh.service exim4.service; do sleep 1; done
case $number in
1)
    say "$(uname -r), $(systemctl --version | head -1)"
    units
    echo ',,L' | sfdisk --quiet /dev/sdb
    udevadm settle
    page 1 luksFormat
    say "a store on LUKS"
    useradd --create-home --shell /bin/bash me
    echo 'dear diary' >~me/letter.txt
    chown me ~me/letter.txt
    install -d -o me -m 0700 ~me/.ssh
    su me -c "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_backup"
    checks snapgate init --store /srv/backups --mail-to me
    snapgate add-client laptop --key-file ~me/.ssh/id_backup.pub --host localhost --script >~me/laptop.sh 2>/tmp/said || [ $? = 1 ] ||
        { cat /tmp/said; fail "add-client"; }
    quietly su - me -c 'sh laptop.sh ~/'
    cmp ~me/letter.txt /srv/backups/laptop/current/letter.txt || fail "the snapshot"
    say "a client, and its first snapshot"
    page 2 require_mount
    # Nothing tells this machine what time it is.
    snapgate check >/tmp/said || true
    cat /tmp/said
    lands
    say "systemd's view of each unit is one in which it can work"
    if [ -e /etc/apparmor.d/snapgate ]; then
        grep -qx 'snapgate (unconfined)' /sys/kernel/security/apparmor/profiles || fail "the profile was not loaded at the start"
    fi
    journalctl --no-pager | grep ' result=published ' | grep -q ' client=laptop ' || fail "the journal has no line of the push"
    if journalctl --no-pager | grep ' jail='; then fail "the jail is not whole"; fi

    # The gate tells by itself. Here it cannot, and the path unit does.
    systemctl stop snapgate-watch.timer
    began() { systemctl show --property InactiveExitTimestampMonotonic snapgate-watch.service; }
    # While the watch is at work systemd does not look; the watch does.
    until [ "$(systemctl is-active snapgate-watch.service)" = inactive ]; do sleep 1; done
    sleep 2
    before=$(began)
    if su me -c 'ssh backup id' </dev/null >/dev/null 2>&1; then fail "a client has run id"; fi
    until [ "$(began)" != "$before" ]; do
        [ "$SECONDS" -lt 1500 ] || { journalctl --no-pager -n 40; fail "the path unit did not start the watch"; }
        sleep 1
    done
    told 'laptop: refused' 300
    systemctl start snapgate-watch.timer

    date --set "$(date --date tomorrow +%Y-%m-%d) 06:59:30" >/dev/null
    told 'digest' 400
    # It does not travel any more.
    sed -i "s/^laptop: true/expect: 24h/" /etc/snapgate/policies/laptop.yaml
    grep -q "^expect: 24h" /etc/snapgate/policies/laptop.yaml
    # Its cron pushes, as its script had it say.
    was=$(snapshots)
    date --set "$(date --date '3 days' +%Y-%m-%d) 12:00:00" >/dev/null
    for try in $(seq 300); do
        if [ "$(snapshots)" -gt "$was" ]; then break; fi
        sleep 1
    done
    [ "$(snapshots)" -gt "$was" ] || { su me -c 'crontab -l'; fail "cron did not push"; }
    say "the client's cron has pushed"
    crontab -r -u me
    date --set "$(date --date '3 days' +%Y-%m-%d) 12:00:00" >/dev/null
    told 'missed' 600
    pushed
    # What lasts is looked at every quarter of an hour.
    date --set '20 minutes' >/dev/null
    told 'resolved' 600

    page 4 umount
    closed
    told 'store' 300
    ;;
2)
    units
    closed
    say "a start with a closed store is one that takes no push"
    page 3 'cryptsetup open'
    was=$(snapshots)
    pushed
    [ "$(snapshots)" = $((was + 1)) ] || fail "the push made no snapshot"
    lands
    page 4 umount
    ;;
3)
    [ ! -e /sys/kernel/security/lsm ] || ! grep -q landlock /sys/kernel/security/lsm || fail "this kernel has Landlock"
    page 3 'cryptsetup open'
    was=$(snapshots)
    if push; then fail "a push without a sandbox"; fi
    cat /tmp/said
    [ "$(snapshots)" = "$was" ] || fail "there is a snapshot without a sandbox"
    if snapgate check >/tmp/said; then fail "the doctor finds nothing"; fi
    grep -i landlock /tmp/said || { cat /tmp/said; fail "the doctor does not say what is wrong"; }
    page 4 umount
    ;;
esac
date +%s >/root/when
echo "== start $number is good"
