//! Each way out, against real servers and programs.

use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::terms::MailSubject;
use crate::terms::limits::{MAX_MAIL_FILE, MAX_SENDMAIL_WORDS};

use support::smtp::{Manner, Server};

fn settings(transport: Transport) -> MailSettings {
    MailSettings {
        from: Some("snapgate@backup.example.org".to_owned()),
        to: vec!["root".to_owned(), "ops@example.org".to_owned()],
        reports_to: Vec::new(),
        transport,
        password_file: None,
        ca_file: None,
    }
}

fn over(server: &Server, host: &str, tls: Tls) -> MailSettings {
    settings(Transport::Smtp { host: host.to_owned(), port: server.port, tls, user: None })
}

fn mail() -> ComposedMail {
    ComposedMail {
        seq: 7,
        uid: 1001,
        created: "2026-11-21T02:00:00.25Z".parse().unwrap(),
        audience: Audience::Alerts,
        events: 3,
        subject: MailSubject::new("web1", "refused (window)"),
        body: "Tried: é\n.\n..x\nFrom nobody\n".to_owned(),
        client: None,
        topic: None,
        thread: None,
        page: None,
    }
}

/// What is known of names here: one, with an address first at which nobody listens.
fn addresses(host: &str, _: Duration) -> Vec<IpAddr> {
    let known: &[&str] = match host {
        "localhost" => &["::1", "127.0.0.1"],
        "twice" => &["127.0.0.1", "127.0.0.2"],
        address => &[address],
    };
    known.iter().filter_map(|address| address.parse().ok()).collect()
}

fn send(settings: &MailSettings, mail: &ComposedMail) -> Result<Sent, NotSent> {
    super::send(settings, mail, &addresses)
}

fn send_within(settings: &MailSettings, mail: &ComposedMail, limits: &Limits) -> Result<Sent, NotSent> {
    super::send_within(settings, mail, &addresses, limits)
}

/// Short, and long enough for a machine that is busy with other tests.
fn quick() -> Limits {
    Limits { smtp_step: Duration::from_secs(3), smtp: Duration::from_secs(6), sendmail: Duration::from_secs(3) }
}

/// What ends later than this was not ended by those.
const LATE: Duration = Duration::from_secs(18);

#[test]
fn smtp_takes_a_whole_message_and_only_the_headers_that_it_should() {
    let server = Server::plain();
    send(&over(&server, "127.0.0.1", Tls::None), &mail()).unwrap();
    let taken = server.taken().remove(0);
    assert_eq!(taken.from, "MAIL FROM:<snapgate@backup.example.org>");
    assert_eq!(taken.to, [format!("RCPT TO:<root@{}>", host_name()), "RCPT TO:<ops@example.org>".to_owned()]);
    assert_eq!(taken.header("Subject").unwrap(), "[snapgate] web1: refused (window)");
    assert_eq!(taken.header("Message-ID").unwrap(), format!("<snapgate.1795226400250000.1001.7@{}>", host_name()));
    assert_eq!(taken.header("Date").unwrap(), "Sat, 21 Nov 2026 02:00:00 +0000");
    assert_eq!(taken.header("Auto-Submitted").unwrap(), "auto-generated");
    assert_eq!(taken.events(), 3);
    assert!(taken.data.is_ascii(), "for servers without 8BITMIME");
    assert!(!taken.encrypted);
}

#[test]
fn nothing_that_a_client_wrote_becomes_a_header() {
    let server = Server::plain();
    let subject = "x\r\nBcc: victim@example.org\r\n\r\nbody é".to_owned().into();
    let forged = ComposedMail { subject, body: "a\r\n.\r\nMAIL FROM:<x>\r\n".repeat(100), ..mail() };
    for forged in [forged.clone().checked(1001), forged] {
        // Also unchecked: lettre must not let it through either.
        let _ = send(&over(&server, "127.0.0.1", Tls::None), &forged);
    }
    for taken in server.taken() {
        assert_eq!(taken.header("Bcc"), None, "{}", taken.data);
        assert_eq!(taken.to.len(), 2);
    }
    assert!(!server.taken().is_empty());
}

