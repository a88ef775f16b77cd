//! The mails that left, as a reader sees them.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::server::Server;

/// A mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its header, unfolded.
    pub header: String,
    /// Its text, decoded.
    pub body: String,
}

impl Mail {
    /// The value of a header line.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Server {
    /// Every mail so far.
    pub fn mails(&self) -> Vec<Mail> {
        read_all(&self.path().join("mail"))
    }

    /// The first mail that holds the text, as soon as there is one: nothing here waits for a timer.
    #[track_caller]
    pub fn mail(&self, text: &str) -> Mail {
        let began = Instant::now();
        loop {
            let mails = self.mails();
            if let Some(found) = mails.iter().find(|mail| mail.body.contains(text) || mail.header.contains(text)) {
                return found.clone();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no mail with `{text}` in {mails:#?}");
            sleep(Duration::from_millis(20));
        }
    }
}

/// Every mail in a directory of `.eml` files.
pub fn read_all(dir: &Path) -> Vec<Mail> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "eml")).collect();
    paths.sort();
    paths.iter().map(|path| parse(&fs::read(path).unwrap())).collect()
}

/// One mail.
pub fn parse(bytes: &[u8]) -> Mail {
    use base64::Engine as _;
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let (header, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let header = header.replace("\n ", " ").replace("\n\t", " ");
    let encoding = header.lines().find_map(|line| line.strip_prefix("Content-Transfer-Encoding: ")).unwrap_or("7bit").to_owned();
    let body = match encoding.as_str() {
        "quoted-printable" => quoted_printable(body),
        "base64" => {
            let packed: String = body.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
            String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
        }
        _ => body.to_owned(),
    };
    Mail { header, body }
}

fn quoted_printable(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = (*first == b'=').then(|| after.get(..2)).flatten().and_then(|two| std::str::from_utf8(two).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
