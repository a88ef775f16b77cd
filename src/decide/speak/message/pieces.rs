//! The parts of a mail: the client and its command, the reasons, the output of hooks and rsync.

use std::fmt::{Display, Write as _};

use super::numbers::{duration, moment, number};
use crate::terms::verb::ASKED;
use crate::terms::{Bytes, ClientName, Event, FailedHook, Outcome, Part, PushFacts, Reason, RestoreFacts, Verb, Visit};

/// A first line out of one of the tables, about this connection.
pub(super) fn filled(template: &str, visit: Visit<'_>) -> String {
    let what = match visit.verb {
        None | Some(Verb::Rsync) => "a push".to_owned(),
        Some(verb) => format!("`{verb}`"),
    };
    let backs_up = visit.verb.is_none_or(|verb| verb.row().backs_up);
    let cannot = if backs_up { "{who} could not back up" } else { "{who} could not be served" };
    let did = visit.verb.map_or(ASKED, |verb| verb.row().reported);
    let kept = visit.push.is_some_and(|push| push.kept);
    let kept = if kept { "What arrived is kept, and the next push goes on from it." } else { "Nothing had arrived that could be kept." };
    let (result, who) = (visit.result.as_str(), visit.event.who());
    // What a name holds is put in last, so that it stays what it is.
    let words = [("{cannot}", cannot), ("{what}", &what), ("{did}", did), ("{kept}", kept), ("{result}", result), ("{who}", &who)];
    words.iter().fold(template.to_owned(), |text, (word, meant)| text.replace(word, meant))
}

/// Who it was and what was tried.
pub(super) fn facts(out: &mut String, visit: Visit<'_>) {
    client(out, visit.event);
    row(out, "From:", [origin(visit)]);
    row(out, "Key:", [keys(visit)]);
    row(out, "Tried:", [tried(visit)]);
    row(out, "Exit:", [visit.exit]);
    if let Some(RestoreFacts { snapshots, paths, other_paths, sent_bytes, day_bytes, .. }) = visit.restore {
        row(out, "Read:", Some(snapshots.join(", ")).filter(|snapshots| !snapshots.is_empty()));
        let more = (*other_paths > 0).then(|| format!("and {other_paths} more"));
        row(out, "Paths:", Some(paths.iter().cloned().chain(more).collect::<Vec<_>>().join(", ")).filter(|paths| !paths.is_empty()));
        let day = day_bytes.map(|day| format!(" ({} within 24 hours)", Bytes(day))).unwrap_or_default();
        row(out, "Sent:", sent_bytes.map(|sent| format!("{}{day}", Bytes(sent))));
    }
    row(out, "Newest:", &visit.newest);
    row(out, "Jail:", visit.jail.says());
}

/// Whose it is.
pub(super) fn client(out: &mut String, event: &Event) {
    let client = event.client.as_ref().map_or("not recognised", ClientName::as_str);
    row(out, "Client:", [format!("{client} (unix account {})", event.account)]);
}

/// A line for each value: mostly there is one, or none.
pub(super) fn row(out: &mut String, name: &str, values: impl IntoIterator<Item: Display>) {
    lines(out, 8, name, values);
}

pub(super) fn lines(out: &mut String, width: usize, name: &str, values: impl IntoIterator<Item: Display>) {
    for value in values {
        let _ = writeln!(out, "{name:<width$} {value}");
    }
}

pub(super) fn origin(visit: Visit<'_>) -> String {
    visit.address.as_ref().map_or_else(|| "unknown: sshd did not say".to_owned(), |address| address.to_string())
}

