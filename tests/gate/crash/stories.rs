//! What happens while the gate is killed: each story with what came before it, and how the client goes on.

use std::fs;
use std::process::Command;

use snapgate::terms::reason::Code;

use super::{Story, data, settle, write};
use support::kept::strace;
use support::{Gate, Ran, must, run};

fn push_new(gate: &Gate, wrap: &str) -> Ran {
    run(&mut gate.push_command(&data(gate, "new"), &[], wrap))
}

fn push_old(gate: &Gate) {
    gate.push(&data(gate, "old"), &[]).exits(0);
}

/// The next push succeeds, and sends nothing that is there already.
fn push_again(gate: &Gate) {
    let there = [gate.inside("inprogress"), gate.inside("current/.")].iter().any(|path| path.join("etc/deep/new").exists());
    let there = there
        || fs::read_dir(gate.inside(".snapgate/interrupted"))
            .is_ok_and(|mut all| all.any(|entry| entry.unwrap().path().join("etc/deep/new").exists()));
    let ran = push_new(gate, "").exits(0);
    assert!(!there || ran.figure("Literal data") == 0, "what had arrived came again: {}", ran.stdout);
}

/// With several unchanged files in one directory, two of them in a group of hard links.
fn push_old_and_many(gate: &Gate) {
    for name in ["old", "new"] {
        let many = data(gate, name).join("etc/many");
        ["a", "b", "c", "d"].iter().for_each(|name| write(&many.join(name), b"same"));
        fs::hard_link(many.join("a"), many.join("twin")).unwrap();
        must(Command::new("find").arg(&many).args(["-exec", "touch", "-d", "2025-01-01", "{}", "+"]));
        must(Command::new("touch").args(["-d", "2025-01-01"]).arg(many.parent().unwrap()));
    }
    push_old(gate);
}

fn push_new_with_hard_links(gate: &Gate, wrap: &str) -> Ran {
    run(&mut gate.push_command(&data(gate, "new"), &["-H"], wrap))
}

/// Leaves a whole push in `inprogress/`, its gate killed just before the rename that publishes.
fn leave_in_progress(gate: &Gate) {
    let wrap = format!("{} -o /dev/null -e trace=renameat2 -e inject=renameat2:signal=SIGKILL:when=1", strace());
    run(&mut gate.push_command(&data(gate, "new"), &[], &wrap));
    settle(gate);
    assert!(gate.inside("inprogress/same").exists());
}

/// As an older gate, or one that was killed over it, has left them: two trees, each with a part of the new data, one of which its owner may not
/// look into.
fn leave_tries(gate: &Gate) {
    let new = data(gate, "new");
    for (number, left_out) in [(1, "etc/changed"), (2, "etc/deep")] {
        let tree = gate.inside(&format!(".snapgate/interrupted/{number}"));
        fs::create_dir_all(tree.parent().unwrap()).unwrap();
        must(Command::new("cp").arg("-a").args([&new, &tree]));
        must(Command::new("chmod").arg("755").arg(&tree));
        must(Command::new("rm").arg("-r").args([tree.join(left_out), tree.join("same")]));
        must(Command::new("chmod").arg("0").arg(tree.join("etc")));
    }
}

/// Two pushes of a transaction that overlap; together they are the new data.
fn push_parts(gate: &Gate) {
    let new = data(gate, "new");
    let part = |options: &[&str], from: String, to: &str| {
        let mut words = vec!["-a", "--stats"];
        words.extend(options);
        words.extend([from.as_str(), to]);
        assert_eq!(gate.rsync(&words).exits(0).stderr, "snapgate: received; say `complete` to publish it\n");
    };
    part(&["--exclude=/etc/deep"], format!("{}/", new.display()), "backup:");
    part(&["--exclude=/same"], format!("{}/", new.display()), "backup:");
}

fn whole_transaction(gate: &Gate) {
    gate.say("prepare").exits(0);
    push_parts(gate);
    gate.say("complete").exits(0);
}

/// What a push does not bring is carried over from here on. The part that is pushed later is all that differs.
fn merge_and_push_old(gate: &Gate) {
    let policy = fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap();
    gate.write("config/policies/web1.yaml", &format!("{policy}partial_pushes: merge\n"));
    // A kill may leave the owner's right to write to the top lent, and the next snapshot would have it from there.
    must(Command::new("chmod").arg("755").args([data(gate, "old"), data(gate, "new")]));
    must(Command::new("touch").arg("-r").arg(data(gate, "new")).arg(data(gate, "old")));
    push_old(gate);
}

