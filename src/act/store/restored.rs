//! The book of what a client was sent within a day. Pulls of one client run side by side, so each
//! enters its part under a lock.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;

use super::disk::{found, read_value, write_value};
use super::{OrTrouble as _, Repository};
use crate::decide::history::daily::Daily;
use crate::terms::Reason;
use crate::terms::limits::MAX_DAILY;

impl Repository {
    /// Looks at the book, changes it, and writes it where that made a difference.
    ///
    /// # Errors
    /// When it cannot be read or written: nobody may be sent what nobody counts.
    pub fn in_daily_book<T>(&self, work: impl FnOnce(&mut Daily) -> T) -> Result<T, Reason> {
        let path = self.daily_book();
        let lock = self.daily_lock();
        let held = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock).or_trouble("opening", &lock)?;
        held.lock().or_trouble("locking", &lock)?;
        let mut book: Daily = match found(read_value(&path, MAX_DAILY)) {
            // What is no book is as good as none: a power cut may not keep a client out.
            Err(error) if error.kind() == io::ErrorKind::InvalidData || error.kind() == io::ErrorKind::UnexpectedEof => Daily::default(),
            read => read.or_trouble("reading", &path)?.unwrap_or_default(),
        };
        let before = book.clone();
        let done = work(&mut book);
        if book != before {
            write_value(&path, &book).or_trouble("writing", &path)?;
        }
        Ok(done)
    }
}
