//! What a client is told when it asks: who it is, what it may do and when, and its newest snapshot.
//! Nothing about the server, nothing about other clients.

use std::fmt::Write as _;

use crate::decide::history::query::Word;
use crate::decide::judge::closing::Closing;
use crate::decide::policy::{PartialPushes, Policy};
use crate::decide::quota::{Holding, held};
use crate::decide::rsync::command::Probe;
use crate::terms::{RepositoryState, Verb};

/// The answer to a bare connection and to `help`.
pub fn greeting(policy: &Policy, state: &RepositoryState) -> String {
    let mut text = format!("snapgate: you are `{}`\n", policy.client);
    let _ = writeln!(text, "  newest snapshot: {}", newest(state));
    let _ = writeln!(text, "  allowed when:    {}", when(policy));
    if let Some(rest) = rest(policy) {
        let _ = writeln!(text, "  partial pushes:  {rest}");
    }
    let _ = writeln!(text, "  you may say:");
    for verb in Verb::ALL.into_iter().filter(|verb| policy.allows(*verb)) {
        let words: Vec<Word> = Word::ALL.into_iter().filter(|word| word.row().verb == verb).collect();
        match words.as_slice() {
            [] => writeln!(text, "    {}", verb.help()).unwrap_or_default(),
            words => words.iter().for_each(|word| writeln!(text, "    {}", word.help()).unwrap_or_default()),
        }
    }
    text
}

/// The answer to `status`.
pub fn status(policy: &Policy, state: &RepositoryState, holding: Holding, busy: bool) -> String {
    let mut text = format!("client:          {}\n", policy.client);
    let _ = writeln!(text, "newest snapshot: {}", newest(state));
    let _ = writeln!(text, "push running:    {}", if busy { "yes" } else { "no" });
    let _ = writeln!(text, "on the server:   {}{}", held(&policy.quota, holding.used), if holding.due { ", or more" } else { "" });
    if let Some(rest) = rest(policy) {
        let _ = writeln!(text, "partial pushes:  {rest}");
    }
    if let Some(transaction) = &state.transaction {
        let since = transaction.began.format("%Y-%m-%d %H:%M:%S UTC");
        let _ = writeln!(text, "transaction:     open since {since}, pushes so far: {}", transaction.parts);
    }
    text
}

/// When a push is ended by the clock, if it is: a line for `status`.
pub fn ends(closing: Option<&Closing>) -> String {
    closing.map(|closing| format!("pushes end:      {}\n", closing.shown)).unwrap_or_default()
}

/// The answer to what scripts ask before they push.
pub fn probe(probe: Probe) -> &'static str {
    match probe {
        Probe::True => "",
        Probe::Version => VERSION,
    }
}

/// Not the server's own: which rsync that is nobody but the administrator needs to know, and the
/// protocol itself tells no more than its number. The same on every server: the oldest rsync that
/// the gate is tested with, in the words in which rsync says it (`print_rsync_version()` in its
/// usage.c), so that a script which takes its numbers out of the first line finds them. What
/// follows says so, and nothing of the server's own, which may be older.
const VERSION: &str = "rsync  version 3.2.3  protocol version 31\n\
    snapgate answers in the place of rsync, and says the same on every server\n";

/// What becomes of a push that is not the whole, where that is out of the ordinary.
fn rest(policy: &Policy) -> Option<&'static str> {
    match policy.partial_pushes {
        PartialPushes::Refuse => Some("refused into a place, but between `prepare` and `complete`"),
        PartialPushes::Publish => None,
        PartialPushes::Merge => Some("what is not sent stays as it is in the newest snapshot; with --delete it goes from the place"),
    }
}

fn newest(state: &RepositoryState) -> String {
    state.newest.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string)
}

fn when(policy: &Policy) -> String {
    let Some(windows) = &policy.when else { return "always".to_owned() };
    let windows: Vec<_> = windows.iter().map(ToString::to_string).collect();
    format!("{} ({})", windows.join(", "), policy.timezone)
}
