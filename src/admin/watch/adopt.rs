//! What waits in the spool of an account that goes: its events and mails become mails of root's own
//! spool, so that removing a client keeps nothing from the administrator.
//!
//! Who is killed here begins anew: at worst a mail is sent twice.

use super::{Alerts, Budget, Ended, MAX_BATCH, MAX_WAITING, Means, Pass, State, Transport, Ways, acquire, alerts, message};
use crate::act::clock;
use crate::act::record::spool::{self, AccountSpool, Spool, SpoolError};
use crate::decide::policy::Site;
use crate::decide::speak::states::Memory;
use crate::terms::text::counted;
use crate::terms::{Audience, ClientName, ComposedMail};

/// Takes over what waits in this account's spool. Nothing is removed there. Comes back with what
/// could not be taken over: whatever the account has made of its spool, it goes.
///
/// # Errors
/// When another process is at root's spool for long, or that cannot be written, in words for the
/// administrator.
pub(crate) fn adopt(site: &Site, uid: u32) -> Result<Vec<String>, String> {
    let budget = Budget::new();
    let ways = Ways::new(site, &budget);
    if site.mail.transport == Transport::Off && !ways.are_wanted() {
        return Ok(Vec::new());
    }
    let failed = |error: SpoolError| error.to_string();
    let account = match spool::account(&site.spool, uid) {
        Ok(Some(account)) => account,
        Ok(None) => return Ok(Vec::new()),
        // What waits there is told to nobody, so somebody has to know.
        Err(error) => return Ok(vec![format!("what waits in the spool of account {uid} is not taken over: {error}")]),
    };
    let means = Means { now: &clock::now, go_on: &|| true };
    let mut pass = Pass::new(site, &means, &ways, &budget);
    // The account can hold the lock for ever, or make it something else. Without it a mail may be
    // sent twice.
    let theirs = acquire(&account, true).unwrap_or_else(|error| {
        pass.problem(&failed(error));
        None
    });
    if theirs.is_none() {
        pass.problem(&format!("the spool of account {uid} is not locked: what waits there may be told twice"));
    }
    Spool::open(&site.spool, 0).map_err(failed)?;
    let own = spool::own(&site.spool).map_err(failed)?;
    let busy = || "another `snapgate watch` is at work\nrun it again when that has ended".to_owned();
    let Some(_ours) = acquire(&own, true).map_err(failed)? else { return Err(busy()) };
    pass.adopt(&account, &own).map_err(|ended| match ended {
        Ended::Spool(error) => failed(error),
        Ended::Stopped => busy(),
    })?;
    let notes = std::mem::take(&mut pass.report.problems);
    // Other ways than mail are tried once, from where it lies: in root's spool the account could have
    // put words into the mouth of any client.
    let _ = ways.tell(&means, true, &mut pass.report);
    Ok(notes)
}

