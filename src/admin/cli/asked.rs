//! The words of `snapgate log`.

use clap::Args;

use crate::decide::speak::log;
use crate::terms::limits::MAX_LAST;
use crate::terms::{ClientName, Code, Verb};

/// Which events are shown, and how.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// The client; all of them by default, and what came as none
    pub(super) client: Option<ClientName>,
    /// Wait for more, and show it as it comes, until Ctrl-C
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Only what has this code, such as window or quota; several with commas
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = log::code)]
    pub(super) code: Vec<Code>,
    /// Only what ended so: ok, refused or failed, or one outcome, such as busy; several with commas
    #[arg(long, value_name = "HOW", value_delimiter = ',', value_parser = log::End::read)]
    pub(super) outcome: Vec<log::End>,
    /// Only what was asked for so, such as rsync or restore; several with commas
    #[arg(long, value_name = "VERB", value_delimiter = ',', value_parser = log::verb)]
    pub(super) verb: Vec<Verb>,
    /// From then on: 2026-11-20, 2026-11-20T03:00, yesterday, 12h
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Until then; a day is in it to its end
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub(super) until: Option<String>,
    /// Only so many, the last ones; with --follow 10 by default
    #[arg(short = 'n', value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_LAST)))]
    pub(super) last: Option<u32>,
    /// Say all that there is to say of each
    #[arg(short, long, conflicts_with = "json")]
    pub(super) verbose: bool,
    /// Answer in JSON, an event a line
    #[arg(long)]
    pub(super) json: bool,
}
