# The story of docs/ways/laptop.md (ways.sh).
machine laptop 127.0.0.1
user laptop jane
served server /srv/backups 127.0.0.1
on laptop sh -c 'echo dear >letter.txt; mkdir photos; for n in $(seq 30); do echo $n >photos/$n; done'

by_script laptop laptop
says "pushes /home/jane/"
snapshots=/srv/backups/laptop/snapshots
current() { readlink /srv/backups/laptop/current; }
same() { diff -r --exclude=.ssh --exclude=laptop.sh /machines/laptop/home/jane /srv/backups/laptop/current/; }
same
first=$(current)
set_up "rsync -az --delete ~/ backup:"
later server 1800
on laptop sh -c 'echo sir >letter.txt'
cron "rsync -az --delete ~/ backup:"
[ "$(ls $snapshots | wc -l)" = 2 ] && [ "$(current)" != "$first" ] || fail "the second push is no snapshot"
same
[ "$(stat -c %i /srv/backups/laptop/current/photos/1)" = "$(stat -c %i "/srv/backups/laptop/$first/photos/1")" ] || fail "an unchanged file takes room again"

run "ssh backup status"
says "${first##*/}"
says "$(basename "$(current)")"
run "snapgate status laptop"
says "laptop"
says "$(basename "$(current)")"

later server 86400
run "rsync -a backup:current/letter.txt"
on laptop grep -q sir letter-again.txt || fail "another letter came back"
on laptop diff -r photos photos-again
run "ssh backup history"
says "changed"
run "snapgate restore"
grep -q sir /root/laptop/letter.txt

# Interrupted: nothing is published, and the next push goes on.
was=$(current)
on laptop sh -c 'head -c 30M /dev/urandom >video'
on laptop bash -c 'rsync -az --bwlimit=2m --delete ./ backup: & echo $! >/tmp/pushing; wait $!' >/tmp/said 2>&1 &
pushing=$!
received() { du -sk /srv/backups/laptop/inprogress 2>/dev/null | cut -f1; }
until [ "$(received)" -gt 4000 ] 2>/dev/null; do kill -0 $pushing || fail "the push ended: $(cat /tmp/said)"; sleep 0.1; done
kill "$(cat /tmp/pushing)"
wait $pushing && fail "the push was not interrupted"
until snapgate log laptop -n 1 | grep interrupted >/dev/null; do sleep 0.1; done
[ "$(current)" = "$was" ] || fail "what was interrupted is published"
later server 1800
on laptop rsync -az --stats --delete ./ backup: >/tmp/said 2>&1
sent=$(sed -n 's/,//g; s/^Literal data: \([0-9]*\) .*/\1/p' /tmp/said)
[ "$sent" -lt 30000000 ] || fail "all of it was sent again: $sent"
same

# Stolen.
refused laptop "code program" ssh backup 'rm -rf /srv/backups/laptop'
refused laptop "code path" rsync -a letter.txt backup:../other/
later server 1800
on laptop sh -c 'mkdir empty; echo pay >empty/README; rsync -a --delete empty/ backup:' >/tmp/said 2>&1
snapgate list laptop | grep HELD >/dev/null || fail "an emptied home is not held"
on laptop rsync -a "backup:${was##*/}/letter.txt" ./still-there
on laptop ssh-keygen -q -t ed25519 -N '' -f new
carried new.pub /machines/laptop/home/jane/new.pub /root/new.pub
# sshd goes by its own clock.
rm /etc/snapgate/faked-clock
run "snapgate rotate-key"
ends=$(sed -n 's/^restrict,expiry-time="\([0-9]*\)Z".*/\1/p' /etc/snapgate/keys/laptop)
[ "$ends" -le "$(date -u -d '+1 minute' +%Y%m%d%H%M)" ] || fail "the stolen key ends at $ends"
# Instead of waiting for it.
sed -i 's/expiry-time="20[0-9][0-9]/expiry-time="2020/' /etc/snapgate/keys/laptop
refused laptop "Permission denied" ssh -o BatchMode=yes backup status
on laptop ssh -i new -o IdentitiesOnly=yes -F /dev/null -o StrictHostKeyChecking=no laptop@backup.example.org status >/dev/null 2>&1 || fail "the new key is not taken"
