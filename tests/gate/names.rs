//! Names of hosts and accounts, by whatever the machine looks them up with: a name server that says nothing, a hosts file, a list
//! of accounts and a further source of them, all of the test's own and in a mount namespace, so that nothing of the machine is
//! changed. It takes root; an ordinary user's run says so.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use snapgate::terms::reason::Code;

use support::processes::{is_alive, of, signal};
use support::{Gate, Ran, Running, SNAPGATE, is_root, must, run, skip};

/// The silent name server's address: one of the loopback network that nothing else uses.
const NAME_SERVER: &str = "127.0.53.77";

/// A gate with files of its own in `/etc`: a hosts file that knows `router.example.net`, a resolver that asks the server at
/// that address, and these files. `None` where that cannot be had, and why has been said.
fn gate(server: &str, policy: &str, files: &[(&str, &str)]) -> Option<(Gate, String)> {
    if !is_root() {
        skip("it takes root to put another /etc/resolv.conf in front of the gate");
        return None;
    }
    if run(Command::new("unshare").args(["-m", "true"])).status != 0 {
        skip("this machine gives no mount namespace");
        return None;
    }
    let gate = Gate::with("", policy);
    let etc = gate.path().join("etc");
    must(Command::new("cp").args(["-a", "/etc"]).arg(&etc));
    let usual = [
        ("resolv.conf", format!("nameserver {server}\n")),
        ("hosts", "127.0.0.1 localhost\n203.0.113.9 router.example.net\n".to_owned()),
        ("nsswitch.conf", "passwd: files systemd\ngroup: files\nhosts: files dns\n".to_owned()),
    ];
    for (name, text) in usual.iter().map(|(name, text)| (*name, text.as_str())).chain(files.iter().copied()) {
        let _ = fs::remove_file(etc.join(name));
        fs::create_dir_all(etc.join(name).parent().unwrap()).unwrap();
        fs::write(etc.join(name), text).unwrap();
    }
    gate.write("elsewhere", "mount --bind $DIR/etc /etc && exec \"$@\"\n");
    let wrap = format!("unshare -m /bin/sh {}/elsewhere", gate.path().display());
    Some((gate, wrap))
}

fn from(hosts: &str) -> String {
    format!("verbs: [rsync, status]\nfrom: {hosts}\n")
}

fn asking(gate: &Gate, wrap: &str, from: &str) -> Command {
    let mut command = Command::new("/usr/bin/env");
    command.arg(format!("WRAP={wrap}")).arg(format!("FROM={from}")).arg("/bin/sh").arg(gate.path().join("ssh"));
    command.args(["backup", "status"]);
    command
}

fn ask(gate: &Gate, wrap: &str, from: &str) -> Ran {
    run(&mut asking(gate, wrap, from))
}

/// Processes that look this word up.
fn looking_up(word: &str) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let asks = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"/usr/bin/getent\0") && line.split(|byte| *byte == 0).any(|found| found == word.as_bytes())
    };
    all.filter(asks).filter(|pid| is_alive(*pid)).collect()
}

#[test]
fn a_name_in_the_hosts_file_matches_and_another_address_does_not() {
    let policy = from("[host:router.example.net]");
    let Some((gate, wrap)) = gate(NAME_SERVER, &policy, &[]) else { return };
    ask(&gate, &wrap, "203.0.113.9").exits(0);
    ask(&gate, &wrap, "::ffff:203.0.113.9").exits(0);
    assert_eq!(ask(&gate, &wrap, "203.0.113.10").exits(77).code(), Some("address"));
}

#[test]
fn a_getent_of_an_older_c_library_is_asked_in_its_own_words() {
    let policy = from("[host:router.example.net]");
    let Some((gate, wrap)) = gate(NAME_SERVER, &policy, &[]) else { return };
    support::programs::copy(Path::new("/usr/bin/getent"), &gate.path().join("newer"));
    // As one before glibc 2.37, which has no such option, and where no word behind `--` is one.
    gate.write("older", "#!/bin/sh\n[ \"$1\" = -- ] || exit 64\nexec $DIR/newer \"$@\"\n");
    must(Command::new("chmod").arg("755").arg(gate.path().join("older")));
    gate.write("elsewhere", "mount --bind $DIR/etc /etc && mount --bind $DIR/older /usr/bin/getent && exec \"$@\"\n");
    ask(&gate, &wrap, "203.0.113.9").exits(0);
    assert_eq!(ask(&gate, &wrap, "203.0.113.10").exits(77).code(), Some("address"));
}

