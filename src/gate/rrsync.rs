//! One connection in the place of rsync's rrsync: no site, policy or snapshots, but one directory,
//! and the kernel keeps rsync in it.
//!
//! Nothing here writes to standard output: it belongs to rsync's protocol.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Answer;
use crate::act::arrive::{intake, secluded};
use crate::act::beneath::Root;
use crate::act::child::{self, NotStarted};
use crate::act::record::syslog;
use crate::act::{clock, config, process};
use crate::act::{names, sandbox};
use crate::decide::policy::{DEFAULT_RSYNC, DEFAULT_SYSLOG};
use crate::decide::push::outcome::{self, Ended};
use crate::decide::push::plan::{self, Run};
use crate::decide::rrsync::flags::{self, HELP, Order};
use crate::decide::rrsync::line::{self, Event};
use crate::decide::rrsync::{Asked, hides, judge};
use crate::decide::rsync::argv::Version;
use crate::decide::rsync::secluded::Words;
use crate::decide::rsync::transfer::{Direction, Flags, Keeps, Setup, Spot, Transfer};
use crate::terms::text::printable;
use crate::terms::{Administrator, Code, CommandSource, Reason, Request, exit};

/// The site file's settings, or the defaults.
struct Site {
    rsync: PathBuf,
    syslog: Option<PathBuf>,
    jail: bool,
}

/// Serves the connection that sshd started this process for. `words` are those behind `rrsync`, the
/// administrator's.
#[must_use]
pub fn rrsync(config: &Path, words: &[OsString]) -> Answer {
    process::close_inherited();
    process::no_core();
    let site = site(config);
    let request = intake::request(names::running(), None, intake::original(CommandSource::Variable));
    let flags = match flags::parse(words) {
        Ok(Order::Help) => return Answer { text: HELP.to_owned(), ..Answer::default() },
        Ok(Order::Serve(flags)) => flags,
        Err(what) => return misused(&site, &request, &what),
    };
    let mut session = match Root::open(&flags.dir) {
        Ok(root) => Session { site, request, flags, root, input: String::new() },
        Err(reason) => {
            let reasons = vec![reason];
            send_syslog(&site, &line::syslog(&request, "", flags.dir.as_bytes(), Event::Refused(&reasons)));
            return answer(&reasons);
        }
    };
    let hidden = match hides(&session.request.original).then(secluded::from_stdin).transpose() {
        Ok(hidden) => hidden,
        Err((fault, input)) => {
            session.input = input;
            return session.refuse(vec![fault.reason()]);
        }
    };
    session.input = hidden.as_ref().map(Words::shown).unwrap_or_default();
    let dir = session.root.path.as_os_str().as_bytes();
    let asked = judge(&session.flags, dir, &session.request.original, hidden.as_ref().map(Words::as_slice));
    match asked {
        Ok(Asked::Probe) => {
            session.log(Event::Probed);
            Answer::default()
        }
        Ok(Asked::Transfer(transfer)) => session.transfer(&transfer).unwrap_or_else(|reason| session.refuse(vec![reason])),
        Err(reasons) => session.refuse(reasons),
    }
}

/// A connection whose directory is there.
struct Session {
    site: Site,
    request: Request,
    flags: Flags,
    root: Root,
    /// What came on standard input besides the command, printable.
    input: String,
}

impl Session {
    fn transfer(&mut self, transfer: &Transfer) -> Result<Answer, Reason> {
        let version = child::version(&self.site.rsync, None)?;
        self.lock(transfer)?;
        let run = self.plan(transfer, version)?;
        let shown: Vec<_> = run.sandbox().argv.iter().map(|word| printable(word.as_bytes())).collect();
        self.log(Event::Begins(&shown));
        let began = Instant::now();
        let lock = self.root.carried()?;
        let ended = sandbox::stand_by(run.sandbox().isolation, None, None)
            .and_then(|standby| standby.rsync(&run, lock, |_, _| Err("nobody is asked anything".to_owned()), &mut None));
        let ended = ended.map_err(NotStarted::reason)?;
        Ok(self.ended(ended, began))
    }

