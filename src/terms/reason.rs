//! Why something was refused or failed: a stable code, a text for the client, and one for the
//! administrator.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::limits::MAX_QUOTED;
use super::outcome::Outcome;
use super::text::still_printable;
use super::word::table;

/// A code's properties.
#[derive(Debug)]
pub struct CodeRow {
    /// The exit code that goes with it.
    pub exit: u8,
    /// How a mail about it begins, with `{who}` for the client and `{cannot}` for what failed;
    /// empty where the [`Outcome`] decides.
    pub headline: &'static str,
    /// The outcome of a connection that is stopped for it after it was let in.
    pub stops_as: Outcome,
    /// Whether the address is irrelevant, so that mails group all of them.
    pub anywhere: bool,
}

const fn exits(exit: u8) -> CodeRow {
    CodeRow { exit, headline: "", stops_as: Outcome::Failed, anywhere: false }
}

const REFUSED: CodeRow = exits(exit::REFUSED);
/// Something that was let in asked for what there is not.
const ASKED: CodeRow = exits(exit::USAGE).stops_as(Outcome::Refused);
const LATER: CodeRow = exits(exit::BUSY);

const fn mend(headline: &'static str) -> CodeRow {
    exits(exit::CONFIG).headline(headline)
}

impl CodeRow {
    const fn headline(mut self, headline: &'static str) -> Self {
        self.headline = headline;
        self
    }

    const fn stops_as(mut self, outcome: Outcome) -> Self {
        self.stops_as = outcome;
        self
    }

    const fn anywhere(mut self) -> Self {
        self.anywhere = true;
        self
    }
}

