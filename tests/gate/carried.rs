//! `partial_pushes: merge`: what a push does not send is carried over from the last snapshot, as plain rsync would leave it alone.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

use snapgate::terms::outcome::Outcome;

use crate::parts::{fill, names, policy};
use support::kept::again;
use support::{Gate, can_trace, is_root, mode, must, run, skip};

fn gate() -> Gate {
    Gate::with("", &policy("merge"))
}

#[track_caller]
fn push(gate: &Gate, words: &[&str]) -> (u64, u64, u64) {
    let ran = gate.rsync(&[&["-a"], words].concat());
    let record = gate.record();
    assert_eq!(ran.status, 0, "{ran:?}\n{record:?}");
    assert_eq!(record.result, Outcome::Published, "{record:?}");
    let facts = record.push.unwrap();
    assert!(facts.lost.is_none() && !facts.partial, "{facts:?}");
    (facts.files, facts.received, facts.carried)
}

/// All that is to be seen of a tree, one thing after the other.
fn seen(root: &Path) -> String {
    let script = "find . -printf '%p %y%m %U %G %T@ %l %s %n\n' | sort; find . ! -type l | sort | while read -r f; do \
        getfattr -d -m user \"$f\"; getfacl -c -p -n \"$f\"; done";
    must(Command::new("sh").args(["-c", script]).current_dir(root))
}

fn everything_but_links(root: &Path) -> String {
    let shown = seen(root);
    shown.lines().map(|line| if line.starts_with('.') { line.rsplit_once(' ').unwrap().0 } else { line }).collect::<Vec<_>>().join("\n")
}

#[test]
fn several_plain_pushes_make_one_whole_snapshot() {
    let gate = gate();
    let (etc, home) = (fill(&gate, "etc", 3), fill(&gate, "home", 5));
    assert_eq!(push(&gate, &["--delete", &etc, "backup:etc/"]), (3, 3, 0));
    assert_eq!(push(&gate, &["--delete", &home, "backup:home/"]), (8, 5, 3));
    fs::remove_file(gate.source("etc").join("0")).unwrap();
    assert_eq!(push(&gate, &["--delete", &etc, "backup:etc/"]), (7, 0, 5));
    assert_eq!(names(&gate.newest()), ["etc", "home"]);
    assert_eq!(names(&gate.newest().join("etc")), ["1", "2"]);
    let inode = |place: &str| fs::metadata(place).unwrap().ino();
    let of = |snapshot: &str, name: &str| inode(&gate.inside("snapshots").join(snapshot).join(name).display().to_string());
    let all = gate.snapshots();
    assert_eq!(of(&all[1], "home/1"), of(&all[2], "home/1"));
    assert_eq!(of(&all[0], "etc/1"), of(&all[2], "etc/1"));
    let list = run(&mut gate.snapgate(&["list", "web1"])).exits(0).stdout;
    assert!(list.lines().last().unwrap().contains("5 carried over"), "{list}");
    gate.flush();
    assert!(
        gate.mails().iter().any(|mail| mail.contains("Carried:") && mail.contains("5 files of the snapshot before")),
        "{:?}",
        gate.mails().last()
    );
}

