//! The page as HTML. Mail programs know little of it: tables, styles in attributes, nothing from
//! outside, and no script. Every text of the page is escaped, whatever it says.

use std::fmt::Write as _;

use crate::terms::Page;
use crate::terms::page::{Plot, Section, Table};

use super::plot::{HEIGHT, WIDTH};

const BODY: &str = "margin:0;padding:16px;background:#ffffff;color:#1a202c;font:14px/1.45 system-ui,-apple-system,'Segoe UI',sans-serif";
const CELL: &str = "padding:3px 14px 3px 0;vertical-align:top;border-bottom:1px solid #e2e8f0";
const SMALL: &str = "color:#4a5568;font-size:12px";

/// It as HTML. `image` says where the picture of the section with that number is.
pub fn html(page: &Page, image: &dyn Fn(usize) -> String) -> String {
    let title = escaped(&page.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n</head>\n<body style=\"{BODY}\">\n<div style=\"max-width:680px\">\n\
         <h1 style=\"margin:0 0 8px;font-size:20px\">{title}</h1>\n"
    );
    for (number, words) in page.lead.iter().enumerate() {
        let style = if number == 0 { "margin:0 0 4px;font-size:16px;font-weight:600" } else { "margin:0 0 4px" };
        let _ = writeln!(out, "<p style=\"{style}\">{}</p>", escaped(words));
    }
    for (number, section) in page.sections.iter().enumerate() {
        self::section(section, &|| image(number), &mut out);
    }
    let _ = writeln!(out, "<hr style=\"margin:24px 0 8px;border:0;border-top:1px solid #cbd5e0\">");
    for words in &page.foot {
        let _ = writeln!(out, "<p style=\"margin:0 0 4px;{SMALL}\">{}</p>", escaped(words));
    }
    out + "</div>\n</body>\n</html>\n"
}

fn section(section: &Section, image: &dyn Fn() -> String, out: &mut String) {
    let _ = writeln!(out, "<h2 style=\"margin:24px 0 6px;font-size:16px\">{}</h2>", escaped(&section.heading));
    for words in &section.words {
        let _ = writeln!(out, "<p style=\"margin:0 0 4px\">{}</p>", escaped(words));
    }
    if let Some(plot) = &section.plot {
        picture(plot, &image(), out);
    }
    if !section.table.rows.is_empty() {
        table(&section.table, out);
    }
    if !section.more.is_empty() {
        let _ = writeln!(out, "<p style=\"margin:4px 0;{SMALL}\">{}</p>", escaped(&section.more));
    }
}

/// A picture. What it shows stands above it in words, since many readers are shown none.
fn picture(plot: &Plot, image: &str, out: &mut String) {
    let (title, [left, right]) = (escaped(&plot.title), plot.ends.each_ref().map(|end| escaped(end)));
    // A screen with finer points shows it as sharp as its letters.
    let _ = writeln!(
        out,
        "<table role=\"presentation\" cellspacing=\"0\" cellpadding=\"0\" style=\"margin:8px 0;border-collapse:collapse\">\n\
         <tr><td colspan=\"2\" style=\"{SMALL}\">{title}</td></tr>\n\
         <tr><td colspan=\"2\"><img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"\" \
         style=\"display:block;max-width:100%;height:auto\"></td></tr>\n\
         <tr><td style=\"{SMALL}\">{left}</td><td style=\"{SMALL};text-align:right\">{right}</td></tr>\n</table>",
        escaped(image),
        WIDTH / 2,
        HEIGHT / 2,
    );
}

fn table(table: &Table, out: &mut String) {
    let style = |is_figure: bool| if is_figure { format!("{CELL};text-align:right;white-space:nowrap") } else { CELL.to_owned() };
    out.push_str("<table cellspacing=\"0\" cellpadding=\"0\" style=\"margin:6px 0;border-collapse:collapse\">\n<tr>");
    for column in &table.columns {
        let align = if column.is_figure { "right" } else { "left" };
        let _ = write!(out, "<th style=\"{CELL};text-align:{align};font-weight:600\">{}</th>", escaped(&column.name));
    }
    out.push_str("</tr>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (number, (cell, column)) in row.iter().zip(&table.columns).enumerate() {
            // A client's name stays in one piece.
            let whole = if number == 0 { ";white-space:nowrap" } else { "" };
            let _ = write!(out, "<td style=\"{}{whole}\">{}</td>", style(column.is_figure), escaped(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

/// A text as it may stand in HTML, in an attribute as well.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            character => out.push(character),
        }
    }
    out
}
