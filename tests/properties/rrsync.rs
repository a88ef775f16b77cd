//! What must hold for any connection behind `snapgate-shell rrsync`: see `properties.rs`. What is accepted is checked against lists of its
//! own, by name, and each place against the client's words, taken apart here once more.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use snapgate::decide::push::plan;
use snapgate::decide::rrsync::flags::{self, Order};
use snapgate::decide::rrsync::{Asked, hides, judge};
use snapgate::decide::rsync::argv::Version;
use snapgate::decide::rsync::options::{self, Check, Value};
use snapgate::decide::rsync::transfer::{Aim, Direction, Flags, Keeps, Name, Place, Setup, Spot, Tail, Transfer, printed};
use snapgate::decide::sandbox::spec::{Access, Sandbox};
use snapgate::terms::limits;
use snapgate::terms::request::Original;

use super::{block, one_line, refused};

/// Letters that may stand in what rsync is given; in any directory but `/` without those behind the bar.
const LETTERS: &str = "0vqunldmOJyWHogDtpEAXrcCIRxSzUNb|KLk";

/// Options that rsync is never given, whatever the table says.
const NEVER: [&str; 46] = [
    "--address", "--append-verify", "--archive", "--blocking-io", "--chmod", "--chown", "--config", "--contimeout", "--copy-as",
    "--copy-devices", "--daemon", "--debug", "--detach", "--dparam", "--early-input", "--exclude", "--exclude-from",
    "--extended-attributes", "--filter", "--help", "--include", "--include-from", "--insecure-links", "--ipv4", "--ipv6",
    "--log-file-format", "--motd", "--no-drop-D", "--no-munge-links", "--old-args", "--outbuf", "--password-file", "--port",
    "--protect-args", "--protocol", "--read-batch", "--remote-option", "--rsh", "--rsync-path", "--secluded-args", "--sockopts",
    "--stop-after", "--stop-at", "--trust-sender", "--version", "--write-batch",
];

/// What follows links out of every directory but `/`.
const FOLLOWING: [&str; 4] = ["--keep-dirlinks", "--copy-links", "--copy-dirlinks", "--copy-unsafe-links"];

/// Options whose value is a place, as rsync is given it.
const PLACES: [(&str, Aim); 8] = [
    ("--backup-dir", Aim::Backup),
    ("--partial-dir", Aim::Partial),
    ("--temp-dir", Aim::Temporary),
    ("--link-dest", Aim::Basis),
    ("--copy-dest", Aim::Basis),
    ("--compare-dest", Aim::Basis),
    ("--files-from", Aim::List),
    ("--log-file", Aim::Log),
];

/// Where the paths of options are held in this test; each has a number of its own from here on, and the paths all have this.
const HELD: i32 = 1000;

/// A key's words on one line; a command on the next, of as many bytes as there are up to a NUL; and what the client writes on
/// standard input behind it.
pub fn rrsync(data: &[u8]) {
    let (key, rest) = data.iter().position(|byte| *byte == b'\n').map_or((data, &b""[..]), |at| (&data[..at], &data[at + 1..]));
    let (original, stdin) = rest.iter().position(|byte| *byte == 0).map_or((rest, &b""[..]), |at| (&rest[..at], &rest[at + 1..]));
    let words: Vec<OsString> = key.split(|byte| *byte == b' ').map(|word| OsString::from_vec(word.to_vec())).collect();
    let flags = match flags::parse(&words) {
        Ok(Order::Serve(flags)) => flags,
        Ok(Order::Help) => return,
        Err(what) => return one_line(&what),
    };
    assert!(!flags.read_only || !flags.write_only && flags.no_del && flags.no_lock, "{flags:?}");
    let key = Key { dir: if flags.dir == "/" { Path::new("/") } else { Path::new("/srv/d") }, flags };
    let original = Original::Command(original.to_vec());
    let hidden = if hides(&original) {
        let Some((words, _)) = block(stdin) else { return };
        Some(words.as_slice().to_vec())
    } else {
        None
    };
    match key.judge(&original, hidden.as_deref()) {
        Err(reasons) => refused(&reasons),
        Ok(Asked::Probe) => assert_eq!(original, Original::Command(b"true".to_vec())),
        Ok(Asked::Transfer(transfer)) => {
            key.keeps_to_the_flags(&transfer);
            key.words_of_the_table(&transfer);
            key.stays_beneath(&transfer, &original, hidden.as_deref().unwrap_or_default());
            key.opens_its_directory(&transfer);
            key.prints_itself(&transfer);
        }
    }
}