table! {
    /// A stable name for a reason in answers, logs and mails. Scripts match on it: never renamed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Code: CodeRow {
        /// No policy is for this account and key.
        NoPolicy = "no-policy" => REFUSED,
        /// The site file, or the client's policy, cannot be used.
        Config = "config" => mend("Act: {who} cannot back up, because the configuration of this server is not usable.").anywhere(),
        /// The policy is for another unix account.
        Account = "account" => REFUSED,
        /// The key is not one of the policy's `keys:`.
        Key = "key" => REFUSED,
        /// The address is not in the policy's `from:`.
        Address = "address" => REFUSED,
        /// It is outside the policy's `when:`. Where a push was ended with its window (`stop:
        /// true`) the exit code is 75: what it brought is kept, and the next one goes on.
        Window = "window" => REFUSED,
        /// The policy's `frozen:` lets the client do nothing for now. Nobody is mailed about it.
        Frozen = "frozen" => LATER,
        /// The policy's `verbs:` do not list what was asked for.
        Verb = "verb" => REFUSED,
        /// A terminal was asked for.
        Login = "login" => REFUSED,
        /// sftp was asked for, and the policy's `verbs:` have no `browse`.
        Sftp = "sftp" => REFUSED,
        /// scp was asked for.
        Scp = "scp" => REFUSED,
        /// Some other program was asked for, or something stands before rsync (`--rsync-path`).
        Program = "program" => REFUSED,
        /// rsync's daemon was asked for (`host::module`, or `--daemon`).
        Daemon = "daemon" => REFUSED,
        /// The command cannot be read: control bytes, no UTF-8, what only a shell understands, a
        /// wrong shape.
        Command = "command" => REFUSED,
        /// The command is longer, or has more words, than any that rsync sends.
        TooLong = "too-long" => REFUSED,
        /// The words that `-s` (`--secluded-args`) sends on standard input did not come in time, or
        /// not to their end.
        Secluded = "secluded" => REFUSED,
        /// An option of rsync is not allowed.
        Option = "option" => REFUSED,
        /// The client asked to be sent files, and its policy's `verbs:` do not have `restore`.
        Pull = "pull" => REFUSED,
        /// What stands at the beginning of a path, or behind `@`, means no snapshot, or several, or
        /// one that is being removed; or there is none yet.
        Snapshot = "snapshot" => REFUSED.stops_as(Outcome::Refused),
        /// The client asked to send files where it may only read them (`snapgate-shell rrsync
        /// -ro`).
        ReadOnly = "read-only" => REFUSED,
        /// The destination leaves the snapshot; or what was to be sent is not in it, or leads out.
        Path = "path" => REFUSED,
        /// There is more than one destination.
        Destinations = "destinations" => REFUSED,
        /// The push went into a part of the snapshot without `prepare`, and the policy says
        /// `partial_pushes: refuse`.
        Part = "part" => REFUSED.stops_as(Outcome::Refused),
        /// What was asked for is not in the snapshot.
        Missing = "missing" => ASKED,
        /// It cannot be shown, since it is no file: a directory, a FIFO, a device.
        Kind = "kind" => ASKED,
        /// The answer would be larger than one may be.
        TooMuch = "too-much" => ASKED,
        /// `complete` or `abort` came without `prepare`, or too many pushes came since.
        Transaction = "transaction" => exits(exit::USAGE).stops_as(Outcome::Refused),
        /// Another push of this client is running, behind `snapgate-shell rrsync` another transfer
        /// into DIR, or as many connections as its `limits: {sessions: …}` or the site's
        /// `sessions:` allow.
        Busy = "busy" => LATER.stops_as(Outcome::Busy),
        /// The server's clock is before the newest snapshot.
        Clock = "clock" => LATER.headline("Act: {cannot}, because the clock of this server is before its newest snapshot."),
        /// There is a snapshot of this very second already, or minute, or whatever the names count.
        TooSoon = "too-soon" => LATER
            .headline("No need to act unless it goes on: {who} came again before its next snapshot could have a name."),
        /// The store is not mounted, not the account's, full, or read-only, or has no more free than
        /// the site's `min_free:`.
        Store = "store" => LATER.headline("Act: {cannot}, because something is wrong with the store."),
        /// The client holds as much on the server as its policy's `quota:` lets it, or would with what
        /// it brings.
        Quota = "quota" => REFUSED.anywhere().headline("Act: {cannot}, because it has used up its quota on this server."),
        /// The server's rsync is missing or does not start.
        Rsync = "rsync" => mend("Act: {who} cannot back up, because rsync does not run on this server."),
        /// The server's sftp-server is missing, does not start, or is not OpenSSH's.
        SftpServer = "sftp-server" => mend("Act: {who} cannot look at its snapshots, because sftp-server does not run on this server."),
        /// The kernel cannot hold the jail, or gives the account no namespaces.
        Jail = "jail" => mend("Act: {who} cannot back up, because the kernel of this server cannot confine rsync."),
        /// The policy says `owners: keep` and the account has no ids for others, or the repository
        /// holds the other kind of snapshots, or a `snapgate remap` of it has not ended. Or its file
        /// system stores no owners (many of FUSE, NFS, CIFS).
        Owners = "owners" => mend("Act: {who} cannot back up, because the owners of its files cannot be kept."),
        /// A `prepare` hook failed. In mails and the ledger also a `complete` hook, which the
        /// client is not told.
        Hook = "hook" => LATER.headline("Act: {cannot}, because a prepare hook failed."),
        /// What arrived is no backup: nothing after something, or a client that reported a failure.
        Unpublished = "unpublished" => exits(exit::DATA).stops_as(Outcome::Unpublished).anywhere(),
        /// It is published, but something that the client counts on is missing: a push of the
        /// transaction did not end well, or left files out.
        Partial = "partial" => exits(exit::DATA).anywhere(),
        /// The snapshot is held, because it may be damage (`anomaly:`). In mails and the ledger alone:
        /// the client is not told.
        Anomaly = "anomaly" => exits(exit::DATA)
            .anywhere()
            .headline("Act: {who} pushed what may be damage. The snapshot is held, and nothing is lost: what is older is as it was."),
        /// The push took longer than `time_limits: {push: …}`.
        Deadline = "deadline" => LATER.anywhere().headline("Look into it: a push of {who} took too long and was ended. No snapshot was made."),
        /// The answer took longer than one may, or its client did not read it in that time.
        Slow = "slow" => LATER
            .anywhere()
            .headline("No need to act unless it goes on: {who} asked about its snapshots, and the answer took too long."),
        /// The push brought more than `limits: {bytes: …, inodes: …}`, or its list of files took
        /// more memory than `limits: {memory: …}`; or the client was sent as much in a day as
        /// `restore: {limits: {bytes: …}}` lets it.
        Limit = "limit" => REFUSED.anywhere(),
        /// The push did not finish. Where rsync has an exit status of its own, that one is passed
        /// through.
        Interrupted = "interrupted" => LATER.anywhere(),
        /// Something happened that should not.
        Internal = "internal" => exits(exit::INTERNAL).headline("Act: {cannot}, because of an error inside snapgate."),
    }
}

/// The exit codes of snapgate's own; rsync's are 0 to 35 and passed through (`sysexits.h`).
pub mod exit {
    /// The command has no meaning here (`EX_USAGE`).
    pub const USAGE: u8 = 64;
    /// What arrived is no backup, or not a whole one (`EX_DATAERR`).
    pub const DATA: u8 = 65;
    /// Whoever reads what is printed has read enough: what a shell says where SIGPIPE ended a program.
    pub const CLOSED: u8 = 141;
    /// A bug or a system call that should not fail (`EX_SOFTWARE`).
    pub const INTERNAL: u8 = 70;
    /// Try again later (`EX_TEMPFAIL`).
    pub const BUSY: u8 = 75;
    /// Refused (`EX_NOPERM`).
    pub const REFUSED: u8 = 77;
    /// The server is not set up (`EX_CONFIG`).
    pub const CONFIG: u8 = 78;
}

impl Code {
    /// The purpose of a remedy: what was refused can be allowed, what is broken can be mended.
    pub fn remedied(self) -> &'static str {
        if self.exit() == exit::REFUSED { "to allow:" } else { "to mend:" }
    }

    /// The exit code that goes with it.
    pub fn exit(self) -> u8 {
        self.row().exit
    }
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 where the rule is a default.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = super::text::printable_path(&self.file);
        if self.line == 0 { write!(out, "{file}: by default") } else { write!(out, "{file}:{}", self.line) }
    }
}

