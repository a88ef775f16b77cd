//! A text as a QR code of letters, for whoever has a camera and no keyboard.
//!
//! Light squares are drawn and dark ones are left, as a terminal with dark ground shows them.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// Draws it, with the margin that readers need.
///
/// # Errors
/// When it is too long.
pub(super) fn draw(text: &str) -> Result<String, String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| format!("no QR code has room for it: {error}"))?;
    let drawn = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build();
    Ok(drawn + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The squares of a drawing, whether each is dark, without the margin, which is light.
    fn squares(drawn: &str) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in drawn.lines() {
            let two = line.chars().map(|letter| match letter {
                '█' => (false, false),
                '▀' => (false, true),
                '▄' => (true, false),
                ' ' => (true, true),
                other => panic!("{other:?}"),
            });
            let (upper, lower): (Vec<_>, Vec<_>) = two.unzip();
            rows.extend([upper, lower]);
        }
        let width = rows[0].len();
        let inner = |row: &Vec<bool>| row[4..width - 4].to_vec();
        let is_margin = |row: &Vec<bool>| row[..width].iter().all(|dark| !dark);
        assert!(rows[..4].iter().all(is_margin) && rows[width - 4..width].iter().all(is_margin), "{drawn}");
        assert!(rows[..width].iter().all(|row| row[..4].iter().chain(&row[width - 4..]).all(|dark| !dark)), "{drawn}");
        rows[4..width - 4].iter().map(inner).collect()
    }

    /// What a camera sees of it, each square some points wide, read by another decoder.
    fn scanned(drawn: &str) -> String {
        const POINTS: usize = 4;
        let (squares, margin) = (squares(drawn), 4);
        let width = squares.len() + 2 * margin;
        let is_dark = |x: usize, y: usize| {
            let row = y.checked_sub(margin).and_then(|y| squares.get(y));
            row.and_then(|row| row.get(x.checked_sub(margin)?)).copied().unwrap_or(false)
        };
        let seen = |x: usize, y: usize| if is_dark(x / POINTS, y / POINTS) { 0 } else { 255 };
        let side = width * POINTS;
        let image: Vec<u8> = (0..side * side).map(|at| seen(at % side, at / side)).collect();
        let mut reader = quircs::Quirc::new();
        let codes: Vec<_> = reader.identify(side, side, &image).map(|code| code.unwrap().decode().unwrap()).collect();
        assert_eq!(codes.len(), 1, "{drawn}");
        String::from_utf8(codes[0].payload.clone()).unwrap()
    }

    #[test]
    fn whoever_scans_what_is_drawn_has_the_text() {
        for text in ["x", "mkdir -p ~/.ssh;cd ~/.ssh\ncat>>config<<E\nHost backup\nE\n", "é 'ñ' \"\\\"\n", &"a7B\n".repeat(500)] {
            let drawn = draw(text).unwrap();
            assert_eq!(scanned(&drawn), text);
            let rows = drawn.lines().count() * 2;
            let columns = drawn.lines().next().unwrap().chars().count();
            assert!(rows == columns || rows == columns + 1, "{rows} by {columns}");
        }
        assert!(draw(&"a".repeat(3000)).is_err());
    }
}
