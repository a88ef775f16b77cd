//! A look around with sftp, scp or sshfs: one sftp-server, whose root is what the client has backed up.
//!
//! No lock is held: whoever keeps a mount open must not keep old snapshots from going.

use std::cell::RefCell;
use std::time::Instant;

use super::restore::Sent;
use super::{Connection, End};
use crate::act::child::{Meter, NotStarted};
use crate::act::names::accounts;
use crate::act::sandbox::{self, filter::Came};
use crate::act::store::{Repository, mounted};
use crate::decide::history::browse::{self, Browsed, ISOLATION};
use crate::decide::history::{NotSelected, pull};
use crate::decide::push::outcome::{self, Ended};
use crate::decide::push::plan::Run;
use crate::decide::sandbox::namespaces::{self, Lack};
use crate::terms::{Code, Outcome, Reason, RestoreFacts};

impl Connection<'_> {
    pub(super) fn browse(&self) -> Result<End, Reason> {
        let (site, policy, began) = (self.site, self.policy, Instant::now());
        mounted(policy, site)?;
        let none = || pull::not_selected(&NotSelected::None);
        let repository = Repository::existing(&policy.path, accounts::running()).ok_or_else(none)?;
        let names = repository.names(&policy.names)?;
        if names.is_empty() {
            return Err(none());
        }
        if !site.sftp_server.is_file() {
            return Err(browse::broken("it is not there", site));
        }
        let mut sent = Sent::begin(&repository, policy)?;
        let snapshots = repository.snapshots();
        let current = repository.current_of(&names);
        let run = browse::run(site, policy, Browsed { snapshots: &snapshots, names: &names, current });
        // As with a push, a store may have been mounted after the view was begun.
        let ended = match self.sftp(&run, &mut sent) {
            Err(NotStarted::Unseen(_)) => self.sftp(&run, &mut sent),
            ended => ended,
        };
        let ended = ended.map_err(|not| match not {
            NotStarted::Unseen(why) => namespaces::needed(&Lack::Unshown(why)),
            NotStarted::NoView(why) => namespaces::needed(&Lack::Kept(why)),
            NotStarted::Because(reason) if reason.code == Code::Jail => reason,
            other => browse::broken(&other.what(), site),
        })?;
        let (ended, came) = ended;
        match came {
            Came::Through => Ok(self.browsed(ended, &sent, began)),
            Came::Failed(why) => Err(browse::broken(&why, site)),
            Came::Nowhere => Err(browse::broken("it did not say that it was loaded, as OpenSSH's does", site)),
        }
    }

    fn sftp(&self, run: &Run, sent: &mut Sent<'_>) -> Result<(Ended, Came), NotStarted> {
        let came = RefCell::new(Came::Nowhere);
        let standby = sandbox::stand_by(ISOLATION, self.owners.mapping(), Some(self.inherited))?;
        let mut spend = |written: Option<u64>, at_the_end: bool| self.enter(sent, written, at_the_end);
        let mut meter = Some(Meter::of_what_is_sent(&mut spend));
        let ended = standby.reading(run, |listener, pid| Ok(sandbox::attend_loading(listener, pid, &came)), &mut meter)?;
        drop(meter);
        Ok((ended, came.into_inner()))
    }

    fn browsed(&self, ended: Ended, sent: &Sent<'_>, began: Instant) -> End {
        let (day_bytes, tells, warnings) = self.sent_today(sent);
        let (reason, failed) = browse::stopped(ended, self.policy).unzip();
        let facts = RestoreFacts { sent_bytes: sent.known, day_bytes, seconds: began.elapsed().as_secs_f64(), ..RestoreFacts::default() };
        End {
            outcome: if failed == Some(true) { Outcome::Failed } else { Outcome::Answered },
            exit: outcome::exit_code(ended),
            reasons: reason.into_iter().collect(),
            warnings,
            alerts: tells,
            restore: Some(facts),
            ..End::answered(String::new())
        }
    }
}
