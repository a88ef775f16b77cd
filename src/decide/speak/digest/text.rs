//! The page as a text, in lines that fit a terminal, but for tables whose cells need more.

use crate::terms::Page;
use crate::terms::page::{Section, Table};

/// Columns of a line of words.
const WIDTH: usize = 76;

/// Columns of a cell, at most.
const CELL: usize = 44;

/// It as a text.
pub fn text(page: &Page) -> String {
    let mut out = vec![page.title.clone(), "=".repeat(page.title.chars().count()), String::new()];
    out.extend(page.lead.iter().flat_map(|words| wrapped(words, WIDTH)));
    for section in &page.sections {
        out.push(String::new());
        self::section(section, &mut out);
    }
    out.push(String::new());
    out.push("-- ".to_owned());
    out.extend(page.foot.iter().flat_map(|words| wrapped(words, WIDTH)));
    out.join("\n") + "\n"
}

fn section(section: &Section, out: &mut Vec<String>) {
    out.push(section.heading.clone());
    out.push("-".repeat(section.heading.chars().count()));
    out.extend(section.words.iter().flat_map(|words| wrapped(words, WIDTH)));
    if !section.table.rows.is_empty() {
        if !section.words.is_empty() {
            out.push(String::new());
        }
        table(&section.table, out);
    }
    out.extend(Some(&section.more).filter(|more| !more.is_empty()).cloned());
}

fn table(table: &Table, out: &mut Vec<String>) {
    let head: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let wide = |column: usize| {
        let cells = std::iter::once(&head).chain(&table.rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(CELL)
    };
    let widths: Vec<usize> = (0..head.len()).map(wide).collect();
    for row in std::iter::once(&head).chain(&table.rows) {
        lines(row, table, &widths, out);
    }
}

/// A row, in as many lines as its longest cell takes.
fn lines(row: &[String], table: &Table, widths: &[usize], out: &mut Vec<String>) {
    let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, width)| wrapped(cell, *width)).collect();
    for number in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
        let mut line = String::new();
        for ((cell, width), column) in cells.iter().zip(widths).zip(&table.columns) {
            let part = cell.get(number).map_or("", String::as_str);
            let room = " ".repeat(width.saturating_sub(part.chars().count()));
            let (before, behind) = if column.is_figure { (room.as_str(), "") } else { ("", room.as_str()) };
            line.push_str(&format!("  {before}{part}{behind}"));
        }
        out.push(line.trim_end().to_owned());
    }
}

/// In lines of so many columns; a word that is longer stays whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
