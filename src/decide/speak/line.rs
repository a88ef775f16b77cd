//! A record as one line of `key=value`, for syslog. Everything in it is printable, so no line can be forged inside another.

use std::fmt::{Display, Write as _};

use crate::terms::limits::MAX_SYSLOG_LINE;
use crate::terms::text::still_printable;
use crate::terms::{PushFacts, Reason, Record};

/// The line, without an end of line, at most [`MAX_SYSLOG_LINE`] bytes. What identifies the connection comes first; what is
/// long comes last and is what is cut.
pub fn record_line(record: &Record) -> String {
    let mut line = format!("result={}", record.result);
    let reason = record.reasons.first();
    field(&mut line, "code", record.code());
    // Before anything a client has a say in, so that it stands on every line and cannot be cut off.
    field(&mut line, "jail", record.jail.word());
    field(&mut line, "client", &record.client);
    field(&mut line, "account", [&record.account]);
    field(&mut line, "from", &record.address);
    field(&mut line, "key", &record.keys);
    field(&mut line, "verb", record.verb);
    field(&mut line, "exit", [record.exit]);
    field(&mut line, "id", [&record.id]);
    if let Some(push) = &record.push {
        push_fields(&mut line, push);
    }
    let codes: Vec<_> = record.reasons.iter().map(|reason| reason.code.as_str()).collect();
    field(&mut line, "codes", Some(codes.join(",")).filter(|_| codes.len() > 1));
    field(&mut line, "reason", reason.map(Reason::summary));
    field(&mut line, "rule", reason.and_then(|reason| reason.rule.as_ref()));
    field(&mut line, "hooks", Some(record.hooks.len()).filter(|count| *count > 0));
    field(&mut line, "warnings", Some(record.warnings.len()).filter(|count| *count > 0));
    field(&mut line, "command", Some(&record.command).filter(|command| !command.is_empty()));
    line
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
    field(line, "skipped", Some(push.skipped).filter(|skipped| *skipped > 0));
    field(line, "lost", push.lost.as_ref().map(|lost| lost.files));
    field(line, "beyond", Some(push.beyond).filter(|beyond| *beyond > 0));
    field(line, "of_others", push.dropped_owners.map(|dropped| dropped.files));
}

/// Adds ` name=value` for each value, in quotes where it would not stand alone, as far as the line has room.
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
        // A quote inside is written as an apostrophe: a reader that splits at quotes is then never misled.
        let text = still_printable(&value.replace('"', "'"), room);
        let _ = write!(line, " {name}=\"{text}\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::speak::message::samples;
    use crate::terms::record::{DroppedOwners, Jail};

    #[test]
    fn a_refusal_is_one_line_with_its_code_and_its_rule() {
        assert_eq!(
            record_line(&samples::refusal()),
            "result=refused code=window client=web1 account=web1 from=203.0.113.9 \
             key=SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk verb=rsync exit=77 id=1795226400000000-4242-0 \
             reason=\"pushes are allowed mon-fri 22:00-06:00 Europe/Madrid\" rule=/etc/snapgate/policies/web1.yaml:5 \
             command=\"rsync --server -logDtpre.iLsfxCIvu . .\""
        );
    }

    #[test]
    fn a_push_says_what_it_did_and_that_there_was_no_jail() {
        let mut record = samples::published();
        record.jail = Jail::Off;
        let line = record_line(&record);
        assert!(line.starts_with("result=published jail=off client=web1 "), "{line}");
        record.jail = Jail::WithoutNamespaces;
        assert!(record_line(&record).starts_with("result=published jail=without-namespaces client=web1 "));
        assert!(line.contains(" snapshot=2026-11-21T02-00-00Z files=5120 received=12 linked=5108 "), "{line}");
    }

    #[test]
    fn a_push_whose_owners_were_dropped_says_how_many_files_were_others() {
        let mut record = samples::published();
        assert!(!record_line(&record).contains("of_others"));
        record.push.as_mut().unwrap().dropped_owners = Some(DroppedOwners { files: 4, owners: 3, more: false });
        assert!(record_line(&record).contains(" of_others=4 "));
    }

    #[test]
    fn no_client_can_end_the_line_or_forge_a_field() {
        let mut record = samples::refusal();
        record.jail = Jail::Off;
        record.account = "x\nresult=published".to_owned();
        record.command = format!("a\" result=published x=\"\n\u{1b}[2J{}", "z".repeat(1 << 20));
        record.warnings = vec!["w".repeat(4096); 100];
        let line = record_line(&record);
        assert!(line.len() <= MAX_SYSLOG_LINE, "{}", line.len());
        assert!(line.contains(" jail=off "));
        assert!(!line.chars().any(char::is_control));
        assert_eq!(line.matches('"').count() % 2, 0);
        let outside: String = line.split('"').step_by(2).collect();
        assert_eq!(outside.matches("result=").count(), 1, "{outside}");
    }
}
