//! What others try, where an ordinary account keeps its clients' owners (`tests/support/kept.rs`); `make owners` runs more of them.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use snapgate::terms::Mail;
use snapgate::terms::limits::{GROUP_GRACE, MAPPING_TIMEOUT, MAX_QUOTED, TERM_GRACE};
use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;

use support::kept::{VARIABLE, again, keeper};
use support::layer::layer;
use support::processes;
use support::repository::read_ledger;
use support::{Gate, POLICY, Ran, Running, mode, run, skip};

#[test]
fn code_that_has_taken_rsync_over_changes_nothing_where_owners_are_kept() {
    let tests = [
        "attacks::everything::no_call_of_the_kernel_changes_anything_in_rsync_s_view_but_the_stage",
        "attacks::links::what_stands_in_the_place_of_links_is_in_no_snapshot",
        "attacks::links::what_stands_in_the_place_of_links_is_gone_after_the_gate_was_killed",
        "attacks::calls::names_that_are_removed_while_the_gate_looks_open_no_way_to_history",
        "attacks::calls::nothing_is_left_in_memory_and_what_others_share_there_is_out_of_reach",
        "history::no_push_changes_an_older_snapshot",
        "taken_over::capabilities_that_an_account_was_given_do_not_reach_rsync",
        "taken_over::code_that_has_taken_rsync_over_changes_nothing_in_history_and_does_not_stay",
        "owners::without_a_view_owners_are_not_kept_and_nothing_is_stored",
        "owners::where_the_file_system_keeps_no_owners_a_push_is_refused_and_nothing_is_stored",
    ];
    again(&tests);
}

/// Whatever the site file gives up: without a namespace for its files they would be the account's.
#[test]
fn without_a_view_owners_are_not_kept_and_nothing_is_stored() {
    if keeper().is_none() {
        return skip(&format!("another test runs it with {VARIABLE}"));
    }
    let gate = Gate::with("namespaces: optional\n", POLICY);
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    gate.push(&source, &[]).exits(0);
    // Whoever is in a jail already may not mount.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(layer().is_ok());
            let ran = gate.push(&source, &[]).exits(Code::Owners.exit().into());
            assert_eq!(ran.code(), Some("owners"));
        });
    });
    assert_eq!((gate.record().reasons[0].code, gate.snapshots().len()), (Code::Owners, 1));
}

/// A process that serves the store, and does there what its own user may. It ends with what it has mounted.
struct Served<'a>(&'a Path);

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

