//! What a client may do here: push, by itself or in a transaction, pull, look at snapshots, and ask.

mod brake;
mod browse;
mod carry;
mod hooks;
mod measure;
mod push;
mod restore;
mod room;
mod rsync;
mod settle;
mod transaction;

use super::connection::{Connection, End, incomplete};
use crate::act::child::Standby;
use crate::act::store::mounted;
use crate::decide::judge::verdict::Permit;
use crate::decide::rsync::command::Command;
use crate::decide::speak::answer;
use crate::terms::Reason;

/// Does what was allowed. `standby` waits to become rsync, where one is wanted.
pub(super) fn perform(connection: &Connection<'_>, permit: &Permit, standby: Option<Standby>) -> Result<End, Reason> {
    let policy = connection.policy;
    match permit.command() {
        Command::Push(push) => connection.push(push, permit.closing(), standby),
        Command::Browse => connection.browse(),
        Command::Restore(restore) => match &restore.transfer {
            Ok(transfer) => connection.restore(transfer, standby).map_err(restore::sends_nothing),
            // No verdict allows it; this guards against a mistake in one.
            Err(_) => Err(incomplete()),
        },
        Command::Secluded(_) | Command::SecludedRestore(_) => Err(incomplete()),
        Command::Prepare { bytes } => connection.prepare(*bytes),
        Command::Complete { status } => connection.complete(*status),
        Command::Abort => connection.abort(),
        Command::Status => {
            // What stands in the place of a missing mount is not the client's backup.
            mounted(policy, connection.site)?;
            let (state, busy) = connection.glance()?;
            let holding = connection.holding(&state);
            Ok(End::answered(answer::status(policy, &state, holding, busy) + &answer::ends(permit.closing())))
        }
        Command::Probe(probe) => Ok(End::answered(answer::probe(*probe).to_owned())),
        Command::Greeting | Command::Help => Ok(End::answered(answer::greeting(policy, &connection.glance()?.0))),
    }
}
