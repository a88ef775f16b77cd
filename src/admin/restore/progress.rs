//! What a person sees while files come. Where standard error is no terminal: nothing.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::decide::history::receive::Step;
use crate::terms::Bytes;
use crate::terms::text::counted;

/// A line on standard error that changes.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// `quiet`: never shown.
    pub(super) fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(100), target);
        let style = ProgressStyle::with_template("{bar:20} {percent}% {msg}");
        Self(style.map(|style| bar.clone().with_style(style)).unwrap_or(bar))
    }

    /// Whether anybody sees it.
    pub(super) fn is_seen(&self) -> bool {
        !self.0.is_hidden()
    }

    /// How far it is.
    pub(super) fn at(&self, Step { bytes, percent, files }: Step) {
        self.0.set_position(percent);
        self.0.set_message(format!("{}, {}", counted(files, "file", "files"), Bytes(bytes)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
