//! The parts of `prune`, for `snapgate maintain`, which has an order of its own.

use super::client::{Client, failure};
use super::{Failure, Orders, Told, look, reap, remove, stock};
use crate::act::prune::Opened;

fn orders(dry_run: bool) -> Orders {
    Orders {
        clients: Vec::new(),
        dry_run,
        explain: false,
        simulate: None,
        every: std::time::Duration::ZERO,
        yes_remove_many: false,
        quiet: true,
        json: false,
    }
}

fn begun(client: &Client<'_>, dry_run: bool) -> Told {
    Told { client: client.name().to_string(), dry_run, ..Told::default() }
}

/// Takes out of history what no policy keeps.
pub(in crate::admin) fn prune_alone(client: &Client<'_>, opened: &Opened, dry_run: bool) -> Result<Told, Failure> {
    let (orders, told) = (orders(dry_run), begun(client, dry_run));
    if dry_run {
        return look(client, opened, &orders, told);
    }
    let held = client.hold(opened)?;
    let all = stock(client, opened)?;
    let mut told = remove(client, &held, &all, &orders, told)?;
    drop(held);
    told.waiting = opened.trash().map_err(failure)?.len();
    Ok(told)
}

/// Frees what was removed long enough ago.
pub(in crate::admin) fn reap_alone(client: &Client<'_>, opened: &Opened) -> Result<Told, Failure> {
    let mut told = begun(client, false);
    reap(client, opened, &mut told)?;
    Ok(told)
}
