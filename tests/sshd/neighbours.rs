//! Clients of one server, under one account and under two: none learns that another is there. What `web1` says and sees is
//! compared with what it would say and see if its neighbours did not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use support::Ran;
use support::client::Client;
use support::{ALL_VERBS, Server, Setup, accounts, can_trace, must, processes, tree, until};

/// A neighbour of the same account, one of another, and two that do not exist, with names of the same lengths.
const THERE: [&str; 2] = ["canaryone", "canarytwo"];
const NOT_THERE: [&str; 2] = ["nobodyone", "nobodytwo"];

/// What stands in the neighbours' snapshots.
const SECRET: &str = "canary-secret";

fn server() -> Server {
    let keyed = format!("keys: [$KEY]\n{ALL_VERBS}");
    let setup = Setup::new().client_on(0, "web1", &keyed).client_on(0, THERE[0], &keyed).client_on(1, THERE[1], &keyed);
    let server = setup.start();
    for name in THERE {
        let source = server.source(name);
        tree::write(&source.join("canary-dir").join(SECRET), "canary content\n");
        server.client(name).push(&source, &[]).exits(0);
        // Something that its owner alone should know of: an open transaction.
        server.client(name).ssh(&["prepare"]).exits(0);
    }
    tree::small(&server.source("data"));
    server.client("web1").push(&server.source("data"), &[]).exits(0);
    server
}

/// Everything of the neighbours' on the disk.
fn theirs(server: &Server) -> Vec<String> {
    THERE.iter().flat_map(|name| tree::listing(&server.store().join(name))).collect()
}

/// No word of a neighbour in what a client got, but for these words that it said itself.
#[track_caller]
fn silent(ran: &Ran, said: &[&str]) {
    for text in [&ran.stdout, &ran.stderr] {
        let unsaid = said.iter().fold(text.to_lowercase(), |text, word| text.replace(word, ""));
        assert!(!unsaid.contains("canary"), "{text}");
    }
}

/// What a client that reads the neighbour's name says, `NAME` being the name, `DIR` the store and `ROOT` the server's directory.
const SPOKEN: &[&str] = &[
    "status NAME",
    "help NAME",
    "prepare NAME",
    "complete NAME",
    "abort NAME",
    "list NAME",
    "restore NAME",
    "history NAME",
    "snapgate-shell",
    "snapgate-shell --client NAME",
    "/usr/bin/snapgate-shell --config DIR --client NAME",
    "--client NAME status",
    "NAME",
    "NAME status",
    "cat DIR/NAME/current/canary-dir/canary-secret",
    "ls DIR/NAME",
    "rsync --server -logDtpre.iLsfxCIvu . ../NAME/",
    "rsync --server -logDtpre.iLsfxCIvu . DIR/NAME/",
    "rsync --server -logDtpre.iLsfxCIvu . DIR/NAME/current/",
    "rsync --server -logDtpre.iLsfxCIvu --link-dest=DIR/NAME/current --compare-dest=DIR/NAME/current . .",
    "rsync --server -logDtpre.iLsfxCIvu --copy-dest ../../NAME/current . .",
    "rsync --server -logDtpre.iLsfxCIvu --files-from=DIR/NAME/current/canary-dir/canary-secret . .",
    "rsync --server -logDtpre.iLsfxCIvu --backup-dir=DIR/NAME/current -b . .",
    "rsync --server -logDtpre.iLsfxCIvu --temp-dir DIR/NAME/inprogress . .",
    "rsync --server -logDtpre.iLsfxCIvu --log-file=DIR/NAME/.snapgate/ledger.jsonl . .",
    "rsync --server --sender -logDtpre.iLsfxCIvu . DIR/NAME/current/",
    "rsync --server --sender -logDtpre.iLsfxCIvu . ../NAME/snapshots/",
    "rsync --server --daemon --config=DIR/NAME/x .",
    "rsync --server -logDtpre.iLsfxCIvu . . NAME",
    "scp -t DIR/NAME/",
    "/usr/lib/openssh/sftp-server DIR/NAME",
    "cat ROOT/config/policies/NAME.yaml",
    "cat ROOT/spool/NAME",
];

