//! What a remap refuses: what could not be undone or told apart, ids that are somebody else's, and what leads out of the repository.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::process::Command;

use crate::owners::{first, machine, run};
use crate::remap_lab::{FULL, from, moved, nothing_is_strange, private, pushed, remap, remap_after, server, state, to};
use support::accounts::is_root;
use support::{ALL_VERBS, tree};

#[test]
fn what_cannot_be_changed_is_named_and_then_nothing_is() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    moved(&server);
    let snapshot = repository.snapshot(-1);
    chown(snapshot.join("etc/hosts"), Some(4242), None).unwrap();
    run("setfacl", &["-m", "u:4343:r"], &snapshot.join("photo.raw"));
    let immutable = Command::new("chattr").arg("+i").arg(snapshot.join("a.txt")).output().is_ok_and(|output| output.status.success());
    let before = state(&repository.path);
    let (dry, ran) = (remap(&server, &["--dry-run"]), remap(&server, &[]));
    let after = state(&repository.path);
    if immutable {
        run("chattr", &["-i"], &snapshot.join("a.txt"));
    }
    tree::same(&after, &before);
    for ran in [dry, ran] {
        let ran = ran.exits(1);
        let has = |name: &str, what: &str| {
            ran.stdout.lines().any(|line| line.contains("problem: ") && line.contains(name) && line.contains(what))
        };
        assert!(has("etc/hosts", "the user 4242") && has("photo.raw", "the user 4343"), "{}", ran.stdout);
        assert!(!immutable || has("a.txt", "immutable"), "{}", ran.stdout);
        assert!(ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
    }
    // Once they are mended it is done.
    chown(snapshot.join("etc/hosts"), Some(first(&from())), None).unwrap();
    run("setfacl", &["-b"], &snapshot.join("photo.raw"));
    assert!(remap(&server, &[]).exits(0).stdout.ends_with("done\n"));
    nothing_is_strange(&repository.path, &to());
}

#[test]
fn a_link_that_is_planted_leads_nowhere() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    let account = from();
    let outside = server.path().join("outside");
    tree::write(&outside.join("file"), "not the client's");
    for path in [outside.clone(), outside.join("file")] {
        chown(&path, Some(account.uid), Some(account.gid)).unwrap();
    }
    for name in ["inprogress", ".snapgate/interrupted", ".snapgate/notes"] {
        std::os::unix::fs::symlink(&outside, repository.path.join(name)).unwrap();
        lchown(repository.path.join(name), Some(account.uid), Some(account.gid)).unwrap();
    }
    // What is not the gate's goes along where it is the account's.
    let (theirs, roots) = (repository.path.join("notes/of/theirs"), repository.path.join("lost+found"));
    tree::write(&theirs, "theirs");
    for path in theirs.ancestors().take(3) {
        chown(path, Some(account.uid), Some(account.gid)).unwrap();
    }
    fs::create_dir(&roots).unwrap();
    moved(&server);
    let before = tree::listing(&outside);
    let said = remap(&server, &[]).exits(0).stdout;
    assert!(said.contains("not the gate's, and goes along: `notes`\n"), "{said}");
    tree::same(&tree::listing(&outside), &before);
    fs::remove_dir(&roots).expect("root's still");
    nothing_is_strange(&repository.path, &to());
}