#[test]
fn a_push_means_what_it_means_to_plain_rsync() {
    // What the second push is, and what plain rsync makes of the first one with it. Excluded files are the one difference.
    for (words, place) in [
        (vec!["--include=/1", "--exclude=*"], ""),
        (vec!["--include=/1", "--exclude=*"], "deep/"),
        (vec![], ""),
        (vec!["-R"], ""),
        (vec!["--delete"], ""),
        (vec!["--delete"], "deep/"),
        (vec!["--delete-after"], "deep/deeper"),
        (vec!["--max-delete=0", "--delete"], ""),
        (vec![], "new/place/"),
    ] {
        let gate = gate();
        let (first, second) = (fill(&gate, "first", 3), fill(&gate, "second", 2));
        for name in ["first/deep", "first/deep/deeper", "first/kept", "second/deep", "second/only"] {
            fill(&gate, name, 2);
        }
        fs::write(gate.source("second").join("1"), "changed").unwrap();
        symlink("elsewhere", gate.source("first").join("link")).unwrap();
        must(Command::new("touch").args(["-h", "-d", "2025-02-02"]).arg(gate.source("first").join("link")));
        for name in ["first", "first/deep", "first/deep/deeper", "first/kept", "second", "second/deep", "second/only"] {
            let number = u32::try_from(name.len()).unwrap();
            mode(&gate.source(name), 0o700 + number);
            must(Command::new("touch").args(["-d", &format!("2025-01-{number:02}")]).arg(gate.source(name)));
        }
        let plain = gate.source("plain").display().to_string();
        for (source, options, place) in [(&first, &vec![], ""), (&second, &words, place)] {
            let to = |to: String| {
                [&["-a"], options.as_slice(), &["--mkpath", source, &to]].concat().iter().map(ToString::to_string).collect::<Vec<_>>()
            };
            // With `--max-delete` it says 25.
            run(Command::new("rsync").args(to(format!("{plain}/{place}"))));
            let ours = to(format!("backup:{place}"));
            gate.rsync(&ours.iter().map(String::as_str).collect::<Vec<_>>()).exits(0);
        }
        let (found, wanted) = (everything_but_links(&gate.newest()), everything_but_links(Path::new(&plain)));
        let without_new = |text: &str| {
            text.lines().filter(|line| !line.contains("new") && !line.starts_with(". ")).map(str::to_owned).collect::<Vec<_>>()
        };
        // A directory that the server made by itself has the time of that, and what it is in has plain rsync's.
        let (found, wanted) =
            if place.starts_with("new") { (without_new(&found), without_new(&wanted)) } else { (vec![found], vec![wanted]) };
        assert!(found == wanted || words == ["-R"], "{words:?} {place}\n{found:#?}\n{wanted:#?}");
    }
}

#[test]
fn a_single_file_changes_nothing_else() {
    let gate = gate();
    let data = fill(&gate, "data", 30);
    fill(&gate, "data/deep", 3);
    mode(&gate.source("data/deep"), 0o750);
    must(Command::new("touch").args(["-d", "2024-02-03 04:05:06.789"]).args([gate.source("data/deep"), gate.source("data")]));
    push(&gate, &["--delete", &data, "backup:"]);
    let (first, names_before) = (gate.newest(), names(&gate.newest()));
    let stats = |root: &Path| {
        ["", "deep"].map(|name| fs::metadata(root.join(name)).map(|found| (found.mode(), found.mtime(), found.mtime_nsec())).unwrap())
    };
    let before = stats(&first);
    let (file, deep) = (format!("{data}7"), format!("{data}deep/1"));
    for number in 0..3 {
        fs::write(&file, vec![b'y'; 10 + number]).unwrap();
        assert_eq!(push(&gate, &[&file, "backup:"]), (33, 1, 32));
        fs::write(&deep, vec![b'y'; 10 + number]).unwrap();
        assert_eq!(push(&gate, &[&deep, "backup:deep/"]), (33, 1, 32));
    }
    assert_eq!((names(&gate.newest()), stats(&gate.newest())), (names_before, before));
    assert_eq!(fs::read(gate.newest().join("7")).unwrap().len(), 12);
    assert_eq!(fs::read(first.join("7")).unwrap().len(), 1000, "history is as it was");
    assert_eq!(push(&gate, &["--delete", &data, "backup:"]), (33, 0, 0));
}

#[test]
fn a_transaction_is_merged_like_the_pushes_in_it() {
    let gate = gate();
    let all: Vec<_> = ["a", "b", "c"].iter().map(|name| fill(&gate, name, 3)).collect();
    push(&gate, &["--delete", &format!("{}/", gate.source("a").parent().unwrap().display()), "backup:"]);
    for name in ["a", "b"] {
        fs::remove_file(gate.source(name).join("0")).unwrap();
    }
    gate.say("prepare").exits(0);
    gate.rsync(&["-a", "--delete", &all[0], "backup:a/"]).exits(0);
    gate.rsync(&["-a", &all[1], "backup:b/"]).exits(0);
    gate.say("complete 0").exits(0);
    let facts = gate.record().push.unwrap();
    assert_eq!((facts.files, facts.linked, facts.received, facts.carried), (8, 8, 0, 4), "{facts:?}");
    let newest = gate.newest();
    assert_eq!(["a", "b", "c"].map(|name| names(&newest.join(name)).len()), [2, 3, 3]);
}

