//! The ledger: one JSON line for each event, only ever appended to. Once a month it becomes an old
//! ledger (`act/prune/ledgers`), and a new one begins in its place.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use crate::terms::Event;
use crate::terms::event::Kind;
use crate::terms::limits::MAX_LEDGER_TAIL;

/// How long a line waits for its turn. A gate's own takes less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often another ledger may have come to stand there while a line waited for its turn. Once a month
/// one does; it is no matter of time, as a disk may take any.
const CHANGES: usize = 20;

/// Appends an event to the ledger at `path`, which it makes on first use. When it returns, the line
/// is on the disk.
///
/// # Errors
/// When the file cannot be opened or written, or is anything but a file.
pub fn append(path: &Path, event: &Event) -> io::Result<()> {
    for _ in 0..CHANGES {
        let mut file = open(path)?;
        let turn = take_turn(&file);
        // Who sets a ledger aside holds its lock: meanwhile another may have come to stand there.
        if !is_at(path, &file) {
            continue;
        }
        write(&mut file, event)?;
        if turn {
            // The disk may take its time; the next one need not wait for it.
            file.unlock()?;
        } else if !is_at(path, &file) {
            // It may have been packed before the line came. Whoever reads takes one that stands twice for one.
            continue;
        }
        return file.sync_data();
    }
    Err(io::Error::other("the ledger changes all the time"))
}

fn write(file: &mut File, event: &Event) -> io::Result<()> {
    let mut line = Vec::new();
    if !ends_with_newline(file)? {
        // A full disk or a power cut took the end of the last line; it must not take this one too.
        line.push(b'\n');
    }
    serde_json::to_writer(&mut line, event)?;
    line.push(b'\n');
    // One write of one line: appends of other processes come before or after it, never inside.
    if file.write(&line)? != line.len() {
        return Err(io::Error::other("only a part of the line was written"));
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true).mode(0o600).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    let file = options.open(path)?;
    let found = file.metadata()?;
    // One that was packed since has no name any more: whoever opened it looks for the next.
    if !found.is_file() || found.nlink() > 1 {
        return Err(io::Error::other("the ledger is not a file of its own"));
    }
    Ok(file)
}

/// Whether this file is still the one that stands at `path`.
fn is_at(path: &Path, file: &File) -> bool {
    let place = |found: std::fs::Metadata| (found.dev(), found.ino());
    let (there, here) = (std::fs::symlink_metadata(path).map(place), file.metadata().map(place));
    there.is_ok_and(|there| here.is_ok_and(|here| there == here))
}

/// Waits until no other gate is between its look at the end and its write: a line that is being
/// written looks torn, and two gates would both repair it. Returns whether it got the lock. If
/// another process holds it for longer, the event must not wait; the worst that can happen is an
/// empty line.
fn take_turn(file: &File) -> bool {
    let began = Instant::now();
    while file.try_lock().is_err() {
        if began.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

fn ends_with_newline(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last == *b"\n")
}

/// The events at the end of the ledger at `path`, oldest first, within [`MAX_LEDGER_TAIL`]. Lines
/// that are no events are left out: a crash may have cut one.
pub fn read(path: &Path) -> Vec<Event> {
    let text = tail(path, MAX_LEDGER_TAIL).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Whether an event with this id is at the end of the ledger at `path`, within
/// [`MAX_LEDGER_TAIL`]. It reads nothing else of events: the gate needs no more.
pub fn has(path: &Path, id: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
    }
    let text = tail(path, MAX_LEDGER_TAIL).unwrap_or_default();
    text.split(|byte| *byte == b'\n').any(|line| serde_json::from_slice(line).is_ok_and(|Named { id: other }| other == id))
}

/// The snapshots that are partial: by the note that is made before a ledger is set aside, and by
/// what this ledger has recorded since. A name may have been given again: the last line about it
/// holds.
#[must_use]
pub fn partial(path: &Path, note: &Path) -> BTreeSet<String> {
    #[derive(serde::Deserialize)]
    struct Said {
        kind: String,
        snapshot: String,
        #[serde(default)]
        partial: bool,
    }
    // The ledger first: if it is set aside meanwhile, the note knows more, not less.
    let (text, noted) = (tail(path, MAX_LEDGER_TAIL).unwrap_or_default(), tail(note, MAX_LEDGER_TAIL).unwrap_or_default());
    let mut all: BTreeSet<String> = String::from_utf8_lossy(&noted).lines().map(str::to_owned).collect();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(Said { kind, snapshot, partial }) = serde_json::from_slice(line) else { continue };
        if kind != Kind::Push.as_str() {
            continue;
        }
        if partial {
            all.insert(snapshot);
        } else {
            all.remove(&snapshot);
        }
    }
    all
}

