//! A client's command as a value of our own: a verb, or a push whose every option the table allows.
//!
//! Nothing behind this module sees an unchecked byte; a path in the first word is never run.

mod around;
mod bytes;
mod figures;
mod other;
mod programs;
mod push;
mod reading;
mod restore;
mod secluded;

pub(in crate::decide) use around::{front, words_of_commands};
pub(in crate::decide) use other::{no_sftp, stranger};
pub use push::Push;
pub use restore::{Begins, Begun, Restore};
pub use secluded::Secluded;

use std::path::Path;

use crate::decide::history::query::{Asked, Word};
use crate::decide::host::login::{GATE, WORDS_OF_ITS_OWN, is_the_gate};
use crate::terms::limits::{MAX_COMMAND, MAX_REASONS};
use crate::terms::{ClientName, Code, Original, Reason, Verb};

use super::options::shown;
use super::secluded::Words;

use around::{Front, instead_of_rsync};
use figures::{exit_status, size};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// No command: shows who they are and what they may do.
    Greeting,
    /// Shows what may be done.
    Help,
    /// A script's test of the connection. Every client may, as it may ask for help.
    Probe(Probe),
    /// Shows the newest snapshot and what is running.
    Status,
    /// Asks history.
    Ask(Asked),
    /// Opens a transaction.
    Prepare {
        /// How many bytes it means to bring that are new, where it said so.
        bytes: Option<u64>,
    },
    /// Closes and publishes a transaction.
    Complete {
        /// The client's own exit status, where it gave one: anything but 0 is a failure.
        status: Option<u8>,
    },
    /// Discards a transaction.
    Abort,
    /// Looks at snapshots with sftp.
    Browse,
    /// A push.
    Push(Push),
    /// A push whose rest is still to be read from standard input. It can be judged, never run.
    Secluded(Secluded),
    /// A pull of snapshots.
    Restore(Box<Restore>),
    /// A pull whose rest is still to be read.
    SecludedRestore(Begun),
}

/// The visible half of a command, of which the rest is on standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// Of a push.
    Push(Box<Secluded>),
    /// Of a pull.
    Restore(Begun),
}

impl Rest {
    /// The whole command.
    ///
    /// # Errors
    /// With every reason for which it is none.
    pub fn with(&self, words: &Words) -> Result<Command, Vec<Reason>> {
        match self {
            Self::Push(begun) => begun.with(words).map(Command::Push),
            Self::Restore(begun) => Ok(Command::Restore(Box::new(begun.with(words)))),
        }
    }
}

/// Where clients look for rsync. The site's own rsync is what runs.
const RSYNC: [&str; 6] = ["rsync", "/usr/bin/rsync", "/bin/rsync", "/usr/local/bin/rsync", "/opt/bin/rsync", "/opt/homebrew/bin/rsync"];

/// What scripts try before they push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Whether a command can be run at all: `true`.
    True,
    /// Whether there is an rsync: `rsync --version`.
    Version,
}

impl Probe {
    fn of(words: &[&str]) -> Option<Self> {
        match words {
            ["true" | "/bin/true" | "/usr/bin/true" | ":" | "exit"] | ["exit", "0"] => Some(Self::True),
            [rsync, "--version" | "-V"] if is_rsync(rsync) => Some(Self::Version),
            _ => None,
        }
    }
}

impl Command {
    /// The verb that a policy must allow. The greeting counts as help.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Greeting | Self::Help | Self::Probe(_) => Verb::Help,
            Self::Status => Verb::Status,
            Self::Prepare { .. } => Verb::Prepare,
            Self::Complete { .. } => Verb::Complete,
            Self::Abort => Verb::Abort,
            Self::Browse => Verb::Browse,
            Self::Push(_) | Self::Secluded(_) => Verb::Rsync,
            Self::Ask(asked) => asked.word().row().verb,
            Self::Restore(_) | Self::SecludedRestore(_) => Verb::Restore,
        }
    }

    /// Whether it may change the files of snapshots, or of one in progress.
    pub fn touches_trees(&self) -> bool {
        self.verb().row().touches_trees
    }

    /// Whether it is a pull.
    pub fn pulls(&self) -> bool {
        self.verb() == Verb::Restore
    }

    /// Whether it has to do with files that are a client's, so that their owners matter.
    pub fn meets_owners(&self) -> bool {
        self.touches_trees() || self.verb().row().reads_trees
    }
}

