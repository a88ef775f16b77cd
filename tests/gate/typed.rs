//! What `explain` says that a typed line becomes is what a real rsync sends.

use std::fs;
use std::process::Command;

use snapgate::decide::rsync::typed::{Typed, typed};

use support::{mode, run};

/// Lines as people type them; `SRC` is a directory that is there.
const LINES: &[&str] = &[
    "rsync -a SRC/ backup:",
    "rsync -az --delete SRC/ backup:",
    "rsync -avz --progress --exclude '*.tmp' --exclude=/x SRC backup:data",
    "rsync -avP SRC/ me@backup:/data/",
    "rsync -aHAX --numeric-ids --delete SRC/ backup:",
    "rsync -rltpD --stats -h SRC/ backup:",
    "rsync -rlptD -x --sparse --bwlimit=1000 --timeout=60 SRC/ backup:",
    "rsync -a --no-owner --no-group --no-perms SRC/ backup:",
    "rsync -ai --delete-during --force SRC/ backup:",
    "rsync -a --delete-after SRC/ backup:",
    "rsync -a --delete-delay --delay-updates SRC/ backup:",
    "rsync -aR --inplace --partial SRC/ backup:",
    "rsync -a --link-dest=../old SRC/ backup:",
    "rsync -a --backup --backup-dir=old SRC/ backup:",
    "rsync -azz -c -I -u -n SRC/ backup:",
    "rsync -a --max-size=1000 --min-size 10 --ignore-existing SRC/ backup:",
    "rsync -a --chmod=go-w --chown=root:backup SRC/ backup:",
    "rsync -dt -W -yy -m -O -J SRC/ backup:",
    "rsync -a -M--fake-super --rsync-path='sudo rsync' SRC/ backup:",
    "rsync -aL -k -K SRC/ backup:",
    "rsync -a --append SRC/ backup:",
    "rsync -a -T /tmp SRC/ backup:",
    "rsync -aq --compress-choice=zstd --checksum-choice=md5 SRC/ backup:",
    "rsync -a --size-only --modify-window=2 --safe-links SRC/ backup:",
    "rsync -a --remove-source-files SRC/ backup:",
    "rsync -a --files-from=LIST SRC/ backup:",
    "rsync -a backup:etc/ SRC/",
    "rsync -a SRC/ [2001:db8::1]:etc",
    "rsync -a SRC/ me@[2001:db8::1]:",
];

#[test]
fn what_a_typed_line_becomes_is_what_rsync_sends() {
    let dir = tempfile::tempdir().unwrap();
    let (seen, shell, source) = (dir.path().join("seen"), dir.path().join("rsh"), dir.path().join("src"));
    fs::create_dir(&source).unwrap();
    fs::write(dir.path().join("list"), "x\n").unwrap();
    // The host, perhaps with `-l me` before it, and then the command.
    let text = format!("#!/bin/sh\n[ \"$1\" = -l ] && shift 2\nshift\nprintf '%s\\n' \"$@\" > {}\nexit 1\n", seen.display());
    fs::write(dir.path().join("rsh.text"), text).unwrap();
    mode(&dir.path().join("rsh.text"), 0o755);
    fs::copy(dir.path().join("rsh.text"), &shell).unwrap();
    let mut wrong = Vec::new();
    for line in LINES {
        let line = line.replace("SRC", &source.display().to_string()).replace("LIST", &dir.path().join("list").display().to_string());
        let words = shell_words::split(&line).unwrap();
        let _ = fs::remove_file(&seen);
        run(Command::new("/bin/sh").arg("-c").arg(format!("RSYNC_RSH='/bin/sh {}' exec \"$@\"", shell.display())).arg("sh").args(&words));
        let real = fs::read_to_string(&seen).unwrap_or_else(|_| panic!("{line} came to no shell"));
        let real: Vec<_> = real.lines().flat_map(|word| word.split(' ')).map(|word| word.replace('\\', "")).collect();
        let Some(Typed::Sends(ours)) = typed(&line) else { panic!("{line}: {:?}", typed(&line)) };
        let ours: Vec<_> = shell_words::split(&ours.concat()).unwrap();
        // In which order options are sent differs from one release to the next.
        let sorted = |words: &[String]| {
            let mut words = words.to_vec();
            words.sort();
            words
        };
        if sorted(&ours) != sorted(&real) {
            wrong.push(format!("{line}\n  sends  {}\n  told   {}", real.join(" "), ours.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
