use super::*;
use crate::decide::policy::{read_policy, read_site};
use crate::decide::rsync::command::{Command, parse};
use crate::decide::sandbox::spec::Access;
use crate::terms::{Original, Transaction};

/// A push with these options, planned.
pub(in crate::decide::push) fn planned(options: &str, state: &RepositoryState) -> Result<PushPlan, Reason> {
    let original = Original::Command(format!("rsync --server {options} . .").into_bytes());
    let Ok(Command::Push(pushed)) = parse(&original) else { panic!("{options}") };
    let site = read_site(Path::new("site"), b"store: /s\n").unwrap();
    let policy = read_policy(Path::new("p"), b"report: never\n", &"c".parse().unwrap(), &site).unwrap();
    push(&pushed, &policy, state, "2026-11-21T02:00:00Z".parse().unwrap())
}

/// Where a push of these letters links from, of an unfinished push, an earlier one and the newest
/// snapshot.
fn links(letters: &str, newest: bool) -> Vec<String> {
    let newest = newest.then(|| NamePattern::default().name_at("2026-11-20T00:00:00Z".parse().unwrap()));
    let bases = ["2", "1"].into_iter().chain(newest.as_ref().map(|_| "newest"));
    let bases = bases.map(|name| Tree::published(Path::new("/r").join(name))).collect();
    let state = RepositoryState { newest, ..RepositoryState::default() };
    let places = Places {
        root: PathBuf::from("/r"),
        program: PathBuf::from("/usr/bin/rsync"),
        version: Version(3, 5, 0),
        stage: PathBuf::from("/r/inprogress"),
        bases,
        partial_dir: ".p".to_owned(),
        log: PathBuf::from("/r/log"),
        confinement: Confinement::Jail,
        mapping: None,
        running: None,
        logs_owners: false,
    };
    let run = planned(letters, &state).unwrap().run(places);
    let granted: Vec<_> = run
        .sandbox()
        .grants
        .iter()
        .flatten()
        .filter(|grant| grant.access == Access::Read && grant.path.starts_with("/r"))
        .map(|grant| grant.path.clone())
        .collect();
    let words = run.sandbox().argv.iter().filter_map(|word| word.to_str()?.strip_prefix("--link-dest=").map(str::to_owned));
    let linked: Vec<_> = words.collect();
    assert_eq!(granted, linked.iter().map(PathBuf::from).collect::<Vec<_>>(), "the jail opens what rsync is told of");
    linked
}

#[test]
fn a_client_that_may_speak_a_protocol_before_29_gets_one_place_to_link_from() {
    assert_eq!(links("-re.iLsfxCIvu", true), ["/r/2", "/r/1", "/r/newest"]);
    assert_eq!(links("-r", true), ["/r/newest"]);
    assert_eq!(links("-g -l -r", false), ["/r/2"], "before there is a snapshot, the latest try");
    assert_eq!(links("-re.i", false), ["/r/2", "/r/1"]);
}

#[test]
fn a_transaction_takes_no_more_pushes_than_can_be_merged() {
    let with = |parts: usize, unfinished: usize| {
        let unfinished = (0..unfinished).map(|number| number.to_string()).collect();
        let transaction = Transaction { parts, unfinished, ..Transaction::new("2026-11-21T02:00:00Z".parse().unwrap()) };
        planned("-r", &RepositoryState { transaction: Some(transaction), ..RepositoryState::default() }).map_err(|reason| reason.code)
    };
    assert!(with(MAX_PARTS - 6, 5).is_ok());
    assert_eq!(with(MAX_PARTS - 5, 5).unwrap_err(), Code::Transaction, "a push that did not end well has left a part, too");
    assert_eq!(with(MAX_PARTS, 0).unwrap_err(), Code::Transaction);
}
