//! What keeps an account out at the machine's own door. Only root can look.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::decide::host::login::{Shadow, shadow};
use crate::terms::limits::MAX_PASSWD;

/// What `/etc/shadow` has about an account; `None` where it has nothing, or cannot be read.
pub fn shadow_of(account: &str) -> Option<Shadow> {
    let mut text = Vec::new();
    File::open("/etc/shadow").ok()?.take(MAX_PASSWD).read_to_end(&mut text).ok()?;
    shadow(&text, account)
}

/// The file that keeps everybody out but root, while it is there (nologin(5)).
pub fn closed_by() -> Option<&'static Path> {
    ["/etc/nologin", "/run/nologin"].into_iter().map(Path::new).find(|path| path.exists())
}
