//! Questions: `explain`, `list`, `check`, and what a client may ask. None of them changes anything.

use std::fs;
use std::path::Path;

use support::{ALL_VERBS, Server, Setup, processes, stock, tree, until};

const PUSH: &str = "rsync --server -logDtpre.iLsfxCIvu --delete . .";

fn quiet(server: &Server, words: &[&str]) -> support::Ran {
    changing_only(server, words, |_| false)
}

/// The same for what may change these lines of a listing.
fn changing_only(server: &Server, words: &[&str], may_change: impl Fn(&str) -> bool) -> support::Ran {
    // What came before may still be mailed.
    until("no watch is at work", || processes::of(server.path(), "snapgate").is_empty());
    let everything = || {
        [server.config(), server.store().to_owned(), server.path().join("spool")].map(|path| {
            let all = tree::listing(&path);
            all.into_iter().filter(|line| !may_change(line)).collect::<Vec<_>>()
        })
    };
    let before = everything();
    let ran = server.snapgate(words);
    assert_eq!(everything(), before, "{words:?} does nothing");
    ran
}

#[test]
fn explain_shows_what_would_be_done_and_does_nothing() {
    let server = Setup::new().client("web1", "from: [203.0.113.0/24]\n").start();
    let ran = quiet(&server, &["explain", "--client", "web1", "--from", "203.0.113.9", "--at", "2026-11-21T03:00", PUSH]).exits(0);
    for text in ["--server", "--delete", "2026-11-21T03-00-00Z", "inprogress"] {
        assert!(ran.stdout.contains(text), "`{text}` in: {}", ran.stdout);
    }
}

#[test]
fn explain_says_every_reason_with_file_and_line() {
    let policy = "from: [203.0.113.0/24]\nverbs: [status]\nwhen: [{ days: mon-fri, hours: \"22:00-06:00\" }]\ntimezone: Europe/Madrid\n";
    let server = Setup::new().client("web1", policy).start();
    // 2026-11-21 is a Saturday.
    let ran = quiet(&server, &["explain", "--client", "web1", "--from", "192.0.2.1", "--at", "2026-11-21T12:00", PUSH]).exits(77);
    let output = ran.stdout + &ran.stderr;
    for text in ["address", "verb", "window", "web1.yaml:1", "web1.yaml:2", "web1.yaml:3"] {
        assert!(output.contains(text), "`{text}` in: {output}");
    }
    let night = quiet(&server, &["explain", "--client", "web1", "--from", "203.0.113.9", "--at", "2026-11-20T23:00", "status"]).exits(0);
    assert!(night.stdout.contains("status"), "{}", night.stdout);
}

/// What `explain` printed below a line that starts so, without the indent.
fn below(text: &str, start: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| !line.starts_with(start)).skip(1);
    lines.take_while(|line| line.starts_with("  ")).map(|line| line.trim_start().to_owned()).collect()
}

/// A file of `/proc/PID` whose items end with zero bytes.
fn items(pid: u32, file: &str) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap();
    let mut items: Vec<_> = bytes.split(|byte| *byte == 0).map(|item| String::from_utf8(item.to_vec()).unwrap()).collect();
    items.pop();
    items
}

/// The words of the rsync that a push of this data makes the gate run, the program first, and what the client had said.
fn seen(server: &Server, source: &Path, options: &[&str]) -> (Vec<String>, String) {
    let repository = server.repository("web1").path;
    let push = server.client("web1").start_push(source, options);
    let running = || {
        let all = processes::of(&repository, "rsync").into_iter();
        all.filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"rsync\0--server"))).collect()
    };
    let mut rsyncs: Vec<u32> = Vec::new();
    until("rsync runs", || {
        rsyncs = running();
        !rsyncs.is_empty()
    });
    let argv = items(rsyncs[0], "cmdline");
    // What sshd handed over stands in the environment of the gate.
    let gates = processes::of(server.path(), "snapgate-shell");
    let gate = gates.into_iter().min().expect("the gate waits for rsync");
    let said = items(gate, "environ").into_iter().find_map(|item| item.strip_prefix("SSH_ORIGINAL_COMMAND=").map(str::to_owned));
    push.kill();
    until("both have ended", || running().is_empty() && !processes::is_alive(gate));
    (argv, said.expect("what sshd handed over"))
}

