//! A look around with sftp, scp or sshfs: one sftp-server, whose root is what the client has backed up.
//!
//! No lock is held: whoever keeps a mount open must not keep old snapshots from going.

use std::cell::RefCell;

use super::{Connection, End};
use crate::act::child::{NotStarted, Standby};
use crate::act::names::accounts;
use crate::act::sandbox::{self, filter::Came};
use crate::act::store::{Repository, mounted};
use crate::decide::history::browse::{self, Browsed, ISOLATION};
use crate::decide::judge::closing::Closing;
use crate::decide::push::outcome::{self, Ended};
use crate::decide::sandbox::namespaces::{self, Lack};
use crate::terms::{Code, Outcome, Reason};

impl Connection<'_> {
    pub(super) fn browse(&self, closing: Option<&Closing>) -> Result<End, Reason> {
        let (site, policy) = (self.site, self.policy);
        mounted(policy, site)?;
        let nothing = || Reason::new(Code::Unpublished, "there is no snapshot yet").hint("push first, then look");
        let repository = Repository::existing(&policy.path, accounts::running()).ok_or_else(nothing)?;
        let names = repository.names(&policy.names)?;
        if names.is_empty() {
            return Err(nothing());
        }
        if !site.sftp_server.is_file() {
            return Err(browse::broken("it is not there", site));
        }
        let snapshots = repository.snapshots();
        let current = repository.current_of(&names);
        let run = browse::run(site, policy, Browsed { snapshots: &snapshots, names: &names, current }, closing);
        let mut looked_again = false;
        loop {
            let came = RefCell::new(Came::Nowhere);
            let ended = match self
                .reader()
                .and_then(|standby| standby.reading(&run, |listener, pid| Ok(sandbox::attend_loading(listener, pid, &came))))
            {
                // As with a push, a store may have been mounted after the view was begun.
                Err(NotStarted::Unseen(_)) if !looked_again => {
                    looked_again = true;
                    continue;
                }
                Err(NotStarted::Unseen(why)) => return Err(namespaces::needed(&Lack::Unshown(why))),
                Err(NotStarted::NoView(why)) => return Err(namespaces::needed(&Lack::Kept(why))),
                Err(NotStarted::Because(reason)) if reason.code == Code::Jail => return Err(reason),
                Err(other) => return Err(browse::broken(&other.what(), site)),
                Ok(ended) => ended,
            };
            return match came.into_inner() {
                Came::Through => Ok(ended_as(ended, closing)),
                Came::Failed(why) => Err(browse::broken(&why, site)),
                Came::Nowhere => Err(browse::broken("it did not say that it was loaded, as OpenSSH's does", site)),
            };
        }
    }

    fn reader(&self) -> Result<Standby, NotStarted> {
        sandbox::stand_by(ISOLATION, self.owners.mapping(), Some(self.inherited))
    }
}

fn ended_as(ended: Ended, closing: Option<&Closing>) -> End {
    let (reason, failed) = browse::stopped(ended, closing).unzip();
    let outcome = if failed == Some(true) { Outcome::Failed } else { Outcome::Answered };
    End { outcome, exit: outcome::exit_code(ended), reasons: reason.into_iter().collect(), ..End::answered(String::new()) }
}