pub(super) fn keys(visit: Visit<'_>) -> String {
    if visit.keys.is_empty() {
        return "unknown: sshd did not say (ExposeAuthInfo)".to_owned();
    }
    visit.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn tried(visit: Visit<'_>) -> String {
    match (visit.command.as_str(), visit.verb) {
        ("", Some(verb)) => format!("({verb}, without a command)"),
        ("", None) => "no command".to_owned(),
        (command, _) => command.to_owned(),
    }
}

pub(super) fn reasons(out: &mut String, reasons: &[Reason]) {
    if reasons.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", if reasons.len() == 1 { "Why:" } else { "Why, every reason:" });
    for reason in reasons {
        let mut detail = reason.detail.lines();
        let _ = writeln!(out, "  {} (code {})", detail.next().unwrap_or_default(), reason.code);
        // The line of a file, and what to do there.
        detail.for_each(|line| out.push_str(&format!("    {line}\n")));
        if let Some(rule) = &reason.rule {
            let _ = writeln!(out, "    rule:     {rule}");
        }
        if let Some(remedy) = &reason.remedy {
            let _ = writeln!(out, "    {:<9} {remedy}", reason.code.remedied());
        }
    }
}

/// Why a snapshot is held, and what ends that.
pub(super) fn held(out: &mut String, visit: Visit<'_>) {
    let Some(brake) = visit.held() else { return };
    let _ = writeln!(out, "\nHeld, because");
    brake.why.iter().for_each(|why| out.push_str(&format!("  {why}\n")));
    if !brake.names.is_empty() {
        let _ = writeln!(out, "Among the files:");
        // In quotes, so that none looks like a line of the mail.
        brake.names.iter().for_each(|name| out.push_str(&format!("  `{name}`\n")));
    }
    let (client, name) = (visit.event.who(), visit.push.and_then(|push| push.snapshot.as_deref()).unwrap_or_default());
    let current = if brake.stays { "`current` stays on the last good snapshot" } else { "`current` leads to it" };
    let _ = writeln!(out, "{current}. Until one of these is said, nothing is removed that is newer than the last good one:");
    let _ = writeln!(out, "  snapgate release --client {client} {name}    if this is what the client should have");
    let _ = writeln!(out, "  snapgate discard --client {client} {name}    if it is damage; look at the client first");
}

/// What became of the data of a push that is no snapshot.
pub(super) fn kept(out: &mut String, visit: Visit<'_>) {
    if !matches!(visit.result, Outcome::Failed | Outcome::Unpublished) {
        return;
    }
    let kept = match (visit.push, visit.verb) {
        (Some(push), _) if push.kept => "What was received is kept and will not travel again. ",
        (Some(_), _) => "Nothing of it is kept. ",
        (None, verb) if verb.is_none_or(|verb| verb == Verb::Rsync) => "Nothing was received. ",
        (None, _) => "",
    };
    let _ = writeln!(out, "\n{kept}Earlier snapshots are as they were.");
    // No rsync has run for `complete`.
    let push = visit.push.filter(|push| push.prepared.is_none());
    row(out, "rsync:", push.map(|push| ended(push.rsync_exit, push.rsync_signal, push.seconds)));
}

fn ended(exit: Option<i32>, signal: Option<i32>, seconds: f64) -> String {
    let how = match (exit, signal) {
        (Some(exit), _) => format!("exit {exit}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended by the gate".to_owned(),
    };
    format!("{how} after {}", duration(seconds))
}

/// The pushes that `complete` spoke of, each with its own end.
pub(super) fn parts(out: &mut String, push: &PushFacts) {
    let Some(prepared) = push.prepared else { return };
    let all = push.parts.len() as u64 + push.earlier_parts;
    let count = if all == 1 { "1 push".to_owned() } else { format!("{} pushes", number(all)) };
    let _ = writeln!(out, "\n{count} since `prepare` at {}{}", moment(prepared), if all > 0 { ":" } else { "." });
    if push.earlier_parts > 0 {
        let _ = writeln!(out, "  {} not told of here, and the last ones:", number(push.earlier_parts));
    }
    for Part { at, place, end } in &push.parts {
        let end = end.map_or_else(|| "did not end, or its gate was killed".to_owned(), |end| ended(end.exit, end.signal, end.seconds));
        let _ = writeln!(out, "  {}  into `{place}`: {end}", moment(*at));
    }
}

/// Hooks that failed, with what they have printed.
pub(super) fn hooks(out: &mut String, hooks: &[FailedHook]) {
    for hook in hooks {
        let _ = writeln!(out, "\nHook: {}", hook.describe());
        if hook.printed.is_empty() {
            let _ = writeln!(out, "It printed nothing.");
            continue;
        }
        let _ = writeln!(out, "It printed, in the end:");
        hook.printed.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
        let _ = writeln!(out, "All of it stands in {}", hook.log);
    }
}

/// What is said of it besides; a hook's failure is told with the hook.
pub(super) fn warnings(out: &mut String, visit: Visit<'_>) {
    let told: Vec<_> = visit.hooks.iter().map(FailedHook::describe).collect();
    let mut others = visit.warnings.iter().filter(|warning| !told.contains(warning)).peekable();
    if others.peek().is_none() {
        return;
    }
    let _ = writeln!(out, "\nIn the words of rsync and the gate:");
    for warning in others {
        let _ = writeln!(out, "  {warning}");
    }
}
