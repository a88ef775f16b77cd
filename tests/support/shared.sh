#!/usr/bin/env bash
# shared.sh: several clients with one account, by a file of keys or by AuthorizedKeysCommand: what is done to one of them is done to no
# other. With real accounts and a real sshd, in the copy of this machine that `readme.sh apart` makes, as its last word.
set -euo pipefail
cd /src
. ./with_clients.sh
# The code of a section of docs/how-to.md, by its heading, its blocks counted from 1.
how_to() {
    awk -v heading="$1" -v wanted="$2" '
        /^##/ { inside = $0 ~ "^#+ " heading "$" }
        inside && /^    / { if (!code) blocks++; code = 1; if (blocks == wanted) print substr($0, 5); next }
        !/^$/ { code = 0 }
    ' docs/how-to.md | grep . || { echo "docs/how-to.md has no block $2 in \`$1\`" >&2; exit 1; }
}
# Has sshd read its files anew, and waits until it listens.
sshd_again() {
    local old
    sshd -t
    old=$(cat /run/sshd.pid)
    kill "$old"
    while [ -e "/proc/$old" ]; do sleep 0.1; done
    /usr/sbin/sshd
    until (exec 3<>/dev/tcp/127.0.0.1/22) 2>/dev/null; do sleep 0.1; done
}
as_shared() { as_me "$2 -F /dev/null -i ~/.ssh/$1 -o IdentitiesOnly=yes shared@backup.example.org $3"; }
pushes_as() { as_me "rsync -a -e 'ssh -F /dev/null -i ~/.ssh/$1 -o IdentitiesOnly=yes -l shared' ~/file backup.example.org:"; }
published() { ls "/srv/backups/$1/snapshots" | wc -l; }
keys=/etc/snapgate/keys/shared
# The lines of a client, and those of all others.
of() { grep -F -e "--client $1\"" "$keys"; }
others() { grep -vF -e "--client $1\"" "$keys"; }
snapgate init --store /srv/backups --mail-to root --transport file:/tmp/mails >/tmp/said 2>&1 </dev/null || [ $? = 1 ]
/usr/sbin/sshd
echo "backup.example.org $(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)" >~me/.ssh/known_hosts

say "what failed takes an account nothing but what it gave"
useradd --user-group --no-create-home --password '*' --shell /usr/bin/snapgate-shell shared
sed -i '/^shared:/d' /etc/subuid /etc/subgid
for before in "" "shared:700000:65536"; do
    if [ -n "$before" ]; then echo "$before" >>/etc/subuid; fi
    state >/tmp/clean
    for step in group ids policy; do
        fault "fail $step"
        expect 70 "what was made before was undone" snapgate add-client one --key "$key" --user shared --shared-account
        rm /etc/snapgate/faked-fault
        state | diff /tmp/clean - || { echo "failing at $step leaves something of an account that was there"; exit 1; }
    done
done
userdel shared

say "several clients with one account"
adds one --key "$key" --user shared --shared-account
refuses 77 "has this key already" snapgate add-client two --key "$key" --user shared --shared-account
refuses 77 "one has the account" snapgate add-client two --key "$second" --user shared
# A key's line says whose it is where no policy does, and where that cannot be read.
cp /etc/snapgate/policies/one.yaml /tmp/one.yaml
sed -i '/^keys:/d' /etc/snapgate/policies/one.yaml
refuses 77 "one has this key already" snapgate add-client two --key "$key" --user shared --shared-account
cp "$keys" /tmp/shared
sed -i 's/,command="[^"]*"//' "$keys"
refuses 77 "one has this key already" snapgate add-client two --key "$key" --user shared --shared-account
cat /tmp/shared >"$keys"
echo 'kyes: []' >>/etc/snapgate/policies/one.yaml
refuses 77 "one has this key already" snapgate add-client two --key "$key" --user shared --shared-account
cat /tmp/one.yaml >/etc/snapgate/policies/one.yaml
# What was replaced comes back.
cp "$keys" /tmp/shared
echo "restrict,command=\"/usr/bin/snapgate-shell --client gone\" $second" >>"$keys"
fault "fail policy"
refuses 70 "what was made before was undone" snapgate add-client two --key "$second" --user shared --shared-account
rm /etc/snapgate/faked-fault
cat /tmp/shared >"$keys"
adds three --key-file ~me/.ssh/fourth.pub --user shared --shared-account
adds three2 --key-file ~me/.ssh/seventh.pub --user shared --shared-account
for name in one three three2; do [ "$(of "$name" | grep -c "^restrict,command=\"/usr/bin/snapgate-shell --client $name\" ssh-ed25519 ")" = 1 ]; done
for pair in "one id_backup" "three fourth" "three2 seventh"; do
    set -- $pair
    expect 0 "" pushes_as "$2"
    [ "$(published "$1")" = 1 ] && [ -e "/srv/backups/$1/current/file" ] || { echo "$1 has no snapshot"; exit 1; }
