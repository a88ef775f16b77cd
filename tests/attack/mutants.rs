//! An honest session, recorded, and sent again with bytes changed, added and left out, by a seeded generator: whatever
//! comes of it, history stays, and it ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::entry::Entry;
use crate::lab::{Lab, base};
use crate::sender::{self, Session};
use support::facts::Reads;

/// As long as the suite has for it. `make hostile` says how many there are to be, in `HOSTILE_MUTANTS`.
const SHORT: Duration = Duration::from_secs(8);

/// On a busy machine it takes longer rather than trying fewer.
const LEAST: usize = 20;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// One change or two.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const TELLING: [u8; 12] = [0, 1, 2, 0x7f, 0x80, 0x81, 0x82, 0x83, 0xfe, 0xff, b'.', b'/'];
    for _ in 0..=random.below(6) / 3 {
        // The version is left alone: without it nothing else is looked at.
        let at = 4 + random.below(bytes.len().saturating_sub(4));
        let value = if random.below(2) == 0 { TELLING[random.below(TELLING.len())] } else { random.next().to_le_bytes()[0] };
        match random.below(6) {
            0 | 1 if at < bytes.len() => bytes[at] = value,
            2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            3 => bytes.insert(at, value),
            4 => {
                let end = (at + 1 + random.below(9)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            _ => {
                // A part once more, somewhere else.
                let end = (at + 1 + random.below(60)).min(bytes.len());
                let part: Vec<u8> = bytes[at.min(end)..end].to_vec();
                let to = 4 + random.below(bytes.len().saturating_sub(4));
                bytes.splice(to..to, part);
            }
        }
    }
}

/// The options and lists of the recorded sessions. None deletes: what is sent before it is asked for would be deleted while
/// it is received.
fn sessions() -> Vec<(u32, &'static str, Vec<Entry>)> {
    let mut list = base();
    list.push(Entry::file("aa", "content of a\n").linked(1, false));
    list[1] = Entry::file("a", "content of a\n").linked(1, true);
    list.push(Entry::file("new", &"new content\n".repeat(20)).mode(0o640));
    vec![
        (29, "-logtpr", base()),
        (30, "-logDtprX --numeric-ids", base()),
        (31, "-logDtprHXA --numeric-ids", list.clone()),
        (32, "-logDtprHXAcR --numeric-ids", list),
    ]
}

/// A mutant's fate: sent in one go, the answers read until the line is closed or silent for so long.
fn send(lab: &Lab, options: &str, bytes: &[u8], patience: Duration) -> (i32, bool) {
    let mut session = Session::start(&lab.gate, &format!("rsync --server {options} --timeout=1 . ."));
    let _ = session.send(bytes);
    session.listen(patience);
    let began = Instant::now();
    let (ran, _) = session.end();
    (ran.status, began.elapsed() > Duration::from_secs(20))
}

#[test]
fn a_changed_session_never_changes_history() {
    let long: Option<usize> = std::env::var("HOSTILE_MUTANTS").ok().and_then(|count| count.parse().ok());
    let began = Instant::now();
    let mut endings: BTreeMap<i32, usize> = BTreeMap::new();
    let (mut count, mut lab) = (0_usize, Lab::new());
    // A mutant may make rsync copy a file of history, and that may leave a trace (`copies`).
    lab.reads = Reads::Files;
    let recorded: Vec<_> = sessions()
        .into_iter()
        .map(|(protocol, options, list)| {
            let mut session = Session::open(&lab.gate, protocol, options).unwrap();
            let _ = session.list(&list);
            session.finish();
            let sent = session.sent.clone();
            assert_eq!(session.end().0.status, 0, "the honest session fails");
            (options, sent)
        })
        .collect();
    assert_eq!(lab.changes(Reads::Files), [""; 0]);
    for (options, sent) in &recorded {
        assert_eq!(send(&lab, options, sent, Duration::from_secs(20)).0, 0, "the recording is no whole session: {options}");
    }
    while long.map_or(began.elapsed() < SHORT || count < LEAST, |long| count < long) {
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (u64::try_from(count).unwrap() + 1));
        random.next();
        let (options, sent) = &recorded[count % recorded.len()];
        let mut bytes = sent.clone();
        mutate(&mut bytes, &mut random);
        let (status, hung) = send(&lab, options, &bytes, Duration::from_millis(150));
        let changed = lab.changes(Reads::Files);
        assert!(changed.is_empty() && !hung, "mutant {count} ({options}) ended with {status}, hung: {hung}: {changed:#?}");
        *endings.entry(status).or_default() += 1;
        count += 1;
        // Snapshots that mutants make are history from then on; a new server before there are too many to look at.
        if lab.gate.snapshots().len() > 12 {
            lab = Lab::new();
            lab.reads = Reads::Files;
            let _ = sender::push(&lab.gate, 31, "-logDtprX", &base());
            assert_eq!(lab.changes(Reads::Files), [""; 0]);
        }
    }
    println!("\n{count} changed sessions in {:?}; exit statuses and how often: {endings:?}", began.elapsed());
}
