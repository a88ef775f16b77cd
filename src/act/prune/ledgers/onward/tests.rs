//! Lines that are counted once, whatever becomes of their ledger.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use nix::fcntl::AT_FDCWD;

use super::super::follow::Follower;
use super::super::{LEDGER, Ledgers};
use super::*;
use crate::act::store::tree::open_at;
use crate::decide::speak::message::samples;

/// A place, with what was written there and what was counted.
struct World {
    dir: tempfile::TempDir,
    written: u64,
    cursor: Cursor,
    counted: Vec<u64>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let this = Self { dir, written: 0, cursor: Cursor::default(), counted: Vec::new() };
        fs::create_dir(this.home()).unwrap();
        fs::set_permissions(this.home(), fs::Permissions::from_mode(0o700)).unwrap();
        this
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join(nix::unistd::getuid().to_string())
    }

    fn place(&self) -> Place {
        Place::of_account(self.dir.path(), nix::unistd::getuid().as_raw()).unwrap().unwrap()
    }

    /// Writes so many lines, of some length.
    fn write(&mut self, count: u64, length: usize) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.home().join(LEDGER)).unwrap();
        for _ in 0..count {
            let mut event = samples::refusal();
            event.id = self.written.to_string();
            event.at = "2020-01-01T00:00:00Z".parse().unwrap();
            event.account = "x".repeat(length);
            self.written += 1;
            writeln!(file, "{}", serde_json::to_string(&event).unwrap()).unwrap();
        }
    }

    fn rotate(&self, now: &str) {
        let opened = open_at(AT_FDCWD, &self.home()).unwrap();
        Ledgers::within(&opened, nix::unistd::getuid().as_raw()).unwrap().rotate(now.parse().unwrap()).unwrap();
    }

    fn count(&mut self) {
        let counted = &mut self.counted;
        let place = Place::of_account(self.dir.path(), nix::unistd::getuid().as_raw()).unwrap().unwrap();
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        self.cursor = place.onward(&self.cursor, now, &mut |event| counted.push(event.id.parse().unwrap())).unwrap();
    }

    #[track_caller]
    fn has_all(&mut self) {
        self.count();
        let mut counted = self.counted.clone();
        counted.sort_unstable();
        assert_eq!(counted, (0..self.written).collect::<Vec<_>>());
    }
}

#[test]
fn each_line_is_counted_once_whatever_becomes_of_its_ledger_and_whatever_the_clock_says() {
    let mut world = World::new();
    world.has_all();
    world.write(3, 10);
    world.has_all();
    world.has_all();
    // Set aside and packed when all was counted, when some was, and when more was written than
    // the next one begins with.
    world.rotate("2021-01-02T00:00:00Z");
    world.has_all();
    world.write(2, 10);
    world.rotate("2021-02-02T00:00:00Z");
    world.write(2, 10);
    world.has_all();
    world.write(300, 1000);
    world.rotate("2021-03-02T00:00:00Z");
    world.write(300, 1000);
    world.has_all();
    // Twice and three times between two looks.
    world.write(300, 1000);
    world.rotate("2021-04-02T00:00:00Z");
    world.write(300, 1000);
    world.rotate("2021-05-02T00:00:00Z");
    world.has_all();
    for month in 6..9 {
        world.write(200, 1000);
        world.rotate(&format!("2021-0{month}-02T00:00:00Z"));
        world.write(1, 10);
    }
    world.has_all();
    // A clock that is set back by years, with much and with little written since.
    for (year, count) in [(2015, 300), (2012, 1), (2018, 300), (2013, 2)] {
        world.write(count, 1000);
        world.rotate(&format!("{year}-06-02T00:00:00Z"));
        world.write(count, 1000);
        world.has_all();
    }
    world.write(300, 1000);
    world.rotate("2011-01-02T00:00:00Z");
    world.write(300, 1000);
    world.rotate("2011-02-02T00:00:00Z");
    world.has_all();
    // Another disk: other inodes and times.
    let copy = world.dir.path().join("copy");
    assert!(std::process::Command::new("cp").arg("-r").arg(world.home()).arg(&copy).status().unwrap().success());
    fs::rename(world.home(), world.dir.path().join("was")).unwrap();
    fs::rename(&copy, world.home()).unwrap();
    fs::set_permissions(world.home(), fs::Permissions::from_mode(0o700)).unwrap();
    world.write(2, 10);
    world.has_all();
    // Old ledgers are forgotten.
    fs::remove_dir_all(world.home().join(super::super::OLD)).unwrap();
    world.write(2, 10);
    world.has_all();
}

