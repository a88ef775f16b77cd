//! Why something was refused or went wrong: a stable code, words for the client, and everything for the administrator.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::word::words;

words! {
    /// A stable name for a reason. It stands in answers, logs and mails, and scripts match on it: never renamed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Code {
        /// No policy is for this account and key.
        NoPolicy = "no-policy",
        /// The site or policy file cannot be used.
        Config = "config",
        /// The policy is for another unix account.
        Account = "account",
        /// The key is not one of the policy's.
        Key = "key",
        /// The address is not one of the policy's.
        Address = "address",
        /// Outside the policy's hours.
        Window = "window",
        /// The policy does not allow this verb.
        Verb = "verb",
        /// A terminal was asked for.
        Login = "login",
        /// sftp.
        Sftp = "sftp",
        /// scp.
        Scp = "scp",
        /// Some other program.
        Program = "program",
        /// `rsync --daemon`.
        Daemon = "daemon",
        /// The command cannot be read: control bytes, no UTF-8, shell characters, wrong shape.
        Command = "command",
        /// The command is too long.
        TooLong = "too-long",
        /// The words that `-s` was to send on standard input did not come.
        Secluded = "secluded",
        /// An option of rsync that is not allowed.
        Option = "option",
        /// A pull.
        Pull = "pull",
        /// A push where there is only reading.
        ReadOnly = "read-only",
        /// The destination leaves the snapshot.
        Path = "path",
        /// More than one destination.
        Destinations = "destinations",
        /// A push into a part of the snapshot alone.
        Part = "part",
        /// `complete` or `abort` without `prepare`.
        Transaction = "transaction",
        /// Another push of this client is running, or there are too many connections.
        Busy = "busy",
        /// The server's clock is before the newest snapshot.
        Clock = "clock",
        /// There is a snapshot of this very minute (or whatever the pattern's unit is).
        TooSoon = "too-soon",
        /// The store is not there, not ours, full or read-only.
        Store = "store",
        /// rsync is missing or does not start.
        Rsync = "rsync",
        /// The kernel cannot hold the jail, or gives the account no namespaces.
        Jail = "jail",
        /// Owners are to be kept and cannot be.
        Owners = "owners",
        /// A prepare hook said no.
        Hook = "hook",
        /// What arrived is no backup.
        Unpublished = "unpublished",
        /// What was published is not whole, and the client would not know.
        Partial = "partial",
        /// The push took too long.
        Deadline = "deadline",
        /// The push brought more than it may, or needed more memory.
        Limit = "limit",
        /// The push did not finish.
        Interrupted = "interrupted",
        /// Something that should not happen.
        Internal = "internal",
    }
}

/// The exit codes of snapgate's own; rsync's are 0 to 35 and passed through (`sysexits.h`).
pub mod exit {
    /// The command has no meaning here (`EX_USAGE`).
    pub const USAGE: u8 = 64;
    /// What arrived is no backup, or not a whole one (`EX_DATAERR`).
    pub const DATA: u8 = 65;
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
    /// What a remedy is for: what was refused can be allowed, what is broken can be mended.
    pub fn remedied(self) -> &'static str {
        if self.exit() == exit::REFUSED { "to allow:" } else { "to mend:" }
    }

    /// The exit code that goes with it.
    pub fn exit(self) -> u8 {
        match self {
            Self::Transaction => exit::USAGE,
            Self::Unpublished | Self::Partial => exit::DATA,
            Self::Busy | Self::TooSoon | Self::Clock | Self::Store | Self::Hook | Self::Deadline | Self::Interrupted => exit::BUSY,
            Self::Config | Self::Rsync | Self::Jail | Self::Owners => exit::CONFIG,
            Self::Internal => exit::INTERNAL,
            _ => exit::REFUSED,
        }
    }
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; 0 where the rule is a default that no file spells out.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = super::text::printable(self.file.as_os_str().as_encoded_bytes());
        if self.line == 0 { write!(out, "{file}: by default") } else { write!(out, "{file}:{}", self.line) }
    }
}

/// One reason. `says` and `hint` go to the client and must tell nothing about the server; the rest is for the
/// administrator. Foreign bytes in any of them have been made printable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Reason {
    /// Its stable code.
    pub code: Code,
    /// What the client is told, one line.
    pub says: String,
    /// What the client can do instead, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What the administrator is told.
    pub detail: String,
    /// The rule that said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Origin>,
    /// How the administrator allows it, if it was legitimate, or mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether it is the server's fault, so that the client is told as well whether the administrator knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_server: bool,
    /// Whether it passes by itself, so that it is told of no more than once a day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

/// Whether whoever looks after the server has been sent a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Administrator {
    /// One is on its way, and survives a power cut.
    Told,
    /// Nobody is sent any.
    Untold,
}

impl Administrator {
    /// What a client is told of it.
    pub fn says(self) -> &'static str {
        match self {
            Self::Told => "the administrator has been told",
            Self::Untold => "tell the administrator of the server",
        }
    }
}

impl Reason {
    /// A reason that says the same to both.
    pub fn new(code: Code, says: impl Into<String>) -> Self {
        let says = says.into();
        Self { code, detail: says.clone(), says, hint: None, rule: None, remedy: None, of_server: false, passing: false }
    }

    /// A fault of the server's: the client learns that it is not to blame, and whether somebody knows; the administrator is told this.
    pub fn of_the_server(code: Code, detail: impl Into<String>) -> Self {
        Self { of_server: true, ..Self::new(code, "the server cannot store anything right now").detail(detail) }
    }

    /// The same for one that may be over when the client tries again.
    pub fn for_now(code: Code, detail: impl Into<String>) -> Self {
        Self::of_the_server(code, detail).hint("try again later")
    }

    /// The lines for the client: what it is, its stable code, and what to do.
    pub fn lines(&self, refused: bool, administrator: Administrator) -> Vec<String> {
        let what = if refused { "refused: " } else { "" };
        let first = format!("snapgate: {what}{} (code {})", self.says, self.code);
        std::iter::once(first).chain(self.advice(administrator).map(|advice| format!("snapgate: {advice}"))).collect()
    }

    /// What the client is told to do.
    pub fn advice(&self, administrator: Administrator) -> Option<String> {
        let said = self.of_server.then_some(administrator.says());
        let advice: Vec<_> = self.hint.as_deref().into_iter().chain(said).collect();
        (!advice.is_empty()).then(|| advice.join("; "))
    }

    /// What the administrator is told, on one line: a fault of a file goes on with the line that it is in.
    pub fn summary(&self) -> &str {
        self.detail.lines().next().unwrap_or_default()
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

    /// For what no policy can allow: the client is told what it can do, the administrator that nobody else can.
    pub fn only_client(self, can: impl Into<String>) -> Self {
        let can = can.into();
        self.remedy(format!("not possible; the client can: {can}")).hint(can)
    }

    /// With other words for the administrator.
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
        let said = |reason: Reason, administrator| reason.lines(false, administrator).remove(1);
        let broken = Reason::of_the_server(Code::Store, "read-only");
        assert_eq!(said(broken.clone(), Administrator::Told), "snapgate: the administrator has been told");
        assert_eq!(said(broken.clone(), Administrator::Untold), "snapgate: tell the administrator of the server");
        let said = said(Reason::for_now(Code::Store, "too many open files"), Administrator::Told);
        assert_eq!(said, "snapgate: try again later; the administrator has been told");
        assert!(!broken.advice(Administrator::Told).unwrap().contains("again"), "only a person mends that");
        assert_eq!(Reason::new(Code::Key, "no").lines(true, Administrator::Told), ["snapgate: refused: no (code key)"]);
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
