//! `when_full: shorten`: while there is no room for more, `prune` goes below `keep:`, the oldest
//! snapshot first, and never below what is always kept.
//!
//! What goes for this is freed at once, or it would make no room; so the trash goes first.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::client::{Client, SHORTENED, failure};
use super::progress::Progress;
use super::reach::Said;
use super::reap::{reach, tell};
use super::rules::{Why, judge, stock, take_out};
use super::told::Told;
use super::{Failure, LOOK};
use crate::act::prune::Opened;
use crate::decide::keep::{may_be_shortened, most_at_once};
use crate::decide::policy::{Policy, Site, WhenFull};
use crate::decide::quota::{Holding, held};
use crate::terms::{Bytes, Mail, exit};

/// What one removal came to.
#[derive(Default, Serialize, Deserialize)]
struct Step {
    told: Told,
    /// How many more may go.
    left: usize,
    /// Whether one went.
    took: bool,
}

impl Said for Step {
    fn checked(self) -> Self {
        Self { told: self.told.checked(), ..self }
    }
}

/// Makes room where the policy says so, as the client's account.
pub(super) fn shorten(client: &Client<'_>, told: &mut Told, progress: &Progress) {
    if let Err((what, exit)) = make_room(client, told, progress) {
        told.problems.push(what);
        told.exit = exit;
    }
}

/// Does it for one client, of which so many snapshots wait in the trash.
pub(in crate::admin) fn once(client: &Client<'_>, waiting: usize) -> Told {
    let mut told = Told { waiting, ..Told::default() };
    shorten(client, &mut told, &Progress::new(1, true));
    told
}

/// Each removal is mailed before its files go, which takes long: nobody can bring it back then.
fn make_room(client: &Client<'_>, told: &mut Told, progress: &Progress) -> Result<(), Failure> {
    if !client.reaching(|| is_short(client))? || told.exit != 0 || told.paused {
        return Ok(());
    }
    tell(told, reach(client, TimeDelta::zero(), progress)?);
    let mut left = None;
    while told.exit == 0 && !told.paused {
        let step = client.reaching(|| take_one(client, left))?;
        left = Some(step.left);
        told.removed.extend(step.told.removed);
        told.problems.extend(step.told.problems);
        told.exit = step.told.exit;
        if !step.took {
            break;
        }
        told.kept = step.told.kept;
        tell(told, reach(client, TimeDelta::zero(), progress)?);
    }
    Ok(())
}

/// Whether anything is to go. First the book is put right: nothing may go for a figure that is not
/// known.
fn is_short(client: &Client<'_>) -> Result<bool, Failure> {
    let Some(opened) = client.open()? else { return Ok(false) };
    let policy = &client.policy;
    let newest = || opened.names(&policy.names).map_err(failure).map(|mut names| names.pop());
    if policy.quota.is_set() && opened.holding(newest()?.as_ref()).due {
        match opened.recount(&policy.names) {
            Ok(_) => {}
            // The next one does it.
            Err(reason) if reason.code.exit() == exit::BUSY => return Ok(false),
            Err(reason) => return Err(failure(reason)),
        }
    }
    Ok(policy.when_full == WhenFull::Shorten && short_now(client, &opened)?.is_some())
}

/// Takes out the oldest snapshot that may go, if there is no room and so many may.
fn take_one(client: &Client<'_>, left: Option<usize>) -> Result<Step, Failure> {
    let mut step = Step { left: left.unwrap_or_default(), ..Step::default() };
    let Some(opened) = client.open()? else { return Ok(step) };
    let Some(short) = short_now(client, &opened)? else { return Ok(step) };
    let held = match client.hold(&opened) {
        Ok(held) => held,
        // A push is running, and the next one goes on from here.
        Err((what, exit @ exit::BUSY)) => {
            step.told.problems.push(what);
            step.told.exit = exit;
            return Ok(step);
        }
        Err(other) => return Err(other),
    };
    let all = stock(client, &opened)?;
    let left = left.unwrap_or_else(|| most_at_once(all.len()));
    let judged = judge(client, &all);
    // Those that are read are asked for anew: a restore may have begun.
    let goes = may_be_shortened(&judged).into_iter().find(|snapshot| !opened.is_read(&snapshot.name));
    let Some(goes) = goes.filter(|_| left > 0) else {
        let why = if left == 0 { "one in four snapshots went for it, and no more go at once" } else { "all that is left has to stay" };
        step.told.problems.push(format!("{short}: {why}"));
        step.told.exit = LOOK;
        return Ok(step);
    };
    step.left = left - 1;
    let why = Why { words: format!("{SHORTENED}: {short}"), mail: Mail::Alert };
    take_out(client, &held, &[goes], all.len(), &why, &mut step.told)?;
    step.told.kept = all.len() - 1;
    step.took = true;
    Ok(step)
}

/// What there is too little of for a client, by what is known now.
pub(super) fn short_now(client: &Client<'_>, opened: &Opened) -> Result<Option<String>, Failure> {
    let newest = opened.names(&client.policy.names).map_err(failure)?.pop();
    Ok(short(&client.policy, client.site, opened, opened.holding(newest.as_ref())))
}

/// What there is too little of where a client holds so much.
pub(in crate::admin) fn short(policy: &Policy, site: &Site, opened: &Opened, holding: Holding) -> Option<String> {
    let used = holding.before_a_push();
    if policy.quota.is_nearly_reached_by(used) {
        return Some(format!("the quota is nearly used up ({})", held(&policy.quota, used)));
    }
    let disk = opened.disk().filter(|disk| disk.is_short(&site.min_free));
    disk.map(|disk| format!("the disk has less free than `min_free:` says ({})", Bytes(disk.free.bytes)))
}
