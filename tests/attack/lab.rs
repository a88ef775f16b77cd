//! Where attacks are tried: a server with history, a neighbour and an outside, all of it written down before an attack and
//! compared after it; and the table that says how each one ended.

use std::cell::Cell;
use std::fs::{self, File, FileTimes};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::entry::{Entry, OLD};
use crate::midway;
use crate::older::with_the_server_s;
use crate::sender::{self, End, Session};
use support::facts::{Facts, History, Reads, differences, facts};
use support::kept::keeper;
use support::layer::layer;
use support::{Gate, POLICY, Ran, is_root, must, skip};

/// What stands in the file outside. A client never hears it.
pub(crate) const CANARY: &str = "canary-f3b1c0de: the outside's own words\n";

/// A server on which much may be lost.
pub(crate) struct Lab {
    /// Its gate, with the clients `web1` and `web2` of one account.
    pub(crate) gate: Gate,
    history: History,
    around: Facts,
    known: Vec<String>,
    /// Whether reading what the newest snapshot holds may leave a trace.
    pub(crate) reads: Reads,
}

/// What `web1` has pushed first, before [`base`]: another content, so that the older snapshot has inodes of its own.
fn first() -> Vec<Entry> {
    let mut list = base();
    list.push(Entry::file("d/older", "content of older\n").mode(0o600));
    list.retain(|entry| entry.name != b"a");
    list.push(Entry::file("a", "older content of a\n"));
    list
}

/// What `web1` has pushed last: one of everything that an attack needs.
pub(crate) fn base() -> Vec<Entry> {
    vec![
        Entry::top(),
        Entry::file("a", "content of a\n"),
        Entry::link("l", "a"),
        Entry::file("ro", "only to be read\n").mode(0o444),
        Entry::dir("d"),
        Entry::file("d/b", "content of b\n").mode(0o600),
        Entry::file("d/x", "content of x\n").xattr("user.long", &[b'l'; 100]).xattr("user.note", b"first"),
    ]
}

fn template() -> &'static Gate {
    static MADE: OnceLock<Gate> = OnceLock::new();
    MADE.get_or_init(|| {
        let gate = Gate::with(&namespaces(), POLICY);
        for list in [first(), base()] {
            assert_eq!(sender::push(&gate, 31, "-logDtprX", &list).status, 0);
        }
        if without_view() {
            let log = fs::read_to_string(gate.inside(&format!(".snapgate/logs/{}.log", gate.record().id))).unwrap();
            assert!(log.contains("no file system of its own"), "the gate still has a view to give: {log}");
        }
        // The neighbour has what the client has, in a repository of its own under the same account.
        must(Command::new("cp").arg("-a").arg(gate.inside("")).arg(gate.path().join("store/web2")));
        let outside = gate.path().join("outside");
        fs::create_dir_all(outside.join("d")).unwrap();
        fs::write(outside.join("secret"), CANARY).unwrap();
        fs::write(outside.join("d/b"), "content of b\n").unwrap();
        symlink("d", outside.join("link")).unwrap();
        must(Command::new("setfattr").args(["-n", "user.note", "-v", "outside"]).arg(outside.join("d/b")));
        must(Command::new("find").arg(&outside).args(["-depth", "-exec", "touch", "-h", "-d", "@1767261600", "{}", "+"]));
        gate
    })
}

/// Whether the gate is to be started where it may not mount.
pub(crate) fn without_view() -> bool {
    std::env::var_os("HOSTILE_WITHOUT_VIEW").is_some_and(|value| value == "1")
}

/// What the site file says of it.
fn namespaces() -> String {
    if without_view() { "namespaces: optional\n".to_owned() } else { String::new() }
}

/// What is compared where rsync copies a file of history, as it does where that differs only in what a link would share. This reading
/// is one that `--open-noatime` does not cover (`copy_file` in util1.c opens its source without it). The view's mounts are read-only, and
/// keep no times of access; an ordinary account's pushes with `-A` have no view.
pub(crate) fn copies() -> Reads {
    if without_view() || !is_root() { Reads::Files } else { Reads::Nothing }
}

/// Takes the view away from everything that this thread starts, once.
fn take_the_view_away() {
    thread_local! {
        static TAKEN: Cell<bool> = const { Cell::new(false) };
    }
    if without_view() && !TAKEN.replace(true) {
        assert!(layer().is_ok(), "this kernel has no Landlock: nothing here would run");
    }
}

