//! The process that waits to become a connection's rsync, and what holds it.

use super::Connection;
use crate::act::child::{NotStarted, Standby, Undecided};
use crate::act::clock;
use crate::act::process::Inherited;
use crate::act::record::runlog::RunLog;
use crate::act::sandbox;
use crate::decide::history::cell;
use crate::decide::rsync::argv::Version;
use crate::decide::rsync::command::Begins;
use crate::decide::sandbox::namespaces::{self, Lack};
use crate::decide::sandbox::spec::{Confinement, Isolation};
use crate::terms::{Jail, Reason};

/// What holds rsync unless the policy, the site file, the command or the kernel changes it.
const USUAL: Confinement = Confinement::View;

/// A process that waits to become rsync.
pub(crate) struct Waiting {
    /// What is to hold it.
    pub(crate) confinement: Confinement,
    pub(crate) standby: Standby,
}

/// Starts the process that becomes rsync, whoever the client is.
pub(super) fn begin(isolation: Isolation, inherited: Option<Inherited>) -> Result<Undecided, NotStarted> {
    sandbox::begin(isolation, inherited)
}

/// What it stands on for such a command.
pub(super) fn usual(begins: Begins) -> Isolation {
    match begins {
        Begins::Push => Isolation::new(USUAL),
        Begins::Pull => cell::isolation(USUAL),
    }
}

impl Connection<'_> {
    /// The process that was started first, if its sandbox fits this rsync; else a new one.
    pub(crate) fn waiting(&self, confinement: Confinement, standby: Option<Standby>) -> Result<Waiting, Reason> {
        match standby.filter(|_| confinement == USUAL) {
            Some(standby) => Ok(Waiting { confinement, standby }),
            None => self.stand_by(confinement),
        }
    }

    /// Starts the process that becomes rsync.
    pub(crate) fn stand_by(&self, confinement: Confinement) -> Result<Waiting, Reason> {
        let mapping = self.owners.mapping();
        let standby = sandbox::stand_by(Isolation::new(confinement), mapping, Some(self.inherited)).map_err(NotStarted::reason)?;
        Ok(Waiting { confinement, standby })
    }

    /// The same without a view, if the site file permits that.
    pub(crate) fn stand_by_without(&self, lack: &Lack, version: Version, log: &RunLog) -> Result<Waiting, Reason> {
        let confinement = namespaces::without(lack, self.site, self.owners)?;
        namespaces::walks_by_itself(version)?;
        self.weaken(log, &lack.to_string());
        self.stand_by(confinement)
    }

    /// From here on every line reports that the jail is not whole.
    pub(crate) fn weaken(&self, log: &RunLog, why: &str) {
        self.jail.set(Jail::WithoutNamespaces);
        let jail = Jail::WithoutNamespaces.says().unwrap_or_default();
        log.note(clock::now(), &format!("rsync has no file system of its own ({why}): the jail is {jail}"));
    }
}
