//! Mail on its way out: one mail, one try. What to try and when to try again is `watch`'s to say.
//!
//! lettre writes the message and speaks SMTP. Only the checked subject and body of the mail go into
//! the message; addresses come from the site file.

use std::fmt::Display;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{Certificate, SmtpConnection, Tls as Protection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message};

use crate::decide::policy::{MailSettings, Tls, Transport};
use crate::decide::speak::digest;
use crate::terms::limits::{MAIL_TIMEOUT, MAX_MAIL_FILE, SENDMAIL_TIMEOUT, SMTP_TIMEOUT};
use crate::terms::text::{printable, printable_path};
use crate::terms::{Audience, ComposedMail, Page};

mod picture;
mod sendmail;

pub use picture::png;

/// Why a mail did not leave. Each holds the words for the administrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The mailer cannot be reached or used at all, whatever the mail: no other can leave now.
    #[error("the mailer cannot be reached: {0}")]
    Unreachable(String),
    /// Not now; perhaps another mail, perhaps this one later.
    #[error("the mailer does not take mail now: {0}")]
    Later(String),
    /// The mailer will not have this mail.
    #[error("the mailer refuses the mail: {0}")]
    Refused(String),
}

/// The mailer has the mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Recipients that the server refused while it took the mail for others, each with its answer.
    pub left_out: Vec<String>,
}

/// The addresses of a host, in the order in which to try them, within a time limit.
pub type Addresses<'a> = &'a dyn Fn(&str, Duration) -> Vec<IpAddr>;

/// Gives the mail to the site's mailer. Without an error, the mailer has it for at least one
/// recipient.
///
/// # Errors
/// See [`NotSent`].
pub fn send(settings: &MailSettings, mail: &ComposedMail, addresses: Addresses<'_>) -> Result<Sent, NotSent> {
    send_within(settings, mail, addresses, &Limits { smtp_step: SMTP_TIMEOUT, smtp: MAIL_TIMEOUT, sendmail: SENDMAIL_TIMEOUT })
}

/// How long a try may take.
struct Limits {
    smtp_step: Duration,
    smtp: Duration,
    sendmail: Duration,
}

fn send_within(settings: &MailSettings, mail: &ComposedMail, addresses: Addresses<'_>, limits: &Limits) -> Result<Sent, NotSent> {
    let begun = Instant::now();
    let route = Route::of(settings, mail.audience)?;
    let message = write(&route, mail)?;
    match &settings.transport {
        Transport::Off => Err(NotSent::Later("`transport:` is off".to_owned())),
        Transport::Directory(dir) => put(dir, mail, &message.formatted()).map(|()| Sent::default()),
        Transport::Sendmail(program) => {
            let message = message.formatted();
            sendmail::send(program, &route.from_word, &route.to_words, &message, limits.sendmail).map(|()| Sent::default())
        }
        Transport::Smtp { host, port, tls, user } => {
            let protection = protection(settings, host, *tls)?;
            let login = user.as_deref().map(|user| Ok(Credentials::new(user.to_owned(), password(settings)?))).transpose()?;
            let found = addresses(host, limits.smtp_step.min(limits.smtp));
            if found.is_empty() {
                return Err(NotSent::Unreachable(format!("no address was found for `{host}`")));
            }
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, *port)).collect();
            let is_under_way = Arc::new(AtomicBool::new(false));
            let server = Server { addresses, protection, login, step: limits.smtp_step, is_under_way: Arc::clone(&is_under_way) };
            within(limits.smtp, begun, &is_under_way, move || submit(&server, &message))
        }
    }
}

/// Sender and recipients: as addresses for the message, and as words for `sendmail`, which knows
/// `root`.
struct Route {
    host: String,
    from: Address,
    to: Vec<Address>,
    from_word: String,
    to_words: Vec<String>,
}

impl Route {
    fn of(settings: &MailSettings, audience: Audience) -> Result<Self, NotSent> {
        let host = host_name();
        let words = match audience {
            Audience::Reports if !settings.reports_to.is_empty() => &settings.reports_to,
            Audience::Reports | Audience::Alerts => &settings.to,
        };
        let from_word = settings.from.clone().unwrap_or_else(|| format!("snapgate@{host}"));
        let from = address(&from_word, &host)?;
        let to = words.iter().map(|word| address(word, &host)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(NotSent::Unreachable("`mail: {to: …}` names nobody".to_owned()));
        }
        Ok(Self { host, from, to, from_word, to_words: words.clone() })
    }
}

/// An address; a word without `@` is an account of this machine.
fn address(word: &str, host: &str) -> Result<Address, NotSent> {
    let full = if word.contains('@') { word.to_owned() } else { format!("{word}@{host}") };
    full.parse().map_err(|error| NotSent::Unreachable(format!("`{}` is no mail address: {error}", printable(word.as_bytes()))))
}

/// This machine's name as mail may hold it, or `localhost`.
fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let fits = |name: &String| Address::new("snapgate", name).is_ok();
    Some(name).filter(fits).unwrap_or_else(|| "localhost".to_owned())
}

