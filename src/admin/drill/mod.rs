//! `snapgate drill`: restores a sample of each client's newest snapshot as its client would, and
//! compares that with the store.
//!
//! All of it is done as the client's account, in the namespace of its ids where owners are kept:
//! root receives nothing of what a client has stored.

mod scratch;
mod told;
mod work;

use std::path::{Path, PathBuf};

use crate::act::child::{self, Errand};
use crate::act::record::spool::{Spool, Stamp};
use crate::act::{clock, config, inspect, process};
use crate::admin::prune::{Client, Failure, Found, LOOK, Printed, clients};
use crate::decide::policy::{Report, Site};
use crate::terms::text::counted;
use crate::terms::{Body, Bytes, ClientName, Deed, Mail, Restored, Upkeep, exit};

use told::{Done, Told};
use work::Job;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// For whom; for all where there is none.
    pub(crate) clients: Vec<ClientName>,
    /// How many files of each.
    pub(crate) sample: u32,
    /// Which ones; any by default.
    pub(crate) seed: Option<u64>,
    /// Whether nobody wants to read of what went well.
    pub(crate) quiet: bool,
    /// Whether a program reads the answer.
    pub(crate) json: bool,
}

/// The word by which the rsync of a drill starts what takes it to the gate.
pub(crate) const SHELL: &str = "drill-shell";

/// Drills each client. The exit code is 1 where one has failed.
pub(crate) fn drill(directory: &Path, orders: &Orders) -> Result<Printed, Failure> {
    // Children become the accounts', which may read their memory.
    if inspect::running_uid() == 0 {
        process::forget_environment().map_err(|error| (format!("cannot begin without the environment: {error}"), exit::INTERNAL))?;
    }
    process::no_core();
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let real = inspect::real(directory);
    let program = gate().map_err(|error| (format!("the gate's own program cannot be found: {error}"), exit::INTERNAL))?;
    let seed = orders.seed.unwrap_or_else(any);
    let found = clients(directory, &site, &orders.clients)?;
    let is_named = !orders.clients.is_empty();
    let mut told: Vec<Told> = found.iter().filter_map(|client| one(client, &real, &program, orders, seed, is_named)).collect();
    remember(&site, &found, &mut told, is_named);
    if !is_named {
        Stamp::Ran("drill").leave(&site.spool);
    }
    let code = if told.iter().any(|told| told.failed()) { LOOK } else { 0 };
    let text = if orders.json {
        let json = serde_json::to_string_pretty(&told).map_err(|error| (format!("writing JSON: {error}"), exit::INTERNAL))?;
        json + "\n"
    } else {
        told.iter().filter(|told| !orders.quiet || told.failed()).map(Told::text).collect()
    };
    Ok((text, code))
}

/// Remembers whose drill failed, for whoever looks for what lasts.
fn remember(site: &Site, found: &[Found<'_>], told: &mut [Told], is_named: bool) {
    let saved = Spool::open(&site.spool, inspect::running_uid()).and_then(|spool| {
        let mut failing = spool.failing_drills();
        let before = failing.clone();
        // Of one that is gone nothing lasts.
        failing.retain(|client, _| is_named || found.iter().any(|(name, _)| name == client));
        // What cannot be read at all is a state of its own.
        for (name, _) in found.iter().filter(|(_, client)| client.is_ok()) {
            match told.iter().find(|told| told.client == name.as_str()).map(Told::failed) {
                Some(true) => _ = failing.entry(name.clone()).or_insert_with(clock::now),
                Some(false) => _ = failing.remove(name),
                None => {}
            }
        }
        if failing == before { Ok(()) } else { spool.save_failing_drills(&failing) }
    });
    if let (Err(error), Some(told)) = (saved, told.first_mut()) {
        told.lost.push(format!("whose drills fail is not remembered: {error}"));
    }
}

/// One client; `None` where there is nothing to drill.
fn one((name, client): &Found<'_>, directory: &Path, program: &Path, orders: &Orders, seed: u64, is_named: bool) -> Option<Told> {
    let client = match client {
        Ok(client) => client,
        Err((what, _)) => return Some(Told::of(name, seed, Err(what.clone()))),
    };
    let words: Vec<_> =
        ["--config".into(), directory.as_os_str().to_owned(), "--client".into(), name.as_str().into(), "--drill".into()].to_vec();
    let errand = child::errand(program, &words, |needed| {
        // The account's processes may take what this one has open (ptrace(2), pidfd_getfd(2)): they
        // could type for root, or write over what it reads.
        process::close_all_but(&[needed]);
        process::silence().and_then(|()| client.become_account())
    });
    let done = errand.map_err(|error| format!("starting a process for the gate: {error}")).and_then(|errand: Errand| {
        let job = Job { client, sample: orders.sample, seed, gate: &errand.name };
        client.reaching_apart(|| job.work()).map_err(|(what, _)| what)
    });
    match done {
        Ok(None) if !is_named => None,
        Ok(None) => Some(Told::of(name, seed, Err("there is no snapshot yet".to_owned()))),
        Ok(Some(done)) => Some(recorded(client, Told::of(name, seed, Ok(done)))),
        Err(what) => Some(recorded(client, Told::of(name, seed, Err(what)))),
    }
}

/// Records it, and has it mailed.
fn recorded(client: &Client<'_>, mut told: Told) -> Told {
    let Done { snapshot, files, bytes, large, .. } = &told.done;
    let (happened, mail) = if told.failed() {
        let count = told.problems.len() as u64 + told.done.others;
        (format!("the drill failed: {}", counted(count, "problem", "problems")), Mail::Alert)
    } else {
        let mail = if client.policy.report == Report::Always { Mail::Report } else { Mail::None };
        let left =
            if *large > 0 { format!("; {} left out, too large for the room", counted(*large, "file", "files")) } else { String::new() };
        (format!("the drill restored {}, {}, as they are stored{left}", counted(*files, "file", "files"), Bytes(*bytes)), mail)
    };
    let restored = Restored { path: String::new(), files: *files, bytes: *bytes };
    let upkeep = Upkeep {
        restored: Some(restored),
        problems: told.problems.clone(),
        ..Upkeep::of(happened, Some(snapshot.as_str()).filter(|name| !name.is_empty()))
    };
    let event = client.event(Body::Upkeep(Deed::Drill, Box::new(upkeep)), mail);
    let written = client.reaching(|| {
        client.record(&client.existing()?, &event);
        Ok(())
    });
    told.lost.extend(client.lost());
    told.lost.extend(written.err().map(|(what, _)| what));
    told
}

fn gate() -> std::io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("snapgate-shell"))
}

/// A seed that nobody can foresee.
fn any() -> u64 {
    let mut bytes = [0; 8];
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u64::from_le_bytes(bytes) >> 16
}
