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
        let text = site::text(&answers(directory, orders)?).map_err(|what| (what, exit::USAGE))?;
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
        || (!orders.mail_to.is_empty() && site::addresses(&orders.mail_to.join(" ")).as_ref() != Ok(&site.mail.to))
        || orders.transport.as_ref().is_some_and(|word| site::transport(word).as_ref() != Ok(&site.mail.transport))
        || orders.password_file.as_ref().is_some_and(|file| Some(file) != site.mail.password_file.as_ref());
    if is_other {
        let shown = printable_path(&site.file);
        return Err((format!("{shown} is there already and says something else\nchange it yourself; nothing was changed"), exit::CONFIG));
    }
    Ok(())
}

fn answers(directory: &Path, orders: &Orders) -> Result<Answers, Printed> {
    let asks = io::stdin().is_terminal() && io::stderr().is_terminal();
    let text = |path: &PathBuf| path.to_str().map(str::to_owned).ok_or_else(|| ("a path is no text\nuse another".to_owned(), exit::USAGE));
    let given = orders.store.as_ref().map(text).transpose()?;
    let store = answered(asks, given, "where are backups to be kept", "/srv/backups", &site::store)?;
    let given = (!orders.mail_to.is_empty()).then(|| orders.mail_to.join(" "));
    let to = answered(asks, given, "who gets mail when something goes wrong", "root", &site::addresses)?;
    let usual = if Path::new("/usr/sbin/sendmail").exists() { "sendmail" } else { "smtp://localhost" };
    let question = "how does mail leave (sendmail, smtp://host, smtps://user@host, off)";
    let read = |word: &str| site::transport(word).map(|transport| (word.to_owned(), transport));
    let (transport, way) = answered(asks, orders.transport.clone(), question, usual, &read)?;
    let given = orders.password_file.as_ref().map(text).transpose()?;
    let password_file = match (way, given) {
        (Transport::Smtp { user: Some(user), .. }, given) => {
            if given.is_none() && !asks {
                return Err((
                    format!("mail is to leave by the account `{user}`, and there is no password for it\n{PASSWORD}"),
                    exit::USAGE,
                ));
            }
            let usual = printable_path(directory.join("mail.password"));
            let question = format!("which file has the password of `{user}`, alone on its first line (root's, mode 0600)");
            Some(answered(asks, given, &question, &usual, &password_file)?)
        }
        (_, Some(_)) => {
            let help = "name the account as well, --transport smtps://user@host, or leave the file out";
            return Err((format!("a password file, and no account whose password it is\n{help}"), exit::USAGE));
        }
        (_, None) => None,
    };
    Ok(Answers { store, to, transport, password_file })
}

const PASSWORD: &str = "say --password-file FILE: it has the password alone on its first line, is root's, and has mode 0600";

/// A file that root alone, or with it a group, can read.
fn password_file(word: &str) -> Result<String, String> {
    let path = site::password_file(word)?;
    match inspect::look(Path::new(&path)) {
        None => {
            let help = format!(
                "make it like this; type the password and Enter, then Ctrl-D: install -D -m 0600 /dev/stdin {}",
                crate::decide::clients::quoted(&path)
            );
            Err(format!("the password file `{path}` is not there\n{help}"))
        }
        Some(look) if look.kind != inspect::Kind::File => Err(format!("`{path}` is no file\n{PASSWORD}")),
        Some(look) if look.owner != 0 || look.mode & 0o027 != 0 => {
            Err(format!("the password file `{path}` can be read or changed by others\nchown root: it, and chmod 0600 it"))
        }
        Some(_) => Ok(path),
    }
}

/// The answer to a question: what was said, or what is typed, which is asked for until it can be read, or the usual.
fn answered<T>(
    asks: bool,
    given: Option<String>,
    question: &str,
    usual: &str,
    read: &dyn Fn(&str) -> Result<T, String>,
) -> Result<T, Printed> {
    if given.is_some() || !asks {
        return read(given.as_deref().unwrap_or(usual)).map_err(|what| (what, exit::USAGE));
    }
    loop {
        let line = asked(question, usual).map_err(|error| (format!("asking: {error}\nnothing was changed"), exit::USAGE))?;
        match read(&line) {
            Ok(answer) => return Ok(answer),
            Err(what) => remark(&what),
        }
    }
}

/// Asks at the terminal. Standard output is for the answer of the program.
fn asked(question: &str, usual: &str) -> io::Result<String> {
    write!(io::stderr(), "{question}? [{usual}] ")?;
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there was no answer"));
    }
    let line = line.trim();
    Ok(if line.is_empty() { usual.to_owned() } else { line.to_owned() })
}

/// For somebody who waits at a terminal.
fn remark(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
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
    if io::stderr().is_terminal() {
        remark(&format!("sending a test mail to {to}, and waiting until it is taken"));
    }
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
            let help = "mend that and run it again, name a mail server (--transport smtps://user@host --password-file FILE), \
                        or do without (--transport off)";
            Err((format!("a test mail to {to} did not leave: {error}\n{help}"), exit::CONFIG))
        }
    }
}