impl Pass<'_> {
    fn adopt(&mut self, account: &AccountSpool, own: &AccountSpool) -> Result<(), Ended> {
        let now = (self.means.now)();
        let looked = self.ways.look(account);
        self.noted(looked);
        let known: Option<State> = account.state().ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // A mail with a number that was not given out never happened.
        let happened = |seq: &u64| known.as_ref().is_none_or(|known| *seq < known.next);
        let mut waiting: Vec<u64> = self.noted(account.waiting()).into_iter().filter(happened).collect();
        let mut left = waiting.split_off(waiting.len().min(MAX_WAITING)).len();
        let speaks_for = &|who: &str| self.pace.speaks_for(account.uid(), who);
        let read: Vec<_> = waiting.iter().filter_map(|seq| account.mail(*seq, speaks_for).transpose()).collect();
        left += read.iter().filter(|mail| mail.is_err()).count();
        let mut theirs = known.unwrap_or_default();
        let news: Vec<String> = self.noted(account.news()).into_iter().filter(|id| !theirs.has_absorbed(id)).collect();
        // What is written here comes first: of the account's own mails there may be any number.
        let mut mails: Vec<ComposedMail> = Vec::new();
        let mut batches = news.chunks(MAX_BATCH).peekable();
        loop {
            let batch = batches.next().unwrap_or_default();
            let is_last = batches.peek().is_none() || mails.len() >= MAX_WAITING;
            let found = batch.iter().filter_map(|id| account.event(id).transpose().map(|event| Some((id.clone(), event.ok()?))));
            let (events, unread): (Vec<_>, Vec<_>) = found.partition(Option::is_some);
            left += unread.len();
            let events: Vec<_> = events.into_iter().flatten().collect();
            for (_, event) in &events {
                let added = self.ways.event(account, event, now);
                self.noted(added);
            }
            let (next, drafts) = alerts::step(theirs, events, now, if is_last { Alerts::Flush } else { Alerts::Hold });
            theirs = next;
            let speaks_for = &|who: &str| self.pace.speaks_for(account.uid(), who);
            mails.extend(drafts.iter().map(|draft| message::compose(draft, account.uid(), now).of_account(speaks_for)));
            if is_last {
                break;
            }
        }
        left += batches.map(<[String]>::len).sum::<usize>();
        mails.extend(read.into_iter().flatten());
        if self.wants_mail() {
            mails.sort_by_key(|mail| mail.audience == Audience::Reports);
            left += self.post(own, mails)?;
        }
        if left > 0 {
            let what = counted(left, "event or mail that waited there is", "events and mails that waited there are");
            self.problem(&format!("{what} told to nobody: more than there is room for, or not to be read"));
        }
        Ok(())
    }

    /// Puts mails among root's own, as far as there is room. Comes back with how many there was none for.
    fn post(&mut self, own: &AccountSpool, mails: Vec<ComposedMail>) -> Result<usize, Ended> {
        let mut state = self.state(own)?;
        self.clean_up(own, &state)?;
        let room = MAX_WAITING.saturating_sub(own.waiting()?.len());
        let left = mails.len().saturating_sub(room);
        for mail in mails.into_iter().take(room) {
            // A policy may name who gets the mail, and this one is believed as root's is: nobody else gets it.
            own.post(&ComposedMail { seq: state.next, client: None, topic: None, thread: None, page: None, ..mail }.checked(own.uid()))?;
            state.next = state.next.saturating_add(1);
        }
        self.save(own, &state)?;
        Ok(left)
    }

    /// What was found in the spool of an account that goes; nothing where that cannot be used, which is
    /// a note and no reason to stay.
    fn noted<T: Default>(&mut self, found: Result<T, SpoolError>) -> T {
        found.unwrap_or_else(|error| {
            self.problem(&error.to_string());
            T::default()
        })
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, lchown};
    use std::path::Path;

    use super::*;
    use crate::decide::policy::read_site;
    use crate::decide::speak::message::samples;
    use crate::terms::Event;

    /// An account without a client here.
    const UID: u32 = 65534;

    #[test]
    fn nothing_that_an_account_makes_of_its_spool_keeps_it_from_going() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: only root adopts");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "store: /srv\nspool: {}\nmail: {{ from: s@x.org, to: [root@x.org], transport: \"sendmail:/bin/false\" }}\nexec: /bin/true\n",
            dir.path().display()
        );
        let site = read_site(Path::new("/none/snapgate.yaml"), text.as_bytes()).unwrap();
        let home = dir.path().join(UID.to_string());
        let forged: [(&str, &dyn Fn()); 4] = [
            ("", &|| {}),
            ("lock", &|| fs::create_dir(home.join("lock")).unwrap()),
            ("lock", &|| std::os::unix::fs::symlink("/etc/passwd", home.join("lock")).unwrap()),
            ("exec.json", &|| fs::create_dir(home.join(format!("out/{}.exec.json", samples::refusal().id))).unwrap()),
        ];
        for (what, forge) in forged {
            Spool::open(dir.path(), 0).unwrap().add(&samples::refusal()).unwrap();
            let spool = dir.path().join("0/new");
            for inner in ["", "tmp", "new", "out", "dead"] {
                fs::create_dir_all(home.join(inner)).unwrap();
            }
            let place = |name: &str, event: &Event| fs::write(home.join("new").join(name), serde_json::to_vec(event).unwrap()).unwrap();
            fs::rename(spool.join(format!("{}.json", samples::refusal().id)), home.join(format!("new/{}.json", samples::refusal().id)))
                .unwrap();
            place("1.json", &Event { id: "../x".to_owned(), ..samples::refusal() });
            let long = "a".repeat(120);
            place(&format!("{long}.json"), &Event { id: long, ..samples::refusal() });
            forge();
            for place in walk(&home) {
                lchown(place, Some(UID), None).unwrap();
            }
            let notes = adopt(&site, UID).unwrap();
            assert!(notes.concat().contains(what), "{what}: {notes:?}");
            assert!(notes.iter().any(|note| note.starts_with("1 event or mail that waited there is told to nobody")), "{what}: {notes:?}");
            assert_eq!(notes.len() == 1, what.is_empty(), "{what}: {notes:?}");
            let told = spool::own(dir.path()).unwrap();
            let waiting = told.waiting().unwrap();
            let mails: String = waiting.iter().map(|seq| told.mail(*seq, &|_| true).unwrap().unwrap().body).collect();
            assert!(mails.contains("refused"), "{what}: {mails}");
            waiting.iter().for_each(|seq| told.take_away(*seq).unwrap());
            fs::remove_dir_all(&home).unwrap();
        }
    }

    #[test]
    fn of_an_account_that_goes_so_many_mails_are_taken_over_and_the_rest_is_counted() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: only root adopts");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let text =
            format!("store: /srv\nspool: {}\nmail: {{ to: [root@x.org], transport: \"sendmail:/bin/false\" }}\n", dir.path().display());
        let site = read_site(Path::new("/none/snapgate.yaml"), text.as_bytes()).unwrap();
        let home = dir.path().join(UID.to_string());
        for inner in ["tmp", "new", "out", "dead"] {
            fs::create_dir_all(home.join(inner)).unwrap();
        }
        for seq in 0..MAX_WAITING + 2 {
            let mail = serde_json::json!({
                "seq": seq, "created": clock::now(), "audience": "reports", "events": 1, "subject": "[snapgate] a report", "body": "x\n",
            });
            fs::write(home.join(format!("out/{seq:012}.json")), mail.to_string()).unwrap();
        }
        fs::write(home.join(format!("new/{}.json", samples::refusal().id)), serde_json::to_vec(&samples::refusal()).unwrap()).unwrap();
        for place in walk(&home) {
            lchown(place, Some(UID), None).unwrap();
        }
        let notes = adopt(&site, UID).unwrap();
        assert!(notes.len() == 1 && notes[0].starts_with("3 events and mails that waited there are told to nobody"), "{notes:?}");
        let own = spool::own(dir.path()).unwrap();
        let waiting = own.waiting().unwrap();
        let alerts: Vec<_> =
            waiting.iter().filter(|seq| own.mail(**seq, &|_| true).unwrap().unwrap().audience == Audience::Alerts).collect();
        assert_eq!((waiting.len(), alerts), (MAX_WAITING, vec![&waiting[0]]), "what nobody was told of yet comes first");
    }

    #[test]
    fn what_is_not_taken_over_of_an_account_that_goes_is_said() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: only root adopts");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "store: /srv\nspool: {}\nmail: {{ from: s@x.org, to: [root@x.org], transport: \"sendmail:/bin/false\" }}\n",
            dir.path().display()
        );
        let site = read_site(Path::new("/none/snapgate.yaml"), text.as_bytes()).unwrap();
        assert_eq!(adopt(&site, UID).unwrap(), Vec::<String>::new(), "an account that never came has nothing to say");
        let home = dir.path().join(UID.to_string());
        let odd: [(&str, &dyn Fn()); 4] = [
            ("can be written by others", &|| fs::set_permissions(&home, fs::Permissions::from_mode(0o770)).unwrap()),
            ("dead", &|| fs::remove_dir(home.join("dead")).unwrap()),
            ("belongs to somebody else", &|| lchown(home.join("out"), Some(UID - 1), None).unwrap()),
            ("belongs to somebody else", &|| lchown(&home, Some(UID - 1), None).unwrap()),
        ];
        for (what, forge) in odd {
            for inner in ["", "tmp", "new", "out", "dead"] {
                fs::create_dir_all(home.join(inner)).unwrap();
            }
            walk(&home).into_iter().for_each(|place| lchown(place, Some(UID), None).unwrap());
            forge();
            let notes = adopt(&site, UID).unwrap();
            assert!(notes.len() == 1 && notes[0].contains(what), "{what}: {notes:?}");
            // Nobody who gets the number next finds anything there, and nothing of a third account is the client's.
            assert!(spool::lay_aside(dir.path(), UID, &"web1".parse().unwrap()).unwrap(), "{what}");
            assert!(!home.exists() && adopt(&site, UID).unwrap().is_empty());
        }
        let former = spool::laid_aside(dir.path());
        assert_eq!(former.iter().filter(|(_, client, _)| client.as_str() == "web1").count(), 3, "{former:?}");
        let all: Vec<_> = fs::read_dir(dir.path().join("0/former")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|path| std::os::unix::fs::MetadataExt::uid(&fs::symlink_metadata(path).unwrap()) == 0), "{all:?}");
    }

    fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
        let inner = entries.flat_map(|path| if path.is_symlink() { vec![path] } else { walk(&path) });
        std::iter::once(dir.to_owned()).chain(inner).collect()
    }
}
