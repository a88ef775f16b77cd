//! Servers on loopback that are no good, programs and secrets that others have a hand in, programs that do not end.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Instant;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
use support::http::{Manner, Server, drip};

use super::*;

fn script(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_program_has_the_text_on_its_input_and_nothing_of_this_one_s_environment() {
    let directory = tempfile::tempdir().unwrap();
    let said = directory.path().join("said");
    let text = "x".repeat(300_000);
    let program = script(directory.path(), "told", &format!("(cat; env; pwd; echo $#) > {}", said.display()));
    assert_eq!(run_within(&program, &text, LONG), Ok(()));
    let said = fs::read_to_string(&said).unwrap();
    let rest = said.strip_prefix(text.as_str()).unwrap();
    assert!(
        rest.lines().all(|line| ["PATH=", "PWD=/", "/", "0", "SHLVL=", "_=", "OLDPWD="].iter().any(|own| line.starts_with(own))),
        "{rest}"
    );
    assert_eq!(run_within(&script(directory.path(), "deaf", "exec <&-; exit 0"), &text, LONG), Ok(()), "it need not read");
    let refused = run_within(&script(directory.path(), "no", "echo no room >&2; exit 3"), "", LONG).unwrap_err();
    assert!(matches!(&refused, NotTaken::Later(why) if why.ends_with("no` ended with status 3: no room")), "{refused}");
}

#[test]
fn a_program_that_does_not_end_is_ended_with_all_that_it_has_started() {
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("mark");
    let text = format!("trap '' TERM; (trap '' TERM; while :; do echo x >> {}; sleep 0.05; done) & sleep 600", mark.display());
    let program = script(directory.path(), "stalls", &text);
    let begun = Instant::now();
    let ended = run_within(&program, "", Duration::from_secs(1)).unwrap_err();
    assert!(matches!(&ended, NotTaken::Later(why) if why.contains("took longer than 1 s")), "{ended}");
    assert!(begun.elapsed() < LONG);
    let length = fs::metadata(&mark).map_or(0, |found| found.len());
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(fs::metadata(&mark).map_or(0, |found| found.len()), length, "it still writes");
}

#[test]
fn nothing_is_run_that_others_may_change_and_no_secret_used_that_they_may_read() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let program = script(&inner, "told", "exit 0");
    let link = directory.path().join("link");
    symlink(&program, &link).unwrap();
    assert_eq!(run_within(&link, "", LONG), Ok(()), "the program itself is looked at");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let why = |path: &Path| run_within(path, "", LONG).unwrap_err().to_string();
    mode(&program, 0o775);
    assert!(why(&program).contains("others may change") && why(&link).contains("inner/told`"), "{}", why(&link));
    mode(&program, 0o755);
    mode(&inner, 0o777);
    assert!(why(&program).contains("inner`: `chown root`"), "{}", why(&program));
    mode(&inner, 0o755);
    mode(&program, 0o644);
    assert!(why(&program).contains("is no program"), "{}", why(&program));
    assert!(why(&inner.join("none")).contains("is not to be found"));

    let file = directory.path().join("key");
    fs::write(&file, "0123456789abcdef0123456789abcdef\nsecond\n").unwrap();
    mode(&file, 0o600);
    assert_eq!(secret(&file), Ok(b"0123456789abcdef0123456789abcdef".to_vec()));
    for open in [0o640, 0o604, 0o660] {
        mode(&file, open);
        assert!(secret(&file).unwrap_err().to_string().contains("others may read it"), "{open:o}");
    }
    mode(&file, 0o600);
    for (text, what) in [("short\n", "less than 16"), ("", "less than 16"), (&*"x".repeat(5000), "too large")] {
        fs::write(&file, text).unwrap();
        let why = secret(&file).unwrap_err().to_string();
        assert!(why.contains(what) && !why.contains("short"), "{why}");
    }
}

fn here(host: &str, _: Duration) -> Vec<IpAddr> {
    assert!(["localhost", "127.0.0.1"].contains(&host), "{host}");
    vec!["127.0.0.1".parse().unwrap()]
}

fn posted(server: &Server, ca: Option<&Path>, limit: Duration) -> Result<(), NotTaken> {
    posted_to(server.port, "{\"a\":1}", ca, limit)
}

