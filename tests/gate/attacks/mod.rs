//! Attacks that once changed history, told of others or took room that nobody saw, and those on what is done about them: by programs
//! in rsync's place, as code would that has taken rsync over, and by clients. What they all must not do is looked at after each: nothing
//! differs in any published byte, mode, owner, time, attribute or access list, nor beside the repository.

mod calls;
mod everything;
mod links;
mod room;
mod unfinished;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::facts::{Facts, History, Reads, differences, facts};
use support::processes::of;
use support::record::Record;
use support::{Gate, POLICY, Ran, must, run};

const PUSH: &str = "rsync --server -logDtpre.iLsfxCIvu . .";
/// With `-H`.
const PUSH_LINKS: &str = "rsync --server -logDtpHre.iLsfxCIvu . .";

/// A line of the site file that accepts the jail without a view.
const WITHOUT_A_VIEW: &str = "namespaces: optional\n";

/// How many files the client has in `many/`.
const MANY: usize = 100;

/// A server on which much may be lost: a client with two snapshots, another client, and a directory beside the store.
struct Scene {
    gate: Gate,
    history: History,
    around: Facts,
}

impl Scene {
    fn new(site: &str, policy: &str) -> Self {
        let gate = Gate::with(site, POLICY);
        let source = gate.source("data");
        for (name, text) in [("victim", "history\n"), ("changed", "first\n"), ("kept", "kept\n"), ("d/inner", "inner\n")] {
            write(&source.join(name), text.as_bytes());
        }
        for number in 0..MANY {
            write(&source.join(format!("many/{number:02}")), b"one of many\n");
        }
        fs::hard_link(source.join("kept"), source.join("kept-too")).unwrap();
        symlink("victim", source.join("link")).unwrap();
        symlink(gate.path().join("outside"), source.join("out")).unwrap();
        symlink(gate.path().join("outside/secret"), source.join("secret")).unwrap();
        fs::set_permissions(source.join("victim"), fs::Permissions::from_mode(0o640)).unwrap();
        must(Command::new("setfattr").args(["-n", "user.note", "-v", "first"]).args([source.join("victim"), source.join("d")]));
        age(&source);
        gate.push(&source, &["-HX"]).exits(0);
        write(&source.join("changed"), b"second\n");
        age(&source.join("changed"));
        gate.push(&source, &["-HXI"]).exits(0);
        must(Command::new("cp").arg("-a").arg(gate.repository()).arg(gate.path().join("store/web2")));
        write(&gate.path().join("outside/secret"), b"secret\n");
        write(&gate.path().join("outside/d/inner"), b"of the outside\n");
        write(&gate.path().join("outside/e/inner"), b"of the outside\n");
        age(&gate.path().join("outside"));
        // History itself is not to be limited.
        let before = fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap();
        gate.write("config/policies/web1.yaml", &format!("{before}{policy}"));
        let mut scene = Self { gate, history: History::default(), around: Facts::new() };
        scene.remember();
        scene
    }

    /// The same, and from now on this attack stands in rsync's place.
    fn taken_over(site: &str, policy: &str, source: &str, attack: &str, defines: &[(&str, &str)]) -> Self {
        let mut scene = Self::new(site, policy);
        scene.take_over(source, attack, defines);
        scene
    }

