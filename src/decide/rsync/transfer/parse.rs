//! rsync's words as values of our own, by a table of verdicts.

use super::Flags;
use super::place::{Name, NotBeneath, Place, Tail};
use super::reading::{Found, Reading, quoted};
use super::words::{Quoted, Word, plain};
use crate::decide::rsync::options::rrsync::{Table, Verdict, deletes, overwrites};
use crate::decide::rsync::options::{Value, not_allowed};
use crate::terms::limits::MAX_REASONS;
use crate::terms::{Code, Reason};

pub use crate::decide::rsync::options::rrsync::Use as Aim;

/// The direction of a transfer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Here.
    Push,
    /// To the client.
    #[default]
    Pull,
}

/// An argument, in the client's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Word(String),
    /// An option with a path: the first of these places that exists, else the first.
    Path {
        option: String,
        aim: Aim,
        places: Vec<Place>,
    },
}

/// A transfer that may run once its paths have been looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Which way the files go.
    pub direction: Direction,
    /// What is sent, or the destination. Never empty.
    pub paths: Vec<Place>,
    /// Whether names keep the directories before them (`--relative`).
    pub relative: bool,
    /// Whether nothing may be changed (`--dry-run`, `--list-only`).
    pub dry: bool,
    /// Whether the destination's directories are made (`--mkpath`).
    pub makes_path: bool,
    /// Whether a path that is not there is no error (`--ignore-missing-args`).
    pub forgives: bool,
    /// Whether names are written in another encoding than the client's (`--iconv`).
    pub converts: bool,
    /// Whether access lists travel (`--acls`).
    pub lists: bool,
    pub(super) pieces: Vec<Piece>,
    removes: bool,
}

impl Transfer {
    /// The paths of options, in the order of [`super::Setup`]: their use and the places that they
    /// may mean, of which the first that exists counts.
    pub fn options(&self) -> impl Iterator<Item = (Aim, &[Place])> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Word(_) => None,
            Piece::Path { aim, places, .. } => Some((*aim, places.as_slice())),
        })
    }

    /// Whether sent files are removed here (a pull with `--remove-source-files`).
    pub fn removes(&self) -> bool {
        self.removes && self.direction == Direction::Pull
    }

    /// Whether the destination's name means a directory.
    pub fn wants_directory(&self) -> bool {
        self.paths.first().is_some_and(|place| place.is_root() || place.tail != Tail::None)
    }
}

const SPACE: &str = "if a path has a space in it, put a backslash before it, or use rsync 3.2.4 or newer, which does";

/// The words of one side of a transfer, and what they are judged by.
#[derive(Debug, Clone, Copy)]
pub(in crate::decide) struct Words<'a> {
    /// What the administrator wrote.
    pub(in crate::decide) flags: &'a Flags,
    /// The verdicts.
    pub(in crate::decide) table: &'static Table,
    /// The directory that everything is beneath, real and absolute; `/` where it is the whole
    /// machine, empty where no path of the server's can mean it.
    pub(in crate::decide) dir: &'a [u8],
    /// Which way the files go.
    pub(in crate::decide) direction: Direction,
    /// Those behind `--server`, or `--server --sender`.
    pub(in crate::decide) words: &'a [Word],
    /// Whether those on standard input are among them.
    pub(in crate::decide) unhidden: bool,
}

/// Reads the words of a command.
pub(in crate::decide) fn parse(of: Words<'_>) -> Result<Transfer, Vec<Reason>> {
    let Words { flags, table, dir, direction, words, unhidden } = of;
    let mut reading = Reading::of(table);
    reading.options(words);
    let mut judging = Judging::new(flags, table, dir, direction);
    let Reading { found, mut reasons, paths, .. } = reading;
    match paths {
        Some(paths) => judging.paths(paths),
        None => judging.reasons.push(shape("the command ends before the word `.` that comes before the paths")),
    }
    for found in found {
        // Its block has been read, and rsync must not wait for another.
        if !(unhidden && is_hiding(&found)) {
            judging.option(found);
        }
    }
    judging.flush();
    judging.reasons.append(&mut reasons);
    judging.reasons.truncate(MAX_REASONS);
    if judging.reasons.is_empty() { Ok(judging.transfer) } else { Err(judging.reasons) }
}

/// Whether options say that more words come on standard input.
pub(in crate::decide) fn hides(table: &'static Table, words: &[Word]) -> bool {
    let mut reading = Reading::of(table);
    reading.options(words);
    reading.found.iter().any(is_hiding)
}

fn is_hiding(found: &Found) -> bool {
    found.row.letter == Some('s')
}