impl Lab {
    /// A server with two snapshots.
    pub(crate) fn new() -> Self {
        Self::with("", POLICY)
    }

    /// The same, with these lines in the site file and this policy.
    pub(crate) fn with(site: &str, policy: &str) -> Self {
        take_the_view_away();
        let gate = Gate::with(&format!("{}{site}", namespaces()), policy);
        let from = ["store", "outside"].map(|name| template().path().join(name));
        must(Command::new("cp").arg("-a").args(from).arg(gate.path()));
        age(gate.path());
        let mut lab = Self { gate, history: History::default(), around: Facts::new(), known: Vec::new(), reads: Reads::Nothing };
        assert_eq!(lab.changes(Reads::Nothing), [""; 0]);
        lab
    }

    /// The path of something beside the store.
    pub(crate) fn outside(&self, name: &str) -> String {
        self.gate.path().join("outside").join(name).display().to_string()
    }

    /// A snapshot's directory as a link at the top of a push names it.
    pub(crate) fn newest(&self) -> String {
        format!("../snapshots/{}", self.known[1])
    }

    /// The same for the one before.
    pub(crate) fn older(&self) -> String {
        format!("../snapshots/{}", self.known[0])
    }

    /// Everything that has changed and must not, since the last time.
    pub(crate) fn changes(&mut self, reads: Reads) -> Vec<String> {
        let mut found = self.history.changes(&self.gate, reads);
        let now = facts(&["outside", "store/web2"].map(|name| self.gate.path().join(name)), false);
        if !self.around.is_empty() {
            found.extend(differences(&self.around, &now, Reads::Nothing));
        }
        self.around = now;
        for (dir, own) in [("store", &["web1", "web2"][..]), ("store/web1", &[".snapgate", "current", "inprogress", "snapshots"])] {
            let names = fs::read_dir(self.gate.path().join(dir)).unwrap().map(|entry| entry.unwrap().file_name());
            found.extend(names.filter(|name| !own.iter().any(|own| name == own)).map(|name| format!("{} is new in {dir}", name.display())));
        }
        self.known = self.gate.snapshots();
        found
    }

    /// Ends a session. How it ended, and all that has changed and must not have.
    pub(crate) fn end(&mut self, session: Session) -> (String, Vec<String>) {
        let (found, mut changed) = self.end_and_say(session, None);
        changed.extend(self.leaked());
        (found, changed)
    }

    /// What of the outside is in the repository. Last, since it reads everything.
    fn leaked(&self) -> Option<String> {
        holds_canary(&self.gate.inside("")).then(|| "the outside's words are in the repository".to_owned())
    }

    /// The same, and what comes of a verb that is said after it.
    fn end_and_say(&mut self, session: Session, verb: Option<&str>) -> (String, Vec<String>) {
        let hung = session.hung;
        let (ran, received) = session.end();
        let mut found = if hung { format!("it hangs; {}", self.ending(&ran)) } else { self.ending(&ran) };
        let mut changed = self.changes(self.reads);
        if let Some(verb) = verb {
            let said = self.gate.say(verb);
            found += &format!("; {verb}: {}", self.ending(&said));
            changed.extend(self.changes(self.reads));
        }
        if contains(&received, b"canary-f3b1c0de") || contains(ran.stderr.as_bytes(), b"canary-f3b1c0de") {
            changed.push("the client hears the outside's words".to_owned());
        }
        (found, changed)
    }

    /// How a session ended, and what the newest snapshot holds if it made one.
    pub(crate) fn ending(&self, ran: &Ran) -> String {
        let new: Vec<_> = self.gate.snapshots().into_iter().filter(|name| !self.known.contains(name)).collect();
        let code = ran.code().map(|code| format!(" {code}")).unwrap_or_default();
        match new.as_slice() {
            // A client's rsync may say 12 where it was turned away: see `Ran::exits`.
            [] if ran.status >= 64 || ran.status == 12 && ran.stderr.contains("closed (0 bytes received") && code != " interrupted" => {
                format!("refused:{code}")
            }
            [] => format!("rsync {}{}", ran.status, if code == " interrupted" { "" } else { &code }),
            [name] => {
                let partly = if ran.status == 0 { String::new() } else { format!(" (rsync {})", ran.status) };
                format!("published{partly}: {}", tree(&self.gate.inside("snapshots").join(name)))
            }
            _ => format!("{} snapshots", new.len()),
        }
    }
}

