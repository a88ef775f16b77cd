//! `when_full: shorten`: while there is no room for more, `prune` goes below `keep:`, the oldest
//! snapshot first, and never below what is always kept.
//!
//! What goes for this is freed at once, or it would make no room; so the trash goes first.

use chrono::TimeDelta;

use super::client::{Client, failure};
use super::progress::Progress;
use super::reap::{tell, visit};
use super::rules::{Why, judge, stock, take_out};
use super::told::Told;
use super::{Failure, LOOK};
use crate::act::prune::Opened;
use crate::decide::keep::{may_be_shortened, most_at_once};
use crate::decide::policy::{Policy, Site, WhenFull};
use crate::decide::quota::{Holding, held};
use crate::terms::{Bytes, Mail, exit};

/// Makes room where the policy says so, as the client's account.
pub(super) fn shorten(client: &Client<'_>, told: &mut Told, progress: &Progress) {
    let before = std::mem::take(told);
    let failed = (before.client.clone(), before.problems.clone());
    let shortened = client.reaching(|| {
        let mut told = before;
        if let Some(opened) = client.open()? {
            make_room(client, &opened, &mut told, progress)?;
        }
        Ok(told)
    });
    *told = shortened.unwrap_or_else(|(what, exit)| {
        let (client, mut problems) = failed;
        problems.push(what);
        Told { client, problems, exit, ..Told::default() }
    });
}

/// Does it for one client, of which so many snapshots wait in the trash.
pub(in crate::admin) fn once(client: &Client<'_>, waiting: usize) -> Told {
    let mut told = Told { waiting, ..Told::default() };
    shorten(client, &mut told, &Progress::new(1, true));
    told
}

/// First the book is put right: nothing may go for a figure that is not known.
fn make_room(client: &Client<'_>, opened: &Opened, told: &mut Told, progress: &Progress) -> Result<(), Failure> {
    let policy = &client.policy;
    let newest = || opened.names(&policy.names).map_err(failure).map(|mut names| names.pop());
    if policy.quota.is_set() && opened.holding(newest()?.as_ref()).due {
        match opened.recount(&policy.names) {
            Ok(_) => {}
            // The next one does it.
            Err(reason) if reason.code.exit() == exit::BUSY => return Ok(()),
            Err(reason) => return Err(failure(reason)),
        }
    }
    let (mut left, mut is_first) = (None, true);
    while policy.when_full == WhenFull::Shorten
        && told.exit == 0
        && !told.paused
        && let Some(short) = short_now(client, opened)?
    {
        if is_first {
            is_first = false;
            tell(told, visit(client, TimeDelta::zero(), progress)?);
            continue;
        }
        let held = match client.hold(opened) {
            Ok(held) => held,
            // A push is running, and the next one goes on from here.
            Err((what, exit @ exit::BUSY)) => {
                told.problems.push(what);
                told.exit = exit;
                break;
            }
            Err(other) => return Err(other),
        };
        let all = stock(client, opened)?;
        let left = left.get_or_insert_with(|| most_at_once(all.len()));
        let judged = judge(client, &all);
        // Those that are read are asked for anew: a restore may have begun.
        let goes = may_be_shortened(&judged).into_iter().find(|snapshot| !opened.is_read(&snapshot.name));
        let Some(goes) = goes.filter(|_| *left > 0) else {
            let why = if *left == 0 { "one in four snapshots went for it, and no more go at once" } else { "all that is left has to stay" };
            told.problems.push(format!("{short}: {why}"));
            told.exit = LOOK;
            break;
        };
        *left -= 1;
        take_out(client, &held, &[goes], all.len(), &Why { words: format!("`when_full: shorten`: {short}"), mail: Mail::Alert }, told)?;
        told.kept = all.len() - 1;
        drop(held);
        tell(told, visit(client, TimeDelta::zero(), progress)?);
    }
    Ok(())
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
