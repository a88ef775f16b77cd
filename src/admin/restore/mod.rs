//! `snapgate restore`: copies files out of a snapshot, with the client's owners where root runs it.
//!
//! One process reads, confined as for a push, with the client's ids alone (`send`); one of whoever
//! restores writes. The reader is not trusted. Where root restores, neither may run as the account:
//! they have root's terminal and keys, and an account may read its processes' memory (ptrace(2)).

mod choose;
mod progress;
mod send;
mod told;
mod workshop;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::act::store::{boot_id, remembered};
use crate::act::{child, config, inspect, process};
use crate::admin::prune::{Client, Failure, Printed, failure};
use crate::decide::history::receive::{self, Figures, Manner, Receiver, Step};
use crate::decide::owners::Remembered;
use crate::decide::policy::Site;
use crate::decide::push::outcome::{self, Ended};
use crate::decide::rsync::argv::Version;
use crate::terms::text::{counted, printable, printable_path};
use crate::terms::{Body, Bytes, ClientName, Deed, Mail, Restored, SubPath, Upkeep, exit};

pub(crate) use send::{SEND, Source, send};

use choose::{Chosen, chosen};
use progress::Progress;
use told::Told;
use workshop::{Note, Target, Workshop};

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) client: ClientName,
    /// A word for a snapshot, a place in it, or both.
    pub(crate) words: [Option<OsString>; 2],
    /// Where it is copied to.
    pub(crate) to: PathBuf,
    /// Whether it writes over what is there.
    pub(crate) force: bool,
    /// Whether nothing is to be written.
    pub(crate) dry_run: bool,
    /// Whether a program reads the answer.
    pub(crate) json: bool,
}

/// Restores. An error has its exit code, which is rsync's own once that has begun.
pub(crate) fn restore(directory: &Path, orders: &Orders) -> Result<Printed, Failure> {
    process::no_core();
    let began = Instant::now();
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let client = Client::find(directory, &site, &orders.client)?;
    let target = Target::find(&orders.to, orders.force)?;
    if target.is_in([site.store.as_path(), &client.policy.path]) {
        return Err(misused(format!("`{}` is where backups are stored\ngive a place outside of it", printable_path(&target.to))));
    }
    let Chosen { snapshot, place } = client.reaching(|| chosen(&client, &orders.words))?;
    // A process of the account's may have said so.
    let is_name = client.policy.names.read(&snapshot).is_some();
    let snapshot = Some(snapshot).filter(|_| is_name).ok_or_else(|| misused("that is no snapshot's name".to_owned()))?;
    // The reader starts elsewhere.
    let directory = fs::canonicalize(directory).map_err(|error| (failed(directory, "looking at", &error), exit::CONFIG))?;
    let mut shell = shell(&directory, client.name(), &snapshot, &place);
    shell.extend(orders.dry_run.then(|| "--dry-run".into()));
    let job = Job {
        site: &site,
        version: child::version(&site.rsync, None).map_err(failure)?,
        shell: &shell,
        unprivileged: inspect::running_uid() != 0,
        quiet: orders.json,
    };
    target.guarded(job.version)?;
    let told = Told {
        client: client.name().to_string(),
        snapshot,
        path: place.to_string(),
        to: printable_path(&target.to),
        dry_run: orders.dry_run,
        disowned: job.unprivileged && matches!(remembered(&client.policy.path).map_err(failure)?, Remembered::Mapped(_)),
        ..Told::default()
    };
    if orders.dry_run {
        let figures = job.run(&target.to, Manner::Never, None)?;
        return told.with(figures, began.elapsed()).printed(orders.json);
    }
    let note = Note {
        client: told.client.clone(),
        snapshot: told.snapshot.clone(),
        path: told.path.clone(),
        uid: inspect::running_uid(),
        boot: boot_id(),
    };
    let workshop = Workshop::open(&target, &note)?;
    let told = Told { resumed: workshop.resumed, ..told };
    let lock = workshop.lock().map_err(|error| misused(failed(&target.to, "holding", &error)))?;
    match job.run(&workshop.directory(), workshop.manner(), Some(lock)) {
        Ok(figures) => {
            let kept = workshop.directory();
            let named = workshop.finish().map_err(|error| {
                let help = format!("the copy is complete in `{}`: rename it", printable_path(&kept));
                (format!("{}\n{help}", failed(&target.to, "naming", &error)), exit::USAGE)
            });
            let told = named.map(|()| told.with(figures, began.elapsed()))?;
            let lost = record(&client, &told, String::new());
            Told { problems: lost, ..told }.printed(orders.json)
        }
        Err((how, code)) => {
            let left = workshop.leave();
            record(&client, &told, how.clone());
            let left = still_there(left.as_deref(), &told.to);
            Err((format!("{how}: {left}"), code))
        }
    }
}

