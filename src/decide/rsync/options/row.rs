//! A row of the option table.

use super::Check;
use crate::terms::word::words;
use crate::terms::{Code, Owners};

/// One option.
#[derive(Debug)]
pub struct Row {
    /// Its letter, by which it is printed unless it takes a value.
    pub letter: Option<char>,
    /// Its long spellings with their dashes; without a letter the first one is printed.
    pub long: &'static [&'static str],
    /// Whether it takes a value.
    pub value: Value,
    /// Which side it changes.
    pub side: Side,
    /// What becomes of it.
    pub rule: Rule,
    /// The policy's word for a more general option, which covers this one; empty for none.
    pub kin: &'static str,
    /// How often its letter counts (`-vv`, `-HH`); further ones are not printed.
    pub repeats: usize,
    /// Why, for the client, in words that may stand after a colon.
    pub why: &'static str,
    /// What the client can do instead. Every refused option has it.
    pub instead: &'static str,
    /// Whether a policy may force it.
    pub force: Force,
    /// What of it is not done although it is passed on; empty where all is.
    pub but: &'static str,
}

/// Whether a policy may have the server's rsync do what no client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It may, with this effect: the client's rsync need not know.
    May(&'static str),
    /// It may not, for this reason.
    Never(&'static str),
}

/// Each row is there once.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Row {}

/// Whether an option takes a value, and which.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// It takes none.
    None,
    /// `--long=value`, or right behind the letter.
    Attached(Check),
    /// The same, or the next word.
    Either(Check),
}

/// Which side an option changes (rsync(1); `server_options()` in rsync's `options.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Both must know of it.
    Both,
    /// The receiver: on a push, the server.
    Receiver,
    /// The sender: on a push, the client, so that it means nothing here.
    Sender,
    /// The process, whatever it does.
    Process,
}

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is passed on.
    Pass,
    /// It is accepted and not passed on; noted in the run's log.
    Drop,
    /// It is passed on, with a warning in the record.
    Warn,
    /// It is passed on, and what arrives is never published.
    NotABackup,
    /// The smaller of the client's number and ours is passed on, once.
    Smaller,
    /// It is passed on; where the gate runs so, only if the policy allows its word or its kin's.
    NeedsWord(Runs),
    /// It is refused; where the cause permits it, a policy may allow it.
    Refuse(Cause),
}

/// As whom the gate runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// As root.
    AsRoot,
    /// As an ordinary account that keeps no owners.
    AsAccount,
}

impl Runs {
    /// How a gate with such files runs; `None`: as an account that keeps owners, or unknown.
    pub fn with(owners: &Owners) -> Option<Self> {
        match owners {
            Owners::Real => Some(Self::AsRoot),
            Owners::Account => Some(Self::AsAccount),
            Owners::Mapped(_) | Owners::Undecided => None,
        }
    }
}

words! {
    /// Why an option is refused, and why no policy can allow it; empty where one can.
    ///
    /// [`Cause::SharedInodes`] follows from the store: unchanged files are hard links.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Cause {
        /// Another session than a push: reading back.
        Pull = "it is another kind of session than a push",
        /// Another session than a push: rsync's own daemon.
        Daemon = "it is another kind of session than a push",
        /// It changes files in place, and these are shared with published snapshots.
        SharedInodes = "a store of hard links shares the inodes of unchanged files, so it would change published snapshots",
        /// It names or reaches a place outside the directory that the push was given.
        Outside = "it reaches outside the directory that the push was given",
        /// Nothing of what it leaves on the server is a backup.
        NotABackup = "what it leaves on the server is no backup",
        /// It takes powers on the server that are not the client's to take.
        Powers = "it takes powers on the server that are not the client's",
        /// It turns off a protection of the server, or shows its inside.
        Defences = "it turns off what the server protects itself with, or shows its inside",
        /// On the server of a push it means nothing, or something unexpected.
        Misplaced = "it means nothing on the server of a push",
        /// It costs the server more than it gives the client; a policy may accept that.
        Costs = "",
        /// It makes something other than a faithful copy; a policy may want that.
        Differs = "",
    }
}

