//! The gate's end, in a real directory.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use nix::unistd::geteuid;

use super::*;
use crate::decide::speak::message::samples;
use crate::terms::limits::{MAX_ACCOUNTS, MAX_EVENT, MAX_SPOOL_NAMES, MAX_STATE, MAX_STRANGERS, MAX_WAITING_MAIL};

fn spool(dir: &Path) -> Result<Spool, SpoolError> {
    Spool::open(dir, geteuid().as_raw())
}

fn first(dir: &Path) -> AccountSpool {
    let found = accounts(dir, BTreeSet::new).unwrap().flatten().find(|spool| spool.uid() == geteuid().as_raw());
    found.unwrap()
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
    let read: Event = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
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
    let record = samples::with(samples::refusal(), |on| on.warnings = vec!["w".repeat(1 << 20)]);
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

fn sparse(path: &Path, length: u64) {
    std::fs::File::create(path).unwrap().set_len(length).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_file_that_is_longer_than_its_kind_can_be_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    spool(dir.path()).unwrap().add(&samples::refusal()).unwrap();
    let spool = first(dir.path());
    let too_large = |error: SpoolError| matches!(error, SpoolError::Untrusted { why: "is too large", .. });
    for (name, most) in [("new/1.json", MAX_EVENT), ("state.json", MAX_STATE), ("out/000000000007.json", MAX_WAITING_MAIL)] {
        let read = || match name {
            "new/1.json" => spool.event("1").map(drop),
            "state.json" => spool.state().map(drop),
            _ => spool.mail(7, &|_| true).map(drop),
        };
        sparse(&own(dir.path()).join(name), most);
        assert!(read().err().is_none_or(|error| !too_large(error)), "{name}");
        for length in [most + 1, 1 << 40] {
            sparse(&own(dir.path()).join(name), length);
            assert!(too_large(read().unwrap_err()), "{name}");
        }
    }
}

#[test]
fn of_a_directory_without_end_so_many_names_are_looked_at_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    spool(dir.path()).unwrap().add(&samples::refusal()).unwrap();
    let spool = first(dir.path());
    let new = own(dir.path()).join("new");
    let first = new.join(format!("{}.json", samples::refusal().id));
    // Names of one file, which is all that a list looks at.
    for number in 0..MAX_SPOOL_NAMES + 10 {
        std::fs::hard_link(&first, new.join(format!("{number}.json"))).unwrap();
    }
    assert_eq!(spool.news().unwrap().len(), MAX_SPOOL_NAMES);
}

fn lists_of(dir: &Path, known: &[u32]) -> (Vec<u32>, Vec<u32>, Vec<String>) {
    let all = accounts(dir, || known.iter().copied().collect()).unwrap();
    let listed = all.uids().to_vec();
    let (found, errors): (Vec<_>, Vec<_>) = all.partition(Result::is_ok);
    let errors = errors.into_iter().map(|error| error.unwrap_err().to_string()).collect();
    (listed, found.into_iter().map(|spool| spool.unwrap().uid()).collect(), errors)
}

fn made_by(dir: &Path, name: u32, owner: u32) {
    let home = dir.join(name.to_string());
    for path in [home.clone(), home.join("tmp"), home.join("new"), home.join("out"), home.join("dead")] {
        std::fs::create_dir(&path).unwrap();
        std::os::unix::fs::lchown(&path, Some(owner), None).unwrap();
    }
}

#[test]
fn no_number_of_names_that_a_stranger_makes_leaves_out_root_or_the_account_of_a_policy() {
    if !geteuid().is_root() {
        println!("skipped: only root looks after other accounts");
        return;
    }
    // A file system that lists what is newest first, where there is one.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    drop(spool(dir.path()).unwrap());
    [1001, 65534, 1002].iter().for_each(|uid| made_by(dir.path(), *uid, *uid));
    std::fs::write(dir.path().join(SESSIONS), "").unwrap();
    assert_eq!(lists_of(dir.path(), &[]), (vec![0, 1001, 1002, 65534], vec![0, 1001, 1002, 65534], vec![]));
    // In the name of others.
    for number in 0..u32::try_from(MAX_ACCOUNTS).unwrap() {
        std::fs::create_dir(dir.path().join((2_000_000 + number).to_string())).unwrap();
    }
    let (listed, found, errors) = lists_of(dir.path(), &[1001, 65534, 7]);
    assert_eq!(listed.iter().take(3).collect::<Vec<_>>(), [&0, &1001, &65534]);
    assert_eq!(found, listed);
    assert!(errors.len() == 1 && errors[0].contains("names that are no account's, such as `20"), "{errors:?}");
    assert!(errors[0].contains("and others that were not looked at"), "{errors:?}");
}

