//! Several things done at once: work that waits for disks or for other processes, by a few threads.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

/// As many threads as there are processors for this process.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// The same where a look at the bounds of a container would take longer than the work: as many as this
/// process may run on.
pub fn cores() -> usize {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return 1 };
    (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or_default()).count()
}

/// Does the work for each item, by no more than so many threads; what came of it is in the order of
/// the items. Where a thread cannot be started the others do its share.
pub fn each<T: Send, R: Send>(items: Vec<T>, most: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = most.min(items.len());
    let queue = Mutex::new(items.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let share = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, item)) = next else { return };
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            let _ = thread::Builder::new().spawn_scoped(scope, share);
        }
        share();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn each_is_done_once_and_in_its_place() {
        for (count, most) in [(0, 4), (1, 4), (1000, 1), (1000, 0), (1000, 7)] {
            let wanted: Vec<u32> = (0..count).map(|number| number * 2).collect();
            assert_eq!(each((0..count).collect(), most, |number| number * 2), wanted, "{count} by {most}");
        }
    }

    #[test]
    fn as_many_are_done_at_once_as_may_be() {
        // It ends only where three are at it together.
        let met = Barrier::new(3);
        each(vec![(); 6], 3, |()| met.wait());
    }
}