/// Where an interrupted copy is, and how it goes on.
fn still_there(left: Option<&Path>, to: &str) -> String {
    left.map_or_else(
        || format!("nothing is in `{to}`\nrsync has said why; mend that and try again"),
        |left| {
            let left = printable_path(left);
            format!("what has come is in `{left}`\nmend what rsync has said and run it again: it goes on from there")
        },
    )
}

/// The command by which rsync starts the reader.
fn shell(directory: &Path, client: &ClientName, snapshot: &str, place: &SubPath) -> Vec<OsString> {
    // The same program, even if another version was installed.
    let mut shell: Vec<OsString> =
        vec![format!("/proc/{}/exe", std::process::id()).into(), "--config".into(), directory.as_os_str().to_owned(), SEND.into()];
    let place = place.below(Path::new("."));
    for (option, value) in
        [("--client=", OsStr::new(client.as_str())), ("--snapshot=", OsStr::new(snapshot)), ("--path=", place.as_os_str())]
    {
        let mut word = OsString::from(option);
        word.push(value);
        shell.push(word);
    }
    shell
}

/// One rsync, to be run.
struct Job<'a> {
    site: &'a Site,
    version: Version,
    shell: &'a [OsString],
    unprivileged: bool,
    quiet: bool,
}

impl Job<'_> {
    /// What it has done. An error says how it ended.
    fn run(&self, directory: &Path, manner: Manner, held: Option<fs::File>) -> Result<Figures, Failure> {
        let Self { site, version, shell, unprivileged, quiet } = *self;
        let progress = Progress::new(quiet);
        let start = if manner == Manner::Never { Path::new("/") } else { directory };
        let receiver = Receiver { version, shell, directory, manner, unprivileged, watched: progress.is_seen() };
        let mut figures = Figures::default();
        let ended = child::receive(&site.rsync, &receive::words(receiver), start, held, |line| match Step::read(line) {
            Some(step) => {
                progress.at(step);
                true
            }
            None => figures.hear(line),
        });
        drop(progress);
        match ended {
            Ok(Ended::Exit(0)) => Ok(figures),
            Ok(Ended::Signal(signal)) => Err((format!("signal {signal} ended rsync"), outcome::exit_code(Ended::Signal(signal)))),
            Ok(ended) => {
                let code = outcome::exit_code(ended);
                Err((format!("rsync ended with status {code}"), code))
            }
            Err(error) => {
                Err((format!("{}\ninstall rsync, or set `rsync:` in the site file", failed(&site.rsync, "starting", &error)), exit::CONFIG))
            }
        }
    }
}

/// Records it in the client's ledger. Returns what could not be.
fn record(client: &Client<'_>, told: &Told, problem: String) -> Vec<String> {
    let Told { snapshot, path, to, figures, .. } = told;
    let came = format!("{}, {}", counted(figures.files, "file", "files"), Bytes(figures.bytes));
    let (happened, problems) = match problem.as_str() {
        "" => (format!("`{path}` of {snapshot} restored to `{to}`: {came}"), Vec::new()),
        _ => (format!("`{path}` of {snapshot} not restored to `{to}`"), vec![problem]),
    };
    let restored = Restored { path: path.clone(), files: figures.files, bytes: figures.bytes };
    let upkeep = Upkeep { restored: Some(restored), problems, ..Upkeep::of(happened, [snapshot.as_str()]) };
    let event = client.event(Body::Upkeep(Deed::LocalRestore, Box::new(upkeep)), Mail::None);
    let recorded = client.reaching(|| {
        client.record(&client.existing()?, &event);
        Ok(())
    });
    client.lost().into_iter().chain(recorded.err().map(|(what, _)| what)).collect()
}

fn misused(text: String) -> Failure {
    (text, exit::USAGE)
}

fn failed(path: &Path, doing: &str, error: &io::Error) -> String {
    format!("{doing} `{}`: {error}", printable(path.as_os_str().as_encoded_bytes()))
}
