# older.sh: an older build is replaced by this one, and this one by it, with a client's snapshots and a mail that waits. Sourced by
# package.sh, in a server that the package was purged from. Each has to understand what the other has written.

older_and_back() {
    local older=$1 newer=$2 site=/etc/snapgate/snapgate.yaml
    quietly dpkg -i "$(deb "$older")"
    is "$(status_of)" "ii $older"
    install -d -m 0711 /srv/older /srv/mails
    site_file() { printf '%s\n' 'store: /srv/older' 'syslog: off' "mail: { to: [root], transport: \"$1\" }" >"$site"; chgrp snapgate "$site"; chmod 0640 "$site"; }
    # Nobody takes a mail: what is to be told stays in the spool.
    site_file smtp://127.0.0.1:1
    reloads=$(($(reloads) + 1))
    kill -HUP "$(cat /run/sshd.pid)"
    reloaded "$reloads"
    if snapgate add-client --help >/dev/null 2>&1; then
        (cd /root && snapgate add-client kept --key-file laptop.pub --host backup.example.org) >/tmp/said 2>&1 </dev/null || [ $? = 1 ] || { cat /tmp/said; fail "add-client of $older"; }
    else
        # As its README had it.
        useradd --create-home --groups snapgate --shell /usr/bin/snapgate-shell --password '*' kept
        install -d -o kept -g kept -m 0700 /srv/older/kept /home/kept/.ssh
        install -o kept -g kept -m 0600 /root/laptop.pub /home/kept/.ssh/authorized_keys
        echo 'verbs: [rsync, status]' >/etc/snapgate/policies/kept.yaml
        chgrp snapgate /etc/snapgate/policies/kept.yaml
        chmod 0640 /etc/snapgate/policies/kept.yaml
    fi
    repository=/srv/older/kept ledger=/srv/older/kept/.snapgate/ledger.jsonl pushes=0
    as_kept="ssh -F /dev/null -i ~/.ssh/id_backup -o IdentitiesOnly=yes -l kept"
    # Its ledger, its snapshots and the programs that read them know one push more than before, and unchanged files are shared.
    pushed_by() {
        local newest
        sleep 1
        echo "$1" >>~me/changes
        newest=$(readlink -f $repository/current || true)
        su me -c "rsync -a --delete -e '$as_kept' ~/file ~/changes backup.example.org:" >/tmp/said 2>&1 </dev/null || { cat /tmp/said; fail "no push by $1"; }
        pushes=$((pushes + 1))
        is "$(snapgate list kept --json | grep -c '"snapshot"' || true)" "$pushes"
        is "$(ls $repository/snapshots | wc -l)" "$pushes"
        is "$(wc -l <$repository/current/changes)" "$pushes"
        if [ "$pushes" -gt 1 ]; then is "$(stat -c %i $repository/current/file)" "$(stat -c %i "$newest/file")"; fi
        su me -c "$as_kept backup.example.org status" </dev/null >/tmp/said 2>&1 || { cat /tmp/said; fail "a client of $1 is told nothing"; }
        snapgate status kept >/tmp/said 2>&1 || { cat /tmp/said; fail "status by $1"; }
        # What was recorded is what was: nobody writes a line anew.
        if [ -e /tmp/ledger ]; then head -c "$(stat -c %s /tmp/ledger)" $ledger | cmp - /tmp/ledger; fi
        cp $ledger /tmp/ledger
        if snapgate log --help >/dev/null 2>&1; then is "$(snapgate log kept --outcome published --json | wc -l)" "$pushes"; fi
        snapgate restore --client kept --to "/root/back-$pushes" "$(ls $repository/snapshots | head -1)" >/tmp/said 2>&1 || { cat /tmp/said; fail "restore by $1"; }
        grep -q precious "/root/back-$pushes/file"
        is "$(wc -l <"/root/back-$pushes/changes")" 1
        rm -r "/root/back-$pushes"
    }
    refused_by() {
        su me -c "$as_kept backup.example.org 'id $1'" </dev/null >/dev/null 2>&1 && fail "a client has run id"
        snapgate watch --flush >/dev/null 2>&1 || true
    }
    # Refusals by both wait, and are told. Of a mail that it does not understand an older one says so, and leaves it for the next.
    tells() {
        site_file file:/srv/mails
        snapgate watch --flush >/tmp/said 2>&1 || grep -q 'is left where it is' /tmp/said || { cat /tmp/said; fail "the mail is not sent by $1"; }
        site_file smtp://127.0.0.1:1
        if grep 'is left where it is' /tmp/said; then [ "$1" = "$older" ] || fail "$1 does not understand a mail"; fi
        is "$(find /var/spool/snapgate -path '*/dead/*' -type f | wc -l)" 0
    }
    told() {
        for word in "$@"; do is "$(cat /srv/mails/* | grep -c "id $word" || true) of $word" "1 of $word"; done
    }
    # What an update may not touch: the store, accounts, and what the administrator has.
    settled() { find /srv/older -printf '%p %i %m %U %G %s %T@ %C@\n' | sort; grep ^kept: /etc/passwd /etc/shadow; cat /etc/snapgate/snapgate.yaml /etc/snapgate/policies/* /etc/snapgate/keys/* 2>/dev/null || true; find /var/spool/snapgate -type f -path '*/*/*' ! -name lock | sort; }
    becomes() {
        settled >/tmp/settled
        quietly dpkg -i "$(deb "$1")"
        is "$(status_of)" "ii $1"
        settled | diff /tmp/settled - || fail "$1 has changed something when it came"
        reloads=$(($(reloads) + 1))
        kill -HUP "$(cat /run/sshd.pid)"
        reloaded "$reloads"
        snapgate check >/tmp/said 2>&1 || [ $? = 1 ] || { cat /tmp/said; fail "check by $1"; }
    }
    # A key that the older's index has is found.
    key_is_known() {
        if [ -e /etc/snapgate/keys.index ] && snapgate keys --help >/dev/null 2>&1; then
            read -r type key _ </root/laptop.pub
            snapgate keys kept "$type" "$key" | grep -q -- '--client kept"' || fail "the index of keys is not understood"
        fi
    }
    pushed_by "$older"
    pushed_by "$older"
    refused_by older-one
    say "upgrade from $older"
    becomes "$newer"
    key_is_known
    pushed_by "$newer"
    tells "$newer"
    told older-one
    refused_by newer-one
    say "downgrade to $older"
    becomes "$older"
    key_is_known
    pushed_by "$older"
    tells "$older"
    refused_by older-two
    snapgate maintain >/tmp/said 2>&1 || { cat /tmp/said; fail "maintain by $older"; }
    say "upgrade once more"
    becomes "$newer"
    key_is_known
    pushed_by "$newer"
    tells "$newer"
    told older-one newer-one older-two
    echo "$pushes pushes by both, all there"
}
