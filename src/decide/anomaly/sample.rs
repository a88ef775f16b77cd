//! A sample of what a push has brought, and what it says of the whole.

use crate::terms::limits::{LEAST_SAMPLED, MAX_SAMPLED};

/// What is sampled by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Files that were there before.
    Changed,
    /// Others.
    Added,
}

/// A sample of each kind: [`MAX_SAMPLED`] files, each as likely as any other (Vitter's algorithm R).
#[derive(Debug, Default)]
pub struct Sample {
    changed: Reservoir,
    added: Reservoir,
    state: u64,
}

/// What was found of a kind.
#[derive(Debug, Default)]
struct Reservoir {
    seen: u64,
    found: Vec<bool>,
}

/// What a sample says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sampled {
    /// Of so many files that changed,
    pub changed: u64,
    /// so many compressed before and do not compress now.
    pub turned: u64,
    /// Of so many files that were added,
    pub added: u64,
    /// so many do not compress.
    pub dense: u64,
}

impl Sample {
    /// One that nobody can foresee, given a random `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed | 1, ..Self::default() }
    }

    /// Takes the next file. `measure` is asked for one in the sample: whether it is what is looked
    /// for, or `None` where that cannot be told.
    pub fn take(&mut self, kind: Kind, measure: impl FnOnce() -> Option<bool>) {
        let draw = self.draw();
        let reservoir = match kind {
            Kind::Changed => &mut self.changed,
            Kind::Added => &mut self.added,
        };
        let place = if reservoir.found.len() < MAX_SAMPLED { u64::MAX } else { draw % (reservoir.seen + 1) };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if place < MAX_SAMPLED || reservoir.found.len() < MAX_SAMPLED {
            let Some(found) = measure() else { return };
            match reservoir.found.get_mut(place) {
                Some(one) => *one = found,
                None => reservoir.found.push(found),
            }
        }
        reservoir.seen += 1;
    }

    /// xorshift64*.
    fn draw(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    /// What it says.
    pub fn sampled(&self) -> Sampled {
        let count = |reservoir: &Reservoir| (reservoir.found.len() as u64, reservoir.found.iter().filter(|found| **found).count() as u64);
        let ((changed, turned), (added, dense)) = (count(&self.changed), count(&self.added));
        Sampled { changed, turned, added, dense }
    }
}

impl Sampled {
    /// About how many files were replaced by content that does not compress: of those that changed,
    /// and of those that came under new endings in the place of others.
    pub fn scrambled(&self, changed: u64, renamed: u64) -> u64 {
        let part = |found: u64, of: u64, all: u64| {
            let part = u128::from(found) * u128::from(all) / u128::from(of.max(1));
            if of < LEAST_SAMPLED { 0 } else { u64::try_from(part).unwrap_or(u64::MAX) }
        };
        part(self.turned, self.changed, changed).saturating_add(part(self.dense, self.added, renamed))
    }
}

/// Whether content compresses: of so many bytes, a tenth is saved.
pub fn compresses(bytes: usize, packed: usize) -> bool {
    packed.saturating_mul(10) <= bytes.saturating_mul(9)
}

/// Whether it does not compress at all: not even one byte in fifty is saved. What is between the two
/// is neither.
pub fn is_dense(bytes: usize, packed: usize) -> bool {
    packed.saturating_mul(50) >= bytes.saturating_mul(49)
}
