//! A small SMTP server on loopback that does what real ones do: takes mail, asks for a password, speaks TLS, refuses,
//! stalls, hangs up. One thread for each connection; it ends with the test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A mail that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The line with its sender.
    pub from: String,
    /// Those with its recipients.
    pub to: Vec<String>,
    /// The message.
    pub data: String,
    /// Whether it came over TLS.
    pub encrypted: bool,
    /// Who had logged in.
    pub login: Option<String>,
}

impl Taken {
    /// A header's value, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.data, name)
    }

    /// How many events the mail tells of.
    pub fn events(&self) -> u64 {
        self.header("X-Snapgate-Events").unwrap().parse().unwrap()
    }
}

/// A header's value in a message, unfolded.
pub fn header(message: &str, name: &str) -> Option<String> {
    let message = message.replace("\r\n", "\n");
    let head = message.split("\n\n").next().unwrap().replace("\n ", " ").replace("\n\t", " ");
    let start = format!("{name}: ");
    head.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
}

/// What the server does at a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Takes mail.
    Accept,
    /// Answers this at this command (`MAIL`, `RCPT`, `DATA`, `.` for the end of the message).
    Answer(&'static str, &'static str),
    /// Refuses messages whose data hold the word, takes others.
    RefuseWith(&'static str),
    /// Answers this to recipients that hold the word.
    RefuseRecipient(&'static str, &'static str),
    /// Says nothing more from this command on.
    Stall(&'static str),
    /// Hangs up at this command.
    HangUp(&'static str),
    /// Waits at the end of each message until the manner is another one.
    Hold,
}

/// How connections are protected.
#[derive(Clone)]
pub enum Protection {
    /// Not at all.
    Plain,
    /// With TLS once the client asks for it.
    Starttls(Arc<rustls::ServerConfig>),
    /// With TLS from the first byte.
    Implicit(Arc<rustls::ServerConfig>),
}

struct Shared {
    manner: Mutex<Manner>,
    changed: Condvar,
    taken: Mutex<Vec<Taken>>,
    connections: Mutex<usize>,
    protection: Protection,
    login: Option<(String, String)>,
}

/// A running mail server.
pub struct Server {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts one. With a login it takes mail from that user alone.
    pub fn start(protection: Protection, login: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Accept),
            changed: Condvar::new(),
            taken: Mutex::default(),
            connections: Mutex::default(),
            protection,
            login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
        });
        let inner = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                *inner.connections.lock().unwrap() += 1;
                let shared = Arc::clone(&inner);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared }
    }

    /// One without TLS and without passwords.
    pub fn plain() -> Self {
        Self::start(Protection::Plain, None)
    }

    /// Changes what it does from now on.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
        self.shared.changed.notify_all();
    }

    /// What it has taken so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

/// A certificate for `localhost` and 127.0.0.1 from a private authority: the server's side, and the authority as PEM.
pub fn private_authority() -> (Arc<rustls::ServerConfig>, String) {
    private_authority_for(&["localhost", "127.0.0.1"])
}

/// The same with a certificate for these names.
pub fn private_authority_for(names: &[&str]) -> (Arc<rustls::ServerConfig>, String) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    (Arc::new(config), authority.pem())
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn serve(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    match &shared.protection {
        Protection::Plain => {
            let _ = talk(Box::new(stream), shared, false);
        }
        Protection::Implicit(config) => {
            let _ = talk(Box::new(encrypt(stream, config)), shared, false);
        }
        Protection::Starttls(config) => {
            let plain = stream.try_clone().unwrap();
            if talk(Box::new(plain), shared, true) == Some(Next::Encrypt) {
                let _ = converse(&mut (Box::new(encrypt(stream, config)) as Box<dyn Stream>), shared, false, true);
            }
        }
    }
}

fn encrypt(stream: TcpStream, config: &Arc<rustls::ServerConfig>) -> impl Stream + use<> {
    rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(config)).unwrap(), stream)
}

#[derive(PartialEq)]
enum Next {
    Encrypt,
    Close,
}

fn talk(mut stream: Box<dyn Stream>, shared: &Shared, offer_tls: bool) -> Option<Next> {
    if manner(shared, &mut stream, "220")? {
        return Some(Next::Close);
    }
    say(&mut stream, "220 test ready")?;
    converse(&mut stream, shared, offer_tls, !offer_tls && matches!(shared.protection, Protection::Implicit(_)))
}

