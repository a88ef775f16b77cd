//! As root over the directories of accounts, which put into them what they like.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid, chown, geteuid};
use snapgate::admin::watch::run;

use super::bounds::event_of;
use super::{Place, refusal};
use support::smtp::{Manner, Server};

fn nobody() -> (Uid, Gid) {
    (Uid::from_raw(65534), Gid::from_raw(65534))
}

/// The directory of an account that is not ours, as its gate would have made it.
pub(super) fn strange_account(place: &Place) -> PathBuf {
    let home = place.site.spool.join("65534");
    for path in [home.clone(), home.join("tmp"), home.join("new"), home.join("out"), home.join("dead")] {
        fs::create_dir(&path).unwrap();
        chown(&path, Some(nobody().0), Some(nobody().1)).unwrap();
    }
    home
}

pub(super) fn write_as_nobody(path: &Path, text: &[u8]) {
    fs::write(path, text).unwrap();
    chown(path, Some(nobody().0), Some(nobody().1)).unwrap();
}

#[test]
fn root_speaks_for_every_account_and_leaves_its_files_to_it() {
    if !geteuid().is_root() {
        println!("skipped: only root looks after other accounts");
        return;
    }
    let server = Server::plain();
    let place = Place::with(&server);
    let home = strange_account(&place);
    server.behave(Manner::Answer("MAIL", "451 not now"));
    write_as_nobody(&home.join("new/1.json"), &event_of("1", &refusal("web1", "key")));
    assert_eq!(run(&place.site, false).waiting, 1);
    for name in ["state.json", "lock", "out/000000000000.json"] {
        assert_eq!(fs::metadata(home.join(name)).unwrap().uid(), 65534, "{name}");
    }
    server.behave(Manner::Accept);
    assert_eq!(run(&place.site, false).sent, 1);
    assert!(server.taken()[0].header("Message-ID").unwrap().contains(".65534.0@"));
}

#[test]
fn a_hostile_account_gets_root_to_touch_nothing_outside() {
    if !geteuid().is_root() {
        println!("skipped: only root looks after other accounts");
        return;
    }
    let place = Place::with_files();
    let home = strange_account(&place);
    let outside = place.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let event = serde_json::to_vec(&refusal("secret", "key")).unwrap();
    fs::write(outside.join("event.json"), &event).unwrap();
    let new = home.join("new");
    symlink(outside.join("event.json"), new.join("1-symlink.json")).unwrap();
    fs::hard_link(outside.join("event.json"), new.join("2-hardlink.json")).unwrap();
    nix::unistd::mkfifo(&new.join("3-fifo.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(new.join("4-directory.json")).unwrap();
    write_as_nobody(&new.join("5-huge.json"), &vec![b' '; 300 * 1024]);
    write_as_nobody(&new.join("6-deep.json"), "[".repeat(200_000).as_bytes());
    write_as_nobody(&new.join("7-rubbish.json"), b"\xff\x00");
    write_as_nobody(&new.join("8-two.json"), &event);
    fs::hard_link(new.join("8-two.json"), new.join("9-names.json")).unwrap();
    write_as_nobody(&new.join("9-other.json"), &event_of("../../other", &refusal("secret", "key")));
    write_as_nobody(&new.join("a-good.json"), &event_of("a-good", &refusal("secret", "key")));
    symlink(&outside, home.join("out/000000000005.json")).unwrap();
    symlink(outside.join("event.json"), home.join("tmp/state.json.1")).unwrap();
    let begun = Instant::now();
    let done = run(&place.site, true);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!((done.counted, done.sent), (1, 1), "{done:?}");
    assert!(done.problems.len() >= 10, "{done:?}");
    assert_eq!(fs::read(outside.join("event.json")).unwrap(), event);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    // Where it stores its counts, its lock or its mails.
    for name in ["state.json", "lock"] {
        fs::remove_file(home.join(name)).unwrap();
        symlink(outside.join("made"), home.join(name)).unwrap();
        write_as_nobody(&new.join("b-good.json"), &event_of("b-good", &refusal("secret", "key")));
        assert!(!run(&place.site, true).problems.is_empty());
        fs::remove_file(home.join(name)).unwrap();
        fs::hard_link(outside.join("event.json"), home.join(name)).unwrap();
        assert!(!run(&place.site, true).problems.is_empty());
        fs::remove_file(home.join(name)).unwrap();
        nix::unistd::mkfifo(&home.join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(!run(&place.site, true).problems.is_empty());
        fs::remove_file(home.join(name)).unwrap();
    }
    fs::rename(home.join("out"), home.join("was-out")).unwrap();
    symlink(&outside, home.join("out")).unwrap();
    assert!(!run(&place.site, true).problems.is_empty());
    fs::remove_dir_all(&home).unwrap();
    symlink(&outside, &home).and_then(|()| std::os::unix::fs::lchown(&home, Some(65534), None)).unwrap();
    fs::create_dir(place.site.spool.join("not-an-account")).unwrap();
    assert_eq!(run(&place.site, true).problems.len(), 2);
    assert_eq!(fs::read(outside.join("event.json")).unwrap(), event);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::metadata(outside.join("event.json")).unwrap().uid(), 0);
}
