//! `docs/seed.md`: a disk's copy as the first snapshot, by the document's own commands.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use snapgate::terms::outcome::Outcome;

use super::owners::{first, machine, run, skipped};
use crate::remap_lab::{FULL, Lab, from, server, until_nobody_runs};
use support::{must, tree};

/// The commands of a section, for this server: the last block that stands in it.
fn commands(section: &str, server: &Lab, disk: &Path) -> String {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/seed.md")).unwrap();
    let (_, section) = document.split_once(&format!("## {section}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let (account, program) = (from(), format!("{} --config {}", server.path().join("bin/snapgate").display(), server.config().display()));
    let mut text = lines.join("\n");
    for (there, here) in [
        ("/srv/backups/laptop", server.repository("web1").path.display().to_string()),
        ("/mnt/usb/data", disk.display().to_string()),
        ("laptop:laptop", format!("{}:{}", account.name, account.gid)),
        ("-o laptop -g laptop", format!("-o {} -g {}", account.name, account.gid)),
        ("snapgate remap --client laptop", format!("{program} remap --client web1")),
    ] {
        text = text.replace(there, &here);
    }
    assert!(text.lines().count() > 4 && !text.contains("laptop"), "{text}");
    text
}

/// Follows the document with the disk's copy, and pushes what the client has.
fn seeded(section: &str, server: &Lab, source: &Path, options: &[&str]) {
    let disk = server.path().join("disk");
    must(Command::new("cp").arg("-aT").arg(source).arg(&disk));
    until_nobody_runs();
    must(Command::new("sh").args(["-euc", &commands(section, server, &disk)]));
    fs::remove_dir_all(&disk).unwrap();
    let repository = server.repository("web1");
    let seed = repository.snapshots();
    assert_eq!(repository.current().unwrap(), format!("snapshots/{}", seed[0]));
    server.client("web1").push(source, options).exits(0);
    let record = server.record();
    let push = record.push.as_ref().unwrap();
    assert_eq!((record.result, push.partial, push.received), (Outcome::Published, false, 0), "{record:?}");
    assert!(record.warnings.is_empty(), "{record:?}");
    assert_eq!((repository.snapshots().len(), push.linked), (2, u64::try_from(tree::files(source).len()).unwrap()));
    assert_eq!(repository.current().unwrap(), format!("snapshots/{}", repository.snapshots()[1]));
    assert_eq!(fs::metadata(&repository.path).unwrap().permissions().mode() & 0o777, 0o700);
    for file in tree::files(&repository.snapshot(0)) {
        assert!(fs::symlink_metadata(repository.snapshot(0).join(&file)).unwrap().nlink() >= 2, "{} is not linked", file.display());
    }
    let checked = server.snapgate(&["list", "web1"]);
    assert!(checked.status == 0 && checked.stdout.contains(&seed[0]), "{}{}", checked.stdout, checked.stderr);
}

#[test]
fn a_disk_s_copy_is_linked_where_owners_are_kept() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let source = server.source("machine");
    machine(&source);
    seeded("Where owners are kept", &server, &source, &FULL);
    let file = server.repository("web1").snapshot(0).join("var/www/index.html");
    assert_eq!(fs::metadata(file).unwrap().uid(), first(&from()) + 33);
}

#[test]
fn a_disk_s_copy_is_linked_where_they_are_not() {
    if skipped() {
        return;
    }
    let server = server("owners: drop\n");
    let source = server.source("home");
    for (name, bits) in [("notes/closed", 0o600), ("notes/open", 0o644), ("bin/tool", 0o755), ("sealed", 0o000), ("Größe/mit leer", 0o640)]
    {
        tree::write(&source.join(name), name);
        fs::set_permissions(source.join(name), fs::Permissions::from_mode(bits)).unwrap();
        std::os::unix::fs::chown(source.join(name), Some(1234), Some(4321)).unwrap();
    }
    fs::set_permissions(source.join("notes"), fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink("notes/open", source.join("link")).unwrap();
    run("setfattr", &["-n", "user.note", "-v", "kept"], &source.join("notes/open"));
    seeded("Where they are not", &server, &source, &[]);
    let file = server.repository("web1").snapshot(0).join("notes/closed");
    assert_eq!(fs::metadata(file).unwrap().uid(), from().uid);
}