fn posted_to(port: u16, body: &str, ca: Option<&Path>, limit: Duration) -> Result<(), NotTaken> {
    let scheme = if ca.is_some() { "https" } else { "http" };
    let url = Url::new(&format!("{scheme}://localhost:{port}/token?a=b")).unwrap();
    let (office, begun) = (Office::within(ca, here, limit), Instant::now());
    let ended = office.post(&url, &[("X-Id", "7")], body);
    assert!(begun.elapsed() < limit + Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(!format!("{ended:?}").contains("token"), "{ended:?}");
    ended
}

#[test]
fn a_request_has_its_headers_and_its_body_and_an_answer_is_what_it_says() {
    let server = Server::plain();
    assert_eq!(posted(&server, None, LONG), Ok(()));
    let request = &server.seen()[0];
    assert_eq!(request.line, "POST /token?a=b HTTP/1.1");
    assert_eq!((request.header("X-Id"), request.body.as_str()), (Some("7"), "{\"a\":1}"));
    assert_eq!(request.header("Host").unwrap(), format!("localhost:{}", server.port));
    let said = |answer: &str| {
        server.behave(Manner::Answer(answer.to_owned()));
        posted(&server, None, LONG)
    };
    assert_eq!(said("204 No Content"), Ok(()));
    for answer in ["500 x", "503 x", "429 x", "408 x"] {
        assert!(matches!(said(answer), Err(NotTaken::Later(_))), "{answer}");
    }
    for answer in ["400 x", "404 x", "413 x"] {
        assert!(matches!(said(answer), Err(NotTaken::Refused(_))), "{answer}");
    }
    let elsewhere = Server::plain();
    let moved = said(&format!("302 Found\r\nLocation: http://127.0.0.1:{}/", elsewhere.port)).unwrap_err();
    assert!(matches!(&moved, NotTaken::Later(why) if why.contains("elsewhere")), "{moved}");
    assert_eq!(elsewhere.seen().len(), 0, "nobody goes there");
}

#[test]
fn no_server_takes_longer_than_it_may_whatever_it_does() {
    let server = Server::plain();
    for manner in [Manner::Stall, Manner::Drip] {
        server.behave(manner.clone());
        let why = posted(&server, None, Duration::from_secs(1)).unwrap_err();
        assert!(matches!(&why, NotTaken::Later(why) if why.contains("longer than 1 s")), "{manner:?}: {why}");
    }
    server.behave(Manner::Huge);
    assert_eq!(posted(&server, None, LONG), Ok(()), "no more than the status is read");
    for manner in [Manner::Reset, Manner::HangUp] {
        server.behave(manner.clone());
        let why = posted(&server, None, LONG).unwrap_err();
        assert!(matches!(&why, NotTaken::Later(_)), "what was sent may be why, {manner:?}: {why}");
    }
    // Bound, and nobody listens: a port that a server had a moment ago may be another's, or a child's that was forked meanwhile.
    let (_deaf, port) = deaf();
    let url = Url::new(&format!("http://127.0.0.1:{port}/token")).unwrap();
    let why = Office::new(None, here).post(&url, &[], "").unwrap_err();
    assert!(matches!(&why, NotTaken::Unreachable(_)), "{why}");
    let why = why.to_string();
    assert!(why.contains("refused") && why.contains(&port.to_string()) && !why.contains("token"), "{why}");
    let nobody = |_: &str, _: Duration| Vec::new();
    let why = Office::new(None, nobody).post(&url, &[], "").unwrap_err().to_string();
    assert!(why.contains("no address was found"), "{why}");
}

/// A port of this process that refuses every connection, as long as the descriptor is held.
fn deaf() -> (OwnedFd, u16) {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let port = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap().port();
    (socket, port)
}

/// The port of a server that does this with its one connection.
fn once(does: impl FnOnce(&mut TcpStream) -> io::Result<()> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || does(&mut listener.accept().unwrap().0));
    port
}

/// What comes of a body that no buffer of a kernel's takes as a whole.
fn said_of_much(ca: Option<&Path>, limit: Duration, does: impl FnOnce(&mut TcpStream) -> io::Result<()> + Send + 'static) -> String {
    posted_to(once(does), &"x".repeat(16 << 20), ca, limit).unwrap_err().to_string()
}

#[test]
fn what_a_server_says_before_it_has_read_all_is_heard() {
    for read in [100, 1 << 20] {
        let why = said_of_much(None, LONG, move |stream| {
            stream.take(read).read_to_end(&mut Vec::new())?;
            stream.write_all(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\n")
        });
        assert!(why.ends_with("answered 413"), "{why}");
    }
    let why = said_of_much(None, LONG, |stream| stream.take(100).read_to_end(&mut Vec::new()).map(drop));
    assert!(why.contains("reset") || why.contains("pipe"), "one that says nothing: {why}");
}

#[test]
fn what_is_no_answer_or_has_no_end_is_none() {
    let said = |answer: &'static [u8], times: usize| {
        let port = once(move |stream| {
            let _ = stream.read(&mut [0; 1 << 14])?;
            (0..times).try_for_each(|_| stream.write_all(answer))?;
            stream.shutdown(std::net::Shutdown::Write)?;
            stream.read_to_end(&mut Vec::new()).map(drop)
        });
        posted_to(port, "", None, LONG).map_or_else(|error| error.to_string(), |()| String::new())
    };
    for wrong in ["HTTP/2 200\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 2000 x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}"] {
        let why = said(wrong.as_bytes(), 1);
        assert!(why.contains("no HTTP"), "{wrong:?}: {why}");
    }
    assert_eq!(said(b"HTTP/1.1 103 Early\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Go\r\n\r\nHTTP/1.0 204 None\r\n\r\n", 1), "");
    assert!(said(b"HTTP/1.1 200 OK\r\nX: ", 1).contains("hung up"));
    assert!(said(b"HTTP/1.1 200 OK\r\nX: ", 100_000).contains("no "), "a line without an end");
    assert!(said(b"HTTP/1.1 100 Continue\r\n\r\n", 100_000).contains("no end"), "one before the other");
    let flood = |stream: &mut TcpStream| {
        loop {
            stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n")?;
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let why = posted_to(once(flood), "", None, Duration::from_secs(1)).unwrap_err().to_string();
    assert!(why.contains("longer than 1 s"), "a slow flood: {why}");
}

#[test]
fn a_server_that_reads_or_shakes_hands_a_byte_at_a_time_takes_no_longer() {
    let begun = Instant::now();
    let slow = |stream: &mut TcpStream| {
        loop {
            let mut room = vec![0; 4096];
            let _ = stream.read(&mut room)?;
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let why = said_of_much(None, Duration::from_secs(1), slow);
    assert!(why.contains("longer than 1 s"), "{why}");
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, support::smtp::private_authority().1).unwrap();
    // The beginning of a record of a handshake of 16 KiB.
    let hello = |stream: &mut TcpStream| drip(stream, [22, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc, 3, 3].iter().chain(std::iter::repeat(&0)));
    let why = posted_to(once(hello), "", Some(&ca), Duration::from_secs(1)).unwrap_err().to_string();
    assert!(why.contains("longer than 1 s"), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn a_name_is_asked_for_where_it_may_be_and_an_address_not_at_all() {
    let server = Server::plain();
    let url = |host: &str| Url::new(&format!("insecure:http://{host}:{}/token", server.port)).unwrap();
    let told: Addresses = |host, _| match host {
        "backup.test" => vec!["127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()],
        host => host.parse().into_iter().collect(),
    };
    for host in ["backup.test", "127.0.0.1"] {
        assert_eq!(Office::new(None, told).post(&url(host), &[], ""), Ok(()), "the first refuses, the second is there");
    }
    assert_eq!(server.seen()[0].header("Host").unwrap(), format!("backup.test:{}", server.port));
    let why = Office::new(None, told).post(&url("other.test"), &[], "").unwrap_err().to_string();
    assert!(why.contains("no address was found"), "{why}");
    let why = Office::new(None, told).post(&url("[::1]"), &[], "").unwrap_err().to_string();
    assert!(!why.contains("no address was found"), "brackets are no part of one: {why}");
}

#[test]
fn whatever_a_url_may_hold_is_sent_as_it_is() {
    let server = Server::plain();
    let graphic = (33..127).map(char::from).filter(|letter| !"\"<>\\^`|#".contains(*letter)).collect::<String>();
    let target = format!("/{graphic}?{graphic}");
    let url = Url::new(&format!("http://127.0.0.1:{}{target}", server.port)).unwrap();
    assert_eq!(Office::new(None, here).post(&url, &[], ""), Ok(()));
    assert_eq!(server.seen()[0].line, format!("POST {target} HTTP/1.1"));
}

#[test]
fn tls_takes_a_certificate_that_is_trusted_and_of_that_name_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (config, pem) = support::smtp::private_authority();
    let server = Server::start(0, Some(config));
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, pem).unwrap();
    assert_eq!(posted(&server, Some(&ca), LONG), Ok(()));
    for manner in [Manner::Stall, Manner::Drip] {
        server.behave(manner);
        let why = posted(&server, Some(&ca), Duration::from_secs(1)).unwrap_err();
        assert!(matches!(&why, NotTaken::Later(why) if why.contains("longer than 1 s")), "{why}");
    }
    server.behave(Manner::Huge);
    assert_eq!(posted(&server, Some(&ca), LONG), Ok(()));
    let before = server.seen().len();
    let (other, other_pem) = support::smtp::private_authority_for(&["elsewhere.example.org"]);
    fs::write(&ca, other_pem).unwrap();
    assert!(
        matches!(posted(&server, Some(&ca), LONG), Err(NotTaken::Unreachable(why)) if why.contains("certificate")),
        "another authority"
    );
    let misnamed = Server::start(0, Some(other));
    let why = posted(&misnamed, Some(&ca), LONG).unwrap_err().to_string();
    assert!(why.contains("certificate"), "another name: {why}");
    let plain = Server::plain();
    assert!(posted(&plain, Some(&ca), Duration::from_secs(2)).is_err(), "no TLS at all");
    assert_eq!((server.seen().len(), misnamed.seen().len(), plain.seen().len()), (before, 0, 0), "nothing was said to any");
    fs::remove_file(&ca).unwrap();
    assert!(posted(&server, Some(&ca), LONG).unwrap_err().to_string().contains("`ca_file: "));
}
