//! What `check` found, row by row: the same values are printed, written as JSON, mended and mailed.

use std::path::Path;

use serde_json::{Value, json};

use crate::act::inspect::{look, running_uid};
use crate::decide::policy::lint::Finding;
use crate::decide::policy::yaml::Fault;
use crate::terms::Remedy;
use crate::terms::text::{counted, printable_path};

/// What a row of the table found.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it looks at.
    pub looks_at: &'static str,
    /// What it found, in the order in which it looked.
    pub items: Vec<Item>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What that means.
    pub state: State,
    /// The file, and its line; empty where what was found says it.
    pub at: String,
    /// What was found.
    pub what: String,
    /// How to mend it; empty where there is nothing to do.
    pub help: String,
    /// The same as a value, where it takes no decision.
    pub remedy: Option<Remedy>,
}

/// What an item means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Something is wrong; then the exit code is 1.
    Wrong,
    /// Something is worth knowing.
    Note,
    /// Something was not looked at, so that more may be wrong.
    Unseen,
    /// It is as it is.
    Fact,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Note => "note",
            Self::Unseen => "unseen",
            Self::Fact => "fact",
        }
    }
}

impl Item {
    /// Its lines, for people.
    #[must_use]
    pub fn text(&self) -> String {
        // The last line counts problems alone, so notes are marked.
        let mark = if !self.at.is_empty() && self.state != State::Wrong { "note: " } else { "" };
        let at = if self.at.is_empty() { String::new() } else { format!("{}: ", self.at) };
        let help = if self.help.is_empty() { String::new() } else { format!("\n{}", self.help) };
        format!("{mark}{at}{}{help}", self.what)
    }

    fn json(&self) -> Value {
        let mut value = json!({ "state": self.state.word(), "at": self.at, "what": self.what, "help": self.help });
        if let (Some(remedy), Some(members)) = (&self.remedy, value.as_object_mut()) {
            members.insert("remedy".to_owned(), Value::from(remedy.to_string()));
        }
        value
    }
}

impl From<&Finding> for Item {
    fn from(finding: &Finding) -> Self {
        // A line of 0 is the file as a whole, or a default: only the file is shown.
        let file = printable_path(&finding.origin.file);
        let at = if finding.origin.line == 0 { file } else { format!("{file}:{}", finding.origin.line) };
        let state = match finding {
            Finding { unseen: true, .. } => State::Unseen,
            Finding { wrong: true, .. } => State::Wrong,
            Finding { .. } => State::Note,
        };
        let (what, help, remedy) = (finding.message.clone(), finding.help.clone(), finding.remedy.clone());
        Self { state, at, what, help, remedy }
    }
}

impl From<&Fault> for Item {
    fn from(fault: &Fault) -> Self {
        let text = fault.to_string();
        let (what, help) = text.rsplit_once('\n').unwrap_or((&text, ""));
        let remedy = closed(&fault.file);
        Self { state: State::Wrong, at: String::new(), what: what.to_owned(), help: help.to_owned(), remedy }
    }
}

/// What keeps others from writing a file of settings, where root looks, and nobody else could.
fn closed(file: &Path) -> Option<Remedy> {
    let found = look(file).filter(|found| running_uid() == 0 && found.mode & 0o1000 == 0)?;
    let is_mended = found.is_written_by_root_alone() && found.mode & 0o022 != 0;
    is_mended.then(|| Remedy::Mode { path: file.to_path_buf(), mode: found.mode & !0o022 })
}

impl Row {
    pub(super) fn find<'a>(&mut self, findings: impl IntoIterator<Item = &'a Finding>) {
        self.items.extend(findings.into_iter().map(Item::from));
    }

    /// Adds something that is neither right nor wrong.
    pub(super) fn say(&mut self, what: String) {
        self.items.push(Item { state: State::Fact, at: String::new(), what, help: String::new(), remedy: None });
    }

    fn has(&self, state: State) -> bool {
        self.items.iter().any(|item| item.state == state)
    }

    fn state(&self) -> &'static str {
        [(State::Wrong, "wrong"), (State::Unseen, "not all was seen")]
            .into_iter()
            .find_map(|(state, word)| self.has(state).then_some(word))
            .unwrap_or("ok")
    }
}

