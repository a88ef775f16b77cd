//! A question about history. The administrator's program answers it, as the account and in a
//! sandbox of its own; the gate passes the answer on, and bounds it.
//!
//! This is the one story that writes to standard output while it goes on: no rsync is there.

use std::io::{self, Write as _};

use super::{Connection, End};
use crate::act::child::{self, Answered, Question};
use crate::act::process;
use crate::act::store::mounted;
use crate::decide::history::query::Asked;
use crate::terms::limits::{ANSWER_TIME, MAX_ANSWERED};
use crate::terms::{Code, Reason, exit};

impl Connection<'_> {
    pub(super) fn ask(&self, asked: &Asked) -> Result<End, Reason> {
        // What stands in the place of a missing mount is not the client's backup.
        mounted(self.policy, self.site)?;
        // The limits are the gate's; nothing that it still does needs them.
        process::unlimit(self.inherited);
        let client = &self.policy.client;
        let question = Question { directory: self.directory(), client, asked, is_administrators: false, limit: ANSWER_TIME };
        let (mut sent, mut out) = (0_u64, io::stdout());
        let answered = child::ask(&question, &mut |piece| {
            sent = sent.saturating_add(piece.len() as u64);
            if sent > MAX_ANSWERED {
                let says = format!("the answer has more than {MAX_ANSWERED} bytes");
                return Err(Reason::new(Code::TooMuch, says).hint("ask about a part of it"));
            }
            Ok(out.write_all(piece).and_then(|()| out.flush()).is_ok())
        });
        match answered {
            Answered::Whole => Ok(End::answered(String::new())),
            Answered::Closed => Ok(End { exit: exit::CLOSED, ..End::answered(String::new()) }),
            Answered::Failed(reason) => Err(reason),
        }
    }
}
