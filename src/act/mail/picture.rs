//! Plots as PNG pictures: mail programs show these, where most show no SVG.

use png::{BitDepth, ColorType, Encoder};

use crate::decide::speak::digest::plot::{COLOURS, HEIGHT, WIDTH, drawn};
use crate::terms::page::Plot;

/// A plot as a picture.
///
/// # Errors
/// When it cannot be encoded.
pub fn png(plot: &Plot) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut encoded = || {
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let mut encoder = Encoder::new(&mut out, size(WIDTH), size(HEIGHT));
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_palette(COLOURS.concat());
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&drawn(plot))?;
        writer.finish()
    };
    encoded().map_err(|error| format!("a plot cannot be drawn: {error}"))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::page::Bar;

    #[test]
    fn what_is_drawn_can_be_read_again_and_is_small() {
        for bars in [Vec::new(), vec![Bar { good: 9, bad: 3 }; 30]] {
            let plot = Plot { bars, ..Plot::default() };
            let bytes = png(&plot).unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(pixels, drawn(&plot));
            assert!(bytes.len() < 4096, "{}", bytes.len());
        }
    }
}
