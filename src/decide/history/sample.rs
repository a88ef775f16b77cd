//! Which files of a snapshot a drill restores.
//!
//! The same seed has to mean the same files of the same snapshot, in whatever order a directory
//! lists them.

use std::collections::BTreeMap;

use hmac_sha256::Hash;

/// A file that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// Where it is in the snapshot.
    pub path: Vec<u8>,
    /// Its size.
    pub size: u64,
}

/// A sample: so many files, each as likely as any other. It remembers no more than these, however
/// many there are: those whose path and seed have the smallest sums.
#[derive(Debug)]
pub struct Sample {
    seed: u64,
    most: usize,
    kept: BTreeMap<[u8; 32], Picked>,
}

impl Sample {
    /// An empty one.
    pub fn new(seed: u64, most: usize) -> Self {
        Self { seed, most, kept: BTreeMap::new() }
    }

    /// Sees a file.
    pub fn see(&mut self, path: &[u8], size: u64) {
        let mut hash = Hash::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(path);
        let sum = hash.finalize();
        let is_full = self.kept.len() >= self.most;
        if is_full && self.kept.last_key_value().is_none_or(|(last, _)| *last <= sum) {
            return;
        }
        self.kept.insert(sum, Picked { path: path.to_vec(), size });
        if is_full {
            self.kept.pop_last();
        }
    }

    /// The files.
    pub fn into_files(self) -> Vec<Picked> {
        self.kept.into_values().collect()
    }
}

/// Leaves out those that are larger than there is room for a file, as one of holes may be: each
/// sample that has it would fail. What was asked for by name stays, and so do all if none would.
/// Returns how many were left out.
pub fn leave_out_large(files: &mut Vec<Picked>, room: u64, is_named: impl Fn(&Picked) -> bool) -> u64 {
    let stays = |file: &Picked| file.size <= room || is_named(file);
    let before = files.len();
    if files.iter().any(stays) {
        files.retain(stays);
    }
    (before - files.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: u64, most: usize, files: impl Iterator<Item = u32>) -> Vec<Vec<u8>> {
        let mut sample = Sample::new(seed, most);
        files.for_each(|file| sample.see(format!("d/{file}").as_bytes(), 1));
        let mut found: Vec<_> = sample.into_files().into_iter().map(|picked| picked.path).collect();
        found.sort();
        found
    }

    #[test]
    fn the_same_seed_is_the_same_sample_in_whatever_order_and_another_is_another() {
        let forward = sample(7, 20, 0..1000);
        assert_eq!(forward.len(), 20);
        assert_eq!(sample(7, 20, (0..1000).rev()), forward);
        assert_ne!(sample(8, 20, 0..1000), forward);
        assert_eq!(sample(7, 20, 0..10).len(), 10, "all, where there are fewer");
        assert!(sample(7, 0, 0..10).is_empty());
    }

    #[test]
    fn what_no_disk_has_room_for_is_left_out_unless_it_is_named_or_there_is_nothing_else() {
        let file = |path: &str, size| Picked { path: path.into(), size };
        let all = [file("holes", 1 << 50), file("named", 1 << 40), file("small", 10)];
        let mut files = all.to_vec();
        assert_eq!(leave_out_large(&mut files, 10, |file| file.path == b"named"), 1);
        assert_eq!(files, all[1..]);
        assert_eq!((leave_out_large(&mut files, 9, |_| false), files.len()), (0, 2));
    }

    #[test]
    fn every_file_is_as_likely_as_any_other() {
        let mut count = [0_u32; 100];
        for seed in 0..1000 {
            for path in sample(seed, 10, 0..100) {
                let number: usize = String::from_utf8(path).unwrap()[2..].parse().unwrap();
                count[number] += 1;
            }
        }
        // A hundred on the average, with a deviation of less than ten.
        assert!(count.iter().all(|count| (50..150).contains(count)), "{count:?}");
    }
}
