//! Records as connections leave them, for tests.

use std::path::PathBuf;

use crate::terms::{Code, FailedHook, Jail, Mail, Origin, Outcome, PushFacts, Reason, Record, Verb};

/// A push outside its hours.
pub(crate) fn refusal() -> Record {
    Record {
        id: "1795226400000000-4242-0".to_owned(),
        at: "2026-11-21T02:00:00Z".parse().unwrap(),
        result: Outcome::Refused,
        exit: 77,
        account: "web1".to_owned(),
        client: Some("web1".parse().unwrap()),
        address: Some("203.0.113.9".parse().unwrap()),
        keys: vec!["SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk".parse().unwrap()],
        verb: Some(Verb::Rsync),
        command: "rsync --server -logDtpre.iLsfxCIvu . .".to_owned(),
        reasons: vec![
            Reason::new(Code::Window, "pushes are allowed mon-fri 22:00-06:00 Europe/Madrid")
                .rule(Origin { file: PathBuf::from("/etc/snapgate/policies/web1.yaml"), line: 5 })
                .remedy("add hours to `when:`"),
        ],
        push: None,
        warnings: Vec::new(),
        hooks: Vec::new(),
        passing: false,
        newest: None,
        jail: Jail::Whole,
        mail: Mail::Alert,
    }
}

/// A push that failed half way.
pub(crate) fn failure() -> Record {
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
    Record { result: Outcome::Failed, exit: 75, reasons, push: Some(push), warnings, ..refusal() }
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
pub(crate) fn published() -> Record {
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
    Record { result: Outcome::Published, exit: 0, reasons: Vec::new(), push: Some(push), mail: Mail::Report, ..refusal() }
}