/// A line of authorized_keys: its flags and the directory that it is for.
struct Key {
    flags: Flags,
    dir: &'static Path,
}

impl Key {
    fn judge(&self, original: &Original, hidden: Option<&[Vec<u8>]>) -> Result<Asked, Vec<snapgate::terms::reason::Reason>> {
        judge(&self.flags, self.dir.as_os_str().as_bytes(), original, hidden)
    }

    fn is_whole(&self) -> bool {
        self.dir == Path::new("/")
    }

    /// What rsync would be given if every place were there.
    fn setup(&self, transfer: &Transfer, version: Version) -> Setup<'_> {
        let behind = |number: i32| PathBuf::from(format!("/proc/self/fd/{number}"));
        let spot = |anchor: i32, place: &Place| Spot {
            marked: place.marker.is_some() && transfer.relative,
            rest: names(place).join(&b'/'),
            tail: place.tail,
            ..Spot::held(behind(anchor))
        };
        let options = (1..).zip(transfer.options()).map(|(number, _)| Some(Spot::held(behind(HELD + number)))).collect();
        let paths = transfer.paths.iter().map(|place| spot(HELD, place)).collect();
        let keeps = if self.is_whole() { Keeps::Nothing } else { Keeps::Walk(self.dir) };
        Setup { version, flags: &self.flags, keeps, spares_times: false, options, paths }
    }

    /// The words behind `rsync` for a server of this version: its options, and its paths.
    fn given(&self, transfer: &Transfer, version: Version) -> (Vec<String>, Vec<OsString>) {
        let words = printed(transfer, &self.setup(transfer, version));
        let end = words.iter().position(|word| word == "--").expect("an end of the options");
        let options = words[..end].iter().map(|word| word.to_str().expect("text").to_owned()).collect();
        assert_eq!(words[end + 1], ".", "{words:?}");
        (options, words[end + 2..].to_vec())
    }

    /// The client's own options as they are passed on: what a server that can do nothing of its own is given.
    fn clients(&self, transfer: &Transfer) -> Vec<String> {
        let plain = Key { flags: Flags { munge: false, no_overwrite: false, ..self.flags.clone() }, dir: self.dir };
        let (options, _) = plain.given(transfer, Version(3, 1, 0));
        let own = if transfer.direction == Direction::Pull { &["--server", "--sender"][..] } else { &["--server"] };
        assert!(options.iter().zip(own).all(|(word, own)| word == own), "{options:?}");
        let clients = options[own.len()..].to_vec();
        // What a newer server is given besides is the gate's.
        let (newer, _) = self.given(transfer, Version(3, 5, 0));
        let mut expected = options;
        if !self.is_whole() {
            expected.extend((transfer.direction == Direction::Push).then(|| "--drop-D".to_owned()));
            expected.push(format!("--confine-root={}", self.dir.display()));
        }
        expected.extend(self.flags.munge.then(|| "--munge-links".to_owned()));
        expected.extend(self.flags.no_overwrite.then(|| "--ignore-existing".to_owned()));
        assert_eq!(newer, expected);
        clients
    }

    /// What the administrator wrote holds, whatever the client did.
    fn keeps_to_the_flags(&self, transfer: &Transfer) {
        let flags = &self.flags;
        let pull = transfer.direction == Direction::Pull;
        assert!(if pull { !flags.write_only } else { !flags.read_only }, "{transfer:?}");
        let words = self.clients(transfer);
        let names: Vec<&str> = words.iter().map(|word| word.split('=').next().unwrap_or(word)).collect();
        let removes = ["--remove-source-files", "--remove-sent-files"];
        let has = |name: &str| names.contains(&name);
        if flags.no_del {
            let deletes =
                |name: &&str| name.starts_with("--del") && *name != "--delay-updates" || removes.contains(name) || *name == "--force";
            assert!(!names.iter().any(deletes) && !transfer.removes(), "{words:?}");
        }
        if flags.read_only {
            assert!(!has("--log-file") && transfer.options().all(|(aim, _)| aim == Aim::List), "{words:?}");
        }
        if flags.write_only {
            assert!(transfer.options().all(|(aim, _)| aim != Aim::List), "{words:?}");
        }
        if flags.no_overwrite {
            let changes = ["--log-file", "--partial-dir", "--delay-updates", "--backup-dir", "--backup", "--force"];
            assert!(!changes.iter().any(|name| has(name)) && !transfer.removes(), "{words:?}");
            assert!(
                !words.iter().any(|word| !word.starts_with("--") && word.split('e').next().unwrap_or_default().contains('b')),
                "{words:?}"
            );
            assert!(!names.iter().any(|name| name.starts_with("--delete") || *name == "--del"), "{words:?}");
        }
        assert_eq!(transfer.removes(), pull && removes.iter().any(|name| has(name)), "{words:?}");
    }

    /// Every word is a row's with a value that the row takes, or one of those for which there is a bound here; none may never be.
    fn words_of_the_table(&self, transfer: &Transfer) {
        let (everywhere, in_the_root) = LETTERS.split_once('|').expect("a bar");
        let words = self.clients(transfer);
        let mut verbose = 0;
        let (mut dry, mut relative) = (false, false);
        for word in &words {
            assert!(!word.contains('\0'), "{word:?}");
            if !word.starts_with("--") {
                let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty()).unwrap_or_else(|| panic!("{word}"));
                let (letters, capabilities) = letters.split_once('e').unwrap_or((letters, "."));
                assert!(capabilities.bytes().all(|byte| byte != b'I' && (byte == b'.' || byte.is_ascii_alphanumeric())), "{word}");
                assert!(
                    letters.chars().all(|letter| everywhere.contains(letter) || self.is_whole() && in_the_root.contains(letter)),
                    "{word}"
                );
                verbose += letters.matches('v').count();
                dry |= letters.contains('n');
                relative |= letters.contains('R');
                continue;
            }
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            assert!(!NEVER.contains(&name) && (self.is_whole() || !FOLLOWING.contains(&name)), "{word}");
            assert!(!["--server", "--sender", "--drop-D", "--confine-root"].contains(&name), "{word}");
            let row = options::by_long(name).unwrap_or_else(|| panic!("{word}"));
            dry |= ["--list-only", "--only-write-batch"].contains(&name);
            relative &= name != "--no-relative";
            let place = PLACES.iter().any(|(option, _)| *option == name);
            match (row.value, value) {
                (_, Some(value)) if place => assert!(value.starts_with("/proc/self/fd/") || word == "--files-from=-", "{word}"),
                (_, Some(value)) if is_bounded(name) => assert!(bounded(name, value), "{word}"),
                (Value::None, None) => {}
                (Value::Attached(check) | Value::Either(check), Some(value)) => {
                    assert!(!matches!(check, Check::Anything) && check.allows(value), "{word}");
                }
                _ => panic!("{word}: {row:?}"),
            }
        }
        assert!(verbose <= 2, "what rsync says from there on shows paths of the server: {words:?}");
        assert_eq!((dry, relative), (transfer.dry, transfer.relative), "{words:?}");
        assert_eq!(words.iter().any(|word| word == "--mkpath"), transfer.makes_path, "{words:?}");
    }

    /// Each place is names alone, which the client wrote one behind the other, and is given to rsync by a directory that is held.
    fn stays_beneath(&self, transfer: &Transfer, original: &Original, hidden: &[Vec<u8>]) {
        let mut written = words(original);
        written.extend(hidden.iter().map(|word| bare(word)));
        let written: BTreeSet<Vec<Vec<u8>>> = written.iter().map(|word| split(word)).collect();
        let dir = split(self.dir.as_os_str().as_bytes());
        for place in &transfer.paths {
            self.is_names(place);
            let shortened = || self.flags.absolute && written.contains(&[dir.clone(), names(place)].concat());
            assert!(place.is_root() || written.contains(&names(place)) || shortened(), "{place:?}");
        }
        for (_, places) in transfer.options() {
            assert!(matches!(places.len(), 1 | 2), "{places:?}");
            for place in places {
                self.is_names(place);
                assert!(place.names.iter().all(|name| !name.is_pattern()), "{place:?}");
            }
            if let [long, short] = places {
                assert_eq!(names(long), [dir.clone(), names(short)].concat());
            }
        }
        let push = transfer.direction == Direction::Push;
        let (_, paths) = self.given(transfer, Version(3, 5, 0));
        assert!(if push { paths.len() == 1 } else { paths.len() == transfer.paths.len() && !paths.is_empty() }, "{paths:?}");
        for path in &paths {
            let below = if push { path.as_bytes().strip_prefix(b".") } else { path.as_bytes().strip_prefix(b"/proc/self/fd/1000") };
            let below = below.unwrap_or_else(|| panic!("{path:?}"));
            assert!(below.is_empty() || below.starts_with(b"/"), "{path:?}");
            assert!(self.is_whole() || Path::new(path).components().all(|part| part != Component::ParentDir), "{path:?}");
        }
    }

    fn is_names(&self, place: &Place) {
        let mut length = 0;
        for name in names(place) {
            let parent = name == b".." && !self.is_whole();
            assert!(!name.is_empty() && name != b"." && !parent && !name.contains(&b'/') && !name.contains(&0), "{place:?}");
            assert!(name.len() <= limits::MAX_NAME, "{place:?}");
            length += name.len() + 1;
        }
        assert!(place.names.len() <= limits::MAX_PATH_DEPTH && length <= limits::MAX_PATH + 1, "{place:?}");
        assert!(place.marker.is_none_or(|at| (1..=place.names.len()).contains(&at)), "{place:?}");
    }

    /// The jail opens the directory, by what is asked for and what the key is for, and the log, and nothing else of the client's.
    fn opens_its_directory(&self, transfer: &Transfer) {
        let setup = self.setup(transfer, Version(3, 5, 0));
        let run = plan::transfer(transfer, &setup, (Path::new("/usr/bin/rsync"), self.dir), self.dir.to_path_buf(), true, Some(100));
        let sandbox = run.sandbox();
        assert_eq!(
            serde_json::from_slice::<Sandbox>(&serde_json::to_vec(sandbox).unwrap()).as_ref().ok(),
            Some(sandbox),
            "a sandbox is read as it was sent"
        );
        for grant in sandbox.grants.iter().flatten() {
            let expected = match (transfer.direction, transfer.removes()) {
                (Direction::Push, _) => Access::Stage,
                (Direction::Pull, true) => Access::Take,
                (Direction::Pull, false) => Access::Read,
            };
            let log = grant.path.starts_with("/proc/self/fd");
            let system = matches!(grant.access, Access::Execute | Access::Read) || grant.path.starts_with("/dev");
            assert!(grant.path == self.dir && grant.access == expected || log || system, "{grant:?}");
            assert!(
                !self.flags.read_only || matches!(grant.access, Access::Execute | Access::Read) || grant.path.starts_with("/dev"),
                "{grant:?}"
            );
        }
    }

    /// What was accepted, written as a client would and judged again, is the same: on the command line, and on standard input.
    fn prints_itself(&self, transfer: &Transfer) {
        let pull = transfer.direction == Direction::Pull;
        let own = if pull { &["rsync", "--server", "--sender"][..] } else { &["rsync", "--server"] };
        let mut places = transfer.options();
        let mut words: Vec<Vec<(u8, bool)>> = Vec::new();
        for word in self.clients(transfer) {
            words.push(match word.split_once("=/proc/self/fd/") {
                Some((option, _)) => {
                    let (aim, places) = places.next().expect("a place");
                    assert!(PLACES.contains(&(option, aim)), "{word}");
                    // With two meanings it was a path of the server's.
                    let start = if places.len() == 2 { &b"/"[..] } else { b"./" };
                    let start = [option.as_bytes(), b"=", start].concat();
                    literal(&start).chain(written(&places[0])).collect()
                }
                None => literal(word.as_bytes()).collect(),
            });
        }
        assert!(places.next().is_none());
        words.push(literal(b".").collect());
        words.extend(transfer.paths.iter().map(|place| literal(b"./").chain(written(place)).collect()));
        let quoted = words
            .iter()
            .map(|word| word.iter().flat_map(|(byte, literal)| quoted(*byte, *literal || b" \\".contains(byte))).collect::<Vec<u8>>());
        let line = own.iter().map(|word| word.as_bytes().to_vec()).chain(quoted).collect::<Vec<_>>().join(&b' ');
        if line.len() <= limits::MAX_PULL_COMMAND {
            match self.judge(&Original::Command(line.clone()), None) {
                Ok(Asked::Transfer(again)) => self.same(transfer, &again),
                other => panic!("{}: {other:?}", line.escape_ascii()),
            }
        }
        let hidden: Vec<Vec<u8>> = words.iter().map(|word| unseen(word)).collect();
        let begun = Original::Command([own.join(" ").as_bytes(), b" -s"].concat());
        assert!(hides(&begun));
        match self.judge(&begun, Some(&hidden)) {
            Ok(Asked::Transfer(again)) => self.same(transfer, &again),
            other => panic!("{other:?}"),
        }
    }

    fn same(&self, one: &Transfer, other: &Transfer) {
        let facts = |transfer: &Transfer| {
            let is = (transfer.relative, transfer.dry, transfer.makes_path, transfer.removes(), transfer.wants_directory());
            (transfer.direction, is, self.clients(transfer))
        };
        assert_eq!(facts(one), facts(other));
        let shape = |place: &Place| (meant(place), place.tail, place.marker);
        let paths = |transfer: &Transfer| transfer.paths.iter().map(shape).collect::<Vec<_>>();
        assert_eq!(paths(one), paths(other));
        let options = |transfer: &Transfer| {
            transfer.options().map(|(aim, places)| (aim, places.iter().map(shape).collect::<Vec<_>>())).collect::<Vec<_>>()
        };
        assert_eq!(options(one), options(other));
    }
}

