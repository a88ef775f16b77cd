//! `snapgate explain`: would this be allowed, and why? It decides with the gate's own code.

mod pull;

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::act::config::{self, zones};
use crate::act::names;
use crate::act::names::resolve_hosts;
use crate::act::store::owners_of;
use crate::act::store::{Repository, mounted};
use crate::act::{child, clock, inspect};
use crate::decide::judge::closing::Closing;
use crate::decide::judge::verdict::{self, Case, Verdict};
use crate::decide::policy::{Namespaces, Policy, Site};
use crate::decide::push::plan::{self, Places};
use crate::decide::rsync::command::{self, Command, Push};
use crate::decide::rsync::typed::{self, Typed};
use crate::decide::sandbox::spec::{self, Sandbox};
use crate::terms::text::{printable, printable_path};
use crate::terms::{
    Account, Administrator, ClientName, Code, Fingerprint, Original, Owners, Peer, Reason, RepositoryState, Request, Zone, exit,
};

/// A connection to imagine.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub client: ClientName,
    /// Its address; `None`: addresses are not judged.
    pub from: Option<Peer>,
    /// Its time on clocks of the policy's zone; `None`: now.
    pub at: Option<String>,
    /// Its key; `None`: one that the policy allows.
    pub key: Option<Fingerprint>,
    /// Its `SSH_ORIGINAL_COMMAND`, or what a person types at the client; empty: none.
    pub command: Vec<u8>,
}

/// The output and the exit code.
pub(crate) type Explanation = (String, u8);

/// Explains; the exit code is 0 for allowed and 77 for refused. It is an error if the site file or
/// the question cannot be read.
pub(crate) fn explain(directory: &Path, question: &Question) -> Result<Explanation, Explanation> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let mut text = String::new();
    let question = match str::from_utf8(&question.command).ok().and_then(typed::typed) {
        None => question.clone(),
        Some(Typed::Nothing(why)) => return Ok((format!("nothing of this reaches the server: {why}\n"), exit::REFUSED)),
        Some(Typed::Sends(commands)) => {
            let _ = writeln!(text, "typed at a client, this sends about:");
            for command in &commands {
                let _ = writeln!(text, "  {}", if command.is_empty() { "(no command)".to_owned() } else { printable(command.as_bytes()) });
            }
            if commands.len() > 1 {
                text.push_str("of these, the first is explained; ask about the others one by one\n");
            }
            Question { command: commands.into_iter().next().unwrap_or_default().into_bytes(), ..question.clone() }
        }
    };
    let policy = match config::load_policy(directory, &site, &question.client) {
        Ok(Some(policy)) => policy,
        Ok(None) => return Ok(nobody(text, &site, &question, &config::identity::unnamed(directory, &question.client))),
        Err(fault) => return Ok(nobody(text, &site, &question, &fault.into())),
    };
    let zone = match zones::load(&policy.timezone) {
        Ok(zone) => zone,
        Err(what) => return Ok(nobody(text, &site, &question, &config::unusable(what).rule(policy.origins.of("timezone")))),
    };
    let request = imagine(&question, &policy, &zone).map_err(|what| (what, exit::USAGE))?;
    // As for a real connection, policies of others may have a part in the choice.
    match config::identify(directory, &site, &request) {
        Ok(found) if found.client == policy.client => {
            let (judged, exit) = judged(&question, &site, &policy, &zone, &request);
            text.push_str(&judged);
            text.push_str(&others(directory, &site, &policy, &question));
            return Ok((text, exit));
        }
        Ok(found) => text = nobody(text, &site, &question, &speaks_for(&policy, &found, &request)).0,
        Err(reason) => text = nobody(text, &site, &question, &reason).0,
    }
    let _ = writeln!(text, "where sshd starts `snapgate-shell --client {}`, it would be:", policy.client);
    text.push_str(&judged(&question, &site, &policy, &zone, &request).0);
    Ok((text, exit::REFUSED))
}

/// The reason where the connection belongs to another client.
fn speaks_for(policy: &Policy, found: &Policy, request: &Request) -> Reason {
    let key = request.keys.first().map_or_else(|| "a key that no policy lists".to_owned(), |key| format!("key {key}"));
    let rule = if found.keys.is_some() { "keys" } else { "user" };
    Reason::new(Code::NoPolicy, format!("the gate takes it for {}", found.client))
        .detail(format!("a connection of account `{}` with {key} speaks for {}, not for {}", policy.user, found.client, policy.client))
        .remedy(format!(
            "list the client's key in `keys:` of {0}, or start `snapgate-shell --client {0}` by the key's command=",
            policy.client
        ))
        .rule(found.origins.of(rule))
}

