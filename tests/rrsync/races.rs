//! Somebody else with the same key turns a directory into a link while a path is looked up and while rsync runs. Each race is run
//! through both programs; where rrsync loses it that is a difference, and listed with what happens.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::both::{Program, Tree, compared};
use crate::differences;

/// Rounds of each race through ours. A round is a whole transfer, during which the place is flipped thousands of times.
const ROUNDS: usize = 25;

/// The same through rrsync where it is not known to lose. It takes ten times as long before rsync starts.
const THEIR_ROUNDS: usize = 8;

/// As many rounds, or as the variable `RACE_ROUNDS` says, for a long run.
fn rounds(usual: usize) -> usize {
    std::env::var("RACE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

/// How long rrsync is given to lose a race that it is known to lose.
const PATIENCE: Duration = Duration::from_secs(60);

/// One that it loses within a few rounds.
const OFTEN: &str = "-a|local/|h:flip/in/";

/// What came to something outside DIR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Harm {
    /// Nothing.
    None,
    /// Modes or times of what is there, and of no more.
    Changed,
    /// The client got its content.
    Read,
    /// Files appeared, went away, or have another content.
    Written,
}

/// A transfer whose place is turned into a link out of DIR again and again.
pub(crate) struct Race {
    /// The client's words.
    pub(crate) words: &'static str,
    /// Which place is turned, and how.
    turn: Turn,
    /// The worst that comes of it through rrsync 3.5.0.
    pub(crate) theirs: Harm,
    /// The same through ours.
    pub(crate) ours: Harm,
}

#[derive(Clone, Copy)]
enum Turn {
    /// `flip`, a directory, is swapped with a link.
    Swap,
    /// `leaf`, which is not there, is made a link and taken away again.
    Take,
}

const fn swap(words: &'static str, theirs: Harm) -> Race {
    Race { words, turn: Turn::Swap, theirs, ours: Harm::None }
}

pub(crate) const RACES: &[Race] = &[
    swap("-a|h:flip/|got/", Harm::None),
    swap("-a|h:flip/secret|got/", Harm::None),
    swap("-aR|h:flip/./in/|got/", Harm::None),
    swap("-a|h:f*/secret|got/", Harm::None),
    swap("-a|h:flip|got/", Harm::None),
    swap("-a|--files-from=:flips|h:|got/", Harm::None),
    swap("-a|--delete|local/|h:flip/", Harm::Written),
    swap("-a|local/f|h:flip/f", Harm::Written),
    swap("-a|local/|h:flip/in/", Harm::Written),
    swap("-ab|--backup-dir=flip/b|local/|h:dst/", Harm::None),
    swap("-a|--partial-dir=flip/p|local/|h:dst/", Harm::None),
    swap("-a|--temp-dir=flip|local/|h:dst/", Harm::Written),
    swap("-a|--link-dest=flip|local/|h:dst/", Harm::None),
    swap("-a|--copy-dest=flip|local/|h:dst/", Harm::None),
    swap("-a|--mkpath|local/|h:flip/a/b/", Harm::None),
    swap("-a|-M--log-file=flip/log|local/|h:dst/", Harm::Written),
    swap("-aR|local/./sub/|h:flip/", Harm::Written),
    swap("-a|flat/|h:", Harm::None),
    // A name that is not there yet is rsync's to make, as a file or as a directory. A link that takes the name first is followed by
    // rsync's chdir(2), which no jail of Landlock's stops; that nothing is written there is the kernel's doing.
    Race { words: "-a|local/|h:leaf", turn: Turn::Take, theirs: Harm::Written, ours: Harm::Changed },
];

fn tree(words: &str) -> Tree {
    let tree = Tree::aged();
    fs::create_dir_all(tree.at("dir/flip/in")).unwrap();
    fs::write(tree.at("dir/flip/secret"), "public").unwrap();
    fs::write(tree.at("dir/flip/in/deep"), "public").unwrap();
    symlink("../outside", tree.at("dir/flop")).unwrap();
    fs::write(tree.at("dir/flips"), "flip/secret\nflip/in/deep\n").unwrap();
    if words.contains("flat/") {
        fs::create_dir_all(tree.at("flat/flip/in")).unwrap();
        fs::write(tree.at("flat/flip/in/f"), "new").unwrap();
        fs::write(tree.at("flat/flip/f"), "new").unwrap();
    }
    tree
}

/// Turns the place while `work` runs.
fn turning<T>(tree: &Tree, turn: Turn, work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    let (flip, flop, leaf) = (tree.at("dir/flip"), tree.at("dir/flop"), tree.at("dir/leaf"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                match turn {
                    Turn::Swap => {
                        let swapped = renameat2(AT_FDCWD, &flip, AT_FDCWD, &flop, RenameFlags::RENAME_EXCHANGE).is_ok();
                        // A push may replace the link by a directory of its own.
                        if !swapped || !flip.is_symlink() && !flop.is_symlink() {
                            let _ = fs::remove_dir_all(&flop);
                            let _ = symlink("../outside", &flop);
                            let _ = fs::create_dir(&flip);
                        }
                    }
                    Turn::Take => {
                        let _ = symlink("../outside", &leaf);
                    }
                }
                // Still some thousand times for each transfer, and the programs get the processor.
                std::thread::sleep(Duration::from_micros(10));
                if matches!(turn, Turn::Take) && fs::remove_file(&leaf).is_err() {
                    let _ = fs::remove_dir_all(&leaf);
                }
            }
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        done
    })
}

