use chrono::{DateTime, TimeZone as _, Utc};

use super::*;
use crate::terms::Login;

pub(super) const ANSWER: &[u8] =
    b"port 22\nforcecommand /usr/bin/snapgate-shell\nauthorizedkeysfile .ssh/authorized_keys %h/k/%u /etc/keys/%U%%\n\
    authorizedkeyscommand none\ntrustedusercakeys none\nexposeauthinfo yes\nstrictmodes yes\n";

fn login(shell: &str) -> Login {
    Login { home: "/home/web1".into(), shell: shell.into() }
}

fn findings(settings: &Settings, shell: &str, keyed: bool, files: &[KeyFile]) -> Vec<(bool, String)> {
    let origin = Origin { file: "web1.yaml".into(), line: 2 };
    let forced = command_leads(settings.force.as_deref().unwrap_or_default(), leads);
    let is_gate = leads(shell) == Leads::ToTheGate;
    let entry = Entry { keyed: keyed.then_some(&origin), is_gate, forced: Some(forced), ..entry(&origin, Path::new(shell)) };
    sshd(entry, settings, files, false).iter().map(|found| (found.wrong, found.to_string())).collect()
}

pub(super) fn entry<'a>(user: &'a Origin, shell: &'a Path) -> Entry<'a> {
    Entry { account: "web1", user, keyed: None, shell, is_gate: false, forced: Some(Leads::ToTheGate), groups: None, is_root: false }
}

/// As on a machine where the gate is `/usr/bin/snapgate-shell`.
pub(super) fn leads(word: &str) -> Leads {
    match word {
        "/usr/bin/snapgate-shell" | "snapgate-shell" => Leads::ToTheGate,
        "/usr/local/bin/wrapper" => Leads::Perhaps,
        _ => Leads::Elsewhere,
    }
}

fn held(gated: u64, others: u64) -> Vec<KeyFile> {
    vec![KeyFile { path: "/home/web1/.ssh/authorized_keys".into(), state: KeyState::Holds(Keys { gated, others, ..Keys::default() }) }]
}

#[test]
fn what_sshd_does_for_an_account_is_read_as_it_prints_it() {
    let found = settings(ANSWER).unwrap();
    assert_eq!((found.force.as_deref(), found.exposes, found.strict), (Some("/usr/bin/snapgate-shell"), true, true));
    let files = key_files(&found, "web1", 1000, &login("/bin/sh"));
    assert_eq!(files, ["/home/web1/.ssh/authorized_keys", "/home/web1/k/web1", "/etc/keys/1000%"].map(PathBuf::from));
    assert_eq!(settings(b"forcecommand none\nauthorizedkeysfile none\n").unwrap(), Settings::default());
    assert_eq!(settings(b"sshd: no hostkeys available -- exiting.\n"), None);
    assert!(settings(b"authorizedkeysfile none\nauthorizedkeyscommand /bin/keys %u\n").unwrap().keys_elsewhere);
}

#[test]
fn keys_are_counted_by_where_they_lead() {
    let text = b"# a comment\n\nssh-ed25519 AAAA me@laptop command=\"snapgate-shell\"\n\
        restrict,command=\"/usr/bin/snapgate-shell --client \\\"a b\\\"\" ssh-ed25519 AAAA x\n\
        Command=\"snapgate-shell rrsync -wo /srv\",from=\"192.0.2.1\" ssh-rsa AAAA\ncommand=\"/bin/sh\" ssh-rsa AAAA\n  command=\"open ssh-rsa AAAA\n\
        command=\"/usr/local/bin/wrapper\" ecdsa-sha2-nistp256 AAAA\ncommand=\"/usr/bin/rrsync -wo /srv\" ssh-ed25519 AAAA\n";
    let found = Keys {
        gated: 2,
        worded: 2,
        unclear: 1,
        astray: 2,
        command: Some("/bin/sh".to_owned()),
        others: 1,
        bare: 5,
        with_terminal: 5,
        with_agent: 5,
        with_x11: 5,
        with_rc: 4,
        ..Keys::default()
    };
    assert_eq!(keys(text, DateTime::UNIX_EPOCH, leads), found);
    for no_key in
        ["ssh-ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----", "b3BlbnNzaC1rZXktdjE", "ssh-ed25519 laptop", "restrict ssh-ed25519 ..."]
    {
        assert_eq!(keys(no_key.as_bytes(), DateTime::UNIX_EPOCH, leads), Keys::default(), "{no_key}");
    }
    for (command, to) in [
        ("/usr/bin/snapgate-shell", Leads::ToTheGate),
        ("exec nice /usr/bin/snapgate-shell", Leads::ToTheGate),
        ("/bin/sh -c '/usr/bin/snapgate-shell'", Leads::ToTheGate),
        ("nice /usr/local/bin/wrapper", Leads::Perhaps),
        ("/usr/bin/rrsync -ro /srv", Leads::Elsewhere),
        ("/opt/old/snapgate-shell", Leads::Elsewhere),
        ("internal-sftp", Leads::Elsewhere),
        ("", Leads::Elsewhere),
    ] {
        assert_eq!(command_leads(command, leads), to, "{command}");
    }
}

