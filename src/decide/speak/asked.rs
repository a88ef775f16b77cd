//! Which mail a connection asks for, and whether what went wrong passes by itself.

use crate::decide::policy::Report;
use crate::terms::{Mail, Outcome, Record};

/// Whether all that went wrong passes by itself. Of the warnings so many are of what is put right already; `lasting` is whether something else was
/// found on the way. What rsync said of a push that was cut off is not counted: it follows from that.
pub fn passes(record: &Record, put_right: usize, lasting: bool) -> bool {
    if lasting || !record.hooks.is_empty() {
        return false;
    }
    let whole = !record.push.as_ref().is_some_and(|push| push.partial);
    match record.result {
        Outcome::Refused | Outcome::Busy | Outcome::Failed | Outcome::Stopped | Outcome::Unpublished => {
            !record.reasons.is_empty() && record.reasons.iter().all(|reason| reason.passing)
        }
        Outcome::Published | Outcome::Added | Outcome::Answered => {
            whole && record.reasons.is_empty() && put_right > 0 && record.warnings.len() == put_right
        }
    }
}

/// The mail, by `report:` of the client's policy. Whoever gets alerts learns of every push that came to nothing, of a snapshot that is not whole
/// and of a hook that failed, whatever it says. `apart` is whether others get the reports.
pub fn mail(record: &Record, report: Report, apart: bool) -> Mail {
    let whole = !record.push.as_ref().is_some_and(|push| push.partial);
    match record.result {
        Outcome::Refused | Outcome::Failed | Outcome::Unpublished => Mail::Alert,
        Outcome::Busy | Outcome::Added => Mail::None,
        // A night that was too short is nobody's fault: it is told of as what is published is, and once a day.
        Outcome::Stopped => match report {
            Report::Always => Mail::Report,
            Report::Problems => Mail::Alert,
            Report::Never => Mail::None,
        },
        Outcome::Published | Outcome::Answered => {
            let wrong = !record.hooks.is_empty() || (record.result == Outcome::Published && !whole);
            let is_report = record.result == Outcome::Published || !record.warnings.is_empty();
            match report {
                // Who gets the report of each push by the same address as alerts learns of it by that, at once.
                Report::Always if wrong && apart => Mail::Both,
                Report::Always if is_report => Mail::Report,
                Report::Always | Report::Problems | Report::Never if wrong => Mail::Alert,
                // Once a day, as what has failed by the same cause.
                Report::Problems if record.passing => Mail::Alert,
                Report::Problems if !record.warnings.is_empty() => Mail::Report,
                Report::Always | Report::Problems | Report::Never => Mail::None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::speak::message::samples;
    use crate::terms::{Code, FailedHook, Reason};

    const EACH: [Report; 3] = [Report::Always, Report::Problems, Report::Never];

    fn hooked(record: Record) -> Record {
        Record { hooks: vec![samples::mirror()], warnings: vec![samples::mirror().told()], ..record }
    }

    fn partial() -> Record {
        let mut record = samples::published();
        record.push.as_mut().unwrap().partial = true;
        Record { warnings: vec!["partial".to_owned()], ..record }
    }

    #[test]
    fn what_is_not_whole_and_a_failed_hook_are_alerts_whatever_report_says() {
        for record in [hooked(samples::published()), partial(), hooked(partial())] {
            assert_eq!(EACH.map(|report| mail(&record, report, true)), [Mail::Both, Mail::Alert, Mail::Alert]);
            // One mail, not two, to the same people.
            assert_eq!(EACH.map(|report| mail(&record, report, false)), [Mail::Report, Mail::Alert, Mail::Alert]);
        }
        for record in [hooked(samples::failure()), samples::failure(), samples::refusal()] {
            assert_eq!(EACH.map(|report| mail(&record, report, true)), [Mail::Alert; 3]);
        }
    }

    #[test]
    fn a_push_that_is_well_is_a_report_where_somebody_wants_each() {
        let quiet = samples::published();
        assert_eq!(EACH.map(|report| mail(&quiet, report, true)), [Mail::Report, Mail::None, Mail::None]);
        let warned = Record { warnings: vec!["w".to_owned()], ..quiet.clone() };
        assert_eq!(EACH.map(|report| mail(&warned, report, true)), [Mail::Report, Mail::Report, Mail::None]);
        let answered = Record { result: Outcome::Answered, ..quiet };
        assert_eq!(EACH.map(|report| mail(&answered, report, true)), [Mail::None; 3]);
    }

    #[test]
    fn a_push_that_was_ended_with_its_window_is_told_of_once_a_day_where_problems_are() {
        let reasons = vec![Reason::new(Code::Window, "its time was over").passing()];
        let mut record = Record { result: Outcome::Stopped, reasons, ..samples::failure() };
        record.passing = passes(&record, 0, false);
        assert!(record.passing);
        assert_eq!(EACH.map(|report| mail(&record, report, true)), [Mail::Report, Mail::Alert, Mail::None]);
    }

    #[test]
    fn what_a_killed_session_left_is_no_report_of_each_push() {
        let mut record = Record { warnings: vec!["an earlier push did not finish".to_owned()], ..samples::published() };
        record.passing = passes(&record, 1, false);
        assert!(record.passing);
        assert_eq!(EACH.map(|report| mail(&record, report, true)), [Mail::Report, Mail::Alert, Mail::None]);
        record.warnings.push("rsync: something else".to_owned());
        assert!(!passes(&record, 1, false), "that is for somebody to read");
    }

    #[test]
    fn nothing_that_is_for_a_person_passes_with_what_does() {
        let passing = Reason::new(Code::Interrupted, "cut off").passing();
        let record = Record { reasons: vec![passing.clone()], ..samples::failure() };
        assert!(passes(&record, 0, false));
        assert!(!passes(&record, 0, true), "something else was found");
        assert!(!passes(&hooked(record.clone()), 0, false));
        assert!(!passes(&Record { reasons: vec![passing, samples::failure().reasons.remove(0)], ..record.clone() }, 0, false));
        assert!(!passes(&Record { reasons: Vec::new(), ..record }, 0, false));
        assert!(!passes(&samples::published(), 0, false), "nothing went wrong");
        let _: FailedHook = samples::mirror();
    }
}
