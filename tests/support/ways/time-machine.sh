# The story of docs/ways/time-machine.md (ways.sh).
machine client 127.0.0.1
user client jane
served server /srv/backups 127.0.0.1
on client sh -c 'echo first >thesis.txt; mkdir drafts; for n in $(seq 30); do echo $n >drafts/$n; done'

by_script client jane
set_up "rsync -az --delete ~/ backup:"
# Two days and a half, of which a thesis is written in the second.
snapshots=/srv/backups/jane/snapshots
cp /tmp/step /tmp/script
for hour in $(seq 60); do
    later server 3600
    if [ "$hour" = 20 ]; then on client sh -c 'echo second >thesis.txt'; fi
    if [ "$hour" = 58 ]; then on client sh -c 'echo third >thesis.txt'; fi
    if [ "$hour" = 1 ]; then cron "rsync -az --delete ~/ backup:"; else where=client here rsync -az --delete ./ backup: || { cat /tmp/said; fail "the push of hour $hour"; }; fi
done
diff -r --exclude=.ssh /machines/client/home/jane /srv/backups/jane/current/
ls $snapshots | grep -vE '^20[0-9]{2}(_[0-9]{2}){5}$' >/dev/null && fail "a snapshot has another name"
[ "$(ls $snapshots | wc -l)" = 61 ] || fail "not every push is a snapshot"

run "ssh backup list"
says "$(basename "$(readlink /srv/backups/jane/current)")"
run "snapgate status jane"
says "jane"
says "hourly"
says "kept"
# They get fewer: `keep_within:` keeps a week, whatever a stolen key brings.
later server $((9 * 86400))
on client rsync -az --delete ./ backup:
snapgate maintain >/tmp/said 2>&1
[ "$(ls $snapshots | wc -l)" -lt 55 ] || { snapgate prune --explain jane; fail "nothing was thinned out"; }

run "ssh backup history" 's/@1d/@10d/'
says "changed"
on client grep -q second thesis-of-yesterday.txt || fail "the thesis of another day came back"
run "rsync -a backup:current"
on client diff -r drafts drafts-again
on client grep -q third all-again/thesis.txt
run "sftp"
says "$(basename "$(readlink /srv/backups/jane/current)")"
on client sh -c "echo 'rm $(ls $snapshots | head -1)/thesis.txt' | sftp -q -b - backup" >/tmp/said 2>&1 && fail "sftp has removed something"
[ -e "$snapshots/$(ls $snapshots | head -1)/thesis.txt" ] || fail "a file of a snapshot is gone"
ends 77 "rm -rf"
says "code program"
told root "code program"