fn source(server: &Server, pattern: &str, name: &str) -> String {
    let root = server.path().display().to_string();
    pattern.replace("NAME", name).replace("DIR", &server.store().display().to_string()).replace("ROOT", &root)
}

/// A server whose clients are named to the gate, so that it can be started as sshd starts it and without the noise and the time
/// of an ssh connection. The neighbours' history is laid down by hand.
fn nameable() -> Server {
    let setup = Setup::new().client_on(0, "web1", "verbs: [rsync, status]\n").client_on(0, THERE[0], "").client_on(1, THERE[1], "");
    // Nobody here reads what a syslog daemon would, and a daemon that is stuck costs each connection a moment.
    let server = setup.site("syslog: off\n").start();
    for name in THERE {
        let repository = server.store().join(name);
        tree::write(&repository.join("snapshots/2020-01-01T00-00-00Z/canary-dir").join(SECRET), "canary\n");
        std::os::unix::fs::symlink("snapshots/2020-01-01T00-00-00Z", repository.join("current")).unwrap();
        must(Command::new("chown").arg("-R").arg(server.client(name).account().name).arg(&repository));
    }
    server
}

/// What the gate does when `web1` says this; it runs beneath these words of another program.
fn say(server: &Server, beneath: &[&str], said: &str) -> Ran {
    let account = server.client("web1").account();
    let identity = [format!("--reuid={}", account.uid), format!("--regid={}", account.gid), "--init-groups".to_owned()];
    let mut words: Vec<String> = beneath.iter().map(|word| (*word).to_owned()).collect();
    if accounts::is_root() {
        words.push("setpriv".to_owned());
        words.extend(identity);
    }
    words.push(server.path().join("bin/snapgate-shell").display().to_string());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg("--config").arg(server.config()).args(["--client", "web1"]).stdin(Stdio::null());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 22").env("SSH_ORIGINAL_COMMAND", said);
    let (began, output) = (Instant::now(), command.output().unwrap());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { status: output.status.code().unwrap(), stdout: text(&output.stdout), stderr: text(&output.stderr), took: began.elapsed() }
}

#[test]
fn asking_for_a_neighbour_is_answered_as_if_there_were_none() {
    let server = nameable();
    let before = theirs(&server);
    let answer = |pattern: &str, name: &str| {
        let ran = say(&server, &[], &source(&server, pattern, name));
        // The pattern's own file names may be quoted back.
        silent(&ran, &[name, "canary-dir", SECRET]);
        (ran.status, ran.stdout.replace(name, "NAME"), ran.stderr.replace(name, "NAME"))
    };
    for pattern in SPOKEN {
        for (there, not_there) in THERE.iter().zip(NOT_THERE) {
            assert_eq!(answer(pattern, there), answer(pattern, not_there), "`{pattern}` for {there}");
        }
    }
    tree::same(&theirs(&server), &before);
}

#[test]
fn no_verb_tells_of_a_neighbour() {
    let server = server();
    let web1 = server.client("web1");
    for words in [&["status"][..], &["help"], &[], &["prepare"], &["status"], &["complete"], &["complete"], &["abort"], &["nonsense"]] {
        silent(&web1.ssh(words), &[]);
    }
    silent(&web1.login(), &[]);
    for options in [&[][..], &["-n"], &["-vv", "--stats"], &["--list-only"]] {
        silent(&web1.push(&server.source("data"), options), &[]);
    }
    // The neighbour's running push is none of its business either.
    let large = server.source("large");
    tree::write(&large.join("noise"), tree::noise(5, 3_000_000));
    let idle = web1.ssh(&["status"]).stdout;
    let push = server.client(THERE[0]).start_push(&large, &["--bwlimit=100"]);
    until("the neighbour's push runs", || server.store().join(THERE[0]).join("inprogress").exists());
    assert_eq!(web1.ssh(&["status"]).exits(0).stdout, idle);
    web1.push(&server.source("data"), &[]).exits(0);
    push.kill();
}

