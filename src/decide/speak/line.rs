//! An event as one line: `key=value` for syslog, and in plain words. All of it is printable, so
//! that nobody can forge a line or a field.

use std::fmt::{Display, Write as _};

use crate::terms::limits::MAX_SYSLOG_LINE;
use crate::terms::text::still_printable;
use crate::terms::{Event, PushFacts, Reason, RestoreFacts, View, Visit};

/// The line, without its end, at most [`MAX_SYSLOG_LINE`] bytes. What identifies the event comes
/// first; what is long comes last, and is cut.
pub fn record_line(event: &Event) -> String {
    let mut line = format!("kind={}", event.kind());
    match event.view() {
        View::Visit(visit) => visit_fields(&mut line, event, visit),
        View::Upkeep(upkeep) => {
            field(&mut line, "client", &event.client);
            field(&mut line, "account", [&event.account]);
            field(&mut line, "id", [&event.id]);
            field(&mut line, "snapshots", Some(upkeep.count()).filter(|count| *count > 0));
            field(&mut line, "freed_bytes", upkeep.freed.map(|freed| freed.bytes));
            field(&mut line, "freed_inodes", upkeep.freed.map(|freed| freed.inodes));
            field(&mut line, "problems", Some(upkeep.problems.len()).filter(|count| *count > 0));
            field(&mut line, "summary", [&upkeep.happened]);
            field(&mut line, "why", Some(&upkeep.why).filter(|why| !why.is_empty()));
        }
        View::Unknown(unknown) => {
            field(&mut line, "version", [unknown.version]);
            field(&mut line, "client", &event.client);
            field(&mut line, "account", [&event.account]);
            field(&mut line, "id", [&event.id]);
            field(&mut line, "summary", [&unknown.summary]);
        }
    }
    line
}

/// The event in plain words, from what every event says.
pub fn plain(event: &Event) -> String {
    let at = event.at.format("%Y-%m-%d %H:%M:%S UTC");
    let summary = Some(event.summary()).filter(|summary| !summary.is_empty()).map(|summary| format!(": {summary}"));
    format!("{at}  {} of {}{}", event.kind(), event.who(), summary.unwrap_or_default())
}

fn visit_fields(line: &mut String, event: &Event, visit: Visit<'_>) {
    let reason = visit.reasons.first();
    field(line, "result", [visit.result]);
    field(line, "code", visit.code());
    // Before anything a client has a say in, so that it stands on every line and cannot be cut off.
    field(line, "jail", visit.jail.word());
    field(line, "client", &event.client);
    field(line, "account", [&event.account]);
    field(line, "from", &visit.address);
    field(line, "local", visit.local.then_some("yes"));
    field(line, "key", &visit.keys);
    field(line, "verb", visit.verb);
    field(line, "exit", [visit.exit]);
    field(line, "id", [&event.id]);
    visit.push.into_iter().for_each(|push| push_fields(line, push));
    visit.restore.into_iter().for_each(|restore| restore_fields(line, restore));
    let codes: Vec<_> = visit.reasons.iter().map(|reason| reason.code.as_str()).collect();
    field(line, "codes", Some(codes.join(",")).filter(|_| codes.len() > 1));
    field(line, "reason", reason.map(Reason::summary));
    field(line, "rule", reason.and_then(|reason| reason.rule.as_ref()));
    field(line, "hooks", Some(visit.hooks.len()).filter(|count| *count > 0));
    field(line, "warnings", Some(visit.warnings.len()).filter(|count| *count > 0));
    field(line, "command", Some(&visit.command).filter(|command| !command.is_empty()));
}

fn restore_fields(line: &mut String, restore: &RestoreFacts) {
    field(line, "snapshots", Some(restore.snapshots.join(",")).filter(|snapshots| !snapshots.is_empty()));
    field(line, "paths", Some(restore.paths.len() as u64 + restore.other_paths).filter(|paths| *paths > 0));
    field(line, "sent_bytes", restore.sent_bytes);
    field(line, "day_bytes", restore.day_bytes);
    field(line, "seconds", [format_args!("{:.1}", restore.seconds)]);
    field(line, "rsync", restore.rsync_exit);
    field(line, "path", restore.paths.first());
}

fn push_fields(line: &mut String, push: &PushFacts) {
    field(line, "snapshot", &push.snapshot);
    field(line, "files", [push.files]);
    field(line, "received", [push.received]);
    field(line, "linked", [push.linked]);
    field(line, "carried", Some(push.carried).filter(|carried| *carried > 0));
    field(line, "bytes", [push.bytes]);
    field(line, "received_bytes", [push.received_bytes]);
    field(line, "seconds", [format_args!("{:.1}", push.seconds)]);
    field(line, "rsync", push.rsync_exit);
    field(line, "signal", push.rsync_signal);
    field(line, "partial", push.partial.then_some("yes"));
    field(line, "held", push.held.as_ref().map(|_| "yes"));
    let compared = push.compared.as_ref();
    field(line, "changed", compared.map(|compared| compared.changed));
    field(line, "added", compared.map(|compared| compared.added));
    field(line, "gone", compared.map(|compared| compared.gone));
    field(line, "skipped", Some(push.skipped).filter(|skipped| *skipped > 0));
    field(line, "lost", push.lost.as_ref().map(|lost| lost.files));
    field(line, "beyond", Some(push.beyond).filter(|beyond| *beyond > 0));
    field(line, "of_others", push.dropped_owners.map(|dropped| dropped.files));
}