#[test]
fn what_is_not_the_gate_is_wrong_and_what_cannot_be_seen_is_noted() {
    let forced = settings(ANSWER).unwrap();
    let force = |command: &str| Settings { force: Some(command.to_owned()), ..forced.clone() };
    let free = Settings { force: None, ..forced.clone() };
    let keys = |keys: Keys| vec![KeyFile { path: "/k".into(), state: KeyState::Holds(Keys { command: Some("CMD".to_owned()), ..keys }) }];
    for (settings, files, is_wrong, words) in [
        (force("internal-sftp"), held(0, 1), true, "sshd runs `internal-sftp` for `web1`, which is something that is not the gate"),
        (force("/usr/bin/rrsync /srv"), held(0, 1), true, "which is something that is not the gate"),
        (
            free.clone(),
            keys(Keys { gated: 1, astray: 1, ..Keys::default() }),
            true,
            "a key of `web1` runs `CMD`, which is something that is",
        ),
        (free.clone(), keys(Keys { unclear: 1, ..Keys::default() }), false, "a key of `web1` runs `CMD`: whether that leads"),
        (free, keys(Keys { gated: 1, cut: true, ..Keys::default() }), false, "only the beginning was looked at"),
        (forced.clone(), keys(Keys { cut: true, ..Keys::default() }), false, ""),
        (Settings { chroot: Some("/srv/x".to_owned()), ..forced.clone() }, held(0, 1), true, "sshd locks `web1` into `/srv/x`"),
        (Settings { allowed_groups: vec!["x".to_owned()], ..forced.clone() }, held(0, 1), false, "a group of its has no name"),
    ] {
        let found = findings(&settings, "/bin/sh", false, &files);
        assert!(found.len() <= 1 && found.iter().all(|(wrong, text)| *wrong == is_wrong && text.contains(words)), "{words}: {found:?}");
        assert_eq!(found.is_empty(), words.is_empty(), "{words}");
    }
    for (methods, is_content) in
        [("any", true), ("publickey", true), ("publickey,publickey", true), ("password publickey", true), ("publickey,password", false)]
    {
        let read = settings(format!("authorizedkeysfile x\nauthenticationmethods {methods}\n").as_bytes()).unwrap();
        assert_eq!(read.wants_more.is_none(), is_content, "{methods}");
    }
}