#[test]
fn a_name_that_is_never_answered_does_not_match_and_costs_three_seconds_at_most() {
    let policy = from("[host:silent.example.net, host:router.example.net]");
    let Some((gate, wrap)) = gate(NAME_SERVER, &policy, &[]) else { return };
    let server = UdpSocket::bind((NAME_SERVER, 53)).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();

    let refused = ask(&gate, &wrap, "203.0.113.10").exits(77);
    assert_eq!(looking_up("silent.example.net"), [0; 0], "nothing goes on without the gate");
    assert_eq!(refused.code(), Some("address"));
    assert!(refused.took > Duration::from_millis(2500) && refused.took < Duration::from_millis(5500), "{:?}", refused.took);
    let asked = server.recv(&mut [0; 512]).unwrap();
    assert!(asked > 12, "the name server was asked");
    let line = gate.path().join("spool").join("0/ledger.jsonl");
    let records = support::repository::read_ledger(&line);
    let records = if records.is_empty() { gate.ledger() } else { records };
    assert_eq!(records.last().unwrap().reasons[0].code, Code::Address);

    // Beside it, a name that is answered counts.
    let allowed = ask(&gate, &wrap, "203.0.113.9").exits(0);
    assert!(allowed.took < Duration::from_millis(5500), "{:?}", allowed.took);
    // And a client whose address needs no name waits for none.
    gate.write("config/policies/web1.yaml", "user: root\nverbs: [status]\nfrom: [192.0.2.7, host:silent.example.net]\n");
    assert!(ask(&gate, &wrap, "192.0.2.7").exits(0).took < Duration::from_millis(2500));
}

