//! May this connection do what it asks? Every rule is asked, and every answer is kept.
//!
//! Only this module makes a [`Permit`], when every rule said yes. The disk is not looked at before.

use std::net::IpAddr;

use crate::decide::judge::closing::{self, Closing};
use crate::decide::policy::address;
use crate::decide::policy::{Policy, Rules, Source};
use crate::decide::push::parts;
use crate::decide::rsync::command::{self, Command, Rest};
use crate::terms::{Code, Fingerprint, Origin, Owners, Reason, Request, Verb, Zone};

/// What a decision rests on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub request: &'a Request,
    pub policy: &'a Policy,
    pub zone: &'a Zone,
    /// The addresses of the policy's `host:` names.
    pub resolved: &'a [(String, Vec<IpAddr>)],
    /// Whose the client's files are.
    pub owners: &'a Owners,
    /// What was asked for, or why it could not be read.
    pub command: &'a Result<Command, Vec<Reason>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Judgement {
    /// Each rule's answer, in the order of asking.
    pub findings: Vec<Finding>,
    pub verdict: Verdict,
}

/// One rule's answer.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// What the rule found, for the administrator.
    pub text: String,
    pub rule: Option<Origin>,
    /// Why it said no; `None`: it said yes.
    pub refusal: Option<Reason>,
}

/// Yes, no, or not before the rest is known.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// Every rule said yes.
    Allow(Permit),
    /// Every rule said yes to what is visible, and the rest is on standard input (`-s`). It may be
    /// read now, and is then judged. Nobody's input is read before this.
    ReadRest(Rest),
    /// At least one said no.
    Deny(Denial),
}

/// That every rule said yes, and to what.
#[derive(Debug, Clone)]
pub(crate) struct Permit {
    command: Command,
    closing: Option<Closing>,
}

impl Permit {
    /// What may be done.
    pub(crate) fn command(&self) -> &Command {
        &self.command
    }

    /// When a push is ended with its window.
    pub(crate) fn closing(&self) -> Option<&Closing> {
        self.closing.as_ref()
    }
}

/// Why not.
#[derive(Debug, Clone)]
#[must_use]
pub(crate) struct Denial {
    first: Reason,
    others: Vec<Reason>,
}

impl Denial {
    pub(crate) fn because(reason: Reason) -> Self {
        Self { first: reason, others: Vec::new() }
    }

    /// A denial for `reason`, and for what is wrong with the command.
    pub(crate) fn unidentified(reason: Reason, command: Result<Command, Vec<Reason>>) -> Self {
        Self { first: reason, others: command.err().unwrap_or_default() }
    }

    /// The reason for the client.
    pub(crate) fn first(&self) -> &Reason {
        &self.first
    }

    /// Every reason, the first one first.
    pub(crate) fn into_reasons(self) -> Vec<Reason> {
        let mut reasons = vec![self.first];
        reasons.extend(self.others);
        reasons
    }
}

/// Advice where the client itself can do nothing.
const ASK: &str = "ask the administrator of the server";

/// Asks every rule.
#[must_use]
pub(crate) fn judge(case: Case<'_>) -> Judgement {
    let mut findings = vec![account(case), key(case), origin_address(case), window(case)];
    findings.extend(frozen(case));
    findings.extend(asked(case));
    let mut reasons = findings.iter().filter_map(|finding| finding.refusal.clone());
    let verdict = match (reasons.next(), case.command) {
        (Some(first), _) => Verdict::Deny(Denial { first, others: reasons.collect() }),
        (None, Ok(Command::Secluded(begun))) => Verdict::ReadRest(Rest::Push(Box::new(begun.clone()))),
        (None, Ok(Command::SecludedRestore(begun))) => Verdict::ReadRest(Rest::Restore(begun.clone())),
        (None, Ok(command)) => Verdict::Allow(Permit { command: command.clone(), closing: closing(case) }),
        // `asked` refuses every command that could not be read; this arm only guards that.
        (None, Err(_)) => Verdict::Deny(Denial::because(Reason::new(Code::Internal, "the command could not be judged").hint(ASK))),
    };
    Judgement { findings, verdict }
}

fn yes(text: impl Into<String>, rule: Option<Origin>) -> Finding {
    Finding { text: text.into(), rule, refusal: None }
}

fn no(reason: Reason) -> Finding {
    Finding { text: reason.detail.clone(), rule: reason.rule.clone(), refusal: Some(reason) }
}

fn account(case: Case<'_>) -> Finding {
    let rule = case.policy.origins.of("user");
    let (user, account) = (&case.policy.user, &case.request.account.name);
    if user == account {
        return yes(format!("account `{account}` speaks for this client"), Some(rule));
    }
    no(Reason::new(Code::Account, "this key is not for this account")
        .hint("log in as the account that is yours, or ask the administrator of the server")
        .detail(format!("the policy is for account `{user}`, and the gate runs as `{account}`"))
        .remedy(format!("if `{account}` may speak for {}, set `user: {account}` there", case.policy.client))
        .rule(rule))
}

