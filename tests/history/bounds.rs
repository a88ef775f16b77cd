//! Who reads no further, and answers that would have no end.

use std::fs;
use std::process::{Command, Stdio};

use super::{POLICY, Past, push};
use support::{Gate, must, run};

#[test]
fn a_reader_who_has_read_enough_ends_the_answer_quietly() {
    let gate = Gate::with("", POLICY);
    let source = gate.source("data");
    for number in 0..6000 {
        fs::write(source.join(format!("file-{number:0>100}")), "").unwrap();
    }
    push(&gate, &source, 0);
    for words in ["ls --client web1", "find --client web1 '*'"] {
        let line =
            format!("{} --config {}/config {words} | head -1; echo \"${{PIPESTATUS[0]}}\"", support::SNAPGATE, gate.path().display());
        let ran = run(Command::new("bash").args(["-c", &line])).exits(0);
        assert_eq!(ran.stdout.lines().last(), Some("141"), "{ran:?}");
        assert_eq!(ran.stderr, "", "{words}");
    }
    // Through the gate.
    let mut child = gate.say_command("ls", "").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(141));
    assert_eq!(gate.record().result.to_string(), "answered");
}

#[test]
fn a_client_is_shown_no_file_that_is_larger_than_the_cap_and_the_administrator_is() {
    let gate = Gate::with("", POLICY);
    let source = gate.source("data");
    let large = fs::File::create(source.join("large")).unwrap();
    large.set_len(snapgate::terms::limits::MAX_SHOWN_FILE + 1).unwrap();
    push(&gate, &source, 0);
    let ran = gate.say("cat large");
    assert!(ran.status == 64 && ran.stderr.contains("(code too-much)"), "{ran:?}");
    let line = format!("{} --config {}/config cat --client web1 large | wc -c", support::SNAPGATE, gate.path().display());
    let ran = run(Command::new("sh").args(["-c", &line])).exits(0);
    assert_eq!(ran.stdout.trim(), (snapgate::terms::limits::MAX_SHOWN_FILE + 1).to_string());
}

#[test]
fn a_pattern_for_more_names_than_are_shown_is_refused() {
    let gate = Gate::with("", POLICY);
    let source = gate.source("data");
    for directory in 0..101 {
        fs::create_dir(source.join(directory.to_string())).unwrap();
        for number in 0..100 {
            fs::write(source.join(format!("{directory}/{number}")), "").unwrap();
        }
    }
    push(&gate, &source, 0);
    for said in ["find *", "find --all *"] {
        let ran = gate.say(said);
        assert!(ran.status == 64 && ran.stderr.contains("stands for more than 10000 names"), "{said}: {:?}", ran.stderr);
    }
    assert_eq!(gate.say("find 7/*").exits(0).stdout.lines().count(), 100);
}

#[test]
fn nothing_is_changed_by_a_look_and_a_look_and_a_push_go_on_side_by_side() {
    let past = Past::new();
    let state = || {
        run(Command::new("sh").args(["-c", "find snapshots -printf '%p %i %m %T@ %C@ %n\n' | sort"]).current_dir(past.gate.repository()))
    };
    let before = state().stdout;
    for words in [&["diff", "--client", "web1", "@2d", "current"][..], &["history", "-d", "--client", "web1", "etc/hosts"]] {
        run(&mut past.gate.snapgate(words)).exits(0);
    }
    assert_eq!(state().stdout, before);
    let lock = fs::File::open(past.gate.inside(".snapgate/lock")).unwrap();
    lock.lock().unwrap();
    past.gate.say("ls etc").exits(0);
    past.gate.say("list").exits(0);
}

#[test]
fn whoever_reads_an_answer_slowly_keeps_no_snapshot_but_those_that_are_being_read() {
    use std::io::Read as _;
    let gate = Gate::with("", POLICY);
    let source = gate.source("data");
    fs::create_dir(source.join("d")).unwrap();
    push(&gate, &source, 2);
    for number in 0..6000 {
        fs::write(source.join(format!("d/file-{number:0>100}")), "").unwrap();
    }
    push(&gate, &source, 1);
    push(&gate, &source, 0);
    let newest = fs::File::open(gate.newest()).unwrap();
    let stalls = |command: &mut Command, is_clients: bool| {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 20_000]).unwrap();
        // It cannot have come to the newest: more than the pipes hold is to be said before.
        newest.try_lock().unwrap();
        newest.unlock().unwrap();
        // Whoever answers a client has bounds, too, and lets others go first.
        let below = support::processes::descendants(&[child.id()]);
        let line = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let answers = below.into_iter().find(|pid| line(pid).contains("answer-history")).unwrap();
        let (limits, stat) = ["limits", "stat"].map(|file| fs::read_to_string(format!("/proc/{answers}/{file}")).unwrap()).into();
        let nice = stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap();
        let memory = limits.lines().find_map(|line| line.strip_prefix("Max address space")).unwrap().split_whitespace().next().unwrap();
        let is_bounded = (nice, memory) == ("19", snapgate::terms::limits::READER_MEMORY.to_string().as_str());
        assert_eq!(is_bounded, is_clients, "{nice} {memory}");
        child.kill().unwrap();
        child.wait().unwrap();
    };
    stalls(&mut gate.say_command("history d", ""), true);
    // That gate was killed, which its client could have had done; it counts all the same.
    let begun = std::time::Instant::now();
    let told = loop {
        match gate.ledger().into_iter().find_map(|record| record.restore) {
            None if begun.elapsed().as_secs() < 20 => std::thread::sleep(std::time::Duration::from_millis(20)),
            told => break told,
        }
    };
    assert!(told.unwrap().day_bytes.is_some());
    stalls(&mut gate.snapgate(&["history", "--client", "web1", "d"]), false);
}

/// The account writes its ledgers, and packs what is long in little room.
#[test]
fn a_ledger_of_any_number_of_pushes_is_listed_in_the_memory_that_its_snapshots_take() {
    let gate = Gate::with("", POLICY);
    let source = gate.source("data");
    push(&gate, &source, 0);
    let line = fs::read_to_string(gate.inside(".snapgate/ledger.jsonl")).unwrap();
    let name = gate.newest().canonicalize().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let gone = line.replace(&name, "2001-01-01T00-00-00Z");
    let unknown = line.replace("\"kind\":\"push\"", "\"kind\":\"later\"");
    assert!(gone != line && unknown != line, "{line}");
    let old = gate.inside(".snapgate/ledgers");
    fs::create_dir(&old).unwrap();
    let pack = "for line; do yes \"$line\" | head -n 25000; done | gzip -1 > \"$0\"";
    must(Command::new("sh").args(["-c", pack]).arg(old.join("2001-02-01T00-00-00Z.jsonl.gz")).args([gone.trim_end(), unknown.trim_end()]));
    for words in [&["list", "web1"][..], &["ls", "--client", "web1", "@complete"]] {
        let ran = run(Command::new("prlimit").arg("--data=30000000").args(words_of(&gate.snapgate(words)))).exits(0);
        assert!(
            words[0] != "list" || ran.stdout.contains(&name) && ran.stdout.contains("  25000 events of the ledger that only another"),
            "{ran:?}"
        );
    }
}

fn words_of(command: &Command) -> Vec<std::ffi::OsString> {
    std::iter::once(command.get_program()).chain(command.get_args()).map(ToOwned::to_owned).collect()
}
