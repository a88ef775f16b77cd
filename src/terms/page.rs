//! A page of a mail: words, tables and plots, without any form. Whoever shows it as text or as HTML
//! lays it out and escapes all of it, so a page that an account has written into its spool can say
//! no more than a text can.

use serde::{Deserialize, Serialize};

use super::limits::{MAX_PAGE_BARS, MAX_PAGE_COLUMNS, MAX_PAGE_PARTS, MAX_PAGE_ROWS, MAX_PAGE_TEXT};
use super::text::still_printable;

/// A page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// What stands above all, a paragraph each.
    pub lead: Vec<String>,
    /// What it is made of.
    pub sections: Vec<Section>,
    /// What stands below, a paragraph each.
    pub foot: Vec<String>,
}

/// A part of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    /// Its heading.
    pub heading: String,
    /// What it says, a paragraph each.
    pub words: Vec<String>,
    /// Its plot.
    pub plot: Option<Plot>,
    /// Its table.
    pub table: Table,
    /// What stands below the table.
    pub more: String,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each with a text for each column.
    pub rows: Vec<Vec<String>>,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Column {
    /// What stands at its head.
    pub name: String,
    /// Whether it has figures, which end at its right.
    pub is_figure: bool,
}

/// Bars beside each other, from left to right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plot {
    /// What it shows, for those as well who see no picture.
    pub title: String,
    /// What stands below its left end, and its right.
    pub ends: [String; 2],
    /// The bars.
    pub bars: Vec<Bar>,
}

/// A bar: what is good, and upon it what is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bar {
    /// How high the one is.
    pub good: u64,
    /// How high the other.
    pub bad: u64,
}

impl Page {
    /// The page with printable text alone, within its limits.
    #[must_use]
    pub fn checked(self) -> Self {
        let sections = self.sections.into_iter().take(MAX_PAGE_PARTS).map(Section::checked).collect();
        Self { title: text(&self.title), lead: texts(self.lead), sections, foot: texts(self.foot) }
    }
}

impl Section {
    fn checked(self) -> Self {
        let Self { heading, words, plot, table, more } = self;
        let plot = plot.map(|Plot { title, ends, mut bars }| {
            bars.truncate(MAX_PAGE_BARS);
            Plot { title: text(&title), ends: ends.map(|end| text(&end)), bars }
        });
        Self { heading: text(&heading), words: texts(words), plot, table: table.checked(), more: text(&more) }
    }
}

impl Table {
    fn checked(self) -> Self {
        let column = |Column { name, is_figure }| Column { name: text(&name), is_figure };
        let columns: Vec<_> = self.columns.into_iter().take(MAX_PAGE_COLUMNS).map(column).collect();
        let row = |row: Vec<String>| {
            let mut row: Vec<_> = row.iter().take(columns.len()).map(|cell| text(cell)).collect();
            row.resize(columns.len(), String::new());
            row
        };
        let rows = self.rows.into_iter().take(MAX_PAGE_ROWS).map(row).collect();
        Self { columns, rows }
    }
}

fn text(text: &str) -> String {
    still_printable(text, MAX_PAGE_TEXT)
}

fn texts(all: Vec<String>) -> Vec<String> {
    all.iter().take(MAX_PAGE_PARTS).map(|one| text(one)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_page_is_printable_and_within_its_limits() {
        let evil = || format!("\u{1b}[2J\r\nBcc: x\u{202e}{}", "y".repeat(500));
        let rows = (0..60).map(|cells| (0..cells).map(|_| evil()).collect()).collect();
        let columns = (0..20).map(|_| Column { name: evil(), is_figure: true }).collect();
        let plot = Plot { title: evil(), ends: [evil(), evil()], bars: vec![Bar { good: u64::MAX, bad: u64::MAX }; 5000] };
        let words = || (0..100).map(|_| evil()).collect();
        let section = Section { heading: evil(), words: words(), plot: Some(plot), table: Table { columns, rows }, more: evil() };
        let page = Page { title: evil(), lead: words(), sections: vec![section; MAX_PAGE_PARTS + 1], foot: words() }.checked();
        assert!(page.title.starts_with("\\u{1b}[2J\\r\\nBcc: x\\u{202e}yyy") && page.title.ends_with('…'), "{}", page.title);
        let Section { heading, words, more, .. } = &page.sections[0];
        let Table { columns, rows } = &page.sections[0].table;
        let Plot { title, ends, .. } = page.sections[0].plot.as_ref().unwrap();
        let all = [heading, more, title].into_iter().chain(ends).chain(words).chain(&page.lead).chain(&page.foot);
        let cells = rows.iter().flatten().filter(|cell| !cell.is_empty()).chain(columns.iter().map(|column| &column.name));
        assert!(all.chain(cells).all(|text| *text == page.title));
        assert_eq!((page.sections.len(), page.lead.len(), page.foot.len()), (MAX_PAGE_PARTS, MAX_PAGE_PARTS, MAX_PAGE_PARTS));
        let Section { table, plot, .. } = &page.sections[0];
        assert_eq!((table.rows.len(), plot.as_ref().unwrap().bars.len()), (MAX_PAGE_ROWS, MAX_PAGE_BARS));
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len() && row.len() == MAX_PAGE_COLUMNS));
        assert!(serde_json::from_str::<Page>("{\"html\": \"<b>\"}").is_err());
    }
}