/// One reason. `says` and `hint` are for the client and reveal nothing about the server; the rest
/// is for the administrator. Foreign bytes in them are printable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Reason {
    /// Its stable code.
    pub code: Code,
    /// The text for the client, one line.
    pub says: String,
    /// What the client can do instead, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What the administrator is told.
    pub detail: String,
    /// The text for the administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Origin>,
    /// How the administrator allows or mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether the server is at fault; the client then learns whether the administrator knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_server: bool,
    /// Whether it passes by itself, and is mailed once a day at most.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

/// Whether the administrator gets a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Administrator {
    /// One is on its way, and survives a power cut.
    Alerted,
    /// None is sent.
    NotAlerted,
}

impl Administrator {
    /// What a client reads about it.
    pub fn says(self) -> &'static str {
        match self {
            Self::Alerted => "the administrator has been told",
            Self::NotAlerted => "tell the administrator of the server",
        }
    }
}

impl Reason {
    /// A reason with one text for both.
    pub fn new(code: Code, says: impl Into<String>) -> Self {
        let says = says.into();
        Self { code, detail: says.clone(), says, hint: None, rule: None, remedy: None, of_server: false, passing: false }
    }

    /// A fault of the server's. The client learns only that, and whether the administrator knows.
    pub fn of_the_server(code: Code, detail: impl Into<String>) -> Self {
        Self { of_server: true, ..Self::new(code, "the server cannot store anything right now").detail(detail) }
    }

    /// The same where trying again may help.
    pub fn for_now(code: Code, detail: impl Into<String>) -> Self {
        Self::of_the_server(code, detail).hint("try again later")
    }

    /// The lines for the client: the reason, its code, and the advice.
    pub fn lines(&self, refused: bool, administrator: Administrator) -> Vec<String> {
        let what = if refused { "refused: " } else { "" };
        let first = format!("snapgate: {what}{} (code {})", self.says, self.code);
        std::iter::once(first).chain(self.advice(administrator).map(|advice| format!("snapgate: {advice}"))).collect()
    }

    /// The advice for the client.
    pub fn advice(&self, administrator: Administrator) -> Option<String> {
        let mailed = self.of_server.then_some(administrator.says());
        let advice: Vec<_> = self.hint.as_deref().into_iter().chain(mailed).collect();
        (!advice.is_empty()).then(|| advice.join("; "))
    }

    /// The first line for the administrator: a file's fault has several.
    pub fn summary(&self) -> &str {
        self.detail.lines().next().unwrap_or_default()
    }

    /// As one that somebody may have written who is less than this program: every text printable and
    /// bounded.
    pub fn believed_less(self) -> Self {
        let text = |text: String| still_printable(&text, MAX_QUOTED);
        let Self { code, says, hint, detail, remedy, of_server, passing, rule: _ } = self;
        Self {
            code,
            says: text(says),
            hint: hint.map(text),
            detail: text(detail),
            remedy: remedy.map(text),
            rule: None,
            of_server,
            passing,
        }
    }

    /// As one that passes by itself.
    pub fn passing(self) -> Self {
        Self { passing: true, ..self }
    }

    /// With a hint for the client.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// For what no policy can allow: only the client can do something.
    pub fn only_client(self, can: impl Into<String>) -> Self {
        let can = can.into();
        self.remedy(format!("not possible; the client can: {can}")).hint(can)
    }

    /// With another text for the administrator.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// With the rule that said no.
    pub fn rule(mut self, rule: Origin) -> Self {
        self.rule = Some(rule);
        self
    }

    /// With what the administrator can do.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_that_the_administrator_knows_where_that_is_so() {
        let advice = |reason: Reason, administrator| reason.lines(false, administrator).remove(1);
        let broken = Reason::of_the_server(Code::Store, "read-only");
        assert_eq!(advice(broken.clone(), Administrator::Alerted), "snapgate: the administrator has been told");
        assert_eq!(advice(broken.clone(), Administrator::NotAlerted), "snapgate: tell the administrator of the server");
        let advice = advice(Reason::for_now(Code::Store, "too many open files"), Administrator::Alerted);
        assert_eq!(advice, "snapgate: try again later; the administrator has been told");
        assert!(!broken.advice(Administrator::Alerted).unwrap().contains("again"), "only a person mends that");
        assert_eq!(Reason::new(Code::Key, "no").lines(true, Administrator::Alerted), ["snapgate: refused: no (code key)"]);
    }

    #[test]
    fn no_code_of_ours_is_one_of_rsyncs() {
        for code in Code::ALL {
            assert!(code.exit() >= 64, "{code}");
            let json = serde_json::to_string(&code).unwrap();
            assert_eq!(json, format!("\"{code}\""), "one spelling everywhere");
        }
    }
}