/// Mounted by root, one may give files away, and root of the client's may not write what is somebody else's. Mounted by the account
/// nobody may do either.
#[test]
fn where_the_file_system_keeps_no_owners_a_push_is_refused_and_nothing_is_stored() {
    let Some(keeper) = keeper() else { return skip(&format!("another test runs it with {VARIABLE}")) };
    if run(Command::new("env").args(["gocryptfs", "-version"])).status != 0 {
        return skip("there is no gocryptfs: `make test` installs it where root and apt can");
    }
    for (what, words, others) in [("root's", Vec::new(), &["-allow_other"][..]), ("the account's", keeper.words(), &[])] {
        let gate = Gate::new();
        let [sealed, store] = ["sealed", "store"].map(|name| gate.path().join(name));
        gate.write("pass", "secret\n");
        fs::create_dir(&sealed).unwrap();
        for directory in [&sealed, &store] {
            mode(directory, 0o711);
            chown(directory, (!words.is_empty()).then_some(keeper.account.uid), None).unwrap();
        }
        let served = |more: &[&str], at: &[&Path]| {
            let words = words.iter().map(String::as_str).chain(["gocryptfs", "-q", "-passfile"]).collect::<Vec<_>>();
            run(Command::new("env").args(words).arg(gate.path().join("pass")).args(more).args(at))
        };
        served(&["-init"], &[&sealed]).exits(0);
        let mounted = served(others, &[&sealed, &store]);
        if mounted.status != 0 {
            skip(&format!("no FUSE here that is {what}: {}", mounted.stderr.trim()));
            continue;
        }
        let mounted = Served(&store);
        let by_account = |script: &str| {
            let command = format!("umask 077; cd {}; {script}", store.display());
            run(Command::new("env").args(keeper.words()).args(["/bin/sh", "-ec", &command]))
        };
        if words.is_empty() {
            fs::create_dir(gate.repository()).unwrap();
            mode(&gate.repository(), 0o700);
            chown(gate.repository(), Some(keeper.account.uid), Some(keeper.account.gid)).unwrap();
        } else {
            by_account("mkdir web1").exits(0);
        }
        let source = gate.source("data");
        fs::create_dir(source.join("jane")).unwrap();
        fs::write(source.join("jane/letter"), "x").unwrap();
        for path in ["jane", "jane/letter"] {
            chown(source.join(path), Some(1000), Some(1000)).unwrap();
        }
        for _ in ["at first", "again"] {
            let ran = gate.push(&source, &[]).exits(Code::Owners.exit().into());
            assert_eq!(ran.code(), Some("owners"), "{what}");
            assert!(!ran.stderr.contains("FUSE") && !ran.stderr.contains("file system"), "nothing of the server: {}", ran.stderr);
            by_account("[ -z \"$(ls -A web1/snapshots)\" ]; [ ! -e web1/inprogress ]; [ ! -e web1/.snapgate/owners.json ]").exits(0);
            // As a gate that is killed leaves it, for the next.
            by_account("[ ! -e web1/.snapgate/owners.try ]; mkdir -p web1/.snapgate/owners.try/inner").exits(0);
        }
        let line = by_account("tail -n 1 web1/.snapgate/ledger.jsonl").exits(0).stdout;
        assert!(line.contains("does not keep owners: ") && line.contains("say `owners: drop` in the policy"), "{what}: {line}");
        // That mends it.
        gate.write("config/policies/web1.yaml", &format!("user: {}\n{POLICY}owners: drop\n", keeper.account.name));
        gate.push(&source, &[]).exits(0);
        by_account("[ \"$(cat web1/current/jane/letter)\" = x ]").exits(0);
        drop(mounted);
    }
}

#[test]
fn whatever_the_programs_do_that_map_ids_no_push_goes_without_them() {
    let tests = [
        "owners::a_helper_that_fails_or_says_too_much_stops_the_push_and_leaves_nothing",
        "owners::a_helper_that_hangs_stops_the_push_and_leaves_nothing",
        "owners::a_helper_that_only_says_it_has_done_it_stops_the_push",
        "owners::ids_that_the_helpers_do_not_grant_are_not_used",
        "owners::an_rsync_whose_words_come_on_standard_input_has_its_own_limits_and_not_the_gate_s",
        "owners::whoever_is_answered_is_remembered_although_the_process_that_does_it_was_killed",
    ];
    again(&tests);
}

/// A gate with a client's data, on a machine of which one file is another one: there alone, and nowhere else on this machine.
struct Changed {
    gate: Gate,
    source: PathBuf,
}

impl Changed {
    fn new() -> Self {
        let gate = Gate::new();
        let source = gate.source("data");
        fs::write(source.join("file"), "x").unwrap();
        gate.write(
            "changed",
            "over=$1; shift\nexec unshare -m /bin/sh -c 'mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"' sh $DIR/instead \"$over\" \"$@\"\n",
        );
        let pids = gate.path().join("pids");
        fs::write(&pids, "").unwrap();
        mode(&pids, 0o666);
        Self { gate, source }
    }

    /// Pushes, with that text in the place of `over`.
    fn push(&self, over: &str, text: &str) -> Ran {
        let dir = self.gate.path().display().to_string();
        self.gate.write("instead", text);
        mode(&self.gate.path().join("instead"), 0o755);
        run(&mut self.gate.push_command(&self.source, &[], &format!("/bin/sh {dir}/changed {over}")))
    }

