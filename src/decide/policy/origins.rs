//! Where the keys of a file are written. The parser does not keep the places, so the text is
//! searched again. The result is only shown; nothing depends on it.

use std::path::Path;

use crate::terms::Origin;

/// The lines of the top-level keys, or of the keys below `parent`.
pub(super) fn keys(file: &Path, text: &str, parent: Option<&str>) -> Vec<(String, Origin)> {
    let numbered = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    let lines: Vec<_> = numbered.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#')).collect();
    let Some(parent) = parent else { return at_indent(file, &lines, 0) };
    let below = lines.iter().position(|(_, line)| key(line, 0).is_some_and(|name| name == parent));
    let block: Vec<_> =
        lines.into_iter().skip(below.map_or(usize::MAX, |at| at.saturating_add(1))).take_while(|(_, line)| line.starts_with(' ')).collect();
    let indent = block.first().map_or(0, |(_, line)| line.len() - line.trim_start().len());
    at_indent(file, &block, indent)
}

fn at_indent(file: &Path, lines: &[(usize, &str)], indent: usize) -> Vec<(String, Origin)> {
    let found = lines.iter().filter_map(|(number, line)| Some((key(line, indent)?, *number)));
    found.map(|(name, line)| (name, Origin { file: file.to_path_buf(), line })).collect()
}

/// The key of a line with exactly this indentation.
fn key(line: &str, indent: usize) -> Option<String> {
    let rest = line.get(indent..)?;
    if line.get(..indent)?.trim() != "" || rest.starts_with(' ') {
        return None;
    }
    let name = rest.split_once(':')?.0.trim().trim_matches(['"', '\'']);
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_where_they_stand() {
        let text = "# x\nstore: /s\ndefaults:\n\n  user: a\n  when:\n    - { days: mon }\n  \"from\": [x]\nmail:\n  to: [root]\n";
        let lines = |parent| keys(Path::new("f"), text, parent).into_iter().map(|(key, origin)| (key, origin.line)).collect::<Vec<_>>();
        assert_eq!(lines(None), [("store".to_owned(), 2), ("defaults".to_owned(), 3), ("mail".to_owned(), 9)]);
        assert_eq!(lines(Some("defaults")), [("user".to_owned(), 5), ("when".to_owned(), 6), ("from".to_owned(), 8)]);
        assert_eq!(lines(Some("nothing")), []);
    }
}
