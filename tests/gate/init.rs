//! `snapgate init` where nothing is set up yet, with a real mail server that takes the test mail, refuses one of two recipients, wants a
//! password, or says nothing more. The site file is there only once a mail was taken.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use support::smtp::{Manner, Protection, Server};
use support::{Ran, SNAPGATE, is_root, mode, programs, run, skip};
use tempfile::TempDir;

/// A machine with the group and an empty spool of the test's own, in a mount namespace.
struct Bare {
    dir: TempDir,
}

impl Bare {
    /// `None` where it cannot be had, which is said.
    fn new() -> Option<Self> {
        if !is_root() || run(Command::new("unshare").args(["-m", "true"])).status != 0 {
            skip("it takes root, and a mount namespace, to set a server up");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("snapgate-init-").tempdir().unwrap();
        mode(dir.path(), 0o755);
        let groups = fs::read_to_string("/etc/group").unwrap();
        let groups: String = groups.lines().filter(|line| !line.starts_with("snapgate:")).map(|line| format!("{line}\n")).collect();
        fs::write(dir.path().join("group"), format!("{groups}snapgate:x:77001:\n")).unwrap();
        Some(Self { dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn site(&self) -> Option<String> {
        fs::read_to_string(self.path("etc/snapgate.yaml")).ok()
    }

    /// The words of a shell that starts it where it has a machine to itself.
    fn words(&self, words: &str) -> String {
        let dir = self.dir.path().display();
        let machine = format!("mount -t tmpfs tmpfs /var/spool && mount --bind {dir}/group /etc/group");
        format!("{machine} && exec {SNAPGATE} --config {dir}/etc init {words}")
    }

    /// Whatever `check` has to say of this machine.
    fn init(&self, words: &str) -> Ran {
        run(Command::new("unshare").args(["-m", "sh", "-c", &self.words(&format!("--store {}/store {words}", self.dir.path().display()))]))
    }

    /// What is asked and said at a terminal where this is typed.
    fn types(&self, typed: &str) -> Ran {
        programs::script(&self.path("typed"), &format!("#!/bin/sh\n{}\n", self.words("")));
        mode(&self.path("typed"), 0o755);
        fs::write(self.path("keys"), typed).unwrap();
        let script = format!("exec script -qec {} /dev/null <{}", self.path("typed").display(), self.path("keys").display());
        run(Command::new("unshare").args(["-m", "sh", "-c", &script]))
    }
}

fn to(server: &Server) -> String {
    format!("--mail-to root@example.org --mail-to ops@example.org --transport smtp://127.0.0.1:{}", server.port)
}

#[test]
fn a_server_is_set_up_once_its_mail_was_taken_for_all() {
    let Some(bare) = Bare::new() else { return };
    let server = Server::plain();
    server.behave(Manner::RefuseRecipient("ops@", "550 5.1.1 nobody of that name"));
    let ran = bare.init(&to(&server)).exits(78);
    assert!(
        ran.stderr.contains("was not taken for all: ops@example.org: ") && ran.stderr.contains("nobody of that name"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("--mail-to"), "{}", ran.stderr);
    assert_eq!((server.taken().len(), bare.site()), (1, None));
    server.behave(Manner::Answer("RCPT", "550 5.7.1 not from you"));
    let ran = bare.init(&to(&server)).exits(78);
    assert!(
        ran.stderr.contains("to root@example.org, ops@example.org did not leave: ") && ran.stderr.contains("not from you"),
        "{}",
        ran.stderr
    );
    assert_eq!((server.taken().len(), bare.site()), (1, None));
    server.behave(Manner::Accept);
    let ran = bare.init(&to(&server));
    assert!(ran.status <= 1 && ran.stdout.contains("was taken: see that it arrives") && ran.stdout.contains("\ncheck: "), "{ran:?}");
    let [_, mail] = &server.taken()[..] else { unreachable!("{:?}", server.taken()) };
    assert_eq!(mail.to, ["RCPT TO:<root@example.org>", "RCPT TO:<ops@example.org>"]);
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    assert_eq!(mail.header("Subject").unwrap(), format!("[snapgate] {host}: this is a test"));
    let site = bare.site().unwrap();
    assert!(site.contains(&format!("transport: \"smtp://127.0.0.1:{}\"\n", server.port)), "{site}");
    // The same once more finds nothing to write; other words are not taken in silence.
    let again = bare.init(&to(&server));
    assert!(again.status <= 1 && again.stdout.contains("stays as it is"), "{again:?}");
    let other = bare.init("--transport smtp://127.0.0.1:1").exits(78);
    assert!(other.stderr.contains("says something else"), "{}", other.stderr);
    assert_eq!((bare.site(), server.taken().len()), (Some(site), 3));
}

#[test]
fn a_mail_server_that_says_nothing_more_does_not_hold_it() {
    let Some(_) = Bare::new() else { return };
    // A step of lettre's, SMTP_TIMEOUT, and some room for a machine that is busy.
    const SOON: Duration = Duration::from_secs(60);
    let stalls = |at: &'static str| {
        let (bare, server) = (Bare::new().unwrap(), Server::plain());
        server.behave(Manner::Stall(at));
        let ran = bare.init(&to(&server)).exits(78);
        assert!(ran.took < SOON && server.connections() > 0, "{at}: {:?}", ran.took);
        assert!(ran.stderr.contains("did not leave: ") && ran.stderr.contains("the server did not answer in time"), "{at}: {}", ran.stderr);
        assert_eq!(bare.site(), None, "{at}");
    };
    std::thread::scope(|scope| ["220", "RCPT", "."].map(|at| scope.spawn(move || stalls(at))).map(|one| one.join().unwrap()));
}

#[test]
fn where_mail_leaves_by_an_account_the_file_of_its_password_is_asked_for() {
    let Some(bare) = Bare::new() else { return };
    let server = Server::start(Protection::Plain, Some(("gate", "secret")));
    let way = format!("smtp://gate@127.0.0.1:{}", server.port);
    let file = bare.path("password");
    let shown = file.display();
    // By flags, what is missing is named as a flag.
    let ran = bare.init(&format!("--transport {way}")).exits(64);
    assert!(ran.stderr.contains("--password-file FILE") && !ran.stderr.contains("password_file:"), "{}", ran.stderr);
    let with = format!("--mail-to root@example.org --transport {way} --password-file {shown}");
    let ran = bare.init(&with).exits(64);
    assert!(ran.stderr.contains(&format!("install -D -m 0600 /dev/stdin {shown}")), "{}", ran.stderr);
    fs::write(&file, "secret\n").unwrap();
    for (owner, bits) in [(0, 0o644), (0, 0o620), (77_001, 0o600)] {
        chown(&file, Some(owner), None).unwrap();
        mode(&file, bits);
        assert!(bare.init(&with).exits(64).stderr.contains("can be read or changed by others"), "{owner} {bits:o}");
    }
    chown(&file, Some(0), None).unwrap();
    mode(&file, 0o600);
    let ran = bare.init(&format!("--transport sendmail --password-file {shown}")).exits(64);
    assert!(ran.stderr.contains("no account whose password it is"), "{}", ran.stderr);
    assert!(server.taken().is_empty() && bare.site().is_none());
    if run(Command::new("script").args(["-qec", "true", "/dev/null"])).status != 0 {
        return skip("this machine has no script(1)");
    }
    // At a terminal: what cannot be read is asked for again, and whoever ends it has changed nothing.
    let ran = bare.types(&format!("{0}/store\nroot@example.org\n{way}\n", bare.dir.path().display()));
    assert!(ran.status == 64 && ran.stdout.contains("there was no answer"), "{ran:?}");
    assert!(bare.site().is_none() && !bare.path("store").exists());
    let typed = format!("store\n{0}/store\nroot@example.org\nsmtps:\n{way}\n{0}/none\n{shown}\n", bare.dir.path().display());
    let ran = bare.types(&typed);
    let question =
        format!("which file has the password of `gate`, alone on its first line (root's, mode 0600)? [{}", bare.path("etc").display());
    for words in ["`store` is not", "write two slashes", &question, "is not there", "sending a test mail to root@example.org", "was taken"]
    {
        assert!(ran.stdout.contains(words), "`{words}` in: {}", ran.stdout);
    }
    assert!(ran.status <= 1, "{ran:?}");
    let [mail] = &server.taken()[..] else { unreachable!("{:?}", server.taken()) };
    assert_eq!((mail.login.as_deref(), mail.to.len()), (Some("gate"), 1));
    assert!(bare.site().unwrap().contains(&format!("password_file: \"{shown}\"")));
    // What is there is not changed by another file for the password.
    assert!(bare.init(&format!("{with}.other")).exits(78).stderr.contains("says something else"));
}
