#!/usr/bin/env bash
# clients.sh: clients come, change and go, with real accounts and a real sshd. Runs in the copy of this machine that `readme.sh
# apart` makes, as its last word; needs a build with debug assertions for the file `faked-fault`.
set -euo pipefail
cd /src
. ./with_clients.sh

say "init"
expect 78 "snapgate init" snapgate add-client web1 --key "$key"
expect 78 "did not leave" snapgate init --store /srv/backups --mail-to root --transport sendmail:/bin/false
[ ! -e /etc/snapgate/snapgate.yaml ] || { echo "a server that cannot mail is set up"; exit 1; }
expect 64 "cannot stand" snapgate init --transport 'file:/tmp/mails"'
code=0
# At a terminal it asks for what no flag says: an empty line takes what it proposes.
printf '\nroot\nfile:/tmp/mails\n' | script -qec 'snapgate init' /dev/null >/tmp/said 2>&1 || code=$?
grep -q 'where are backups to be kept? \[/srv/backups\]' /tmp/said
grep -q 'who gets mail' /tmp/said
grep -q 'how does mail leave' /tmp/said
[ "$code" -le 1 ] && grep -q "was taken" /tmp/said || { cat /tmp/said; exit 1; }
[ "$(ls /tmp/mails | wc -l)" = 1 ]
grep -q '^check: ' /tmp/said || { echo "init does not end with check"; cat /tmp/said; exit 1; }
snapgate check --all >/tmp/said 2>&1 || true
if grep "no mailer has taken a mail" /tmp/said; then echo "the mail of \`snapgate init\` was taken"; exit 1; fi
[ "$(stat -c '%U %G %a' /etc/snapgate /etc/snapgate/policies /etc/snapgate/keys /srv/backups /var/spool/snapgate /var/spool/snapgate/sessions \
    /etc/snapgate/snapgate.yaml | tr '\n' ';')" = \
    'root snapgate 750;root snapgate 750;root root 755;root root 711;root snapgate 1730;root snapgate 660;root snapgate 640;' ]
sed -i 's/^mail:/# mine\n&/' /etc/snapgate/snapgate.yaml
cp /etc/snapgate/snapgate.yaml /tmp/site
snapgate init --store /srv/backups >/tmp/said 2>&1 </dev/null || [ $? = 1 ]
grep -q "stays as it is" /tmp/said
expect 78 "says something else" snapgate init --store /srv/others
cmp /tmp/site /etc/snapgate/snapgate.yaml
/usr/sbin/sshd

say "what is refused changes nothing"
refuses 0 "would make the account \`web1\`" snapgate add-client web1 --key "$key" --dry-run
refuses 64 "private key" snapgate add-client web1 --key-file ~me/.ssh/id_backup
refuses 64 "more than one line" snapgate add-client web1 --key "$key
$second"
refuses 64 "stands before the key" snapgate add-client web1 --key "command=\"/bin/sh\" $key"
refuses 64 "neither an address" snapgate add-client web1 --key "$key" --from 'x]
user: root'
refuses 64 "is not" snapgate add-client web1 --key "$key" --quota lots
refuses 64 "account's name" snapgate add-client Web.1 --key "$key"
refuses 64 "no host's name" snapgate add-client web1 --key "$key" --host='-oProxyCommand=x'
for name in daemon me; do refuses 77 "somebody else's" snapgate add-client "$name" --key "$key"; done
refuses 77 "is root" snapgate add-client root --key "$key"
refuses 77 "a group \`audio\` already" snapgate add-client audio --key "$key"
refuses 77 "takes root" su me -s /bin/sh -c "cd /; exec snapgate --config /etc/snapgate add-client web1 --key '$key'"
ln -s /tmp /srv/backups/web1
refuses 77 "symbolic link" snapgate add-client web1 --key "$key"
rm /srv/backups/web1
install -d -o me /srv/backups/web1
refuses 77 "belongs to uid" snapgate add-client web1 --key "$key"
rmdir /srv/backups/web1
mkdir -p /srv/backups/web1/old
refuses 77 "belongs to uid 0" snapgate add-client web1 --key "$key"
rm -r /srv/backups/web1
mv /srv/backups /srv/gone
expect 78 "is not there" snapgate add-client web1 --key "$key"
mv /srv/gone /srv/backups