/// Other policies of the account that own some of the keys.
fn others(directory: &Path, site: &Site, policy: &Policy, question: &Question) -> String {
    if policy.keys.is_some() || question.key.is_some() {
        return String::new();
    }
    let all = config::all_policies(directory, site).unwrap_or_default().into_iter().filter_map(|(_, policy)| policy.ok());
    let keyed = all.filter(|other| other.user == policy.user && other.keys.is_some());
    let lines =
        keyed.map(|other| format!("  --   a key that {} lists speaks for that instead  ({})\n", other.client, other.origins.of("keys")));
    lines.collect()
}

/// The policy's verdict, and what would be done.
fn judged(question: &Question, site: &Site, policy: &Policy, zone: &Zone, request: &Request) -> Explanation {
    let command = command::parse(&request.original);
    let resolved = if question.from.is_some() { resolve_hosts(policy, request.address.as_ref()) } else { Vec::new() };
    let owned = owners_of(site, policy, &request.account);
    let owners = owned.as_ref().unwrap_or(&Owners::Undecided);
    let case = Case { request, policy, zone, resolved: &resolved, owners, command: &command };
    // Without --from the question is not about addresses.
    let anywhere = Policy { from: None, ..policy.clone() };
    let case = if question.from.is_some() { case } else { Case { policy: &anywhere, ..case } };
    let judgement = verdict::judge(case);

    let mut text = String::new();
    let verdict = match judgement.verdict {
        Verdict::Allow(_) => "allowed",
        Verdict::ReadRest(_) => "allowed as far as it can be seen",
        Verdict::Deny(_) => "refused",
    };
    let _ = writeln!(text, "{}: {verdict}", policy.client);
    if request.account.uid == u32::MAX {
        let _ = writeln!(text, "  --   this machine has no account `{}`: nobody can log in  ({})", policy.user, policy.origins.of("user"));
    }
    // Their rule was left out, so its answer is none.
    let unasked = policy.from.as_ref().filter(|_| question.from.is_none()).map(|_| policy.origins.of("from"));
    for finding in &judgement.findings {
        let rule = finding.rule.as_ref().map(|rule| format!("  ({rule})")).unwrap_or_default();
        match &finding.refusal {
            None if finding.rule.is_some() && finding.rule == unasked => {
                text.push_str(&format!("  --   no --from given: address not judged{rule}\n"))
            }
            None => text.push_str(&format!("  yes  {}{rule}\n", finding.text)),
            Some(reason) => refusal(&mut text, site, reason),
        }
    }
    let exit = match &judgement.verdict {
        Verdict::Deny(_) => exit::REFUSED,
        Verdict::ReadRest(_) => {
            let _ =
                writeln!(text, "the destination and the long options travel on standard input (`-s`): they are read now, and judged too");
            0
        }
        Verdict::Allow(permit) => match permit.command() {
            Command::Push(push) => match &owned {
                Ok(owners) => describe_push(&mut text, question, site, policy, request, owners, (push, permit.closing())),
                Err(reason) => not_now(&mut text, site, reason),
            },
            Command::Restore(restore) => match (&owned, &restore.transfer) {
                (Ok(owners), Ok(transfer)) => pull::describe(&mut text, &pull::Imagined { site, policy, zone, request, owners }, transfer),
                (Err(reason), _) => not_now(&mut text, site, reason),
                (_, Err(_)) => 0,
            },
            Command::Greeting
            | Command::Help
            | Command::Probe(_)
            | Command::Status
            | Command::Prepare { .. }
            | Command::Complete { .. }
            | Command::Abort
            | Command::SecludedRestore(_)
            | Command::Secluded(_) => 0,
        },
    };
    (text, exit)
}

/// The answer without a policy: the gate would refuse.
fn nobody(mut text: String, site: &Site, question: &Question, reason: &Reason) -> Explanation {
    let _ = writeln!(text, "{}: refused", question.client);
    refusal(&mut text, site, reason);
    (text, exit::REFUSED)
}

/// Adds a reason: the administrator's text, and the client's.
fn refusal(text: &mut String, site: &Site, reason: &Reason) {
    let rule = reason.rule.as_ref().map(|rule| format!("  ({rule})")).unwrap_or_default();
    let mut lines = reason.detail.lines();
    let _ = writeln!(text, "  no   {}{rule}", lines.next().unwrap_or_default());
    for line in lines {
        let _ = writeln!(text, "       {line}");
    }
    let _ = writeln!(text, "       the client is told: {} (code {})", reason.says, reason.code);
    let administrator = if inspect::leads_somewhere(&site.mail) { Administrator::Alerted } else { Administrator::NotAlerted };
    if let Some(advice) = reason.advice(administrator) {
        let _ = writeln!(text, "       and: {advice}");
    }
    if let Some(remedy) = &reason.remedy {
        let _ = writeln!(text, "       {} {remedy}", reason.code.remedied());
    }
}

/// Adds what is in the way of what is allowed.
fn not_now(text: &mut String, site: &Site, reason: &Reason) -> u8 {
    let _ = writeln!(text, "it could not be done now:");
    refusal(text, site, reason);
    reason.code.exit()
}