fn shape(says: &str) -> Reason {
    Reason::new(Code::Command, says).only_client("use plain rsync, without options in --rsync-path")
}

/// A command that is being judged.
struct Judging<'a> {
    flags: &'a Flags,
    table: &'static Table,
    whole: bool,
    dir: Vec<&'a [u8]>,
    transfer: Transfer,
    cluster: String,
    /// All letters that are passed on.
    letters: String,
    reasons: Vec<Reason>,
}

impl<'a> Judging<'a> {
    fn new(flags: &'a Flags, table: &'static Table, dir: &'a [u8], direction: Direction) -> Self {
        let transfer = Transfer { direction, ..Transfer::default() };
        let whole = dir == b"/";
        let dir = dir.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
        Self { flags, table, whole, dir, transfer, cluster: String::new(), letters: String::new(), reasons: Vec::new() }
    }

    /// Whether DIR is `/`.
    fn is_whole(&self) -> bool {
        self.whole
    }

    fn paths(&mut self, words: &[Word]) {
        // rsync 3.0 has an empty word where others have `.`.
        let words: Vec<&Word> = words.iter().filter(|word| !word.is_empty()).collect();
        if self.transfer.direction == Direction::Push && words.len() > 1 {
            let shown: Vec<_> = words.iter().take(3).map(|word| format!("`{}`", quoted(&plain(word)))).collect();
            let says = format!("there are {} destinations where there can be one: {}", words.len(), shown.join(" "));
            self.reasons.push(Reason::new(Code::Destinations, says).only_client(SPACE));
            return;
        }
        for word in words {
            match self.place(word) {
                Ok(place) => {
                    let within = self.flags.absolute && self.is_within(word, &place);
                    self.transfer.paths.push(if within { place.without(self.dir.len()) } else { place });
                }
                Err(problem) => self.unsafe_path(problem, word),
            }
        }
        if self.transfer.paths.is_empty() {
            self.transfer.paths.push(Place::default());
        }
    }

    fn place(&self, word: &[Quoted]) -> Result<Place, NotBeneath> {
        Place::read(word, self.is_whole())
    }

    /// Whether a word is DIR or beneath it, as a path of the server.
    fn is_within(&self, word: &[Quoted], place: &Place) -> bool {
        let absolute = word.first().is_some_and(|(byte, _)| *byte == b'/');
        let names = &place.names;
        absolute
            && !self.dir.is_empty()
            && names.len() >= self.dir.len()
            && names.iter().zip(&self.dir).all(|(name, part)| name.bytes() == *part)
    }

    fn unsafe_path(&mut self, problem: NotBeneath, word: &[Quoted]) {
        let hint = match problem {
            NotBeneath::Parent => "begin at the directory that this key is for: host:/ is that directory",
            NotBeneath::TooLong => "use a shorter path",
        };
        let detail = format!("{problem}: `{}`", quoted(&plain(word)));
        self.reasons.push(Reason::new(Code::Path, problem.to_string()).only_client(hint).detail(detail));
    }

    fn option(&mut self, found: Found) {
        if let Some(reason) = self.forbidden(&found) {
            self.reasons.push(reason);
            return;
        }
        match found.verdict {
            Verdict::Follows if self.is_whole() => self.print(&found),
            Verdict::Follows => self.reasons.push(refused(&found, "it follows symlinks, which may lead out of the directory")),
            Verdict::Refuse(why) => self.reasons.push(refused(&found, why)),
            Verdict::Drop => {}
            Verdict::Path(aim) => self.path_option(aim, &found),
            Verdict::Pass | Verdict::If(_) => self.print(&found),
        }
    }

    /// The reason for which a flag forbids an option.
    fn forbidden(&self, found: &Found) -> Option<Reason> {
        let flags = self.flags;
        let (flag, why) = if flags.no_del && deletes(found.row) {
            ("-no-del", "nothing may be deleted over this key")
        } else if flags.no_overwrite && (self.deletes_here(found) || overwrites(found.row, &found.spelled)) {
            ("-no-overwrite", "what is there may not be changed over this key")
        } else if flags.read_only && found.spelled == "--log-file" {
            ("-ro", "nothing may be written over this key")
        } else if flags.write_only && found.spelled == "--files-from" && found.value.as_deref().map(plain).is_some_and(|list| list != b"-")
        {
            ("-wo", "nothing may be read over this key")
        } else {
            return None;
        };
        let reason = not_allowed(&found.spelled, why).hint("leave it out");
        Some(reason.remedy(format!("leave `{flag}` out of the key's command")))
    }

