//! An event in a line, and what else there is to say of it below.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::terms::limits::{MAX_DETAILS, MAX_LOG_LINE};
use crate::terms::text::{counted, still_printable};
use crate::terms::{Bytes, Event, Outcome, PushFacts, Reason, RestoreFacts, Upkeep, View, Visit, Zone};

/// What clocks in that zone show, with how far they are from UTC: it stays in order, and one hour in
/// autumn is not taken for the other.
pub fn time(at: DateTime<Utc>, zone: &Zone) -> String {
    let local = zone.local(at);
    let minutes = (local - at.naive_utc()).num_minutes();
    let time = local.format("%Y-%m-%d %H:%M:%S");
    if minutes == 0 {
        return format!("{time} UTC");
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{time} {sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// What happened, in a line of plain words.
pub fn line(event: &Event) -> String {
    let words = match event.view() {
        View::Visit(visit) => visited(visit),
        View::Upkeep(upkeep) => format!("{}: {}", event.kind(), upkeep.happened),
        View::Unknown(unknown) => {
            let summary = Some(&unknown.summary).filter(|summary| !summary.is_empty()).map(|summary| format!(": {summary}"));
            format!("{}{}", event.kind(), summary.unwrap_or_default())
        }
    };
    still_printable(&words, MAX_LOG_LINE)
}

fn visited(visit: Visit<'_>) -> String {
    let mut words = visit.happened();
    // What was published or answered names what it was; of the rest one wants to know.
    if !visit.result.served()
        && let Some(verb) = visit.verb
    {
        let _ = write!(words, " {verb}");
    }
    if let Some(address) = visit.address.as_ref().filter(|_| !visit.result.served() || visit.push.is_none()) {
        let _ = write!(words, " from {address}");
    }
    let figures = [visit.push.map(|push| pushed(push, visit.result)), visit.restore.map(sent)];
    let figures: Vec<_> = figures.into_iter().flatten().filter(|figures| !figures.is_empty()).collect();
    if !figures.is_empty() {
        let _ = write!(words, ", {}", figures.join(", "));
    }
    if let Some(reason) = visit.reasons.first() {
        let more = visit.reasons.len() - 1;
        let more = if more > 0 { format!(", and {}", counted(more, "more reason", "more reasons")) } else { String::new() };
        let _ = write!(words, ": {} (code {}){more}", reason.summary(), reason.code);
    } else if let Some(code) = visit.code().filter(|code| code.as_str() != visit.result.as_str()) {
        let _ = write!(words, " (code {code})");
    }
    match visit.warnings.len() {
        0 => {}
        count => {
            let _ = write!(words, "; {}", counted(count, "warning", "warnings"));
        }
    }
    words
}

fn pushed(push: &PushFacts, result: Outcome) -> String {
    if result == Outcome::Published {
        let files = counted(push.files, "file", "files");
        let new = format!("{} new ({})", push.received, Bytes(push.received_bytes));
        return format!("{files}, {new}, in {}", took(push.seconds));
    }
    if push.kept { "what arrived is kept".to_owned() } else { String::new() }
}

fn sent(restore: &RestoreFacts) -> String {
    let sent = restore.sent_bytes.map(|bytes| format!("{} sent, ", Bytes(bytes)));
    format!("{}in {}", sent.unwrap_or_default(), took(restore.seconds))
}

/// How long it took, in whole seconds.
fn took(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    if whole == 0 { "under 1s".to_owned() } else { humantime::format_duration(Duration::from_secs(whole)).to_string() }
}

/// What else there is to say of it, a line each.
pub fn details(event: &Event) -> Vec<String> {
    let mut all = Vec::new();
    let mut say = |name: &str, value: String| {
        for line in value.lines().filter(|line| !line.is_empty()) {
            if all.len() < MAX_DETAILS {
                all.push(still_printable(&format!("{name:<10}{line}"), MAX_LOG_LINE));
            }
        }
    };
    say("id", event.id.clone());
    say("account", event.account.clone());
    match event.view() {
        View::Visit(visit) => of_visit(&mut say, visit),
        View::Upkeep(upkeep) => of_upkeep(&mut say, upkeep),
        View::Unknown(unknown) => say("version", unknown.version.to_string()),
    }
    all
}

fn of_visit(say: &mut dyn FnMut(&str, String), visit: Visit<'_>) {
    say("from", visit.address.iter().map(ToString::to_string).collect());
    visit.keys.iter().for_each(|key| say("key", key.to_string()));
    say("command", visit.command.clone());
    say("exit", visit.exit.to_string());
    say("jail", visit.jail.says().unwrap_or_default().to_owned());
    if let Some(push) = visit.push {
        of_push(say, push);
    }
    if let Some(restore) = visit.restore {
        say("read", restore.snapshots.join(", "));
        restore.paths.iter().for_each(|path| say("path", path.clone()));
        say("paths", others(restore.other_paths));
    }
    visit.reasons.iter().for_each(|reason| of_reason(say, reason));
    visit.hooks.iter().for_each(|hook| say("hook", format!("{}; its log is {}", hook.describe(), hook.log)));
    visit.warnings.iter().for_each(|warning| say("warning", warning.clone()));
}

fn of_push(say: &mut dyn FnMut(&str, String), push: &PushFacts) {
    say("place", push.place.clone().unwrap_or_default());
    let PushFacts { files, linked, received, bytes, received_bytes, .. } = push;
    say("files", format!("{files}, of these {linked} linked and {received} received"));
    let wire = push.wire_bytes.map(|wire| format!(", {} over the network", Bytes(wire))).unwrap_or_default();
    say("size", format!("{}, of these {} received{wire}", Bytes(*bytes), Bytes(*received_bytes)));
    say("rsync", push.rsync_exit.map(|exit| format!("exit {exit}")).unwrap_or_default());
    say("rsync", push.rsync_signal.map(|signal| format!("ended by signal {signal}")).unwrap_or_default());
    say("parts", if push.parts.is_empty() { String::new() } else { push.parts.len().to_string() });
    push.held.iter().flat_map(|brake| &brake.why).for_each(|why| say("held", why.clone()));
}

fn of_reason(say: &mut dyn FnMut(&str, String), reason: &Reason) {
    say("why", format!("{} (code {})", reason.detail, reason.code));
    say("rule", reason.rule.iter().map(ToString::to_string).collect());
    say(reason.code.remedied(), reason.remedy.clone().unwrap_or_default());
}

fn of_upkeep(say: &mut dyn FnMut(&str, String), upkeep: &Upkeep) {
    upkeep.snapshots.iter().for_each(|name| say("snapshot", name.clone()));
    say("others", others(upkeep.others));
    say("why", upkeep.why.clone());
    say(
        "freed",
        upkeep.freed.map(|freed| format!("{} and {}", Bytes(freed.bytes), counted(freed.inodes, "inode", "inodes"))).unwrap_or_default(),
    );
    if let Some(restored) = &upkeep.restored {
        say("restored", format!("{} from {}", counted(restored.files, "file", "files"), restored.path));
    }
    upkeep.problems.iter().for_each(|problem| say("problem", problem.clone()));
}

fn others(count: u64) -> String {
    if count == 0 { String::new() } else { format!("and {count} more") }
}

/// JSON whose strings hold no character that a terminal would act on, or that changes how its
/// surroundings are read. It means the same: outside of strings JSON has none of them.
pub fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        let is_plain = matches!(character, ' '..='~') || still_printable(character.encode_utf8(&mut [0; 4]), 8).starts_with(character);
        if is_plain {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}