done
# The gate gives the key of a bare line to the one whose policy lists none.
cp "$keys" /tmp/shared
sed -i '/^keys:/d' /etc/snapgate/policies/one.yaml
sed -i '/--client one"/s/,command="[^"]*"//' "$keys"
refuses 77 "one has this key already" snapgate add-key three --key "$key"
refuses 77 "one has this key already" snapgate add-client four --key "$key" --user shared --shared-account
cat /tmp/one.yaml >/etc/snapgate/policies/one.yaml
cat /tmp/shared >"$keys"

say "a new key of one is its own, and ends no other's"
others three >/tmp/others
of three >/tmp/fourth
refuses 64 "that time is past" snapgate rotate-key three --key "$second" --until 2020-01-01
refuses 64 "more than 366 days" snapgate rotate-key three --key "$second" --until 367d
refuses 64 "more than 366 days" snapgate rotate-key three --key "$second" --overlap 367d
refuses 64 "write a day like" snapgate rotate-key three --key "$second" --until soon
from=$(date -u -d '+7 days' +%Y%m%d%H%M)
expect 0 "ends at" snapgate rotate-key three --key "$second"
to=$(date -u -d '+7 days +1 minute' +%Y%m%d%H%M)
others three | diff /tmp/others -
# Of the old one nothing but its end is another, which is in a week.
ends() { of three | sed -n "s/^restrict,command=\"[^\"]*\",expiry-time=\"\([0-9]*\)Z\" /\1 /p"; }
ends >/tmp/ends
read -r end old </tmp/ends
[ "$(wc -l </tmp/ends)" = 1 ] && [ "$end" -ge "$from" ] && [ "$end" -le "$to" ] || { echo "$from $end $to"; exit 1; }
grep -qF "$old" /tmp/fourth
[ "$(of three | grep -cF "${second% *}")" = 1 ]
[ "$(of three | grep -c '^restrict,command="/usr/bin/snapgate-shell --client three" ssh')" = 1 ]
for name in second fourth seventh id_backup; do expect 0 "" pushes_as "$name"; done
[ "$(published one) $(published three) $(published three2)" = "2 3 2" ]
# By a date, on the clocks of the policy.
echo 'timezone: America/Bogota' >>/etc/snapgate/policies/three.yaml
day=$(date -u -d '+3 days' +%F)
expect 0 "ends at $day 05:00 UTC" snapgate rotate-key three --key "$second" --until "$day"
[ "$(ends | cut -d' ' -f1)" = "${day//-/}0500" ]
# Without `keys:` it is the line that says whose a key is.
cp /etc/snapgate/policies/three.yaml /tmp/three.yaml
sed -i '/^keys:/d' /etc/snapgate/policies/three.yaml
expect 0 "may come" snapgate rotate-key three --key "$third" --until 2d
others three | diff /tmp/others -
[ "$(of three | wc -l) $(ends | wc -l)" = "3 2" ]
cp "$keys" /tmp/shared
# Of a bare line nothing says whose it is; it is named, and so is a policy that cannot be read.
sed -i '/--client three"/s/,command="[^"]*"//' "$keys"
expect 0 "nothing says which client of the account has it" snapgate rotate-key three --key "$third"
[ "$(grep -c "key SHA256:[^ ]* stays" /tmp/said)" = 2 ]
grep -q 'list the keys of each client under `keys:`' /tmp/said
grep -q "no other key" /tmp/said && exit 1
echo 'kyes: []' >>/etc/snapgate/policies/one.yaml
refuses 78 "policies/one.yaml" snapgate rotate-key three --key "$third"
cat /tmp/one.yaml >/etc/snapgate/policies/one.yaml
cat /tmp/shared >"$keys"
cat /tmp/three.yaml >/etc/snapgate/policies/three.yaml
expect 0 "may come" snapgate add-key three --key "$third"
others three | diff /tmp/others -
# What has ended goes, and nobody else's does.
sed -i 's/expiry-time="20[0-9][0-9]/expiry-time="2020/' "$keys"
others three | sed 's/restrict,/&expiry-time="202001010000Z",/' >/tmp/ended
of three >>/tmp/ended
cp /tmp/ended "$keys"
expect 0 "may come" snapgate add-key three --key-file ~me/.ssh/fourth.pub
[ "$(of three | wc -l) $(others three | wc -l)" = "2 2" ]
{ cat /tmp/others; of three; } >/tmp/mended
cat /tmp/mended >"$keys"

