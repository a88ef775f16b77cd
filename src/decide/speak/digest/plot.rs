//! A plot as points of a few colours. It has no letters, since what it says stands beside it as text.

use crate::terms::page::Plot;

/// Its width and height, twice what it is shown as.
pub const WIDTH: usize = 1120;
/// See there.
pub const HEIGHT: usize = 200;

/// Colours, which people who tell red from green badly tell apart, too: ground, line, good, bad.
pub const COLOURS: [[u8; 3]; 4] = [[0xff, 0xff, 0xff], [0xcb, 0xd5, 0xe0], [0x31, 0x82, 0xce], [0xc5, 0x30, 0x30]];
const LINE: u8 = 1;
const GOOD: u8 = 2;
const BAD: u8 = 3;

/// Rows of the line below the bars.
const BASE: usize = 2;

/// A bar that is not nothing has at least so many rows, so that one of a thousand is seen.
const LEAST: usize = 6;

/// The number of each point's colour, row by row.
pub fn drawn(plot: &Plot) -> Vec<u8> {
    let mut pixels = vec![0_u8; WIDTH * HEIGHT];
    let mut fill = |columns: std::ops::Range<usize>, rows: std::ops::Range<usize>, colour: u8| {
        for row in rows {
            let line = pixels.get_mut(row * WIDTH + columns.start..row * WIDTH + columns.end).unwrap_or_default();
            line.fill(colour);
        }
    };
    fill(0..WIDTH, HEIGHT - BASE..HEIGHT, LINE);
    let room = HEIGHT - BASE;
    let highest = plot.bars.iter().map(|bar| bar.good.saturating_add(bar.bad)).max().unwrap_or(0).max(1);
    let high = |value: u64| {
        let rows = u128::from(value) * room as u128 / u128::from(highest);
        let rows = usize::try_from(rows).unwrap_or(room).min(room);
        if value > 0 { rows.max(LEAST) } else { 0 }
    };
    let step = WIDTH / plot.bars.len().max(1);
    let gap = (step / 5).max(1);
    for (number, bar) in plot.bars.iter().enumerate() {
        let left = number * step;
        let columns = left..(left + step).saturating_sub(gap);
        let (good, bad) = (high(bar.good), high(bar.bad));
        let good = good.min(room.saturating_sub(bad));
        fill(columns.clone(), room - good..room, GOOD);
        fill(columns, room - good - bad..room - good, BAD);
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::page::Bar;

    #[test]
    fn bars_are_as_high_as_they_should_be() {
        let bars = vec![Bar { good: 100, bad: 0 }, Bar { good: 50, bad: 50 }, Bar { good: 0, bad: 0 }];
        let pixels = drawn(&Plot { bars, ..Plot::default() });
        let high = |column: usize, colour: u8| (0..HEIGHT).filter(|row| pixels[row * WIDTH + column] == colour).count();
        let step = WIDTH / 3;
        assert_eq!((high(0, GOOD), high(0, BAD)), (198, 0));
        assert_eq!((high(step, GOOD), high(step, BAD)), (99, 99));
        assert_eq!((high(2 * step, GOOD), high(2 * step, BAD)), (0, 0));
        // However many bars, and however high, they stay in the picture.
        let odd = Bar { good: 1, bad: u64::MAX / 2 };
        assert!((0..3000).step_by(299).all(|many| drawn(&Plot { bars: vec![odd; many], ..Plot::default() }).len() == WIDTH * HEIGHT));
    }
}
