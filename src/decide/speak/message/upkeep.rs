//! Mails about what was done with a client's history on this machine.

use super::numbers::moment;
use super::pieces::{client, row};
use super::{Group, how_often};
use crate::terms::{Event, Mail, Upkeep};

/// The text. It is mailed where a person has to look.
pub(super) fn body(event: &Event, about: &Upkeep, section: Option<&Group>) -> String {
    let begin = if event.mail == Mail::Report { "" } else { "Look into it: " };
    let mut out = format!("{begin}{}: {}.\n\n", event.who(), about.happened);
    row(&mut out, "When:", [section.map_or_else(|| moment(event.at), how_often)]);
    client(&mut out, event);
    row(&mut out, "Command:", [format!("snapgate {}", event.kind())]);
    row(&mut out, "Why:", Some(&about.why).filter(|why| !why.is_empty()));
    for problem in &about.problems {
        row(&mut out, "Problem:", problem.lines());
    }
    row(&mut out, "Snapshots:", Some(about.snapshots.join(", ")).filter(|names| !names.is_empty()));
    row(&mut out, "", Some(about.others).filter(|others| *others > 0).map(|others| format!("and {others} more")));
    row(&mut out, "Id:", [&event.id]);
    out
}