#[test]
fn a_line_counts_when_it_is_whole_and_what_is_none_does_not() {
    let mut world = World::new();
    world.write(2, 10);
    let ledger = world.home().join(LEDGER);
    let text = fs::read_to_string(&ledger).unwrap();
    let (whole, begun) = text.split_at(text.len() - 20);
    fs::write(&ledger, whole).unwrap();
    world.count();
    assert_eq!(world.counted, [0]);
    let garbage = "x".repeat(usize::try_from(MAX_EVENT).unwrap() + 7);
    fs::write(&ledger, format!("{whole}{begun}\nno event\n{{\"id\":7}}\n{garbage}\n")).unwrap();
    world.has_all();
    world.write(1, 10);
    world.has_all();
    // More than is read at once, and no line among it.
    let mut file = fs::OpenOptions::new().append(true).open(&ledger).unwrap();
    let much = vec![b'x'; usize::try_from(MAX_SUMMED).unwrap()];
    file.write_all(&much).unwrap();
    file.write_all(b"\n").unwrap();
    world.write(1, 10);
    world.count();
    world.has_all();
    // And lines.
    world.write(800, 60_000);
    world.count();
    assert!(world.counted.len() < 800);
    world.has_all();
}

#[test]
fn of_a_ledger_that_is_another_one_what_is_later_counts_and_of_a_copy_nothing_twice() {
    let mut world = World::new();
    world.write(10, 10);
    let ledger = world.home().join(LEDGER);
    let copy = fs::read(&ledger).unwrap();
    world.write(10, 10);
    world.has_all();
    fs::write(&ledger, copy).unwrap();
    world.has_all();
    let mut event = samples::refusal();
    (event.id, event.at) = ("20".to_owned(), "2020-01-02T00:00:00Z".parse().unwrap());
    fs::write(&ledger, serde_json::to_string(&event).unwrap() + "\n").unwrap();
    world.written += 1;
    world.has_all();
    fs::remove_file(&ledger).unwrap();
    world.has_all();
}

#[test]
fn a_ledger_is_known_by_what_was_read_last_and_one_begins_at_its_end() {
    let (mut one, mut other) = (World::new(), World::new());
    assert_eq!(one.place().end().unwrap(), Cursor::default());
    one.write(30, 10);
    other.write(29, 10);
    one.count();
    assert!(one.place().has(&one.cursor) && !other.place().has(&one.cursor) && !one.place().has(&Cursor::default()));
    let end = one.place().end().unwrap();
    assert_eq!((end.at, end.line, end.mark), (one.cursor.at, one.cursor.line, one.cursor.mark));
    (one.cursor, one.counted) = (end, (0..30).collect());
    one.write(2, 10);
    one.has_all();
}

/// A gate that got no turn wrote into a ledger that was just being set aside, and then again into the next.
#[test]
fn a_line_that_stands_in_two_ledgers_counts_once_and_hides_none_of_those_between() {
    let mut world = World::new();
    // More than the next one begins with, which would have the place otherwise.
    world.write(300, 1000);
    world.has_all();
    let mut follower = Follower::from_now(world.place()).unwrap();
    // The last one came when the next ledger had its beginning already.
    world.write(3, 10);
    world.rotate("2021-01-02T00:00:00Z");
    let ledger = world.home().join(LEDGER);
    let lines = fs::read_to_string(&ledger).unwrap();
    let (begins, late) = lines.split_at(lines.trim_end().rfind('\n').unwrap() + 1);
    fs::write(&ledger, begins).unwrap();
    world.write(2, 10);
    fs::OpenOptions::new().append(true).open(&ledger).unwrap().write_all(late.as_bytes()).unwrap();
    world.write(1, 10);
    world.has_all();
    world.has_all();
    let mut followed = Vec::new();
    follower.more(&mut |line| followed.extend(Place::id(line))).unwrap();
    assert_eq!(followed, ["300", "301", "302", "303", "304", "305"]);
}
