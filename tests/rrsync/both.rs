//! The two programs, and trees for them. Everything is in directories that go away.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The program under test, as cargo built it for this run.
pub(crate) const SNAPGATE: &str = env!("CARGO_BIN_EXE_snapgate-shell");

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// rsync's rrsync.
    Theirs,
    /// snapgate-shell rrsync.
    Ours,
}

/// Where distributions put rrsync. Debian 12 and later have it on the path, older ones among the documentation.
const PLACES: [&str; 2] = ["/usr/bin/rrsync", "/usr/share/doc/rsync/scripts/rrsync"];

/// rsync's rrsync, if it is one that can be compared with: that of 3.5.0, which is in Python, and runs.
pub(crate) fn theirs() -> Option<&'static str> {
    static FOUND: std::sync::OnceLock<Option<&str>> = std::sync::OnceLock::new();
    *FOUND.get_or_init(|| {
        let is_it = |path: &&&str| fs::read_to_string(path).is_ok_and(|text| text.contains("--confine-root"));
        let runs = |path: &&str| Command::new(path).arg("-h").output().is_ok_and(|output| output.status.success());
        PLACES.iter().find(is_it).copied().filter(runs)
    })
}

/// [`theirs`], or says why the test does nothing. Written past the test runner, which would swallow it.
pub(crate) fn compared(test: &str) -> bool {
    let there = theirs().is_some();
    if !there {
        let _ = writeln!(std::io::stderr(), "skipped: {test}: there is no rrsync of rsync 3.5.0 here to compare with");
    }
    there
}

/// A directory that a key is for, and what stands around it.
pub(crate) struct Tree {
    dir: TempDir,
}

impl Tree {
    /// The usual files.
    pub(crate) fn new() -> Self {
        let this = Self { dir: tempfile::Builder::new().prefix("snapgate-rrsync-").tempdir().unwrap() };
        for name in ["dir/dst", "dir/src/sub", "dir/src/sp ace", "dir/prev", "dir/.hidden", "dir/deep/er", "outside/in", "local/sub", "got"]
        {
            fs::create_dir_all(this.at(name)).unwrap();
        }
        for (name, text) in [
            ("dir/dst/old", "old"),
            ("dir/src/a", "a"),
            ("dir/src/b.txt", "b"),
            ("dir/src/sub/c", "c"),
            ("dir/src/sp ace/d", "d"),
            ("dir/src/.dot", "dot"),
            ("dir/prev/same", "same"),
            ("dir/list", "a\nsub/c\n"),
            ("dir/top", "top"),
            ("outside/secret", "secret"),
            ("outside/in/deep", "deep"),
            ("local/f", "new"),
            ("local/same", "same"),
            ("local/sub/g", "g"),
        ] {
            fs::write(this.at(name), text).unwrap();
        }
        symlink("src", this.at("dir/inside")).unwrap();
        symlink("src/a", this.at("dir/tofile")).unwrap();
        symlink(this.at("dir/src"), this.at("dir/absolute")).unwrap();
        symlink("../outside", this.at("dir/out")).unwrap();
        symlink("nowhere", this.at("dir/dangling")).unwrap();
        // Its lines say what was run.
        fs::write(this.at("dir/rrsync.log"), "").unwrap();
        this
    }

