//! `snapgate remap`: a client's repository gets the ids that its account has now. For root.
//!
//! Nothing is changed unless all can be: everything is looked at first, when only root can enter
//! the repository and nobody runs who might have something in it open.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::act::inspect::running::{self, running};
use crate::act::names;
use crate::act::names::{accounts, subids};
use crate::act::store::{Given, Ownership, mounted};
use crate::act::{config, process};
use crate::decide::owners::remap::{self, Holder, Kind, Remap};
use crate::decide::policy::Policy;
use crate::terms::text::{printable, printable_path};
use crate::terms::{Account, ClientName, Reason, exit};

/// What is printed, and the exit code.
pub(crate) type Printed = (String, u8);

/// Does it, or says what would be done (`dry_run`). The exit code is 1 where files stand in the
/// way.
///
/// # Errors
/// In words, when it cannot be done.
pub(crate) fn remap(directory: &Path, client: &ClientName, dry_run: bool) -> Result<Printed, Printed> {
    let policy = policy(directory, client)?;
    let shown = printable_path(&policy.path);
    let mut owned = Ownership::take(&policy.path).map_err(reason)?.ok_or_else(|| {
        unfit(format!("there is no repository in `{shown}`\nthe client's first push makes one; there is nothing to remap"))
    })?;
    if !dry_run {
        owned.recover().map_err(reason)?;
    }
    let remap = wanted(&policy, &owned)?;
    if owned.begun().is_none() && remap.is_done() {
        let left = if owned.is_left_closed() { ", and is still closed: run it without --dry-run" } else { "" };
        return Ok((format!("{client}: nothing to remap: `{shown}` has the ids of `{}` already{left}\n", policy.user), 0));
    }

    let mut text = format!("{client}: {shown}\n");
    for line in remap.to_string().lines() {
        let _ = writeln!(text, "  {line}");
    }
    if owned.begun().is_some() {
        text.push_str("  an earlier run was begun and has not ended; this goes on with it\n");
    }
    if dry_run {
        let found = owned.look(&remap, &policy.names);
        describe(&mut text, &found, "would change");
        if let Err((what, _)) = nobody_runs(&remap, &policy.path) {
            let _ = writeln!(text, "  not now: {}", what.replace('\n', "; "));
        }
        text.push_str(if found.in_all > 0 { MEND } else { "nothing was changed: it was a dry run\n" });
        return Ok((text, u8::from(found.in_all > 0)));
    }
    // Before, so as not to disturb an account at work, and after, when nobody else can come.
    nobody_runs(&remap, &policy.path)?;
    owned.close().map_err(reason)?;
    if let Err(said) = nobody_runs(&remap, &policy.path) {
        owned.give_up().map_err(reason)?;
        return Err(said);
    }
    let found = owned.prepare(&remap, &policy.names).map_err(reason)?;
    if found.in_all > 0 {
        describe(&mut text, &found, "would change");
        owned.give_up().map_err(reason)?;
        text.push_str(if owned.begun().is_some() { UNDONE } else { MEND });
        return Ok((text, if owned.begun().is_some() { exit::BUSY } else { 1 }));
    }
    let given = owned.change(&remap, &policy.names).map_err(reason)?;
    describe(&mut text, &given, "changed");
    if given.in_all > 0 {
        text.push_str(UNDONE);
        return Ok((text, exit::BUSY));
    }
    text.push_str("done\n");
    Ok((text, 0))
}

const MEND: &str = "nothing was changed: mend these first, and run it again\n";
const UNDONE: &str = "it is not done, and pushes are refused until it is: mend these, and run it again\n";

fn policy(directory: &Path, client: &ClientName) -> Result<Policy, Printed> {
    if accounts::running() != 0 {
        return Err(("only root can give files to others\nrun it as root".to_owned(), exit::REFUSED));
    }
    process::mask();
    process::limit();
    let site = config::load_site(directory).map_err(|fault| unfit(fault.to_string()))?;
    let policy = config::load_policy(directory, &site, client).map_err(|fault| unfit(fault.to_string()))?;
    let policy = policy.ok_or_else(|| unfit(format!("no policy for `{client}`\n`snapgate list` shows every client")))?;
    mounted(&policy, &site).map_err(reason)?;
    Ok(policy)
}

