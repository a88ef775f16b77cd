//! Events as the tests look at them: every one is a connection's, some with a push.

use chrono::{DateTime, Utc};
use snapgate::terms::{
    Body, ClientName, Connection, Event, FailedHook, Fingerprint, Jail, Mail, Outcome, Peer, Push, PushFacts, Reason, Verb,
};

/// A connection with what every event says, and with its push.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) account: String,
    pub(crate) client: Option<ClientName>,
    pub(crate) mail: Mail,
    pub(crate) result: Outcome,
    pub(crate) exit: u8,
    pub(crate) address: Option<Peer>,
    pub(crate) keys: Vec<Fingerprint>,
    pub(crate) verb: Option<Verb>,
    pub(crate) command: String,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) warnings: Vec<String>,
    pub(crate) hooks: Vec<FailedHook>,
    pub(crate) passing: bool,
    pub(crate) newest: Option<String>,
    pub(crate) jail: Jail,
    pub(crate) push: Option<PushFacts>,
}

impl From<Event> for Record {
    fn from(Event { id, at, account, client, mail, body }: Event) -> Self {
        let (connection, push) = match body {
            Body::Connection(connection) => (*connection, None),
            Body::Push(push) => {
                let Push { connection, facts } = *push;
                (connection, Some(facts))
            }
            Body::Unknown(unknown) => panic!("a gate of this version wrote {unknown:?}"),
        };
        let Connection { result, exit, address, keys, verb, command, reasons, warnings, hooks, passing, newest, jail } = connection;
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
        }
    }
}
