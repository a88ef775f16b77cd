//! The commands that set a server up, and those by which clients come, change and go.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{forget, print};
use crate::admin::clients::keys::End;
use crate::admin::clients::{add, freeze, keys, remove, rename};
use crate::admin::init;
use crate::decide::clients::preset::Preset;
use crate::decide::keep::Until;
use crate::terms::ClientName;

/// One of them.
#[derive(Debug, Subcommand)]
pub(super) enum Coming {
    /// Set this server up: group, directories, site file; asks for what is not said, sends a test
    /// mail, and checks
    Init {
        /// Where backups are kept
        #[arg(long, value_name = "DIR")]
        store: Option<PathBuf>,
        /// Who gets mail when something goes wrong; may be repeated
        #[arg(long, value_name = "ADDRESS")]
        mail_to: Vec<String>,
        /// How mail leaves: sendmail, smtp://host, starttls://user@host, smtps://user@host, off
        #[arg(long, value_name = "WAY")]
        transport: Option<String>,
        /// The file with the password of that user, alone on its first line; root's, mode 0600
        #[arg(long, value_name = "FILE", requires = "transport")]
        password_file: Option<PathBuf>,
    },
    /// Add a client: account, repository, key and policy; prints what to put on the client
    AddClient(NewClient),
    /// Remove a client: key, account and policy; its snapshots stay
    RemoveClient {
        /// The client
        client: ClientName,
        /// Also remove its repository, for good; say its name again
        #[arg(long, value_name = "NAME")]
        destroy_data: Option<ClientName>,
        /// Say what would be removed, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Call a client by another name
    RenameClient {
        /// The client
        old: ClientName,
        /// Its new name
        new: ClientName,
    },
    /// Give a client another key; those that it has stay
    AddKey {
        #[command(flatten)]
        key: Key,
    },
    /// Give a client another key; those that it has end after a while
    RotateKey {
        #[command(flatten)]
        key: Key,
        /// For how long those before it are still taken
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = humantime::parse_duration)]
        overlap: Duration,
        /// Up to when they are, instead: a time in the policy's zone, like 2026-12-31, or 30d
        #[arg(long, value_name = "WHEN", conflicts_with = "overlap")]
        until: Option<Until>,
    },
    /// Let a client do nothing for a while, and tell it why
    Freeze {
        /// The client
        client: ClientName,
        /// What it reads
        #[arg(long, value_name = "TEXT", default_value = "the server is being worked on")]
        say: String,
    },
    /// Let a client that is frozen come again
    Thaw {
        /// The client
        client: ClientName,
    },
}

/// A client to be.
#[derive(Debug, Args)]
pub(super) struct NewClient {
    /// Its name; also that of its account and of its repository
    pub(super) client: ClientName,
    /// Its public key: the line of its .pub file
    #[arg(long, value_name = "KEY", required_unless_present = "key_file", conflicts_with = "key_file")]
    pub(super) key: Option<String>,
    /// The file with that line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Where it may come from: 192.0.2.0/24, host:NAME; may be repeated; from anywhere without it
    #[arg(long, value_name = "ADDRESS")]
    pub(super) from: Vec<String>,
    /// What it is: laptop, server, router, rsbackup, dump or timemachine
    #[arg(long, value_name = "KIND", default_value = "laptop", value_parser = preset)]
    pub(super) preset: Preset,
    /// How much it may hold, like 500G
    #[arg(long, value_name = "SIZE")]
    pub(super) quota: Option<String>,
    /// Its account, where that has another name
    #[arg(long, value_name = "ACCOUNT")]
    pub(super) user: Option<String>,
    /// Several clients use the account; their keys tell them apart
    #[arg(long, requires = "user")]
    pub(super) shared_account: bool,
    /// What the client calls this server
    #[arg(long, value_name = "NAME")]
    pub(super) host: Option<String>,
    /// What its ssh is to call it
    #[arg(long, value_name = "NAME", default_value = "backup")]
    pub(super) alias: String,
    /// Print a script for the client, which sets all up and pushes once
    #[arg(long)]
    pub(super) script: bool,
    /// Also draw what the client needs as a QR code
    #[arg(long, conflicts_with = "script")]
    pub(super) qr: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Reads a kind of client.
fn preset(text: &str) -> Result<Preset, String> {
    Preset::read(text).ok_or_else(|| format!("write {}", Preset::EITHER))
}

/// Whose key, and which.
#[derive(Debug, Args)]
pub(super) struct Key {
    /// The client
    pub(super) client: ClientName,
    /// The new public key: the line of its .pub file
    #[arg(long, value_name = "KEY", required_unless_present = "key_file", conflicts_with = "key_file")]
    pub(super) key: Option<String>,
    /// The file with that line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
}

/// Runs one of them.
pub(super) fn run(directory: &Path, order: Coming) -> ExitCode {
    let key = |Key { client, key, key_file }: Key, end| print(keys::add(directory, &keys::Orders { client, key, key_file, end }));
    match order {
        Coming::Init { store, mail_to, transport, password_file } => {
            forget().unwrap_or_else(|| print(init::init(directory, &init::Orders { store, mail_to, transport, password_file })))
        }
        Coming::AddClient(NewClient {
            client,
            key,
            key_file,
            from,
            preset,
            quota,
            user,
            shared_account,
            host,
            alias,
            script,
            qr,
            dry_run,
        }) => {
            let orders =
                add::Orders { client, key, key_file, from, preset, quota, user, shared: shared_account, host, alias, script, qr, dry_run };
            forget().unwrap_or_else(|| print(add::add(directory, &orders)))
        }
        Coming::RemoveClient { client, destroy_data, dry_run } => {
            print(remove::remove(directory, &remove::Orders { client, destroy: destroy_data, dry_run }))
        }
        Coming::RenameClient { old, new } => print(rename::rename(directory, &old, &new)),
        Coming::AddKey { key: named } => key(named, None),
        Coming::RotateKey { key: named, overlap, until } => key(named, Some(until.map_or(End::After(overlap), End::At))),
        Coming::Freeze { client, say } => print(freeze::freeze(directory, &client, &say)),
        Coming::Thaw { client } => print(freeze::thaw(directory, &client)),
    }
}