/// A key that no policy lists, on an account that two others share, learns no more than one on an account without any.
#[test]
fn a_key_of_nobody_s_learns_no_name() {
    let keyed = format!("keys: [$KEY]\n{ALL_VERBS}");
    let setup = Setup::new().client_on(0, THERE[0], &keyed).client_on(0, THERE[1], &keyed);
    let (server, lonely) = (setup.stranger_on(0, "stranger").start(), Setup::new().stranger_on(0, "stranger").start());
    for said in ["status", "rsync --server -logDtpre.iLsfxCIvu . .", "status canaryone", "prepare"] {
        let (there, alone) = (server.client("stranger").ssh(&[said]), lonely.client("stranger").ssh(&[said]));
        silent(&there, &["canaryone"]);
        assert_eq!((there.status, &there.stdout, &there.stderr), (alone.status, &alone.stdout, &alone.stderr), "{said}");
    }
}

/// What the gate does is counted, and not timed: a clock measures whatever else the machine does. Some of that may make it wait or
/// try again, so of several refusals of each kind, in turns, the fewest calls count, and what is so each time shows in each of three tries.
#[test]
fn a_refusal_takes_as_long_whether_the_neighbour_exists_or_not() {
    if !can_trace() {
        return;
    }
    let server = nameable();
    let log = server.path().join("calls");
    let calls = |words: &str| -> BTreeMap<String, usize> {
        let ran = say(&server, &["strace", "-qq", "-o", log.to_str().unwrap()], words);
        assert_ne!(ran.status, 0, "`{words}` is refused");
        let mut calls = BTreeMap::new();
        for line in fs::read_to_string(&log).unwrap().lines() {
            // A signal is none.
            let Some((name, _)) = line.split_once('(').filter(|(name, _)| !name.contains(' ')) else { continue };
            *calls.entry(name.to_owned()).or_default() += 1;
        }
        assert!(calls.values().sum::<usize>() > 50, "{calls:?}");
        calls
    };
    let fewest = |all: &[BTreeMap<String, usize>]| -> BTreeMap<String, usize> {
        let names: BTreeSet<_> = all.iter().flat_map(BTreeMap::keys).cloned().collect();
        let least = |name: &String| all.iter().map(|calls| calls.get(name).copied().unwrap_or(0)).min().unwrap();
        names.into_iter().map(|name| (name.clone(), least(&name))).filter(|(_, count)| *count > 0).collect()
    };
    let counted = |said: &str, unsaid: &str| {
        let (with, without): (Vec<_>, Vec<_>) = (0..4).map(|_| (calls(said), calls(unsaid))).unzip();
        (fewest(&with), fewest(&without))
    };
    // The first one makes the ledger.
    calls("nonsense");
    let asked = ["rsync --server --sender -logDtpre.iLsfxCIvu . DIR/NAME/snapshots/", "status NAME"];
    for (pattern, (there, not_there)) in asked.into_iter().zip(THERE.into_iter().zip(NOT_THERE)) {
        let (said, unsaid) = (source(&server, pattern, there), source(&server, pattern, not_there));
        let mut tries = (0..3).map(|_| counted(&said, &unsaid)).inspect(|found| eprintln!("`{pattern}`: {found:?}, {there} and nobody"));
        assert!(tries.any(|(with, without)| with == without), "`{pattern}` takes other calls for {there} than for nobody");
    }
    until("every watch has ended", || processes::of(server.path(), "snapgate").is_empty());
}

