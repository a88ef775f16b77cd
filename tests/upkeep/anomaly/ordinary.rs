//! What ordinary machines do is not held.

use std::fs;
use std::path::Path;

use support::tree::{noise, write};

use super::{facts, gate, home, old, pushed, text};

#[test]
fn a_first_push_is_not_held() {
    let gate = gate("");
    let source = gate.source("home");
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    assert!(facts(&gate).compared.is_none(), "there is nothing to compare it with");
    assert_eq!(pushed(&gate, &source), [""; 0]);
}

/// As logrotate does with `rotate 4` and `delaycompress`.
fn rotate(root: &Path, services: usize, night: usize) {
    for service in 0..services {
        let at = |end: &str| root.join(format!("service{service}/daemon.log{end}"));
        let _ = fs::remove_file(at(".4.gz"));
        for number in [3, 2] {
            let _ = fs::rename(at(&format!(".{number}.gz")), at(&format!(".{}.gz", number + 1)));
        }
        if fs::remove_file(at(".1")).is_ok() {
            write(&at(".2.gz"), noise((night * 100 + service) as u64, 2500));
        }
        let _ = fs::rename(at(""), at(".1"));
        write(&at(""), text(night * 100 + service, 200));
    }
}

#[test]
fn log_rotation_is_not_held() {
    let gate = gate("");
    let source = gate.source("log");
    for number in 0..40 {
        write(&source.join(format!("installer/{number}")), text(number, 2000));
    }
    write(&source.join("wtmp"), noise(1, 3000));
    for night in 0..8 {
        rotate(&source, 30, night);
        // The one of the day has grown before it is rotated, and the largest of all most.
        (0..30).for_each(|service| write(&source.join(format!("service{service}/daemon.log")), text(night + service, 30_000)));
        write(&source.join("service0/daemon.log"), text(night, 4_000_000));
        assert_eq!(pushed(&gate, &source), [""; 0], "night {night}");
    }
}

/// A system with so many of its packages' files: programs, documents, modules of a kernel and of Python.
fn system(root: &Path, release: usize) {
    let own = |number: usize| release * 10_000 + number;
    // What no package changed.
    for number in 0..60 {
        write(&root.join(format!("etc/conf.d/{number}.conf")), text(number, 900));
        write(&root.join(format!("usr/share/zoneinfo/Zone{number}")), text(number, 1200));
        write(&root.join(format!("home/me/note{number}.txt")), text(number, 1500));
    }
    for number in 0..300 {
        write(&root.join(format!("usr/bin/program{number}")), text(own(number), 6000));
        write(&root.join(format!("usr/share/man/man1/program{number}.1.gz")), noise(own(number) as u64, 1800));
        write(&root.join(format!("usr/share/doc/package{number}/changelog.Debian.gz")), noise(own(number + 400) as u64, 2500));
        write(&root.join(format!("var/lib/dpkg/info/package{number}.list")), text(own(number), 700));
    }
    let (kernel, end, python) = if release == 12 { ("6.1.0", "ko", "311") } else { ("6.12.0", "ko.xz", "313") };
    for number in 0..90 {
        let module = if release == 12 { text(number, 4000) } else { noise(number as u64, 2000) };
        write(&root.join(format!("usr/lib/modules/{kernel}/kernel/module{number}.{end}")), module);
        let name = format!("usr/lib/python{python}/__pycache__/module{number}.cpython-{python}.pyc");
        write(&root.join(name), text(own(number), 3000));
        write(&root.join(format!("usr/lib/libthing{number}.so.{release}.{number}")), text(own(number), 5000));
    }
    old(root);
}

#[test]
fn a_dist_upgrade_is_not_held() {
    let gate = gate("");
    let source = gate.source("root");
    system(&source, 12);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    for gone in ["usr", "var"] {
        fs::remove_dir_all(source.join(gone)).unwrap();
    }
    system(&source, 13);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    let compared = facts(&gate).compared.unwrap();
    assert!(compared.changed > 1000 && compared.gone > 200 && compared.added > 200, "{compared:?}");
}

#[test]
fn a_mail_spool_is_not_held() {
    let gate = gate("");
    let source = gate.source("mail");
    let message = |number: usize| format!("17{number:08}.M{number}P22.host");
    for number in 0..600 {
        write(&source.join(format!("user/new/{}", message(number))), text(number, 1800));
    }
    (0..12).for_each(|user| write(&source.join(format!("mbox/user{user}")), text(user, 20_000)));
    assert_eq!(pushed(&gate, &source), [""; 0]);
    // Somebody comes back from holiday, reads two thirds of it, deletes some, and gets more.
    fs::create_dir_all(source.join("user/cur")).unwrap();
    for number in 0..400 {
        let new = source.join(format!("user/new/{}", message(number)));
        if number % 8 == 0 {
            fs::remove_file(new).unwrap();
        } else {
            fs::rename(new, source.join(format!("user/cur/{}:2,S", message(number)))).unwrap();
        }
    }
    (600..680).for_each(|number| write(&source.join(format!("user/new/{}", message(number))), text(number, 1800)));
    (0..12).for_each(|user| write(&source.join(format!("mbox/user{user}")), text(user + 50, 26_000)));
    assert_eq!(pushed(&gate, &source), [""; 0]);
    // The rest is moved into a folder of the year.
    fs::create_dir_all(source.join("user/.2026/cur")).unwrap();
    for entry in fs::read_dir(source.join("user/cur")).unwrap().flatten() {
        fs::rename(entry.path(), source.join("user/.2026/cur").join(entry.file_name())).unwrap();
    }
    assert_eq!(pushed(&gate, &source), [""; 0]);
}

#[test]
fn a_photo_import_is_not_held() {
    let gate = gate("");
    let source = gate.source("home");
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    // More than there was of everything, in a format that there never was.
    for number in 0..700 {
        write(&source.join(format!("Pictures/import/DSC_{number}.CR3")), noise(number + 5000, 6000));
        write(&source.join(format!("Pictures/import/DSC_{number}.xmp")), text(number as usize, 900));
    }
    // What was on the old card is sorted anew.
    fs::rename(source.join("Pictures/2025"), source.join("Pictures/summer")).unwrap();
    assert_eq!(pushed(&gate, &source), [""; 0]);
}

#[test]
fn a_deleted_download_folder_is_not_held() {
    let gate = gate("");
    let source = gate.source("home");
    home(&source);
    for number in 0..150 {
        write(&source.join(format!("Downloads/image-{number}.iso")), noise(number + 900, 20_000));
    }
    assert_eq!(pushed(&gate, &source), [""; 0]);
    fs::remove_dir_all(source.join("Downloads")).unwrap();
    assert_eq!(pushed(&gate, &source), [""; 0]);
    let compared = facts(&gate).compared.unwrap();
    assert_eq!((compared.gone, compared.added, compared.changed), (150, 0, 0));
}