#[test]
fn an_account_that_reaches_the_gate_in_one_of_its_ways_is_fine_and_any_other_is_told() {
    let forced = settings(ANSWER).unwrap();
    let free = Settings { force: None, ..forced.clone() };
    let fine: [(&Settings, &str, Vec<KeyFile>); 3] =
        [(&forced, "/bin/sh", held(0, 1)), (&free, "/usr/bin/snapgate-shell", held(0, 1)), (&free, "/bin/sh", held(2, 0))];
    for (settings, shell, files) in fine {
        assert_eq!(findings(settings, shell, true, &files), [], "{shell} {files:?}");
    }
    let other = Settings { force: Some("/usr/local/bin/wrapper".to_owned()), ..forced.clone() };
    let hidden = Settings { exposes: false, ..forced.clone() };
    let kept_out = Settings { denied: vec!["web?".to_owned()], ..forced.clone() };
    let not_let_in = Settings { allowed: vec!["admin@192.0.2.*".to_owned()], ..forced.clone() };
    let keyless = Settings { takes_no_keys: true, ..forced.clone() };
    let nowhere = Settings { key_files: Vec::new(), ..forced.clone() };
    let file = |state| vec![KeyFile { path: "/k".into(), state }];
    let wrong: [(&Settings, bool, Vec<KeyFile>, bool, &str); 12] = [
        (&free, false, held(0, 1), true, "web1.yaml:2: no `ForceCommand` of sshd's reaches `web1`"),
        (&free, false, held(1, 1), true, "no `ForceCommand`"),
        (&other, false, held(0, 1), false, "sshd runs `/usr/local/bin/wrapper` for `web1`"),
        (&hidden, true, held(0, 1), true, "so `keys:` matches nobody\nset `ExposeAuthInfo yes`"),
        (&kept_out, false, held(0, 1), true, "keeps it out"),
        (&not_let_in, false, held(0, 1), true, "keeps it out"),
        (&keyless, false, held(0, 1), true, "`PubkeyAuthentication` is off"),
        (&nowhere, false, vec![], true, "sshd looks for them nowhere"),
        (&forced, false, file(KeyState::Missing), true, "`/k` is not there\nmake it"),
        (&forced, false, held(0, 0), true, "holds none"),
        (&forced, false, file(KeyState::Unreadable("permission denied".to_owned())), true, "cannot be read by it: permission denied"),
        (&forced, false, file(KeyState::Distrusted("/home".into())), true, "by the owner or the mode of `/home`\nchown it"),
    ];
    for (settings, keyed, files, is_wrong, words) in wrong {
        let found = findings(settings, "/bin/sh", keyed, &files);
        assert!(matches!(&found[..], [(wrong, text)] if *wrong == is_wrong && text.contains(words)), "{words}: {found:?}");
    }
    let denied_elsewhere = Settings { denied: vec!["web1@198.51.100.*".to_owned()], ..forced.clone() };
    assert_eq!(findings(&denied_elsewhere, "/bin/sh", false, &held(0, 1)), [], "it is let in from elsewhere");
    let elsewhere = Settings { keys_elsewhere: true, ..forced };
    let found = findings(&elsewhere, "/bin/sh", false, &file(KeyState::Missing));
    assert!(matches!(&found[..], [(false, text)] if text.contains("was not looked at")), "{found:?}");
}

#[test]
fn what_keeps_a_client_out_of_a_network_that_only_sshd_names_is_a_note_and_what_opens_more_is_wrong() {
    let origin = Origin { file: "web1.yaml".into(), line: 2 };
    let entry = Entry { keyed: Some(&origin), ..entry(&origin, Path::new("/bin/sh")) };
    let (denied, shell) = ("denyusers *\n", "forcecommand none\n");
    for (lines, only_named, count, is_wrong) in [
        (denied.to_owned(), false, 1, true),
        (denied.to_owned(), true, 1, false),
        ("pubkeyauthentication no\n".to_owned(), true, 1, false),
        ("exposeauthinfo no\n".to_owned(), true, 1, false),
        (shell.to_owned(), true, 1, true),
        (format!("{shell}{denied}"), true, 1, false),
        (format!("{shell}{denied}"), false, 2, true),
    ] {
        let found = sshd(entry, &settings(&[ANSWER, lines.as_bytes()].concat()).unwrap(), &held(0, 1), only_named);
        assert_eq!((found.len(), found.iter().any(|one| one.wrong)), (count, is_wrong), "{lines} {only_named}: {found:?}");
    }
}

