use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::act::record::ledger;
use crate::decide::speak::message::samples;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tell(&self, id: &str, at: &str) {
        ledger::append(&self.path(LEDGER), &event(id, at)).unwrap();
    }

    fn rotate(&self, now: &str) -> io::Result<()> {
        let opened = open_at(AT_FDCWD, self.dir.path()).unwrap();
        Ledgers::within(&opened, nix::unistd::getuid().as_raw()).unwrap().rotate(now.parse().unwrap())
    }

    fn forget(&self, before: &str, snapshots: &[&str]) -> u64 {
        let opened = open_at(AT_FDCWD, self.dir.path()).unwrap();
        Ledgers::within(&opened, nix::unistd::getuid().as_raw())
            .unwrap()
            .forget(before.parse().unwrap(), |name| snapshots.contains(&name))
            .unwrap()
    }

    fn ids(&self) -> Vec<String> {
        events(self.dir.path(), |_| true).into_iter().map(|event| event.id).collect()
    }

    fn old(&self) -> Vec<String> {
        let mut all: Vec<_> =
            fs::read_dir(self.path(OLD)).into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }

    fn length(&self) -> usize {
        fs::read_to_string(self.path(LEDGER)).unwrap().lines().count()
    }
}

fn event(id: &str, at: &str) -> Event {
    Event { id: id.to_owned(), at: at.parse().unwrap(), ..samples::published() }
}

/// A ledger with more lines of October than the next one begins with.
fn october(place: &Place) -> usize {
    let count = usize::try_from(LEDGER_OVERLAP).unwrap() / serde_json::to_vec(&samples::published()).unwrap().len() * 2;
    let lines = (0..count).map(|number| serde_json::to_string(&event(&format!("o{number}"), "2026-10-01T00:00:00Z")).unwrap() + "\n");
    fs::write(place.path(LEDGER), lines.collect::<String>()).unwrap();
    count
}

#[test]
fn once_a_month_it_is_set_aside_and_packed_and_read_as_before() {
    let place = Place::new();
    let count = october(&place);
    place.rotate("2026-10-31T23:59:59Z").unwrap();
    assert_eq!((place.old().len(), place.length()), (0, count));
    place.rotate("2026-11-01T00:05:00Z").unwrap();
    assert_eq!(place.old(), ["2026-11-01T00-05-00Z.jsonl.gz"]);
    let length = place.length();
    assert!(length > 10 && length < count, "the last lines are in both: {length}");
    place.tell("n", "2026-11-01T02:00:00Z");
    place.rotate("2026-11-30T00:05:00Z").unwrap();
    assert_eq!((place.old().len(), place.length()), (1, length + 1), "once a month");
    let mut expected: Vec<_> = (0..count).map(|number| format!("o{number}")).collect();
    expected.push("n".to_owned());
    assert_eq!(place.ids(), expected);
    place.rotate("2026-12-01T00:05:00Z").unwrap();
    assert_eq!((place.old().len(), place.ids()), (2, expected));
    assert!(fs::metadata(place.path(OLD).join("2026-11-01T00-05-00Z.jsonl.gz")).unwrap().len() < LEDGER_OVERLAP);
}

#[test]
fn a_clock_that_jumps_sets_nothing_aside_twice_and_loses_nothing() {
    let place = Place::new();
    place.tell("a", "2026-10-20T00:00:00Z");
    for now in ["2027-12-01T00:00:00Z", "2026-10-21T00:00:00Z", "2026-11-02T00:00:00Z", "2025-01-01T00:00:00Z", "2026-11-02T00:00:00Z"] {
        place.tell(now, now);
        place.rotate(now).unwrap();
    }
    assert_eq!(place.old(), ["2026-11-02T00-00-00Z.jsonl.gz", "2027-12-01T00-00-00Z.jsonl.gz"]);
    assert_eq!(place.ids().len(), 5);
}