    /// Whether an option deletes here. What a push removes after sending is the client's own.
    fn deletes_here(&self, found: &Found) -> bool {
        deletes(found.row) && !(self.transfer.direction == Direction::Push && removes_sent(found))
    }

    fn path_option(&mut self, aim: Aim, found: &Found) {
        let Some(word) = &found.value else { return };
        let sender = self.transfer.direction == Direction::Pull;
        match aim {
            Aim::List if plain(word) == b"-" => {
                self.flush();
                self.transfer.pieces.push(Piece::Word("--files-from=-".to_owned()));
                return;
            }
            // Only the receiver uses it.
            Aim::Backup | Aim::Partial | Aim::Temporary | Aim::Basis if sender => return,
            Aim::List | Aim::Backup | Aim::Partial | Aim::Temporary | Aim::Basis | Aim::Log => {}
        }
        let places = match self.place(word) {
            // A path of the server's that does not exist beneath DIR may mean the same without DIR.
            Ok(place) if self.is_within(word, &place) => vec![place.clone(), place.without(self.dir.len())],
            Ok(place) => vec![place],
            Err(NotBeneath::Parent) => match self.beside_destination(word) {
                Some(place) => vec![place],
                None => return self.unsafe_path(NotBeneath::Parent, word),
            },
            Err(problem) => return self.unsafe_path(problem, word),
        };
        self.flush();
        let places = places.into_iter().map(Place::taken_literally).collect();
        self.transfer.pieces.push(Piece::Path { option: self.table.printed(found.row, &found.spelled).to_owned(), aim, places });
    }

    /// A path with `..` counts from the destination, as for rsync, and must stay beneath DIR.
    fn beside_destination(&self, word: &[Quoted]) -> Option<Place> {
        if word.first()?.0 == b'/' {
            return None;
        }
        let mut names: Vec<Vec<u8>> = self.transfer.paths.first()?.names.iter().map(Name::bytes).collect();
        for part in word.split(|(byte, _)| *byte == b'/') {
            match plain(part) {
                part if part == b".." => drop(names.pop()?),
                part if part.is_empty() || part == b"." => {}
                part => names.push(part),
            }
        }
        let joined = names.join(&b'/');
        Place::read(&joined.into_iter().map(|byte| (byte, true)).collect::<Vec<_>>(), false).ok()
    }

    /// Passes an option on.
    fn print(&mut self, found: &Found) {
        let value = found.value.as_deref().map(|value| String::from_utf8_lossy(&plain(value)).into_owned());
        match (found.row.letter, &value) {
            (Some('e'), Some(capabilities)) => {
                // With `I` the sender could have shared files written in place.
                self.cluster.push_str(&format!("e{}", capabilities.replace('I', "")));
                self.flush();
            }
            (Some(letter), None) if matches!(found.row.value, Value::None) => {
                let so_far = self.letters.matches(letter).count();
                if found.row.repeats > 1 && so_far >= found.row.repeats {
                    return;
                }
                self.cluster.push(letter);
                self.letters.push(letter);
            }
            (_, value) => {
                self.flush();
                let option = self.table.printed(found.row, &found.spelled);
                let word = value.as_ref().map_or_else(|| option.to_owned(), |value| format!("{option}={value}"));
                self.transfer.pieces.push(Piece::Word(word));
            }
        }
        self.learn(found);
    }

    /// Notes what the rest of the gate has to know of an option.
    fn learn(&mut self, found: &Found) {
        let has = |name| found.row.long.contains(&name);
        let transfer = &mut self.transfer;
        if has("--relative") || has("--no-relative") {
            transfer.relative = has("--relative");
        }
        transfer.dry |= has("--dry-run") || has("--list-only") || has("--only-write-batch");
        transfer.makes_path |= has("--mkpath");
        transfer.forgives |= has("--ignore-missing-args");
        transfer.lists |= has("--acls");
        transfer.converts |= has("--iconv");
        transfer.removes |= removes_sent(found);
    }

    /// Ends the word of letters.
    fn flush(&mut self) {
        if !self.cluster.is_empty() {
            let word = format!("-{}", std::mem::take(&mut self.cluster));
            self.transfer.pieces.push(Piece::Word(word));
        }
    }
}

/// Whether the sender removes what it has sent.
fn removes_sent(found: &Found) -> bool {
    ["--remove-source-files", "--remove-sent-files"].iter().any(|name| found.row.long.contains(name))
}

fn refused(found: &Found, why: &str) -> Reason {
    let instead = if found.row.instead.is_empty() { "leave it out" } else { found.row.instead };
    let code = if why.contains("daemon") { Code::Daemon } else { Code::Option };
    Reason { code, ..not_allowed(&found.spelled, why).only_client(instead) }
}
