//! What waits in the spool of an account that goes: its events and mails become mails of root's own
//! spool, so that removing a client keeps nothing from the administrator.
//!
//! Who is killed here begins anew: at worst a mail is sent twice.

use super::{
    Alerts, ComposedMail, Ended, MAX_BATCH, MAX_WAITING, Means, Pass, State, Transport, WatchReport, Ways, acquire, alerts, message,
};
use crate::act::clock;
use crate::act::record::spool::{self, AccountSpool, Spool, SpoolError};
use crate::decide::policy::Site;
use crate::decide::speak::states::Memory;
use crate::terms::ClientName;

/// Takes over what waits in this account's spool. Nothing is removed there.
///
/// # Errors
/// When another process is at it for long, or root's spool cannot be written, in words for the
/// administrator.
pub(crate) fn adopt(site: &Site, uid: u32) -> Result<(), String> {
    let ways = Ways::new(site);
    if site.mail.transport == Transport::Off && !ways.are_wanted() {
        return Ok(());
    }
    let failed = |error: SpoolError| error.to_string();
    let account = match spool::account(&site.spool, uid) {
        Ok(account) => account,
        // What no gate has made says nothing that is worth a mail.
        Err(SpoolError::Untrusted { .. }) => None,
        Err(SpoolError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let Some(account) = account else { return Ok(()) };
    let busy = || "another `snapgate watch` is at work\nrun it again when that has ended".to_owned();
    let Some(_theirs) = acquire(&account, true).map_err(failed)? else { return Err(busy()) };
    Spool::open(&site.spool, 0).map_err(failed)?;
    let own = spool::own(&site.spool).map_err(failed)?;
    let Some(_ours) = acquire(&own, true).map_err(failed)? else { return Err(busy()) };
    let means = Means { now: &clock::now, go_on: &|| true };
    let mut pass = Pass { site, means: &means, report: WatchReport::default(), unreachable: 0, ways: &ways };
    pass.adopt(&account, &own).map_err(|ended| match ended {
        Ended::Spool(error) => failed(error),
        Ended::Stopped => busy(),
    })?;
    // Other ways than mail are tried once, from where it lies: in root's spool the account could have
    // put words into the mouth of any client.
    let _ = ways.tell(&means, true, &mut pass.report);
    Ok(())
}

impl Pass<'_> {
    fn adopt(&mut self, account: &AccountSpool, own: &AccountSpool) -> Result<(), Ended> {
        let now = (self.means.now)();
        self.ways.look(account)?;
        let counted: Option<State> = account.state().ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // A mail with a number that was not given out never happened.
        let happened = |seq: &u64| counted.as_ref().is_none_or(|counted| *seq < counted.next);
        let waiting = account.waiting()?.into_iter().filter(happened);
        let mut mails: Vec<ComposedMail> = waiting.filter_map(|seq| account.mail(seq).ok().flatten()).take(MAX_WAITING).collect();
        let mut theirs = counted.unwrap_or_default();
        let news: Vec<String> = account.news()?.into_iter().filter(|id| !theirs.has_absorbed(id)).collect();
        let mut batches = news.chunks(MAX_BATCH).peekable();
        loop {
            let batch = batches.next().unwrap_or_default();
            let is_last = batches.peek().is_none() || mails.len() >= MAX_WAITING;
            let read: Vec<_> = batch.iter().filter_map(|id| Some((id.clone(), account.event(id).ok().flatten()?))).collect();
            for (_, event) in &read {
                self.ways.event(account, event, now)?;
            }
            let (next, drafts) = alerts::step(theirs, read, now, if is_last { Alerts::Flush } else { Alerts::Hold });
            theirs = next;
            mails.extend(drafts.iter().map(|draft| message::compose(draft, account.uid(), now)));
            if is_last {
                break;
            }
        }
        if !self.wants_mail() {
            return Ok(());
        }
        let mut state = self.state(own)?;
        self.clean_up(own, &state)?;
        let room = MAX_WAITING.saturating_sub(own.waiting()?.len());
        for mail in mails.into_iter().take(room) {
            // A policy may name who gets the mail, and this one is believed as root's is: nobody else gets it.
            own.post(&ComposedMail { seq: state.next, client: None, topic: None, thread: None, page: None, ..mail }.checked(own.uid()))?;
            state.next = state.next.saturating_add(1);
        }
        self.save(own, &state)
    }
}

/// Forgets what is remembered of a client that is gone, so that one with its name begins anew, and
/// has the next look come soon, which closes what lasts of it.
///
/// # Errors
/// When that cannot be written, in words for the administrator.
pub(crate) fn forget(site: &Site, client: &ClientName) -> Result<(), String> {
    // Without a spool of root's nobody has looked.
    let Ok(own) = spool::own(&site.spool) else { return Ok(()) };
    let failed = |error: SpoolError| error.to_string();
    // Whoever holds it for so long looks at the policies, or does so the next time.
    let Some(_lock) = acquire(&own, true).map_err(failed)? else { return Ok(()) };
    let memory = own.states().ok().flatten().and_then(|bytes| serde_json::from_slice::<Memory>(&bytes).ok());
    let Some(mut memory) = memory else { return Ok(()) };
    memory.known.remove(client);
    memory.next = None;
    let json = serde_json::to_vec(&memory).map_err(|error| error.to_string())?;
    own.save_states(&json).map_err(failed)
}
