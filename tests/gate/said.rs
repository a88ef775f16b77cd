//! What the server's rsync says of a push, with every option that has it say more, and what the gate makes of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use snapgate::decide::rsync::argv::Version;
use snapgate::terms::Mail;
use snapgate::terms::outcome::Outcome;

use support::versions::{old_server, older_client};
use support::{Gate, can_trace, must, run};

/// Mails are for what is wrong.
const PROBLEMS: &str = "verbs: [rsync, prepare, complete]\noptions: { allow: [acls, owner, group] }\n";

/// What has a client's rsync, and by it the server's, say more or say it in another way.
const SAYING: &[&[&str]] = &[
    &["-v"],
    &["-vv"],
    &["-vvv"],
    &["-q"],
    &["-v", "-i"],
    &["-ii"],
    &["-vv", "-i"],
    &["-v", "--stats"],
    &["-vv", "--stats", "-h"],
    &["--progress"],
    &["-vP"],
    &["--info=progress2"],
    &["--info=ALL"],
    &["--info=ALL2"],
    &["--info=NONE"],
    &["--info=name2,skip2,copy"],
    &["--info=stats3,flist2,misc2"],
    &["--info=del,remove,backup,mount,symsafe,nonreg"],
    &["--out-format=%n%L"],
    &["--out-format=%i %n%L"],
    &["--out-format=%o %f"],
    &["-vH"],
    &["-vvHI"],
    &["-vvc"],
    &["-vz"],
    &["-vvy"],
    &["-v", "--delete"],
    &["-vv", "--delete-after"],
    &["-vvW"],
    &["-vv", "--no-W"],
    &["-v", "--copy-unsafe-links"],
    &["-vv", "--size-only"],
    &["-vv", "--ignore-existing"],
    &["-vs"],
    &["-v", "--log-file=/dev/null"],
    &["-vvR"],
];

const ERROR: &str = "rsync: [generator] mkstemp \"x\" failed: Permission denied (13)";

/// A home as people have it, and names that look like what rsync says.
fn fill(source: &Path) {
    for directory in ["sub", "rsync: a failed: Permission denied (13)", "ERROR: b", "n\n2026/11/21 09:12:02 [1] rsync error: c (code 23)"] {
        fs::create_dir_all(source.join(directory)).unwrap();
        fs::write(source.join(directory).join("file"), directory).unwrap();
    }
    for file in ["file", "changing", "rsync: foo failed: Permission denied (13)", "rsync error: some files (code 23) at main.c(1)", ERROR] {
        fs::write(source.join(file), file).unwrap();
    }
    symlink("file", source.join("link")).unwrap();
    symlink("failed: Permission denied (13)", source.join("rsync: [receiver] link")).unwrap();
    fs::hard_link(source.join("file"), source.join("hard")).unwrap();
    for fifo in ["fifo", "rsync: [receiver] a FIFO: Permission denied (13)"] {
        must(Command::new("mkfifo").arg(source.join(fifo)));
    }
    drop(UnixListener::bind(source.join("socket")).unwrap());
}

#[test]
fn a_push_that_went_well_is_nobody_s_trouble_however_much_rsync_says_of_it() {
    // With `-R` all names are others.
    let gate = Gate::with("", &format!("{PROBLEMS}anomaly: off\n"));
    let source = gate.source("data");
    fill(&source);
    // A client before that knows no `nonreg`.
    let unknown = if older_client(Version(3, 2, 4)) { "nonreg" } else { "" };
    let known = |options: &&&[&str]| unknown.is_empty() || options.iter().all(|option| !option.contains(unknown));
    for (round, options) in SAYING.iter().filter(known).enumerate() {
        // Something to say in each round, old and new.
        fs::write(source.join("changing"), "x".repeat(round + 1)).unwrap();
        fs::write(source.join("sub").join(format!("new {round}")), "new").unwrap();
        fs::create_dir(source.join(format!("rsync: {round}"))).unwrap();
        let from = format!("{}/", source.display());
        let words: Vec<&str> = ["-a"].into_iter().chain(options.iter().copied()).chain([from.as_str(), "backup:"]).collect();
        let ran = gate.rsync(&words).exits(0);
        let record = gate.record();
        // The gate's own warnings, of options, are another thing.
        let warnings: Vec<_> = record.warnings.iter().filter(|warning| warning.starts_with("rsync")).collect();
        assert_eq!((record.result, warnings), (Outcome::Published, Vec::<&String>::new()), "{options:?}: {}", ran.stderr);
        let is_silent = options.iter().any(|option| ["-q", "--info=NONE"].contains(option));
        if old_server().is_none() && !is_silent {
            assert_eq!(record.push.unwrap().skipped, 3, "{options:?}");
        }
        assert_eq!(record.mail == Mail::None, record.warnings.is_empty(), "{options:?}");
    }
    gate.flush();
    let mails = gate.mails();
    assert!(mails.iter().all(|mail| !mail.contains("  rsync")), "{mails:#?}");
}

#[test]
fn what_is_skipped_stands_in_the_report_and_adds_up_in_a_transaction() {
    if old_server().is_some() {
        return;
    }
    let gate = Gate::new();
    let source = gate.source("data");
    fill(&source);
    gate.push(&source, &["-v"]).exits(0);
    gate.flush();
    let mails = gate.mails();
    assert!(mails.iter().any(|mail| mail.contains("Skipped:    3 files: ") && mail.contains("Nothing to do.")), "{mails:#?}");
    gate.say("prepare").exits(0);
    for place in ["backup:a/", "backup:b/"] {
        gate.rsync(&["-a", &format!("{}/", source.display()), place]).exits(0);
    }
    gate.say("complete 0").exits(0);
    assert_eq!(gate.record().push.unwrap().skipped, 6);
}

#[test]
fn a_real_complaint_is_told_among_thousands_of_names_that_look_like_one() {
    if !can_trace() {
        return;
    }
    let gate = Gate::with("", PROBLEMS);
    let source = gate.source("failing");
    let failing = source.join("a");
    fs::write(&failing, vec![b'x'; 3_000_000]).unwrap();
    for number in 0..1500 {
        fs::create_dir(source.join(format!("rsync: {number} failed: Permission denied (13)"))).unwrap();
        symlink("failed: Permission denied (13)", source.join(format!("rsync: [generator] {number}"))).unwrap();
    }
    let client = gate.push_command(&source, &["-vv"], "");
    // A disk with a bad block, as far as the client's rsync can see.
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(&failing).args(["-e", "trace=read", "-e", "inject=read:error=EIO:when=3+"]);
    command.arg(client.get_program()).args(client.get_args());
    command.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
    run(&mut command).exits(23);
    let record = gate.record();
    let of_rsync: Vec<_> = record.warnings.iter().filter(|warning| warning.starts_with("rsync: ")).collect();
    assert!(of_rsync.iter().any(|said| said.starts_with("rsync: ERROR: a failed verification")), "{of_rsync:#?}");
    assert!(of_rsync.iter().all(|said| said.contains(" a failed verification") || said.contains("rsync error")), "{of_rsync:#?}");
    let said = fs::metadata(gate.inside(&format!(".snapgate/logs/{}.rsync.log", record.id))).unwrap().len();
    assert!(record.push.unwrap().partial && said > 100_000, "the log has all of it: {said}");
}