    /// Puts an attack in rsync's place. A text among what is defined stands in quotes.
    fn take_over(&mut self, source: &str, attack: &str, defines: &[(&str, &str)]) {
        let program = self.gate.path().join("taken");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-w", "-pthread", "-o"]).arg(&program).arg(format!("-DATTACK={attack}"));
        compiler.args(defines.iter().map(|(name, value)| format!("-D{name}={value}")));
        must(compiler.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gate/attacks").join(source)));
        self.rsync_is(Some(&program));
    }

    /// Which program the site file calls rsync; `None`: the machine's.
    fn rsync_is(&mut self, program: Option<&Path>) {
        let path = self.gate.path().join("config/snapgate.yaml");
        let text = fs::read_to_string(path).unwrap();
        let kept: String = text.lines().filter(|line| !line.starts_with("rsync:")).flat_map(|line| [line, "\n"]).collect();
        let line = program.map(|program| format!("rsync: {}\n", program.display())).unwrap_or_default();
        self.gate.write("config/snapgate.yaml", &format!("{kept}{line}"));
        self.remember();
    }

    /// What stands beside the client's repository, the links there, and the parts of the system that rsync can see.
    fn surroundings(&self) -> Facts {
        let mut found = facts(&["outside", "store/web2", "config"].map(|name| self.gate.path().join(name)), false);
        for (dir, known) in [("store", &["web1", "web2"][..]), ("store/web1", &[".snapgate", "current", "inprogress", "snapshots"])] {
            let names = fs::read_dir(self.gate.path().join(dir)).unwrap().map(|entry| entry.unwrap().file_name());
            found.extend(
                names.filter(|name| !known.iter().any(|known| name == known)).map(|name| (PathBuf::from(name), format!("in {dir}"))),
            );
        }
        found.extend(facts(&[PathBuf::from("/usr/lib/os-release")], false));
        for path in ["/", "/usr/lib", "/dev", "/dev/null"] {
            let meta = fs::symlink_metadata(path).unwrap();
            found.insert(path.into(), format!("{:?} {:?}", meta.permissions(), meta.file_type()));
        }
        found
    }

    /// Writes everything down as it is now.
    fn remember(&mut self) {
        self.history.changes(&self.gate, Reads::Files);
        self.around = self.surroundings();
    }

    /// Nothing has changed that must not.
    #[track_caller]
    fn is_unharmed(&mut self) {
        let mut changed = self.history.changes(&self.gate, Reads::Files);
        changed.extend(differences(&self.around, &self.surroundings(), Reads::Files));
        assert!(changed.is_empty(), "{changed:#?}");
    }

    /// Says a command, and waits until everything that came of it has ended.
    fn say(&self, command: &str) -> Ran {
        let ran = self.gate.say(command);
        self.settle();
        ran
    }

    fn settle(&self) {
        for program in ["snapgate-shell", "snapgate", "taken"] {
            support::until("it is gone", || of(self.gate.path(), program).is_empty());
        }
    }

    /// The text of the newest push's log.
    fn log(&self) -> String {
        let id = self.gate.record().id;
        String::from_utf8_lossy(&fs::read(self.gate.inside(&format!(".snapgate/logs/{id}.log"))).unwrap()).into_owned()
    }

    /// The newest snapshot's directory before the attack, as C quotes it.
    fn newest_quoted(&self) -> String {
        quoted(&self.gate.newest())
    }
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Makes everything in a tree old.
fn age(path: &Path) {
    must(Command::new("find").arg(path).args(["-depth", "-exec", "touch", "-h", "-d", "2026-01-01 10:00:00.125", "{}", "+"]));
}

/// What an attack has told: each line's first word, and the numbers behind it.
fn told(ran: &Ran) -> BTreeMap<&str, Vec<i64>> {
    let parsed = ran.stdout.lines().filter_map(|line| {
        let (what, numbers) = line.split_once(' ')?;
        Some((what, numbers.split(' ').map(|number| number.parse().unwrap()).collect()))
    });
    let told: BTreeMap<_, _> = parsed.collect();
    assert!(!told.is_empty(), "the attack was not made: {ran:?}");
    told
}

/// What is on the disk below a directory.
fn stored(path: &Path) -> u64 {
    let told = run(Command::new("du").args(["-s", "-B1"]).arg(path)).stdout;
    told.split_whitespace().next().map_or(0, |bytes| bytes.parse().unwrap())
}

/// Whether the administrator hears that not everything is there.
fn is_told_of_a_loss(record: &Record) -> bool {
    !record.warnings.is_empty() || !record.reasons.is_empty() || record.push.as_ref().is_some_and(|push| push.partial)
}