/// Adds ` name=value` for each value, quoted if necessary, as far as the line has room.
pub(in crate::decide) fn field(line: &mut String, name: &str, values: impl IntoIterator<Item: Display>) {
    for value in values {
        // The ellipsis and the quotes of the last value must still fit.
        let room = MAX_SYSLOG_LINE.saturating_sub(line.len() + name.len() + 8);
        if room < 8 {
            return;
        }
        let value = value.to_string();
        let bare = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"=\\".contains(&byte));
        if bare && value.len() <= room {
            let _ = write!(line, " {name}={value}");
            continue;
        }
        // A quote inside becomes an apostrophe, for readers that split at quotes.
        let text = still_printable(&value.replace('"', "'"), room);
        let _ = write!(line, " {name}=\"{text}\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::speak::message::samples::{self, pushing, with};
    use crate::terms::record::{DroppedOwners, Jail};

    #[test]
    fn a_refusal_is_one_line_with_its_code_and_its_rule() {
        assert_eq!(
            record_line(&samples::refusal()),
            "kind=connection result=refused code=window client=web1 account=web1 from=203.0.113.9 \
             key=SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk verb=rsync exit=77 id=1795226400000000-4242-0 \
             reason=\"pushes are allowed mon-fri 22:00-06:00 Europe/Madrid\" rule=/etc/snapgate/policies/web1.yaml:5 \
             command=\"rsync --server -logDtpre.iLsfxCIvu . .\""
        );
    }

    #[test]
    fn a_push_says_what_it_did_and_that_there_was_no_jail() {
        let line = record_line(&with(samples::published(), |on| on.jail = Jail::Off));
        assert!(line.starts_with("kind=push result=published jail=off client=web1 "), "{line}");
        let weaker = with(samples::published(), |on| on.jail = Jail::WithoutNamespaces);
        assert!(record_line(&weaker).starts_with("kind=push result=published jail=without-namespaces client=web1 "));
        assert!(line.contains(" snapshot=2026-11-21T02-00-00Z files=5120 received=12 linked=5108 "), "{line}");
    }

    #[test]
    fn a_push_whose_owners_were_dropped_says_how_many_files_were_others() {
        assert!(!record_line(&samples::published()).contains("of_others"));
        let dropped = Some(DroppedOwners { files: 4, owners: 3, more: false });
        assert!(record_line(&pushing(samples::published(), |push| push.dropped_owners = dropped)).contains(" of_others=4 "));
    }

    #[test]
    fn no_client_can_end_the_line_or_forge_a_field() {
        let command = format!("a\" result=published x=\"\n\u{1b}[2J{}", "z".repeat(1 << 20));
        let mut forged = with(samples::refusal(), |on| {
            (on.jail, on.command, on.warnings) = (Jail::Off, command, vec!["w".repeat(4096); 100]);
        });
        forged.account = "x\nresult=published".to_owned();
        let line = record_line(&forged);
        assert!(line.len() <= MAX_SYSLOG_LINE, "{}", line.len());
        assert!(line.contains(" jail=off "));
        assert!(!line.chars().any(char::is_control));
        assert_eq!(line.matches('"').count() % 2, 0);
        let outside: String = line.split('"').step_by(2).collect();
        assert_eq!(outside.matches("result=").count(), 1, "{outside}");
    }

    #[test]
    fn what_was_removed_is_a_line_with_its_figures() {
        let line = "kind=prune client=web1 account=web1 id=1795226400000000-4242-0 snapshots=2 freed_bytes=4096 freed_inodes=3 problems=1 \
                    summary=\"2 snapshots gone for good\"";
        assert_eq!(record_line(&samples::pruned()), line);
        assert_eq!(plain(&samples::pruned()), "2026-11-21 02:00:00 UTC  prune of web1: 2 snapshots gone for good");
    }

    #[test]
    fn what_only_a_later_version_can_read_is_a_line_of_what_every_event_says() {
        let line = "kind=mirror version=1 client=web1 account=web1 id=1795226400000000-4242-0 summary=\"3 snapshots were restored\"";
        assert_eq!(record_line(&samples::unknown()), line);
        assert_eq!(plain(&samples::unknown()), "2026-11-21 02:00:00 UTC  mirror of web1: 3 snapshots were restored");
        assert_eq!(plain(&samples::refusal()), "2026-11-21 02:00:00 UTC  connection of web1: refused (window)");
    }
}
