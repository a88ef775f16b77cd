//! `snapgate import`: proposes policies from files of keys that let clients in before.
//!
//! The file is never changed, and nothing that it says is done. What is written is for a person to read
//! and to put in its place.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::act::config::POLICIES;
use crate::decide::keys::authprogs::rules;
use crate::decide::keys::import::{Imported, Proposal, keys};
use crate::decide::policy::{read_policy, read_site};
use crate::terms::exit;
use crate::terms::limits::MAX_IMPORT;
use crate::terms::text::{counted, os_words, printable_path};

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// The file.
    pub(crate) file: PathBuf,
    /// Whether it has rules of authprogs, and no keys.
    pub(crate) rules: bool,
    /// The file of keys that the rules name.
    pub(crate) keys: Option<PathBuf>,
    /// Whose it is.
    pub(crate) user: Option<String>,
    /// Where proposals are written.
    pub(crate) write: Option<PathBuf>,
}

/// What is printed, or an error; each with its exit code.
type Answer = Result<(String, u8), (String, u8)>;

/// Proposes what can be. The exit code is 1 where something of the file was passed over.
pub(crate) fn import(directory: &Path, orders: &Orders) -> Answer {
    let text = read(&orders.file)?;
    let user = orders.user.as_deref();
    let mut found = match &orders.keys {
        named if orders.rules => rules(&text, &named.as_deref().map(read).transpose()?.unwrap_or_default(), user),
        Some(_) => return Err(("--keys is for authprogs, whose rules name keys\nleave it out".to_owned(), exit::USAGE)),
        None => keys(&text, user),
    };
    only_policies(&mut found);
    if let Some(to) = &orders.write {
        write(directory, to, &found.proposals)?;
    }
    let code = u8::from(!found.passed.is_empty());
    Ok((told(&found, orders), code))
}

fn read(path: &Path) -> Result<String, (String, u8)> {
    text_of(path).map_err(|error| (format!("{}: {}", printable_path(path), os_words(&error)), exit::USAGE))
}

fn text_of(path: &Path) -> io::Result<String> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_IMPORT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_IMPORT {
        return Err(io::Error::other(format!("it has more than {MAX_IMPORT} bytes; split it")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Passes over what would be no policy after all.
fn only_policies(found: &mut Imported) {
    let Ok(site) = read_site(Path::new("snapgate.yaml"), b"store: /srv\n") else { return };
    let is_one = |proposal: &Proposal| read_policy(Path::new("policy"), proposal.policy.as_bytes(), &proposal.client, &site).is_ok();
    let (good, bad): (Vec<_>, Vec<_>) = std::mem::take(&mut found.proposals).into_iter().partition(is_one);
    found.proposals = good;
    found.passed.extend(bad.into_iter().map(|proposal| (proposal.line, "what came of it is no policy: write one by hand".to_owned())));
}

/// Writes each where there is nothing of that name yet.
fn write(directory: &Path, to: &Path, proposals: &[Proposal]) -> Result<(), (String, u8)> {
    let failed = |path: &Path, error: &io::Error| (format!("writing {}: {}", printable_path(path), os_words(error)), exit::INTERNAL);
    fs::create_dir_all(to).map_err(|error| failed(to, &error))?;
    let real = |path: &Path| fs::canonicalize(path).ok();
    if real(to).is_some() && real(to) == real(&directory.join(POLICIES)) {
        let what = "a proposal that nobody has read is no policy";
        return Err((format!("{what}\nname another directory, read them, and move them there"), exit::USAGE));
    }
    let path = |proposal: &Proposal| to.join(format!("{}.yaml", proposal.client));
    if let Some(there) = proposals.iter().map(path).find(|path| fs::symlink_metadata(path).is_ok()) {
        return Err((format!("{} is there already; nothing was written\nname another directory", printable_path(&there)), exit::USAGE));
    }
    for proposal in proposals {
        let path = path(proposal);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path);
        file.and_then(|mut file| file.write_all(proposal.policy.as_bytes())).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

fn told(found: &Imported, orders: &Orders) -> String {
    let mut text = String::new();
    for Proposal { line, client, policy, left } in &found.proposals {
        let _ = writeln!(text, "{} {line}: {client}.yaml", found.counts);
        for line in policy.lines() {
            let _ = writeln!(text, "    {line}");
        }
        for what in left {
            let _ = writeln!(text, "  not carried over: {what}");
        }
        text.push('\n');
    }
    for (line, why) in &found.passed {
        let _ = writeln!(text, "{} {line}: nothing is proposed: {why}", found.counts);
    }
    let proposed = counted(found.proposals.len() as u64, "policy", "policies");
    let passed = counted(found.passed.len() as u64, found.counts, &format!("{}s", found.counts));
    let _ = writeln!(text, "{proposed} proposed, {passed} passed over");
    text += &orders.write.as_ref().map_or_else(
        || "nothing was written: --write DIR does that\n".to_owned(),
        |to| format!("read them in {}, then move them to the policies and run `snapgate check`\n", printable_path(to)),
    );
    if orders.user.is_none() && !found.proposals.is_empty() {
        text.push_str("each is for an account with the client's name: say --user if it is another\n");
    }
    text
}