fn is_bounded(name: &str) -> bool {
    ["--suffix", "--skip-compress", "--iconv", "--max-alloc", "--compress-threads", "--stderr", "--only-write-batch"].contains(&name)
}

/// Bounds that the table has for pushes of snapshots only in other words, or not at all.
fn bounded(name: &str, value: &str) -> bool {
    value.len() <= limits::MAX_OPTION_VALUE
        && match name {
            "--suffix" => !value.is_empty() && !value.contains('/') && value.len() <= limits::MAX_NAME,
            // Nothing at all is a list of no endings, and the usual character set (rsync(1); `setup_iconv` in its rsync.c).
            "--skip-compress" => value.bytes().all(|byte| byte.is_ascii_graphic()),
            "--iconv" => value.is_ascii() && !value.contains("2022") && !value.contains('/'),
            "--max-alloc" => value.starts_with(|first: char| first.is_ascii_digit() || first == '.') && Check::Size.allows(value),
            "--compress-threads" => value.parse().is_ok_and(|threads: i64| (0..=limits::MAX_COMPRESS_THREADS).contains(&threads)),
            "--stderr" => ["errors", "all", "client", "e", "a", "c"].contains(&value),
            "--only-write-batch" => value == "X",
            _ => false,
        }
}

fn names(place: &Place) -> Vec<Vec<u8>> {
    place.names.iter().map(Name::bytes).collect()
}

