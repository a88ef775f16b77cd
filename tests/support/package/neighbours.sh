# neighbours.sh: cron and fail2ban, as Debian has them, beside a gate with a client. Sourced by package.sh, in the newcomer's server.

# The line that `add-client` prints, its times replaced by every minute's. What it ends with is `cron_pushes`.
cron_begins() {
    (cd /root && snapgate add-client laptop --key-file laptop.pub --host backup.example.org) >/tmp/printed 2>&1 </dev/null || [ $? = 1 ]
    line=$(sed -n 's/^    \([0-9][^ ]* [^ ]* \* \* \*\)  \(rsync .*\)/\1  \2/p' /tmp/printed)
    is "$(wc -l <<<"$line")" 1
    # The client's script has put the same into the crontab, but for the path.
    crontab -u me -l | grep -F "${line%%  *}  rsync " | grep -q 'backup: # snapgate laptop$' || { crontab -u me -l; fail "the script's crontab has another line than \`$line\`"; }
    echo "* * * * *  ${line#*  }" | crontab -u me -
    sleep 1
    ls /srv/backups/laptop/snapshots >/tmp/snapshots
    begun=$SECONDS
    cron
}
cron_pushes() {
    while ls /srv/backups/laptop/snapshots | cmp -s /tmp/snapshots -; do
        if [ $((SECONDS - begun)) -ge 120 ]; then fail "cron has pushed nothing in two minutes by \`$line\`"; fi
        sleep 0.5
    done
    echo "cron pushed after $((SECONDS - begun)) s"
    is "$(cat /srv/backups/laptop/current/file)" precious
    kill "$(cat /run/crond.pid)"
    crontab -u me -r
    # The push may not be at its end.
    until flock -n /srv/backups/laptop/.snapgate/lock true; do sleep 0.1; done
}

# The sample jail, with a log and an action of this machine's: refusals by the gate end with a ban, and nobody else's address is banned.
fail2ban_bans() {
    rm -f /etc/fail2ban/jail.d/*
    cp /usr/share/doc/snapgate/fail2ban/jail.d/snapgate.conf /etc/fail2ban/jail.d/
    printf '[Definition]\nactionban = echo <ip> >>/run/banned\nactionunban =\n' >/etc/fail2ban/action.d/note.conf
    printf '[snapgate]\nbackend = polling\nlogpath = /shared/auth.log\nbanaction = note\nignoreself = false\n' >/etc/fail2ban/jail.d/this.conf
    mkdir -p /run/fail2ban
    quietly fail2ban-client -x start
    from() { if su me -c "ssh -b 127.0.0.$1 backup $2" </dev/null >/dev/null 2>&1; then fail "a client did \`$2\`"; fi; }
    # What a client does by mistake, as often as it takes.
    sed -i 's/^verbs:.*/verbs: [status]/' /etc/snapgate/policies/laptop.yaml
    for _ in 1 2 3 4 5 6; do from 3 list; done
    sed -i 's/^verbs:.*/verbs: [rsync, status]/' /etc/snapgate/policies/laptop.yaml
    for _ in 1 2 3 4; do from 2 id; done
    banned() { fail2ban-client status snapgate | sed -n 's/.*Banned IP list:[[:space:]]*//p'; }
    failed() { fail2ban-client status snapgate | sed -n 's/.*Total failed:[[:space:]]*//p'; }
    for try in $(seq 150); do
        if [ "$(failed)" -ge 4 ]; then break; fi
        sleep 0.1
    done
    is "$(banned)" ''
    from 2 id
    for try in $(seq 150); do
        if [ -n "$(banned)" ]; then break; fi
        sleep 0.1
    done
    is "$(banned)" 127.0.0.2
    is "$(cat /run/banned)" 127.0.0.2
    quietly fail2ban-client stop
    rm /etc/fail2ban/jail.d/* /etc/fail2ban/action.d/note.conf
}