#[test]
fn one_that_is_too_long_does_not_wait_for_its_month_to_end() {
    let place = Place::new();
    place.tell("a", "2026-10-20T00:00:00Z");
    let file = fs::OpenOptions::new().append(true).open(place.path(LEDGER)).unwrap();
    file.set_len(LEDGER_PIECE + 1).unwrap();
    place.rotate("2026-10-21T00:00:00Z").unwrap();
    place.tell("b", "2026-10-20T00:00:00Z");
    place.rotate("2026-10-21T00:00:00Z").unwrap();
    assert_eq!((place.old().len(), place.ids()), (1, vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn whoever_looks_for_its_own_line_finds_it() {
    let place = Place::new();
    let count = october(&place);
    fs::create_dir(place.path("unrecorded")).unwrap();
    fs::write(place.path("unrecorded/o1"), "name\n").unwrap();
    fs::write(place.path(notes::ANNOUNCED), serde_json::to_string(&event("o2", "2026-10-01T00:00:00Z")).unwrap()).unwrap();
    place.rotate("2026-11-01T00:05:00Z").unwrap();
    let has = |id: &str| ledger::has(&place.path(LEDGER), id);
    assert!(has("o1") && has("o2") && has(&format!("o{}", count - 1)) && !has("o3"));
    assert_eq!(place.ids().len(), count);
}

#[test]
fn lines_that_are_written_meanwhile_are_all_there_once() {
    let place = Place::new();
    let done = AtomicBool::new(false);
    let months = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let place = &place;
                scope.spawn(move || (0..100).for_each(|number| place.tell(&format!("w{writer}-{number}"), "2000-01-01T00:00:00Z")))
            })
            .collect();
        let rotating = scope.spawn(|| {
            let mut month = 0;
            while !done.load(Ordering::Relaxed) {
                month += 1;
                place.rotate(&format!("{}-{:02}-01T00:00:00Z", 2001 + month / 12, month % 12 + 1)).unwrap();
            }
            month
        });
        let ended: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        // Also where one has failed: the other would go on for ever.
        done.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|ended| ended.unwrap());
        rotating.join().unwrap()
    });
    let ids = place.ids();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (400, 400), "{months} months");
    assert!(months > 3, "{months}");
}

#[test]
fn an_old_one_goes_when_its_time_is_over_unless_it_speaks_of_a_snapshot_that_is_there() {
    let place = Place::new();
    october(&place);
    place.rotate("2026-11-01T00:05:00Z").unwrap();
    let name = samples::published().push().unwrap().snapshot.clone().unwrap();
    assert_eq!(place.forget("2026-11-01T00:00:00Z", &[]), 0, "it is not old enough");
    assert_eq!(place.forget("2027-01-01T00:00:00Z", &[&name]), 0);
    assert_eq!(place.forget("2027-01-01T00:00:00Z", &["another"]), 1);
    assert_eq!(place.old(), [""; 0]);
}

#[test]
fn what_stands_in_its_place_is_neither_followed_nor_believed() {
    let place = Place::new();
    october(&place);
    let victim = place.path("victim");
    fs::write(&victim, "{}\n").unwrap();
    fs::create_dir(place.path(OLD)).unwrap();
    symlink(&victim, place.path(OLD).join("2026-09-01T00-00-00Z.jsonl")).unwrap();
    fs::hard_link(&victim, place.path(OLD).join("2026-08-01T00-00-00Z.jsonl")).unwrap();
    nix::unistd::mkfifo(&place.path(OLD).join("2026-07-01T00-00-00Z.jsonl.gz"), Mode::S_IRWXU).unwrap();
    fs::write(place.path(OLD).join("2026-06-01T00-00-00Z.jsonl.gz"), "not packed").unwrap();
    fs::write(place.path(OLD).join("strange"), "").unwrap();
    let count = place.ids().len();
    assert!(place.rotate("2026-11-01T00:05:00Z").is_err(), "one that cannot be packed is told of");
    assert_eq!((place.ids().len(), fs::read_to_string(&victim).unwrap().as_str()), (count, "{}\n"));
    fs::remove_file(place.path(LEDGER)).unwrap();
    symlink(&victim, place.path(LEDGER)).unwrap();
    assert!(place.rotate("2026-12-01T00:05:00Z").is_err());
}