say "every step that fails is undone, and after a kill a second run finishes"
state >/tmp/clean
for step in account group ids repository key policy; do
    fault "fail $step"
    expect 70 "what was made before was undone" snapgate add-client web1 --key "$key"
    rm /etc/snapgate/faked-fault
    state | diff /tmp/clean - || { echo "failing at $step leaves something"; exit 1; }
    fault "kill $step"
    code=0
    snapgate add-client web1 --key "$key" >/tmp/said 2>&1 || code=$?
    [ "$code" = 137 ] || { echo "it lived through $step: $code"; cat /tmp/said; exit 1; }
    rm /etc/snapgate/faked-fault
    adds web1 --key "$key"
    [ -f /etc/snapgate/policies/web1.yaml ]
    [ "$(stat -c '%U %a' /srv/backups/web1)" = 'web1 700' ]
    id -nG web1 | grep -qw snapgate
    removes web1
    state | diff /tmp/clean - || { echo "removing leaves something"; exit 1; }
done

say "a full disk"
mount -t tmpfs -o size=16k tmpfs /etc/snapgate/keys
chmod 755 /etc/snapgate/keys
head -c 1M /dev/zero >/etc/snapgate/keys/.full 2>/dev/null || true
expect 70 "what was made before was undone" snapgate add-client web1 --key "$key"
grep -q "No space left" /tmp/said
umount /etc/snapgate/keys
state | diff /tmp/clean -

say "two at once"
(adds web1 --key "$key") & (adds web2 --key "$second") & (adds web1 --key "$key") &
wait
for name in web1 web2; do
    [ "$(stat -c '%U %a' "/srv/backups/$name")" = "$name 700" ]
    [ "$(wc -l <"/etc/snapgate/keys/$name")" = 1 ]
done
[ "$(cut -d: -f2 /etc/subuid | sort | uniq -d | wc -l)" = 0 ]
removes web1
removes web2
state | diff /tmp/clean -

say "a client"
adds web1 --key "$key" --preset timemachine --quota 5G --from 127.0.0.0/8
[ "$(getent shadow web1 | cut -d: -f2)" = '*' ]
[ "$(getent passwd web1 | cut -d: -f5,7)" = 'snapgate client web1:/usr/bin/snapgate-shell' ]
grep -q ^web1: /etc/subuid
grep -q ^web1: /etc/subgid
[ "$(stat -c '%U %G %a' /etc/snapgate/keys/web1 /etc/snapgate/policies/web1.yaml | tr '\n' ';')" = 'root root 644;root snapgate 640;' ]
grep -qx 'quota: { bytes: 5G }' /etc/snapgate/policies/web1.yaml
{ snapgate usage web1 || true; } | grep -q ' of 5 GiB, '
grep -qx 'check: nothing wrong' /tmp/said || { cat /tmp/said; exit 1; }
chmod 700 /srv/backups
expect 1 "the account \`web1\` may not" snapgate add-client web1 --key "$key" --host backup.example.org
grep -qx 'check: mend what is said above' /tmp/said
chmod 711 /srv/backups
state >/tmp/before
adds web1 --key "$key" --preset timemachine --quota 5G --from 127.0.0.0/8
grep -q "nothing was to be done" /tmp/said
state | diff /tmp/before -
refuses 77 "another key or account" snapgate add-client web1 --key "$second"

say "what add-client checks is its client; the rest is the doctor's"
printf '#!/bin/sh\necho "rsync  version 3.2.3  protocol version 31"\n' >/tmp/old-rsync
chmod 755 /tmp/old-rsync
sed -i.was 's|^rsync:.*|rsync: /tmp/old-rsync|' /etc/snapgate/snapgate.yaml
expect 1 "rsync 3.2.3 has known vulnerabilities" snapgate check
adds web1 --key "$key" --preset timemachine --quota 5G --from 127.0.0.0/8
grep -q "vulnerabilities" /tmp/said && { cat /tmp/said; exit 1; }
mv /etc/snapgate/snapgate.yaml.was /etc/snapgate/snapgate.yaml