/// Adds what a push would do; the exit code says whether it could.
fn describe_push(
    text: &mut String,
    question: &Question,
    site: &Site,
    policy: &Policy,
    request: &Request,
    owners: &Owners,
    (push, closing): (&Push, Option<&Closing>),
) -> u8 {
    let repository = Repository::at(&policy.path);
    let mut state = repository.look(&policy.names).unwrap_or_else(|_| RepositoryState::default());
    if let Some(moment) = question.at.as_ref().map(|_| request.at) {
        // The state at the time in question.
        let mut names = state.newest.into_iter().chain(state.earlier).filter(|name| name.at <= moment);
        (state.newest, state.earlier) = (names.next(), names.collect());
    }
    let planned = mounted(policy, site)
        .and_then(|()| plan::push(push, policy, &state, request.at))
        .map(|plan| plan.until(closing))
        .and_then(|plan| Ok((plan, child::version(&site.rsync, None)?)));
    let (plan, version) = match planned {
        Ok(planned) => planned,
        Err(reason) => return not_now(text, site, &reason),
    };
    let run = plan.run(Places {
        root: repository.root().to_path_buf(),
        program: site.rsync.clone(),
        version,
        stage: repository.inprogress(),
        bases: repository.bases(plan.place(), &repository.snapshots_with(plan.place(), &state), plan.trusts_size()),
        partial_dir: ".~snapgate-RANDOM~".to_owned(),
        log: repository.rsync_log("ID"),
        confinement: plan::confinement(push, site.jail, owners),
        mapping: owners.mapping().cloned(),
        running: None,
        logs_owners: plan.drops_owners(owners),
    });
    let _ = writeln!(text, "would run, in {}:", run.sandbox().directory.display());
    let _ = writeln!(text, "  {}", printable_path(&run.sandbox().program));
    for word in &run.sandbox().argv {
        let _ = writeln!(text, "    {}", printable(word.as_encoded_bytes()));
    }
    describe_sandbox(text, run.sandbox(), site);
    let _ = writeln!(text, "within the limits: {}  ({})", policy.limits, policy.origins.of("limits"));
    let _ = match (plan.is_dry(), plan.joins()) {
        (true, _) => writeln!(text, "and publish nothing: it is a dry run"),
        (false, true) => writeln!(text, "and wait for `complete`, to be published as {}", plan.name()),
        (false, false) => writeln!(text, "and publish it as {}", plan.name()),
    };
    if let Some(closing) = closing {
        let _ = writeln!(text, "unless it still runs at {}: then it is ended, and what arrived is kept", closing.shown);
    }
    0
}

/// Adds what confines rsync.
fn describe_sandbox(text: &mut String, sandbox: &Sandbox, site: &Site) {
    if sandbox.isolation.view {
        let _ = writeln!(text, "seeing nothing but:");
        for bind in spec::libraries_shown().iter().chain(&sandbox.binds) {
            let _ = writeln!(text, "  {} shows {}  ({})", bind.to.display(), bind.from.display(), bind.kind.as_str());
        }
        if site.namespaces == Namespaces::Optional {
            let _ = writeln!(
                text,
                "or, where the kernel gives no namespaces, the server's files, since the site file says `namespaces: optional`"
            );
        }
    } else if sandbox.grants.is_some() {
        let _ = writeln!(text, "seeing the server's files, without namespaces");
    }
    match &sandbox.grants {
        Some(grants) => {
            let _ = writeln!(text, "in a jail that opens:");
            for grant in grants {
                let _ = writeln!(text, "  {}  ({})", grant.path.display(), grant.access.as_str());
            }
        }
        None => text.push_str("without a jail, since the site file says `jail: off`\n"),
    }
}

fn imagine(question: &Question, policy: &Policy, zone: &Zone) -> Result<Request, String> {
    let keys = question.key.clone().or_else(|| policy.keys.as_ref()?.first().cloned());
    let unknown = || Account { name: policy.user.clone(), uid: u32::MAX, group: u32::MAX };
    let account = names::named(&policy.user).unwrap_or_else(unknown);
    let original = if question.command.is_empty() { Original::Nothing } else { Original::Command(question.command.clone()) };
    Ok(Request {
        at: moment(question.at.as_deref(), zone)?,
        account,
        address: question.from.clone(),
        keys: keys.into_iter().collect(),
        named: None,
        original,
    })
}

fn moment(at: Option<&str>, zone: &Zone) -> Result<DateTime<Utc>, String> {
    let Some(text) = at else { return Ok(clock::now()) };
    let formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
    let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let shown = printable(text.as_bytes());
    let local = local.ok_or_else(|| format!("`{shown}` is not a time\nwrite it like 2026-11-21T03:00"))?;
    zone.moment(local)
        .ok_or_else(|| format!("`{shown}` does not exist in {}: clocks go forward over it\nuse a time an hour later", zone.name))
}
