//! Policies that are proposed from what let clients in before.

use std::fs;
use std::path::Path;
use std::process::Command;

use snapgate::act::config;
use support::{Ran, SNAPGATE, run};

use crate::lab::{Lab, fingerprint, key};

fn line(options: &str, number: u32, comment: &str) -> String {
    let (kind, text) = key(number);
    format!("{options} {kind} {text} {comment}\n")
}

fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn import(lab: &Lab, words: &[&str]) -> Ran {
    import_of(lab, "rrsync", words)
}

fn import_of(lab: &Lab, former: &str, words: &[&str]) -> Ran {
    run(Command::new(SNAPGATE).arg("--config").arg(lab.path()).args(["import", former]).args(words))
}

fn verbs(verbs: &[snapgate::terms::Verb]) -> String {
    verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_rrsync_let_in_becomes_policies_that_can_be_read() {
    let lab = Lab::new(&[]);
    let file = lab.path().join("authorized_keys");
    let text = [
        line("restrict,from=\"192.0.2.7,2001:db8::/48\",command=\"/usr/bin/rrsync -wo /srv/backups/web1\"", 1, "root@web1"),
        "# a comment\n\n".to_owned(),
        line("command=\"rrsync -ro -munge /srv/web\",no-pty,tunnel=\"1\"", 2, "reader"),
        line("command=\"rsync --server -logDtpr . /srv/db\",from=\"*.example.org,!x\"", 3, "root@web1"),
        line("command=\"/usr/local/bin/validate-rsync\"", 4, ""),
    ]
    .concat();
    fs::write(&file, &text).unwrap();
    let to = lab.path().join("proposed");
    let said = import(&lab, &[file.to_str().unwrap(), "--user", "backup", "--write", to.to_str().unwrap()]).exits(0).stdout;
    assert!(said.contains("4 policies proposed, 0 lines passed over"), "{said}");
    assert!(said.contains("tunnel: it has no place in a policy") && said.contains("`*.example.org`"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "the original is as it was");
    let policies = lab.path().join("policies");
    assert!(names(&policies).is_empty());
    // Whoever has read them moves them.
    for name in names(&to) {
        fs::rename(to.join(&name), policies.join(&name)).unwrap();
    }
    let site = config::load_site(lab.path()).unwrap();
    let all: Vec<_> = config::all_policies(lab.path(), &site).unwrap().into_iter().map(|(_, policy)| policy.unwrap()).collect();
    let clients: Vec<_> = all.iter().map(|policy| policy.client.as_str()).collect();
    assert_eq!(clients, ["client-6", "reader", "web1", "web1-5"]);
    let [_, reader, web1, db] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((web1.user.as_str(), web1.keys.as_deref()), ("backup", Some(&[fingerprint(1)][..])));
    assert_eq!((web1.from.as_ref().unwrap().len(), db.from.as_ref().unwrap().len()), (2, 1), "nobody, where nothing can be said");
    assert!(reader.options.munges() && !web1.options.munges());
    assert_eq!((verbs(&web1.verbs).as_str(), verbs(&reader.verbs).as_str()), ("rsync status", "status restore"));
    // Again, where they would be written over; and where nobody has read them.
    fs::write(to.join("web1.yaml"), "mine").unwrap();
    import(&lab, &[file.to_str().unwrap(), "--write", to.to_str().unwrap()]).exits(64);
    assert_eq!((fs::read_to_string(to.join("web1.yaml")).unwrap().as_str(), names(&to).len()), ("mine", 1));
    let ran = import(&lab, &[file.to_str().unwrap(), "--write", policies.to_str().unwrap()]).exits(64);
    assert!(ran.stderr.contains("nobody has read"), "{}", ran.stderr);
}

#[test]
fn what_rsync_and_validate_rsync_let_in_is_proposed_by_their_own_words() {
    let lab = Lab::new(&[]);
    for (former, command, verbs_of_it, left) in [
        ("rsync", "rsync --server -logDtpr . /srv/db", "rsync status", "it pushed into `/srv/db`"),
        ("rsync", "/usr/bin/rsync --server --sender -logDtpr . /srv/db", "status restore", "it read `/srv/db`"),
        ("validate-rsync", "/usr/local/bin/validate-rsync.sh", "rsync status restore", "who pushed where is not known"),
    ] {
        let file = lab.path().join("authorized_keys");
        fs::write(&file, line(&format!("restrict,command=\"{command}\""), 1, "db")).unwrap();
        let to = lab.path().join(format!("proposed-{}", command.len()));
        let said = import_of(&lab, former, &[file.to_str().unwrap(), "--user", "backup", "--write", to.to_str().unwrap()]).exits(0).stdout;
        assert!(said.contains("1 policy proposed, 0 lines passed over") && said.contains(left), "{said}");
        fs::rename(to.join("db.yaml"), lab.policy("db")).unwrap();
        let site = config::load_site(lab.path()).unwrap();
        let policy = config::load_policy(lab.path(), &site, &"db".parse().unwrap()).unwrap().unwrap();
        assert_eq!((policy.user.as_str(), verbs(&policy.verbs).as_str()), ("backup", verbs_of_it), "{former}");
        assert_eq!(policy.keys.as_deref(), Some(&[fingerprint(1)][..]));
    }
    // It is a file of keys that they read.
    let yaml = lab.path().join("authprogs.yaml");
    fs::write(&yaml, "- allow: { rule_type: rsync, allow_upload: true }\n").unwrap();
    for former in ["rsync", "validate-rsync"] {
        let said = import_of(&lab, former, &[yaml.to_str().unwrap()]).exits(1).stdout;
        assert!(said.contains("0 policies proposed, 1 line passed over"), "{said}");
    }
}

#[test]
fn what_authprogs_let_in_becomes_policies_of_the_keys_that_its_rules_name() {
    let lab = Lab::new(&[]);
    let keys = [
        line("command=\"/usr/bin/authprogs --keyname backups --run\",no-pty", 1, "root@web1"),
        line("command=\"authprogs --keyname=mirror --run\"", 2, "me"),
        line("command=\"authprogs --run\"", 3, "old"),
        line("command=\"borg serve --append-only\"", 4, "borg"),
        line("command=\"rdiff-backup server --restrict-path /srv\"", 5, "rdiff"),
    ];
    let rules = "\
-
  from: [192.0.2.7, 10.0.0.0/8]
  keynames: backups
  allow:
    - rule_type: rsync
      allow_upload: true
      allow_delete: true
      path_startswith: [/srv/web/]
    - command: /bin/df
-
  keynames: [mirror, gone]
  allow:
    rule_type: rsync
    allow_download: true
-
  keynames: backups
  from: 192.0.2.8
  allow: { command: 'rsync --server -logDtpr . /srv/db' }
- allow: { rule_type: scp, allow_upload: true }
-
  allow: { rule_type: rsync, allow_upload: true, allow_download: true }
";
    let (file, yaml, to) = (lab.path().join("authorized_keys"), lab.path().join("authprogs.yaml"), lab.path().join("proposed"));
    fs::write(&file, keys.concat()).unwrap();
    fs::write(&yaml, rules).unwrap();
    let ask = |words: &[&str]| {
        run(Command::new(SNAPGATE).arg("--config").arg(lab.path()).args(["import", "authprogs", yaml.to_str().unwrap()]).args(words))
    };
    let words = ["--keys", file.to_str().unwrap(), "--user", "backup", "--write", to.to_str().unwrap()];
    let said = ask(&words).exits(1).stdout;
    assert!(
        said.contains("4 policies proposed, 1 rule passed over") && said.contains("rule 4: nothing is proposed: no rsync in it"),
        "{said}"
    );
    assert!(said.contains("`/bin/df`: nothing but rsync runs here") && said.contains("2 rules are one policy"), "{said}");
    assert!(said.contains("a key that nobody has") && said.contains("key `gone`"), "{said}");
    for name in names(&to) {
        fs::rename(to.join(&name), lab.path().join("policies").join(&name)).unwrap();
    }
    let site = config::load_site(lab.path()).unwrap();
    let all: Vec<_> = config::all_policies(lab.path(), &site).unwrap().into_iter().map(|(_, policy)| policy.unwrap()).collect();
    let [backups, other, gone, mirror] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(
        (backups.client.as_str(), verbs(&backups.verbs).as_str(), backups.from.as_ref().unwrap().len()),
        ("backups", "rsync status", 3)
    );
    assert_eq!(backups.keys.as_deref(), Some(&[fingerprint(1)][..]));
    assert_eq!(
        (mirror.client.as_str(), verbs(&mirror.verbs).as_str(), mirror.keys.as_deref()),
        ("mirror", "status restore", Some(&[fingerprint(2)][..]))
    );
    assert_eq!((gone.client.as_str(), gone.keys.as_ref().unwrap().len()), ("gone", 1));
    assert_eq!((other.client.as_str(), other.keys.as_deref(), other.from.as_ref()), ("client-5", Some(&[fingerprint(3)][..]), None));
    // What backs up by something else stays what it is.
    let said = import(&lab, &[file.to_str().unwrap()]).exits(1).stdout;
    assert!(
        said.contains("borg keeps a repository of its own kind") && said.contains("rdiff-backup speaks a protocol of its own"),
        "{said}"
    );
    assert!(said.contains("`snapgate import authprogs` reads them"), "{said}");
    ask(&["--keys", "/dev/zero"]).exits(64);
    import(&lab, &[file.to_str().unwrap(), "--keys", file.to_str().unwrap()]).exits(64);
}

#[test]
fn hostile_lines_are_text() {
    let lab = Lab::new(&[]);
    let file = lab.path().join("authorized_keys");
    let mut text = [
        line("command=\"rrsync /srv/x; touch /tmp/pwned\"", 1, "a"),
        line("command=\"rrsync $(id)\"", 2, "b"),
        line("command=\"/bin/sh\"", 3, "c"),
        line("", 4, "open"),
        line("command=\"rrsync 'a\"", 5, "d"),
        line("command=\"rrsync -x d\"", 6, "e"),
        "command=\"rrsync /srv ssh-rsa AAAA\n".to_owned(),
        "not a key\n".to_owned(),
        line("command=\"rrsync /srv/\u{1b}[2J\"", 7, "../../etc/passwd"),
        line("command=\"rrsync /srv\",from=\"x: y\\\", - {a: b}\"", 8, "n\u{202e}ame: {x}"),
        line("command=\"rrsync /srv\",a\u{1b}b", 9, "-rf"),
    ]
    .concat()
    .into_bytes();
    text.extend(b"\xff\xfe\0\n");
    fs::write(&file, &text).unwrap();
    let to = lab.path().join("proposed");
    let said = import(&lab, &[file.to_str().unwrap(), "--write", to.to_str().unwrap()]).exits(1).stdout;
    assert!(!said.chars().any(|letter| letter.is_control() && letter != '\n'), "{said}");
    let files = names(&to);
    assert!(files.len() == 3 && files.iter().all(|name| name.ends_with(".yaml") && !name.starts_with('.')), "{files:?}");
    for name in files {
        let policy = fs::read_to_string(to.join(name)).unwrap();
        assert!(policy.is_ascii() && !policy.contains("command") && !policy.contains("x: y"), "{policy}");
    }
    // A file without end, and one that is none.
    fs::File::options().write(true).open(&file).unwrap().set_len(1 << 40).unwrap();
    import(&lab, &[file.to_str().unwrap()]).exits(64);
    import(&lab, &[lab.path().to_str().unwrap()]).exits(64);
    import(&lab, &["/dev/zero"]).exits(64);
}