say "its script, run twice by whoever has the key"
snapgate add-client web1 --key "$key" --preset timemachine --host backup.example.org --script >/tmp/script </dev/null || [ $? = 1 ]
if command -v crontab >/dev/null; then as_me 'crontab -r' 2>/dev/null || true; fi
as_me 'sh /tmp/script ~/'
snapgate add-client web1 --key "$key" --preset timemachine --host backup.example.org --qr >/tmp/said </dev/null || [ $? = 1 ]
cat /tmp/said # for tests/clients.rs, which reads its code
grep -q '^    OnCalendar=\*-\*-\* \*:[0-9][0-9]:00$' /tmp/said
grep -q precious /srv/backups/web1/current/file
sleep 1
as_me 'sh /tmp/script ~/'
[ "$(ls /srv/backups/web1/snapshots | wc -l)" = 2 ]
[ "$(grep -c backup.example.org ~me/.ssh/known_hosts)" = 1 ]
[ "$(grep -c '^Host backup$' ~me/.ssh/config)" = 1 ]
if command -v crontab >/dev/null; then [ "$(as_me 'crontab -l' | grep -c '# snapgate web1$')" = 1 ]; fi
as_me 'ssh backup id' && exit 1

say "frozen"
expect 0 "web1 is frozen" snapgate freeze web1 --say 'new disks: "back" at 9 # o'"'"'clock'
# What was refused above is told first.
snapgate watch --flush >/dev/null
rm -rf /tmp/mails/*
expect 75 'new disks: "back" at 9 # o'"'"'clock' as_me 'ssh backup'
grep -q '(code frozen)' /tmp/said
snapgate watch --flush
[ "$(ls /tmp/mails | wc -l)" = 0 ]
expect 0 "frozen already" snapgate freeze web1 --say 'new disks: "back" at 9 # o'"'"'clock'
expect 64 "no text for a client" snapgate freeze web1 --say "$(printf 'a\nb')"
rm /etc/snapgate/keys.index
expect 0 "may come again" snapgate thaw web1
[ "$(indexed web1)" = 1 ]
state | diff /tmp/before - | grep -v srv/backups | grep '^[<>]' && exit 1
expect 0 "" as_me 'rsync -a ~/ backup:'

say "another key, and the first one ends"
as_second() { as_me "rsync -a -e 'ssh -i ~/.ssh/second -o IdentitiesOnly=yes -l web1' ~/ backup.example.org:"; }
expect 255 "" as_me "ssh -F /dev/null -i ~/.ssh/second -o IdentitiesOnly=yes web1@backup.example.org"
for step in policy; do
    fault "kill $step"
    snapgate rotate-key web1 --key "$second" >/tmp/said 2>&1 || [ $? = 137 ]
    rm /etc/snapgate/faked-fault
done
[ "$(indexed web1)" = 1 ]
expect 0 "ends at" snapgate rotate-key web1 --key "$second"
[ "$(indexed web1)" = 2 ]
sleep 1
expect 0 "" as_second
sleep 1
expect 0 "" as_me 'rsync -a ~/ backup:'
grep -q '^restrict,expiry-time="20[0-9]*Z" ssh-ed25519' /etc/snapgate/keys/web1
# A year has passed.
sed -i 's/expiry-time="20[0-9][0-9]/expiry-time="2020/' /etc/snapgate/keys/web1
expect 255 "" as_me 'ssh backup'
expect 0 "may come" snapgate add-key web1 --key "$third"
[ "$(wc -l </etc/snapgate/keys/web1)" = 2 ]
[ "$(grep -o 'SHA256:' /etc/snapgate/policies/web1.yaml | wc -l)" = 2 ]

say "another name"
for step in user keys account spool repository; do
    fault "kill $step"
    snapgate rename-client web1 shop >/tmp/said 2>&1 || [ $? = 137 ]
    rm /etc/snapgate/faked-fault
done
expect 0 "web1 is shop now" snapgate rename-client web1 shop
[ "$(indexed web1)" = 0 ]
[ "$(indexed shop)" = 2 ]
rm /etc/snapgate/keys.index
expect 0 "has that name already" snapgate rename-client web1 shop
[ "$(indexed shop)" = 2 ]
sleep 1
expect 0 "" as_second
[ -d /srv/backups/shop/snapshots ]
[ ! -e /srv/backups/web1 ]
adds other --key "$key"
refuses 77 "there is a client" snapgate rename-client shop other
refuses 77 "has this key already" snapgate add-key shop --key "$key"

removes other

say "a client goes, and its data stays"
uid=$(id -u web1)
spool=/var/spool/snapgate
[ -e "$spool/$uid/published-shop" ]
[ ! -e "$spool/$uid/published-web1" ]
exec 9</srv/backups/shop/.snapgate/lock
flock 9
refuses 75 "a push of shop is running" snapgate remove-client shop
flock -u 9
exec 9<&-
# It is on its way out: nothing begins any more. What it was refused waits for a mailer.
fault "kill frozen"
snapgate remove-client shop >/tmp/said 2>&1 || [ $? = 137 ]
rm /etc/snapgate/faked-fault
expect 75 "this client is being removed" as_me "ssh -F /dev/null -i ~/.ssh/second -o IdentitiesOnly=yes web1@backup.example.org"
snapgate thaw shop >/dev/null
snapgate watch --flush >/dev/null
mv /tmp/mails /tmp/away
as_me "ssh -F /dev/null -i ~/.ssh/second -o IdentitiesOnly=yes web1@backup.example.org id" >/dev/null 2>&1 || true
snapgate watch --flush >/dev/null 2>&1 || true
[ -n "$(ls "$spool/$uid/out" "$spool/$uid/new")" ]
refuses 0 "would remove its account" snapgate remove-client shop --dry-run
refuses 64 "names another client" snapgate remove-client shop --destroy-data web1
refuses 64 "no client" snapgate remove-client nobody
expect 0 "for root alone" snapgate remove-client shop
[ "$(indexed shop)" = 0 ]
[ "$(stat -c '%U %a' /srv/backups/shop)" = 'root 700' ]
grep -q precious /srv/backups/shop/current/file
getent passwd web1 && exit 1
# Whoever gets its number finds nothing, and what waited is told.
[ ! -e "$spool/$uid" ]
[ "$(stat -c '%U %a' "$spool/0/former/$uid-shop.1")" = 'root 700' ]
mv /tmp/away /tmp/mails
rm -rf /tmp/mails/*
snapgate watch --flush >/dev/null
grep -qs 'shop' /tmp/mails/* || { echo "what waited is lost"; ls -R "$spool/0"; exit 1; }
refuses 77 "Take up a repository again" snapgate add-client shop --key "$second"

say "what is destroyed is the repository and nothing else"
adds dump --key "$second" --preset dump
as_me "ln -s /tmp/outside ~/link; rsync -a -e 'ssh -F /dev/null -i ~/.ssh/second -o IdentitiesOnly=yes -l dump' ~/ backup.example.org:"
mkdir /tmp/outside
echo mine >/tmp/outside/file
mkdir /srv/backups/dump/mounted
mount -t tmpfs tmpfs /srv/backups/dump/mounted
refuses 77 "mounted" snapgate remove-client dump --destroy-data dump
umount /srv/backups/dump/mounted
number=$(id -u dump)
for step in frozen "its keys" "its spool" "its entry" "its snapshots, for good"; do
    fault "kill $step"
    snapgate remove-client dump --destroy-data dump >/tmp/said 2>&1 || [ $? = 137 ]
    rm /etc/snapgate/faked-fault
    # A process that was there until its account went.
    if [ "$step" = "its entry" ]; then install -d -o "$number" -m 700 "$spool/$number"; fi
done
removes dump
[ ! -e "$spool/$number" ]
[ -z "$(ls "$spool/0/former" | grep dump)" ]
[ ! -e /srv/backups/dump ]
grep -q mine /tmp/outside/file

say "what lasts is closed when its client is frozen or goes"
mails_of() { snapgate watch --flush >/tmp/said 2>&1 || true; grep -hs "^Subject: .*still: missed" /tmp/mails/* | sort; }
adds still --key "$second" --preset server
# A whole machine, by the line that the preset prints: whose a file is comes back.
grep -qF 'rsync -aAXHx --numeric-ids --delete / backup:' /tmp/said
install -D -o 4321 -g 4321 /dev/null /srv/machine/file
ssh="ssh -F /dev/null -i $(eval echo ~me)/.ssh/second -o IdentitiesOnly=yes -o UserKnownHostsFile=$(eval echo ~me)/.ssh/known_hosts -l still"
expect 0 "" rsync -aAXHx --numeric-ids --delete -e "$ssh" /srv/machine/ backup.example.org:
expect 0 "" snapgate restore --client still --to /root/machine
[ "$(stat -c '%u %g' /root/machine/file)" = '4321 4321' ]
rm -r /root/machine /srv/machine
echo 'expect: 1h' >>/etc/snapgate/policies/still.yaml
later() { echo $(($1 * 3600 * 1000)) >/etc/snapgate/faked-clock; }
# The first look, from which on a snapshot is waited for.
later 1
[ -z "$(mails_of)" ]
later 50
mails_of | grep -q 'missed: no snapshot since' || { cat /tmp/said; ls -R "$spool/0"; cat "$spool/0/states.json"; grep -h ^Subject: /tmp/mails/*; exit 1; }
snapgate freeze still --say 'new disks' >/dev/null
later 52
mails_of | grep -q 'missed: closed, the client is frozen' || { mails_of; exit 1; }
snapgate thaw still >/dev/null
later 80
[ "$(mails_of | wc -l)" = 3 ]
removes still
later 82
mails_of | grep -q 'missed: closed, its policy was removed' || { mails_of; exit 1; }
rm /etc/snapgate/faked-clock

say "an account that makes its spool odd goes all the same"
adds odd --key "$second"
number=$(id -u odd)
refused_of_odd() { as_me "ssh -F /dev/null -i ~/.ssh/second -o IdentitiesOnly=yes odd@backup.example.org id" >/dev/null 2>&1 || true; }
refused_of_odd
# Whoever holds this keeps the gate's own `watch` from the events that are copied here.
exec 9>"$spool/$number/lock"
flock 9
refused_of_odd
for event in "$spool/$number"/new/*.json; do
    # A watch of the gate's own may have counted it by now.
    { sed 's/"id":"[^"]*"/"id":"..\/x"/' "$event" || echo '{"id":"../x"}'; } >"$spool/$number/new/0.json"
    chown odd: "$spool/$number/new/0.json"
done
expect 0 "note: the spool of account $number is not locked" snapgate remove-client odd --destroy-data odd
flock -u 9
exec 9>&-
[ ! -e "$spool/$number" ]

say "what stands in the way is neither waited for nor believed"
adds way --key "$second"
as_me "rsync -a -e 'ssh -F /dev/null -i ~/.ssh/second -o IdentitiesOnly=yes -l way' ~/file backup.example.org:"
rm -f /srv/backups/way/.snapgate/rsync.lock
mkfifo /srv/backups/way/.snapgate/rsync.lock
chown way: /srv/backups/way/.snapgate/rsync.lock
refuses 0 "would remove its account" timeout 30 snapgate remove-client way --dry-run
mv /srv/backups/way /srv/gone
refuses 77 "is missing" snapgate remove-client way
refuses 77 "is missing" snapgate remove-client way --destroy-data way
mv /srv/gone /srv/backups/way
cp /etc/snapgate/policies/way.yaml /tmp/way.yaml
echo 'require_mount: true' >>/etc/snapgate/policies/way.yaml
for words in "remove-client way" "remove-client way --destroy-data way" "rename-client way road" "add-client way"; do
    case $words in add-client*) refuses 78 "" snapgate $words --key "$second" ;; *) refuses 78 "" snapgate $words ;; esac
    grep -q "mount point" /tmp/said || { cat /tmp/said; exit 1; }
done
cat /tmp/way.yaml >/etc/snapgate/policies/way.yaml
# A link of root's, that leads through somebody's hand to a directory of root's.
install -d -m 0777 /srv/hand
ln -s /srv/backups /srv/hand/store
ln -s /srv/hand/store /srv/road
echo 'path: /srv/road/way' >>/etc/snapgate/policies/way.yaml
refuses 77 "/srv/hand\`, above the repository, is not root's alone" snapgate remove-client way
cat /tmp/way.yaml >/etc/snapgate/policies/way.yaml
# Another's repository, that stands in this one by another name.
rm /srv/road && ln -s /srv/backups/way /srv/road
printf 'user: way\npath: /srv/road/snapshots/inner\n' >/etc/snapgate/policies/inner.yaml
install -d -o way -m 0700 /srv/backups/way/snapshots/inner
refuses 77 "the repository of inner is in" snapgate remove-client way --destroy-data way
rm -r /srv/backups/way/snapshots/inner /etc/snapgate/policies/inner.yaml /srv/road /srv/hand
# A push that begins while it gets another name, and a place that is anybody's.
exec 9</srv/backups/way/.snapgate/lock
flock 9
refuses 75 "a push of way is running" snapgate rename-client way road
flock -u 9
exec 9<&-
chmod 0777 /srv/backups
refuses 77 "not root's alone" snapgate rename-client way road
refuses 77 "not root's alone" snapgate remove-client way
refuses 77 "not root's alone" snapgate remove-client way --destroy-data way
refuses 77 "not root's alone" snapgate add-client new --key "$key"
chmod 0711 /srv/backups
removes way
[ ! -e /srv/backups/way ]
say "clients come and go"
