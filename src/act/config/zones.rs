//! Time zones from the system's zoneinfo. One file is read; the environment's `TZ` and `TZDIR` are
//! never asked.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::libc;

use crate::terms::limits::MAX_ZONE_FILE;
use crate::terms::{Zone, ZoneName};

/// Where the system keeps its zones (hier(7), tzfile(5)).
const ZONEINFO: &str = "/usr/share/zoneinfo";

/// The rules of a zone.
///
/// # Errors
/// When the system does not know it, in words for the administrator.
pub fn load(name: &ZoneName) -> Result<Zone, String> {
    if *name == ZoneName::utc() {
        return Ok(Zone::utc());
    }
    let path = Path::new(ZONEINFO).join(name.as_str());
    let unknown =
        |why: &str| format!("the time zone `{name}` cannot be used: {why}\nlook for its name below {ZONEINFO}, or install tzdata");
    // Zones below `right/` count leap seconds: their clocks are not the wall's.
    if name.as_str().starts_with("right/") {
        return Err(unknown("it counts leap seconds"));
    }
    read(&path).and_then(|bytes| Zone::from_tzif(name.clone(), &bytes).ok_or("its file holds no complete zone")).map_err(unknown)
}

fn read(path: &Path) -> Result<Vec<u8>, &'static str> {
    let open = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let file = open.map_err(|_| "this system has no such zone")?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it names no zone");
    }
    let mut bytes = Vec::new();
    file.take(MAX_ZONE_FILE + 1).read_to_end(&mut bytes).map_err(|_| "its file cannot be read")?;
    if bytes.len() as u64 > MAX_ZONE_FILE { Err("its file is too long") } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_read_and_what_is_none_is_refused_with_words() {
        // No name of old: since Debian 13 those are in a package of their own, `tzdata-legacy`.
        for good in ["UTC", "Europe/Madrid", "Australia/Lord_Howe", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(load(&ZoneName::new(good).unwrap()).is_ok(), "{good}");
        }
        for bad in ["Europe", "Europe/Atlantis", "tzdata/zi", "right/Europe/Madrid"] {
            let error = load(&ZoneName::new(bad).unwrap()).unwrap_err();
            assert!(error.contains(bad) && error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_longer_than_any_zone_is_not_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zone");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(MAX_ZONE_FILE).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, MAX_ZONE_FILE);
        for length in [MAX_ZONE_FILE + 1, 1 << 40] {
            file.set_len(length).unwrap();
            assert_eq!(read(&path), Err("its file is too long"));
        }
    }
}