#[test]
fn links_and_bases_that_lead_to_a_neighbour_lead_nowhere() {
    let server = server();
    let web1 = server.client("web1");
    let before = theirs(&server);
    let source = server.source("tricks");
    let target = server.store().join(THERE[0]).join("current");
    tree::write(&source.join("file"), "mine\n");
    std::os::unix::fs::symlink(&target, source.join("d")).unwrap();
    std::os::unix::fs::symlink("../../canaryone/current", source.join("relative")).unwrap();
    let basis = format!("--link-dest={}", target.display());
    web1.push(&source, &[]).exits(0);
    let from = format!("{}/", source.display());
    let mut outcomes = Vec::new();
    // Through the links that stand in the newest snapshot now: as a destination, as directories of the source, and with deletion.
    for destination in ["backup:d/", "backup:d/canary-dir/", "backup:relative/canary-dir"] {
        outcomes.push(web1.rsync(&["-a", "--delete", &from, destination]));
    }
    outcomes.push(web1.push(&source, &[&basis]));
    outcomes.push(web1.push(&source, &["--keep-dirlinks"]));
    let directories = server.source("directories");
    for place in ["d/canary-dir", "relative/canary-dir"] {
        tree::write(&directories.join(place).join(SECRET), "mine too\n");
    }
    web1.push(&source, &[]).exits(0);
    outcomes.push(web1.push(&directories, &["-c", "--fuzzy", "-y"]));
    outcomes.push(web1.push(&directories, &["--size-only", "-H"]));
    for ran in &outcomes {
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!text.contains("canary content"), "{text}");
    }
    // What arrived is web1's own, by content and by inode; the neighbour's is untouched.
    let inodes: Vec<u64> = THERE.iter().flat_map(|name| inodes(&server.store().join(name))).collect();
    for file in tree::files(&server.store().join("web1/snapshots")) {
        let path = server.store().join("web1/snapshots").join(file);
        let found = fs::symlink_metadata(&path).unwrap();
        if found.is_file() {
            assert!(!fs::read_to_string(&path).unwrap_or_default().contains("canary content"), "{}", path.display());
            assert!(!inodes.contains(&tree::inode(&path)), "{} is the neighbour's", path.display());
        }
    }
    tree::same(&theirs(&server), &before);
}

fn inodes(root: &Path) -> Vec<u64> {
    tree::files(root).iter().map(|file| tree::inode(&root.join(file))).collect()
}

/// What rsync says of each file that it takes, for a push of a directory where the newest snapshot has a link.
fn itemized(web1: &Client, server: &Server, link: &Path, name: &str) -> Vec<String> {
    let (first, second) = (server.source("probe-link"), server.source("probe-directory"));
    let _ = fs::remove_file(first.join("x"));
    std::os::unix::fs::symlink(link, first.join("x")).unwrap();
    web1.push(&first, &[]).exits(0);
    let _ = fs::remove_dir_all(second.join("x"));
    tree::write(&second.join("x").join(name), "canary content\n");
    let ran = web1.push(&second, &["-ii", "--checksum"]);
    let all = format!("{}\n{}", ran.stdout, ran.stderr);
    all.lines().filter(|line| line.contains(name)).map(|line| line.replace(name, "NAME")).collect()
}

/// stat(2) is not mediated by Landlock: through a link of the client's own in its newest snapshot rsync asks for files of the
/// neighbour's that shares its account, and its answers tell them from those that are not there.
#[test]
fn nobody_can_ask_rsync_whether_a_neighbour_s_file_exists() {
    let server = server();
    let web1 = server.client("web1");
    let link = server.store().join(THERE[0]).join("current/canary-dir");
    let there = itemized(&web1, &server, &link, SECRET);
    let not_there = itemized(&web1, &server, &link, "nobody-secret");
    assert_eq!(there, not_there);
}

#[test]
fn two_accounts_are_kept_apart_by_the_kernel_too() {
    if accounts::second().is_none() {
        return;
    }
    let server = server();
    let web1 = server.client("web1");
    let link = server.store().join(THERE[1]).join("current/canary-dir");
    assert_eq!(itemized(&web1, &server, &link, SECRET), itemized(&web1, &server, &link, "nobody-secret"));
}