/// Reads a client's command, or collects the reasons for a refusal, at most [`MAX_REASONS`].
pub fn parse(original: &Original) -> Result<Command, Vec<Reason>> {
    let bytes = match original {
        Original::Nothing => return Ok(Command::Greeting),
        Original::Login => return Err(vec![login()]),
        Original::Command(bytes) => bytes,
    };
    if begins(original) == Some(Begins::Pull) {
        return Ok(match restore::parse(bytes) {
            restore::Line::Whole(restore) => Command::Restore(Box::new(restore)),
            restore::Line::Begun(begun) => Command::SecludedRestore(begun),
        });
    }
    // Advice costs a walk over the text, so a text that is too long gets none.
    let looked_at = Some(bytes).filter(|bytes| bytes.len() <= MAX_COMMAND);
    let parsed = match (looked_at.and_then(|bytes| front(bytes)), bytes::words(bytes)) {
        (Some(front), _) => Err(behind(&front, bytes)),
        (None, Ok(words)) => from_words(&words, bytes),
        (None, Err(reasons)) => Err(looked_at.and_then(|bytes| instead_of_rsync(bytes)).into_iter().chain(reasons).collect()),
    };
    parsed.map_err(|mut reasons| {
        reasons.truncate(MAX_REASONS);
        reasons
    })
}

/// The reasons for an rsync with something before it: that, and what is wrong with its arguments.
fn behind(front: &Front, bytes: &[u8]) -> Vec<Reason> {
    let rest = [b"rsync", bytes.get(front.rest..).unwrap_or_default()].concat();
    let own = match bytes::words(&rest) {
        Ok(words) => from_words(&words, &rest).err().unwrap_or_default(),
        Err(reasons) => reasons,
    };
    let mut reasons = vec![front.reason()];
    reasons.extend(own);
    // The kind of session comes before its faults.
    reasons.sort_by_key(|reason| !matches!(reason.code, Code::Pull | Code::Daemon));
    reasons
}

/// Whether this may turn out to be a push or a pull, by its beginning alone.
pub fn begins(original: &Original) -> Option<Begins> {
    let Original::Command(bytes) = original else { return None };
    let third = bytes.split(|byte| *byte == b' ').nth(2).filter(|_| begins_with_server(bytes))?;
    Some(if third == b"--sender" { Begins::Pull } else { Begins::Push })
}

/// Whether the first two words are rsync and `--server`, unquoted.
fn begins_with_server(bytes: &[u8]) -> bool {
    let mut words = bytes.splitn(3, |byte| *byte == b' ');
    let program = words.next().is_some_and(|word| RSYNC.iter().any(|name| name.as_bytes() == word));
    program && words.next() == Some(b"--server")
}

fn from_words(words: &[String], bytes: &[u8]) -> Result<Command, Vec<Reason>> {
    let Some((first, rest)) = words.split_first() else {
        return Err(vec![usage("the command is empty", "use ssh without a command to see what may be done")]);
    };
    if let Some(probe) = Probe::of(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        return Ok(Command::Probe(probe));
    }
    if RSYNC.contains(&first.as_str()) {
        return push::parse(rest);
    }
    // sshd's settings may name options behind it; none of them counts.
    if other::is_sftp_server(first) {
        return Ok(Command::Browse);
    }
    if let Some(word) = Word::read(first) {
        return Asked::read(word, rest).map(Command::Ask).map_err(|reason| vec![reason]);
    }
    let Some(verb) = Verb::read(first) else {
        let is_gate = is_the_gate(Path::new(first));
        return Err(vec![if is_gate { gate(first) } else { instead_of_rsync(bytes).unwrap_or_else(|| stranger(first)) }]);
    };
    let command = match (verb, rest) {
        (Verb::Rsync, _) => return push::parse(rest),
        (Verb::Complete, [status]) => Command::Complete { status: Some(exit_status(status)?) },
        (Verb::Complete, _) => Command::Complete { status: None },
        (Verb::Help, _) => Command::Help,
        (Verb::Status, _) => Command::Status,
        (Verb::Prepare, [bytes]) => Command::Prepare { bytes: Some(size(bytes)?) },
        (Verb::Prepare, _) => Command::Prepare { bytes: None },
        (Verb::Abort, _) => Command::Abort,
        (Verb::Browse, _) => return Err(vec![usage("snapshots are not browsed by a command", "use sftp, scp or sshfs")]),
        (Verb::Restore, _) => {
            return Err(vec![usage("`restore` is said by rsync alone", "use rsync -a host:current/DIR/ DIR/")]);
        }
        (Verb::List | Verb::History, _) => {
            return Err(vec![usage(format!("`{verb}` cannot be asked for yet"), "use ssh without a command to see what may be done")]);
        }
    };
    let takes = usize::from(matches!(command, Command::Complete { status: Some(_) } | Command::Prepare { bytes: Some(_) }));
    if rest.len() > takes {
        return Err(vec![usage(format!("there are too many words behind `{verb}`"), "use the verb alone")]);
    }
    Ok(command)
}

