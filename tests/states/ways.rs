//! Other ways out than mail, with real servers here: what each is told, and by whose word.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use snapgate::admin::watch::run;
use support::http::{Manner, Request, Server};

use super::routed::{pushed, refused};
use super::{Place, me, names, now, subject};

/// What signs, in the file of [`site`].
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A file that only its owner can use.
pub(super) fn private(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory with a secret and a program that keeps what it is told, and the site's keys for both and for this port.
pub(super) fn site(port: u16) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    private(&dir.path().join("key"), &format!("{SECRET}\n"), 0o600);
    private(&dir.path().join("told"), &format!("#!/bin/sh\ncat >> {at}/said\n"), 0o700);
    let keys = format!("webhook: \"http://127.0.0.1:{port}/hook-token\"\nwebhook_secret: {at}/key\nexec: {at}/told\n");
    (dir, keys)
}

pub(super) fn ping(port: u16) -> String {
    format!("ping: \"http://127.0.0.1:{port}/ping-token/{{client}}\"\n")
}

/// What waits for other ways than mail.
pub(super) fn waiting(place: &Place) -> usize {
    let names = fs::read_dir(place.spool().join("out")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with("0000")).count()
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What a webhook was told, in a few words each, as a mail has them: where an account tells, it says that it does.
pub(super) fn summaries(seen: &[Request]) -> Vec<String> {
    let by = format!("account {}: ", me().uid);
    seen.iter().map(|request| json_of(&request.body)["summary"].as_str().unwrap().replace(&by, "")).collect()
}

#[test]
fn each_way_is_told_of_a_push_that_is_worth_no_mail() {
    let server = Server::plain();
    let (dir, keys) = site(server.port);
    let place = Place::new(&keys);
    place.client("web1", &ping(server.port));
    place.add(1, "web1", &pushed("none", "published"));
    let done = run(&place.site(), false);
    assert!(done.told == 3 && done.sent == 0 && done.waiting == 0 && done.problems.is_empty(), "{done:?}");
    let seen = server.seen();
    let hook = seen.iter().find(|request| request.line.contains("hook")).unwrap();
    let said = json_of(&hook.body);
    assert_eq!((said["kind"].as_str(), said["client"].as_str()), (Some("published"), Some("web1")));
    assert_eq!((said["event"]["files"].as_u64(), hook.header("Content-Type")), (Some(3), Some("application/json")));
    assert_eq!(said["id"].as_str(), hook.header("Idempotency-Key"));
    let pinged = seen.iter().find(|request| request.line.contains("ping")).unwrap();
    assert_eq!((pinged.line.as_str(), pinged.body.contains("published 2026-11-21T02")), ("POST /ping-token/web1 HTTP/1.1", true));
    assert_eq!(json_of(fs::read_to_string(dir.path().join("said")).unwrap().trim()), said, "the program is told the same");
    assert_eq!((waiting(&place), names(&place.spool().join("new"))), (0, 0));
    assert_eq!(run(&place.site(), false).told, 0, "once");
}

/// The example in the manual, in Python.
fn example() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/administration.md")).unwrap();
    let begins = text.find("    import hashlib").expect("the manual has an example");
    let lines = text[begins..].lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| line.strip_prefix("    ").unwrap_or_default().to_owned() + "\n").collect()
}

