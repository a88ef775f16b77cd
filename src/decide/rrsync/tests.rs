//! Commands for rrsync, without a disk.

use super::flags::Order;
use super::*;
use crate::decide::rsync::argv::Version;
use crate::decide::rsync::transfer::{Keeps, Place, Setup, Spot};
use std::ffi::OsString;
use std::path::Path;

const DIR: &[u8] = b"/srv/d";

fn flags(words: &str) -> Flags {
    let words: Vec<_> = words.split_whitespace().chain(["d"]).map(OsString::from).collect();
    match flags::parse(&words) {
        Ok(Order::Serve(flags)) => flags,
        other => panic!("{other:?}"),
    }
}

fn judged(flag_words: &str, command: &str) -> Result<Transfer, Vec<Reason>> {
    match judge(&flags(flag_words), DIR, &Original::Command(command.as_bytes().to_vec()), None)? {
        Asked::Transfer(transfer) => Ok(*transfer),
        Asked::Probe => panic!("a probe"),
    }
}

/// The arguments of rsync, if every path were open as descriptor 9.
fn printed(flag_words: &str, command: &str, version: Version) -> String {
    let transfer = judged(flag_words, command).unwrap();
    let flags = flags(flag_words);
    let held = || Spot::held("/proc/self/fd/9".into());
    let options = transfer.options().map(|_| Some(held())).collect();
    let keeps = Keeps::Walk(Path::new("/srv/d"));
    let setup = Setup { version, flags: &flags, keeps, spares_times: false, options, paths: vec![held()] };
    transfer::printed(&transfer, &setup).join(std::ffi::OsStr::new(" ")).into_string().unwrap()
}

fn code(flag_words: &str, command: &str) -> &'static str {
    judged(flag_words, command).unwrap_err()[0].code.as_str()
}

const NEW: Version = Version(3, 5, 0);

#[test]
fn options_keep_their_order_and_their_number() {
    let line =
        printed("", "rsync --server -vvvvlogDtpre.iLsfxCIvu --append --append --link-dest a --link-dest=b --no-relative -R . x", NEW);
    assert_eq!(
        line,
        "--server -vvlogDtpre.iLsfxCvu --append --append --link-dest=/proc/self/fd/9 --link-dest=/proc/self/fd/9 --no-relative -R \
         --drop-D --confine-root=/srv/d -- . ."
    );
    assert_eq!(printed("", "rsync --server -g -l -o -v -v -v -v -p . x", NEW), "--server -glovvp --drop-D --confine-root=/srv/d -- . .");
    assert_eq!(
        printed("", "rsync --server -vv --stats -vv -r -v . x", NEW),
        "--server -vv --stats -r --drop-D --confine-root=/srv/d -- . .",
        "what may stand twice may not stand twice in each word"
    );
    assert_eq!(
        printed("", "rsync --server -r -B1024 -@-1 . x", Version(3, 2, 7)),
        "--server -r --block-size=1024 --modify-window=-1 -- . ."
    );
    assert_eq!(
        printed("-munge -no-overwrite", "rsync --server -r . x", NEW),
        "--server -r --drop-D --confine-root=/srv/d --munge-links --ignore-existing -- . ."
    );
    assert_eq!(
        printed("-munge", "rsync --server --sender -lr --backup-dir x . x", NEW),
        "--server --sender -lr --confine-root=/srv/d --munge-links -- . /proc/self/fd/9",
        "what only a receiver needs is not passed on by a sender"
    );
}

#[test]
fn nothing_that_the_client_wrote_as_a_path_reaches_rsync() {
    let line = printed(
        "",
        "rsync --server -r --backup-dir XX --partial-dir XX --temp-dir XX --copy-dest XX --log-file=XX --files-from XX . XX",
        NEW,
    );
    assert!(!line.contains("XX") && line.matches("/proc/self/fd/9").count() == 6, "{line}");
    assert!(printed("", "rsync --server --sender -r --files-from=- --from0 . XX", NEW).contains("--files-from=- "));
}

