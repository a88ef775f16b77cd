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
    use qrcode::Color;

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

    #[test]
    fn what_is_drawn_is_the_code_of_the_text() {
        for text in ["x", "mkdir -p ~/.ssh;cd ~/.ssh\ncat>>config<<E\nHost backup\nE\n", &"a".repeat(2000)] {
            let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
            let colours: Vec<bool> = code.to_colors().into_iter().map(|colour| colour == Color::Dark).collect();
            let drawn = draw(text).unwrap();
            assert_eq!(squares(&drawn).concat(), colours);
            assert_eq!(drawn.lines().next().unwrap().chars().count(), code.width() + 8);
        }
        assert!(draw(&"a".repeat(3000)).is_err());
    }
}