#[test]
fn tls_of_both_kinds_trusts_the_private_authority_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let (config, pem) = support::smtp::private_authority();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let ways = [
        (Tls::Starttls, support::smtp::Protection::Starttls(config.clone())),
        (Tls::Implicit, support::smtp::Protection::Implicit(config)),
    ];
    for (tls, protection) in ways {
        let server = Server::start(protection, None);
        let mut settings = over(&server, "localhost", tls);
        let stranger = send(&settings, &mail());
        assert!(matches!(stranger, Err(NotSent::Unreachable(_))), "{tls:?}: {stranger:?}");
        settings.ca_file = Some(ca.clone());
        send(&settings, &mail()).unwrap();
        assert_eq!(server.taken().len(), 1);
        assert!(server.taken()[0].encrypted, "{tls:?}");
    }
}

#[test]
fn starttls_is_never_given_up_when_the_server_does_not_offer_it() {
    let server = Server::start(support::smtp::Protection::Plain, Some(("u", "p")));
    let result = send(&over(&server, "localhost", Tls::Starttls), &mail());
    assert!(matches!(&result, Err(NotSent::Unreachable(words)) if words.contains("STARTTLS")), "{result:?}");
    assert!(server.taken().is_empty());
}

#[test]
fn the_password_comes_from_a_closed_file_and_a_wrong_one_is_not_the_mails_fault() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(support::smtp::Protection::Plain, Some(("ops", "secret word")));
    let file = dir.path().join("password");
    let mut settings =
        settings(Transport::Smtp { host: "127.0.0.1".to_owned(), port: server.port, tls: Tls::None, user: Some("ops".to_owned()) });
    let missing = send(&settings, &mail());
    assert!(matches!(&missing, Err(NotSent::Unreachable(words)) if words.contains("password_file")), "{missing:?}");
    settings.password_file = Some(file.clone());
    std::fs::write(&file, "secret word\nnot this\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = send(&settings, &mail());
    assert!(matches!(&open, Err(NotSent::Unreachable(words)) if words.contains("others can read it")), "{open:?}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    send(&settings, &mail()).unwrap();
    assert_eq!(server.taken()[0].login.as_deref(), Some("ops"));
    std::fs::write(&file, "wrong\n").unwrap();
    let wrong = send(&settings, &mail());
    assert!(matches!(&wrong, Err(NotSent::Unreachable(words)) if !words.contains("wrong\n")), "{wrong:?}");
    let padded =
        |length: u64| std::fs::write(&file, format!("secret word\n{}", " ".repeat(usize::try_from(length).unwrap() - 12))).unwrap();
    padded(MAX_MAIL_FILE);
    send(&settings, &mail()).unwrap();
    padded(MAX_MAIL_FILE + 1);
    let long = send(&settings, &mail());
    assert!(matches!(&long, Err(NotSent::Unreachable(words)) if words.contains("it is too large")), "{long:?}");
    assert_eq!(server.taken().len(), 2);
}

#[test]
fn a_server_that_refuses_stalls_or_hangs_up_is_told_apart() {
    let server = Server::plain();
    let settings = over(&server, "127.0.0.1", Tls::None);
    for (manner, refused) in [
        (Manner::Answer("RCPT", "550 no such user \u{1b}[2J"), true),
        (Manner::Answer(".", "554 spam"), true),
        (Manner::Answer("MAIL", "451 try again"), false),
        (Manner::Answer(".", "452 disk full"), false),
        (Manner::HangUp("220"), false),
        (Manner::HangUp("MAIL"), false),
        (Manner::HangUp("."), false),
        (Manner::Stall("220"), false),
        (Manner::Stall("DATA"), false),
        (Manner::Stall("."), false),
    ] {
        server.behave(manner.clone());
        let begun = Instant::now();
        let result = send_within(&settings, &mail(), &quick());
        let error = result.expect_err(&format!("{manner:?}"));
        assert_eq!(matches!(error, NotSent::Refused(_)), refused, "{manner:?}: {error:?}");
        // What comes of a mail says nothing of others.
        let is_of_all = matches!(error, NotSent::Unreachable(_));
        assert!(manner == Manner::HangUp("220") || is_of_all == (manner == Manner::Stall("220")), "{manner:?}: {error:?}");
        assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
        assert!(begun.elapsed() < LATE, "{manner:?} took {:?}", begun.elapsed());
    }
    assert!(server.taken().is_empty());
    let nobody =
        MailSettings { transport: Transport::Smtp { host: "127.0.0.1".to_owned(), port: 1, tls: Tls::None, user: None }, ..settings };
    assert!(matches!(send(&nobody, &mail()), Err(NotSent::Unreachable(_))));
}

#[test]
fn the_next_address_is_tried_where_nobody_is_and_not_where_somebody_has_spoken() {
    let server = Server::plain();
    let next = std::net::TcpListener::bind(("127.0.0.2", server.port)).unwrap();
    next.set_nonblocking(true).unwrap();
    let settings = over(&server, "twice", Tls::None);
    for manner in [Manner::Answer("MAIL", "451 try again"), Manner::HangUp("220"), Manner::Stall("220")] {
        server.behave(manner.clone());
        send_within(&settings, &mail(), &quick()).unwrap_err();
        assert_eq!(next.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "{manner:?}");
    }
    server.behave(Manner::Accept);
    send(&over(&server, "localhost", Tls::None), &mail()).unwrap();
    assert_eq!(server.taken().len(), 1, "nobody listens at its first address");
    let nowhere = send(&over(&server, "nowhere", Tls::None), &mail());
    assert_eq!(nowhere, Err(NotSent::Unreachable("no address was found for `nowhere`".to_owned())));
}

#[test]
fn a_server_that_is_quick_at_each_step_and_never_done_is_left() {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let drip = |mut stream: std::net::TcpStream| {
        while stream.write_all(b"220-wait\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    std::thread::spawn(move || listener.incoming().flatten().for_each(drip));
    let begun = Instant::now();
    let to = settings(Transport::Smtp { host: "127.0.0.1".to_owned(), port, tls: Tls::None, user: None });
    assert!(matches!(send_within(&to, &mail(), &quick()).unwrap_err(), NotSent::Unreachable(_)), "before there was a mail");
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(5500) && took < LATE, "{took:?}");
}

#[test]
fn a_name_that_takes_long_takes_its_time_from_the_whole() {
    let server = Server::plain();
    server.behave(Manner::Stall("220"));
    let limits = Limits { smtp_step: Duration::from_secs(20), smtp: Duration::from_secs(6), sendmail: Duration::from_secs(1) };
    let slow = |host: &str, limit: Duration| {
        assert!(limit <= limits.smtp, "{limit:?}");
        std::thread::sleep(Duration::from_secs(5));
        addresses(host, limit)
    };
    let begun = Instant::now();
    super::send_within(&over(&server, "127.0.0.1", Tls::None), &mail(), &slow, &limits).unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(10_500), "{:?}", begun.elapsed());
}

#[test]
fn one_stale_address_does_not_keep_the_mail_from_the_others() {
    let server = Server::plain();
    server.behave(Manner::RefuseRecipient("root@", "550 no such user"));
    let sent = send(&over(&server, "127.0.0.1", Tls::None), &mail()).unwrap();
    assert_eq!(sent.left_out.len(), 1, "{sent:?}");
    assert!(sent.left_out[0].starts_with("root@") && sent.left_out[0].contains("no such user"), "{sent:?}");
    assert_eq!(server.taken().len(), 1);
    assert_eq!(server.taken()[0].to, ["RCPT TO:<ops@example.org>"]);
    server.behave(Manner::RefuseRecipient("@", "550 nobody here"));
    assert!(matches!(send(&over(&server, "127.0.0.1", Tls::None), &mail()), Err(NotSent::Refused(_))));
}

#[test]
fn a_directory_gets_one_private_file_for_a_mail_however_often_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(Transport::Directory(dir.path().to_path_buf()));
    send(&settings, &mail()).unwrap();
    send(&settings, &mail()).unwrap();
    let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].file_name(), "20261121T020000.250000Z-1001-000007.eml");
    assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(files[0].path()).unwrap();
    assert_eq!(support::smtp::header(&text, "Subject").unwrap(), mail().subject.as_str());
    let missing = MailSettings { transport: Transport::Directory(dir.path().join("missing")), ..settings };
    assert!(matches!(send(&missing, &mail()), Err(NotSent::Unreachable(_))));
}

