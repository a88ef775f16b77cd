//! The gate's end, in a real directory.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use nix::unistd::geteuid;

use super::*;
use crate::decide::letter::samples;

fn spool(dir: &Path) -> Result<Spool, SpoolError> {
    Spool::open(dir, geteuid().as_raw())
}

fn own(dir: &Path) -> PathBuf {
    dir.join(geteuid().to_string())
}

#[test]
fn an_event_stands_whole_under_its_id_in_a_private_directory() {
    let dir = tempfile::tempdir().unwrap();
    let record = samples::refusal();
    spool(dir.path()).unwrap().add(&record).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&own(dir.path())), 0o700);
    let file = own(dir.path()).join(format!("new/{}.json", record.id));
    assert_eq!(mode(&file), 0o600);
    let read: Record = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(read, record);
    assert_eq!(std::fs::read_dir(own(dir.path()).join("tmp")).unwrap().count(), 0);
}

#[test]
fn an_id_that_is_no_plain_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).unwrap();
    for id in ["", "..", "../x", "a/b", ".x", "a\nb", &"a".repeat(200)] {
        let mut record = samples::refusal();
        record.id = id.to_owned();
        assert!(matches!(spool.add(&record), Err(SpoolError::Name(_))), "{id}");
    }
    let mut record = samples::refusal();
    record.warnings = vec!["w".repeat(1 << 20)];
    assert!(matches!(spool.add(&record), Err(SpoolError::Record(_))));
}

#[test]
fn a_directory_that_is_not_the_accounts_own_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), own(dir.path())).unwrap();
    assert!(matches!(spool(dir.path()), Err(SpoolError::Untrusted { why: "is not a directory", .. })));
    std::fs::remove_file(own(dir.path())).unwrap();
    std::fs::write(own(dir.path()), "x").unwrap();
    assert!(matches!(spool(dir.path()), Err(SpoolError::Untrusted { .. })));
    std::fs::remove_file(own(dir.path())).unwrap();
    std::fs::create_dir(own(dir.path())).unwrap();
    std::fs::set_permissions(own(dir.path()), std::fs::Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(spool(dir.path()), Err(SpoolError::Untrusted { why: "can be written by others", .. })));
    assert!(matches!(Spool::open(dir.path(), geteuid().as_raw() + 1), Err(SpoolError::Untrusted { why: "belongs to somebody else", .. })));
    assert!(matches!(spool(&dir.path().join("missing")), Err(SpoolError::Io { .. })));
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "nothing was made elsewhere");
}

#[test]
fn an_event_wakes_who_watches_the_directory_above() {
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).unwrap();
    let watch = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
    // What systemd asks for where a unit says PathChanged.
    watch.add_watch(dir.path(), AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_CREATE).unwrap();
    assert!(watch.read_events().is_err(), "nothing yet");
    spool.add(&samples::refusal()).unwrap();
    let events = watch.read_events().unwrap();
    assert!(events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_ATTRIB)));
}