/// Puts the time of access of every file before that of its modification: any reading moves it then, on a file system that
/// keeps one (relatime of mount(8)).
fn age(path: &Path) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            age(&path);
        } else if meta.is_file() {
            let times = FileTimes::new().set_accessed(SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000));
            File::open(&path).unwrap().set_times(times).unwrap();
        }
    }
}

/// What stands in a tree, on one line: names with their modes; a number behind a star says how many names a file has.
pub(crate) fn tree(root: &Path) -> String {
    fn walk(root: &Path, path: &Path, found: &mut Vec<String>) {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        for path in names {
            let meta = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().escape_ascii().to_string();
            // The number of a stage is another one each time.
            let name = if name.contains(".~snapgate-") { name.replace(|c: char| c.is_ascii_digit(), "") } else { name };
            let mode = meta.mode() & 0o7777;
            let links = if meta.nlink() > 1 { format!("*{}", meta.nlink()) } else { String::new() };
            if meta.is_dir() {
                found.push(if mode == 0o755 { format!("{name}/") } else { format!("{name}/={mode:o}") });
                walk(root, &path, found);
            } else if meta.is_symlink() {
                found.push(format!("{name}@"));
            } else if meta.is_file() {
                found.push(format!("{name}={mode:o}{links}"));
            } else {
                found.push(format!("{name}!"));
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    if found.len() > 24 { format!("{} names", found.len()) } else { found.join(" ") }
}

/// One row of the table.
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) way: &'static str,
    pub(crate) expected: String,
    pub(crate) found: String,
    changed: Vec<String>,
}

impl Row {
    /// How a case ended, against what is expected: that, or one of several ways with ` | ` between them, where a race of
    /// rsync's processes decides. ` …` at the end leaves open what of a changing source is caught.
    pub(crate) fn new(case: impl Into<String>, expected: &str, found: String, changed: Vec<String>) -> Self {
        Self { case: case.into(), way: Way::OnePush.name(), expected: expected.to_owned(), found, changed }
    }

    /// Done in another way than by one push.
    pub(crate) fn by(mut self, way: Way) -> Self {
        self.way = way.name();
        self
    }

    fn holds(&self) -> bool {
        self.changed.is_empty()
            && self.expected.split(" | ").any(|way| way.strip_suffix(" …").map_or(way == self.found, |begin| self.found.starts_with(begin)))
    }
}

/// Prints the rows, and fails if one does not hold.
#[track_caller]
pub(crate) fn table(what: &str, mut rows: Vec<Row>) {
    rows.iter_mut().for_each(|row| with_the_server_s(what, row));
    let width = rows.iter().map(|row| row.case.chars().count()).max().unwrap_or_default();
    let mut text = format!("\n{what}\n");
    for row in &rows {
        let found = if row.expected == row.found { "as expected".to_owned() } else { row.found.clone() };
        let verdict = if row.holds() { "held  " } else { "BROKEN" };
        text += &format!("{verdict} {:width$}  {:18}  expected: {}  found: {found}\n", row.case, row.way, row.expected);
        for change in &row.changed {
            text += &format!("       {change}\n");
        }
    }
    println!("{text}");
    let broken: Vec<_> = rows.iter().filter(|row| !row.holds()).map(|row| format!("{}, {}", row.case, row.way)).collect();
    assert!(broken.is_empty(), "{} of {} cases do not hold: {broken:#?}", broken.len(), rows.len());
}

/// What a case does, once the session is open.
pub(crate) type Lie = Box<dyn Fn(&mut Session, &Lab) -> Result<(), End>>;

/// A case of the hostile sender.
pub(crate) struct Case {
    name: String,
    protocol: u32,
    options: String,
    expected: String,
    reads: Reads,
    way: Way,
    for_root: bool,
    lie: Lie,
}

/// How an attack is brought.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    /// By itself, over history.
    OnePush,
    /// Twice, the second over what the first has left.
    TwoPushes,
    /// Over what a push has left that was cut off, and that is a basis too.
    CutOff,
    /// As the second part of a transaction, which is completed after it.
    Transaction,
}

impl Way {
    /// Every one.
    pub(crate) const ALL: [Self; 4] = [Self::OnePush, Self::TwoPushes, Self::CutOff, Self::Transaction];

