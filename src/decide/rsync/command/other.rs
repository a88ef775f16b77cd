//! Programs besides rsync that clients have started. One is served by the site's own, and none runs
//! because a client names it.

use crate::decide::rsync::options::shown;
use crate::terms::{Code, Reason};

/// The reason for a first word that is neither rsync nor a verb.
pub(in crate::decide) fn stranger(first: &str) -> Reason {
    transfer(first).unwrap_or_else(|| {
        Reason::new(Code::Program, format!("`{}` cannot be run here", shown(first))).hint("use rsync").remedy(OTHER_ACCOUNT)
    })
}

/// What to do for a client that needs more than this.
pub(super) const OTHER_ACCOUNT: &str = "a key that needs it belongs to an account without the gate";

/// Whether sshd is to start its `sftp` subsystem by this word, wherever it has that. The site's own
/// sftp-server is what runs.
pub(super) fn is_sftp_server(first: &str) -> bool {
    matches!(file_name(first), "sftp-server" | "internal-sftp")
}

fn file_name(first: &str) -> &str {
    first.rsplit('/').next().unwrap_or(first)
}

/// The reason for another way to transfer files that OpenSSH's clients take.
pub(super) fn transfer(first: &str) -> Option<Reason> {
    if is_sftp_server(first) {
        return Some(no_sftp().remedy(OTHER_ACCOUNT));
    }
    let reason = Reason::new(Code::Scp, "scp's own protocol is not offered over this key");
    let hint = "use rsync, for instance rsync -a /data host:, or to fetch what is in a snapshot scp without -O";
    (file_name(first) == "scp").then(|| reason.hint(hint).remedy(OTHER_ACCOUNT))
}

/// The reason for sftp where nothing may be browsed.
pub(in crate::decide) fn no_sftp() -> Reason {
    Reason::new(Code::Sftp, "sftp is not offered over this key").hint("use rsync, for instance rsync -a /data host:")
}
