# The story of docs/ways/dump.md (ways.sh).
mkdir -p /dump /newage/books /restored
mount -t tmpfs -o mode=755 tmpfs /dump
useradd --create-home clerk
echo 1 >/newage/books/accounts.csv
for n in $(seq 30); do echo "$n" >"/newage/books/$n"; done
chown -R clerk: /newage/books
chmod 0700 /newage/books

served server /dump 127.0.0.1
run "snapgate add-client"
[ ! -e /root/nobody ]
policy newage "verbs: [rsync"
snapshots=/dump/newage/snapshots
cron "0 * * * *"
later server 3600
echo 22 >/newage/books/accounts.csv
at=$((at - 1))
cron "0 * * * *"
current() { readlink /dump/newage/current; }
[ "$(find $snapshots -mindepth 3 -maxdepth 3 | wc -l)" = 2 ] || fail "not every dump is a snapshot"
current | grep -E '^snapshots/20[0-9]{2}/[0-9]{4}/[0-9]{4}$' >/dev/null || fail "a dump has another name: $(current)"
diff -r /newage /dump/newage/current/
run "snapgate status"
says "$(current | sed 's|snapshots/||')"

later server $((24 * 3600))
echo 333 >/newage/books/accounts.csv
at=$((at - 2))
cron "0 * * * *"
at=$((at + 1))
run "snapgate history"
says "changed"
run "snapgate restore"
[ "$(cat /root/accounts/accounts.csv)" = 22 ] || fail "another day's accounts came back"
[ "$(stat -c %U /root/accounts/accounts.csv)" = clerk ] || fail "the owner did not come back"
diff -r /newage /restored
[ "$(stat -c '%U %a' /restored/books)" = 'clerk 700' ]

# Not mounted: refused, told, and nothing beneath.
umount /dump
later server 3600
line=$(block 3)
sh -c "${line#*\*  }" >/tmp/said 2>&1 && fail "a dump went into the first disk"
grep -q "code store" /tmp/said || { cat /tmp/said; fail "no code"; }
[ -z "$(ls -A /dump)" ] || fail "something is beneath the mount point"
told root "is not a mount point"
SSH_ORIGINAL_COMMAND='rsync --server . .' snapgate rsh --client newage x rsync --server . . >/tmp/said 2>&1 && fail "sshd could run it"
ends 75 "snapgate explain"
says "is not a mount point"