#[test]
fn rsync_with_something_before_it_is_told_to_leave_that_out_and_nothing_of_snapshots() {
    for front in ["sudo rsync", "mkdir -p a && rsync", "LC_ALL=C nice rsync", "rsync.exe", "umask 077; rsync"] {
        let reason = judged("", &format!("{front} --server -r . a")).unwrap_err().remove(0);
        assert_eq!((reason.code, reason.says), (Code::Program, format!("`{front}` stands where `rsync` has to stand alone")));
        assert_eq!(reason.hint.as_deref(), Some("leave --rsync-path out, so that rsync asks for plain `rsync`"), "{front}");
    }
    let reason = judged("", "mkdir a").unwrap_err().remove(0);
    assert_eq!((reason.says.as_str(), reason.hint.as_deref()), ("`mkdir` cannot be run here", Some("use rsync")));
}

#[test]
fn the_probe_and_nothing_else_is_answered() {
    let say = |original: &Original| judge(&flags("-ro"), DIR, original, None);
    assert_eq!(say(&Original::Command(b"true".to_vec())), Ok(Asked::Probe));
    assert_eq!(say(&Original::Nothing).unwrap_err()[0].code, Code::Login);
    for (command, expected) in [
        ("true;id", "program"),
        ("sh", "program"),
        ("scp -t x", "scp"),
        ("rsync", "command"),
        ("rsync -r --server . x", "command"),
        ("rsync --server -r x", "command"),
        ("rsync --server --daemon . x", "daemon"),
        ("rsync --server -sr . x", "option"),
        ("rsync --server -r . a b", "destinations"),
        ("rsync --server -r . ../a", "path"),
        ("rsync --server -r --backup-dir=../../x . a", "path"),
        ("rsync --server -r --backup-dir=/../x . a", "path"),
        ("rsync --server -r --timeout=0 . a", "option"),
        ("rsync --server -r --link-dest", "command"),
    ] {
        assert_eq!(code("", command), expected, "{command}");
    }
}

#[test]
fn flags_narrow_what_may_be_done() {
    assert_eq!(code("-ro", "rsync --server -r . x"), "read-only");
    assert_eq!(code("-wo", "rsync --server --sender -r . x"), "pull");
    assert_eq!(code("-ro", "rsync --server --sender -r --log-file=l . x"), "option");
    assert_eq!(code("-wo", "rsync --server -r --files-from=l . x"), "option");
    for option in ["--delete", "--del", "--delete-after", "--delete-excluded", "--delete-missing-args", "--remove-source-files", "--force"]
    {
        assert_eq!(code("-no-del", &format!("rsync --server -r {option} . x")), "option", "{option}");
    }
    for option in ["-b", "--backup", "--backup-dir=b", "--partial-dir=p", "--delay-updates", "--log-file=l", "--delete", "--force"] {
        assert_eq!(code("-no-overwrite", &format!("rsync --server -r {option} . x")), "option", "{option}");
    }
    assert!(judged("-no-overwrite", "rsync --server -r --remove-source-files . x").is_ok(), "the client's own files");
    assert_eq!(code("-no-overwrite", "rsync --server --sender -r --remove-source-files . x"), "option");
    assert!(judged("-no-del", "rsync --server -r --partial-dir=p . x").is_ok());
}

