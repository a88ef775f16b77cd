#!/usr/bin/env bash
# ways.sh PAGE: the commands of a page of docs/ways, or of docs/encryption.md, in their order and as they stand there: real sshd, rsync and
# accounts, each machine of the page with files of its own. Runs in the copy of this machine that `readme.sh apart` makes, as its last word.
#
# Where a command runs the page says: the last `on the …` before it. Every block has to be run, or the page fails.
set -euo pipefail
cd /src
# The first process of a namespace is the parent of every orphan, and a shell waits for those, too.
if [ $$ = 1 ]; then
    bash "$0" "$@" || exit
    exit
fi
page=$1
fail() {
    echo "FAILED: $page: $*" >&2
    exit 1
}
say() { printf '== %s\n' "$*"; }
loopback() { perl -e 'my $up = pack("a16s", "lo", 0x41); socket(S, 2, 2, 0) && ioctl(S, 0x8914, $up) or die "lo: $!"'; }

# --- The page ---------------------------------------------------------------------------------------------------------------------------

# A block's code, counted from 1, or with `place` the machine on which it runs.
block() {
    awk -v wanted="$1" -v what="${2:-code}" '
        /^    / { if (!code) blocks++; code = 1; if (blocks == wanted) { if (what == "code") print substr($0, 5); else { print place; exit } } next }
        /^$/ { if (code == 1) code = 2; next }
        {
            code = 0; text = tolower($0)
            while (match(text, /(^|[^a-z])on the (server|laptop|client|file server)|(^|[^a-z])on router [ab]/)) {
                place = substr(text, RSTART, RLENGTH); sub(/^[^o]*on (the )?/, "", place); text = substr(text, RSTART + RLENGTH)
            }
        }
    ' "$page"
}
at=0 where='' code=0
# Takes the next block into /tmp/step. It has these words.
take() {
    at=$((at + 1))
    block "$at" >/tmp/step
    grep -qF -e "$1" /tmp/step || { cat /tmp/step; fail "block $at does not have \`$1\`"; }
    where=$(block "$at" place)
    # They end with 1 where they have found something of this machine.
    sed -i 's/^snapgate \(init\|add-client\|check\)/ok &/' /tmp/step
    if grep -q '^ok ' /tmp/step; then sed -i '1i ok() { "$@" || [ $? = 1 ]; }' /tmp/step; fi
}
# Runs it, with another text in the place of some by sed, and expects the exit code.
ends() {
    local wanted=$1
    take "$2"
    if [ -n "${3:-}" ]; then sed -i "$3" /tmp/step; fi
    code=0
    here bash -ex /tmp/step || code=$?
    [ "$code" = "$wanted" ] || { cat /tmp/said; fail "exit $code instead of $wanted from block $at, $where: $(cat /tmp/step)"; }
}
run() { ends 0 "$@"; }
# What it said has these words.
says() { grep -qF -e "$1" /tmp/said || { cat /tmp/said; fail "\`$1\` was not said by block $at: $(cat /tmp/step)"; }; }
# It is a line of a crontab, which cron runs without its times.
cron() {
    take "$1"
    sed -i 's/^[0-9*,/]* [0-9*,/]* \* \* \*  *//' /tmp/step
    code=0
    here env -i HOME="$(home)" PATH=/usr/bin:/bin sh -e /tmp/step || code=$?
    [ "$code" = "${2:-0}" ] || { cat /tmp/said; fail "exit $code from cron's block $at, $where: $(cat /tmp/step)"; }
}
# The next block is the line that add-client's script has just put into the crontab, or says where there is none: its times.
set_up() {
    local times table
    times=$(block $((at + 1)) | grep -F -e "$1" | cut -d' ' -f1-5)
    table=$(cat /tmp/said; here crontab -l && cat /tmp/said || true)
    grep -qF -e "$times " <<<"$table" || fail "the crontab has another line than block $((at + 1)): $table"
}
# It is for a file, which the page names: a policy, of which each key is replaced, or the whole file.
policy() {
    take "$2"
    local file=/etc/snapgate/policies/$1.yaml key
    grep -qF "\`$file\`" "$page" || fail "nothing names $file"
    for key in $(grep -o '^[a-z_]*:' /tmp/step); do here sed -i "/^$key/d" "$file"; done
    here sh -c "printf '\n' >>$file; cat /tmp/step >>$file"
}
file() {
    take "$2"
    grep -qF "\`$1\`" "$page" || fail "nothing names $1"
    here sh -c "mkdir -p '$(dirname "$1")'; cat /tmp/step >'$1'; chmod ${3:-0644} '$1'"
}
# What somebody carries from one machine to another, as the page says.
carried() {
    grep -qF -e "$1" "$page" || fail "the page does not speak of $1"
    cp "$2" "$3"
    chmod 0644 "$3"
}
# Nothing of the page is left.
the_end() {
    at=$((at + 1))
    block "$at" >/tmp/step
    [ ! -s /tmp/step ] || { cat /tmp/step; fail "block $at is run by nobody"; }
    say "$page works word for word"
}