// ---- sendmail, played by a script

fn script(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("sendmail");
    support::programs::script(&path, &format!("#!/bin/sh\ncd {}\n{text}\n", dir.display()));
    path
}

#[test]
fn sendmail_gets_plain_words_a_clean_environment_and_unix_lines() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "printf '%s\\n' \"$@\" > words; env > environment; cat > message");
    send(&settings(Transport::Sendmail(program)), &mail()).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("words"), "-i\n-f\nsnapgate@backup.example.org\n--\nroot\nops@example.org\n");
    let environment = read("environment");
    assert!(
        environment.lines().all(|line| ["PATH=", "PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|name| line.starts_with(name))),
        "{environment}"
    );
    assert!(!read("message").contains('\r'));
    assert_eq!(support::smtp::header(&read("message"), "Subject").unwrap(), mail().subject.as_str());
}

#[test]
fn sendmail_that_fails_says_why_and_whose_fault_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let unknown = send(&settings(Transport::Sendmail(script(dir.path(), "cat >/dev/null; echo 'no such user' >&2; exit 67"))), &mail());
    assert_eq!(unknown, Err(NotSent::Refused("sendmail ended with 67: no such user".to_owned())));
    // It does not even read the message.
    let later = send(&settings(Transport::Sendmail(script(dir.path(), "exit 75"))), &mail());
    assert_eq!(later, Err(NotSent::Later("sendmail ended with 75".to_owned())));
    let missing = send(&settings(Transport::Sendmail(dir.path().join("missing"))), &mail());
    assert!(matches!(missing, Err(NotSent::Unreachable(_))), "{missing:?}");
    // Blanks at the beginning are not told, and what is read ends somewhere.
    let after = |blanks: u64| {
        let says = format!("cat >/dev/null; head -c {blanks} /dev/zero | tr '\\0' ' ' >&2; echo 'no such user' >&2; exit 67");
        send(&settings(Transport::Sendmail(script(dir.path(), &says))), &mail())
    };
    assert_eq!(after(MAX_SENDMAIL_WORDS - 12), Err(NotSent::Refused("sendmail ended with 67: no such user".to_owned())));
    for blanks in [MAX_SENDMAIL_WORDS, 10 << 20] {
        assert_eq!(after(blanks), Err(NotSent::Refused("sendmail ended with 67".to_owned())), "{blanks}");
    }
}

#[test]
fn sendmail_that_hangs_is_ended_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "sleep 300 & echo $! > child; sleep 300");
    let big = ComposedMail { body: "x".repeat(300_000), ..mail() };
    let begun = Instant::now();
    let result = send_within(&settings(Transport::Sendmail(program)), &big, &quick());
    assert!(matches!(result, Err(NotSent::Later(_))), "{result:?}");
    assert!(begun.elapsed() < LATE);
    let child: i32 = std::fs::read_to_string(dir.path().join("child")).unwrap().trim().parse().unwrap();
    let gone = || {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), None).is_err()
            || std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    };
    while !gone() {
        assert!(begun.elapsed() < LATE + LATE, "the child lives");
        std::thread::sleep(Duration::from_millis(20));
    }
}