say "another name"
# However a line is spaced, it is the client's.
sed -i 's/ --client three"/ --client  three "/' "$keys"
for step in keys spool record repository; do
    fault "kill $step"
    snapgate rename-client three four >/tmp/said 2>&1 || [ $? = 137 ]
    rm /etc/snapgate/faked-fault
done
sed -i 's/ --client  four "/ --client four"/' "$keys"
# What the account makes anew decides nothing.
install -o shared -m 600 /dev/null "/var/spool/snapgate/$(id -u shared)/published-three"
expect 0 "three is four now" snapgate rename-client three four
[ ! -e /etc/snapgate/.renaming ]
others four | diff /tmp/others -
[ "$(of four | wc -l)" = 2 ]
before=$(published four)
expect 0 "" pushes_as fourth
[ "$(published four)" = $((before + 1)) ]
uid=$(id -u shared)
spool=/var/spool/snapgate
[ -e "$spool/$uid/published-four" ]
[ ! -e "$spool/$uid/published-three" ]
# What another client of the account left is nobody else's.
mv /srv/backups/four /srv/four
install -d -o shared -m 700 /srv/backups/five
refuses 77 "is there already" snapgate rename-client four five
rmdir /srv/backups/five
mv /srv/four /srv/backups/four

say "the same without a forced command: the account's shell is the gate, and a key's line says who it is"
[ "$(getent passwd shared | cut -d: -f7)" = /usr/bin/snapgate-shell ]
cp /etc/ssh/sshd_config.d/50-snapgate.conf /tmp/50-snapgate.conf
sed -i 's/^    ForceCommand .*/    ForceCommand none/' /etc/ssh/sshd_config.d/50-snapgate.conf
sshd_again
for pair in "one id_backup" "four fourth"; do
    set -- $pair
    before=$(published "$1")
    sleep 1
    expect 0 "" pushes_as "$2"
    [ "$(published "$1")" = $((before + 1)) ]
    expect 0 "$1" as_shared "$2" ssh ""
done
# Nobody becomes somebody else by a name: not by the line of a key, nor by what is typed where a key forces nothing.
cp /etc/snapgate/keys/shared /tmp/shared
sed -i '/--client four"/s/--client four/--client one/' /etc/snapgate/keys/shared
expect 77 "(code program)" as_shared fourth ssh status
sed -i 's/,command="[^"]*"//' /etc/snapgate/keys/shared
expect 77 "(code program)" as_shared fourth ssh "'snapgate-shell --client one'"
expect 77 "(code program)" as_shared fourth ssh "'/usr/bin/snapgate-shell --config /tmp --client four'"
expect 0 "four" as_shared fourth ssh "'snapgate-shell --client four'"
# Without a word of sshd's about the key nobody can tell.
sed -i 's/^    ExposeAuthInfo yes/    ExposeAuthInfo no/' /etc/ssh/sshd_config.d/50-snapgate.conf
cp /tmp/shared /etc/snapgate/keys/shared
sshd_again
expect 77 "(code no-policy)" as_shared fourth ssh status

