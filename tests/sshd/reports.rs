//! `report: always | problems | never`: which mails a push leaves, to whom, and that their figures are what stands on the
//! disk.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use snapgate::terms::record::PushFacts;

use support::mail::Mail;
use support::{Server, Setup, accounts, mode, processes, tree, until};

const SITE: &str =
    "mail: { from: snapgate@test.example, to: [alerts@test.example], reports_to: [reports@test.example], transport: \"file:$DIR/mail\" }\n";

/// The mails that have come since there were `before` of them, when everything that could still write one is done.
#[track_caller]
fn new_mails(server: &Server, before: usize) -> Vec<Mail> {
    until("every gate and every watch has ended", || {
        ["snapgate-shell", "snapgate"].iter().all(|name| processes::of(server.path(), name).is_empty())
    });
    server.snapgate(&["watch", "--flush"]).exits(0);
    server.mails().split_off(before)
}

fn to_and_subject(mail: &Mail) -> (String, String) {
    (mail.header("To").unwrap().to_owned(), mail.header("Subject").unwrap().to_owned())
}

/// A tree with a file that its client cannot read.
fn half_readable(server: &Server) -> PathBuf {
    let source = server.source("half");
    tree::small(&source);
    // Of another size than in the snapshot before: otherwise rsync would link it and need not read it.
    tree::write(&source.join("photo.raw"), "secret");
    mode(&source.join("photo.raw"), 0);
    if accounts::is_root() {
        accounts::give(&source.join("photo.raw"), &accounts::account(1));
    }
    source
}

#[test]
fn each_kind_of_push_leaves_the_mails_that_its_policy_asks_for() {
    for (report, clean, partial) in [("always", true, 2), ("problems", false, 1), ("never", false, 1)] {
        let server = Setup::new().client("web1", &format!("report: {report}\n")).site(SITE).start();
        let web1 = server.client("web1").run_as(&accounts::account(2));
        let (source, half, nothing) = (server.source("data"), half_readable(&server), server.source("nothing"));
        tree::small(&source);
        let name = || server.repository("web1").snapshots().pop().unwrap();
        let mut count = 0;

        web1.push(&source, &[]).exits(0);
        let mails = new_mails(&server, count);
        assert_eq!(mails.len(), usize::from(clean), "{report}, a clean push: {mails:#?}");
        for mail in &mails {
            let subject = format!("[snapgate] web1: published {}", name());
            assert_eq!(to_and_subject(mail), ("reports@test.example".to_owned(), subject), "{report}");
            assert!(mail.body.contains("Nothing to do."), "{}", mail.body);
        }
        count += mails.len();

        web1.push(&half, &[]).exits(23);
        let mails = new_mails(&server, count);
        assert_eq!(mails.len(), partial, "{report}, a partial push: {mails:#?}");
        let whom: BTreeSet<_> = mails.iter().map(|mail| to_and_subject(mail).0).collect();
        assert!(whom.len() == partial && whom.contains("alerts@test.example"), "{report}: whoever gets alerts, whatever it says: {whom:?}");
        for mail in &mails {
            let (_, subject) = to_and_subject(mail);
            assert!(subject.starts_with(&format!("[snapgate] web1: published {}, partial", name())), "{subject}");
            assert!(mail.body.contains("Look into it") && mail.body.contains("23"), "{}", mail.body);
        }
        count += mails.len();

        // A failure is no report: whoever is to be woken is woken, whatever the policy says of reports.
        web1.push(&nothing, &[]).exits(65);
        let mails = new_mails(&server, count);
        assert_eq!(mails.len(), 1, "{report}, a failed push: {mails:#?}");
        assert_eq!(mails[0].header("To"), Some("alerts@test.example"));
        assert!(mails[0].body.contains("(code unpublished)"), "{}", mails[0].body);

        // What is only asked leaves none, and every push is in the ledger all the same.
        web1.ssh(&["status"]).exits(0);
        assert_eq!(new_mails(&server, count + 1).len(), 0);
        assert_eq!(server.records().len(), 4);
    }
}

