//! Publishing alone, through the library: what stands between the end of rsync and the snapshot's name.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use snapgate::act::store::Repository;
use snapgate::terms::path::SubPath;
use snapgate::terms::snapshot::NamePattern;

use crate::median;
use crate::pushes::small_files;

pub(crate) fn publishing(root: &Path, files: usize) {
    let names = NamePattern::default();
    let uid = nix::unistd::getuid().as_raw();
    let tree = |name: &str, files: usize| {
        let path = root.join(name);
        fs::create_dir(&path).expect("a directory");
        small_files(&path, files);
        path
    };
    let trees = [tree("ten", 10), tree("many-files", files)];
    let path = root.join("publishing");
    let repository = Repository::open(&path, uid, None).expect("a repository");
    let mut times = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for round in 0..20 {
        let which = round % 4;
        let held = repository.hold().expect("the lock");
        let staging = held.stage(&SubPath::default()).expect("a directory");
        // Hard links, as an unchanged push leaves them.
        let status = Command::new("cp").arg("-al").arg(format!("{}/.", trees[which % 2].display())).arg(staging.path()).status();
        assert!(status.expect("cp").success());
        if which < 2 {
            nix::unistd::syncfs(fs::File::open(&path).expect("the store")).expect("a sync");
        }
        let at = chrono::DateTime::from_timestamp(1_800_000_000 + round as i64, 0).expect("a time");
        let begin = Instant::now();
        staging.publish(names.name_at(at), "bench", b"").expect("a snapshot");
        times[which].push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let [mut ten, mut many, mut fresh_ten, mut fresh_many] = times;
    println!("publishing, ms (median of 5)            on the disk already   just linked, the sync included");
    println!("  10 files                     {:12.2}          {:12.2}", median(&mut ten), median(&mut fresh_ten));
    println!("  {:<28} {:12.2}          {:12.2}\n", format!("{files} files"), median(&mut many), median(&mut fresh_many));
}