#[test]
fn a_gate_that_is_killed_leaves_nobody_who_looks_names_up() {
    const SERVER: &str = "127.0.53.78";
    let policy = from("[host:killed1.example.net, host:killed2.example.net]");
    let Some((gate, wrap)) = gate(SERVER, &policy, &[]) else { return };
    let _silent = UdpSocket::bind((SERVER, 53)).unwrap();
    let running = Running::start(&mut asking(&gate, &wrap, "203.0.113.10"));
    let both = || [looking_up("killed1.example.net"), looking_up("killed2.example.net")].concat();
    support::until("both names are looked up at once", || both().len() == 2);
    let begun = Instant::now();
    signal(&of(gate.path(), "/snapgate-shell"), Signal::SIGKILL);
    running.wait().exits(137);
    support::until("nobody looks up anything", || both().is_empty());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn no_variable_of_the_environment_bends_a_lookup() {
    const SERVER: &str = "127.0.53.79";
    let policy = from("[host:router.example.net, host:silent]");
    let Some((gate, wrap)) = gate(SERVER, &policy, &[]) else { return };
    let server = UdpSocket::bind((SERVER, 53)).unwrap();
    server.set_nonblocking(true).unwrap();
    gate.write("aliases", "silent evil1.example.org\nrouter.example.net evil2.example.org\n");
    gate.write("hosts.conf", "multi on\n");
    let lies = format!(
        "HOSTALIASES={0}/aliases LOCALDOMAIN=evil3.example.org RES_OPTIONS=ndots:15 RESOLV_HOST_CONF={0}/hosts.conf \
         LD_LIBRARY_PATH={0} GETCONF_DIR={0}",
        gate.path().display()
    );
    let wrap = format!("{wrap} env {lies}");
    ask(&gate, &wrap, "203.0.113.9").exits(0);
    assert_eq!(ask(&gate, &wrap, "203.0.113.10").exits(77).code(), Some("address"));
    let mut asked = Vec::new();
    let mut room = [0; 512];
    while let Ok(length) = server.recv(&mut room) {
        asked.push(room[12..length].escape_ascii().to_string());
    }
    assert!(asked.iter().any(|name| name.contains("silent")), "{asked:?}");
    assert!(!asked.iter().any(|name| name.contains("evil")), "{asked:?}");
}

#[test]
fn an_account_of_a_domain_speaks_for_its_client_and_is_called_by_its_name_everywhere() {
    for (account, written) in
        [("DOM\\jane", "'DOM\\jane'"), ("DOM\\nina", "\"DOM\\\\nina\""), ("jane@example.org", "jane@example.org"), ("1und1", "1und1")]
    {
        let uid = nix::unistd::getuid();
        let passwd = format!("{account}:x:{uid}:{uid}::/root:/bin/sh\n");
        let Some((gate, wrap)) = gate(NAME_SERVER, "", &[("passwd", &passwd)]) else { return };
        gate.write(
            "config/policies/web1.yaml",
            &format!("user: {written}\nverbs: [rsync, status]\noptions: {{ allow: [owner, group] }}\n"),
        );
        let source = gate.source("data");
        fs::write(source.join("a"), "a").unwrap();
        run(&mut gate.push_command(&source, &[], &wrap)).exits(0);
        assert_eq!(gate.record().account, account);
        assert_eq!(run(&mut gate.say_command("complete", &wrap)).exits(77).code(), Some("verb"));
        gate.write("config/policies/web1.yaml", "user: other\n");
        assert_eq!(run(&mut gate.say_command("status", &wrap)).exits(77).code(), Some("no-policy"));
        gate.flush();
        let mails = gate.mails().join("\n");
        assert!(mails.contains(account) && !mails.contains(&account.replace('\\', "\\\\")) || !account.contains('\\'), "{mails}");
    }
}

#[test]
fn a_neighbour_is_one_on_the_link_that_the_policy_names() {
    let policy = from("[\"fe80::1%eth0\", \"fe80::aa00%br-lan/120\"]");
    let Some((gate, wrap)) = gate(NAME_SERVER, &policy, &[]) else { return };
    for peer in ["fe80::1%eth0", "fe80::aa07%br-lan"] {
        ask(&gate, &wrap, peer).exits(0);
    }
    for peer in ["fe80::1%eth1", "fe80::1", "fe80::aa07%eth0"] {
        assert_eq!(ask(&gate, &wrap, peer).exits(77).code(), Some("address"), "{peer}");
    }
    let records = support::repository::read_ledger(&gate.spool().join("ledger.jsonl"));
    let told: Vec<_> = records.iter().filter_map(|record| record.address.as_ref().map(ToString::to_string)).collect();
    assert!(told.contains(&"fe80::1%eth0".to_owned()) && told.contains(&"fe80::1%eth1".to_owned()), "{told:?}");
    let remedy = records.iter().flat_map(|record| &record.reasons).filter_map(|reason| reason.remedy.clone()).collect::<String>();
    assert!(remedy.contains("add `fe80::1%eth1` to `from:`"), "{remedy}");
}

/// The account of the tests here, which only a further source knows, its number, and one that nobody knows.
const ELSEWHERE: (&str, u32) = ("sgelsewhere", 61_234);
const NOBODY: u32 = 61_236;

/// The gate's directory as an account may use it that is neither its owner nor in a group of his.
fn open_to_all(gate: &Gate) {
    must(Command::new("chmod").args(["-R", "a+rX"]).args(["config", "store", "elsewhere"].map(|name| gate.path().join(name))));
    must(Command::new("chmod").arg("1733").arg(gate.path().join("spool")));
    must(Command::new("chmod").arg("711").arg(gate.path()));
}

/// What stands in the ledger of an account that has no repository.
fn accounts_in_ledger(gate: &Gate, uid: u32) -> Vec<String> {
    let records = support::repository::read_ledger(&gate.path().join(format!("spool/{uid}/ledger.jsonl")));
    records.into_iter().map(|record| record.account).collect()
}

#[test]
fn an_account_of_another_source_has_its_name_and_one_that_nobody_knows_its_number() {
    let (account, uid) = ELSEWHERE;
    let record = format!("{{\"userName\":\"{account}\",\"uid\":{uid},\"gid\":{uid},\"disposition\":\"regular\"}}");
    let files = [(&*format!("userdb/{account}.user"), &*record)];
    // nss-systemd(8) reads it from there.
    let policy = format!("user: {account}\nverbs: [status]\n");
    let Some((gate, wrap)) = gate(NAME_SERVER, "verbs: [status]\n", &files) else { return };
    symlink(format!("{account}.user"), gate.path().join(format!("etc/userdb/{uid}.user"))).unwrap();
    gate.write("config/policies/web1.yaml", &policy);
    open_to_all(&gate);
    let known =
        run(Command::new("unshare").arg("-m").arg("/bin/sh").arg(gate.path().join("elsewhere")).args(["getent", "passwd", account]));
    if known.status != 0 {
        return skip("this machine has no libnss-systemd, or one that reads no files");
    }
    let reachable = run(Command::new("setpriv").args([&*format!("--reuid={uid}"), "--clear-groups", "test", "-x"]).arg(SNAPGATE));
    if reachable.status != 0 {
        return skip("another account may not run the program where it is");
    }
    let run_as = |uid: u32, wrap: &str| {
        let wrap = format!("{wrap} setpriv --reuid={uid} --regid={uid} --clear-groups");
        ask(&gate, &wrap, "192.0.2.7")
    };
    // By its name alone the account has a policy, although /etc/passwd does not know it.
    let ran = run_as(uid, &wrap).exits(0);
    assert!(ran.stdout.contains("web1"), "{ran:?}");
    assert_eq!(run_as(NOBODY, &wrap).exits(77).code(), Some("no-policy"));
    assert_eq!(accounts_in_ledger(&gate, uid), [account]);
    assert_eq!(accounts_in_ledger(&gate, NOBODY), [NOBODY.to_string()]);
    // Where it cannot be asked, it has its number, and no policy.
    gate.write("alone", "mount --bind /dev/null /usr/bin/getent && exec /bin/sh $DIR/elsewhere \"$@\"\n");
    let alone = format!("unshare -m /bin/sh {}/alone", gate.path().display());
    assert_eq!(run_as(uid, &alone).exits(77).code(), Some("no-policy"));
    assert_eq!(accounts_in_ledger(&gate, uid), [account.to_owned(), uid.to_string()]);

    // `check` and `explain` ask for it by its name.
    let order = |order: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["-m", "/bin/sh"]).arg(gate.path().join("elsewhere")).arg(SNAPGATE).arg("--config");
        run(command.arg(gate.path().join("config")).args(order)).stdout
    };
    let checked = order(&["check", "--all"]);
    assert!(!checked.contains("has no account"), "{checked}");
    fs::remove_file(gate.path().join(format!("etc/userdb/{account}.user"))).unwrap();
    assert!(order(&["check", "--all"]).contains(&format!("this machine has no account `{account}`")));
    gate.write("elsewhere", "mount --bind $DIR/etc /etc && mount --bind /dev/null /usr/bin/getent && exec \"$@\"\n");
    assert!(order(&["check", "--all"]).contains("`/usr/bin/getent` is missing"));
}

#[test]
fn a_connection_loads_no_module_of_the_name_services_and_starts_nothing_to_know_its_account() {
    if !support::can_trace() {
        return;
    }
    let gate = Gate::new();
    let trace = gate.path().join("trace");
    let wrap = format!("strace -f -qq -e trace=open,openat,execve,execveat -o {}", trace.display());
    run(&mut gate.say_command("status", &wrap)).exits(0);
    let text = fs::read_to_string(&trace).unwrap();
    assert!(text.contains("\"snapgate.yaml\"") && text.contains("\"/etc/passwd\""), "{text}");
    for word in ["nsswitch", "libnss", "getent", "/etc/group", "resolv.conf", "/etc/hosts"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    assert!(Path::new("/usr/bin/getent").exists());
}
