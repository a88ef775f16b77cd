# The story of docs/ways/prepare-complete.md (ways.sh).
[ -e /usr/share/zoneinfo/Europe/Madrid ] || { echo "this machine has no time zones (tzdata)"; exit 77; }
machine client 127.0.0.1
served server /srv/backups 127.0.0.1
on client bash -ec '
    mkdir -p /srv/www /srv/db /usr/local/sbin; echo home >/srv/www/index.html; chown 33:33 /srv/www/index.html
    for n in $(seq 30); do echo $n >/srv/db/$n; done'
mkdir -p /mnt/second
mount -t tmpfs -o mode=755 tmpfs /mnt/second
# A Saturday at noon, in whatever year this is run.
noon=$(date -d "next saturday 12:00" +%s)
echo "$(((noon - $(date +%s)) * 1000))" >/etc/snapgate/faked-clock

run "ssh-keygen"
carried web1.pub /machines/client/root/.ssh/id_backup.pub /root/web1.pub
run "snapgate add-client"
where=server
file /usr/local/lib/snapgate/disk-is-there "mountpoint"
file /usr/local/lib/snapgate/mirror "rsync -aH"
run "chmod 0755"
policy web1 "verbs: [prepare"
ends 77 "snapgate check"
says "nothing wrong"
says "outside mon-fri 22:00-06:00"
carried web1.sh /root/web1.sh /machines/client/root/web1.sh
run "sh web1.sh /srv"
set_up "rsync -a --delete /srv backup:"
repository=/srv/backups/web1
current() { readlink $repository/current; }
diff -r /machines/client/srv $repository/current/srv
newest=$(current)
mirrored() { diff -r "$repository/current/" "/mnt/second/web1/newest/"; }
mirrored
later server 86400
on client sh -c 'echo page >/srv/www/index.html'
cron "ssh backup prepare"
diff -r /machines/client/srv $repository/current/srv
mirrored
[ "$(stat -c %i /mnt/second/web1/newest/srv/db/1)" = "$(stat -c %i "/mnt/second/web1/${newest##*/}/srv/db/1")" ] || fail "the mirror links nothing"
later server 3600
where=client
file /usr/local/sbin/back-up "ssh backup prepare" 0755
on client back-up >/tmp/said 2>&1 || { cat /tmp/said; fail "two places"; }
diff -r /machines/client/srv $repository/current/srv
mirrored

run "ssh backup status"
says "$(basename "$(current)")"
run "snapgate status web1"
says "$(basename "$(current)")"
says "published 20"
told jobs@example.org "published"

run "rsync -a backup:@1d" 's/@1d/@1h/'
on client grep -q page /srv/index.html.old || fail "another page came back"
run "snapgate restore" 's/@1d/@1h/'
[ "$(stat -c %u /root/www/index.html)" = 33 ] || fail "the owner did not come back"

# What fails publishes nothing.
was=$(current)
later server 3600
on client bash -c 'ssh backup prepare; head -c 20M /dev/urandom >/srv/db/video
    timeout 2 rsync -a --delete --bwlimit=3m /srv/db/ backup:srv/db/; ssh backup complete $?' >/tmp/said 2>&1 && fail "a push failed and all is well"
[ "$(current)" = "$was" ] || fail "what failed is published"
later server 3600
on client mv /srv/www /srv/lost
on client back-up >/tmp/said 2>&1 || { cat /tmp/said; fail "a place is missing"; }
on client mv /srv/lost /srv/www
snapgate list web1 | tail -1 | grep partial >/dev/null || fail "what is not whole is not partial"
was=$(current)
later server 3600
umount /mnt/second
refused client "code hook" back-up
later server $((48 * 3600))
refused client "code window" ssh backup prepare
told root "the second disk is not mounted"
later server $((-48 * 3600))
sed -i 's/^from:.*/from: [192.0.2.7]/' /etc/snapgate/policies/web1.yaml
refused client "code address" ssh backup prepare
sed -i 's/^from:.*/from: [host:web1.example.org]/' /etc/snapgate/policies/web1.yaml
mount -t tmpfs -o mode=755 tmpfs /mnt/second
later server 7200
run "ssh backup abort"
[ "$(current)" = "$was" ] || fail "what was given up is published"
