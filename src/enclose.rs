//! What a process does that is about to become rsync: it closes itself in, step by step, and then starts rsync in its own
//! place. The gate starts it as `snapgate enclose …`; nobody else has a use for it.
//!
//! It must never go on as anything but rsync: after the first step it can neither see nor do what a gate has to.

use std::ffi::OsString;

use crate::act::child::{self, Teller};
use crate::act::{filter, jail, process, view};
use crate::decide::cell::Cell;

/// Closes this process in and makes it rsync. Comes back only if something does not hold; the gate has been told then.
pub fn enclose(words: &[OsString]) {
    if let Some((mut teller, words)) = Teller::read(words) {
        let what = close_in(words, &teller);
        teller.tell(&what);
    }
}

/// Comes back only with what went wrong.
fn close_in(words: &[OsString], teller: &Teller) -> String {
    let Some(cell) = Cell::read(words) else { return "its own words cannot be read".to_owned() };
    if let Some(limits) = &cell.limits
        && let Err(what) = process::bound(limits)
    {
        return what;
    }
    if let Some(view) = &cell.view
        && let Err(what) = view::enter(view)
    {
        return child::no_view(&what);
    }
    if let Some(grants) = &cell.grants
        && let Err(reason) = jail::enter(grants)
    {
        return child::no_jail(&reason.detail);
    }
    // An rsync whose gate is gone could store nothing whole: nobody would make its changes of metadata. After the view, since
    // a new user namespace forgets it; before the hand-over, which fails if the gate is gone already.
    if cell.supervised
        && let Err(what) = process::end_with_parent()
    {
        return what;
    }
    // From here on a change of metadata waits for the gate.
    let handed = match (cell.supervised, &cell.grants) {
        (true, _) => hand_over(teller),
        // Where files that exist are the client's to change, the rest of the filter still holds.
        (false, Some(_)) => filter::install(false).and_then(|_| teller.hand_over(None)),
        (false, None) => teller.hand_over(None),
    };
    match handed {
        Ok(()) => child::become_rsync(&cell).to_string(),
        Err(what) => child::no_jail(&what),
    }
}

fn hand_over(teller: &Teller) -> Result<(), String> {
    let installed = filter::install(true)?;
    teller.hand_over(Some(installed.listener()?))
}