/// What `report` says, counted anew: every file of the snapshot, its size, and whether its inode is in the one before.
fn counted(snapshot: &Path, before: Option<&Path>) -> PushFacts {
    let inodes: BTreeSet<_> =
        before.iter().flat_map(|root| tree::files(root).into_iter().map(|file| tree::inode(&root.join(file)))).collect();
    let mut facts = PushFacts::default();
    for file in tree::files(snapshot) {
        let meta = fs::symlink_metadata(snapshot.join(file)).unwrap();
        facts.files += 1;
        facts.bytes += meta.size();
        if inodes.contains(&meta.ino()) {
            facts.linked += 1;
        } else {
            facts.received += 1;
            facts.received_bytes += meta.size();
        }
    }
    facts
}

/// The exact number in a line of a report: `Total:  5 files, 20.0 kB (20,027 bytes)`.
#[track_caller]
fn figures(mail: &Mail, name: &str) -> (u64, u64) {
    let line = mail.body.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no `{name}` in {}", mail.body));
    let numbers: Vec<u64> = line
        .split([' ', '('])
        .zip(line.split([' ', '(']).skip(1))
        .filter(|(_, unit)| ["file,", "files,", "bytes", "bytes)"].contains(unit))
        .map(|(number, _)| number.replace(',', "").parse().unwrap())
        .collect();
    (numbers[0], numbers.get(1).copied().unwrap_or_default())
}

#[test]
fn the_figures_of_a_report_are_what_stands_on_the_disk() {
    let server = Setup::new().client("web1", "report: always\n").site(SITE).start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    std::os::unix::fs::symlink("a.txt", source.join("link")).unwrap();
    fs::hard_link(source.join("photo.raw"), source.join("etc/same.raw")).unwrap();
    let mut before: Option<PathBuf> = None;
    // With -H something stands in the stage for what is yet to be linked.
    for (turn, options) in [&["--stats"][..], &["--stats"], &["--stats"], &["--stats", "-H"], &["--stats", "-H"]].into_iter().enumerate() {
        let turn = turn as u64;
        tree::write(&source.join("etc/hosts"), "x".repeat(1000 + usize::try_from(turn).unwrap()));
        tree::write(&source.join(format!("new/{turn}")), tree::noise(turn, 300_000));
        if turn == 2 {
            fs::remove_file(source.join("a.txt")).unwrap();
        }
        let count = server.mails().len();
        let ran = web1.push(&source, options).exits(0);
        let snapshot = repository.snapshot(-1);
        let real = counted(&snapshot, before.as_deref());
        let facts = server.record().push.unwrap();
        let shown = |facts: &PushFacts| (facts.files, facts.bytes, facts.linked, facts.received, facts.received_bytes);
        assert_eq!(shown(&facts), shown(&real), "turn {turn}");
        assert!(real.linked > 0 || turn == 0, "{real:?}");
        assert_eq!((facts.files, facts.received), (ran.figure("Number of files") - tree::directories(&snapshot), real.received));
        // Everything that the client sent came over the network; noise does not shrink.
        assert!(facts.wire_bytes.is_some_and(|wire| wire >= ran.figure("Literal data")), "{facts:?}");

        let mails = new_mails(&server, count);
        assert_eq!(mails.len(), 1, "{mails:#?}");
        let mail = &mails[0];
        assert_eq!(figures(mail, "Total:"), (real.files, real.bytes), "{}", mail.body);
        assert_eq!(figures(mail, "Received:"), (real.received, real.received_bytes), "{}", mail.body);
        assert!(mail.body.contains(&format!("Linked:     {} file", real.linked)), "{}", mail.body);
        let stat = nix::sys::statvfs::statvfs(&repository.path).unwrap();
        let free = stat.blocks_available() * stat.fragment_size();
        let told = figures(mail, "Free space:").0;
        // Others write to the same disk meanwhile.
        assert!(told.abs_diff(free) < free / 10 + (1 << 30), "{told}, {free}");
        assert!(mail.body.contains("Duration: ") && mail.body.contains(&format!("Snapshot:   {}", repository.snapshots().pop().unwrap())));
        before = Some(snapshot);
    }
}
