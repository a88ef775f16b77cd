//! HTTP/1.1 (RFC 9112), as much of it as it takes to hand something over: one request on a connection
//! of its own, and the status of the answer. There is nothing here to follow, to unpack or to keep.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::Addresses;
use crate::terms::Url;
use crate::terms::limits::{CONNECT_TIMEOUT, MAX_ANSWER_HEAD, MAX_INTERIM, MAX_MAIL_FILE};
use crate::terms::text::{printable, printable_path};

/// A request by POST. The headers are our own words and names of events, the body is of our making.
pub(super) fn request(url: &Url, headers: &[(&str, &str)], body: &str) -> String {
    let (target, host) = (url.target(), url.authority());
    let mut request = format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    let _ = write!(request, "User-Agent: snapgate/{}\r\nContent-Length: {}\r\n", env!("CARGO_PKG_VERSION"), body.len());
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request + "\r\n" + body
}

/// Whom to trust: the system's authorities, and those of a file.
pub(super) fn tls(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    // Some of a system's may be unreadable or odd; those that are not will do.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        let unusable = |what: String| format!("`ca_file: {}` cannot be used: {what}", printable_path(file));
        let mut pem = Vec::new();
        let opened = std::fs::File::open(file).and_then(|opened| opened.take(MAX_MAIL_FILE).read_to_end(&mut pem));
        opened.map_err(|error| unusable(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let added = certificate.map_err(|error| error.to_string()).and_then(|one| roots.add(one).map_err(|error| error.to_string()));
            added.map_err(unusable)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Sends a request, and reads the status of the answer, all within the limit.
///
/// # Errors
/// In words that go on from the server's name.
pub(super) fn answered(
    url: &Url,
    tls: Option<Arc<ClientConfig>>,
    request: &[u8],
    addresses: Addresses<'_>,
    limit: Duration,
) -> Result<u16, String> {
    let deadline = Instant::now() + limit;
    let slow = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("it took longer than {} s", limit.as_secs()),
        ErrorKind::UnexpectedEof => "it hung up before it answered".to_owned(),
        _ => printable(error.to_string().as_bytes()),
    };
    let stream = connected(url, addresses, deadline).map_err(slow)?;
    let bounded = Bounded { stream, deadline };
    match tls {
        None => exchange(bounded, request).map_err(slow),
        Some(config) => {
            let name = ServerName::try_from(url.host().to_owned()).map_err(|error| error.to_string())?;
            let session = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
            exchange(StreamOwned::new(session, bounded), request).map_err(slow)
        }
    }
}

/// The first address that answers.
fn connected(url: &Url, addresses: Addresses<'_>, deadline: Instant) -> io::Result<TcpStream> {
    let found = addresses(url.host(), left(deadline)?);
    let mut failed = io::Error::other("no address was found for it");
    for address in found {
        match TcpStream::connect_timeout(&SocketAddr::new(address, url.port()), left(deadline)?.min(CONNECT_TIMEOUT)) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                failed = io::Error::other(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()));
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A connection that ends when its time is up, however little comes at a time.
struct Bounded {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Bounded {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(room)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> io::Result<u16> {
    let written = stream.write_all(request).and_then(|()| stream.flush());
    if let Err(error) = written {
        let has_hung_up = matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
        // A server may answer before it has read all, and hang up. What it says is why.
        return if has_hung_up { status(&mut stream).map_err(|_| error) } else { Err(error) };
    }
    status(&mut stream)
}

/// The status of the answer, behind those that come before it (100 to 199).
fn status(stream: &mut impl Read) -> io::Result<u16> {
    let mut head = Vec::new();
    let mut room = [0; 1024];
    let mut interim = 0;
    loop {
        while let Some(line) = head.split_inclusive(|byte| *byte == b'\n').next().filter(|line| line.ends_with(b"\n")) {
            let status = status_of(line)?;
            if !(100..200).contains(&status) {
                return Ok(status);
            }
            // Its own headers go with it.
            let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else { break };
            head.drain(..end + 4);
            interim += 1;
        }
        if head.len() > MAX_ANSWER_HEAD || interim > MAX_INTERIM {
            return Err(io::Error::other("what it answers has no end"));
        }
        match stream.read(&mut room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => head.extend(room.iter().take(length)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `HTTP/1.1 200 OK`, or what is none.
fn status_of(line: &[u8]) -> io::Result<u16> {
    let none = || io::Error::other("what it answers is no HTTP: see whether the URL is right, and has https:// where it should");
    let line = std::str::from_utf8(line).map_err(|_| none())?.trim_end();
    let digits = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).ok_or_else(none)?;
    digits.parse().ok().filter(|status| digits.len() == 3 && (100..600).contains(status)).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> String {
        // A byte at a time, as it may come.
        struct Drip<'a>(&'a [u8]);
        impl Read for Drip<'_> {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
                (room[0], self.0) = (*first, rest);
                Ok(1)
            }
        }
        status(&mut Drip(answer.as_bytes())).map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    #[test]
    fn the_status_is_read_and_nothing_behind_it() {
        assert_eq!(read("HTTP/1.1 204 No Content\r\n"), "204");
        assert_eq!(read("HTTP/1.0 200\n"), "200");
        assert_eq!(read("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\n"), "503");
        for wrong in ["HTTP/2 200\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 2000 x\r\n", "HTTP/1.1 abc\r\n", "\r\n", "HTTP/1.1 099 x\r\n"] {
            assert!(read(wrong).contains("no HTTP"), "{wrong:?}: {}", read(wrong));
        }
        assert!(read(&"x".repeat(100_000)).contains("no end"));
        assert!(read(&"HTTP/1.1 100 Continue\r\n\r\n".repeat(100)).contains("no end"));
    }
}