/// The rules for what is asked.
fn rules<'a>(case: Case<'a>) -> Rules<'a> {
    case.policy.rules(case.command.as_ref().ok().map(Command::verb))
}

fn key(case: Case<'_>) -> Finding {
    let (keys, word) = rules(case).keys;
    let rule = case.policy.origins.of(word);
    let any_may = case.command.as_ref().is_ok_and(|command| command.verb().row().always);
    let Some(keys) = keys else {
        return match case.request.keys.iter().find(|key| case.policy.only_restores(key)) {
            _ if any_may || !case.policy.keeps_keys_for_restores() => yes("any key that sshd lets in", Some(rule)),
            None if !case.request.keys.is_empty() => yes("any key that sshd lets in, but those that may only restore", Some(rule)),
            found => no(restores_alone(case, found)),
        };
    };
    if let Some(key) = case.request.keys.iter().find(|key| any_may && case.policy.only_restores(key)) {
        return yes(format!("key {key} may restore, and ask for help"), Some(case.policy.origins.of("restore")));
    }
    if let Some(key) = case.request.keys.iter().find(|key| keys.contains(key)) {
        return yes(format!("key {key} is listed"), Some(rule));
    }
    let reason = Reason::new(Code::Key, "this key is not allowed").hint(ASK).rule(rule);
    match case.request.keys.first() {
        Some(key) => no(reason
            .detail(format!("key {key} is not one of the client's keys"))
            .remedy(format!("if the key is the client's, add `{key}` to `keys:`"))),
        None => no(reason.detail("sshd did not say which key logged in").remedy(
            "set `ExposeAuthInfo yes` in sshd's configuration; Dropbear cannot tell, so use `snapgate-shell --client NAME` and no `keys:`",
        )),
    }
}

/// The reason for a key that may restore and do nothing else, or that may be one.
fn restores_alone(case: Case<'_>, found: Option<&Fingerprint>) -> Reason {
    let reason = Reason::new(Code::Key, "this key is not allowed").hint(ASK).rule(case.policy.origins.of("restore"));
    match found {
        Some(key) => {
            reason.detail(format!("key {key} may restore and do nothing else")).remedy(format!("if it may, add `{key}` to `keys:` as well"))
        }
        None => reason
            .detail("sshd did not say which key logged in, and some may only restore")
            .remedy("set `ExposeAuthInfo yes` in sshd's configuration, or leave `keys:` out of `restore:`"),
    }
}

fn origin_address(case: Case<'_>) -> Finding {
    let (from, word) = rules(case).from;
    let rule = case.policy.origins.of(word);
    let Some(from) = from else { return yes("any address", Some(rule)) };
    let reason = Reason::new(Code::Address, "connections from this address are not allowed").hint(ASK).rule(rule.clone());
    let Some(peer) = &case.request.address else {
        return no(reason.detail("the address of the client is not known").remedy("sshd sets SSH_CONNECTION; run the gate from sshd"));
    };
    if address::matches(from, peer, case.resolved) {
        return yes(format!("address {peer} is allowed"), Some(rule));
    }
    let unresolved: Vec<_> = from.iter().filter_map(|source| unresolved_host(source, case.resolved)).collect();
    let mut detail = format!("address {peer} is not in `from:`");
    if !unresolved.is_empty() {
        detail.push_str(&format!("; no address was found for {}", unresolved.join(", ")));
    }
    no(reason.detail(detail).remedy(format!("if the client may come from there, add `{peer}` to `from:`")))
}

fn unresolved_host<'a>(source: &'a Source, resolved: &[(String, Vec<IpAddr>)]) -> Option<&'a str> {
    match source {
        Source::Host(host) => (!resolved.iter().any(|(name, found)| name == host && !found.is_empty())).then_some(host),
        Source::Network(_) | Source::OnLink(..) => None,
    }
}

fn closing(case: Case<'_>) -> Option<Closing> {
    closing::closing(case.policy.when.as_deref()?, case.zone, case.request.at, case.policy.deadline)
}

fn window(case: Case<'_>) -> Finding {
    let (windows, word) = rules(case).when;
    let rule = case.policy.origins.of(word);
    let Some(windows) = windows else { return yes("at any time", Some(rule)) };
    let local = case.zone.local(case.request.at);
    let words = windows.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let clock = format!("{} {}", local.format("%a %Y-%m-%d %H:%M"), case.zone.name);
    if windows.iter().any(|window| window.is_open(local)) {
        let stops =
            closing(case).filter(|_| word == "when").map(|Closing { shown, .. }| format!("; a push that still runs at {shown} is ended"));
        return yes(format!("{clock} is within {words}{}", stops.unwrap_or_default()), Some(rule));
    }
    no(Reason::new(Code::Window, format!("this client is allowed {words} {}", case.zone.name))
        .hint("come back then, or ask the administrator of the server")
        .detail(format!("{clock} is outside {words}"))
        .remedy("if the time was right, widen `when:`")
        .passing()
        .rule(rule))
}

