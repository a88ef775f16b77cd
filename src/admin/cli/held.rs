//! The words of `release` and `discard`.

use clap::Args;

use crate::terms::ClientName;

/// Held snapshots of a client, chosen by hand.
#[derive(Debug, Args)]
pub(super) struct Chosen {
    /// The client
    #[arg(long, value_name = "NAME")]
    pub(super) client: ClientName,
    /// Their names, as `snapgate list` shows them
    #[arg(required = true)]
    pub(super) snapshot: Vec<String>,
    /// Why, for whoever asks later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) why: String,
    /// Answer in JSON
    #[arg(long)]
    pub(super) json: bool,
}