/// The reason for the gate's own name, which an administrator may have forced.
fn gate(first: &str) -> Reason {
    let detail = format!("`{}` was to be run: a client typed it, or it is forced upon an account whose shell is the gate", shown(first));
    let remedy = format!("if it is forced: what a client types looks the same, so {WORDS_OF_ITS_OWN}");
    Reason::new(Code::Program, format!("`{}` cannot be run here", shown(first))).hint("use rsync").detail(detail).remedy(remedy)
}

/// The reason where the account's shell is the gate, and was told another client than it is.
pub fn meant_for(meant: &ClientName, client: &ClientName) -> Reason {
    let detail = format!("the account's shell was told `{GATE} --client {meant}`, and by account and key it is {client}");
    let remedy = format!("if it is forced: what a client types looks the same, so {WORDS_OF_ITS_OWN}");
    Reason::new(Code::Program, format!("`{GATE}` cannot be run here")).hint("use rsync").detail(detail).remedy(remedy)
}

fn usage(says: impl Into<String>, hint: &str) -> Reason {
    Reason::new(Code::Command, says).only_client(hint)
}

/// Whether a command's first word stands for rsync.
pub(in crate::decide) fn is_rsync(first: &str) -> bool {
    RSYNC.contains(&first)
}

fn login() -> Reason {
    Reason::new(Code::Login, "there is no shell to log in to")
        .hint("use rsync, or ssh -T without a command to see what may be done")
        .remedy("an account for people belongs outside the gate")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Command, Vec<Reason>> {
        parse(&Original::Command(text.as_bytes().to_vec()))
    }

    fn codes(text: &str) -> Vec<&'static str> {
        parsed(text).unwrap_err().iter().map(|reason| reason.code.as_str()).collect()
    }

    #[test]
    fn verbs_are_read() {
        assert_eq!(parse(&Original::Nothing), Ok(Command::Greeting));
        assert_eq!(parsed("help"), Ok(Command::Help));
        assert_eq!(parsed("status"), Ok(Command::Status));
        assert_eq!(parsed(" prepare "), Ok(Command::Prepare { bytes: None }));
        assert_eq!(parsed("prepare 5000000000"), Ok(Command::Prepare { bytes: Some(5_000_000_000) }));
        assert_eq!(parsed("abort"), Ok(Command::Abort));
        assert_eq!(parsed("complete"), Ok(Command::Complete { status: None }));
        assert_eq!(parsed("complete 0"), Ok(Command::Complete { status: Some(0) }));
        assert_eq!(parsed("complete 255"), Ok(Command::Complete { status: Some(255) }));
        let alone = [Verb::Prepare, Verb::Complete, Verb::Abort, Verb::Status, Verb::Help];
        for verb in alone {
            assert_eq!(parsed(verb.as_str()).unwrap().verb(), verb);
        }
        assert_eq!(parsed("rsync --server -r . x").unwrap().verb(), Verb::Rsync);
    }

    #[test]
    fn what_scripts_say_to_see_whether_all_is_well_is_answered_and_needs_no_verb() {
        for text in ["true", " true ", "/bin/true", "/usr/bin/true", ":", "exit", "exit 0"] {
            assert_eq!(parsed(text), Ok(Command::Probe(Probe::True)), "{text}");
        }
        for text in ["rsync --version", "rsync -V", "/usr/bin/rsync --version"] {
            assert_eq!(parsed(text), Ok(Command::Probe(Probe::Version)), "{text}");
        }
        for text in
            ["true x", "/tmp/true", "false", "exit 1", "rsync --version x", "rsync --version --server . x", "rsync -VV", "rsync --help"]
        {
            assert!(parsed(text).is_err(), "{text}");
        }
        let command = parsed("rsync --version").unwrap();
        assert!(command.verb() == Verb::Help && !command.touches_trees());
    }

    #[test]
    fn rsync_with_something_before_it_is_refused_for_that_and_for_what_is_wrong_besides() {
        assert_eq!(codes("sudo rsync --server -r . x"), ["program"]);
        assert_eq!(codes("sudo rsync --server -sr"), ["program"]);
        assert_eq!(codes("umask 077; rsync --server -r . x"), ["program"], "what stands before it is no fault of its own");
        assert_eq!(codes("umask 077; rsync --server -rK . ../x"), ["program", "option", "path"]);
        assert_eq!(codes("mkdir x && rsync --server -r . a;b"), ["program", "command"]);
        assert_eq!(codes("nice rsync --server --sender -r . x"), ["pull", "program"], "what was tried comes first");
        assert!(codes("sudo rsync --fake-super --server -r . x").len() > 1);
    }

    #[test]
    fn a_push_is_seen_by_its_beginning_and_nothing_else_is() {
        let begins = |text: &str| begins(&Original::Command(text.as_bytes().to_vec())) == Some(Begins::Push);
        for text in ["rsync --server -logDtpre.iLsfxCIvu . .", "/usr/local/bin/rsync --server -r . x", "rsync --server -v --bad . x"] {
            assert!(begins(text), "{text}");
        }
        for text in [
            "rsync --server --sender -r . x", "rsync --server", "rsync --serverx -r . x", "xrsync --server -r", "rsync --daemon", "status",
            "",
        ] {
            assert!(!begins(text), "{text}");
        }
        assert_eq!((super::begins(&Original::Nothing), super::begins(&Original::Login)), (None, None));
    }

    #[test]
    fn a_verb_with_words_that_mean_nothing_is_refused() {
        for text in ["complete 256", "complete -1", "complete +1", "complete 0x1", "complete ''", "complete 1 2", "complete 0001"] {
            assert_eq!(codes(text), ["command"], "{text}");
        }
        for text in [
            "prepare now",
            "prepare 5G",
            "prepare -1",
            "prepare 1 2",
            "prepare 99999999999999999999999",
            "abort 1",
            "status x",
            "help rsync",
            "",
            "  ",
            "''x''",
        ] {
            assert!(matches!(codes(text)[..], ["command" | "program"]), "{text}");
        }
    }

    #[test]
    fn whatever_is_not_rsync_is_named() {
        assert_eq!(parse(&Original::Login).unwrap_err()[0].code, Code::Login);
        for text in ["/usr/lib/openssh/sftp-server", "internal-sftp", "internal-sftp -d /", "/usr/libexec/sftp-server -l INFO"] {
            assert_eq!(parsed(text), Ok(Command::Browse), "{text}");
        }
        assert_eq!(codes("scp -t x"), ["scp"]);
        assert_eq!(codes("/usr/bin/scp -f x"), ["scp"]);
        for text in ["sudo rsync --server -r . x", "/tmp/rsync --server -r . x", "./rsync", "sh", "lists", "''", "RSYNC", "rsync/"] {
            assert_eq!(codes(text), ["program"], "{text}");
        }
        assert_eq!(codes("sh -c 'x'; y"), ["program", "command"], "what was tried comes first");
        assert_eq!(codes("scp -t $HOME"), ["scp", "command"]);
        assert_eq!(codes("rsync --server -r . $HOME"), ["command"]);
    }

    #[test]
    fn a_path_in_the_first_word_is_only_compared() {
        for path in RSYNC {
            assert!(parsed(&format!("{path} --server -r . x")).is_ok(), "{path}");
        }
    }

    #[test]
    fn every_answer_tells_what_to_do() {
        let texts = ["", "x", "scp", "browse", "complete x", "help x", "rsync x;y", "rsync 'x", "rsync x\\", "rsync \t", "rsync"];
        for text in texts {
            for reason in parsed(text).unwrap_err() {
                assert!(reason.hint.is_some() && reason.remedy.is_some(), "{text}: {reason:?}");
                assert!(!reason.says.contains('\n') && !reason.says.ends_with('.'), "{reason:?}");
            }
        }
    }
}
