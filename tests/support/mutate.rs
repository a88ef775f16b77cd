//! Seeded changes to bytes, for tests that try many: the same seed gives the same bytes on every machine.

/// A generator of numbers (xorshift64*, Vigna 2016); good enough to choose, never for secrets.
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).unwrap() % end
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Some bytes of any kind.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// One to six changes to one of `corpus`, with words of `dictionary` among them.
    pub fn mutant(&mut self, corpus: &[Vec<u8>], dictionary: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.pick(corpus).clone();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            let end = (at + 1 + self.below(8)).min(bytes.len());
            match self.below(8) {
                0 | 1 => drop(bytes.splice(at..at, self.pick(dictionary).iter().copied().chain([b' ']))),
                2 => drop(bytes.splice(at..end, self.pick(dictionary).iter().copied())),
                3 => drop(bytes.drain(at..end)),
                4 => bytes = [&bytes[..at], &self.pick(corpus)[..]].concat(),
                5 => {
                    let piece = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, piece.repeat(1 + self.below(20))));
                }
                6 => {
                    let length = self.below(6);
                    let noise = self.bytes(length);
                    drop(bytes.splice(at..at, noise));
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        bytes
    }
}