#[test]
fn explain_and_serve_run_the_same_argv() {
    let options = ["--bwlimit=100", "-zS", "--timeout=50", "--exclude=*.tmp"];
    for jail in ["on", "off"] {
        let server = Setup::new().client("web1", ALL_VERBS).site(&format!("jail: {jail}\n")).start();
        let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
        tree::small(&source);
        web1.push(&source, &[]).exits(0);
        tree::write(&source.join("large"), tree::noise(3, 4_000_000));
        let (argv, said) = seen(&server, &source, &options);
        // What the client had sent by then is a further basis from its next session on, and explained as soon as it is one.
        let _ = fs::remove_dir_all(repository.path.join(".snapgate/interrupted"));
        until("no watch is at work", || processes::of(server.path(), "snapgate").is_empty());
        let explained = quiet(&server, &["explain", "--client", "web1", "--from", "127.0.0.1", &said]).exits(0).stdout;

        // The log is named after the connection, which is not there yet.
        let log = argv.iter().find_map(|word| word.strip_prefix("--log-file=")).unwrap();
        let id = log.rsplit_once('/').unwrap().1.strip_suffix(".log").unwrap();
        let id = id.strip_suffix(".rsync").unwrap_or(id);
        let id = if log == "/rsync.log" { "(not in a view)" } else { id };
        // Unfinished files go to a directory with a random name.
        let unfinished = argv.iter().find_map(|word| word.strip_prefix("--partial-dir=.~snapgate-")?.strip_suffix('~')).unwrap();
        assert!(unfinished.len() == 16 && u64::from_str_radix(unfinished, 16).is_ok(), "{unfinished}");
        let placed = |word: &String| word.replace(id, "ID").replace(&format!(".~snapgate-{unfinished}~"), ".~snapgate-RANDOM~");
        let run: Vec<_> = argv[1..].iter().map(placed).collect();
        let told = below(&explained, "would run, in ");
        assert_eq!((told[0].as_str(), &told[1..]), ("/usr/bin/rsync", run.as_slice()), "{explained}");
        for word in ["--server", "--delete", "--bwlimit=100", "--timeout=50", "--link-dest=", "--drop-D"] {
            assert!(run.iter().any(|found| found.starts_with(word)), "`{word}` in {run:?}");
        }
        let stage = if jail == "on" { "/stage".to_owned() } else { repository.path.join("inprogress").display().to_string() };
        assert!(explained.contains(&format!("would run, in {stage}:")), "{explained}");
        let opened = below(&explained, "in a jail that opens:");
        if jail == "on" {
            opens_what_it_has_to(&opened);
            let newest = repository.snapshots().pop().unwrap();
            let shown =
                format!("/basis/0 shows {}  (read-only, symlinks lead nowhere)", repository.path.join("snapshots").join(newest).display());
            assert!(explained.contains(&shown), "`{shown}` in {explained}");
        } else {
            assert!(explained.contains("without a jail") && opened.is_empty(), "{explained}");
        }
    }
}

/// The jail's grants as they are printed: each that is needed, and none besides but the system's libraries.
#[track_caller]
fn opens_what_it_has_to(opened: &[String]) {
    let needed = [
        "/usr/bin/rsync  (read, execute)".to_owned(),
        "/dev/null  (read, write)".to_owned(),
        "/rsync.log  (read, write)".to_owned(),
        "/stage  (read, write, create, remove)".to_owned(),
        "/basis/0  (read)".to_owned(),
    ];
    for line in &needed {
        assert!(opened.contains(line), "`{line}` in {opened:#?}");
    }
    let system = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache"];
    for line in opened.iter().filter(|line| !needed.contains(line)) {
        let (path, access) = line.split_once("  ").unwrap();
        assert!(system.contains(&path) && ["(read, execute)", "(read)"].contains(&access), "opened besides: {line}");
    }
}

#[test]
fn explain_does_nothing_for_anybody_and_says_how_it_would_end() {
    let server = Setup::new().client("web1", ALL_VERBS).client("db1", "user: daemon\nverbs: [status]\nfrom: [192.0.2.1]\n").start();
    let source = server.source("data");
    tree::small(&source);
    // There is something that could be changed: a snapshot, an open transaction with a part, records and mails.
    server.client("web1").push(&source, &[]).exits(0);
    server.client("web1").ssh(&["prepare"]).exits(0);
    server.client("web1").push(&source, &[]).exits(0);
    server.client("web1").ssh(&["reboot"]).exits(77);
    server.mail("reboot");
    until("no watch is at work", || processes::of(server.path(), "snapgate").is_empty());
    for (words, exit) in [
        (["web1", "127.0.0.1", PUSH], 0),
        (["web1", "127.0.0.1", "complete 12"], 0),
        (["web1", "127.0.0.1", "abort"], 0),
        (["web1", "127.0.0.1", ""], 0),
        (["web1", "127.0.0.1", "rm -rf /"], 77),
        (["web1", "127.0.0.1", "rsync --server --sender . ."], 77),
        (["db1", "192.0.2.1", "status"], 0),
        (["db1", "127.0.0.1", "status"], 77),
        (["db1", "192.0.2.1", PUSH], 77),
        (["db1", "127.0.0.1", "\u{1b}[2J"], 77),
    ] {
        quiet(&server, &["explain", "--client", words[0], "--from", words[1], words[2]]).exits(exit);
    }
    // Whoever is not known is refused, as a connection would be.
    let unknown = quiet(&server, &["explain", "--client", "nobody", PUSH]).exits(77);
    assert!(unknown.stdout.contains("nobody.yaml"), "{unknown:?}");
    server.syslog();
    quiet(&server, &["explain", "--client", "web1", PUSH]).exits(0);
    assert!(server.syslog().is_empty(), "no connection, no line");
}

