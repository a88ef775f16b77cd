//! What people type, and what comes of it.

use super::*;

fn sends(line: &str) -> String {
    match typed(line) {
        Some(Typed::Sends(commands)) => commands.join(" | "),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn what_a_person_types_is_what_their_rsync_sends() {
    for (line, command) in [
        ("rsync -az --delete /home/me/ backup:", "rsync --server -logDtprze.iLsfxCIvu --delete . ."),
        (
            "rsync -av -e 'ssh -p 2222' --exclude '*.tmp' --exclude-from list /etc me@host.example:etc/",
            "rsync --server -vlogDtpre.iLsfxCIvu . etc/",
        ),
        ("/usr/bin/rsync -aHAXxi --numeric-ids -- / backup:/", "rsync --server -lHogDtpAXrxe.iLsfxCIvu --log-format=%i --numeric-ids . /"),
        ("rsync -a --no-owner --no-g --chmod=D755 a b backup:x", "rsync --server -lDtpre.iLsfxCIvu . x"),
        ("rsync -rt --rsync-path='sudo rsync' -M--fake-super . backup:", "sudo rsync --server -tre.iLsfxCIvu --fake-super . ."),
        (
            "rsync -aP --link-dest=../old --bwlimit 100 x backup:'a b'",
            "rsync --server -logDtpre.iLsfxCIvu --partial --link-dest ../old --bwlimit=100 . 'a b'",
        ),
        ("rsync -a --delete-after x backup:", "rsync --server -logDtpre.iLsfxCIvu --delete-after . ."),
        ("rsync -a backup:etc/ /tmp/etc", "rsync --server --sender -logDtpre.iLsfxCIvu . etc/"),
        ("rsync --archive --compress --chown=a:b x backup:", "rsync --server -logDtprze.iLsfxCIvu --usermap=*:a --groupmap=*:b . ."),
        ("rsync backup:", "rsync --server --sender -e.LsfxCIvu . ."),
        ("ssh -T backup complete 0", "complete 0"),
        ("ssh backup", ""),
        ("ssh -p 2222 -o BatchMode=yes me@backup prepare", "prepare"),
        ("ssh -Tp2222 -i key backup -v -- complete 23", "complete 23"),
        ("ssh backup complete $?", "complete 0"),
        ("ssh backup 'complete $?'", "complete $?"),
        ("rsync -a x '[fe80::1%eth0]':y", "rsync --server -logDtpre.iLsfxCIvu . y"),
        ("rsync -a x me@[2001:db8::1]:", "rsync --server -logDtpre.iLsfxCIvu . ."),
        ("rsync -a $(pwd)/ backup:", "rsync --server -logDtpre.iLsfxCIvu . ."),
        ("rsync -a a:b /tmp/a::b", "rsync --server --sender -logDtpre.iLsfxCIvu . b"),
    ] {
        assert_eq!(sends(line), command, "{line}");
    }
}

#[test]
fn what_a_shell_makes_of_the_rest_of_the_line_is_its_own_affair() {
    for around in [
        "rsync -a x backup: >/dev/null 2>&1",
        "rsync -a x backup:>>log 2>&1 &",
        "rsync -a x backup: | tee log",
        "rsync -a x backup: || echo failed",
        "cd /srv; rsync -a x backup:",
        "(cd /srv && rsync -a x backup:)",
        "sudo rsync -a x backup:",
        "RSYNC_RSH=ssh nice -n 19 ionice -c3 /usr/bin/rsync -a x backup:",
        "0 3 * * * root rsync -a x backup:",
        "flock -n /run/lock/b timeout 3h rsync -a x backup:",
    ] {
        assert_eq!(sends(around), "rsync --server -logDtpre.iLsfxCIvu . .", "{around}");
    }
    assert_eq!(
        sends("ssh -p 22 backup prepare && rsync -a x backup:; sudo ssh backup complete $?"),
        "prepare | rsync --server -logDtpre.iLsfxCIvu . . | complete 0"
    );
}

#[test]
fn what_sends_nothing_to_a_server_of_ours_is_told_why() {
    for (line, why) in [
        ("rsync -a x a: b:", "from one server to another"),
        ("rsync -a a: b:", "from one server to another"),
        ("rsync -a x [::1]::module", "daemon"),
        ("rsync -a RSYNC://h/m .", "daemon"),
        ("rsync -a x y && echo backup:", "on the client alone"),
        ("rsync -a x backup::module", "daemon"),
        ("rsync -a rsync://h/m .", "daemon"),
        ("rsync -a x y", "on the client alone"),
        ("rsync -a", "nothing to push"),
        ("rsync -a ./a:b c", "on the client alone"),
    ] {
        assert!(matches!(typed(line), Some(Typed::Nothing(says)) if says.contains(why)), "{line}: {:?}", typed(line));
    }
    for line in [
        "rsync --server -r . .",
        "sudo rsync --server -r . .",
        "mkdir x && rsync --server -r . x",
        "which rsync",
        "rsync --version",
        "/usr/bin/rsync -V",
        "command -v rsync ssh",
        "cp /usr/bin/rsync a b",
        "status",
        "",
        "rsync 'x",
        "scp -t .",
    ] {
        assert_eq!(typed(line), None, "{line}");
    }
}
