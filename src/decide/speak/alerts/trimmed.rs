//! An event within what a mail tells.

use crate::terms::limits::{
    MAX_HOOK_LINES, MAX_HOOK_WORDS, MAX_NAMED, MAX_QUOTED, MAX_REPORTED, MAX_REPORTED_HOOKS, MAX_REPORTED_PARTS, MAX_REPORTED_TEXT,
};
use crate::terms::text::{ELLIPSIS, on_one_line, still_printable, still_printable_lines};
use crate::terms::{Brake, Event, FailedHook, Reason};

/// The event with every text and list within what a mail holds, and printable.
pub(in crate::decide::speak) fn trimmed(mut event: Event) -> Event {
    let cut = |text: &mut String| {
        // Usually it is fine already, and this is done to every sample at every step.
        let plain = |byte: u8| (b' '..=b'~').contains(&byte);
        if text.len() > MAX_REPORTED_TEXT + ELLIPSIS.len() || !text.trim_end_matches(ELLIPSIS).bytes().all(plain) {
            *text = still_printable(text, MAX_REPORTED_TEXT);
        }
    };
    // The gate's own words may have lines; a client's were made printable before.
    let cut_lines = |text: &mut String| {
        if text.contains('\n') {
            *text = on_one_line(text);
        }
        cut(text);
    };
    cut(&mut event.id);
    cut(&mut event.account);
    // What this version cannot read was cut where it was read.
    let Some((connection, push, restore)) = event.body.visit_mut() else { return event };
    cut(&mut connection.command);
    connection.keys.truncate(MAX_REPORTED);
    connection.reasons.truncate(MAX_REPORTED);
    connection.warnings.truncate(MAX_REPORTED);
    connection.warnings.iter_mut().for_each(cut_lines);
    for Reason { says, hint, detail, remedy, .. } in &mut connection.reasons {
        cut(says);
        // A fault of a file shows its line.
        if detail.contains('\n') {
            *detail = still_printable_lines(detail, MAX_REPORTED_TEXT);
        } else {
            cut(detail);
        }
        hint.iter_mut().for_each(cut_lines);
        remedy.iter_mut().for_each(cut_lines);
    }
    connection.hooks.truncate(MAX_REPORTED_HOOKS);
    let mut room = usize::try_from(MAX_HOOK_WORDS).unwrap_or_default();
    for FailedHook { hook, command, how, printed, log } in &mut connection.hooks {
        [hook, command, how, log].into_iter().for_each(cut_lines);
        printed.truncate(MAX_HOOK_LINES);
        printed.iter_mut().for_each(|line| *line = still_printable(line, MAX_QUOTED));
        // Together they may be no longer than what is read of one, the last lines first.
        let mut fits = printed.len();
        while let Some(line) = fits.checked_sub(1).and_then(|last| printed.get(last)).filter(|line| line.len() <= room) {
            room -= line.len();
            fits -= 1;
        }
        printed.drain(..fits);
    }
    connection.newest.iter_mut().for_each(cut);
    if let Some(restore) = restore {
        for texts in [&mut restore.snapshots, &mut restore.paths] {
            texts.truncate(MAX_REPORTED);
            texts.iter_mut().for_each(cut_lines);
        }
    }
    if let Some(push) = push {
        push.snapshot.iter_mut().for_each(cut);
        push.place.iter_mut().for_each(cut);
        push.compared.iter_mut().for_each(|compared| cut(&mut compared.with));
        if let Some(Brake { why, names, stays: _ }) = &mut push.held {
            why.truncate(MAX_REPORTED);
            names.truncate(MAX_NAMED);
            why.iter_mut().chain(names).for_each(cut_lines);
        }
        push.parts.truncate(MAX_REPORTED_PARTS);
        push.parts.iter_mut().for_each(|part| cut(&mut part.place));
    }
    event
}