say "sshd asks for keys, as docs/how-to.md says it"
cp /tmp/50-snapgate.conf /etc/ssh/sshd_config.d/50-snapgate.conf
how_to "For thousands of clients" 1 >/tmp/step
sed "s/'ssh-ed25519 AAAA…'/\"\$key\"/" /tmp/step >/tmp/step.sh
grep -q '"\$key"' /tmp/step.sh
# It ends with 1 where its check has found something.
sed -i 's/^snapgate add-client .*/& || [ $? = 1 ]/' /tmp/step.sh
key=$(cat ~me/.ssh/sixth.pub) bash -eux /tmp/step.sh >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
how_to "For thousands of clients" 2 >/etc/ssh/sshd_config.d/40-snapgate-keys.conf
sshd_again
as_web() { as_me "rsync -a -e 'ssh -F /dev/null -i ~/.ssh/$1 -o IdentitiesOnly=yes -l webs' ~/file backup.example.org:"; }
expect 0 "" as_web sixth
[ -e /srv/backups/web1/current/file ]
# rsync may end with 12 where ssh does with 255.
expect 255 "Permission denied" as_me "ssh -F /dev/null -i ~/.ssh/fourth -o IdentitiesOnly=yes webs@backup.example.org"
expect 0 "may come" snapgate add-key web1 --key-file ~me/.ssh/fifth.pub
rm -f /etc/snapgate/keys/webs
sleep 1
expect 0 "" as_web fifth
expect 77 "(code program)" as_me "ssh -F /dev/null -i ~/.ssh/fifth -o IdentitiesOnly=yes webs@backup.example.org id"
cp ~me/.ssh/sixth.pub web1.pub
how_to "For thousands of clients" 3 >/tmp/step
grep -q sudo /tmp/step
# Not every machine has sudo.
sed 's/^sudo -u snapgate-keys/setpriv --reuid snapgate-keys --regid snapgate --clear-groups/' /tmp/step >/tmp/step.sh
expect 0 'restrict,command="/usr/bin/snapgate-shell --client web1" ssh-ed25519' bash -eu /tmp/step.sh
rm /etc/ssh/sshd_config.d/40-snapgate-keys.conf
sshd_again
removes web1
userdel snapgate-keys

say "one goes"
others four >/tmp/others
cp /etc/snapgate/policies/three2.yaml /tmp/three2.yaml
cp "$keys" /tmp/shared
sed -i '/^keys:/d' /etc/snapgate/policies/three2.yaml
refuses 0 "would remove its keys" snapgate remove-client three2 --dry-run
sed -i '/--client three2"/s/,command="[^"]*"//' "$keys"
refuses 0 "whatever key it used would stay" snapgate remove-client three2 --dry-run
grep -q "remove its keys" /tmp/said && exit 1
cp /tmp/shared "$keys"
cat /tmp/three2.yaml >/etc/snapgate/policies/three2.yaml
others three2 >/tmp/others
# The account's number is another's when the client goes that it was made for: what stays is root's at once.
fault "kill its keys"
snapgate remove-client three2 >/tmp/said 2>&1 || [ $? = 137 ]
rm /etc/snapgate/faked-fault
expect 0 "account \`shared\` stays" snapgate remove-client three2
diff /tmp/others "$keys"
[ "$(stat -c '%U %a' /srv/backups/three2)" = 'root 700' ]
[ -d /srv/backups/three2/snapshots ]
[ ! -e "$spool/$uid/published-three2" ]
[ -e "$spool/$uid/published-one" ]
[ -e "$spool/$uid/published-four" ]
expect 0 "" pushes_as id_backup
# So nobody takes it up without a look.
refuses 77 "Take up a repository again" snapgate add-client three2 --key-file ~me/.ssh/seventh.pub --user shared --shared-account
# A client that was removed by hand left its repository to the account.
rm /etc/snapgate/policies/four.yaml
refuses 0 "/srv/backups/four is the account's, too, and would stay" snapgate remove-client one --dry-run
grep -qF "/srv/backups/one would stay, with all snapshots, for root alone" /tmp/said
expect 0 "/srv/backups/four is the account's, too, and stays" snapgate remove-client one
grep -qF "/srv/backups/one stays, with all snapshots, for root alone" /tmp/said
getent passwd shared && exit 1
[ ! -e "$keys" ]
[ "$(stat -c '%U %a' /srv/backups/four)" = 'root 700' ]
[ -d /srv/backups/four/snapshots ]
[ -z "$(find /srv/backups -maxdepth 1 -uid "$uid")" ]
say "they come and go alone"