    /// Such a push is refused; what the administrator reads of it. The client reads nothing of the server, nothing is stored and nobody
    /// is left.
    fn refused(&self, over: &str, text: &str) -> String {
        let ran = self.push(over, text).exits(Code::Owners.exit().into());
        assert_eq!(ran.code(), Some("owners"), "{text}");
        let lines: Vec<_> = ran.stderr.lines().filter(|line| !line.starts_with("rsync")).collect();
        let told = ["snapgate: the server cannot store anything right now (code owners)", "snapgate: the administrator has been told"];
        assert_eq!(lines, told, "and nothing of the server");
        let pids = fs::read_to_string(self.gate.path().join("pids")).unwrap();
        for pid in pids.lines() {
            support::until("no helper is left", || !processes::is_alive(pid.parse().unwrap()));
        }
        support::until("no process is left", || processes::of(self.gate.path(), "").is_empty());
        // There may be no repository to remember it.
        let records = read_ledger(&self.gate.spool().join("ledger.jsonl"));
        let record = records.last().expect("a record");
        let reason = &record.reasons[0];
        assert_eq!((reason.code, record.reasons.len(), record.mail), (Code::Owners, 1, Mail::Alert), "{record:?}");
        assert!(reason.remedy.as_ref().is_some_and(|remedy| remedy.contains("newuidmap")), "{reason:?}");
        let stored: Vec<_> = ["snapshots", "current", "inprogress", ".snapgate/owners.json", ".snapgate/interrupted"]
            .into_iter()
            .filter(|name| self.gate.inside(name).symlink_metadata().is_ok())
            .collect();
        assert_eq!(stored, [""; 0], "{text}");
        reason.detail.clone()
    }

    /// Once all is as it was the next push goes.
    fn goes(&self) {
        let before = self.gate.snapshots().len();
        self.gate.push(&self.source, &[]).exits(0);
        assert_eq!(self.gate.snapshots().len(), before + 1);
    }
}

fn skipped() -> bool {
    if keeper().is_none() {
        skip(&format!("another test runs it with {VARIABLE}"));
    }
    keeper().is_none()
}

#[test]
fn a_helper_that_fails_or_says_too_much_stops_the_push_and_leaves_nothing() {
    if skipped() {
        return;
    }
    let changed = Changed::new();
    for helper in ["/usr/bin/newuidmap", "/usr/bin/newgidmap"] {
        let said = changed.refused(helper, "#!/bin/sh\necho 'helper: no\tlines today' >&2\nexit 1\n");
        assert_eq!(said, format!("{helper} failed: helper: no\\tlines today"));
        let said = changed.refused(helper, "#!/bin/sh\nkill -KILL $$\n");
        assert_eq!(said, format!("{helper} failed: "));
        let said = changed.refused(helper, "#!/no/such/shell\n");
        assert!(said.starts_with(&format!("{helper}: ")) && said.contains("No such file"), "{said}");
        // More than a pipe takes.
        let said = changed.refused(helper, "#!/bin/sh\nhead -c 1048576 /dev/zero | tr '\\0' x >&2\nexit 1\n");
        assert!(said.starts_with(&format!("{helper} failed: xxx")) && said.len() < MAX_QUOTED + 100, "{said}");
    }
    changed.gate.flush();
    let mails = changed.gate.mails();
    assert!(mails.iter().any(|mail| mail.contains("no\\tlines today")), "{mails:?}");
    changed.goes();
}

#[test]
fn a_helper_that_only_says_it_has_done_it_stops_the_push() {
    if skipped() {
        return;
    }
    let changed = Changed::new();
    for helper in ["/usr/bin/newuidmap", "/usr/bin/newgidmap"] {
        let said = changed.refused(helper, "#!/bin/sh\nexit 0\n");
        assert_eq!(said, "newuidmap or newgidmap has not written its map");
    }
    changed.goes();
}

