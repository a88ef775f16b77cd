# The story of docs/ways/two-routers.md (ways.sh).
mkdir /machines/server/srv/backups
mount -t tmpfs -o mode=755 tmpfs /srv/backups
machine "router b" 127.0.0.2
on "router b" bash -ec 'mkdir /srv/backups; mount -t tmpfs -o mode=755 tmpfs /srv/backups; mkdir /etc/config; echo b >/etc/config/network'
mkdir /etc/config
echo a >/etc/config/network
served "router a" /srv/backups 127.0.0.1
served "router b" /srv/backups 127.0.0.2
b=/machines/router-b/root

run "ssh-keygen"
run "ssh-keygen"
carried router-a.pub /root/.ssh/id_backup.pub $b/router-a.pub
carried router-b.pub $b/.ssh/id_backup.pub /root/router-b.pub
run "snapgate add-client router-a"
run "snapgate add-client router-b"
carried router-a.sh $b/router-a.sh /root/router-a.sh
carried router-b.sh /root/router-b.sh $b/router-b.sh
run "sh router-a.sh"
set_up_says=$(cat /tmp/said)
run "sh router-b.sh"
echo "$set_up_says" >/tmp/said
where="router a"
set_up "rsync -a --delete /etc/ backup:"
# What a machine changes in its /etc while it works.
passing='--exclude=*- --exclude=faked-clock --exclude=.clients.lock --exclude=keys.index --exclude=subuid --exclude=subgid'
of_a_on_b() { on "router b" sh -c "diff -r --no-dereference $passing \$1 /srv/backups/router-a/current/" sh "/tmp/a"; }
rm -rf /tmp/a
cp -a /etc /tmp/a
later "router b" 86400
echo aa >/etc/config/network
cp /etc/config/network /tmp/a/config/
cron "rsync -a --delete /etc/ backup:"
of_a_on_b
[ "$(on "router b" sh -c 'ls /srv/backups/router-a/snapshots | wc -l')" = 2 ] || fail "not every push is a snapshot"
grep -qx b /srv/backups/router-b/current/config/network || fail "router B has not pushed"

# One drives both directions.
run "id_fetch"
carried fetch.pub /root/.ssh/id_fetch.pub $b/fetch.pub
run "rrsync -ro /etc"
take "Host fetch-b"
cat /tmp/step /root/.ssh/config >/root/config
cat /root/config >/root/.ssh/config
at=$((at + 1))
policy router-b "from:"
at=$((at - 2))
on "router b" sh -c 'echo bbb >/etc/config/network'
later "router a" 86400
cron "58 3"
at=$((at + 1))
grep -qx bbb /srv/backups/router-b/current/config/network || fail "nothing new of router B is a snapshot"
grep -qx b "/srv/backups/router-b/$(cd /srv/backups/router-b && ls -d snapshots/* | head -1)/config/network" || fail "the snapshot before was changed"
on "router a" ssh fetch-b id >/tmp/said 2>&1 && fail "the key that fetches has run id"
on "router a" rsync -a /etc/hostname fetch-b:config/ >/tmp/said 2>&1 && fail "the key that fetches has written"
refused "router b" "code address" rsync -a --delete /etc/ backup:
on "router a" snapgate maintain >/tmp/said 2>&1 || { cat /tmp/said; fail "maintain has something to say of the copy in the store"; }
[ ! -s /tmp/said ] || { cat /tmp/said; fail "maintain speaks of the copy"; }

run "ssh backup status"
says "newest"
run "snapgate status router-b"
says "router-b"
run "snapgate restore" 's/@1d/@0h/'
on "router b" grep -qx aa network/network
on "router b" sed -i 's/^verbs: .*/verbs: [rsync, status, restore]/' /etc/snapgate/policies/router-a.yaml
run "rsync -a backup:@1d" 's/@1d/@0h/'
grep -qx aa /etc/config/network

# Unplugged, and from elsewhere.
on "router b" sh -c 'mv /srv/backups/* /tmp/kept 2>/dev/null; umount /srv/backups'
refused "router a" "code store" rsync -a --delete /etc/ backup:
[ -z "$(on "router b" ls -A /srv/backups)" ] || fail "something is beneath the mount point"
on "router b" sed -i 's/^127.0.0.1 .*/127.0.0.1 localhost/' /etc/hosts
refused "router a" "code address" rsync -a --delete /etc/ backup:
