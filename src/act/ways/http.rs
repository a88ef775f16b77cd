//! HTTP, as much of it as it takes to hand something over: ureq, with all switched off by which it
//! would follow, unpack, keep or believe something (redirects, proxies of the environment, a pool).
//!
//! A request never outlasts its limit, whatever the server does, and never looks up a name by itself.
//! No error has more of a URL in it than its host.

use std::io::{self, ErrorKind, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector, Transport};
use ureq::{Agent, Error, Timeout, config::Config};

use super::Addresses;
use crate::terms::Url;
use crate::terms::limits::{CONNECT_TIMEOUT, MAX_ANSWER_HEAD, MAX_MAIL_FILE};
use crate::terms::text::{printable, printable_path};

/// Bytes that are written under one look at the clock.
const PIECE: usize = 4096;

/// What sends requests.
pub(super) struct Client {
    agent: Agent,
    /// What each may take.
    limit: Duration,
    /// Whether the last one came to a server.
    reached: Arc<AtomicBool>,
}

/// What came of a request that has no answer, in words that go on from the server's name.
pub(super) enum Failed {
    /// No server came to see anything of it.
    Before(String),
    /// It was under way, so that it may be what is wrong.
    Meanwhile(String),
}

/// One for requests within that limit.
pub(super) fn client(roots: RootCerts, addresses: Addresses, limit: Duration) -> Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
    let config = Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .user_agent(concat!("snapgate/", env!("CARGO_PKG_VERSION")))
        .accept("")
        .accept_encoding("")
        .timeout_global(Some(limit))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .max_response_header_size(MAX_ANSWER_HEAD)
        // More than a head may have, so that one that is too long is not taken for a server that hung up.
        .input_buffer_size(2 * MAX_ANSWER_HEAD)
        .output_buffer_size(PIECE)
        .tls_config(tls)
        .build();
    let reached = Arc::new(AtomicBool::new(false));
    let connector =
        ().chain(TcpConnector::default()).chain(Hearing).chain(RustlsConnector::default()).chain(Reaching(Arc::clone(&reached)));
    Client { agent: Agent::with_parts(config, connector, Told(addresses)), limit, reached }
}

/// Whom to trust: the system's authorities, and those of a file.
pub(super) fn trusted(ca_file: Option<&Path>) -> Result<RootCerts, String> {
    // Some of a system's may be unreadable or odd; those that are not will do.
    let mut all = rustls_native_certs::load_native_certs().certs;
    if let Some(file) = ca_file {
        let unusable = |what: String| format!("`ca_file: {}` cannot be used: {what}", printable_path(file));
        let mut pem = Vec::new();
        let opened = std::fs::File::open(file).and_then(|opened| opened.take(MAX_MAIL_FILE).read_to_end(&mut pem));
        opened.map_err(|error| unusable(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            // Of the administrator's own each has to be one.
            RootCertStore::empty().add(certificate.clone()).map_err(|error| unusable(error.to_string()))?;
            all.push(certificate);
        }
    }
    Ok(RootCerts::Specific(Arc::new(all.iter().map(|one| Certificate::from_der(one).to_owned()).collect())))
}

impl Client {
    /// Sends a text by POST, and comes back with the status of the answer.
    pub(super) fn post(&self, url: &Url, headers: &[(&str, &str)], body: &str) -> Result<u16, Failed> {
        self.reached.store(false, Ordering::Relaxed);
        let request = self.agent.post(format!("{url}{}", url.target())).header("Connection", "close");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send(body).map_err(|error| {
            let failed = if self.reached.load(Ordering::Relaxed) { Failed::Meanwhile } else { Failed::Before };
            failed(words(error, self.limit))
        })?;
        Ok(answer.status().as_u16())
    }
}

fn words(error: Error, limit: Duration) -> String {
    match error {
        Error::Timeout(Timeout::Connect) => format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
        Error::Timeout(_) => format!("it took longer than {} s", limit.as_secs()),
        Error::HostNotFound => "no address was found for it".to_owned(),
        Error::LargeResponseHeader(..) => "what it answers has no end".to_owned(),
        Error::Protocol(_) => "what it answers is no HTTP: see whether the URL is right, and has https:// where it should".to_owned(),
        Error::BadUri(_) => "its URL cannot be used".to_owned(),
        Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => "it hung up before it answered".to_owned(),
        Error::Io(error) => printable(error.to_string().as_bytes()),
        other => printable(other.to_string().as_bytes()),
    }
}

/// The addresses of hosts, from whoever may be asked for them.
#[derive(Debug)]
struct Told(Addresses);

impl Resolver for Told {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut all = self.empty();
        // More than fit are not tried.
        (self.0)(host, *timeout.after).into_iter().all(|address| all.try_push(SocketAddr::new(address, port)).is_ok());
        if all.is_empty() { Err(Error::HostNotFound) } else { Ok(all) }
    }
}

/// Notes that there is a connection, and TLS on it where it should be.
#[derive(Debug)]
struct Reaching(Arc<AtomicBool>);

impl<In: Transport> Connector<In> for Reaching {
    type Out = In;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        self.0.store(chained.is_some(), Ordering::Relaxed);
        Ok(chained)
    }
}

/// Has a server heard out that answers before it has read all, and hangs up: what it says is why.
#[derive(Debug)]
struct Hearing;

impl<In: Transport> Connector<In> for Hearing {
    type Out = Heard<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Heard { inner, failed: None }))
    }
}

#[derive(Debug)]
struct Heard<T> {
    inner: T,
    /// Why it takes nothing more.
    failed: Option<io::Error>,
}

impl<T: Transport> Transport for Heard<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.failed.is_some() {
            return Ok(());
        }
        match self.inner.transmit_output(amount, timeout) {
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                self.failed = Some(error);
                Ok(())
            }
            done => done,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        match (self.inner.await_input(timeout), self.failed.take()) {
            (Ok(false) | Err(_), Some(failed)) => Err(failed.into()),
            (awaited, failed) => {
                self.failed = failed;
                awaited
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
