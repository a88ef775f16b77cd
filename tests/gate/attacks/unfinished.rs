//! What is left of a push that failed, and what stands where unfinished files are left.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use snapgate::terms::outcome::Outcome;

use super::{Scene, WITHOUT_A_VIEW, write};
use crate::jail::where_there_is_no_view;
use support::{Gate, POLICY, can_trace, must, run};

fn a_name_of_history_is_left_among_the_unfinished(site: &str) {
    let mut scene = Scene::taken_over(site, "", "small.c", "history_among_the_unfinished", &[]);
    let ran = scene.say(super::PUSH);
    assert_eq!(scene.gate.record().result, Outcome::Failed, "{ran:?}");
    scene.is_unharmed();
    // And the next one clears it away.
    scene.rsync_is(None);
    scene.gate.push(&scene.gate.source("data"), &[]).exits(0);
    scene.is_unharmed();
}

#[test]
fn a_name_of_history_among_unfinished_files_is_not_touched_by_who_tidies_up() {
    a_name_of_history_is_left_among_the_unfinished("");
}

#[test]
fn nor_is_it_where_there_is_no_view() {
    where_there_is_no_view(|| a_name_of_history_is_left_among_the_unfinished(WITHOUT_A_VIEW));
}

/// The client publishes directories whose names it guesses, and has a file of theirs linked by a push that fails.
#[test]
fn a_client_that_guesses_where_unfinished_files_are_left_changes_nothing() {
    const GUESSES: u64 = 160;
    let mut scene = Scene::new("", "limits: { bytes: 8M }\n");
    let source = scene.gate.source("guesses");
    for round in 0..3 {
        // The numbers of directories follow one another: of one that is gone the client learns what the next one gets, and how many
        // lie between. Here the test looks for it.
        let dir = source.join(round.to_string());
        for guess in 0..GUESSES {
            write(&dir.join(format!("d{guess}/victim")), b"guessed\n");
        }
        let probe = scene.gate.inside("probe");
        fs::create_dir(&probe).unwrap();
        let next = fs::metadata(&probe).unwrap().ino() + 2 * GUESSES + 2;
        fs::remove_dir(&probe).unwrap();
        for guess in 0..GUESSES {
            let name = format!(".~snapgate-{}~", next + guess - GUESSES / 4);
            fs::rename(dir.join(format!("d{guess}")), dir.join(name)).unwrap();
        }
        super::age(&dir);
        scene.gate.push(&dir, &[]).exits(0);
        scene.remember();
        File::create(dir.join("too-large")).unwrap().set_len(20 << 20).unwrap();
        scene.gate.push(&dir, &["--whole-file"]);
        scene.settle();
        assert_eq!(scene.gate.record().result, Outcome::Failed);
        scene.is_unharmed();
        must(Command::new("rm").arg("-rf").arg(scene.gate.inside(".snapgate/interrupted")));
    }
}

/// Seconds that unfinished files may once have been known by, and files of clients may have all the same: trees of ostree have 0.
const TIMES: [i64; 5] = [1, -1, -2_147_483_648, 1_767_261_600, 0];

fn set_time(path: &Path, seconds: i64) {
    must(Command::new("touch").args(["-d", &format!("@{seconds}")]).arg(path));
}

#[test]
fn an_unfinished_file_is_never_taken_for_the_whole_one_whatever_time_that_has() {
    let mut scene = Scene::new("", "");
    for seconds in TIMES {
        scene.take_over("small.c", "unfinished", &[]);
        scene.say(super::PUSH);
        assert!(scene.gate.record().push.unwrap().kept, "{seconds}: nothing was left");
        scene.rsync_is(None);
        let source = scene.gate.source(&format!("at-{seconds}"));
        write(&source.join("file"), &[7; 100_000]);
        set_time(&source.join("file"), seconds);
        scene.gate.push(&source, &[]).exits(0);
        let found = fs::read(scene.gate.newest().join("file")).unwrap();
        assert!(found == [7; 100_000], "what had arrived of a file of {seconds} is published as the file");
        assert_eq!(fs::metadata(scene.gate.newest().join("file")).unwrap().mtime(), seconds);
        scene.is_unharmed();
    }
}

/// As after a read error on the client and a broken line: rsync itself leaves a file of the right size that is not the file.
#[test]
fn a_file_of_1970_that_could_not_be_read_is_sent_again() {
    if !can_trace() {
        return;
    }
    let gate = Gate::with("", &format!("{POLICY}limits: {{ bytes: 8M }}\n"));
    let source = gate.source("data");
    let failing = source.join("failing");
    write(&failing, &vec![b'x'; 3_000_000]);
    let epoch = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::ZERO);
    File::options().write(true).open(&failing).unwrap().set_times(epoch).unwrap();
    File::create(source.join("too-large")).unwrap().set_len(20 << 20).unwrap();
    let client = gate.push_command(&source, &["--whole-file"], "");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(&failing);
    command.args(["-e", "trace=read", "-e", "inject=read:error=EIO:when=3+"]);
    command.arg(client.get_program()).args(client.get_args());
    assert_ne!(run(&mut command).status, 0);
    support::until("the gate has ended", || support::processes::of(gate.path(), "snapgate-shell").is_empty());
    assert!(gate.record().push.unwrap().kept);
    let left = gate.inside(".snapgate/interrupted/1/failing");
    assert!(fs::read(&left).unwrap() != fs::read(&failing).unwrap(), "it was to be unfinished");
    fs::remove_file(source.join("too-large")).unwrap();
    gate.push(&source, &[]).exits(0);
    assert!(fs::read(gate.newest().join("failing")).unwrap() == fs::read(&failing).unwrap(), "the unfinished file is published");
}