/// Everything that was found.
#[derive(Debug, Clone, Default)]
pub struct CheckReport {
    /// Every row of the table, as far as the settings could be read.
    pub rows: Vec<Row>,
    /// Policies that could be read.
    pub policies: usize,
}

impl CheckReport {
    fn of(&self, states: &[State]) -> impl Iterator<Item = &Item> {
        self.rows.iter().flat_map(|row| &row.items).filter(move |item| states.contains(&item.state))
    }

    /// What is wrong.
    pub fn problems(&self) -> Vec<String> {
        self.of(&[State::Wrong]).map(Item::text).collect()
    }

    /// The same, row by row.
    pub(super) fn problems_by_row(&self) -> Vec<Vec<String>> {
        let wrong = |row: &Row| row.items.iter().filter(|item| item.state == State::Wrong).map(Item::text).collect();
        self.rows.iter().map(wrong).collect()
    }

    /// What a row found besides.
    pub fn notes(&self, row: &str) -> Vec<String> {
        let items = self.rows.iter().filter(|found| found.name == row).flat_map(|row| &row.items);
        items.filter(|item| item.state != State::Wrong).map(Item::text).collect()
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.of(&[State::Wrong]).next().is_none()
    }

    /// What takes no decision to mend, each once.
    pub fn remedies(&self) -> Vec<(String, Remedy)> {
        let mut found: Vec<(String, Remedy)> = Vec::new();
        for item in self.of(&[State::Wrong, State::Note]) {
            if let Some(remedy) = item.remedy.clone().filter(|remedy| !found.iter().any(|(_, known)| known == remedy)) {
                let at = if item.at.is_empty() { String::new() } else { format!("{}: ", item.at) };
                found.push((format!("{at}{}", item.what), remedy));
            }
        }
        found
    }

    /// The last line of all that was found: how many policies there are, and whether all is well.
    pub fn summary(&self) -> String {
        let policies = counted(self.policies, "policy", "policies");
        match self.of(&[State::Wrong]).count() {
            0 if self.of(&[State::Unseen]).next().is_some() => format!("{policies}, nothing wrong in what was looked at"),
            0 => format!("{policies}, nothing wrong"),
            problems => format!("{policies} can be read, {}", counted(problems, "problem", "problems")),
        }
    }

    /// What is wrong, and a line for the rest.
    #[must_use]
    pub fn short(&self) -> String {
        let problems: String = self.problems().iter().map(|problem| format!("{problem}\n")).collect();
        let mend = match self.of(&[State::Wrong]).filter(|item| item.remedy.is_some()).count() {
            0 => String::new(),
            some => format!("\n`snapgate check --fix` offers to mend {some} of these"),
        };
        format!("{problems}{}{mend}\n", self.ending())
    }

    /// The summary, and what the checks that found nothing wrong have besides.
    #[must_use]
    pub fn ending(&self) -> String {
        let fine = self.rows.iter().filter(|row| !row.has(State::Wrong)).count();
        let notes = self.of(&[State::Note, State::Unseen]).count();
        let (all, summary) = (self.rows.len(), self.summary());
        match (all, notes) {
            // What comes first kept it from the rest.
            (1, _) => format!("{summary}; nothing else was looked at"),
            (_, 0) => format!("{summary}; {fine} of {all} checks found nothing wrong"),
            (_, notes) => {
                let notes = counted(notes, "note", "notes");
                format!("{summary}; {fine} of {all} checks found nothing wrong, {notes}: `snapgate check --all` shows them")
            }
        }
    }

    /// Every row with all that it found.
    #[must_use]
    pub fn all(&self) -> String {
        let row = |row: &Row| {
            let items: String = row.items.iter().map(|item| format!("{}\n", item.text())).collect();
            format!("{}: {} ({})\n{items}", row.name, row.state(), row.looks_at)
        };
        format!("{}{}\n", self.rows.iter().map(row).collect::<String>(), self.summary())
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            let items: Vec<Value> = row.items.iter().map(Item::json).collect();
            json!({ "check": row.name, "looks_at": row.looks_at, "ok": !row.has(State::Wrong), "found": items })
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        json!({ "policies": self.policies, "wrong": self.of(&[State::Wrong]).count(), "checks": rows })
    }
}
