//! Events as the tests look at them: every one is a connection's, some with a push.

use chrono::{DateTime, Utc};
use snapgate::terms::{
    Body, ClientName, Connection, Event, FailedHook, Fingerprint, Jail, Mail, Outcome, Peer, Push, PushFacts, Reason, RestoreFacts, Verb,
};

/// A connection with what every event says, and with its push.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// See [`Event`].
    pub id: String,
    /// See [`Event`].
    pub at: DateTime<Utc>,
    /// See [`Event`].
    pub account: String,
    /// See [`Event`].
    pub client: Option<ClientName>,
    /// See [`Event`].
    pub mail: Mail,
    /// See [`Connection`].
    pub result: Outcome,
    /// See [`Connection`].
    pub exit: u8,
    /// See [`Connection`].
    pub address: Option<Peer>,
    /// See [`Connection`].
    pub keys: Vec<Fingerprint>,
    /// See [`Connection`].
    pub verb: Option<Verb>,
    /// See [`Connection`].
    pub command: String,
    /// See [`Connection`].
    pub reasons: Vec<Reason>,
    /// See [`Connection`].
    pub warnings: Vec<String>,
    /// See [`Connection`].
    pub hooks: Vec<FailedHook>,
    /// See [`Connection`].
    pub passing: bool,
    /// See [`Connection`].
    pub newest: Option<String>,
    /// See [`Connection`].
    pub jail: Jail,
    /// See [`PushFacts`].
    pub push: Option<PushFacts>,
    /// See [`RestoreFacts`].
    pub restore: Option<RestoreFacts>,
}

impl From<Event> for Record {
    fn from(Event { id, at, account, client, mail, body }: Event) -> Self {
        let (connection, push, restore) = match body {
            Body::Connection(connection) => (*connection, None, None),
            Body::Push(push) => {
                let Push { connection, facts } = *push;
                (connection, Some(facts), None)
            }
            Body::Restore(restore) => (restore.connection, None, Some(restore.facts)),
            Body::Upkeep(..) => panic!("no connection: {body:?}"),
            Body::Unknown(unknown) => panic!("a gate of this version wrote {unknown:?}"),
        };
        let Connection { result, exit, address, keys, verb, command, reasons, warnings, hooks, passing, newest, jail, local: _ } =
            connection;
        Self {
            id,
            at,
            account,
            client,
            mail,
            result,
            exit,
            address,
            keys,
            verb,
            command,
            reasons,
            warnings,
            hooks,
            passing,
            newest,
            jail,
            push,
            restore,
        }
    }
}