#[test]
fn where_the_shell_is_the_gate_what_leads_past_it_or_is_refused_by_it_is_told() {
    let forced = settings(ANSWER).unwrap();
    let free = Settings { force: None, ..forced.clone() };
    let internal = settings(&[ANSWER, b"forcecommand none\nsubsystem sftp internal-sftp -l INFO\n"].concat()).unwrap();
    let external = settings(&[ANSWER, b"forcecommand none\nsubsystem sftp /usr/lib/openssh/sftp-server\n"].concat()).unwrap();
    let named = Settings { force: Some("/usr/bin/snapgate-shell --client web1".to_owned()), ..forced.clone() };
    let worded = Settings { force: Some("/usr/bin/snapgate-shell --config /x --client web1".to_owned()), ..forced.clone() };
    let keys = |worded| vec![KeyFile { path: "/k".into(), state: KeyState::Holds(Keys { gated: 1, worded, ..Keys::default() }) }];
    let (gate, sh) = ("/usr/bin/snapgate-shell", "/bin/sh");
    for (settings, shell, files, words) in [
        (&forced, gate, keys(0), ""),
        (&free, gate, keys(0), ""),
        (&external, gate, held(0, 1), ""),
        (&internal, gate, held(0, 1), "sshd answers sftp for `web1` itself, past its shell"),
        (&internal, gate, keys(0), ""),
        (&Settings { force: Some(gate.to_owned()), ..internal.clone() }, gate, held(0, 1), ""),
        (&named, sh, keys(0), ""),
        (&named, gate, keys(0), ""),
        (&worded, sh, keys(0), ""),
        (&worded, gate, keys(0), "which refuses `/usr/bin/snapgate-shell --config /x --client web1`"),
        (&free, sh, keys(1), ""),
        (&free, gate, keys(1), "which refuses `command=\"…\"` of its keys"),
        (&forced, gate, keys(1), ""),
    ] {
        let found = findings(settings, shell, true, &files);
        let is_right = if words.is_empty() { found.is_empty() } else { matches!(&found[..], [(true, text)] if text.contains(words)) };
        assert!(is_right, "{shell} {settings:?} {files:?}: {found:?}");
    }
}

#[test]
fn an_account_may_be_kept_out_by_its_groups_where_these_are_known() {
    let settings = |more: &str| settings(&[ANSWER, more.as_bytes()].concat()).unwrap();
    let groups = ["web1", "backup"].map(str::to_owned);
    for (more, lets_in) in [
        ("", true),
        ("allowgroups admins\nallowgroups back*\n", true),
        ("allowgroups admins\n", false),
        ("denygroups backup\n", false),
        ("denygroups admins\n", true),
        ("allowgroups web1\ndenygroups web1\n", false),
    ] {
        let settings = settings(more);
        assert_eq!(settings.lets_in("web1", Some(&groups)), lets_in, "{more}");
        assert!(settings.lets_in("web1", None), "{more}: nobody knows");
        assert_eq!(settings.asks_for_groups(), !more.is_empty());
    }
}

#[test]
fn roots_own_keys_are_no_fault_beside_those_of_the_gate() {
    let origin = Origin { file: "r.yaml".into(), line: 1 };
    let entry = Entry { account: "root", is_root: true, ..entry(&origin, Path::new("/bin/sh")) };
    let free = Settings { force: None, ..settings(ANSWER).unwrap() };
    assert!(sshd(entry, &free, &held(1, 1), false).iter().all(|found| !found.wrong));
    assert!(sshd(entry, &free, &held(0, 1), false).iter().any(|found| found.wrong));
    let kept_out = Settings { keeps_root_out: true, ..settings(ANSWER).unwrap() };
    assert!(
        sshd(entry, &kept_out, &held(1, 0), false).iter().any(|found| found.wrong && found.message.contains("`PermitRootLogin` is off"))
    );
}

#[test]
fn a_shell_that_prints_or_turns_away_is_told_with_its_words() {
    let origin = Origin { file: "web1.yaml".into(), line: 0 };
    let entry = entry(&origin, Path::new("/bin/odd"));
    let findings = |printed: &[u8]| shell(entry, printed).map(|found| found.to_string());
    assert_eq!(findings(b"snapgate-check\n"), None);
    let welcome = findings(b"\nWelcome \x1b[1m!\nto you\nsnapgate-check\n").unwrap();
    assert!(welcome.contains("prints `Welcome ") && welcome.contains("!` of its own accord") && !welcome.contains('\x1b'), "{welcome}");
    assert!(
        findings(b"This account is currently not available.\n").unwrap().contains("it says `This account is currently not available.`")
    );
    assert!(findings(b"").unwrap().contains("does not run what sshd gives it\nchsh -s /bin/sh web1"));
    assert!(turns_away(Path::new("/usr/sbin/nologin")) && turns_away(Path::new("/bin/false")) && !turns_away(Path::new("/bin/sh")));
    let of_a_domain = shell(Entry { account: r"DOM\jane", ..entry }, b"").unwrap();
    assert_eq!(of_a_domain.help, r"chsh -s /bin/sh 'DOM\jane'", "a shell would eat the backslash");
}