#[test]
fn check_finds_nothing_in_good_files_and_the_fault_in_bad_ones() {
    let server = Setup::new().client("web1", ALL_VERBS).start();
    quiet(&server, &["check", "--all"]).exits(0);
    server.policy("web1", "colour: blue\n");
    let ran = quiet(&server, &["check", "--all"]).exits(1);
    let output = ran.stdout + &ran.stderr;
    assert!(output.contains("web1.yaml:1:") && output.contains("colour") && output.contains('^'), "{output}");
}

#[test]
fn check_finds_policies_that_get_in_each_others_way() {
    let server = Setup::new().client_on(0, "web1", "keys: [$KEY]\n").client_on(0, "db1", "keys: [$KEY]\n").start();
    let key = server.client("web1").fingerprint();
    server.policy("db1", &format!("keys: [{key}]\n"));
    // It makes the index of keys anew, and changes nothing else but the time of the directory.
    let check = || changing_only(&server, &["check"], |line| line.starts_with("keys.index ") || line.starts_with(' '));
    let ran = check().exits(1);
    assert!((ran.stdout + &ran.stderr).contains(&key));
    server.policy("db1", "keys: [$KEY]\npath: $DIR/store/web1/inside\n");
    let ran = check().exits(1);
    assert!((ran.stdout + &ran.stderr).contains("is inside the repository"));
}

#[test]
fn list_shows_the_snapshots() {
    let server = Server::start();
    let source = server.source("data");
    tree::small(&source);
    // A month of nights, and a push of today.
    let account = server.client("web1").account();
    let old = stock::snapshots(&server.repository("web1").path, &account, &stock::nights(31), |_, path| tree::small(path));
    server.client("web1").push(&source, &[]).exits(0);
    let names = server.repository("web1").snapshots();
    assert!(names.len() == 32 && names.starts_with(&old), "{names:?}");
    for words in [["list"].as_slice(), &["list", "web1"]] {
        let ran = quiet(&server, words).exits(0);
        assert!(ran.stdout.contains("web1") || words.len() == 2);
        for name in &names {
            assert!(ran.stdout.contains(name.as_str()), "{name} in: {}", ran.stdout);
        }
    }
    assert_ne!(quiet(&server, &["list", "nobody"]).status, 0);
}

#[test]
fn no_command_says_who_you_are_and_what_you_may_do() {
    let server = Setup::new().client("web1", "verbs: [rsync, status]\nwhen: [{ days: mon-sun, hours: \"00:00-24:00\" }]\n").start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    let before = web1.ssh::<&str>(&[]).exits(0);
    assert!(before.stdout.contains("web1") && before.stdout.contains("rsync"), "{}", before.stdout);
    web1.push(&source, &[]).exits(0);
    let after = web1.ssh::<&str>(&[]).exits(0);
    assert!(after.stdout.contains(&server.repository("web1").snapshots()[0]), "{}", after.stdout);
    assert!(!after.stdout.contains(&server.path().display().to_string()), "nothing about the server: {}", after.stdout);
}

#[test]
fn help_and_status_answer() {
    let server = Server::start();
    let web1 = server.client("web1");
    let help = web1.ssh(&["help"]).exits(0);
    for verb in ["prepare", "rsync", "complete", "abort", "status"] {
        assert!(help.stdout.contains(verb), "{verb} in: {}", help.stdout);
    }
    web1.ssh(&["status"]).exits(0);
    web1.ssh(&["prepare"]).exits(0);
    let status = web1.ssh(&["status"]).exits(0);
    assert!(status.stdout.contains("prepare") || status.stdout.contains("transaction"), "{}", status.stdout);
}

#[test]
fn there_is_a_sample_for_each_way_of_working_and_it_explains_itself() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let mut count = 0;
    for entry in fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            count += 1;
            assert!(fs::read_to_string(&path).unwrap().contains('#'), "{}: a sample explains itself", path.display());
        }
    }
    assert!(count >= 5, "one for each way of working");
}

#[test]
fn a_wrong_word_on_the_command_line_is_a_usage_error() {
    let server = Setup::new().start();
    for words in [["fly"].as_slice(), &["explain"], &["serve"], &["explain", "--client", "../x"]] {
        let ran = server.snapgate(words);
        assert!(ran.status >= 2, "{words:?}: {ran:?}");
    }
}