    /// The same, every file of it as old, so that trees can be compared.
    pub(crate) fn aged() -> Self {
        let this = Self::new();
        let status = Command::new("find").arg(this.path()).args(["-exec", "touch", "-h", "-d", "2020-01-01", "{}", "+"]).status();
        assert!(status.unwrap().success());
        this
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What was logged, and the log taken away.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.at("dir/rrsync.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Everything beneath a directory of the tree: its kind, mode, time, links and content.
    pub(crate) fn listing(&self, name: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let top = self.at(name);
        let mut open = vec![top.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let kind = metadata.file_type();
                let what = if kind.is_dir() {
                    open.push(path.clone());
                    "dir".to_owned()
                } else if kind.is_symlink() {
                    // Links to the tree itself name its own place.
                    let target = fs::read_link(&path).unwrap().display().to_string();
                    format!("-> {}", target.replace(self.path().to_str().unwrap(), "$TREE"))
                } else if kind.is_file() {
                    format!("{:?} {} links", String::from_utf8_lossy(&fs::read(&path).unwrap()), metadata.nlink())
                } else {
                    "special".to_owned()
                };
                let when = if kind.is_dir() { String::new() } else { format!(" {}", metadata.mtime() / 86_400) };
                let name = String::from_utf8_lossy(path.strip_prefix(&top).unwrap().as_os_str().as_bytes()).into_owned();
                found.insert(name, format!("{:o}{when} {what}", metadata.mode() & 0o7777));
            }
        }
        found.remove("rrsync.log");
        found
    }

    /// The words that start a program for this tree's directory, with an administrator's flags.
    pub(crate) fn words(&self, program: Program, flags: &str) -> Vec<String> {
        let mut words: Vec<String> = match program {
            Program::Theirs => vec![theirs().unwrap().to_owned()],
            Program::Ours => {
                vec![SNAPGATE.to_owned(), "--config".to_owned(), self.at("no-config").display().to_string(), "rrsync".to_owned()]
            }
        };
        words.extend(flags.split_whitespace().map(str::to_owned));
        words.push(self.at("dir").display().to_string());
        words
    }

    /// Says a command to a program as sshd would hand it over; `$TREE` stands for the tree's place.
    pub(crate) fn say(&self, program: Program, flags: &str, command: &[u8]) -> Said {
        let words = self.words(program, flags);
        let mut started = Command::new(&words[0]);
        // rrsync 3.5.0 looks for its log where it is started.
        started
            .args(&words[1..])
            .current_dir(self.at("dir"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22");
        started.env("SSH_ORIGINAL_COMMAND", std::ffi::OsStr::from_bytes(&self.placed(command)));
        let output = started.stdin(Stdio::null()).output().unwrap();
        let log = self.log();
        let ran = log.lines().any(|line| line.contains("'--server'") || line.contains(" runs: rsync --server"));
        Said {
            ran,
            spoke: !output.stdout.is_empty(),
            status: output.status.code().unwrap_or(-1),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn placed(&self, command: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(command) {
            Ok(text) => text.replace("$TREE", self.path().to_str().unwrap()).into_bytes(),
            Err(_) => command.to_vec(),
        }
    }

    /// Writes the script that rsync takes for ssh, and returns its name.
    pub(crate) fn shell(&self, program: Program, flags: &str) -> String {
        let words = self.words(program, flags).join(" ");
        let script = format!(
            "shift\nexec /usr/bin/env -i PATH=/usr/bin:/bin SSH_CONNECTION='192.0.2.7 50000 192.0.2.1 22' SSH_ORIGINAL_COMMAND=\"$*\" {words}\n"
        );
        let path = self.at("ssh");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        format!("/bin/sh {}", path.display())
    }

    /// A client's rsync; `$TREE` stands for the tree's place, and `local/` is the client's own.
    pub(crate) fn rsync(&self, program: Program, flags: &str, words: &str) -> Command {
        let mut command = Command::new("rsync");
        command.arg("-e").arg(self.shell(program, flags)).current_dir(self.path());
        // A `|` stands between words, since they hold spaces.
        command.args(words.split('|').map(|word| word.replace("$TREE", self.path().to_str().unwrap())));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        command
    }
}

/// What a program did with a command that nobody spoke the protocol to.
#[derive(Debug)]
pub(crate) struct Said {
    /// Whether it ran rsync.
    pub(crate) ran: bool,
    /// Whether that rsync began to speak: it took its options.
    pub(crate) spoke: bool,
    pub(crate) status: i32,
    pub(crate) stderr: String,
}

impl Said {
    /// What is compared.
    pub(crate) fn verdict(&self) -> &'static str {
        match (self.ran, self.spoke) {
            (false, _) if self.status == 0 => "answered",
            (false, _) => "refused",
            (true, false) => "rsync did not begin",
            (true, true) => "rsync began",
        }
    }
}

/// Does the same for everything in a list, on a few threads; the answers are in the list's order.
pub(crate) fn each<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let done = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(one) = all.get(index) else { return };
                    let result = work(one);
                    done.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