#[test]
fn what_a_directory_has_is_carried_over() {
    let gate = gate();
    let (data, other) = (gate.source("data"), fill(&gate, "other", 1));
    fill(&gate, "data/dir/inner", 2);
    fill(&gate, "data/closed", 1);
    // An account's rsync cannot make files in such directories, nor store the lists of others.
    let lists = "setfacl -m u:1:r-x,m::r-x dir; setfacl -d -m u:2:rwx dir; chown -h 33:8 dir/inner dir/link dir/inner/1; chmod 000 closed;";
    let (lists, closed, letters) = if is_root() { (lists, 2555, "-AXH") } else { ("", 2755, "-XH") };
    let script = "setfattr -n user.note -v kept dir/inner; ln dir/inner/0 dir/twin; ln -s /etc/passwd dir/link; mkfifo dir/fifo; \
        chmod 555 dir; touch -d '2025-05-05 05:05:05.5' dir/inner dir closed";
    must(Command::new("sh").args(["-c", &format!("{script}; {lists} chmod {closed} dir/inner")]).current_dir(&data));
    let from = format!("{}/", data.display());
    push(&gate, &[letters, &from, "backup:data/"]);
    let first = gate.newest();
    push(&gate, &[&other, "backup:other/"]);
    assert_eq!(everything_but_links(&gate.newest().join("data")), everything_but_links(&first.join("data")));
    // And again from there.
    push(&gate, &[&other, "backup:"]);
    assert_eq!(everything_but_links(&gate.newest().join("data")), everything_but_links(&first.join("data")));
    mode(&data.join("dir"), 0o755);
    mode(&data.join("closed"), 0o755);
}

#[test]
fn owners_that_are_kept_are_carried_over() {
    let tests = [
        "carried::several_plain_pushes_make_one_whole_snapshot",
        "carried::a_single_file_changes_nothing_else",
        "carried::what_a_directory_has_is_carried_over",
        "carried::a_transaction_is_merged_like_the_pushes_in_it",
        "carried::no_planted_link_leads_anywhere",
        "parts::of_two_pushes_with_delete_into_one_place_of_a_transaction_the_later_one_counts",
    ];
    again(&tests);
}

#[test]
fn no_planted_link_leads_anywhere() {
    let gate = gate();
    let outside = gate.source("outside");
    fs::write(outside.join("secret"), "x").unwrap();
    mode(&outside, 0o751);
    let data = gate.source("data");
    for name in ["place", "beside"] {
        symlink(&outside, data.join(name)).unwrap();
    }
    symlink("place", data.join("again")).unwrap();
    let before = seen(&outside);
    push(&gate, &[&format!("{}/", data.display()), "backup:"]);
    let first = seen(&gate.newest());
    let file = fill(&gate, "file", 1);
    for place in ["backup:place/", "backup:again/deeper/", "backup:beside"] {
        push(&gate, &[&file, place]);
    }
    let newest = gate.newest();
    assert_eq!(["place", "again/deeper", "beside"].map(|place| names(&newest.join(place))), [["0"], ["0"], ["0"]]);
    assert!(newest.join("place").symlink_metadata().unwrap().is_dir() && newest.join("again").symlink_metadata().unwrap().is_dir());
    assert_eq!(seen(&outside), before);
    // The links themselves have more names since, and nothing else.
    let old = gate.inside("snapshots").join(&gate.snapshots()[0]);
    let kinds = |text: &str| text.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert_eq!(kinds(&seen(&old)), kinds(&first));
}

