//! Events as connections leave them, for tests.

use std::path::PathBuf;

use crate::terms::{
    Body, Code, Connection, Deed, Event, FailedHook, Jail, Mail, Origin, Outcome, PushFacts, Reason, Unknown, Upkeep, Usage, Verb, View,
};

/// The event with another connection.
pub(crate) fn with(mut event: Event, change: impl FnOnce(&mut Connection)) -> Event {
    change(event.body.visit_mut().unwrap().0);
    event
}

/// The event with other facts of its push, or with some.
pub(crate) fn pushing(mut event: Event, change: impl FnOnce(&mut PushFacts)) -> Event {
    let mut facts = event.push().cloned().unwrap_or_default();
    change(&mut facts);
    event.body = Body::of(connection(&event).clone(), Some(facts), None);
    event
}

/// The connection of an event.
pub(crate) fn connection(event: &Event) -> &Connection {
    match event.view() {
        View::Visit(visit) => visit.connection,
        View::Upkeep(_) | View::Unknown(_) => panic!("{event:?}"),
    }
}

/// What only a later version can read.
pub(crate) fn unknown() -> Event {
    let unknown = Unknown { version: 1, kind: "mirror".to_owned(), summary: "3 snapshots were restored".to_owned() };
    Event { body: Body::Unknown(unknown), ..refusal() }
}

/// Two snapshots that the reaper removed, and a file that it could not.
pub(crate) fn pruned() -> Event {
    let upkeep = Upkeep {
        freed: Some(Usage { bytes: 4096, inodes: 3 }),
        problems: vec!["`file`: Operation not permitted".to_owned()],
        ..Upkeep::of("2 snapshots gone for good".to_owned(), ["2026-11-01T02-00-00Z", "2026-11-02T02-00-00Z"])
    };
    Event { body: Body::Upkeep(Deed::Prune, Box::new(upkeep)), ..refusal() }
}

/// A push outside its hours.
pub(crate) fn refusal() -> Event {
    let connection = Connection {
        result: Outcome::Refused,
        exit: 77,
        address: Some("203.0.113.9".parse().unwrap()),
        keys: vec!["SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk".parse().unwrap()],
        verb: Some(Verb::Rsync),
        command: "rsync --server -logDtpre.iLsfxCIvu . .".to_owned(),
        reasons: vec![
            Reason::new(Code::Window, "pushes are allowed mon-fri 22:00-06:00 Europe/Madrid")
                .rule(Origin { file: PathBuf::from("/etc/snapgate/policies/web1.yaml"), line: 5 })
                .remedy("add hours to `when:`"),
        ],
        warnings: Vec::new(),
        hooks: Vec::new(),
        passing: false,
        local: false,
        newest: None,
        jail: Jail::Whole,
    };
    Event {
        id: "1795226400000000-4242-0".to_owned(),
        at: "2026-11-21T02:00:00Z".parse().unwrap(),
        account: "web1".to_owned(),
        client: Some("web1".parse().unwrap()),
        mail: Mail::Alert,
        body: Body::of(connection, None, None),
    }
}

/// A push that failed half way.
pub(crate) fn failure() -> Event {
    let push = PushFacts {
        seconds: 83.2,
        rsync_exit: Some(12),
        files: 40,
        kept: true,
        received: 40,
        received_bytes: 1_234_567,
        bytes: 1_234_567,
        ..PushFacts::default()
    };
    let warnings = vec!["rsync: [receiver] write failed on \"x\": No space left on device (28)".to_owned()];
    let reasons = vec![
        Reason::new(Code::Store, "the server cannot take the push now")
            .detail("the store is full: 0 bytes free on /srv/backups")
            .remedy("make room on /srv/backups"),
    ];
    let failed = Connection { result: Outcome::Failed, exit: 75, reasons, warnings, ..connection(&refusal()).clone() };
    Event { body: Body::of(failed, Some(push), None), ..refusal() }
}

/// A hook that could not copy a snapshot elsewhere.
pub(crate) fn mirror() -> FailedHook {
    FailedHook {
        hook: "complete".to_owned(),
        command: "/usr/local/sbin/mirror other".to_owned(),
        how: "it ended with status 3".to_owned(),
        printed: vec!["connecting".to_owned(), "ssh: connect to host other port 22: No route to host".to_owned()],
        log: "/srv/backups/web1/.snapgate/logs/1.log".to_owned(),
    }
}

/// A push that is a snapshot.
pub(crate) fn published() -> Event {
    let push = PushFacts {
        snapshot: Some("2026-11-21T02-00-00Z".to_owned()),
        seconds: 4.25,
        rsync_exit: Some(0),
        files: 5120,
        linked: 5108,
        received: 12,
        bytes: 98_765_432_100,
        received_bytes: 3_412_345,
        wire_bytes: Some(912_345),
        free_bytes: Some(1_500_000_000_000),
        ..PushFacts::default()
    };
    let published = Connection { result: Outcome::Published, exit: 0, reasons: Vec::new(), ..connection(&refusal()).clone() };
    Event { mail: Mail::Report, body: Body::of(published, Some(push), None), ..refusal() }
}