fn converse(stream: &mut Box<dyn Stream>, shared: &Shared, offer_tls: bool, encrypted: bool) -> Option<Next> {
    let (mut from, mut to, mut login) = (String::new(), Vec::new(), None);
    loop {
        let line = hear(stream)?;
        let verb = line.split([' ', ':']).next().unwrap().to_ascii_uppercase();
        if manner(shared, stream, &verb)? {
            return Some(Next::Close);
        }
        if let Some(answer) = scripted(shared, &verb) {
            say(stream, answer)?;
            continue;
        }
        match verb.as_str() {
            "EHLO" | "HELO" => {
                let tls = if offer_tls { "250-STARTTLS\r\n" } else { "" };
                let auth = if shared.login.is_some() { "250-AUTH PLAIN LOGIN\r\n" } else { "" };
                say(stream, &format!("250-test\r\n{tls}{auth}250 SIZE 10000000"))?;
            }
            "STARTTLS" if offer_tls => {
                say(stream, "220 go ahead")?;
                return Some(Next::Encrypt);
            }
            "AUTH" => {
                let given = line.rsplit(' ').next().unwrap().to_owned();
                let (user, password) = shared.login.clone().unwrap();
                use base64::Engine as _;
                let wanted = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
                if given == wanted {
                    login = Some(user);
                    say(stream, "235 welcome")?;
                } else {
                    say(stream, "535 wrong password")?;
                }
            }
            "MAIL" if shared.login.is_some() && login.is_none() => say(stream, "530 log in first")?,
            "MAIL" => {
                (from, to) = (line, Vec::new());
                say(stream, "250 ok")?;
            }
            "RCPT" => {
                if let Manner::RefuseRecipient(word, answer) = shared.manner.lock().unwrap().clone()
                    && line.contains(word)
                {
                    say(stream, answer)?;
                    continue;
                }
                to.push(line);
                say(stream, "250 ok")?;
            }
            "DATA" => {
                say(stream, "354 go on")?;
                let data = message(stream)?;
                let mail = Taken { from: from.clone(), to: to.clone(), data, encrypted, login: login.clone() };
                end_of_message(stream, shared, mail)?;
            }
            "QUIT" => {
                say(stream, "221 bye")?;
                return Some(Next::Close);
            }
            _ => say(stream, "250 ok")?,
        }
    }
}

fn end_of_message(stream: &mut Box<dyn Stream>, shared: &Shared, mail: Taken) -> Option<()> {
    if manner(shared, stream, ".")? {
        return None;
    }
    let guard = shared.manner.lock().unwrap();
    let guard = shared.changed.wait_timeout_while(guard, Duration::from_secs(60), |manner| *manner == Manner::Hold).unwrap().0;
    let refuse = matches!(&*guard, Manner::RefuseWith(word) if mail.data.contains(word));
    drop(guard);
    if refuse {
        return say(stream, "554 not this one");
    }
    if let Some(answer) = scripted(shared, ".") {
        return say(stream, answer);
    }
    shared.taken.lock().unwrap().push(mail);
    say(stream, "250 taken")
}

/// Stalls or hangs up if that is the manner at this command; says whether the connection is over.
fn manner(shared: &Shared, stream: &mut Box<dyn Stream>, at: &str) -> Option<bool> {
    let manner = shared.manner.lock().unwrap().clone();
    match manner {
        Manner::HangUp(verb) if verb == at => Some(true),
        Manner::Stall(verb) if verb == at => {
            // Until the other side gives up.
            let _ = stream.read(&mut [0; 1]);
            Some(true)
        }
        _ => Some(false),
    }
}

fn scripted(shared: &Shared, at: &str) -> Option<&'static str> {
    match &*shared.manner.lock().unwrap() {
        Manner::Answer(verb, answer) if *verb == at => Some(answer),
        _ => None,
    }
}

fn say(stream: &mut Box<dyn Stream>, line: &str) -> Option<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).and_then(|()| stream.flush()).ok()
}

fn hear(stream: &mut Box<dyn Stream>) -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        line.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn message(stream: &mut Box<dyn Stream>) -> Option<String> {
    let mut data = String::new();
    loop {
        let line = hear(stream)?;
        if line == "." {
            return Some(data);
        }
        data.push_str(line.strip_prefix('.').filter(|_| line.starts_with("..")).unwrap_or(&line));
        data.push_str("\r\n");
    }
}
