//! Every call of the kernel that takes a path or a descriptor, on every tree that rsync can see, in every way that leads there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use snapgate::terms::outcome::Outcome;

use super::{PUSH, Scene, WITHOUT_A_VIEW};
use crate::jail::where_there_is_no_view;
use support::{Ran, is_root, must, run, skip};

fn scene(site: &str, metadata_too: bool) -> Scene {
    let mut scene = Scene::new(site, "");
    let newest = scene.newest_quoted();
    scene.take_over("everything.c", "everything", &[("HISTORY", &newest), ("METADATA_TOO", if metadata_too { "1" } else { "0" })]);
    scene
}

/// No call worked that changes what it is used on, and nothing has changed.
#[track_caller]
fn nothing_worked(mut scene: Scene, ran: &Ran, at_least: usize) {
    let lines: Vec<_> = ran.stdout.lines().filter(|line| line.split(' ').count() == 4).collect();
    assert!(lines.len() > at_least, "{} attempts: {ran:?}", lines.len());
    let mut errors = BTreeMap::<&str, usize>::new();
    for line in &lines {
        *errors.entry(line.rsplit(' ').next().unwrap()).or_default() += 1;
    }
    println!("{} attempts, by the number of their error: {errors:?}", lines.len());
    let worked: Vec<_> = lines.iter().filter(|line| line.starts_with('!') && line.ends_with(" 0")).collect();
    scene.is_unharmed();
    assert!(worked.is_empty(), "these worked: {worked:#?}");
    assert_eq!(scene.gate.record().result, Outcome::Published, "{:?}", scene.gate.record());
}

#[test]
fn no_call_of_the_kernel_changes_anything_in_rsync_s_view_but_the_stage() {
    let scene = scene("", true);
    let ran = scene.say(PUSH);
    nothing_worked(scene, &ran, 10_000);
}

/// Of metadata nothing is promised there (the threat model says why).
#[test]
fn no_call_of_the_kernel_changes_a_byte_or_a_name_where_there_is_no_view() {
    where_there_is_no_view(|| {
        let scene = scene(WITHOUT_A_VIEW, false);
        let ran = scene.say(PUSH);
        nothing_worked(scene, &ran, 1000);
    });
}

#[test]
fn nor_does_it_for_an_ordinary_account() {
    if !is_root() {
        return skip("it is what the others were");
    }
    let nobody = |scene: &mut Scene| {
        let dir = scene.gate.path().to_owned();
        must(Command::new("chown").args(["-R", "65534:65534"]).arg(dir.join("store")).arg(dir.join("outside")));
        let policy = fs::read_to_string(dir.join("config/policies/web1.yaml")).unwrap();
        scene.gate.write("config/policies/web1.yaml", &policy.replace("user: root", "user: nobody"));
        support::programs::copy(Path::new(env!("CARGO_BIN_EXE_snapgate-shell")), &dir.join("snapgate-shell"));
        let modes = [("", 0o755), ("config", 0o755), ("config/policies", 0o755), ("spool", 0o1777), ("mail", 0o1777), ("taken", 0o755)];
        let files = [("config/snapgate.yaml", 0o644), ("config/policies/web1.yaml", 0o644), ("snapgate-shell", 0o755), ("store", 0o755)];
        for (name, mode) in modes.into_iter().chain(files) {
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        scene.remember();
    };
    let says = |dir: &Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/env", "-i"]);
        command.arg("SSH_CONNECTION=192.0.2.7 50000 192.0.2.1 22").arg(format!("SSH_ORIGINAL_COMMAND={PUSH}"));
        run(command.arg(dir.join("snapgate-shell")).arg("--config").arg(dir.join("config")).args(["--client", "web1"]))
    };
    let mut scene = scene("", true);
    nobody(&mut scene);
    let ran = says(scene.gate.path());
    scene.settle();
    nothing_worked(scene, &ran, 10_000);
}