/// Whether the administrator has it do nothing for now. Whoever is not the client learns nothing of
/// that: it is asked last of those rules.
fn frozen(case: Case<'_>) -> Option<Finding> {
    let says = case.policy.frozen.as_deref()?;
    let reason = Reason::new(Code::Frozen, says).hint("try again later; nothing is wrong at this end");
    let detail = format!("the client is frozen: {says}");
    Some(no(reason.detail(detail).remedy(format!("snapgate thaw {}", case.policy.client)).rule(case.policy.origins.of("frozen"))))
}

/// The rules on the command: whether it can be read, its verb and its options.
fn asked(case: Case<'_>) -> Vec<Finding> {
    let command = match case.command {
        Err(reasons) => return reasons.iter().cloned().map(no).collect(),
        Ok(command) => command,
    };
    let mut findings = vec![verb(case, command.verb())];
    let push = match command {
        Command::Restore(restore) => {
            // What is wrong with it is beside the point where nothing of the kind is allowed.
            let faults = restore.transfer.as_ref().err().filter(|_| case.policy.allows(Verb::Restore));
            findings.extend(faults.into_iter().flatten().cloned().map(no));
            return findings;
        }
        Command::SecludedRestore(_) => return findings,
        Command::Push(push) => Some(push),
        Command::Secluded(secluded) => Some(&secluded.visible),
        Command::Greeting
        | Command::Browse
        | Command::Help
        | Command::Probe(_)
        | Command::Status
        | Command::Ask(_)
        | Command::Prepare { .. }
        | Command::Complete { .. }
        | Command::Abort => None,
    };
    if let Some(push) = push {
        let options = &case.policy.options;
        let refused = push.refused_for(options, case.owners, &case.request.account);
        let rule = case.policy.origins.of("options");
        if !refused.is_empty() {
            // Notes on a refused push are beside the point.
            findings.extend(refused.into_iter().map(|reason| no(reason.rule(rule.clone()))));
            return findings;
        }
        // With `-s` the place is not known yet.
        let note = matches!(command, Command::Push(_)).then(|| parts::explain(case.policy, push.place(), push.deletes())).flatten();
        findings.extend(note.map(|note| yes(note, Some(case.policy.origins.of("partial_pushes")))));
        findings.extend(options.forces().into_iter().map(|note| yes(note, Some(rule.clone()))));
        findings.extend(push.widened().into_iter().map(|note| yes(note, Some(rule.clone()))));
        let weaker = "access lists (`-A`) are allowed: rsync runs in a weaker jail, without namespaces";
        findings.extend(push.does_without_namespaces(case.owners).then(|| yes(weaker, Some(rule.clone()))));
        findings.extend(push.notes().iter().map(|note| yes(note.clone(), None)));
        findings.extend(push.outlasted(case.policy.deadline).map(|note| yes(note, Some(case.policy.origins.of("time_limits")))));
        findings.extend(push.warnings().iter().map(|warning| yes(warning.clone(), None)));
    }
    findings
}

fn verb(case: Case<'_>, verb: Verb) -> Finding {
    let rule = case.policy.origins.of("verbs");
    if case.policy.allows(verb) {
        return yes(format!("`{verb}` is allowed"), Some(rule));
    }
    if verb == Verb::Browse {
        // Most who ask for it want to back up: an sftp client, or a tool that writes by sftp.
        let detail = "sftp, scp or sshfs was asked for, and `browse` is not one of the client's verbs";
        return no(command::no_sftp()
            .detail(detail)
            .remedy("if the client may look at its snapshots, add `browse` to `verbs:`")
            .rule(rule));
    }
    if verb == Verb::Restore {
        let says = "this server takes pushes; reading back is not offered over this key";
        return no(Reason::new(Code::Pull, says)
            .hint("ask the administrator for a restore")
            .detail("the client's rsync asked to be sent files, and `restore` is not one of its verbs")
            .remedy("if it may restore, add `restore` to `verbs:`")
            .rule(rule));
    }
    let allowed = case.policy.verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>().join(", ");
    no(Reason::new(Code::Verb, format!("`{verb}` is not allowed for this client"))
        .hint(format!("allowed: {allowed}"))
        .detail(format!("`{verb}` is not one of the client's verbs ({allowed})"))
        .remedy(format!("if it should be, add `{verb}` to `verbs:`"))
        .rule(rule))
}
