//! The table of `snapgate status`. It is the same on a terminal and in a pipe, but where it is drawn
//! again and again: there it is cut to the screen.

use comfy_table::{CellAlignment, Table};

use super::{Last, Standing, State};
use crate::terms::Bytes;

/// What stands where nothing is known.
const NOTHING: &str = "-";

/// The columns, and which of them are figures.
const COLUMNS: [(&str, bool); 11] = [
    ("client", false),
    ("newest", false),
    ("age", true),
    ("state", false),
    ("last", false),
    ("snapshots", true),
    ("used", true),
    ("quota", true),
    ("held", true),
    ("trash", true),
    ("due", false),
];

/// Draws it. Below it stands what is wrong, with clients and with the server.
pub(super) fn draw(all: &[Standing], of_the_server: &[State]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(COLUMNS.map(|(name, _)| name));
    for standing in all {
        table.add_row(row(standing));
    }
    for (column, (_, is_figure)) in table.column_iter_mut().zip(COLUMNS) {
        if is_figure {
            column.set_cell_alignment(CellAlignment::Right);
        }
        column.set_padding((0, 2));
    }
    let mut text: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    let since = |State { kind, since, what }: &State| format!("{} since {}: {what}\n", kind.row().title, since.format("%Y-%m-%d %H:%M"));
    text.extend(of_the_server.iter().map(|state| format!("the server: {}", since(state))));
    for standing in all {
        text.extend(standing.states.iter().map(|state| format!("{}: {}", standing.client, since(state))));
        if let Some(problem) = &standing.problem {
            text.push_str(&format!("{}: {}\n", standing.client, problem.replace('\n', "\n  ")));
        }
    }
    text
}

fn row(standing: &Standing) -> [String; COLUMNS.len()] {
    let Standing { client, newest, age_seconds, last, snapshots, used_bytes, quota_bytes, held, trash, due, problem, .. } = standing;
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    let known = |count: usize| or_nothing(problem.is_none().then(|| count.to_string()));
    [
        client.clone(),
        or_nothing(newest.map(|newest| newest.format("%Y-%m-%d %H:%M").to_string())),
        or_nothing(age_seconds.map(age)),
        or_nothing(state(standing)),
        or_nothing(last.as_ref().map(ended)),
        known(*snapshots),
        or_nothing(used_bytes.map(|bytes| Bytes(bytes).to_string())),
        or_nothing(quota_bytes.map(|bytes| Bytes(bytes).to_string())),
        or_nothing(held.map(|held| held.to_string())),
        known(*trash),
        if due.is_empty() { NOTHING.to_owned() } else { due.join(", ") },
    ]
}

/// What lasts of it, in a word for each.
fn state(standing: &Standing) -> Option<String> {
    let frozen = standing.frozen.as_ref().map(|_| "frozen");
    let words: Vec<&str> = frozen.into_iter().chain(standing.states.iter().map(|state| state.kind.row().title)).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// How a try ended, and why not better.
fn ended(last: &Last) -> String {
    last.outcome.to_string() + &last.code.map(|code| format!(" ({code})")).unwrap_or_default()
}

/// As much of a text as a screen has room for.
pub(in crate::admin) fn fitted(text: &str, columns: Option<usize>, lines: Option<usize>) -> String {
    let columns = columns.unwrap_or(usize::MAX);
    let cut = |line: &str| line.chars().take(columns).collect::<String>();
    let count = text.lines().count();
    // The cursor stands below.
    let room = lines.map_or(count, |lines| lines.saturating_sub(1).max(2));
    let shown = if count > room { room - 1 } else { count };
    let mut all: Vec<String> = text.lines().take(shown).map(cut).collect();
    if count > shown {
        all.push(cut(&format!("… and {} more lines: make the window larger, or name a client", count - shown)));
    }
    all.into_iter().map(|line| line + "\n").collect()
}

/// How long ago, in the largest unit that is there.
fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / (24 * 3600));
    match (days, hours) {
        (0, 0) => format!("{minutes}m"),
        (0, hours) => format!("{hours}h"),
        (days, _) => format!("{days}d"),
    }
}