#[test]
fn what_its_owner_may_not_look_into_is_carried_over_all_the_same() {
    let gate = gate();
    let (data, other) = (fill(&gate, "data", 1), fill(&gate, "other", 1));
    push(&gate, &[&data, "backup:data/"]);
    mode(&gate.newest().join("data"), 0o000);
    gate.rsync(&["-a", &other, "backup:other/"]).exits(0);
    let record = gate.record();
    let push = record.push.unwrap();
    assert!(!push.partial && push.carried == 1 && record.warnings.is_empty(), "{:?}", record.warnings);
    let data = gate.newest().join("data");
    assert_eq!(fs::metadata(&data).unwrap().mode() & 0o7777, 0);
    mode(&data, 0o700);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
}

#[test]
fn an_empty_source_takes_nothing_away() {
    let gate = gate();
    let (etc, home) = (fill(&gate, "etc", 3), fill(&gate, "home", 3));
    push(&gate, &[&etc, "backup:etc/"]);
    push(&gate, &[&home, "backup:home/"]);
    fs::remove_dir_all(gate.source("etc")).unwrap();
    gate.source("etc");
    for delete in ["--delete", "--stats"] {
        let ran = gate.rsync(&["-a", delete, &etc, "backup:etc/"]).exits(65);
        assert_eq!((ran.code(), gate.snapshots().len()), (Some("unpublished"), 2));
    }
    // There was nothing there.
    assert_eq!(push(&gate, &[&etc, "backup:empty/"]), (6, 0, 6));
}

#[test]
fn a_disk_without_room_for_the_rest_leaves_history_alone_and_the_next_push_goes_on() {
    if !is_root() {
        return skip("only root can mount a small disk");
    }
    let gate = gate();
    let (tree, one) = (gate.source("tree"), fill(&gate, "one", 1));
    for number in 0..100 {
        fs::create_dir(tree.join(number.to_string())).unwrap();
    }
    fs::write(tree.join("0/file"), "x").unwrap();
    let dir = gate.path().display().to_string();
    // In a mount namespace that lasts as long as the pushes do.
    let script = format!(
        "mount -t tmpfs -o size=40m,nr_inodes=$1,mode=755 none {dir}/store && cd / && shift && \
         rsync -a -e \"$RSH\" {tree}/ backup: && before=$(find {dir}/store/web1/snapshots | wc -l) && \
         ! rsync -a -e \"$RSH\" {one} backup:one/ && test $(find {dir}/store/web1/snapshots | wc -l) = $before && \
         test ! -e {dir}/store/web1/.snapgate/carried && mount -o remount,nr_inodes=1000 {dir}/store && \
         rsync -a -e \"$RSH\" {one} backup:one/ && ls {dir}/store/web1/current | wc -l && ls {dir}/store/web1/.snapgate",
        tree = tree.display()
    );
    let rsh = format!("/usr/bin/env WRAP= /bin/sh {dir}/ssh");
    let ran = run(Command::new("unshare").args(["-m", "sh", "-c", &format!("RSH='{rsh}'; {script}"), "sh", "185"]));
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("101\n") && !ran.stdout.contains("carried"), "{ran:?}");
    assert!(ran.stderr.contains("(code store)"), "{}", ran.stderr);
}

#[test]
fn no_push_without_it_looks_for_anything_to_carry_over() {
    if !can_trace() {
        return;
    }
    let calls = |word: &str| {
        let gate = Gate::with("", &policy(word));
        let data = fill(&gate, "data", 50);
        fill(&gate, "data/deep", 50);
        gate.push(Path::new(&data), &[]).exits(0);
        let log = gate.path().join("calls");
        // Only calls that look at files: how often it waits depends on what else the machine does.
        let wrap = format!("strace -qq -e trace=%file,getdents64 -o {}", log.display());
        // All of it is replaced.
        run(&mut gate.push_command(Path::new(&data), &[], &wrap)).exits(0);
        fs::read_to_string(&log).unwrap().lines().count()
    };
    let (publish, merge) = (calls("publish"), calls("merge"));
    assert!(publish.abs_diff(merge) < 60, "{publish} {merge}");
}