#[test]
fn of_accounts_without_a_policy_so_many_are_looked_at_and_the_rest_is_said_at_once() {
    if !geteuid().is_root() {
        println!("skipped: only root looks after other accounts");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    drop(spool(dir.path()).unwrap());
    let first = 100_000;
    let strangers = u32::try_from(MAX_STRANGERS).unwrap() + 5;
    for uid in first..first + strangers {
        std::fs::create_dir(dir.path().join(uid.to_string())).unwrap();
        std::os::unix::fs::lchown(dir.path().join(uid.to_string()), Some(uid), None).unwrap();
    }
    // One that comes behind all of these in a list.
    made_by(dir.path(), 999_999, 999_999);
    // Another made the directory of an account of a policy: that is said of this one.
    made_by(dir.path(), 1001, 1002);
    let all = accounts(dir.path(), || BTreeSet::from([999_999, 1001])).unwrap();
    assert_eq!(all.uids().len(), MAX_STRANGERS + 3);
    let (_, found, errors) = lists_of(dir.path(), &[999_999, 1001]);
    assert_eq!(found, [0, 999_999]);
    assert!(errors[0].contains("/1001` belongs to somebody else"), "{}", errors[0]);
    assert!(errors.last().unwrap().contains("holds 5 accounts with no policy, which nobody looks at"), "{errors:?}");
}

#[test]
fn an_event_that_says_it_is_another_is_no_event() {
    let dir = tempfile::tempdir().unwrap();
    let record = samples::refusal();
    spool(dir.path()).unwrap().add(&record).unwrap();
    let new = own(dir.path()).join("new");
    for inner in ["../x", "other", &"a".repeat(200)] {
        std::fs::write(new.join("1.json"), serde_json::to_string(&Event { id: inner.to_owned(), ..record.clone() }).unwrap()).unwrap();
        let read = first(dir.path()).event("1");
        assert!(matches!(&read, Err(SpoolError::Record(why)) if why.contains("another id")), "{inner}: {read:?}");
    }
    assert!(first(dir.path()).event(&record.id).unwrap().is_some());
}

#[cfg(feature = "admin")]
#[test]
fn what_says_it_was_made_in_times_to_come_waits_since_it_was_written() {
    use crate::terms::{Dispatch, Way, What};
    let dir = tempfile::tempdir().unwrap();
    spool(dir.path()).unwrap();
    let spool = first(dir.path());
    let written = clock::kernel();
    let later = written + chrono::TimeDelta::days(6);
    for created in [written + chrono::TimeDelta::days(40_000), DateTime::<Utc>::MAX_UTC, written - chrono::TimeDelta::days(9)] {
        let dispatch = Dispatch { way: Way::Webhook, created, what: What::Event(Box::new(samples::refusal())) };
        spool.dispatch_later(&dispatch).unwrap();
        let waited = later - spool.dispatch_waits_since(&dispatch, later);
        assert!((5..=6).contains(&waited.num_days()), "{created}: {waited}");
    }
}

#[test]
fn what_was_laid_aside_is_found_by_every_name_that_a_client_may_have() {
    if !geteuid().is_root() {
        println!("skipped: only root lays aside");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let uid = 65534;
    let mut expected = Vec::new();
    for name in ["jane@x.org", "DOM+jane", "web1.1"] {
        let client: ClientName = name.parse().unwrap();
        let home = dir.path().join(uid.to_string());
        std::fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(uid), None).unwrap();
        assert!(lay_aside(dir.path(), uid, &client).unwrap(), "{name}");
        expected.push((uid, client));
    }
    std::fs::create_dir(dir.path().join("0/former/strange@x.org")).unwrap();
    expected.sort();
    let mut found: Vec<_> = laid_aside(dir.path()).into_iter().map(|(uid, client, _)| (uid, client)).collect();
    found.sort();
    assert_eq!(found, expected);
}