    /// As it stands in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OnePush => "one push",
            Self::TwoPushes => "two pushes",
            Self::CutOff => "cut off, resumed",
            Self::Transaction => "in a transaction",
        }
    }
}

/// A case: its name, the protocol, the options, how it has to end, what the sender does.
pub(crate) fn case(
    name: &str,
    protocol: u32,
    options: &str,
    expected: &str,
    lie: impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static,
) -> Case {
    let name = format!("{name} [{protocol}]");
    Case {
        name,
        protocol,
        options: options.to_owned(),
        expected: expected.to_owned(),
        reads: Reads::Nothing,
        way: Way::OnePush,
        for_root: false,
        lie: Box::new(lie),
    }
}

impl Case {
    /// rsync copies a file of the newest snapshot: see [`copies`].
    pub(crate) fn copying(mut self) -> Self {
        self.reads = copies();
        self
    }

    /// How it ends where no root runs rsync, if that is another way.
    pub(crate) fn without_root(mut self, expected: &str) -> Self {
        if !is_root() {
            expected.clone_into(&mut self.expected);
        }
        self
    }

    /// How it ends where an account keeps owners, if that is another way.
    pub(crate) fn with_owners_kept(mut self, expected: &str) -> Self {
        if keeper().is_some() {
            expected.clone_into(&mut self.expected);
        }
        self
    }

    /// Only root can compare what it leaves, being closed to everybody else.
    pub(crate) fn for_root(mut self) -> Self {
        self.for_root = true;
        self
    }

    /// It is brought in that way.
    pub(crate) fn by(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    fn run(&self) -> Row {
        let mut lab = Lab::new();
        lab.reads = self.reads;
        match self.way {
            Way::OnePush | Way::TwoPushes => (),
            Way::CutOff => midway::an_interrupted_push(&lab),
            Way::Transaction => midway::a_part(&lab),
        }
        let mut tell = |verb| {
            let mut session = match Session::open(&lab.gate, self.protocol, &self.options) {
                Ok(session) => session,
                Err(end) => panic!("{}: no session: {end:?}", self.name),
            };
            let _ = (self.lie)(&mut session, &lab);
            lab.end_and_say(session, verb)
        };
        let first = if self.way == Way::TwoPushes { tell(None).1 } else { Vec::new() };
        let (found, changed) = tell((self.way == Way::Transaction).then_some("complete"));
        let changed = first.into_iter().chain(changed).chain(lab.leaked()).collect();
        Row::new(&self.name, &self.expected, found, changed).by(self.way)
    }
}

/// Runs the cases one after another and prints their table.
#[track_caller]
pub(crate) fn run(what: &str, cases: &[Case]) {
    let (run, left): (Vec<_>, Vec<_>) = cases.iter().partition(|case| is_root() || !case.for_root);
    for case in left {
        skip(&format!("{}: only root can look at what it leaves", case.name));
    }
    let rows: Vec<_> = run.into_iter().map(Case::run).collect();
    table(what, rows);
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// Whether any file below holds what only the outside does.
fn holds_canary(root: &Path) -> bool {
    let found = Command::new("grep").args(["-rqs", "canary-f3b1c0de"]).arg(root).status().unwrap();
    found.success()
}

/// A whole list and honest answers: what most lies about names need.
pub(crate) fn tell(list: impl Fn(&Lab) -> Vec<Entry> + 'static) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    move |session, lab| {
        session.list(&list(lab))?;
        session.finish();
        Ok(())
    }
}

/// The list of one directory each, and honest answers.
pub(crate) fn tell_each(
    lists: impl Fn(&Lab) -> (Vec<Entry>, Vec<(i32, Vec<Entry>)>) + 'static,
) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    move |session, lab| {
        let (first, more) = lists(lab);
        session.list(&first)?;
        for (directory, list) in more {
            session.sublist(directory, &list)?;
        }
        session.last_list()?;
        session.finish();
        Ok(())
    }
}

/// A file with the content, size and time that history knows, and everything else another.
pub(crate) fn b(name: &str) -> Entry {
    Entry::file(name, "content of b\n").mode(0o777).owner(1234, 1234).xattr("user.evil", b"1").user(1234, 7)
}

/// The time of everything that is in history, moved.
pub(crate) const MOVED: i64 = OLD + 9;
