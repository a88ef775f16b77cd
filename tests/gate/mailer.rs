//! `transport: sendmail` with a real mailer: Debian's `dma`, which takes the mail into its queue and hands it to an SMTP
//! server. Its configuration and queue are put over the machine's in a mount namespace, so that nothing of the machine is
//! used or changed; an ordinary user's run, and one without `dma`, says so. It need not be installed, which would take
//! the place of another mailer: `apt-get download dma && dpkg -x dma_*.deb target/dma` is enough.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use support::processes::of;
use support::smtp::Server;
use support::{Gate, POLICY, is_root, must, run, skip};

#[test]
fn a_real_local_mailer_takes_the_mails_and_they_arrive() {
    if !is_root() {
        return skip("it takes root to put a mailer's configuration in front of the gate");
    }
    let places = ["/usr/sbin/dma", concat!(env!("CARGO_MANIFEST_DIR"), "/target/dma/usr/sbin/dma")];
    let Some(mailer) = places.into_iter().find(|path| Path::new(path).exists()) else {
        return skip("there is no `dma` here");
    };
    if run(Command::new("unshare").args(["-m", "true"])).status != 0 {
        return skip("this machine gives no mount namespace");
    }
    let server = Server::plain();
    let mail = format!(
        "mail: {{ from: gate@example.org, to: [alerts@example.org, night@example.net], reports_to: [reports@example.org], transport: \"sendmail:{mailer}\" }}\n"
    );
    let gate = Gate::with(&mail, POLICY);
    let (etc, queue) = (gate.path().join("etc"), gate.path().join("var/dma"));
    must(Command::new("cp").args(["-a", "/etc"]).arg(&etc));
    fs::create_dir_all(etc.join("dma")).unwrap();
    fs::write(etc.join("dma/dma.conf"), format!("SMARTHOST 127.0.0.1\nPORT {}\nMAILNAME gate.test\n", server.port)).unwrap();
    must(Command::new("install").args(["-d", "-g", "mail", "-m", "2775"]).arg(&queue));
    gate.write("elsewhere", "mount --bind $DIR/etc /etc && mount --bind $DIR/var /var/spool && exec \"$@\"\n");
    let wrap = format!("unshare -m /bin/sh {}/elsewhere", gate.path().display());

    // An alert to two people and the report of a push, each sent by the watch that the gate starts by itself.
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    run(&mut gate.say_command("head '.' -- -t evil@example.com", &wrap)).exits(77);
    run(&mut gate.push_command(&source, &[], &wrap)).exits(0);
    support::until("every mail has arrived", || server.taken().iter().map(|mail| mail.to.len()).sum::<usize>() == 3);
    let taken = server.taken();
    let to =
        |address: &str| taken.iter().find(|mail| mail.to.iter().any(|to| to.contains(address))).unwrap_or_else(|| panic!("{taken:#?}"));
    for (address, subject) in [("alerts@example.org", "refused"), ("night@example.net", "refused"), ("reports@example.org", "published")] {
        let mail = to(address);
        assert!(mail.from.contains("<gate@example.org>"), "{}", mail.from);
        assert!(mail.header("Subject").is_some_and(|found| found.contains(subject)), "{}", mail.data);
        assert_eq!(mail.header("From").as_deref(), Some("snapgate <gate@example.org>"), "{}", mail.data);
        assert_eq!(mail.events(), 1);
        // One header, one body, and no line ended twice on its way.
        assert!(!mail.data.contains("\r\r") && mail.header("Message-ID").is_some(), "{:?}", mail.data);
    }
    assert!(to("alerts@").data.contains("evil@example.com"), "what was tried is told: {}", to("alerts@").data);
    support::until("the mailer's queue is empty", || fs::read_dir(&queue).unwrap().flatten().all(|entry| entry.file_name() == "flush"));
    support::until("nothing waits in the spool", || fs::read_dir(gate.spool().join("out")).unwrap().count() == 0);
}

#[test]
fn a_mail_server_that_sends_a_line_without_end_fills_no_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || while stream.write_all(&[b'2'; 65536]).is_ok() {});
        }
    });
    let mail = format!("mail: {{ from: gate@example.org, to: [alerts@example.org], transport: \"smtp://127.0.0.1:{port}\" }}\n");
    let gate = Gate::with(&mail, POLICY);
    run(&mut gate.say_command("head /etc/passwd", "")).exits(77);
    support::until("the pass that the gate started is over", || of(gate.path(), "snapgate").is_empty());
    let pass = run(&mut gate.snapgate(&["watch", "--flush"]));
    assert!(pass.stderr.contains("memory allocation of"), "{pass:?}");
    let waiting = ["new", "out"].iter().map(|name| fs::read_dir(gate.spool().join(name)).unwrap().count()).sum::<usize>();
    assert!(waiting > 0, "the mail is not lost");
}