# --- Machines ---------------------------------------------------------------------------------------------------------------------------

own="root home srv mnt etc var/spool usr/local"
# Another machine, with an address: programs are the same, and what is in these directories is its own.
machine() {
    local dir=/machines/${1// /-}
    for place in $own; do mkdir -p "$dir/$place"; done
    cp -a /etc/. "$dir/etc/"
    rm -rf "$dir/etc/snapgate" "$dir"/etc/ssh/ssh_host_*
    unshare --mount --propagation private bash -euc '
        for place in $2; do mount --bind "$1/$place" "/$place"; done
        ssh-keygen -A >/dev/null
        echo "BindAddress $3" >>/etc/ssh/ssh_config
        echo $$ >"$1/pid.new"; mv "$1/pid.new" "$1/pid"
        exec sleep infinity' machine "$dir" "$own" "$2" &
    until [ -e "$dir/pid" ]; do kill -0 $! || fail "there is no machine $1"; sleep 0.05; done
}
declare -A account=()
# On that machine, as whoever the page has there.
on() {
    local machine=$1 who
    shift
    who=${account[$machine]:-root}
    local enter=()
    if [ -e "/machines/${machine// /-}/pid" ]; then enter=(nsenter --mount="/proc/$(cat "/machines/${machine// /-}/pid")/ns/mnt"); fi
    "${enter[@]}" setsid -w bash -ec '
        who=$1 home=$(getent passwd "$1" | cut -d: -f6); shift
        cd "$home"
        exec setpriv --reuid "$who" --regid "$who" --init-groups env -i HOME="$home" USER="$who" LOGNAME="$who" TERM=dumb \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' bash "$who" "$@" </dev/null
}
here() { on "$where" "$@" >/tmp/said 2>&1; }
home() { on "$where" sh -c 'echo ~'; }
user() {
    account[$1]=$2
    local who=root machine=$1
    account[$machine]=root
    on "$machine" useradd --create-home --shell /bin/sh "$2"
    account[$machine]=$2
}
# A server as README's steps 1 to 4 leave it; its mail goes to /var/spool/mails.
served() {
    on "$1" bash -ec '
        mkdir -p /run/sshd /var/spool/mails
        ssh-keygen -A >/dev/null
        snapgate init --store "$1" --mail-to root --transport file:/var/spool/mails >/tmp/init 2>&1 || [ $? = 1 ] || { cat /tmp/init; exit 1; }
        cp /src/sshd_config.d/50-snapgate.conf /etc/ssh/sshd_config.d/
        /usr/sbin/sshd -o PidFile=none -o ListenAddress="$2"' bash "$2" "$3" || fail "$1 could not be set up"
}
# A user's own machine becomes a client: the page's commands up to the first push of the script that add-client writes.
by_script() {
    local home=/machines/$1/home/${account[$1]} client=$2
    run "ssh-keygen"
    carried "$client.pub" "$home/.ssh/id_backup.pub" "/root/$client.pub"
    run "snapgate add-client"
    policy "$client" "verbs: [rsync"
    run "snapgate check"
    carried "$client.sh" "/root/$client.sh" "$home/$client.sh"
    run "sh $client.sh"
}
# What that address is told on the server has these words. A pass of the gate's own may still be at it.
told() {
    for try in $(seq 100); do
        snapgate watch --flush >/dev/null 2>&1 || true
        if grep -lr "^To: .*$1" /var/spool/mails | xargs -r grep -F -e "$2" >/dev/null; then return; fi
        sleep 0.1
    done
    fail "$1 was not told of \`$2\`: $(cat /var/spool/mails/* 2>/dev/null)"
}
# So many seconds later: names of snapshots are times.
later() { on "$1" sh -c "echo \$((\$(cat /etc/snapgate/faked-clock 2>/dev/null || echo 0) + $2 * 1000)) >/etc/snapgate/faked-clock"; }
# The commands of a page that a stranger tries in vain.
refused() {
    local machine=$1 words=$2
    shift 2
    if on "$machine" "$@" >/tmp/said 2>&1; then fail "it was let: $*"; fi
    grep -qF -e "$words" /tmp/said || { cat /tmp/said; fail "no \`$words\` from: $*"; }
}

loopback
install -m 755 /built/snapgate /built/snapgate-shell /usr/bin/
for place in root home srv mnt var/spool usr/local; do
    mkdir -p "/machines/server/$place"
    mount --bind "/machines/server/$place" "/$place"
done
cat >/etc/hosts <<'END'
127.0.0.1 localhost backup.example.org router-a.example.net web1.example.org
127.0.0.2 router-b.example.net
END
. "/src/ways/$(basename "$page" .md).sh"
the_end