#[test]
fn a_helper_that_hangs_stops_the_push_and_leaves_nothing() {
    if skipped() {
        return;
    }
    let changed = Changed::new();
    let pids = changed.gate.path().join("pids");
    let text = format!("#!/bin/sh\ntrap '' TERM HUP\nsleep 1000 &\necho $$ $! | tr ' ' '\\n' >>{}\nwait\n", pids.display());
    let begun = std::time::Instant::now();
    let said = changed.refused("/usr/bin/newgidmap", &text);
    assert_eq!(said, "/usr/bin/newgidmap did not come to an end");
    let most = MAPPING_TIMEOUT + TERM_GRACE + GROUP_GRACE + Duration::from_secs(5);
    assert!(begun.elapsed() < most, "{:?}", begun.elapsed());
    assert_eq!(fs::read_to_string(&pids).unwrap().lines().count(), 2, "it was there, and what it had started");
    changed.goes();
}

/// Nobody knows from the command alone that it is a push: the process that becomes rsync is begun when the gate has limits of its own.
#[test]
fn an_rsync_whose_words_come_on_standard_input_has_its_own_limits_and_not_the_gate_s() {
    if skipped() {
        return;
    }
    let gate = Gate::with("", &format!("{POLICY}limits: {{ memory: 1G }}\n"));
    let source = gate.source("data");
    fs::write(source.join("file"), vec![7; 3_000_000]).unwrap();
    for option in ["--no-s", "-s"] {
        let push = Running::start(&mut gate.push_command(&source, &["--bwlimit=1000", "--whole-file", "--ignore-times", option], ""));
        support::until("both processes of rsync run", || gate.rsyncs().len() == 2);
        for pid in gate.rsyncs() {
            let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let memory = limits.lines().find_map(|line| line.strip_prefix("Max address space")).unwrap();
            assert_eq!(memory.split_whitespace().next(), Some("1073741824"), "{option}");
        }
        push.wait().exits(0);
    }
}

#[test]
fn whoever_is_answered_is_remembered_although_the_process_that_does_it_was_killed() {
    if skipped() {
        return;
    }
    let gate = Gate::new();
    let source = gate.source("data");
    fs::write(source.join("file"), vec![7; 3_000_000]).unwrap();
    let push = Running::start(&mut gate.push_command(&source, &["--bwlimit=1000", "--whole-file"], ""));
    support::until("both processes of rsync run", || gate.rsyncs().len() == 2);
    let gates = processes::of(gate.path(), "snapgate-shell");
    let others: Vec<_> =
        gates.iter().filter(|pid| processes::parent(**pid).is_some_and(|parent| gates.contains(&parent))).copied().collect();
    assert_eq!(others.len(), 1, "{gates:?}");
    processes::signal(&others, Signal::SIGKILL);
    push.wait().exits(0);
    let first = gate.record();
    assert_eq!((first.result, first.mail, gate.snapshots().len()), (Outcome::Published, Mail::None, 1));
    gate.push(&source, &[]).exits(0);
    let next = gate.record();
    assert!(next.mail == Mail::Report && next.warnings.iter().any(|warning| warning.contains(&gate.snapshots()[0])), "{next:?}");
}

/// newuidmap(1) takes a number with a leading zero for an octal one.
#[test]
fn ids_that_the_helpers_do_not_grant_are_not_used() {
    if skipped() {
        return;
    }
    let changed = Changed::new();
    let name = &keeper().unwrap().account.name;
    let said = changed.refused("/etc/subuid", &format!("{name}:0500000:65536\n"));
    assert!(said.starts_with("/usr/bin/newuidmap failed: newuidmap: uid range [0-65536) -> [500000-565536) not allowed"), "{said}");
    changed.goes();
    // Where that is the truth now the next one is refused, too, and what is stored stays.
    let ran = changed.push("/etc/subuid", &format!("{name}:500000:65536\n")).exits(Code::Owners.exit().into());
    assert_eq!((ran.code(), changed.gate.snapshots().len()), (Some("owners"), 1));
    changed.goes();
}