impl Cause {
    /// Why no policy can allow it; `None` where one can.
    pub fn never(self) -> Option<&'static str> {
        Some(self.as_str()).filter(|why| !why.is_empty())
    }

    /// The code of a refusal.
    pub fn code(self) -> Code {
        match self {
            Self::Pull => Code::Pull,
            Self::Daemon => Code::Daemon,
            Self::SharedInodes
            | Self::Outside
            | Self::NotABackup
            | Self::Powers
            | Self::Defences
            | Self::Misplaced
            | Self::Costs
            | Self::Differs => Code::Option,
        }
    }
}

impl Row {
    /// The option's name for people: its first long spelling, else its letter with a dash.
    pub fn name(&self) -> String {
        match (self.long.first(), self.letter) {
            (Some(long), _) => (*long).to_owned(),
            (None, Some(letter)) => format!("-{letter}"),
            (None, None) => String::new(),
        }
    }

    /// The policy's word for it, without dashes. Empty for `-e`, which every client sends.
    pub fn word(&self) -> &'static str {
        match (self.long.first(), self.letter) {
            (Some(long), _) => long.strip_prefix("--").unwrap_or(long),
            (None, Some('D')) => "D",
            (None, Some('P')) => "P",
            _ => "",
        }
    }

    /// Whether `allow` changes anything.
    pub fn may_be_allowed(&self) -> bool {
        match self.rule {
            Rule::Refuse(cause) => cause.never().is_none(),
            // The word of its kin is the one to write.
            Rule::NeedsWord(_) => self.kin.is_empty(),
            Rule::Pass | Rule::Drop | Rule::Warn | Rule::NotABackup | Rule::Smaller => false,
        }
    }

    /// Whether `refuse` changes anything.
    pub fn may_be_refused(&self) -> bool {
        !matches!(self.rule, Rule::Refuse(_)) && !self.word().is_empty()
    }

    /// Whether `force` can name it.
    pub fn may_be_forced(&self) -> bool {
        matches!(self.force, Force::May(_))
    }
}

/// The default of [`Row::force`].
const FOR_THE_CLIENT: Force = Force::Never("it is the client's to ask for, and both ends have to know of it");

// The vocabulary of the table.

pub(super) const fn row(letter: Option<char>, long: &'static [&'static str], side: Side, rule: Rule, why: &'static str) -> Row {
    Row { letter, long, value: Value::None, side, rule, kin: "", repeats: 1, why, instead: "", force: FOR_THE_CLIENT, but: "" }
}

pub(super) const fn letter(letter: char, long: &'static [&'static str], why: &'static str) -> Row {
    row(Some(letter), long, Side::Both, Rule::Pass, why)
}

pub(super) const fn pass(long: &'static [&'static str], why: &'static str) -> Row {
    row(None, long, Side::Receiver, Rule::Pass, why)
}

pub(super) const fn drop(long: &'static [&'static str], why: &'static str) -> Row {
    row(None, long, Side::Receiver, Rule::Drop, why)
}

/// Refused for a reason that no policy can set aside, unless the row says another.
pub(super) const fn refuse(long: &'static [&'static str], why: &'static str, instead: &'static str) -> Row {
    row(None, long, Side::Receiver, Rule::Refuse(Cause::Misplaced), why).instead(instead)
}

/// Setters of a row's fields.
macro_rules! sets {
    ($($word:ident: $field:ident: $kind:ty,)+) => {
        impl Row {
            $(pub(super) const fn $word(mut self, $field: $kind) -> Self {
                self.$field = $field;
                self
            })+
        }
    };
}

sets! {
    takes: value: Value,
    side: side: Side,
    rule: rule: Rule,
    kin: kin: &'static str,
    up_to: repeats: usize,
    but: but: &'static str,
    force: force: Force,
    instead: instead: &'static str,
}

impl Row {
    pub(super) const fn letter(mut self, letter: char) -> Self {
        self.letter = Some(letter);
        self
    }

    pub(super) const fn cause(self, cause: Cause) -> Self {
        self.rule(Rule::Refuse(cause))
    }
}
