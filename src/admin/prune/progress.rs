//! What a person sees while the reaper is at work. Where standard error is no terminal: nothing.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terms::text::counted;
use crate::terms::{Bytes, Usage};

/// A line on standard error that changes.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// For so many clients; `quiet`: never shown.
    pub(super) fn new(clients: usize, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(clients as u64), target);
        let style = ProgressStyle::with_template("{bar:20} {pos}/{len} {prefix} {msg}");
        Self(style.map(|style| bar.clone().with_style(style)).unwrap_or(bar))
    }

    /// Whose trash is emptied.
    pub(super) fn of(&self, client: &str) {
        self.0.set_message("");
        self.0.set_prefix(client.to_owned());
    }

    /// What is free of the snapshot in hand.
    pub(super) fn freed(&self, Usage { bytes, inodes }: Usage) {
        self.0.set_message(format!("{}, {} free", counted(inodes, "inode", "inodes"), Bytes(bytes)));
    }

    /// One client's is empty.
    pub(super) fn done(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