#[test]
fn places_of_options_are_found_where_people_mean_them() {
    let places = |command: &str| {
        let transfer = judged("", command).unwrap();
        let (_, places) = transfer.options().next().unwrap();
        let shown = |place: &Place| place.names.iter().map(|name| String::from_utf8(name.bytes()).unwrap()).collect::<Vec<_>>().join("/");
        places.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(places("rsync --server -r --link-dest=a/b . x/y"), ["a/b"], "from the directory, as for rrsync");
    assert_eq!(places("rsync --server -r --link-dest=../a . x/y"), ["x/a"], "from the destination, as for rsync");
    assert_eq!(places("rsync --server -r --link-dest=/srv/d/a . x"), ["srv/d/a", "a"]);
    assert_eq!(places("rsync --server -r --link-dest /srv/da . x"), ["srv/da"]);
}

#[test]
fn beneath_the_root_of_everything_nothing_leads_out() {
    let judged = |command: &str| judge(&flags(""), b"/", &Original::Command(command.as_bytes().to_vec()), None);
    for command in ["rsync --server -Kr . x", "rsync --server --sender -Lr . a/../b", "rsync --server --sender -r --copy-unsafe-links . x"]
    {
        assert!(judged(command).is_ok(), "{command}");
        assert!(judge(&flags(""), DIR, &Original::Command(command.as_bytes().to_vec()), None).is_err(), "{command}");
    }
}

#[test]
fn hidden_words_are_judged_like_any_others_once_they_have_been_read() {
    let original = Original::Command(b"rsync --server --sender -slogDtpre.iLsfxCIvu".to_vec());
    assert!(hides(&original) && !hides(&Original::Command(b"rsync --server -re.iLsfxC . s".to_vec())));
    assert_eq!(judge(&flags(""), DIR, &original, None).unwrap_err().last().unwrap().code.as_str(), "option");
    let block = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    let judged = |words: &[&str]| judge(&flags(""), DIR, &original, Some(&block(words)));
    let Ok(Asked::Transfer(transfer)) = judged(&["--timeout=9", ".", "a b", "c\nd", "e*"]) else { panic!("refused") };
    let names: Vec<_> = transfer.paths.iter().map(|place| place.names[0].bytes()).collect();
    assert_eq!(names, [&b"a b"[..], b"c\nd", b"e*"]);
    assert!(transfer.paths[2].names[0].is_pattern());
    assert!(judged(&["--insecure-links", ".", "a"]).is_err());
    assert!(judged(&[".", "../a"]).is_err());
    assert!(judged(&["--timeout=9"]).is_err());
}

#[test]
fn the_jail_opens_the_directory_for_what_is_asked_and_no_more() {
    use crate::decide::push::plan;
    use crate::decide::sandbox::spec::Access;
    let opened = |command: &str| {
        let transfer = judged("", command).unwrap();
        let flags = flags("");
        let held = |number: u8| Spot::held(format!("/proc/self/fd/{number}").into());
        let options = transfer.options().map(|_| Some(held(8))).collect();
        let keeps = Keeps::Walk(Path::new("/srv/d"));
        let setup = Setup { version: NEW, flags: &flags, keeps, spares_times: false, options, paths: vec![held(9)] };
        let run = plan::transfer(&transfer, &setup, (Path::new("/usr/bin/rsync"), Path::new("/srv/d")), "/srv/d".into(), true, None);
        assert_eq!(run.idle(), None);
        let grants =
            run.sandbox().grants.iter().flatten().filter(|grant| !grant.path.starts_with("/usr") && !grant.path.starts_with("/lib"));
        let grants =
            grants.filter(|grant| !grant.path.starts_with("/etc") && !grant.path.starts_with("/dev") && !grant.path.starts_with("/lib64"));
        grants.map(|grant| (grant.path.display().to_string(), grant.access)).collect::<Vec<_>>()
    };
    let dir = || "/srv/d".to_owned();
    assert_eq!(opened("rsync --server -r . x"), [(dir(), Access::Stage)]);
    assert_eq!(opened("rsync --server --sender -r . x"), [(dir(), Access::Read)]);
    assert_eq!(opened("rsync --server --sender -r --remove-source-files . x"), [(dir(), Access::Take)]);
    let logged = opened("rsync --server --sender -r --log-file=l . x");
    assert_eq!(logged, [(dir(), Access::Read), ("/proc/self/fd/8".to_owned(), Access::ReadWrite)]);
}