#[test]
fn who_is_not_root_is_refused_and_so_is_what_makes_no_sense() {
    let server = server("owners: keep\n");
    if !is_root() {
        assert!(remap(&server, &[]).exits(77).stderr.contains("run it as root"));
        return;
    }
    let account = from();
    let config = server.config();
    let mut as_account = Command::new("setpriv");
    as_account.arg(format!("--reuid={}", account.uid)).arg(format!("--regid={}", account.gid)).args(["--init-groups", "--"]);
    as_account.arg(server.path().join("bin/snapgate"));
    let ran = support::run(as_account.arg("--config").arg(&config).args(["remap", "--client", "web1"]));
    assert!(ran.exits(77).stderr.contains("run it as root"));
    assert!(remap(&server, &[]).exits(78).stderr.contains("there is no repository"));
    let repository = server.repository("web1").path;
    fs::rename(&repository, server.path().join("aside")).unwrap();
    assert!(remap(&server, &[]).exits(78).stderr.contains("there is no repository"));
    fs::create_dir(private(&repository)).unwrap();
    fs::set_permissions(private(&repository), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(remap(&server, &[]).exits(75).stderr.contains("the repository is gone"));
    fs::remove_dir(private(&repository)).unwrap();
    fs::rename(server.path().join("aside"), &repository).unwrap();
    assert!(server.snapgate(&["remap", "--client", "nobody"]).exits(78).stderr.contains("no policy for `nobody`"));
    server.policy("web1", &format!("{ALL_VERBS}user: no-such-account\n"));
    assert_eq!(remap(&server, &[]).status, 78);
}

#[test]
fn ids_of_this_machine_s_accounts_and_root_by_another_name_are_refused() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    moved(&server);
    let (old, new, name) = (first(&from()), first(&to()), to().name);
    let before = state(&repository.path);
    let fake = |file: &str, line: String| {
        let path = server.path().join(file);
        fs::write(&path, fs::read_to_string(format!("/etc/{file}")).unwrap() + &line + "\n").unwrap();
        format!("mount --bind {} /etc/{file}", path.display())
    };
    let toor = |user: u32, group: u32| {
        let path = server.path().join("passwd");
        let text = fs::read_to_string("/etc/passwd").unwrap();
        let line = format!("{name}:x:{user}:{group}::/:/bin/sh\n");
        let others = text.lines().filter(|line| !line.starts_with(&format!("{name}:"))).map(|line| format!("{line}\n"));
        fs::write(&path, others.collect::<String>() + &line).unwrap();
        format!("mount --bind {} /etc/passwd", path.display())
    };
    for (kind, name, id) in
        [("user", "passwd", old + 5), ("user", "passwd", new), ("group", "group", new + 65_535), ("group", "group", old + 5)]
    {
        let ran = remap_after(&server, &fake(name, format!("stranger:x:{id}:100::/:/bin/sh"))).exits(78);
        assert!(ran.stderr.contains(&format!("the {kind} {id} is `stranger`")), "{}", ran.stderr);
        assert!(ran.stderr.contains("\ngive the account ranges"), "{}", ran.stderr);
    }
    for (user, group, said) in [(0, to().gid, "is root by its number"), (to().uid, 0, "group is root's")] {
        let ran = remap_after(&server, &toor(user, group)).exits(78);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    tree::same(&state(&repository.path), &before);
    // The account can write what it likes into the note of its repository.
    let note = repository.path.join(".snapgate/owners.json");
    let said = fs::read_to_string(&note).unwrap();
    for (first, count) in [(0, 65_536), (1, 65_536), (u32::MAX - 5, 100), (old, 0)] {
        let range = format!("{{\"first\":{first},\"count\":{count}}}");
        fs::write(&note, format!("{{\"users\":[{range}],\"groups\":[{range}]}}")).unwrap();
        assert_ne!(remap(&server, &[]).status, 0, "{range}");
    }
    fs::write(&note, said).unwrap();
    remap(&server, &[]).exits(0);
}

#[test]
fn nothing_that_is_mounted_in_a_repository_is_changed() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    moved(&server);
    let (snapshot, outside) = (repository.snapshot(-1), server.path().join("outside"));
    tree::write(&outside.join("file"), "somebody else's");
    for path in [outside.clone(), outside.join("file")] {
        chown(&path, Some(first(&from())), Some(first(&from()))).unwrap();
    }
    let before = (state(&repository.path), tree::listing(&outside));
    // Another file system, a directory of the same one, and a file.
    for (mount, place) in [
        ("-t tmpfs none".to_owned(), snapshot.join("etc")),
        (format!("--bind {}", outside.display()), snapshot.join("etc")),
        (format!("--bind {}", outside.join("file").display()), snapshot.join("a.txt")),
    ] {
        let ran = remap_after(&server, &format!("mount {mount} {}", place.display())).exits(1);
        assert!(ran.stdout.contains("something is mounted there") && ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
        tree::same(&state(&repository.path), &before.0);
        tree::same(&tree::listing(&outside), &before.1);
    }
    // Nor is anything of it reached by another way while it is closed.
    let ran = remap_after(&server, &format!("mount --bind {} /mnt", snapshot.display())).exits(75);
    assert!(ran.stderr.contains("is mounted at `/mnt`"), "{}", ran.stderr);
    tree::same(&state(&repository.path), &before.0);
    remap(&server, &[]).exits(0);
    tree::same(&tree::listing(&outside), &before.1);
}

#[test]
fn a_note_that_somebody_else_can_write_is_refused_and_so_is_a_way_that_somebody_else_has_made() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    moved(&server);
    let before = state(&repository.path);
    let beside = private(&repository.path);
    fs::create_dir(&beside).unwrap();
    for (owner, bits) in [(Some(from().uid), 0o700), (Some(0), 0o755)] {
        chown(&beside, owner, Some(0)).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(bits)).unwrap();
        assert!(remap(&server, &[]).exits(75).stderr.contains("not root's alone"));
    }
    fs::remove_dir(&beside).unwrap();
    symlink("/root", &beside).unwrap();
    assert_ne!(remap(&server, &[]).status, 0);
    fs::remove_file(&beside).unwrap();

    // A file of the gate's that has another name may be open to whoever has that.
    let (ledger, other) = (repository.path.join(".snapgate/ledger.jsonl"), server.path().join("other-name"));
    fs::hard_link(&ledger, &other).unwrap();
    assert!(remap(&server, &[]).exits(1).stdout.contains("has further names"));
    fs::remove_file(&other).unwrap();
    tree::same(&state(&repository.path), &before);

    // A directory that the account can put a link into.
    let accounts = server.path().join("accounts");
    fs::create_dir(&accounts).unwrap();
    symlink(server.store(), accounts.join("link")).unwrap();
    chown(&accounts, Some(from().uid), None).unwrap();
    server.policy("web1", &format!("{ALL_VERBS}owners: keep\nuser: {}\npath: {}/link/web1\n", to().name, accounts.display()));
    assert!(remap(&server, &[]).exits(75).stderr.contains("symbolic link on the way"));
    tree::same(&state(&repository.path), &before);
    // Where root alone can have made it, it is as good as the way that it stands for.
    chown(&accounts, Some(0), None).unwrap();
    fs::set_permissions(&accounts, fs::Permissions::from_mode(0o755)).unwrap();
    remap(&server, &[]).exits(0);
    nothing_is_strange(&repository.path, &to());
}

/// A program of the client's, which would be the new account's, and run as one of its ids, wherever it has a name.
#[test]
fn a_program_that_has_a_name_elsewhere_gets_nobody_else_s_power() {
    let Some((server, web1, repository, source)) = pushed(machine) else { return };
    web1.push(&source, &FULL).exits(0);
    moved(&server);
    let (snapshot, other) = (repository.snapshot(-1), server.path().join("other-name"));
    for name in ["usr/bin/su", "opt/capable"] {
        fs::hard_link(snapshot.join(name), &other).unwrap();
        let before = state(&repository.path);
        let ran = remap(&server, &[]).exits(1);
        assert!(ran.stdout.contains("1 name outside") && ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
        tree::same(&state(&repository.path), &before);
        fs::remove_file(&other).unwrap();
    }
    remap(&server, &[]).exits(0);
    nothing_is_strange(&repository.path, &to());
}