fn write(route: &Route, mail: &ComposedMail) -> Result<Message, NotSent> {
    let refuse = |error: &dyn Display| NotSent::Refused(format!("it cannot be written: {error}"));
    let header = |name, value| HeaderValue::new(HeaderName::new_from_ascii_str(name), value);
    let envelope = Envelope::new(Some(route.from.clone()), route.to.clone()).map_err(|error| refuse(&error))?;
    let mut message: MessageBuilder = Message::builder()
        .from(Mailbox::new(Some("snapgate".to_owned()), route.from.clone()))
        .date(SystemTime::from(mail.created))
        .message_id(Some(mail.message_id(&route.host)))
        .subject(mail.subject.as_str())
        // RFC 3834: nobody's holiday notice answers it.
        .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
        // For filters and for adding up.
        .raw_header(header("X-Snapgate-Events", mail.events.to_string()))
        .envelope(envelope);
    if let Some(answered) = mail.answers(&route.host) {
        message = message.in_reply_to(answered.clone()).references(answered);
    }
    for to in &route.to {
        message = message.to(Mailbox::new(None, to.clone()));
    }
    let message = match &mail.page {
        None => message.header(ContentType::TEXT_PLAIN).body(mail.body.clone()),
        Some(page) => message.multipart(both(&mail.body, page).map_err(|error| refuse(&error))?),
    };
    message.map_err(|error| refuse(&error))
}

/// A page as text and as HTML, of which a reader's program shows what it can. Its pictures come with it,
/// since nothing is fetched from anywhere.
fn both(text: &str, page: &Page) -> Result<MultiPart, String> {
    let name = |number: usize| format!("plot{number}@snapgate");
    let html = digest::html(page, &|number| format!("cid:{}", name(number)));
    let mut related = MultiPart::related().singlepart(SinglePart::html(html));
    for (number, section) in page.sections.iter().enumerate() {
        if let Some(plot) = &section.plot {
            let kind = ContentType::parse("image/png").map_err(|error| error.to_string())?;
            related = related.singlepart(Attachment::new_inline(name(number)).body(png(plot)?, kind));
        }
    }
    Ok(MultiPart::alternative().singlepart(SinglePart::plain(text.to_owned())).multipart(related))
}

// ---- SMTP

fn protection(settings: &MailSettings, host: &str, tls: Tls) -> Result<Protection, NotSent> {
    Ok(match tls {
        Tls::None => Protection::None,
        // Required: without the server's word for STARTTLS no mail and no password leaves.
        Tls::Starttls => Protection::Required(tls_parameters(settings, host)?),
        Tls::Implicit => Protection::Wrapper(tls_parameters(settings, host)?),
    })
}

/// A mail server, by its addresses: lettre gets no name, since it would ask the C library for it.
/// `protection` has the name, for the certificate.
struct Server {
    addresses: Vec<SocketAddr>,
    protection: Protection,
    login: Option<Credentials>,
    step: Duration,
    /// Whether a mail has been begun, so that it may be what is wrong.
    is_under_way: Arc<AtomicBool>,
}

impl Server {
    /// Sends a message on a new connection, since a kept one would not outlive the server's
    /// restart. The next address is tried if there is no connection, but not after a server has
    /// answered.
    fn take(&self, envelope: &Envelope, message: &[u8]) -> Result<(), NotSent> {
        let mut connection = self.connected().map_err(|error| judge(&error, NotSent::Unreachable))?;
        self.is_under_way.store(true, Ordering::Relaxed);
        connection.send(envelope, message).map_err(|error| judge(&error, NotSent::Later))?;
        connection.abort();
        Ok(())
    }

    fn connected(&self) -> Result<SmtpConnection, lettre::transport::smtp::Error> {
        let hello = ClientId::default();
        let wrapped = if let Protection::Wrapper(parameters) = &self.protection { Some(parameters) } else { None };
        let mut connection = SmtpConnection::connect(self.addresses.as_slice(), Some(self.step), &hello, wrapped, None)?;
        if let Protection::Required(parameters) = &self.protection {
            connection.starttls(parameters, &hello)?;
        }
        if let Some(login) = &self.login {
            connection.auth(DEFAULT_MECHANISMS, login)?;
        }
        Ok(connection)
    }
}

/// Sends the message to all recipients at once. A server refuses the whole if it does not know one
/// of them; then each is tried alone, so that one stale address does not silence the gate.
fn submit(server: &Server, message: &Message) -> Result<Sent, NotSent> {
    let bytes = message.formatted();
    let refused = match server.take(message.envelope(), &bytes) {
        Ok(()) => return Ok(Sent::default()),
        Err(NotSent::Refused(words)) if message.envelope().to().len() > 1 => NotSent::Refused(words),
        Err(error) => return Err(error),
    };
    let mut left_out = Vec::new();
    for to in message.envelope().to() {
        let Ok(envelope) = Envelope::new(message.envelope().from().cloned(), vec![to.clone()]) else { continue };
        if let Err(error) = server.take(&envelope, &bytes) {
            left_out.push(format!("{to}: {error}"));
        }
    }
    if left_out.len() < message.envelope().to().len() { Ok(Sent { left_out }) } else { Err(refused) }
}

