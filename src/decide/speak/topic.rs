//! What an event is about, for those who choose whom to tell: mails and all other ways go by this alone.

use crate::terms::{Code, Event, Outcome, Topic, View};

/// What it is about; `None`: nothing that anybody is to be told of by that.
pub fn topic(event: &Event) -> Option<Topic> {
    match event.view() {
        View::Visit(visit) if visit.held().is_some() => Some(Topic::Held),
        View::Visit(visit) => match visit.result {
            // However it ended: refused at once, stopped half way, or not published.
            Outcome::Refused | Outcome::Failed | Outcome::Unpublished if visit.code() == Some(Code::Quota) => Some(Topic::Quota),
            Outcome::Refused => Some(Topic::Refused),
            Outcome::Failed | Outcome::Unpublished => Some(Topic::Failed),
            Outcome::Published | Outcome::Busy | Outcome::Stopped | Outcome::Added | Outcome::Started | Outcome::Answered => None,
        },
        View::Upkeep(upkeep) if !upkeep.problems.is_empty() => Some(Topic::Failed),
        View::Upkeep(_) | View::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::speak::message::samples::{self, pushing, with};
    use crate::terms::{Brake, Event, Reason};

    #[test]
    fn an_event_is_about_what_its_code_says_however_it_ended() {
        let ended = |event: Event, result, code| with(event, |on| (on.result, on.reasons) = (result, vec![Reason::new(code, "no")]));
        for result in [Outcome::Refused, Outcome::Failed, Outcome::Unpublished] {
            for event in [samples::refusal(), samples::failure()] {
                assert_eq!(topic(&ended(event, result, Code::Quota)), Some(Topic::Quota), "{result}");
            }
        }
        assert_eq!(topic(&ended(samples::refusal(), Outcome::Refused, Code::Window)), Some(Topic::Refused));
        assert_eq!(topic(&ended(samples::failure(), Outcome::Failed, Code::Store)), Some(Topic::Failed), "a full disk is no quota");
        assert_eq!(topic(&pushing(samples::published(), |push| push.held = Some(Brake::default()))), Some(Topic::Held));
        assert_eq!(topic(&samples::pruned()), Some(Topic::Failed));
        assert_eq!((topic(&samples::published()), topic(&samples::unknown())), (None, None));
    }
}
