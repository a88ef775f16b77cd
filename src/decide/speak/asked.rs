//! Which mail a connection asks for, and whether what went wrong passes by itself.

use crate::decide::policy::Report;
use crate::terms::{Code, Connection, Mail, Outcome};

/// Whether everything that went wrong passes by itself. `partial`: rsync left something out.
/// `put_right`: how many warnings are about something already repaired. `lasting`: something else
/// was found. What rsync says of a broken connection does not count: it follows from that.
pub fn passes(connection: &Connection, partial: bool, put_right: usize, lasting: bool) -> bool {
    let Connection { reasons, warnings, hooks, .. } = connection;
    if lasting || !hooks.is_empty() {
        return false;
    }
    if connection.result.served() {
        !partial && reasons.is_empty() && put_right > 0 && warnings.len() == put_right
    } else {
        !reasons.is_empty() && reasons.iter().all(|reason| reason.passing)
    }
}

/// The mail, by `report:` of the client's policy. Whoever gets alerts learns of every push that
/// came to nothing, of a snapshot that is not whole and of a hook that failed, whatever it says.
/// `apart` is whether others get the reports.
pub fn mail(connection: &Connection, partial: bool, report: Report, apart: bool) -> Mail {
    let is_frozen = !connection.reasons.is_empty() && connection.reasons.iter().all(|reason| reason.code == Code::Frozen);
    match connection.result {
        // Whoever has frozen it knows.
        Outcome::Refused if is_frozen => Mail::None,
        Outcome::Refused | Outcome::Failed | Outcome::Unpublished => Mail::Alert,
        Outcome::Busy | Outcome::Added | Outcome::Started => Mail::None,
        // A window that was too short is no fault: one mail a day, like a report.
        Outcome::Stopped => match report {
            Report::Always => Mail::Report,
            Report::Problems => Mail::Alert,
            Report::Never => Mail::None,
        },
        Outcome::Published | Outcome::Answered => {
            let wrong = !connection.hooks.is_empty() || (connection.result == Outcome::Published && partial);
            let is_report = connection.result == Outcome::Published || !connection.warnings.is_empty();
            match report {
                // One mail, not two, if reports and alerts have the same address.
                Report::Always if wrong && apart => Mail::Both,
                Report::Always if is_report => Mail::Report,
                Report::Always | Report::Problems | Report::Never if wrong => Mail::Alert,
                // Once a day, as what has failed by the same cause.
                Report::Problems if connection.passing => Mail::Alert,
                Report::Problems if !connection.warnings.is_empty() => Mail::Report,
                Report::Always | Report::Problems | Report::Never => Mail::None,
            }
        }
    }
}

/// With an alert. One mail, not two, if reports and alerts have the same address.
pub fn alerting(mail: Mail, apart: bool) -> Mail {
    match mail {
        Mail::Report | Mail::Both if apart => Mail::Both,
        Mail::None | Mail::Alert | Mail::Report | Mail::Both => Mail::Alert,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::speak::message::samples::{self, connection, with};
    use crate::terms::{Event, Reason};

    const EACH: [Report; 3] = [Report::Always, Report::Problems, Report::Never];

    fn passes(event: &Event, put_right: usize, lasting: bool) -> bool {
        super::passes(connection(event), event.push().is_some_and(|push| push.partial), put_right, lasting)
    }

    fn mails(event: &Event, apart: bool) -> [Mail; 3] {
        EACH.map(|report| mail(connection(event), event.push().is_some_and(|push| push.partial), report, apart))
    }

    fn hooked(event: Event) -> Event {
        with(event, |on| (on.hooks, on.warnings) = (vec![samples::mirror()], vec![samples::mirror().describe()]))
    }

    fn warned(event: Event, warning: &str) -> Event {
        with(event, |on| on.warnings = vec![warning.to_owned()])
    }

    fn partial() -> Event {
        warned(samples::pushing(samples::published(), |push| push.partial = true), "partial")
    }

    #[test]
    fn what_is_not_whole_and_a_failed_hook_are_alerts_whatever_report_says() {
        for record in [hooked(samples::published()), partial(), hooked(partial())] {
            assert_eq!(mails(&record, true), [Mail::Both, Mail::Alert, Mail::Alert]);
            // One mail, not two, to the same people.
            assert_eq!(mails(&record, false), [Mail::Report, Mail::Alert, Mail::Alert]);
        }
        for record in [hooked(samples::failure()), samples::failure(), samples::refusal()] {
            assert_eq!(mails(&record, true), [Mail::Alert; 3]);
        }
    }

    #[test]
    fn a_push_that_is_well_is_a_report_where_somebody_wants_each() {
        let quiet = samples::published();
        assert_eq!(mails(&quiet, true), [Mail::Report, Mail::None, Mail::None]);
        assert_eq!(mails(&warned(quiet.clone(), "w"), true), [Mail::Report, Mail::Report, Mail::None]);
        let answered = with(quiet, |on| on.result = Outcome::Answered);
        assert_eq!(mails(&answered, true), [Mail::None; 3]);
    }

    #[test]
    fn a_push_that_was_ended_with_its_window_is_told_of_once_a_day_where_problems_are() {
        let reasons = vec![Reason::new(Code::Window, "its time was over").passing()];
        let stopped = with(samples::failure(), |on| (on.result, on.reasons) = (Outcome::Stopped, reasons));
        assert!(passes(&stopped, 0, false));
        let record = with(stopped, |on| on.passing = true);
        assert_eq!(mails(&record, true), [Mail::Report, Mail::Alert, Mail::None]);
    }

    #[test]
    fn nobody_is_mailed_about_a_client_that_somebody_has_frozen() {
        let frozen = Reason::new(Code::Frozen, "new disks");
        let because = |reasons| with(samples::refusal(), |on| on.reasons = reasons);
        assert_eq!(mails(&because(vec![frozen.clone()]), true), [Mail::None; 3]);
        let also = because(vec![Reason::new(Code::Key, "this key is not allowed"), frozen]);
        assert_eq!(mails(&also, true), [Mail::Alert; 3], "that is something else");
    }

    #[test]
    fn what_a_killed_session_left_is_no_report_of_each_push() {
        let record = warned(samples::published(), "an earlier push did not finish");
        assert!(passes(&record, 1, false));
        let record = with(record, |on| on.passing = true);
        assert_eq!(mails(&record, true), [Mail::Report, Mail::Alert, Mail::None]);
        let other = with(record, |on| on.warnings.push("rsync: something else".to_owned()));
        assert!(!passes(&other, 1, false), "that is for somebody to read");
    }

    #[test]
    fn nothing_that_is_for_a_person_passes_with_what_does() {
        let passing = Reason::new(Code::Interrupted, "cut off").passing();
        let because = |reasons| with(samples::failure(), |on| on.reasons = reasons);
        let record = because(vec![passing.clone()]);
        assert!(passes(&record, 0, false));
        assert!(!passes(&record, 0, true), "something else was found");
        assert!(!passes(&hooked(record), 0, false));
        assert!(!passes(&because(vec![passing, connection(&samples::failure()).reasons[0].clone()]), 0, false));
        assert!(!passes(&because(Vec::new()), 0, false));
        assert!(!passes(&samples::published(), 0, false), "nothing went wrong");
    }
}