fn tls_parameters(settings: &MailSettings, host: &str) -> Result<TlsParameters, NotSent> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(file) = &settings.ca_file {
        let pem = small_file(file).map_err(|error| unusable("ca_file", file, &error))?;
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| unusable("ca_file", file, &error))?);
    }
    builder.build().map_err(|error| NotSent::Unreachable(format!("TLS cannot be set up: {}", whole(&error))))
}

/// The first line of the password file, which only its owner and its group may read.
fn password(settings: &MailSettings) -> Result<String, NotSent> {
    let Some(file) = &settings.password_file else {
        return Err(NotSent::Unreachable("the transport names a user, but there is no `password_file:`".to_owned()));
    };
    let read = || {
        if std::fs::metadata(file)?.permissions().mode() & 0o007 != 0 {
            return Err(std::io::Error::other("others can read it: chmod o= it"));
        }
        let text = String::from_utf8(small_file(file)?).map_err(std::io::Error::other)?;
        let line = text.lines().next().filter(|line| !line.is_empty());
        line.map(str::to_owned).ok_or_else(|| std::io::Error::other("its first line is empty"))
    };
    read().map_err(|error| unusable("password_file", file, &error))
}

fn small_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Without waiting, should somebody have put a pipe there.
    let file = std::fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    file.take(MAX_MAIL_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_MAIL_FILE { Err(std::io::Error::other("it is too large")) } else { Ok(bytes) }
}

fn unusable(key: &str, file: &Path, error: &dyn Display) -> NotSent {
    NotSent::Unreachable(format!("`{key}: {}` cannot be used: {error}", printable_path(file)))
}

/// Whose fault it was that SMTP did not work out; `cut` is what it means where the server said nothing.
fn judge(error: &lettre::transport::smtp::Error, cut: fn(String) -> NotSent) -> NotSent {
    // Authentication (RFC 4954, 6) is between the server and us, not about this mail.
    const LOGIN: [u16; 5] = [454, 530, 534, 535, 538];
    // What the kernel says of that, EAGAIN, tells nobody that somebody was waited for.
    let words = if is_silence(error) { "the server did not answer in time".to_owned() } else { whole(error) };
    let status = error.status().map(u16::from);
    if status.is_some_and(|code| LOGIN.contains(&code)) {
        NotSent::Unreachable(words)
    } else if error.is_permanent() {
        NotSent::Refused(words)
    } else if error.is_transient() || error.is_response() {
        NotSent::Later(words)
    } else {
        cut(words)
    }
}

/// Whether the server said nothing for as long as it is waited for.
fn is_silence(error: &dyn std::error::Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |cause| cause.source());
    let is_late = |error: &std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    causes.any(|cause| cause.downcast_ref().is_some_and(is_late))
}

/// An error with everything beneath it, printable: servers have a say in it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !words.contains(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        cause = inner.source();
    }
    printable(words.as_bytes())
}

/// Runs a try whose steps have time limits but which has none itself: a server that sends a byte at
/// a time could hold it for ever. A thread that is given up ends with the process.
fn within<T: Send + 'static>(
    limit: Duration,
    begun: Instant,
    is_under_way: &AtomicBool,
    run: impl FnOnce() -> Result<T, NotSent> + Send + 'static,
) -> Result<T, NotSent> {
    let (done, result) = mpsc::channel();
    let spawned = std::thread::Builder::new().spawn(move || {
        // Nobody listens any more when it took too long.
        let _ = done.send(run());
    });
    spawned.map_err(|error| NotSent::Later(error.to_string()))?;
    let too_long = || {
        let words = format!("it took longer than {} s", limit.as_secs());
        if is_under_way.load(Ordering::Relaxed) { NotSent::Later(words) } else { NotSent::Unreachable(words) }
    };
    result.recv_timeout(limit.saturating_sub(begun.elapsed())).unwrap_or_else(|_| Err(too_long()))
}

// ---- a directory

/// Puts the message into the directory as a file of its own: whole, durable, readable only by its
/// owner. A mail sent twice has the same name, and is there once. (lettre's file transport does
/// none of this.)
fn put(dir: &Path, mail: &ComposedMail, message: &[u8]) -> Result<(), NotSent> {
    let name = format!("{}-{}-{:06}.eml", mail.created.format("%Y%m%dT%H%M%S%.6fZ"), mail.uid, mail.seq);
    let half = dir.join(format!(".{name}.{}", std::process::id()));
    let store = || {
        match std::fs::remove_file(&half) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
        file.write_all(message)?;
        file.sync_all()?;
        std::fs::rename(&half, dir.join(&name))?;
        File::open(dir)?.sync_all()
    };
    store().map_err(|error| {
        let _ = std::fs::remove_file(&half);
        NotSent::Unreachable(format!("`{}` takes no mail: {error}", printable_path(dir)))
    })
}

#[cfg(test)]
mod tests;