/// The last bytes of a file.
fn tail(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Root reads what an account may have put there.
    let mut file = OpenOptions::new().read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("the ledger is not a file"));
    }
    let length = found.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::speak::message::samples;

    fn place() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.jsonl");
        (directory, path)
    }

    #[test]
    fn a_line_gets_into_the_ledger_however_often_that_is_another_one_while_it_waits() {
        let (dir, path) = place();
        let locked = |path: &Path| {
            let file = open(path).unwrap();
            file.lock().unwrap();
            file
        };
        let mut held = locked(&path);
        let writer = std::thread::spawn({
            let path = path.clone();
            move || append(&path, &samples::refusal())
        });
        // Together longer than a line waits for one.
        for _ in 0..5 {
            std::thread::sleep(PATIENCE * 7 / 10);
            let next = dir.path().join("next");
            let new = locked(&next);
            std::fs::rename(&next, &path).unwrap();
            held = new;
        }
        drop(held);
        writer.join().unwrap().unwrap();
        assert_eq!(read(&path).len(), 1);
    }

    #[test]
    fn lines_of_many_processes_stay_whole_even_after_a_torn_one() {
        let (_directory, path) = place();
        append(&path, &samples::refusal()).unwrap();
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "{\"id\":\"torn").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| append(&path, &samples::published()).unwrap()));
            }
        });
        assert_eq!(read(&path).len(), 101);
        let text = std::fs::read_to_string(&path).unwrap();
        let torn = text.lines().filter(|line| serde_json::from_str::<Event>(line).is_err()).count();
        assert_eq!(torn, 1);
    }

    #[test]
    fn of_a_ledger_without_end_only_the_end_is_read() {
        let (_directory, path) = place();
        let file = File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        append(&path, &samples::refusal()).unwrap();
        assert_eq!(tail(&path, 100).unwrap().len(), 100);
        assert_eq!(read(&path).len(), 1);
    }

    #[test]
    fn nobody_waits_for_what_stands_in_the_ledger_s_place() {
        let (directory, path) = place();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&path).len(), 0);
        std::fs::remove_file(&path).unwrap();
        let elsewhere = directory.path().join("elsewhere");
        append(&elsewhere, &samples::refusal()).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert_eq!(read(&path).len(), 0);
    }

    #[test]
    fn somebody_who_holds_the_file_holds_up_no_record() {
        let (_directory, path) = place();
        append(&path, &samples::refusal()).unwrap();
        let holder = File::open(&path).unwrap();
        holder.lock().unwrap();
        append(&path, &samples::refusal()).unwrap();
        assert_eq!(read(&path).len(), 2);
    }

    #[test]
    fn the_ledger_is_never_written_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, victim) = (directory.path().join("ledger.jsonl"), directory.path().join("victim"));
        std::fs::write(&victim, "").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(append(&path, &samples::refusal()).is_err());
        std::fs::remove_file(&path).unwrap();
        std::fs::hard_link(&victim, &path).unwrap();
        assert!(append(&path, &samples::refusal()).is_err());
        assert_eq!(std::fs::read(&victim).unwrap(), b"");
    }
}
