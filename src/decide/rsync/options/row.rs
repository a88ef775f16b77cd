//! What can be said of one option. Nothing here decides about a connection: a row is a constant, and what a policy may say
//! over it follows from its rule alone.

use super::Check;
use crate::terms::word::words;
use crate::terms::{Code, Owners};

/// One option.
#[derive(Debug)]
pub struct Row {
    /// Its letter, which is also how it is printed unless it takes a value.
    pub letter: Option<char>,
    /// Its long spellings with their dashes, exact; the first is how it is printed where there is no letter.
    pub long: &'static [&'static str],
    /// Whether it takes a value.
    pub value: Value,
    /// Whose work it changes.
    pub side: Side,
    /// What becomes of it.
    pub rule: Rule,
    /// The policy's word for a more general option that this one is a form of, which covers it too; empty for none.
    pub kin: &'static str,
    /// How often its letter means more than once (`-vv`, `-HH`); further ones add nothing and are not printed.
    pub repeats: usize,
    /// Why, in words that may stand after a colon and be read by the client.
    pub why: &'static str,
    /// What the client can do instead, as advice. Every refused option has one.
    pub instead: &'static str,
    /// Whether a policy may have the server's rsync do it unasked.
    pub force: Force,
    /// What of it is not done here although it is passed on; empty where all of it is.
    pub but: &'static str,
}

/// Whether a policy may have the server's rsync do something that no client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It may: the server's rsync does it alone, and the client's need not know. This comes of it.
    May(&'static str),
    /// It may not, for this reason, which may stand after a colon.
    Never(&'static str),
}

/// Two rows are the same when they are one: no spelling stands twice in the table.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Row {}

/// Whether an option takes a value, and which values it takes.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// It takes none.
    None,
    /// `--long=value`, or right behind the letter.
    Attached(Check),
    /// The same, or the next word.
    Either(Check),
}

/// Whose work an option changes (rsync(1) and `server_options()` in rsync's `options.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Both ends must know of it.
    Both,
    /// The one that receives: on a push, the server.
    Receiver,
    /// The one that sends: on a push, the client, so that it means nothing here.
    Sender,
    /// The process that is started, whatever it does then.
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
    /// It is passed on; where the gate runs so, only if the policy allows its word (that of its kin, where it has one).
    NeedsWord(Runs),
    /// It is refused; where the cause permits it, a policy may allow it by name.
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
    /// As whom one runs that has such files; `None`: as an account that keeps owners, or nobody knows.
    pub fn with(owners: &Owners) -> Option<Self> {
        match owners {
            Owners::Real => Some(Self::AsRoot),
            Owners::Account => Some(Self::AsAccount),
            Owners::Mapped(_) | Owners::Undecided => None,
        }
    }
}

words! {
    /// What an option is refused for, with why no policy can allow it, in words that may stand after a colon; none where one can.
    ///
    /// This is where the kind of the store decides. There is one kind: hard links, so that a file which did not change is the
    /// same inode in every snapshot. Where each snapshot had inodes of its own, [`Cause::SharedInodes`] would be no cause.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Cause {
        /// Another session than a push: reading back.
        Pull = "it is another kind of session than a push",
        /// Another session than a push: rsync's own daemon.
        Daemon = "it is another kind of session than a push",
        /// It changes files where they are, and in a store of hard links they are the files of published snapshots.
        SharedInodes = "a store of hard links shares the inodes of unchanged files, so it would change published snapshots",
        /// It names or reaches a place outside the directory that the push was given.
        Outside = "it reaches outside the directory that the push was given",
        /// Nothing of what it leaves on the server is a backup.
        NotABackup = "what it leaves on the server is no backup",
        /// It takes powers on the server that are not the client's to take.
        Powers = "it takes powers on the server that are not the client's",
        /// It turns off what the server protects itself with, or shows its inside.
        Defences = "it turns off what the server protects itself with, or shows its inside",
        /// On the server of a push it means nothing, or something else than the client thinks.
        Misplaced = "it means nothing on the server of a push",
        /// It costs the server more than it gives the client; whoever owns the server may pay.
        Costs = "",
        /// What is stored, or what is left at the client, is another thing than a faithful copy; whoever owns both may want that.
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

    /// The policy's word for it: the name without its dashes. Empty for `-e`, which every client of today sends and which
    /// is nobody's choice.
    pub fn word(&self) -> &'static str {
        match (self.long.first(), self.letter) {
            (Some(long), _) => long.strip_prefix("--").unwrap_or(long),
            (None, Some('D')) => "D",
            (None, Some('P')) => "P",
            _ => "",
        }
    }

    /// Whether a policy's `allow` changes what becomes of it.
    pub fn may_be_allowed(&self) -> bool {
        match self.rule {
            Rule::Refuse(cause) => cause.never().is_none(),
            // The word of its kin is the one to write.
            Rule::NeedsWord(_) => self.kin.is_empty(),
            Rule::Pass | Rule::Drop | Rule::Warn | Rule::NotABackup | Rule::Smaller => false,
        }
    }

    /// Whether a policy's `refuse` changes what becomes of it.
    pub fn may_be_refused(&self) -> bool {
        !matches!(self.rule, Rule::Refuse(_)) && !self.word().is_empty()
    }

    /// Whether a policy's `force` can name it.
    pub fn may_be_forced(&self) -> bool {
        matches!(self.force, Force::May(_))
    }
}

/// Why most options cannot be forced.
const FOR_THE_CLIENT: Force = Force::Never("it is the client's to ask for, and both ends have to know of it");

// The words that the table is written in.

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

/// Refused; for a reason that no policy can set aside unless the row says another.
pub(super) const fn refuse(long: &'static [&'static str], why: &'static str, instead: &'static str) -> Row {
    row(None, long, Side::Receiver, Rule::Refuse(Cause::Misplaced), why).instead(instead)
}

/// What a row says besides: each word sets one thing.
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
