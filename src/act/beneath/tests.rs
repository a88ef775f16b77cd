use std::os::unix::fs::symlink;

use super::*;
use crate::decide::rrsync::flags::{self, Order};
use crate::decide::rrsync::{Asked, judge};
use crate::decide::rsync::transfer::Transfer;
use crate::terms::Original;
use crate::terms::limits::MAX_MATCHES;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        for name in ["dir/a/b", "dir/.h", "outside"] {
            fs::create_dir_all(this.at(name)).unwrap();
        }
        for name in ["dir/a/x.c", "dir/a/y.c", "dir/a/.z.c", "dir/top", "outside/secret"] {
            fs::write(this.at(name), name).unwrap();
        }
        symlink("a", this.at("dir/in")).unwrap();
        symlink(this.at("dir/a"), this.at("dir/absolute")).unwrap();
        symlink("../outside", this.at("dir/out")).unwrap();
        symlink("none", this.at("dir/dangling")).unwrap();
        this
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn root(&self) -> Root {
        Root::open(self.at("dir").as_os_str()).unwrap()
    }
}

fn transfer(words: &str) -> Transfer {
    let Ok(Order::Serve(flags)) = flags::parse(&["d".into()]) else { panic!() };
    match judge(&flags, b"/d", &Original::Command(format!("rsync --server {words}").into_bytes()), None) {
        Ok(Asked::Transfer(transfer)) => *transfer,
        other => panic!("{other:?}"),
    }
}

/// The spots of a pull, each as the directory that is held, from the root, and what follows.
fn sources(tree: &Tree, words: &str) -> Result<Vec<String>, &'static str> {
    let mut root = tree.root();
    let spots = root.sources(&transfer(&format!("--sender -r {words}"))).map_err(|reason| reason.code.as_str())?;
    let shown = |spot: &Spot| {
        let held = fs::read_link(spot.directory()).unwrap();
        let held = held.strip_prefix(&root.path).unwrap().display().to_string();
        let path = spot.path().into_string().unwrap();
        format!("{held}:{}", path.strip_prefix(spot.directory().to_str().unwrap()).unwrap())
    };
    Ok(spots.iter().map(shown).collect())
}

#[test]
fn what_is_sent_is_named_from_the_directory_that_holds_it() {
    let tree = Tree::new();
    let found = |words: &str| sources(&tree, words).unwrap().join(" ");
    assert_eq!(found(". ."), ":/.");
    assert_eq!(found(". top"), ":/top");
    assert_eq!(found(". a/x.c a/ a/. a"), "a:/x.c a:/ a:/. :/a");
    assert_eq!(found(". in/x.c in/ absolute/ in"), "a:/x.c a:/ a:/ :/in");
    assert_eq!(found(". missing a/missing/deeper"), ":/missing a:/missing/deeper");
    assert_eq!(found("-R . a/x.c a/./x.c a/./ ."), ":/./a/x.c a:/./x.c a:/./ :/.");
    assert_eq!(found(". out dangling"), ":/out :/dangling", "a link itself may be sent");
}

#[test]
fn nothing_that_leads_out_is_found() {
    let tree = Tree::new();
    for words in [". out/", ". out/secret", ". dangling/", ". dangling/x", "-R . out/secret"] {
        assert_eq!(sources(&tree, words), Err("path"), "{words}");
    }
    for words in ["-r . out/", "-r . out", "-r . out/new", "-r . dangling/", "-r --mkpath . out/new/er/", "-r . out/secret"] {
        assert_eq!(tree.root().destination(&transfer(words)).unwrap_err().code, Code::Path, "{words}");
    }
    for option in
        ["--backup-dir=out/b", "--partial-dir=out", "--temp-dir=out", "--link-dest=out", "--log-file=out/l", "--files-from=out/secret"]
    {
        let reason = tree.root().options(&transfer(&format!("-r {option} . a"))).unwrap_err();
        assert_eq!(reason.code, Code::Path, "{option}");
    }
    assert_eq!(fs::read_dir(tree.at("outside")).unwrap().count(), 1);
}