    /// As with rrsync, a pull excludes only what changes something, and a change excludes
    /// everything.
    fn lock(&self, transfer: &Transfer) -> Result<(), Reason> {
        if self.flags.no_lock {
            return Ok(());
        }
        self.root.lock(transfer.direction == Direction::Pull && !transfer.removes())
    }

    /// Looks up every path, and holds what it finds.
    fn plan(&mut self, transfer: &Transfer, version: Version) -> Result<Run, Reason> {
        // Before the destination, which may be made: a refusal should leave nothing behind.
        let options: Vec<Option<Spot>> = self.root.options(transfer)?;
        let (start, paths) = match transfer.direction {
            Direction::Push => {
                let destination = self.root.destination(transfer)?;
                (destination.directory(), vec![destination])
            }
            Direction::Pull => (self.root.path.clone(), self.root.sources(transfer)?),
        };
        // Beneath `/` there is nothing that could be kept out.
        let whole = self.root.path == Path::new("/");
        let keeps = if whole { Keeps::Nothing } else { Keeps::Walk(&self.root.path) };
        let setup = Setup { version, flags: &self.flags, keeps, spares_times: false, options, paths };
        let jailed = self.site.jail && !whole;
        Ok(plan::transfer(transfer, &setup, (&self.site.rsync, &self.root.path), start, jailed, process::running()))
    }

    fn ended(&self, ended: Ended, began: Instant) -> Answer {
        let exit = outcome::exit_code(ended);
        let reason = match ended {
            Ended::Signal(signal) => Some(Reason::new(Code::Interrupted, format!("signal {signal} ended rsync"))),
            Ended::Exit(_) | Ended::Deadline | Ended::Idle(_) | Ended::Closed | Ended::Gone | Ended::TooMuch(_) => None,
        };
        self.log(Event::Ended { exit, seconds: began.elapsed().as_secs_f64(), reason: reason.as_ref() });
        Answer { exit, ..Answer::default() }
    }

    fn refuse(&self, reasons: Vec<Reason>) -> Answer {
        self.log(Event::Refused(&reasons));
        answer(&reasons)
    }

    /// Logs it to syslog, and to a log file if there is one. Neither can fail a transfer.
    fn log(&self, event: Event<'_>) {
        send_syslog(&self.site, &line::syslog(&self.request, &self.input, self.root.path.as_os_str().as_bytes(), event));
        for mut log in self.root.logs() {
            let _ = log.write_all(line::logfile(clock::now(), std::process::id(), &self.request, &self.input, event).as_bytes());
        }
    }
}

/// A missing, unreadable or wrong site file changes nothing: this mode works without one.
fn site(config: &Path) -> Site {
    let usual = || Site { rsync: DEFAULT_RSYNC.into(), syslog: Some(DEFAULT_SYSLOG.into()), jail: true };
    config::load_site(config).map_or_else(|_| usual(), |site| Site { rsync: site.rsync, syslog: site.syslog, jail: site.jail })
}

fn misused(site: &Site, request: &Request, what: &str) -> Answer {
    let reason = Reason { of_server: true, ..Reason::new(Code::Config, "the server is not set up for this key") };
    let reasons = [reason.detail(what)];
    send_syslog(site, &line::syslog(request, "", b"", Event::Refused(&reasons)));
    // With no command of a client's, it is the administrator who reads this.
    let by_hand = request.address.is_none();
    if by_hand { Answer { exit: exit::USAGE, lines: vec![format!("snapgate: {what}")], ..Answer::default() } } else { answer(&reasons) }
}

fn send_syslog(site: &Site, line: &str) {
    if let Some(socket) = &site.syslog {
        let _ = syslog::send(socket, line);
    }
}

/// The client's lines: the first reason. No mail is sent.
fn answer(reasons: &[Reason]) -> Answer {
    let Some(reason) = reasons.first() else { return Answer { exit: exit::INTERNAL, ..Answer::default() } };
    let code = reason.code.exit();
    Answer { exit: code, lines: reason.lines(code == exit::REFUSED, Administrator::NotAlerted), ..Answer::default() }
}
