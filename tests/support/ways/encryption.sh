# The story of docs/encryption.md (ways.sh). What this machine cannot do is said, and the rest is done.
machine client 127.0.0.1
user client jane
on client sh -c 'mkdir -p -m 700 .ssh; ssh-keygen -q -t ed25519 -N "" -f .ssh/id_backup; echo dear diary >letter.txt; for n in $(seq 30); do echo $n >$n; done'
cp /machines/client/home/jane/.ssh/id_backup.pub /root/laptop.pub
without() { echo "skipped: $1"; }
push() { on client rsync -a --delete --exclude=.ssh --exclude=laptop.sh ./ backup: >/tmp/said 2>&1; }
same() { diff -r --exclude=.ssh --exclude=laptop.sh /machines/client/home/jane "$1"; }
client_is_added() {
    snapgate add-client laptop --key-file /root/laptop.pub --host backup.example.org --script >/machines/client/home/jane/laptop.sh || [ $? = 1 ]
    chmod 644 /machines/client/home/jane/laptop.sh
    on client sh laptop.sh >/tmp/said 2>&1 || { cat /tmp/said; fail "the first push"; }
    same /srv/backups/laptop/current/
}
# Closed: refused and told, and nothing stands beneath.
closed() {
    ls -A /srv/backups >/tmp/beneath
    if push; then fail "a push went beside the closed store"; fi
    grep -qF "code store" /tmp/said || { cat /tmp/said; fail "no code"; }
    ls -A /srv/backups | diff /tmp/beneath - || fail "something was written beneath the mount point"
    [ ! -s /tmp/beneath ] || fail "something is beneath the mount point"
    told root "is not a mount point"
}
# Whoever gets the disk finds none of this in it.
says_nothing() { ! grep -qra "dear diary" "$1" || fail "$1 can be read without a key"; }

# LUKS. Without dm-crypt, and without a loop device, something else stands for the opened partition.
truncate -s 96M /tmp/disk /tmp/opened /tmp/tried
words='s|/dev/sdb1|/tmp/disk|; s|/dev/disk/by-label/backups|/tmp/disk|; s|^cryptsetup luks|echo secret \| cryptsetup -q luks|; s|^cryptsetup open|echo secret \| cryptsetup -q open|'
crypt=backups-$$-test
if ! command -v cryptsetup >/dev/null; then
    without "LUKS: there is no cryptsetup"
    words="$words; /cryptsetup/d"
elif ! grep -q device-mapper /proc/misc || ! echo secret | cryptsetup -q luksFormat /tmp/tried || ! { echo secret | cryptsetup -q open /tmp/tried "$crypt"; }; then
    without "cryptsetup open: this kernel has no dm-crypt, or no loop device"
    words="$words; /cryptsetup -q open/s|\$| --test-passphrase|; /^cryptsetup close/d"
else
    cryptsetup close "$crypt"
    # It goes away by itself when nobody uses it any more, whatever becomes of this process.
    trap 'cryptsetup close --deferred "$crypt" 2>/dev/null || true' EXIT
    words="$words; s|^\(.*cryptsetup -q open /tmp/disk\) backups\$|\1 $crypt|; s|/dev/mapper/backups|/dev/mapper/$crypt|"
    words="$words; /^ *mount /s|\$|; cryptsetup close --deferred $crypt|; s|^cryptsetup close.*|[ ! -e /dev/mapper/$crypt ]|"
fi
if ! [[ $words = *"$crypt"* ]]; then
    # What `mount` itself has put on a loop device goes away when it is not mounted any more.
    if mkfs.ext4 -q /tmp/tried 8M && mount -o loop /tmp/tried /mnt 2>/dev/null; then
        umount /mnt
        words="$words; s|mount /dev|mount -o loop /dev|; s|/dev/mapper/backups|/tmp/opened|"
    else
        without "mounting a disk: there is no loop device"
        words="$words; s|^mkfs.*||; s|mount /dev/mapper/backups|mount -t tmpfs tmpfs|"
    fi
fi
run "cryptsetup luksFormat" "$words"
served server /srv/backups 127.0.0.1
run "require_mount: true"
says "nothing wrong"
client_is_added
# Closed, then opened: the page has it the other way round.
at=$((at + 1))
run "umount /srv/backups" "$words"
closed
snapgate status laptop >/tmp/said 2>&1 && fail "status looks at a store that is closed"
at=$((at - 2))
run "mount /dev/mapper/backups" "$words"
at=$((at + 1))
later server 3600
on client sh -c 'echo and so on >>letter.txt'
push || { cat /tmp/said; fail "a push into the store that is open again"; }
same /srv/backups/laptop/current/
umount /srv/backups
says_nothing /tmp/disk