fn wanted(policy: &Policy, owned: &Ownership) -> Result<Remap, Printed> {
    remap::wanted(policy, owned.meaning()).map_err(unfit)?;
    let account = names::named(&policy.user)
        .ok_or_else(|| unfit(format!("there is no account `{}`\nmake it, or set `user:` in the policy", policy.user)))?;
    let mapping =
        subids::available(&account).map_err(|lack| unfit(format!("owners cannot be kept: {lack}\n{}", lack.help(&account.name))))?;
    let to = Holder { user: account.uid, group: account.group };
    let remap = match owned.begun() {
        Some(begun) if begun.leads_to(&mapping, to) => begun.clone(),
        Some(begun) => {
            let what = "it was begun with other ids and has not ended\ngive the account those back, or set `user:` back, and run it again:";
            return Err(unfit(format!("{what}\n{}", begun.to_string().trim_end())));
        }
        None => Remap::new(owned.meaning().clone(), owned.holder(), mapping, to).map_err(unfit)?,
    };
    // Whoever has such ranges could run as one of their ids, and would not be found.
    if owned.begun().is_none()
        && let Some(name) = subids::given_to(remap.from().user)
    {
        return Err(unfit(format!(
            "the repository belongs to uid {}, which /etc/subuid gives to `{}` for others\n\
             an account has to have it: see who has changed that, and give it and `.snapgate` in it back",
            remap.from().user,
            printable(name.as_bytes())
        )));
    }
    // The account can write its repository's note, and would have root give away another's files.
    for kind in [Kind::User, Kind::Group] {
        let known = accounts::numbered(kind, |id| remap.stands_for_a_client(kind, id));
        if let Some((name, id)) = known.map_err(|error| unfit(format!("looking for {kind}s of this machine: {error}\nmend the file")))? {
            let name = printable(name.as_bytes());
            return Err(unfit(format!(
                "the {kind} {id} is `{name}` of this machine, and would stand for one of the client's\n\
                 give the account ranges that hold nobody's number; `.snapgate/owners.json` has those that the repository had"
            )));
        }
    }
    Ok(remap)
}

/// Whoever runs may have something of the repository open.
fn nobody_runs(remap: &Remap, repository: &Path) -> Result<(), Printed> {
    let cannot = |error| (format!("looking for processes: {error}\nrun it where /proc shows all of them"), exit::BUSY);
    let repository = fs::canonicalize(repository).map_err(cannot)?;
    // The account can write the note of its ranges: look for whoever runs as any id of its.
    let Holder { user, group } = remap.from();
    let name = accounts::numbered(Kind::User, |id| id == user).map_err(cannot)?.map(|(name, _)| name);
    let [users, groups] = subids::given_for_others(&Account { name: name.unwrap_or_default(), uid: user, group });
    // Root's are those of containers, and a repository of root's has no such note.
    let is_its = |kind, id| user != 0 && if kind == Kind::User { &users } else { &groups }.iter().any(|range| range.contains(id));
    let found = running(|kind, id| remap.concerns(kind, id) || is_its(kind, id), &repository).map_err(cannot)?;
    let Some(running::Found { process, name, whom }) = found else { return Ok(()) };
    let name = printable(name.as_bytes());
    let what = match whom {
        Some((kind, id)) => format!("process {process} (`{name}`) runs as {kind} {id}, and may have something in the repository open"),
        None => format!("process {process} (`{name}`) has something in the repository open"),
    };
    Err((format!("{what}\nwait until it has ended, or end it, and run it again"), exit::BUSY))
}

fn unfit(what: String) -> Printed {
    (what, exit::CONFIG)
}

fn describe(text: &mut String, given: &Given, verb: &str) {
    let mut parts = vec![counted(given.files, "file or directory", "files and directories")];
    for (count, one, many) in [
        (given.lists, "access list", "access lists"),
        (given.capabilities, "capability", "capabilities"),
        (given.modes, "set-id mode kept", "set-id modes kept"),
    ] {
        parts.extend((count > 0).then(|| counted(count, one, many)));
    }
    let _ = writeln!(text, "  {verb}: {}", parts.join(", "));
    if !given.others.is_empty() {
        let _ = writeln!(text, "  not the gate's, and goes along: {}", given.others.join(", "));
    }
    for problem in &given.problems {
        let _ = writeln!(text, "  problem: {problem}");
    }
    let unnamed = given.in_all.saturating_sub(given.problems.len() as u64);
    if unnamed > 0 {
        let _ = writeln!(text, "  and {} more", counted(unnamed, "problem", "problems"));
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn reason(reason: Reason) -> Printed {
    let remedy = reason.remedy.or(reason.hint).map(|what| format!("\n{what}")).unwrap_or_default();
    (format!("{}{remedy}", reason.detail), reason.code.exit())
}
