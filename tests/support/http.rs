//! A small HTTP server on loopback that does what real ones do: takes what it is sent, refuses, leads elsewhere, stalls,
//! drips, says far too much, hangs up. One thread for each connection. When dropped, nothing listens there any more.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What was sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, and where it was sent to.
    pub line: String,
    /// The headers, in lines.
    pub head: Vec<String>,
    /// The body.
    pub body: String,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.head, name)
    }
}

/// What the server does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    Accept,
    /// Takes it and answers this, the status and what goes with it.
    Answer(String),
    /// The same to requests with this word alone; takes others.
    RefuseWith(&'static str, String),
    /// Hangs up on requests with this word, when it has read all; takes others.
    HangUpOn(&'static str),
    /// Reads, and says nothing.
    Stall,
    /// Begins to answer, a byte now and then, and never comes to the end of a line.
    Drip,
    /// Takes it, and never stops to answer.
    Huge,
    /// Hangs up without reading, which resets the connection.
    Reset,
    /// Hangs up when it has read all.
    HangUp,
    /// Hangs up in the middle of its answer.
    Die,
}

struct Shared {
    manner: Mutex<Manner>,
    seen: Mutex<Vec<Request>>,
    changed: Condvar,
    over: AtomicBool,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
    listens: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one at a port, or at any (0).
    pub fn start(port: u16, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        // Another process may have had the port a moment ago.
        let listener =
            (0..100).find_map(|_| TcpListener::bind(("127.0.0.1", port)).map_err(|_| std::thread::sleep(Duration::from_millis(100))).ok());
        let listener = listener.expect("the port is free");
        let port = listener.local_addr().unwrap().port();
        let manner = Mutex::new(Manner::Accept);
        let shared = Arc::new(Shared { manner, seen: Mutex::default(), changed: Condvar::new(), over: AtomicBool::new(false), tls });
        let inner = Arc::clone(&shared);
        let listens = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if inner.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&inner);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared, listens: Some(listens) }
    }

    /// One without TLS.
    pub fn plain() -> Self {
        Self::start(0, None)
    }

    /// Changes what it does from now on.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// What was sent so far, whether it was taken or not.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits until so much was sent.
    pub fn until(&self, count: usize) -> Vec<Request> {
        let seen = self.shared.seen.lock().unwrap();
        let (seen, late) = self.shared.changed.wait_timeout_while(seen, Duration::from_secs(60), |seen| seen.len() < count).unwrap();
        assert!(!late.timed_out(), "{} of {count} requests: {seen:?}", seen.len());
        seen.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // It waits for a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.listens.take().map(JoinHandle::join);
    }
}

fn value<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    let mut lines = head.iter().filter_map(|line| line.split_once(": "));
    lines.find(|(named, _)| named.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn serve(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    if *shared.manner.lock().unwrap() == Manner::Reset {
        // What came and was not read makes the kernel reset it.
        let _ = stream.peek(&mut [0]);
        return;
    }
    let _ = match &shared.tls {
        None => talk(stream, shared),
        Some(tls) => talk(rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(tls)).unwrap(), stream), shared),
    };
}

fn talk(stream: impl Read + Write, shared: &Shared) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let line = if head.is_empty() { String::new() } else { head.remove(0) };
    let length = value(&head, "Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let request = Request { line, head, body: String::from_utf8(body).unwrap() };
    let manner = shared.manner.lock().unwrap().clone();
    let has = |word: &str| request.body.contains(word) || request.line.contains(word);
    let hangs_up = matches!(&manner, Manner::HangUpOn(word) if has(word));
    let answer = match &manner {
        Manner::RefuseWith(word, answer) if has(word) => answer.clone(),
        Manner::Answer(answer) => answer.clone(),
        _ => "200 OK".to_owned(),
    };
    shared.seen.lock().unwrap().push(request);
    shared.changed.notify_all();
    let mut stream = stream.into_inner();
    match manner {
        Manner::HangUpOn(_) if hangs_up => Ok(()),
        Manner::Accept | Manner::Answer(_) | Manner::RefuseWith(..) | Manner::HangUpOn(_) => {
            write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n")?;
            stream.flush()
        }
        Manner::Stall => until_gone(&mut stream),
        Manner::Drip => drip(&mut stream, b"HTTP/1.1 200 O".iter().chain(std::iter::repeat(&b'K'))),
        Manner::Die => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le"),
        Manner::Huge => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 1 << 16])?;
            }
        }
        Manner::Reset | Manner::HangUp => Ok(()),
    }
}

/// Says this, a byte at a time, until nobody listens.
pub fn drip<'a>(stream: &mut impl Write, bytes: impl Iterator<Item = &'a u8>) -> std::io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte])?;
        stream.flush()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn until_gone(stream: &mut impl Read) -> std::io::Result<()> {
    while stream.read(&mut [0; 64])? > 0 {}
    Ok(())
}
