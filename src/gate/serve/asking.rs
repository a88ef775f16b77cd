//! A question about history. The administrator's program answers it, as the account and in a
//! sandbox of its own; the gate passes the answer on, counts it as it counts pulls, and bounds it.
//!
//! This is the one story that writes to standard output while it goes on: no rsync is there.

use std::io;
use std::time::Instant;

use super::restore::{Sent, used_up};
use super::{Connection, End};
use crate::act::child::{self, Answered, Question};
use crate::act::names::accounts;
use crate::act::process;
use crate::act::store::{Repository, mounted};
use crate::decide::history::query::Asked;
use crate::terms::limits::{ANSWER_TIME, MAX_ANSWERED, SENT_LOOK};
use crate::terms::{Code, Reason, RestoreFacts, exit};

impl Connection<'_> {
    pub(super) fn ask(&self, asked: &Asked) -> Result<End, Reason> {
        let (policy, began) = (self.policy, Instant::now());
        // What stands in the place of a missing mount is not the client's backup.
        mounted(policy, self.site)?;
        // Which snapshots there are is none of what is in them.
        let counts = asked.word().row().verb.row().gives_back;
        let repository = Repository::existing(&policy.path, accounts::running()).filter(|_| counts);
        let mut book = repository.as_ref().map(|repository| Sent::begin(repository, policy)).transpose()?;
        // The limits are the gate's; nothing that it still does needs them.
        process::unlimit(self.inherited);
        let client = &policy.client;
        let question = Question { directory: self.directory(), client, asked, is_administrators: false, limit: ANSWER_TIME };
        let (mut sent, mut looked, out) = (0_u64, began, io::stdout());
        let mut enter = |sent, at_the_end| book.as_mut().and_then(|book| self.enter(book, Some(sent), at_the_end));
        let answered = child::ask(&question, &mut |piece, until| {
            sent = sent.saturating_add(piece.len() as u64);
            if sent > MAX_ANSWERED {
                let says = format!("the answer has more than {MAX_ANSWERED} bytes");
                return Err(Reason::new(Code::TooMuch, says).hint("ask about a part of it"));
            }
            if looked.elapsed() >= SENT_LOOK {
                looked = Instant::now();
                if let Some(excess) = enter(sent, false) {
                    return Err(used_up(excess).rule(policy.origins.of("restore")));
                }
            }
            Ok(child::hand_on(&out, piece, until))
        });
        enter(sent, true);
        let end = match answered {
            Answered::Whole => End::answered(String::new()),
            Answered::Closed => End { exit: exit::CLOSED, ..End::answered(String::new()) },
            Answered::Failed(reason) => End::of(Err(reason)),
        };
        let Some(book) = book else { return Ok(end) };
        let (day_bytes, alerts, warnings) = self.sent_today(&book);
        let facts = RestoreFacts { sent_bytes: book.known, day_bytes, seconds: began.elapsed().as_secs_f64(), ..RestoreFacts::default() };
        Ok(End { warnings, alerts, restore: Some(facts), ..end })
    }
}