/// No answer shows whether what a link names outside is there, what it is, or who may enter it.
#[test]
fn what_is_outside_changes_no_answer() {
    use std::os::unix::fs::PermissionsExt as _;
    let answers = |target: &str, form: &str| {
        let tree = Tree::new();
        fs::create_dir_all(tree.at("outside/in")).unwrap();
        fs::create_dir_all(tree.at("closed/in")).unwrap();
        fs::set_permissions(tree.at("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        symlink(form.replace('@', target).replace("$TREE", tree.0.path().to_str().unwrap()), tree.at("dir/l")).unwrap();
        let mut told = Vec::new();
        for words in [". l", ". l/", ". l/.", ". l/x", ". l/x/", ". l*", ". l*/", ". l/*", ". */x", "-R . l", "-R . l/x", "-R . l/./x"] {
            told.push(format!("{:?}", sources(&tree, words)));
        }
        let mut root = tree.root();
        let shown = |reason: Reason| {
            let plain = |text: &str| text.replace(tree.0.path().to_str().unwrap(), "$TREE");
            format!("{} {} {}", reason.code, plain(&reason.says), plain(&reason.detail))
        };
        for words in ["l", "l/", "l/.", "l/x", "l/x/", "l/x/y/", "l*", "l*/", "*/x"] {
            for options in ["-r", "-rn", "-r --mkpath"] {
                let found = root.destination(&transfer(&format!("{options} . {words}")));
                told.push(format!("{:?}", found.map(|spot| (spot.rest, spot.tail)).map_err(shown)));
            }
        }
        for option in ["backup-dir", "partial-dir", "temp-dir", "link-dest", "copy-dest", "compare-dest", "log-file", "files-from"] {
            for place in ["l", "l/", "l/x", "l/x/y", "../l", "../l/x"] {
                let found = root.options(&transfer(&format!("-r --{option}={place} . a")));
                told.push(format!("{:?}", found.map(|found| found.len()).map_err(shown)));
            }
        }
        fs::set_permissions(tree.at("closed"), fs::Permissions::from_mode(0o700)).unwrap();
        told
    };
    for form in ["../@", "$TREE/@", "a/../../@", "../@/../../dir/a", "$TREE/@/../../dir/a"] {
        let there = answers("outside/in", form);
        for target in ["outside/secret", "outside/none", "none/at/all", "closed/in"] {
            assert_eq!(answers(target, form), there, "{form} {target}");
        }
    }
}

#[test]
fn a_link_that_leads_back_in_is_followed_by_whichever_way_that_is_known() {
    let tree = Tree::new();
    symlink("dir", tree.at("alias")).unwrap();
    for (name, target) in [("up", "../dir/a".to_owned()), ("far", "../../../../../../../../../../../../nowhere".to_owned())] {
        symlink(target, tree.at("dir").join(name)).unwrap();
    }
    symlink(tree.at("alias/a"), tree.at("dir/written")).unwrap();
    symlink("up", tree.at("dir/twice")).unwrap();
    symlink("round", tree.at("dir/round")).unwrap();
    assert_eq!(sources(&tree, ". up/x.c twice/x.c").unwrap().join(" "), "a:/x.c a:/x.c");
    assert_eq!(
        (sources(&tree, ". far/"), sources(&tree, ". written/"), sources(&tree, ". round/")),
        (Err("path"), Err("path"), Err("path"))
    );
    let mut root = Root::open(tree.at("alias").as_os_str()).unwrap();
    assert!(root.sources(&transfer("--sender -r . written/ absolute/")).is_ok(), "as the administrator wrote it");
}

#[test]
fn patterns_stand_for_what_is_there_in_order() {
    let tree = Tree::new();
    let found = |words: &str| sources(&tree, words).unwrap().join(" ");
    assert_eq!(found(". a/*.c"), "a:/x.c a:/y.c");
    assert_eq!(found(". a/.*"), "a:/.z.c");
    assert_eq!(found(". *"), ":/a :/absolute :/dangling :/in :/out :/top");
    assert_eq!(found(". [ai]*/x.c"), "a:/x.c a:/x.c a:/x.c", "links inside are followed");
    assert_eq!(found(". */secret"), ":/*/secret", "nothing outside is found");
    assert_eq!(found(". a/*/"), "a/b:/");
    assert_eq!(found(". a/\\*.c no*"), "a:/*.c :/no*");
    assert_eq!(sources(&tree, ". */"), Err("path"), "one of them leads out");
}

#[test]
fn patterns_stand_for_no_more_than_one_command_line_holds() {
    let tree = Tree::new();
    let fill = |directory: &str, files: usize, links: usize, length: usize| {
        fs::create_dir_all(tree.at(directory).join("in")).unwrap();
        for number in 0..files {
            fs::write(tree.at(directory).join(format!("in/{number:0length$}")), "").unwrap();
        }
        for number in 0..links {
            symlink("in", tree.at(directory).join(format!("link{number}"))).unwrap();
        }
    };
    fill("dir/many", 128, MAX_MATCHES / 128 + 1, 3);
    assert_eq!(sources(&tree, ". many/link1*/*").map(|found| found.len()), Ok(40 * 128));
    assert_eq!(sources(&tree, ". many/l*/*").err(), Some("too-long"), "one pattern");
    let times = |pattern: &str, count: usize| sources(&tree, &format!(".{}", pattern.repeat(count))).map(|found| found.len());
    assert_eq!(times(" many/in/*", MAX_MATCHES / 128), Ok(MAX_MATCHES));
    assert_eq!(times(" many/in/*", MAX_MATCHES / 128 + 1), Err("too-long"), "many of them");
    fill("dir/long", 70, 70, 250);
    assert_eq!(sources(&tree, ". long/link1*/*").map(|found| found.len()), Ok(11 * 70));
    assert_eq!(sources(&tree, ". long/l*/*").err(), Some("too-long"), "few files with long names");
    let times = |pattern: &str, count: usize| sources(&tree, &format!(".{}", pattern.repeat(count))).map(|found| found.len());
    assert_eq!(times(" long/in/*", 50), Ok(50 * 70));
    assert_eq!(times(" long/in/*", 70), Err("too-long"), "many of them");
}

#[test]
fn a_destination_is_made_where_its_name_says_that_it_is_a_directory() {
    let tree = Tree::new();
    let place = |words: &str| {
        let mut root = tree.root();
        let spot = root.destination(&transfer(words)).unwrap();
        let held = fs::read_link(spot.directory()).unwrap();
        let tail = spot.tail.as_str();
        format!("{}:{}{tail}", held.strip_prefix(&root.path).unwrap().display(), String::from_utf8(spot.rest).unwrap())
    };
    assert_eq!(place("-r . a"), "a:");
    assert_eq!(place("-r . in/"), "a:/");
    assert_eq!(place("-r . top"), ":top");
    assert_eq!(place("-r . dangling"), ":dangling", "rsync replaces it");
    assert_eq!(place("-r . new"), ":new");
    assert_eq!(place("-rn . new/"), ":new/");
    assert!(!tree.at("dir/new").exists());
    assert_eq!(place("-r . new/"), "new:");
    assert_eq!(place("-r . x/y/"), ":x/y/", "without --mkpath it is rsync's to fail");
    assert_eq!(place("-r --mkpath . x/y/z"), "x/y:z");
    assert_eq!(place("-r . top/"), ":top/");
    assert_eq!(tree.root().destination(&transfer("-r . [ai]*")).unwrap_err().code, Code::Destinations);
}

#[test]
fn options_find_make_or_leave_out_their_directories() {
    use std::os::unix::fs::PermissionsExt as _;
    let tree = Tree::new();
    let value = |words: &str| tree.root().options(&transfer(words)).map(|mut values| values.remove(0)).map_err(|reason| reason.code);
    assert!(value("-r --backup-dir=n/e/w . a").unwrap().is_some() && tree.at("dir/n/e/w").is_dir());
    assert!(value("-r --partial-dir=p . a").unwrap().is_some());
    assert_eq!(fs::metadata(tree.at("dir/p")).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(value("-r --temp-dir=none . a"), Err(Code::Path));
    assert_eq!(value("-r --link-dest=none . a"), Ok(None));
    assert!(value("-rn --backup-dir=dry . a").unwrap().is_some() && !tree.at("dir/dry").exists());
    assert_eq!(value("-r --backup-dir=top . a"), Err(Code::Path));
    assert_eq!(value("-r --files-from=none . a"), Err(Code::Path));
    assert!(value("-r --files-from=top . a").unwrap().is_some());
    assert!(value("-r --log-file=l . a").unwrap().is_some() && tree.at("dir/l").is_file());
}

#[test]
fn what_is_held_stays_what_it_was() {
    let tree = Tree::new();
    let mut root = tree.root();
    let spot = root.destination(&transfer("-r . a/")).unwrap();
    fs::rename(tree.at("dir/a"), tree.at("dir/moved")).unwrap();
    symlink("../outside", tree.at("dir/a")).unwrap();
    assert!(spot.directory().join("x.c").exists(), "the directory, wherever it is now");
    assert!(!spot.directory().join("secret").exists());
    assert_eq!(root.destination(&transfer("-r . a/")).unwrap_err().code, Code::Path);
}
