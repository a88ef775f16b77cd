//! `snapgate init`: from an installed program to a server that can take clients. It asks for what no
//! flag says, and ends with `check`.
//!
//! The site file is written last, once a mail was really taken: a server that tells nobody of what
//! goes wrong is not set up.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use crate::act::accounts;
use crate::act::clients::{self, Owner};
use crate::act::config::{self, POLICIES, SITE_FILE};
use crate::act::record::spool::{SESSIONS, Stamp};
use crate::act::{clock, inspect, mail, names};
use crate::admin::check;
use crate::decide::clients::GROUP;
use crate::decide::clients::site::{self, Answers};
use crate::decide::policy::{Site, Transport, read_site};
use crate::terms::text::printable_path;
use crate::terms::{Audience, ComposedMail, MailSubject, exit};

/// What is printed, and the exit code.
type Printed = (String, u8);

/// What was said on the command line.
#[derive(Debug)]
pub(crate) struct Orders {
    /// Where repositories are.
    pub(crate) store: Option<PathBuf>,
    /// Who gets mail.
    pub(crate) mail_to: Vec<String>,
    /// How it leaves.
    pub(crate) transport: Option<String>,
    /// Where the password for that is.
    pub(crate) password_file: Option<PathBuf>,
}

/// Sets the server up.
pub(crate) fn init(directory: &Path, orders: &Orders) -> Result<Printed, Printed> {
    if inspect::running_uid() != 0 {
        return Err(("setting a server up takes root\nrun it by sudo, or as root".to_owned(), exit::REFUSED));
    }
    let file = directory.join(SITE_FILE);
    let is_there = clients::read(&file).map_err(|error| (format!("reading `{}`: {error}", printable_path(&file)), exit::CONFIG))?.is_some();
    let (site, text) = if is_there {
        let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
        agrees(&site, orders)?;
        (site, None)
    } else {
        let text = site::text(&answers(orders)?).map_err(|what| (what, exit::USAGE))?;
        let site = read_site(&file, text.as_bytes()).map_err(|fault| (fault.to_string(), exit::USAGE))?;
        (site, Some(text))
    };
    let mut said = places(directory, &site).map_err(|what| (what, exit::INTERNAL))?;
    said.push_str(&tried(&site)?);
    if let Some(text) = text {
        let group = accounts::group(GROUP).ok().flatten().map_or(0, |group| group.number);
        let written = clients::write(&file, &text, Owner { user: 0, group, mode: 0o640 });
        written.map_err(|error| (format!("writing `{}`: {error}", printable_path(&file)), exit::INTERNAL))?;
        let _ = writeln!(said, "wrote {}: read it, and change it as you like", printable_path(&file));
    } else {
        let _ = writeln!(said, "{} is there already, and stays as it is", printable_path(&file));
    }
    let report = check::run(directory, check::enforced);
    said.extend(report.problems().iter().map(|line| format!("{line}\n")));
    let _ = writeln!(said, "check: {}\nnow add a client: snapgate add-client NAME --key 'ssh-ed25519 …'", report.ending());
    Ok((said, u8::from(!report.is_clean())))
}

/// Whether what was said on the command line is what the file says that is there.
fn agrees(site: &Site, orders: &Orders) -> Result<(), Printed> {
    let is_other = orders.store.as_ref().is_some_and(|store| *store != site.store)
        || (!orders.mail_to.is_empty() && orders.mail_to != site.mail.to)
        || orders.transport.as_ref().is_some_and(|_| asked_transport(orders) != Some(site.mail.transport.clone()));
    if is_other {
        let shown = printable_path(&site.file);
        return Err((format!("{shown} is there already and says something else\nchange it yourself; nothing was changed"), exit::CONFIG));
    }
    Ok(())
}

fn asked_transport(orders: &Orders) -> Option<Transport> {
    let text = format!(
        "store: /\nmail: {{ transport: {}, password_file: /x }}\n",
        crate::decide::clients::edit::text(orders.transport.as_deref()?)
    );
    let without = text.replace(", password_file: /x", "");
    let read = |text: &str| read_site(Path::new("/"), text.as_bytes()).ok().map(|site| site.mail.transport);
    read(&text).or_else(|| read(&without))
}