fn push_part(gate: &Gate, wrap: &str) -> Ran {
    let from = format!("{}/etc/", data(gate, "new").display());
    run(&mut gate.rsync_command(&["-a", "--delete", &from, "backup:etc/"], wrap))
}

pub(super) const STORIES: [Story; 14] = [
    Story { name: "the first push", publishes: true, before: |_| {}, act: push_new, retry: push_again },
    Story { name: "a push", publishes: true, before: push_old, act: push_new, retry: push_again },
    Story {
        name: "a push after one that was cut off",
        publishes: true,
        before: |gate| {
            push_old(gate);
            leave_in_progress(gate);
        },
        act: push_new,
        retry: push_again,
    },
    Story {
        name: "prepare, where an old transaction is open",
        publishes: false,
        before: |gate| {
            push_old(gate);
            gate.say("prepare").exits(0);
            push_parts(gate);
        },
        act: |gate, wrap| run(&mut gate.say_command("prepare", wrap)),
        retry: whole_transaction,
    },
    Story {
        name: "a push in a transaction",
        publishes: false,
        before: |gate| {
            push_old(gate);
            gate.say("prepare").exits(0);
        },
        act: push_new,
        retry: |gate| {
            push_again(gate);
            gate.say("complete").exits(0);
        },
    },
    Story {
        name: "complete",
        publishes: true,
        before: |gate| {
            push_old(gate);
            gate.say("prepare").exits(0);
            push_parts(gate);
        },
        act: |gate, wrap| run(&mut gate.say_command("complete", wrap)),
        retry: |gate| {
            let published = gate.snapshots().len() == 2;
            if gate.say("complete").status == 0 {
                return;
            }
            // The transaction was closed: either it is published, or the client begins again, which costs it nothing.
            if published { push_again(gate) } else { whole_transaction(gate) }
        },
    },
    Story {
        name: "complete, where the client's rsync failed",
        publishes: false,
        before: |gate| {
            push_old(gate);
            gate.say("prepare").exits(0);
            push_parts(gate);
        },
        act: |gate, wrap| run(&mut gate.say_command("complete 12", wrap)),
        retry: whole_transaction,
    },
    Story {
        name: "abort",
        publishes: false,
        before: |gate| {
            push_old(gate);
            gate.say("prepare").exits(0);
            gate.push(&data(gate, "old"), &[]).exits(0);
        },
        act: |gate, wrap| run(&mut gate.say_command("abort", wrap)),
        retry: |gate| {
            // A second abort is either the one that works or finds nothing to do.
            let status = gate.say("abort").status;
            assert!(status == 0 || status == i32::from(Code::Transaction.exit()), "{status}");
            push_again(gate);
        },
    },
    Story {
        name: "a refusal",
        publishes: false,
        before: push_old,
        act: |gate, wrap| run(&mut gate.say_command("rm -rf /", wrap)),
        retry: push_again,
    },
    Story {
        name: "a dry run",
        publishes: false,
        before: push_old,
        act: |gate, wrap| run(&mut gate.push_command(&data(gate, "new"), &["--dry-run"], wrap)),
        retry: push_again,
    },
    Story {
        name: "a push with hard links",
        publishes: true,
        before: push_old_and_many,
        act: push_new_with_hard_links,
        retry: |gate| {
            push_new_with_hard_links(gate, "").exits(0);
        },
    },
    Story {
        name: "a push whose rest is carried over",
        publishes: true,
        before: merge_and_push_old,
        act: push_part,
        retry: |gate| {
            push_part(gate, "").exits(0);
        },
    },
    Story {
        name: "complete, where the rest is carried over",
        publishes: true,
        before: |gate| {
            merge_and_push_old(gate);
            gate.say("prepare").exits(0);
            push_part(gate, "").exits(0);
        },
        act: |gate, wrap| run(&mut gate.say_command("complete", wrap)),
        retry: |gate| {
            if gate.say("complete").status != 0 {
                push_part(gate, "").exits(0);
            }
        },
    },
    Story {
        name: "complete, where the client's rsync failed and earlier pushes did not finish",
        publishes: false,
        before: |gate| {
            push_old(gate);
            leave_tries(gate);
            gate.say("prepare").exits(0);
            push_parts(gate);
        },
        act: |gate, wrap| run(&mut gate.say_command("complete 12", wrap)),
        retry: whole_transaction,
    },
];