/// The words of a command, without backslashes.
fn words(original: &Original) -> Vec<Vec<u8>> {
    let Original::Command(bytes) = original else { return Vec::new() };
    let mut words = vec![Vec::new()];
    let mut rest = bytes.as_slice();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b' ' => words.push(Vec::new()),
            b'\\' => {
                words.last_mut().expect("a word").extend(rest.first());
                rest = rest.get(1..).unwrap_or_default();
            }
            byte => words.last_mut().expect("a word").push(*byte),
        }
    }
    words
}

/// A word of a block: only in a pattern does a backslash quote.
fn bare(word: &[u8]) -> Vec<u8> {
    if !word.iter().any(|byte| b"*?[".contains(byte)) {
        return word.to_vec();
    }
    let mut bare = Vec::new();
    let mut rest = word;
    while let Some((byte, behind)) = rest.split_first() {
        let skips = *byte == b'\\' && !behind.is_empty();
        bare.push(if skips { behind[0] } else { *byte });
        rest = &behind[usize::from(skips)..];
    }
    bare
}

/// The names of a path.
fn split(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".").map(<[u8]>::to_vec).collect()
}

/// Bytes that stand for themselves.
fn literal(bytes: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    bytes.iter().map(|byte| (*byte, true))
}

/// A place as a path from `./`.
fn written(place: &Place) -> Vec<(u8, bool)> {
    let mut parts: Vec<Vec<(u8, bool)>> = place.names.iter().map(|name| name.quoted().to_vec()).collect();
    if let Some(at) = place.marker {
        parts.insert(at, vec![(b'.', true)]);
    }
    match place.tail {
        Tail::None => {}
        Tail::Slash => parts.push(Vec::new()),
        Tail::Dot => parts.push(vec![(b'.', true)]),
    }
    parts.join(&(b'/', true))
}

/// A byte on a command line.
fn quoted(byte: u8, literal: bool) -> impl Iterator<Item = u8> {
    literal.then_some(b'\\').into_iter().chain([byte])
}

/// A word on standard input.
fn unseen(word: &[(u8, bool)]) -> Vec<u8> {
    if word.iter().any(|(byte, _)| b"*?[".contains(byte)) {
        return word.iter().flat_map(|(byte, literal)| quoted(*byte, *literal || *byte == b'\\')).collect();
    }
    word.iter().map(|(byte, _)| *byte).collect()
}

/// The names of a place, and which of their bytes stand for something else: in a name without `*`, `?` and `[` none does.
fn meant(place: &Place) -> Vec<Vec<(u8, bool)>> {
    let meant = |name: &Name| {
        let literal = |byte: u8| !name.is_pattern() || !b"*?[]!^".contains(&byte);
        name.quoted().iter().map(|(byte, quoted)| (*byte, *quoted || literal(*byte))).collect()
    };
    place.names.iter().map(meant).collect()
}