#[test]
fn the_signature_is_what_the_example_in_the_manual_takes_and_nothing_else_is() {
    if Command::new("python3").arg("-V").output().is_err() {
        println!("skipped: there is no python3 to run the manual's example");
        return;
    }
    let server = Server::plain();
    let (dir, keys) = site(server.port);
    let place = Place::new(&keys);
    place.client("web1", "");
    place.add(1, "web1", &refused());
    assert_eq!(run(&place.site(), false).told, 2);
    let request = server.seen().remove(0);
    let signature = request.header("Snapgate-Signature").unwrap().to_owned();
    let script = dir.path().join("verify.py");
    let main = "import sys\nprint(is_genuine(sys.argv[1].encode(), sys.argv[2], sys.argv[3].encode()))\n";
    fs::write(&script, example() + main).unwrap();
    let verified = |body: &str, signature: &str, secret: &str| {
        let output = Command::new("python3").arg(&script).args([body, signature, secret]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim() == "True"
    };
    assert!(verified(&request.body, &signature, SECRET));
    assert!(!verified(&request.body.replace("web1", "web2"), &signature, SECRET));
    assert!(!verified(&request.body, &signature, "another secret of theirs"));
    let (_, sum) = signature.split_once(',').unwrap();
    assert!(!verified(&request.body, &format!("t=1,{sum}"), SECRET), "another time");
}

#[test]
fn pings_say_how_a_push_went_and_its_beginning_is_left_out_where_the_end_is_known() {
    let server = Server::plain();
    let place = Place::new("");
    place.client("web1", &ping(server.port));
    let begun =
        json!({"kind": "connection", "mail": "none", "result": "started", "exit": 0, "verb": "rsync", "command": "rsync --server . ."});
    let add = |id: &str, fields: &Value| {
        let mut event = json!({"version": 1, "id": id, "at": now(), "account": "web1", "client": "web1"});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let event = serde_json::from_value(event).unwrap();
        snapgate::act::record::spool::Spool::open(&place.site().spool, me().uid).unwrap().add(&event).unwrap();
    };
    let lines = || server.seen().iter().map(|request| request.line.replace(" HTTP/1.1", "")).collect::<Vec<_>>();
    add("20261128T000000000001Z-7-0", &begun);
    assert_eq!(run(&place.site(), false).told, 1);
    add("20261128T000000000001Z-7", &pushed("none", "published"));
    assert_eq!(run(&place.site(), false).told, 1);
    add("20261128T000000000002Z-8-0", &begun);
    add("20261128T000000000002Z-8", &pushed("alert", "failed"));
    let done = run(&place.site(), false);
    assert!(done.told == 1 && done.sent == 1 && done.waiting == 0, "{done:?}");
    let expected = ["POST /ping-token/web1/start", "POST /ping-token/web1", "POST /ping-token/web1/fail"];
    assert_eq!(lines(), expected);
    assert_eq!(waiting(&place), 0);
}

#[test]
fn a_webhook_is_told_what_it_wants_where_nobody_wants_mail_and_over_tls() {
    let (tls, pem) = support::smtp::private_authority();
    let server = Server::start(0, Some(tls));
    let (dir, keys) = site(server.port);
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, pem).unwrap();
    let keys = keys.replace("http://", "https://") + "webhook_kinds: [refused]\n";
    let place = Place::mailing(&format!(", ca_file: {}", ca.display()), &keys);
    let file = place.config().join("snapgate.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(&format!("smtp://127.0.0.1:{}", place.server.port), "off")).unwrap();
    place.client("web1", "");
    place.add(1, "web1", &refused());
    place.add(2, "web1", &pushed("alert", "failed"));
    let done = run(&place.site(), false);
    assert!(done.told == 3 && done.sent == 0 && done.waiting == 0 && done.problems.is_empty(), "{done:?}");
    assert_eq!(server.seen().iter().map(|request| json_of(&request.body)["kind"].clone()).collect::<Vec<_>>(), ["refused"]);
    assert_eq!((names(&place.spool().join("new")), waiting(&place), place.server.connections()), (0, 0, 0));
}

#[test]
fn an_account_speaks_for_its_own_clients_alone() {
    let server = Server::plain();
    let (_dir, keys) = site(server.port);
    let place = Place::new(&keys);
    // Where root runs this, the spool is that of another account.
    let (uid, other) = if me().uid == 0 { (65534, "root".to_owned()) } else { (me().uid, "root".to_owned()) };
    place.client("web1", &ping(server.port));
    let policy = place.config().join("policies/web1.yaml");
    fs::write(&policy, format!("user: {other}\n{}", ping(server.port))).unwrap();
    place.add(1, "web1", &pushed("none", "published"));
    if me().uid == 0 {
        let (own, theirs) = (place.spool(), place.spool().with_file_name(uid.to_string()));
        fs::rename(&own, &theirs).unwrap();
        for entry in std::iter::once(theirs.clone()).chain(walk(&theirs)) {
            std::os::unix::fs::lchown(entry, Some(uid), None).unwrap();
        }
    }
    let done = run(&place.site(), false);
    assert!(done.told == 0 && done.waiting == 0, "{done:?}");
    assert_eq!(server.seen().len(), 0, "nobody hears of it");
}

/// The uid of the account that owns files that are nobody's.
pub(super) const NOBODY: u32 = 65534;

/// What that account could write into its spool, to be told by that way.
pub(super) fn forged(place: &Place, way: &str, id: &str, what: &Value) {
    forged_by(NOBODY, place, way, id, what);
}

/// The same of another account.
pub(super) fn forged_by(uid: u32, place: &Place, way: &str, id: &str, what: &Value) {
    let home = place.spool().with_file_name(uid.to_string());
    for inner in ["tmp", "new", "out", "dead"] {
        fs::create_dir_all(home.join(inner)).unwrap();
    }
    let dispatch = json!({"way": way, "created": now(), "what": what});
    private(&home.join(format!("out/{id}.{way}.json")), &dispatch.to_string(), 0o600);
    for entry in std::iter::once(home.clone()).chain(walk(&home)) {
        std::os::unix::fs::lchown(entry, Some(uid), None).unwrap();
    }
}

pub(super) fn notice(id: &str, client: Option<&str>) -> Value {
    json!({"notice": {"id": id, "at": now(), "client": client, "tiding": "held", "subject": format!("forged {id}"), "text": "forged"}})
}

#[test]
fn whoever_writes_a_spool_speaks_neither_for_the_server_nor_for_whom_nobody_knows() {
    if me().uid != 0 {
        println!("skipped: only root tells for other accounts");
        return;
    }
    let server = Server::plain();
    let (dir, keys) = site(server.port);
    let place = Place::new(&keys);
    place.client("web1", "");
    let policy = |name: &str, text: &str| fs::write(place.config().join(format!("policies/{name}.yaml")), text).unwrap();
    policy("web2", "user: nobody\n");
    policy("web3", "user: [");
    for way in ["webhook", "exec"] {
        for (id, client) in
            [("server", None), ("others", Some("web1")), ("unknown", Some("web9")), ("own", Some("web2")), ("maybe", Some("web3"))]
        {
            forged(&place, way, id, &notice(id, client));
        }
        let mut event = refused();
        let more = json!({"version": 1, "id": "event", "at": now(), "account": "root", "client": null});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        forged(&place, way, "event", &json!({ "event": event }));
    }
    let done = run(&place.site(), false);
    assert!(done.told == 4 && done.waiting == 2 && done.problems.is_empty(), "{done:?}");
    let ids = || server.seen().iter().map(|request| json_of(&request.body)["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(), ["event", "own"]);
    let said = json_of(&server.seen()[0].body);
    assert_eq!(said["event"]["account"], "nobody", "whatever it has written there: {said}");
    let own = server.seen()[1].body.clone();
    let uid = snapgate::act::names::named("nobody").unwrap().uid;
    for word in [format!("[snapgate] account {uid}: forged own"), format!("what the unix account with uid {uid} recorded")] {
        assert!(own.contains(&word), "its words are the account's: {own}");
    }
    policy("web3", "user: root\n");
    let done = run(&place.site(), false);
    assert!(done.told == 0 && done.waiting == 0, "it is known now, and another's: {done:?}");
    assert!((ids().len(), fs::read_to_string(dir.path().join("said")).unwrap().lines().count()) == (2, 2));
}

#[test]
fn an_event_with_an_id_that_no_gate_gives_ends_no_round() {
    let server = Server::plain();
    let (_dir, keys) = site(server.port);
    let place = Place::new(&keys);
    place.client("web1", "");
    place.add(1, "web1", &refused());
    let new = place.spool().join("new");
    let genuine = fs::read_to_string(new.join("1795226400000000-000001.json")).unwrap();
    let long = "0".repeat(121);
    for (name, inner) in [("0", "../x"), ("00", "other"), (&long, &long)] {
        private(&new.join(format!("{name}.json")), &genuine.replace("1795226400000000-000001", inner), 0o600);
    }
    let done = run(&place.site(), true);
    assert_eq!((done.counted, done.told), (2, 2), "{done:?}");
    assert!(done.sent > 0 && done.problems.iter().filter(|problem| problem.contains("another id inside")).count() >= 2, "{done:?}");
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| [vec![path.clone()], walk(&path)].concat()).collect()
}

fn tested(place: &Place, client: &str) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapgate"));
    let output = command.arg("--config").arg(place.config()).args(["watch", "--test", client]).stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(!text.contains("token") && !text.contains(SECRET), "{text}");
    (text, output.status.code())
}

#[test]
fn a_test_sends_one_of_each_and_says_which_was_taken() {
    let server = Server::plain();
    let (dir, keys) = site(server.port);
    let place = Place::new(&keys);
    let at = format!("http://127.0.0.1:{}", server.port);
    place.client("web1", &format!("reports_to: [joe@example.org]\n{}", ping(server.port)));
    place.client("web2", "");
    let (said, code) = tested(&place, "web1");
    let told = dir.path().join("told").display().to_string();
    let expected = format!(
        "mail (alert): accepted (root@example.org)\nmail (report): accepted (joe@example.org)\nwebhook: accepted ({at})\nping: accepted ({at})\n\
         exec: accepted ({told})\n"
    );
    assert_eq!((said.as_str(), code), (expected.as_str(), Some(0)));
    let subjects: Vec<_> = place.server.taken().iter().map(subject).collect();
    assert_eq!(subjects, ["[snapgate] web1: this is a test of an alert", "[snapgate] web1: this is a test of a report"]);
    let kinds: Vec<_> = server.seen().iter().map(|request| (request.line.clone(), request.body.contains("this is a test"))).collect();
    assert_eq!(kinds, [("POST /hook-token HTTP/1.1".to_owned(), true), ("POST /ping-token/web1/log HTTP/1.1".to_owned(), true)]);
    assert_eq!(json_of(&server.seen()[0].body)["kind"], "test");

    server.behave(Manner::Answer("404 Not Found".to_owned()));
    place.server.behave(support::smtp::Manner::Answer("RCPT", "550 nobody here"));
    private(&dir.path().join("told"), "#!/bin/sh\necho no room >&2; exit 3\n", 0o700);
    let (said, code) = tested(&place, "web1");
    assert_eq!((said.matches("NOT accepted").count(), code), (5, Some(1)), "{said}");
    for what in ["550", "nobody here", "answered 404", "ended with status 3: no room", "/log"] {
        assert!(said.contains(what), "{what}: {said}");
    }
    private(&dir.path().join("key"), SECRET, 0o644);
    assert!(tested(&place, "web1").0.contains("others may read it: `chown root` and `chmod 600` it"));
    if me().uid == 0 {
        let checked = Command::new(env!("CARGO_BIN_EXE_snapgate")).arg("--config").arg(place.config()).arg("check").output().unwrap();
        let checked = String::from_utf8(checked.stdout).unwrap();
        assert!(checked.contains("/key` cannot be used: others may read it") && checked.contains("snapgate.yaml:5: "), "{checked}");
    }
    let (said, _) = tested(&place, "web2");
    assert!(said.contains("ping: not set up (ping: in the policy of web2)"), "{said}");
    let (said, code) = tested(&place, "web3");
    assert!(said.contains("there is no client `web3`") && code != Some(0), "{said}");
    assert!(!place.spool().exists(), "the spool is for what happened");
}

#[test]
fn what_is_as_good_as_a_password_is_in_nothing_that_is_printed() {
    let server = Server::plain();
    let (_dir, keys) = site(server.port);
    let place = Place::new(&keys);
    place.client("web1", &ping(server.port));
    place.client("web2", "ping: http://10.0.0.5/token\n");
    place.client("web3", "ping: [\"https://10.0.0.5/token\"]\n");
    place.client("web4", "routes: https://10.0.0.5/token\n");
    place.client("web5", "ping: HTTPS://10.0.0.5/token\n");
    place.client("web6", "ping: hc.example.org/token\n");
    let said = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapgate"));
        let output = command.arg("--config").arg(place.config()).args(words).stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(!text.contains("token") && !text.contains(SECRET), "{words:?}: {text}");
        text
    };
    let checked = said(&["check"]);
    for name in ["web2", "web3", "web4", "web5", "web6"] {
        assert!(checked.contains(&format!("{name}.yaml:2:")), "{checked}");
    }
    assert!(checked.contains("ping: …") && checked.contains("routes: https://10.0.0.5/…"), "{checked}");
    assert!(checked.contains("use https://, or write insecure:http://"), "{checked}");
    for words in [&["explain", "--client", "web1"][..], &["explain", "--client", "web2"], &["status"], &["watch"]] {
        said(words);
    }
}