fn answers(orders: &Orders) -> Result<Answers, Printed> {
    let asks = io::stdin().is_terminal() && io::stderr().is_terminal();
    let ask = |given: Option<String>, question: &str, usual: &str| -> Result<String, Printed> {
        match given {
            Some(given) => Ok(given),
            None if asks => asked(question, usual).map_err(|error| (format!("asking: {error}"), exit::USAGE)),
            None => Ok(usual.to_owned()),
        }
    };
    let text = |path: &PathBuf| path.to_str().map(str::to_owned).ok_or_else(|| ("a path is no text\nuse another".to_owned(), exit::USAGE));
    let store = ask(orders.store.as_ref().map(text).transpose()?, "where are backups to be kept", "/srv/backups")?;
    let to = ask((!orders.mail_to.is_empty()).then(|| orders.mail_to.join(" ")), "who gets mail when something goes wrong", "root")?;
    let usual = if Path::new("/usr/sbin/sendmail").exists() { "sendmail" } else { "smtp://localhost" };
    let transport = ask(orders.transport.clone(), "how does mail leave (sendmail, smtps://user@host, off)", usual)?;
    let password_file = orders.password_file.as_ref().map(text).transpose()?;
    let to = to.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    Ok(Answers { store, to, transport, password_file })
}

/// Asks at the terminal. Standard output is for the answer of the program.
fn asked(question: &str, usual: &str) -> io::Result<String> {
    write!(io::stderr(), "{question}? [{usual}] ")?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let line = line.trim();
    Ok(if line.is_empty() { usual.to_owned() } else { line.to_owned() })
}

/// The group and the directories. What is there stays as it is, and `check` looks at it.
fn places(directory: &Path, site: &Site) -> Result<String, String> {
    let mut said = String::new();
    let lists = |error: io::Error| format!("reading /etc/group: {error}");
    if accounts::group(GROUP).map_err(lists)?.is_none() {
        accounts::make_group(GROUP)?;
        let _ = writeln!(said, "made the group `{GROUP}`");
    }
    let group = accounts::group(GROUP).map_err(lists)?.map_or(0, |group| group.number);
    let policies = directory.join(POLICIES);
    let keys = directory.join(clients::KEYS);
    let places =
        [(directory, group, 0o750), (&policies, group, 0o750), (&keys, 0, 0o755), (&site.store, 0, 0o711), (&site.spool, group, 0o1730)];
    for (path, group, mode) in places {
        let made = clients::directory(path, Owner { user: 0, group, mode });
        if made.map_err(|error| format!("making `{}`: {error}\nmake what it is to be in, or mount it", printable_path(path)))? {
            let _ = writeln!(said, "made {}", printable_path(path));
        }
    }
    let sessions = site.spool.join(SESSIONS);
    let is_there = clients::read(&sessions).map_err(|error| format!("looking at `{}`: {error}", printable_path(&sessions)))?.is_some();
    if !is_there {
        let made = clients::write(&sessions, "", Owner { user: 0, group, mode: 0o660 });
        made.map_err(|error| format!("making `{}`: {error}", printable_path(&sessions)))?;
    }
    Ok(said)
}

/// Sends a mail, and waits until it is taken.
fn tried(site: &Site) -> Result<String, Printed> {
    if site.mail.transport == Transport::Off {
        return Ok("mail is off: nobody is told of what goes wrong\n".to_owned());
    }
    let now = clock::now();
    let host = inspect::host_name();
    let mail = ComposedMail {
        seq: 0,
        uid: 0,
        created: now,
        audience: Audience::Alerts,
        events: 0,
        subject: MailSubject::new(&host, "this is a test"),
        body: format!("`snapgate init` has sent this, to see whether mail leaves {host}.\nYou will be told here of backups that fail.\n"),
        client: None,
        topic: None,
        thread: None,
        page: None,
    };
    let to = site.mail.to.join(", ");
    match mail::send(&site.mail, &mail.checked(0), &|host, limit| {
        names::addresses(&[host], limit).into_iter().flat_map(|(_, found)| found).collect()
    }) {
        Ok(sent) if sent.left_out.is_empty() => {
            Stamp::Mailed.leave(&site.spool);
            Ok(format!("a test mail to {to} was taken: see that it arrives\n"))
        }
        Ok(sent) => Err((
            format!("a test mail was not taken for all: {}\nmend that, or give other addresses with --mail-to", sent.left_out.join("; ")),
            exit::CONFIG,
        )),
        Err(error) => {
            let help = "mend that and run it again, name a mail server (--transport smtps://user@host), or do without (--transport off)";
            Err((format!("a test mail to {to} did not leave: {error}\n{help}"), exit::CONFIG))
        }
    }
}
