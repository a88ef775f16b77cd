//! A connection on one line: for syslog, and for `rrsync.log` if an administrator made one.

use chrono::{DateTime, Utc};

use crate::decide::speak::line::field;
use crate::terms::limits::MAX_SYSLOG_LINE;
use crate::terms::text::{printable, printable_name, printable_within, still_printable};
use crate::terms::{Original, Reason, Request};

/// What happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// rsync is about to run with these arguments.
    Begins(&'a [String]),
    /// It ended with this status, after so many seconds.
    Ended {
        /// The exit code that the client sees.
        exit: u8,
        /// How long it took.
        seconds: f64,
        /// Why, where it was not rsync's own end.
        reason: Option<&'a Reason>,
    },
    /// It was refused, or did not start.
    Refused(&'a [Reason]),
    /// The probe was answered.
    Probed,
}

/// The line for syslog, as `key=value`. `heard` is what came on standard input behind the command.
pub fn syslog(request: &Request, hidden: &str, dir: &[u8], event: Event<'_>) -> String {
    let mut line = String::from("mode=rrsync");
    let (result, exit) = match event {
        Event::Begins(_) => ("begins", None),
        Event::Ended { exit: 0, .. } => ("done", Some(0)),
        Event::Ended { exit, .. } => ("failed", Some(exit)),
        Event::Refused(reasons) => ("refused", reasons.first().map(|reason| reason.code.exit())),
        Event::Probed => ("answered", Some(0)),
    };
    field(&mut line, "result", [result]);
    let reasons = match event {
        Event::Refused(reasons) => reasons,
        Event::Ended { reason, .. } => reason.map_or(&[][..], std::slice::from_ref),
        Event::Begins(_) | Event::Probed => &[],
    };
    field(&mut line, "code", reasons.first().map(|reason| reason.code));
    field(&mut line, "account", [printable_name(request.account.name.as_bytes())]);
    field(&mut line, "from", &request.address);
    field(&mut line, "exit", exit);
    field(&mut line, "seconds", if let Event::Ended { seconds, .. } = event { Some(format!("{seconds:.1}")) } else { None });
    field(&mut line, "dir", [printable(dir)]);
    field(&mut line, "reason", reasons.iter().take(3).map(Reason::summary));
    field(&mut line, "command", [command(request, hidden)]);
    still_printable(&line, MAX_SYSLOG_LINE)
}

/// The line for people, with the process, whose number ties lines together.
pub fn logfile(at: DateTime<Utc>, process: u32, request: &Request, hidden: &str, event: Event<'_>) -> String {
    let peer = request.address.as_ref().map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    let text = match event {
        Event::Begins(words) => format!("asked: {}; runs: rsync {}", command(request, hidden), words.join(" ")),
        Event::Ended { exit, seconds, reason } => {
            let why = reason.map(|reason| format!(": {} (code {})", reason.summary(), reason.code)).unwrap_or_default();
            format!("ended with {exit} after {seconds:.1} s{why}")
        }
        Event::Refused(reasons) => {
            let told: Vec<_> = reasons.iter().map(|reason| format!("{} (code {})", reason.summary(), reason.code)).collect();
            format!("refused: {}; command: {}", told.join("; "), command(request, hidden))
        }
        Event::Probed => "probed with `true`".to_owned(),
    };
    format!("{} {peer:<16} [{process}] {text}\n", at.format("%Y-%m-%dT%H:%M:%SZ"))
}

/// The command, with what came on standard input behind it, which is printable already.
fn command(request: &Request, hidden: &str) -> String {
    let original = match &request.original {
        Original::Command(bytes) => printable_within(bytes, MAX_SYSLOG_LINE / 2),
        Original::Nothing | Original::Login => String::new(),
    };
    if hidden.is_empty() { original } else { still_printable(&format!("{original} {hidden}"), MAX_SYSLOG_LINE / 2) }
}
