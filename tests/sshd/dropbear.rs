//! The same through Dropbear, which has no `ForceCommand`: the `command="…"` line of the key names the client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use support::Ran;
use support::client::Client;
use support::{Server, Setup, accounts, answers, free_port, mode, must, skip, tree};

/// The account whose home holds the keys: no other test logs in on it by Dropbear.
const ACCOUNT: usize = 3;

/// Held while one is there: they have the same file of keys.
static ONE: Mutex<()> = Mutex::new(());

struct Dropbear {
    _one: MutexGuard<'static, ()>,
    child: Child,
    port: u16,
    ssh_dir: PathBuf,
}

impl Dropbear {
    /// A Dropbear whose only key has to run the gate. `None`, and said so, where that is not possible.
    fn start(server: &Server, client: &Client) -> Option<Self> {
        let dir = server.path().display();
        Self::forcing(server, client, Some(&format!("{dir}/bin/snapgate-shell --config {dir}/config --client web1")))
    }

    /// The same with this command in the key's line.
    fn forcing(server: &Server, client: &Client, command: Option<&str>) -> Option<Self> {
        if !accounts::is_root() {
            // Dropbear reads ~/.ssh of the account that logs in, and nobody's own is touched by a test.
            skip("Dropbear has no key file of its own choice: needs root and a test account");
            return None;
        }
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let ssh_dir = client.account().home.join(".ssh");
        fs::create_dir_all(&ssh_dir).unwrap();
        let public = fs::read_to_string(client.key().with_extension("pub")).unwrap();
        let command = command.map(|command| format!(",command=\"{command}\"")).unwrap_or_default();
        let line = format!("no-port-forwarding,no-agent-forwarding,no-X11-forwarding{command} {public}");
        fs::write(ssh_dir.join("authorized_keys"), line).unwrap();
        for (path, bits) in [(ssh_dir.clone(), 0o700), (ssh_dir.join("authorized_keys"), 0o600)] {
            mode(&path, bits);
            accounts::give(&path, &client.account());
        }
        let host = server.path().join("dropbear_host");
        if !host.exists() {
            must(Command::new("dropbearkey").args(["-t", "ed25519", "-f"]).arg(&host));
        }
        let port = free_port();
        let mut command = server.program("dropbear");
        command.args(["-F", "-E", "-s", "-p", &format!("127.0.0.1:{port}"), "-r"]).arg(&host);
        let log = fs::File::create(server.path().join("dropbear.log")).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        assert!(answers(port, &mut child), "{}", fs::read_to_string(server.path().join("dropbear.log")).unwrap());
        Some(Self { _one: one, child, port, ssh_dir })
    }

    fn client(&self, client: &Client) -> Client {
        client.option("StrictHostKeyChecking=no").option("UserKnownHostsFile=/dev/null").on_port(self.port)
    }
}

impl Drop for Dropbear {
    fn drop(&mut self) {
        support::processes::signal(&support::processes::stop(self.child.id()), nix::sys::signal::Signal::SIGKILL);
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.ssh_dir);
    }
}

fn push(client: &Client, source: &Path) -> Ran {
    client.push(source, &[])
}

#[test]
fn a_push_and_a_refusal_work_through_dropbear() {
    let server = Setup::new().client_on(ACCOUNT, "web1", "from: [127.0.0.1]\n").start();
    let web1 = server.client("web1");
    let Some(dropbear) = Dropbear::start(&server, &web1) else { return };
    let (through, source) = (dropbear.client(&web1), server.source("data"));
    tree::small(&source);
    push(&through, &source).exits(0);
    push(&through, &source).exits(0);
    let repository = server.repository("web1");
    assert_eq!(repository.snapshots().len(), 2);
    let [first, second] = [0, 1].map(|number| tree::inode(&repository.snapshot(number).join("photo.raw")));
    assert_eq!(first, second);

    through.ssh(&["head", "/etc/passwd"]).refused("program", 77);
    through.from("127.0.0.2").ssh(&["status"]).refused("address", 77);
    let record = server.record();
    assert_eq!(record.address.map(|address| address.to_string()).as_deref(), Some("127.0.0.2"));
    assert!(record.keys.is_empty(), "Dropbear does not tell which key it was");
    server.mail("127.0.0.2");
    drop(dropbear);
}

#[test]
fn dropbear_has_the_gate_for_a_shell_and_its_words_alone_are_the_clients() {
    if !accounts::is_root() {
        return skip("only root gives accounts another shell");
    }
    let server = Setup::new().client_on(ACCOUNT, "web1", "").shell().start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    let gate = server.path().join("bin/snapgate-shell").display().to_string();
    for command in [None, Some("snapgate-shell"), Some(&*gate)] {
        let Some(dropbear) = Dropbear::forcing(&server, &web1, command) else { return };
        let through = dropbear.client(&web1);
        push(&through, &source).exits(0);
        assert!(through.ssh::<&str>(&[]).exits(0).stdout.contains("web1"));
        through.login().refused("login", 77);
        through.ssh(&["head", "/etc/passwd"]).refused("program", 77);
        through.ssh(&["snapgate-shell", "--client", "other"]).refused("program", 77);
        // The next snapshot is of another second.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    assert_eq!(server.repository("web1").snapshots().len(), 3);
    let Some(dropbear) = Dropbear::forcing(&server, &web1, Some(&format!("{gate} --client web1"))) else { return };
    // The account has this one client.
    dropbear.client(&web1).ssh(&["status"]).exits(0);
    drop(dropbear);
    let Some(dropbear) = Dropbear::forcing(&server, &web1, Some(&format!("{gate} --client other"))) else { return };
    dropbear.client(&web1).ssh(&["status"]).refused("program", 77);
    assert!(server.record().reasons[0].remedy.as_ref().unwrap().contains("in `keys:` of its policy"));
}
