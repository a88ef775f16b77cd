//! What sshd does with each client's account, wherever the client comes from: asked once for all
//! accounts and addresses that its settings do not tell apart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::act::child::ask_sshd;
use crate::act::inspect::{is_this_program, real, running_uid, system};
use crate::act::names;
use crate::decide::host::login::{self, Criteria, Place, Settings};
use crate::decide::host::sources::Answers;
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site, Sshd};
use crate::terms::limits::{MAX_SSHD_FILES, MAX_SSHD_PLACES, MAX_SSHD_QUESTIONS, MAX_SYSTEM_FILE};

use super::asked::{Known, SSHD_SETTINGS};

/// What sshd was asked and what it said.
pub(super) struct Accounts<'a> {
    /// The accounts of all policies with sshd's settings for the first address of each.
    pub(super) known: BTreeMap<&'a str, Known>,
    /// The same for addresses at which its settings differ.
    pub(super) elsewhere: Vec<Known>,
    /// An error of sshd, once, and what it was not asked.
    pub(super) found: Vec<Finding>,
}

/// Asks sshd about all accounts.
pub(super) fn accounts<'a>(site: &Site, policies: &'a [Policy], answers: &Answers) -> Accounts<'a> {
    let mut all = Accounts { known: BTreeMap::new(), elsewhere: Vec::new(), found: Vec::new() };
    let mut asked = Asked { site, criteria: criteria(site), said: BTreeMap::new(), left: 0 };
    let mut of: BTreeMap<&str, Vec<&Policy>> = BTreeMap::new();
    policies.iter().for_each(|policy| of.entry(policy.user.as_str()).or_default().push(policy));
    let mut rest = Vec::new();
    for (user, its) in of {
        let Some(account) = names::named(user) else { continue };
        let mut one = Known::new(account);
        let groups = if asked.criteria.asks_for_groups() { one.group_names() } else { None };
        let mut places = asked.criteria.places(&its, answers).into_iter();
        let first = places.next().unwrap_or(Place::Anywhere);
        one.sshd = asked.of(user, groups.as_deref(), first.address(), &mut all.found);
        rest.push((user, groups, first, places));
        all.known.insert(user, one);
    }
    let mut unasked = 0;
    for (user, groups, first, places) in rest {
        let Some(one) = all.known.get(user).filter(|one| one.sshd.is_some()) else { continue };
        let mut questions = BTreeSet::from([asked.criteria.question(user, groups.as_deref(), first.address())]);
        let mut kinds = vec![one.sshd.clone()];
        let mut others = Vec::new();
        for place in places {
            if !questions.insert(asked.criteria.question(user, groups.as_deref(), place.address())) {
                continue;
            }
            if others.len() + 1 >= MAX_SSHD_PLACES {
                unasked += 1;
                continue;
            }
            let said = asked.of(user, groups.as_deref(), place.address(), &mut all.found);
            others.push(place.clone());
            if said.is_some() && !kinds.contains(&said) {
                kinds.push(said.clone());
                all.elsewhere.push(one.at(place, said));
            }
        }
    }
    let at = || site.origins.of("sshd");
    if asked.left > 0 {
        let message = format!(
            "sshd was not asked about {} further accounts and addresses: its settings tell more than {MAX_SSHD_QUESTIONS} kinds apart",
            asked.left
        );
        all.found.push(Finding::unseen(at(), message, "put the accounts into a group, and write one `Match Group` for it"));
    }
    if unasked > 0 {
        let message = format!(
            "sshd was not asked about {unasked} further addresses of clients: its settings tell addresses apart, and an account has more than \
             {MAX_SSHD_PLACES}"
        );
        all.found.push(Finding::unseen(at(), message, "see that no `Match Address` or `Match Host` takes anything away from the accounts"));
    }
    all
}

/// Questions to sshd.
struct Asked<'a> {
    site: &'a Site,
    criteria: Criteria,
    said: BTreeMap<String, Option<Settings>>,
    /// How many were not asked.
    left: u64,
}

impl Asked<'_> {
    /// sshd's settings for an account and an address, if they are known.
    fn of(&mut self, user: &str, groups: Option<&[String]>, address: &str, found: &mut Vec<Finding>) -> Option<Settings> {
        let question = self.criteria.question(user, groups, address);
        if let Some(settings) = self.said.get(&question) {
            return settings.clone();
        }
        if self.said.len() >= MAX_SSHD_QUESTIONS {
            self.left += 1;
            return None;
        }
        let mut settings = settings(self.site, user, address).unwrap_or_else(|why| {
            if found.is_empty() {
                found.push(unanswered(self.site, user, &why));
            }
            None
        });
        if let (Some(settings), Some(directory)) = (&mut settings, self.site.file.parent()) {
            settings.ask_the_policies(directory, is_this_program);
        }
        self.said.entry(question).or_insert(settings).clone()
    }
}

fn unanswered(site: &Site, account: &str, why: &str) -> Finding {
    let message = format!("sshd does not say what it does with `{account}`: {why}");
    let help = "mend its settings, and see that `sshd -t` is content; where clients come by another sshd, write sshd: and its \
                sshd_config, or off";
    Finding::wrong(site.origins.of("sshd"), message, help)
}

/// What sshd's settings tell apart, files that they include among them.
fn criteria(site: &Site) -> Criteria {
    let mut found = Criteria::default();
    let first = match &site.sshd {
        Sshd::None => return found,
        Sshd::OfTheMachine => Path::new(SSHD_SETTINGS),
        Sshd::With(file) => file,
    };
    let mut files = vec![first.to_path_buf()];
    let mut read = 0;
    while let Some(file) = files.pop() {
        read += 1;
        let text = system::small(&file).or_else(|| system::small(&real(&file)));
        let Some(text) = text.filter(|text| read <= MAX_SSHD_FILES && (text.len() as u64) < MAX_SYSTEM_FILE) else {
            found.give_up();
            break;
        };
        for pattern in found.read(&text) {
            match system::spread(&Path::new(SSHD_DIRECTORY).join(pattern)) {
                Some(more) => files.extend(more),
                None => found.give_up(),
            }
        }
    }
    found
}

/// Where relative names of files in sshd's settings begin (sshd_config(5), "Include").
const SSHD_DIRECTORY: &str = "/etc/ssh";

/// sshd's settings for an account and an address; `None` if nobody can ask, or there is no sshd.
fn settings(site: &Site, user: &str, address: &str) -> Result<Option<Settings>, String> {
    let file = match &site.sshd {
        Sshd::None => return Ok(None),
        // sshd needs its host keys to answer.
        _ if running_uid() != 0 => return Ok(None),
        Sshd::OfTheMachine => None,
        Sshd::With(file) => Some(file.as_path()),
    };
    let asked = |port| {
        let answer = ask_sshd(file, &login::connection(user, address, port))?;
        answer.map(|answer| login::settings(&answer).ok_or_else(|| "its answer is none".to_owned())).transpose()
    };
    // The answer names the port, on which settings may depend.
    let first = asked(login::USUAL_PORT)?;
    match first.as_ref().and_then(|settings| settings.port).filter(|port| *port != login::USUAL_PORT) {
        Some(port) => asked(port),
        None => Ok(first),
    }
}