# gocryptfs.
lacks=''
command -v gocryptfs >/dev/null || lacks="there is no gocryptfs"
command -v fusermount3 >/dev/null || lacks="there is no fusermount3"
if [ -z "$lacks" ]; then
    mkdir -p /tmp/fuse/from /tmp/fuse/to
    # fusermount3 reads it; systemd makes it.
    [ -e /etc/mtab ] || ln -s /proc/self/mounts /etc/mtab
    # Everybody may open it where udev has made it.
    { mknod /tmp/fuse/device c 10 229 && chmod 666 /tmp/fuse/device && mount --bind /tmp/fuse/device /dev/fuse &&
        gocryptfs -q -extpass "echo secret" -init /tmp/fuse/from && gocryptfs -q -extpass "echo secret" /tmp/fuse/from /tmp/fuse/to &&
        umount /tmp/fuse/to; } >/tmp/said 2>&1 || lacks="FUSE cannot be used here: $(tail -1 /tmp/said)"
fi
if [ -n "$lacks" ]; then
    without "gocryptfs: $lacks"
    # The rest of the page is about it.
    while at=$((at + 1)) && block "$at" | grep . >/dev/null; do :; done
    at=$((at - 1))
    return
fi
run "gocryptfs -init" 's|gocryptfs |&-extpass "echo secret" |'
install -d -m 0700 -o laptop -g laptop /srv/backups/laptop
run "owners: drop"
push || { cat /tmp/said; fail "a push into gocryptfs"; }
same /srv/backups/laptop/current/
later server 3600
on client sh -c 'echo and on >>letter.txt'
push || { cat /tmp/said; fail "a second push into gocryptfs"; }
same /srv/backups/laptop/current/
first=/srv/backups/laptop/snapshots/$(ls /srv/backups/laptop/snapshots | head -1)
[ "$first" != "$(readlink -f /srv/backups/laptop/current)" ] && [ "$(stat -c %i "$first/7")" = "$(stat -c %i /srv/backups/laptop/current/7)" ] ||
    fail "an unchanged file takes room again"
run "umount /srv/backups"
says_nothing /srv/encrypted
closed

# A copy, by a hook.
sed -i '/require_mount/d; /owners: drop/d' /etc/snapgate/snapgate.yaml
snapgate remove-client laptop >/dev/null 2>&1 || { install -d -m 700 -o laptop /srv/backups/laptop; snapgate remove-client laptop --destroy-data laptop >/dev/null; }
rm -rf /srv/backups/laptop
mkdir -p /mnt/second /mnt/open
where=server
snapgate add-client laptop --key-file /root/laptop.pub --host backup.example.org --script >/dev/null || [ $? = 1 ]
run "runuser -u laptop"
file /usr/local/lib/snapgate/encrypted-copy "fusermount3 -u"
run "chmod 0755"
policy laptop "owners: drop"
for round in 1 2; do
    later server 3600
    on client sh -c 'echo and on >>letter.txt'
    push || { cat /tmp/said; fail "push $round with a copy"; }
    same /srv/backups/laptop/current/
    grep " /var/lib/snapgate-open/laptop " /proc/mounts && fail "the copy was left open"
    [ -z "$(ls -A /var/lib/snapgate-open/laptop)" ] || fail "something is beneath the mount point"
done
snapgate log laptop | grep "hook" && fail "a hook failed: $(tail -n 20 /srv/backups/laptop/.snapgate/logs/*.log)"
says_nothing /mnt/second
# Where the second disk is not there, the snapshot is, and somebody is told.
mv /mnt/second /mnt/away
later server 3600
push || { cat /tmp/said; fail "a push without the second disk"; }
mv /mnt/away /mnt/second
told root "encrypted-copy"
run "gocryptfs -q -ro" 's|^umount|[ "$(stat -c %i /mnt/open/newest/7)" = "$(stat -c %i "/mnt/open/$(ls /mnt/open \| head -1)/7")" ]\n&|'
cmp /root/letter.txt /machines/client/home/jane/letter.txt
