//! What the program says to those who start it without sshd: administrators, cron, and a gate by hand.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking, its helpers too")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use support::getent;
use tempfile::TempDir;

const PUSH: &str = "rsync --server -ltpre.iLsfxCIvu . .";

/// A configuration whose only client `c` is the account that runs this.
struct World {
    dir: TempDir,
}

impl World {
    fn new(policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display().to_string();
        for name in ["etc", "etc/policies", "spool", "mail", "store", "store/c"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let site = format!(
            "store: {at}/store\nrsync: /bin/true\nspool: {at}/spool\nsyslog: off\nsshd: off\nmail: {{ transport: \"file:{at}/mail\" }}\n"
        );
        let this = Self { dir };
        this.put("snapgate.yaml", &site);
        this.policy(policy);
        this
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path("etc").join(name), text).unwrap();
    }

    fn policy(&self, text: &str) {
        let account = getent::my_name();
        let user = if text.contains("user:") { String::new() } else { format!("user: {account}\n") };
        self.put("policies/c.yaml", &(text.to_owned() + &user));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The exit status, and everything that was said.
    fn says(&self, words: &[&str], command: &str) -> (i32, String) {
        self.run(env!("CARGO_BIN_EXE_snapgate"), words, command)
    }

    fn serve(&self, command: &str) -> (i32, String) {
        self.gate(&["--client", "c"], command)
    }

    fn gate(&self, words: &[&str], command: &str) -> (i32, String) {
        self.run(env!("CARGO_BIN_EXE_snapgate-shell"), words, command)
    }

    fn run(&self, program: &str, words: &[&str], command: &str) -> (i32, String) {
        let mut program = Command::new(program);
        program.arg("--config").arg(self.path("etc")).args(words).env("SSH_ORIGINAL_COMMAND", command);
        let output = program.env("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22").stdin(Stdio::null()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    fn explain(&self, words: &[&str]) -> (i32, String) {
        self.says(&[&["explain", "--client"], words].concat(), "")
    }
}

#[test]
fn a_watch_with_nothing_to_do_prints_nothing_so_that_cron_mails_nothing() {
    let world = World::new("");
    assert_eq!(world.says(&["watch"], ""), (0, String::new()));
    assert_eq!(world.serve("sh").0, 77);
    // The gate starts a watch of its own; with one more pass the mail is out, whoever sends it.
    world.says(&["watch", "--flush"], "");
    assert!(fs::read_dir(world.path("mail")).unwrap().count() > 0);
    // The gate's own pass may begin only now, and is told of while it runs.
    let silent = (0..100).any(|_| world.says(&["watch"], "") == (0, String::new()));
    assert!(silent, "{:?}", world.says(&["watch"], ""));
    world.put("snapgate.yaml", &format!("store: /s\nspool: {}\n", world.path("gone").display()));
    assert_ne!(world.says(&["watch"], "").1, "", "what is wrong is said");
}

#[test]
fn check_ends_with_a_count_and_says_whose_lines_are_the_jail_s() {
    let world = World::new("");
    let (status, text) = world.says(&["check", "--all"], "");
    assert!(text.ends_with("1 policy, nothing wrong\n") || text.contains("the required rights: NOT enforced"), "{status} {text}");
    assert!(text.contains("jail, truncate: "), "{text}");
    world.put("policies/d.yaml", "usr: x\n");
    let (status, text) = world.says(&["check", "--all"], "");
    assert!(status == 1 && text.ends_with("1 policy can be read, 1 problem\n"), "{text}");
}

#[test]
fn explain_without_an_address_does_not_judge_it() {
    let world = World::new("from: [203.0.113.0/24]\n");
    let (_, text) = world.explain(&["c", PUSH]);
    assert!(text.contains("no --from given: address not judged") && !text.contains("any address"), "{text}");
    let (status, text) = world.explain(&["c", "--from", "192.0.2.1", PUSH]);
    assert!(status == 77 && text.contains("and: ask the administrator of the server"), "{text}");
    assert!(text.contains("to allow: if the client may come from there, add `192.0.2.1` to `from:`"), "{text}");
    world.policy("");
    assert!(world.explain(&["c", PUSH]).1.contains("any address"));
}

#[test]
fn explain_and_check_show_what_a_policy_says_of_options() {
    let world = World::new("options:\n  refuse: [xattrs]\n  allow: [safe-links]\n");
    let (status, text) = world.explain(&["c", "rsync --server -ltXpre.iLsfxCIvu . ."]);
    assert!(status == 77 && text.contains("no   the client's rsync sent `-X`: the policy refuses it  ("), "{text}");
    assert!(text.contains("c.yaml:1)") && text.contains("to allow: remove `xattrs` from `options: {refuse: […]}`"), "{text}");
    let (_, text) = world.explain(&["c", "rsync --server -ltpre.iLsfxCIvu --safe-links --inplace . ."]);
    assert!(text.starts_with("c: allowed") && text.contains("yes  `--safe-links` was passed on because the policy allows it"), "{text}");
    assert!(text.contains("yes  `--inplace` was not passed on"), "{text}");
    let (status, text) = world.explain(&["c", "rsync --server -ltpre.iLsfxCIvu --preallocate . ."]);
    assert!(status == 77 && text.contains("to allow: add `preallocate` to `options: {allow: […]}`"), "{text}");

    let (_, text) = world.says(&["check", "--all"], "");
    assert!(text.contains("c.yaml:1: `safe-links` is allowed: the snapshot would silently lack symlinks"), "{text}");
    world.policy("options: { allow: [append] }\n");
    let (status, text) = world.says(&["check", "--all"], "");
    assert!(status == 1 && text.contains("c.yaml:1:20: `append` can never be allowed: a store of hard links"), "{text}");
    assert!(text.contains("\n 1 | options: { allow: [append] }\n   |                    ^\n"), "{text}");
    let (status, text) = world.serve(PUSH);
    assert!(status == 78 && !text.contains("append"), "a broken policy lets nobody in, and the client is not to blame: {text}");
}

#[test]
fn explain_and_check_show_where_a_push_may_run_without_namespaces() {
    const ACLS: &str = "rsync --server -ltpAre.iLsfxCIvu . .";
    let seeing = "seeing the server's files, without namespaces";
    let world = World::new("user: daemon\n");
    let site = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap().replace("/bin/true", "/usr/bin/rsync");
    world.put("snapgate.yaml", &site);
    let (status, text) = world.explain(&["c", ACLS]);
    assert!(status == 77 && text.contains("to allow: add `acls` to `options: {allow: […]}` in the policy, and know that"), "{text}");
    assert!(text.contains("and: leave -A (--acls) out"), "{text}");
    world.policy("user: daemon\noptions: { allow: [acls] }\n");
    let (status, text) = world.explain(&["c", ACLS]);
    assert!(status == 0 && text.contains("yes  access lists (`-A`) are allowed: rsync runs in a weaker jail"), "{text}");
    assert!(text.contains(seeing), "{text}");
    let (_, text) = world.explain(&["c", PUSH]);
    assert!(text.contains("seeing nothing but:") && !text.contains(seeing) && !text.contains("gives no namespaces"), "{text}");
    assert!(world.says(&["check", "--all"], "").1.contains("c.yaml:2: `acls` is allowed: access lists name other accounts"));
    world.policy("user: root\n");
    let (status, text) = world.explain(&["c", ACLS]);
    assert!(status == 0 && text.contains("seeing nothing but:") && !text.contains("weaker"), "{text}");
    world.put("snapgate.yaml", &format!("{site}namespaces: optional\n"));
    assert!(world.explain(&["c", PUSH]).1.contains("or, where the kernel gives no namespaces, the server's files"));
    let (_, text) = world.says(&["check", "--all"], "");
    assert!(text.contains("snapgate.yaml:7: namespaces are optional: where an account gets none"), "{text}");
}

#[test]
fn explain_answers_where_serve_would_refuse_for_want_of_a_policy_and_a_bad_question_is_a_usage_error() {
    let world = World::new("colour: blue\n");
    let (status, text) = world.explain(&["c", PUSH]);
    assert!(status == 77 && text.starts_with("c: refused\n") && text.contains("c.yaml:1") && text.contains("(code config)"), "{text}");
    let (status, text) = world.explain(&["nobody", PUSH]);
    assert!(status == 77 && text.starts_with("nobody: refused\n") && text.contains("(code no-policy)"), "{text}");
    world.policy("");
    for words in [["c", "--at", "tomorrow", PUSH].as_slice(), &["c", "--from", "here", PUSH], &["../c", PUSH], &["c", "--key", "x", PUSH]] {
        assert_eq!(world.explain(words).0, 64, "{words:?}");
    }
    world.put("snapgate.yaml", "stor: /s\n");
    assert_eq!(world.explain(&["c", PUSH]).0, 78);
}

#[test]
fn a_client_is_told_the_same_whichever_file_of_the_server_is_broken() {
    let world = World::new("colour: blue\n");
    let policy = world.serve(PUSH);
    world.policy("timezone: Europe/Atlantis\n");
    let zone = world.serve(PUSH);
    assert_eq!(policy, zone);
    assert_eq!((policy.0, policy.1.lines().count()), (78, 2), "{}", policy.1);
}

#[test]
fn every_refusal_tells_the_client_on_its_next_line_what_to_do() {
    let world = World::new("");
    let refused = |code: &str, hint: &str, serve: (i32, String)| {
        let lines: Vec<_> = serve.1.lines().collect();
        assert!(
            lines.len() == 2 && lines[0].starts_with("snapgate: refused: ") && lines[0].ends_with(&format!("(code {code})")),
            "{serve:?}"
        );
        assert!(lines[1].starts_with("snapgate: ") && lines[1].contains(hint), "{serve:?}");
    };
    let ask = "ask the administrator of the server";
    refused("no-policy", ask, world.gate(&["--client", "nobody"], PUSH));
    for (policy, code) in [
        ("from: [203.0.113.1]\n", "address"),
        ("keys: [SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk]\n", "key"),
        ("user: somebody\n", "account"),
    ] {
        world.policy(policy);
        refused(code, ask, world.serve(PUSH));
    }
    // Open for one minute a week, which is not this one unless a test takes days.
    let tomorrow = (chrono::Utc::now() + chrono::TimeDelta::days(2)).format("%a").to_string().to_lowercase();
    world.policy(&format!("when: [{{ days: \"{tomorrow}\", hours: \"12:00-12:01\" }}]\n"));
    refused("window", ask, world.serve(PUSH));
    world.policy("verbs: [prepare, rsync, complete, abort]\n");
    refused("verb", "allowed: ", world.serve("status"));
    for command in ["complete 0", "abort"] {
        let (status, _) = world.serve(command);
        assert_eq!(status, 64);
        refused("transaction", "say `prepare`", world.serve(command));
    }
    for (command, code) in [("sh", "program"), ("scp -t /", "scp"), ("complete x", "command"), ("rsync --server . ../x", "path")] {
        refused(code, "", world.serve(command));
    }
}

#[test]
fn what_scripts_ask_before_they_push_is_answered_as_the_policy_allows_and_nobody_is_mailed() {
    let world = World::new("verbs: [rsync]\nreport: always\n");
    assert_eq!(world.serve("true"), (0, String::new()));
    let (status, text) = world.serve("rsync --version");
    assert_eq!(status, 0, "{text}");
    // As scripts read it.
    let words: Vec<_> = text.lines().next().unwrap().split_whitespace().collect();
    assert_eq!((words[..2].join(" ").as_str(), words[3..5].join(" ").as_str()), ("rsync version", "protocol version"));
    assert!(words[2].split('.').all(|part| part.parse::<u32>().is_ok()) && words[5].parse::<u32>().is_ok(), "{words:?}");
    assert!(text.contains("snapgate answers in the place of rsync"), "it is not said to be rsync's own answer: {text}");
    assert!(!text.contains("server's own"), "which may be any: {text}");
    // The site's rsync is /bin/true: nothing of the server is in the answer.
    world.says(&["watch", "--flush"], "");
    assert_eq!(fs::read_dir(world.path("mail")).unwrap().count(), 0);
    let ledger: String = walk(&world.path("spool")).into_iter().chain(walk(&world.path("store"))).map(|path| read(&path)).collect();
    for command in ["true", "rsync --version"] {
        assert!(ledger.contains(&format!("\"verb\":\"help\",\"command\":\"{command}\"")), "{ledger}");
    }
    world.policy("from: [203.0.113.0/24]\n");
    for command in ["true", "rsync --version"] {
        let (status, text) = world.serve(command);
        assert!(status == 77 && text.contains("(code address)"), "{text}");
    }
}

#[test]
fn what_scripts_ask_besides_is_refused_with_what_to_do_instead() {
    let world = World::new("");
    for (command, hint) in [
        ("echo connected", "to see whether a connection works say `true`"),
        ("test -d /srv/backup", "the verb status tells which snapshot is the newest"),
        ("mkdir -p /srv/backup/web1", "a push makes its place by itself"),
        ("df -P /srv", "a push for which there is no room is told so"),
        ("rsync --version 2>/dev/null | head -1", "say it without anything behind it"),
        (
            "ionice -c3 nice rsync --server -logDtpre.iLsfxCIvu . .",
            "leave --rsync-path out, so that rsync asks for plain `rsync`; `ionice`, `nice`: ",
        ),
        ("umask 077; rsync --server -logDtpre.iLsfxCIvu . .", "`umask`: use --chmod of your own rsync"),
    ] {
        let (status, text) = world.serve(command);
        let lines: Vec<_> = text.lines().collect();
        assert!(status == 77 && lines.len() == 2 && lines[0].ends_with(')') && lines[1].contains(hint), "{command}: {text}");
    }
}

fn read(path: &std::path::Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn walk(dir: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

const KEYS: [&str; 2] = ["SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk", "SHA256:AAAAztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk"];

#[test]
fn explain_takes_a_connection_for_the_client_that_the_gate_takes_it_for() {
    let world = World::new("");
    let account = getent::my_name();
    let [first, second] = KEYS;
    // Alone it may come with any key; beside another of the account, not with that one's.
    assert_eq!(world.explain(&["c", "--key", first, "status"]).0, 0);
    world.put("policies/d.yaml", &format!("user: {account}\nkeys: [\"{first}\"]\nfrom: [203.0.113.1]\n"));
    let (status, text) = world.explain(&["c", "--key", first, "status"]);
    assert!(status == 77 && text.starts_with("c: refused\n"), "{text}");
    assert!(text.contains(&format!("with key {first} speaks for d, not for c  (")) && text.contains("d.yaml:2)"), "{text}");
    assert!(text.contains("\nwhere sshd starts `snapgate-shell --client c`, it would be:\nc: allowed\n"), "{text}");
    assert_eq!(world.explain(&["c", "--key", second, "status"]).0, 0);
    let (status, text) = world.explain(&["c", "status"]);
    assert!(status == 0 && text.contains("  --   a key that d lists speaks for that instead  (") && text.contains("d.yaml:2)"), "{text}");
    assert!(world.says(&["check", "--all"], "").1.contains("keys that d lists speak for that, and every other key for c"));
    // The account's own policy has keys: nobody else's key leads past it.
    world.put(&format!("policies/{account}.yaml"), &format!("user: {account}\nkeys: [\"{second}\"]\n"));
    let (status, text) = world.explain(&["c", "status"]);
    assert!(status == 77 && text.contains(&format!("with a key that no policy lists speaks for {account}, not for c")), "{text}");
    let (status, text) = world.says(&["check", "--all"], "");
    assert!(
        status == 1 && text.contains(&format!("c is never reached: of the account `{account}`, {account} is its own policy")),
        "{text}"
    );
    // What cannot be told apart is refused, as by the gate.
    fs::remove_file(world.path(&format!("etc/policies/{account}.yaml"))).unwrap();
    world.put("policies/e.yaml", &format!("user: {account}\n"));
    let (status, text) = world.explain(&["c", "status"]);
    assert!(status == 77 && text.contains("the policies of c, e are for this account and tell no keys"), "{text}");
    assert_eq!(world.gate(&[], "status").0, 78, "and so does the gate");
}

#[test]
fn explain_says_what_a_line_that_a_person_types_would_send_and_do() {
    let world = World::new("");
    let site = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap().replace("/bin/true", "/usr/bin/rsync");
    world.put("snapgate.yaml", &(site + "defaults: { owners: drop }\n"));
    world.policy("options: { allow: [owner, group] }\n");
    let (status, text) = world.explain(&["c", "rsync -az --delete -e 'ssh -p 2222' /home/me/ backup:"]);
    let begins = "typed at a client, this sends about:\n  rsync --server -logDtprze.iLsfxCIvu --delete . .\nc: allowed\n";
    assert!(status == 0 && text.starts_with(begins) && text.contains("would run, in "), "{status} {text}");
    let (status, text) = world.explain(&["c", "rsync -a --append x backup:"]);
    assert!(status == 77 && text.contains("the client's rsync sent `--append`"), "{text}");
    let (status, text) = world.explain(&["c", "rsync -a backup:etc/ /tmp/etc"]);
    assert!(status == 77 && text.contains("(code pull)"), "{text}");
    let (status, text) = world.explain(&["c", "rsync -a x backup::module"]);
    assert!(status == 77 && text.starts_with("nothing of this reaches the server: it speaks to an rsync daemon"), "{text}");
    assert_eq!(world.explain(&["c", "ssh backup status"]).0, 0);
    assert_eq!(fs::read_dir(world.path("store/c")).unwrap().count(), 0, "nothing was done");
}

#[test]
fn what_the_ledger_has_of_another_version_is_listed_by_what_every_event_says_and_stops_nothing() {
    let world = World::new("verbs: [rsync]\n");
    fs::create_dir(world.path("store/c/.snapgate")).unwrap();
    fs::create_dir_all(world.path("store/c/snapshots/2026-11-21T02-00-00Z")).unwrap();
    let event = |version: u32, kind: &str, rest: &str| {
        format!("{{\"version\":{version},\"kind\":\"{kind}\",\"id\":\"1\",\"at\":\"2026-11-21T02:00:00Z\",\"client\":\"c\"{rest}}}\n")
    };
    let figures = ",\"mail\":\"none\",\"result\":\"published\",\"exit\":0,\"snapshot\":\"2026-11-21T02-00-00Z\",\"seconds\":1.5,\"files\":7,\
                   \"linked\":2,\"received\":5,\"bytes\":300,\"received_bytes\":100";
    let prunes: String = (0..7).map(|number| event(1, "restore", &format!(",\"summary\":\"{number} snapshots were removed\""))).collect();
    let forged = event(1, "drill", ",\"summary\":\"all\\nis \\u001b[2Jwell\"");
    let ledger = prunes + &event(1, "push", figures) + &event(2, "push", figures) + "torn{\n" + &forged + &event(1, "a b", "");
    fs::write(world.path("store/c/.snapgate/ledger.jsonl"), ledger).unwrap();
    let (status, listed) = world.says(&["list", "c"], "");
    assert_eq!(status, 0, "{listed}");
    assert!(listed.contains("           7 files       300 B           5 new       100 B"), "what can be read is: {listed}");
    let unknown: Vec<_> = listed.lines().skip_while(|line| !line.contains("only another version")).collect();
    let lines = [
        "  9 events of the ledger that only another version of snapgate can read:",
        "    2026-11-21 02:00:00 UTC  restore of c: 4 snapshots were removed",
        "    2026-11-21 02:00:00 UTC  restore of c: 5 snapshots were removed",
        "    2026-11-21 02:00:00 UTC  restore of c: 6 snapshots were removed",
        "    2026-11-21 02:00:00 UTC  push of c",
        "    2026-11-21 02:00:00 UTC  drill of c: all\\nis \\u{1b}[2Jwell",
    ];
    assert_eq!(unknown, lines, "{listed}");
    assert!(world.explain(&["c", PUSH]).1.starts_with("c: allowed\n"));
}