#[test]
fn a_key_that_may_forward_is_told_unless_it_is_restricted_or_sshd_forbids_it() {
    let origin = Origin { file: "web1.yaml".into(), line: 2 };
    let found = |lines: &str, options: &str| {
        let settings = settings(&[ANSWER, lines.as_bytes()].concat()).unwrap();
        let held = keys(format!("{options}ssh-ed25519 AAAA x\n").as_bytes(), DateTime::UNIX_EPOCH, leads);
        let files = [KeyFile { path: "/k".into(), state: KeyState::Holds(held) }];
        loose(entry(&origin, Path::new("/bin/sh")), &settings, &files, &[], false)
    };
    for (lines, options, is_open) in [
        ("allowtcpforwarding yes\nallowstreamlocalforwarding no\n", "", true),
        ("allowtcpforwarding no\nallowstreamlocalforwarding local\n", "", true),
        ("allowtcpforwarding no\nallowstreamlocalforwarding no\n", "", false),
        ("allowtcpforwarding yes\ndisableforwarding yes\n", "", false),
        ("allowtcpforwarding yes\n", "restrict ", false),
        ("allowtcpforwarding yes\n", "from=\"a,restrict\",pty ", true),
        ("allowtcpforwarding yes\n", "command=\"x \\\" ,y\",no-port-forwarding ", false),
        ("allowtcpforwarding yes\n", "Restrict,port-forwarding ", true),
    ] {
        let found = found(lines, options);
        assert_eq!(
            found.iter().any(|one| one.wrong && one.message.contains("may forward connections")),
            is_open,
            "{lines} {options}: {found:?}"
        );
    }
    assert!(found("permituserenvironment yes\n", "restrict ")[0].wrong);
}

#[test]
fn what_else_a_key_may_ask_sshd_for_is_told_by_what_a_thief_has_of_it() {
    let origin = Origin { file: "web1.yaml".into(), line: 2 };
    let (all, restrict) = ("x11forwarding yes\nallowagentforwarding yes\npermittty yes\n", "restrict ");
    let list =
        |what: &str, keywords: &str| format!("without `restrict` may ask sshd for more than the gate ({what}): ;set {keywords} for `web1`");
    let three = list("a terminal, a socket of its agent, X11", "`PermitTTY no`, `AllowAgentForwarding no`, `X11Forwarding no`");
    let tty = list("a terminal", "`PermitTTY no`");
    let tun = "a network interface (tun)".to_owned();
    let cut = "only for the beginning of its file of keys;`PermitUserRC no`".to_owned();
    for (account, lines, options, is_cut, state, words) in [
        ("web1", all, "", false, "note", &three),
        ("web1", all, restrict, false, "", &String::new()),
        ("root", all, "", false, "", &String::new()),
        ("web1", "x11forwarding yes\nallowagentforwarding yes\npermittty yes\ndisableforwarding yes\n", "", false, "note", &tty),
        ("web1", "x11forwarding no\nallowagentforwarding no\npermittty no\n", "", false, "", &String::new()),
        ("web1", all, "restrict,pty ", false, "note", &tty),
        ("web1", all, "no-pty,no-agent-forwarding ", false, "note", &list("X11", "`X11Forwarding no`")),
        ("web1", all, "no-X11-forwarding,no-pty ", false, "note", &list("a socket of its agent", "`AllowAgentForwarding no`")),
        ("web1", "permittunnel no\n", "", false, "", &String::new()),
        ("web1", "permittunnel point-to-point\ndisableforwarding yes\n", restrict, false, "note", &tun),
        ("root", "permittunnel yes\ndisableforwarding yes\n", restrict, false, "wrong", &tun),
        ("web1", "", restrict, true, "unseen", &cut),
        ("web1", "permittunnel yes\n", "# none: ", false, "", &String::new()),
        ("web1", "permittunnel yes\nauthorizedkeyscommand /usr/bin/snapgate keys %u %t %k\n", "# none: ", false, "note", &tun),
    ] {
        let mut settings = settings(&[ANSWER, lines.as_bytes()].concat()).unwrap();
        settings.ask_the_policies(Path::new("/etc/snapgate"), |program| program == Path::new("/usr/bin/snapgate"));
        let held = Keys { cut: is_cut, ..keys(format!("{options}ssh-ed25519 AAAA x\n").as_bytes(), DateTime::UNIX_EPOCH, leads) };
        let files = [KeyFile { path: "/k".into(), state: KeyState::Holds(held) }];
        let entry = Entry { account, is_root: account == "root", ..entry(&origin, Path::new("/bin/sh")) };
        let found = loose(entry, &settings, &files, &[], false);
        let states = found.iter().map(Finding::state);
        assert_eq!(states.collect::<Vec<_>>().join(" "), state, "{lines} {options}: {found:?}");
        let said = found.iter().map(ToString::to_string).collect::<String>();
        assert!(words.split(';').all(|word| said.contains(word)), "{words}: {said}");
    }
}

