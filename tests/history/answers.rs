//! What each question is answered.

use serde_json::json;

use super::{Past, inode};

#[test]
fn each_question_has_one_answer_for_the_administrator_and_the_client() {
    let past = Past::new();
    for (word, rest) in [
        ("ls", &["etc"][..]),
        ("ls", &["@1d", "etc"]),
        ("ls", &["--json", "etc"]),
        ("cat", &["@2d", "etc/hosts"]),
        ("find", &["*.conf"]),
        ("find", &["--all", "*.conf"]),
        ("find", &["--all", "--json", "etc/*"]),
        ("history", &["etc/hosts"]),
        ("history", &["-d", "etc/hosts"]),
        ("history", &["etc"]),
        ("diff", &["@2d", "current"]),
        ("diff", &["--json", "@1d", "current", "etc"]),
    ] {
        let administrators = past.told(word, rest);
        let clients = past.gate.say(&format!("{word} {}", rest.join(" "))).exits(0).stdout;
        assert_eq!(administrators, clients, "{word} {rest:?}");
        assert!(!administrators.is_empty(), "{word} {rest:?}");
        assert!(!administrators.bytes().any(|byte| byte < 32 && byte != b'\n'), "no colour where there is no terminal");
    }
}

#[test]
fn a_directory_and_a_file_are_shown_as_they_were() {
    let past = Past::new();
    let names = |words: &[&str]| {
        let lines = past.told("ls", words);
        lines.lines().map(|line| line.rsplit("Z  ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["etc"]), ["hosts", "new.conf", "same"]);
    assert_eq!(names(&["@1d", "etc"]), ["hosts", "same"]);
    assert_eq!(names(&["@2d", "etc"]), ["gone.conf", "hosts", "same"]);
    assert_eq!(names(&["@yesterday"]), ["etc/", "new name"]);
    assert_eq!(names(&[past.names[0].as_str(), "etc/hosts"]), ["hosts"]);
    assert_eq!(past.told("cat", &["etc/hosts"]), "one\n2\nthree\n");
    assert_eq!(past.told("cat", &["@2d", "etc/hosts"]), "one\ntwo\nthree\n");
    let entry = &past.objects("ls", &["etc/new.conf"])[0];
    assert_eq!((&entry["size"], &entry["kind"], &entry["path"]), (&json!(5000), &json!("file"), &json!("new.conf")));
    assert_eq!(entry["inode"], inode(&past.gate.newest().join("etc/new.conf")));
}

#[test]
fn a_name_is_found_with_where_it_was_first_and_last() {
    let past = Past::new();
    let found = |rest: &[&str]| {
        let all = past.objects("find", rest);
        all.iter().map(|one| format!("{} {} {}", one["path"].as_str().unwrap(), one["first"], one["last"])).collect::<Vec<_>>()
    };
    let [first, second, third] = [0, 1, 2].map(|at| json!(past.names[at]));
    assert_eq!(
        found(&["--all", "*"]),
        [
            format!("etc {first} {third}"),
            format!("etc/gone.conf {first} {first}"),
            format!("etc/hosts {first} {third}"),
            format!("etc/new.conf {third} {third}"),
            format!("etc/same {first} {third}"),
            format!("new name {second} {third}"),
            format!("old name {first} {first}"),
        ]
    );
    assert_eq!(found(&["@2d", "etc/*.conf"]), ["etc/gone.conf null null"]);
}

#[test]
fn versions_are_told_with_what_happened_to_them() {
    let past = Past::new();
    let what = |path: &str| {
        let all = past.objects("history", &[path]);
        all.iter().map(|one| format!("{} {}", one["what"].as_str().unwrap(), one["snapshot"].as_str().unwrap())).collect::<Vec<_>>()
    };
    let [first, second, third] = [0, 1, 2].map(|at| past.names[at].as_str());
    assert_eq!(what("etc/hosts"), [format!("created {first}"), format!("changed {second}"), format!("metadata {third}")]);
    assert_eq!(what("etc/same"), [format!("created {first}")]);
    assert_eq!(what("etc/gone.conf"), [format!("created {first}"), format!("deleted {second}")]);
    assert_eq!(what("etc/new.conf"), [format!("created {third}")]);
    let diffs = past.told("history", &["-d", "etc/hosts"]);
    assert!(diffs.contains(&format!("--- {first}\n+++ {second}\n")), "{diffs}");
    assert!(diffs.contains("\n-two\n+2\n"), "{diffs}");
    // A directory: what changed in it, snapshot by snapshot.
    let directory = past.objects("history", &["etc"]);
    let told: Vec<_> = directory.iter().map(|one| format!("{} {} {}", one["what"], one["snapshot"], one["path"])).collect();
    assert_eq!(
        told,
        [
            format!("\"created\" \"{first}\" null"),
            format!("\"deleted\" \"{second}\" \"etc/gone.conf\""),
            format!("\"changed\" \"{second}\" \"etc/hosts\""),
            format!("\"metadata\" \"{third}\" \"etc/hosts\""),
            format!("\"created\" \"{third}\" \"etc/new.conf\""),
        ]
    );
}

#[test]
fn two_snapshots_differ_by_what_came_went_changed_and_moved() {
    let past = Past::new();
    let all = past.objects("diff", &["@2d", "current"]);
    let told: Vec<_> = all.iter().map(|one| format!("{} {}", one["what"].as_str().unwrap(), one["path"])).collect();
    assert_eq!(told, ["deleted \"etc/gone.conf\"", "changed \"etc/hosts\"", "created \"etc/new.conf\"", "moved \"new name\"", "sum null"]);
    assert_eq!(all[3]["from"], "old name");
    let sum = &all[4];
    assert_eq!((&sum["created_bytes"], &sum["deleted_bytes"], &sum["moved"]), (&json!(5000), &json!(11), &json!(1)));
    assert_eq!((&sum["changed_bytes_before"], &sum["changed_bytes"]), (&json!(14), &json!(12)));
    assert_eq!(past.told("diff", &["current", "current"]), "no difference\n");
    assert!(
        past.told("diff", &["@2d", "current"]).ends_with("1 created (4.8 KiB), 1 deleted (11 B), 1 changed (12 B, before 14 B), 1 moved\n")
    );
}

#[test]
fn yesterday_names_a_path_that_is_there_also_from_within_the_store() {
    let past = Past::new();
    let snapshots = past.gate.inside("snapshots");
    let at = |number: usize, place: &str| format!("{}/{}/{place}\n", snapshots.display(), past.names[number]);
    assert_eq!(past.told("yesterday", &["etc/hosts"]), at(1, "etc/hosts"));
    assert_eq!(past.told("yesterday", &["-d", "2", "etc/hosts"]), at(0, "etc/hosts"));
    assert_eq!(past.told("yesterday", &["-d", "0", "etc/hosts"]), at(2, "etc/hosts"));
    assert_eq!(past.told("yesterday", &["@1d", "etc/hosts"]), at(1, "etc/hosts"));
    // The newest version not after that time.
    assert_eq!(past.told("yesterday", &["-d", "0", "etc/gone.conf"]), at(0, "etc/gone.conf"));
    for within in [at(2, "etc/hosts"), format!("{}\n", past.gate.inside("current/etc/hosts").display())] {
        let said = past.says(&["yesterday", "-d", "2", within.trim_end()]).exits(0).stdout;
        assert_eq!(said, at(0, "etc/hosts"), "{within}");
    }
    let typed = support::run(past.gate.snapgate(&["yesterday", "hosts"]).current_dir(past.gate.newest().join("etc"))).exits(0).stdout;
    assert_eq!(typed, at(1, "etc/hosts"));
    assert_eq!(past.says(&["yesterday", "/etc/hosts"]).status, 64);
    // A client is told no path of the server's.
    assert_eq!(past.gate.say("yesterday etc/hosts").exits(0).stdout, format!("{}/etc/hosts\n", past.names[1]));
    let object = &past.objects("yesterday", &["etc/hosts"])[0];
    assert_eq!(object["snapshot"], past.names[1].as_str());
}

#[test]
fn a_list_has_each_snapshot_with_its_age_its_size_and_what_was_new() {
    let past = Past::new();
    let listed = past.says(&["list", "web1"]).exits(0).stdout;
    let lines: Vec<_> = listed.lines().skip(1).collect();
    for (line, (name, age)) in lines.iter().zip(past.names.iter().zip(["2d", "1d", "0m"])) {
        assert!(line.contains(name.as_str()) && line.contains(&format!("{age} ago")), "{listed}");
    }
    assert!(lines[0].contains("4 files") && lines[0].contains("4 new"), "{listed}");
    assert!(lines[2].ends_with("current") && !lines[0].contains("current"), "{listed}");
    let clients = past.gate.say("list").exits(0).stdout;
    assert_eq!(clients.lines().count(), 3);
    assert!(!clients.contains(past.gate.path().to_str().unwrap()), "{clients}");
    let objects: Vec<serde_json::Value> =
        past.gate.say("list --json").exits(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&objects[2]["files"], &objects[2]["current"]), (&json!(4), &json!(true)));
    assert!(objects[0].get("held").is_none() && objects[0].get("client").is_none(), "what the server thinks is its own affair");
    let record = past.gate.record();
    assert_eq!(record.verb.map(|verb| verb.to_string()).as_deref(), Some("list"), "{record:?}");
}

#[test]
fn what_a_snapshot_alone_takes_is_what_only_it_has() {
    let past = Past::new();
    let all = past.says(&["usage", "--snapshots", "--json", "web1"]).exits(0).stdout;
    let all: Vec<serde_json::Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), 4);
    // Two directories each; and hosts and gone.conf, hosts and `new name`, hosts and new.conf. `old name` has another time, and
    // was sent anew.
    let inodes: Vec<_> = all.iter().map(|one| one["inodes"].as_u64().unwrap()).collect();
    assert_eq!(inodes[0], 2 + 3, "{all:?}");
    assert_eq!(inodes[1], 2 + 1, "{all:?}");
    assert_eq!(inodes[2], 2 + 2, "{all:?}");
    // `same` is in all, `new name` in two.
    assert_eq!(inodes[3], 12 + 2, "{all:?}");
    assert_eq!(all[3]["what"], "all");
    assert!(past.says(&["usage", "web1"]).exits(0).stdout.starts_with("web1: "));
    assert_eq!(past.gate.say("usage --json").exits(0).stdout.lines().count(), 4);
}