/// All that is outside, with the directory itself: content, and modes, times and links to the nanosecond.
fn everything(tree: &Tree) -> BTreeMap<String, (String, String)> {
    let mut open = vec![tree.at("outside")];
    let mut all = BTreeMap::new();
    while let Some(path) = open.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        let times = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
        let metadata = format!("{:o} {} {} {} {times:?}", found.mode(), found.uid(), found.gid(), found.nlink());
        let content = if found.is_file() { String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned() } else { String::new() };
        if found.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        all.insert(path.display().to_string(), (content, metadata));
    }
    all
}

fn harm(tree: &Tree, before: &BTreeMap<String, (String, String)>) -> Harm {
    let now = everything(tree);
    let contents = |all: &BTreeMap<String, (String, String)>| {
        all.iter().map(|(name, (content, _))| (name.clone(), content.clone())).collect::<Vec<_>>()
    };
    let got = format!("{:?}", tree.listing("got"));
    match () {
        () if contents(&now) != contents(before) => Harm::Written,
        () if got.contains("\\\"secret") || got.contains("\\\"deep\\\"") => Harm::Read,
        () if now != *before => Harm::Changed,
        () => Harm::None,
    }
}

/// The worst of so many rounds, and how many of them ended well. Ends as soon as it is as bad as `enough`.
fn run(program: Program, race: &Race, enough: Harm, rounds: usize) -> (Harm, usize) {
    let tree = tree(race.words);
    let before = everything(&tree);
    let (mut worst, mut well) = (Harm::None, 0);
    turning(&tree, race.turn, || {
        for _ in 0..rounds {
            let _ = fs::remove_dir_all(tree.at("got"));
            let output = tree.rsync(program, "-no-lock", race.words).output().unwrap();
            well += usize::from(output.status.success());
            worst = worst.max(harm(&tree, &before));
            if worst >= enough && enough > Harm::None {
                break;
            }
        }
    });
    (worst, well)
}

/// While the place is turned a busy machine may let no round through; where it stands still every one goes through, so a round that
/// fails is one that lost its place.
#[test]
fn no_race_lets_anything_outside_be_read_or_written() {
    let mut all_well = 0;
    for race in RACES {
        let still = tree(race.words).rsync(Program::Ours, "-no-lock", race.words).output().unwrap();
        assert!(still.status.success(), "{} where nothing is turned: {}", race.words, String::from_utf8_lossy(&still.stderr));
        let (worst, well) = run(Program::Ours, race, Harm::Written, rounds(ROUNDS));
        println!("snapgate  {:50}  expected: {:?}  found: {worst:?}, {well} of {} went through", race.words, race.ours, rounds(ROUNDS));
        assert!(worst <= race.ours, "{}: {worst:?}", race.words);
        all_well += well;
    }
    assert!(all_well > 0, "nothing ever went through where something turned");
}

/// A race that is lost is lost now and then. So what is stated of rrsync is the worst that was seen in a long run, and each
/// short one may do no worse; that it loses at all has to show in every one.
#[test]
fn rrsync_loses_the_races_that_are_listed_and_no_others() {
    if !compared("races through rrsync") {
        return;
    }
    differences::races_are_listed(RACES);
    let mut lost = 0;
    for race in RACES {
        let (worst, _) = run(Program::Theirs, race, race.theirs, rounds(THEIR_ROUNDS));
        println!("rrsync    {:50}  at worst: {:?}  found: {worst:?}", race.words, race.theirs);
        assert!(worst <= race.theirs, "{}: {worst:?} is not listed", race.words);
        lost += usize::from(worst > race.ours);
    }
    let often = RACES.iter().find(|race| race.words == OFTEN).unwrap();
    let began = Instant::now();
    while lost == 0 && began.elapsed() < PATIENCE {
        lost += usize::from(run(Program::Theirs, often, often.theirs, THEIR_ROUNDS).0 > often.ours);
    }
    assert!(lost > 0, "rrsync lost no race: is it another one by now?");
}