#[test]
fn a_file_that_sshd_runs_before_the_gate_is_wrong_where_the_account_can_write_it() {
    let origin = Origin { file: "web1.yaml".into(), line: 2 };
    let (sh, gate, command) = ("/bin/sh", "/usr/bin/snapgate-shell", "command=\"/usr/bin/snapgate-shell\"");
    let free = "forcecommand none\npermituserrc yes\n";
    let (wrong, unseen) = (Some(true), Some(false));
    for (lines, shell, options, writes_rc, expected) in [
        (free, sh, command.to_owned(), true, wrong),
        (free, sh, format!("no-pty,{command}"), true, wrong),
        (free, sh, format!("restrict,user-rc,{command}"), true, wrong),
        (free, sh, format!("restrict,port-forwarding,{command}"), true, None),
        (free, sh, format!("no-user-rc,{command}"), true, None),
        (free, sh, command.to_owned(), false, None),
        (free, gate, command.to_owned(), true, None),
        ("forcecommand none\npermituserrc no\n", sh, command.to_owned(), true, None),
        ("permituserrc yes\n", sh, String::new(), true, None),
        ("forcecommand none\npermituserrc yes\nauthorizedkeyscommand /bin/x\n", sh, format!("restrict,{command}"), true, unseen),
        ("forcecommand none\npermituserrc yes\nauthorizedkeyscommand /bin/x\n", sh, format!("restrict,{command}"), false, None),
    ] {
        let settings = settings(&[ANSWER, lines.as_bytes()].concat()).unwrap();
        let held = keys(format!("{options} ssh-ed25519 AAAA x\n").trim_start().as_bytes(), DateTime::UNIX_EPOCH, leads);
        let files = [KeyFile { path: "/k".into(), state: KeyState::Holds(held) }];
        let entry = Entry { is_gate: shell == gate, ..entry(&origin, Path::new(shell)) };
        let found = loose(entry, &settings, &files, &[], writes_rc);
        let rc = found.iter().find(|one| one.message.contains("~/.ssh/rc"));
        assert_eq!(rc.map(|one| one.wrong), expected, "{lines} {shell} {options} {writes_rc}: {found:?}");
        assert!(loose(Entry { is_root: true, ..entry }, &settings, &files, &[], writes_rc).iter().all(|one| !one.message.contains("/rc")));
    }
}

#[test]
fn a_key_ends_at_its_time() {
    let at = |hour| Utc.with_ymd_and_hms(2026, 11, 28, hour, 0, 0).unwrap();
    let expired = |time: &str| keys(format!("restrict,expiry-time=\"{time}\" ssh-ed25519 AAAA\n").as_bytes(), at(12), leads).expired;
    for (time, is_over) in [("20261128", 1), ("20261129", 0), ("202611281159Z", 1), ("20261128120001Z", 0), ("soon", 0)] {
        assert_eq!(expired(time), is_over, "{time}");
    }
    let free = Settings { force: None, ..settings(ANSWER).unwrap() };
    let over = vec![KeyFile { path: "/k".into(), state: KeyState::Holds(Keys { expired: 1, ..Keys::default() }) }];
    let found = findings(&free, "/usr/bin/snapgate-shell", false, &over);
    assert!(found.iter().any(|(wrong, text)| *wrong && text.contains("those in `/k` have expired")), "{found:?}");
}
