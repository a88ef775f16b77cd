//! Asking history: `list`, `usage`, `ls`, `cat`, `find`, `history`, `yesterday`, `diff`.
//!
//! Three processes: one of whoever asks, which shows the answer; one that is the client's account,
//! which knows what is asked and of which snapshots; and one in a sandbox, which reads them. What
//! comes back was a client's, and an account may have spoken for the others: it is made printable
//! here, and nothing of it is believed.

mod answer;
mod list;
mod within;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::act::child::{self, Answered, Question};
use crate::act::config;
use crate::decide::history::paint::{self, Style};
use crate::decide::history::query::{Asked, Query};
use crate::terms::limits::{ASK_TIME, MAX_ANSWER_LINE};
use crate::terms::{ClientName, Reason, exit};

pub(crate) use answer::{READ, answer};
pub(crate) use list::list;
pub(crate) use within::read;

/// A question, and where the answer is shown.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) client: &'a ClientName,
    pub(crate) asked: &'a Asked,
    pub(crate) style: Style,
    /// Whether standard output is a terminal.
    pub(crate) is_terminal: bool,
}

/// An error, and the exit code.
type Failure = (String, u8);

/// Asks, and shows the answer as it comes in. Returns the exit code.
pub(crate) fn ask(directory: &Path, wanted: &Wanted<'_>, show: &mut dyn FnMut(&[u8]) -> bool) -> Result<u8, Failure> {
    let Wanted { client, asked, style, is_terminal } = *wanted;
    if let (Query::Yesterday { .. }, false) = (&asked.query, asked.json || is_terminal) {
        return path(directory, wanted, show);
    }
    let question = Question { directory, client, asked, is_administrators: true, limit: ASK_TIME };
    let is_raw = matches!(asked.query, Query::Cat { .. });
    let mut lines = Lines { style, is_text: is_raw, left: Vec::new() };
    let mut closed = false;
    let answered = child::ask(&question, &mut |piece, _| {
        let goes_on = if is_raw && !is_terminal { show(piece) } else { lines.take(piece, show) };
        closed |= !goes_on;
        Ok(goes_on)
    });
    if !closed && !lines.end(show) {
        closed = true;
    }
    match answered {
        Answered::Closed => Ok(exit::CLOSED),
        Answered::Whole if closed => Ok(exit::CLOSED),
        Answered::Whole => Ok(0),
        Answered::Failed(reason) => Err(failure(reason)),
    }
}

/// A path that somebody's shell may be about to use: with all its bytes, and in the client's
/// snapshots, or there is none. The account may have said anything.
fn path(directory: &Path, wanted: &Wanted<'_>, show: &mut dyn FnMut(&[u8]) -> bool) -> Result<u8, Failure> {
    let Wanted { client, asked, .. } = *wanted;
    let question = Question { directory, client, asked, is_administrators: true, limit: ASK_TIME };
    let mut told = Vec::new();
    let answered = child::ask(&question, &mut |piece, _| {
        told.extend_from_slice(piece);
        Ok(told.len() <= MAX_ANSWER_LINE)
    });
    if let Answered::Failed(reason) = answered {
        return Err(failure(reason));
    }
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let policy = config::load_policy(directory, &site, client).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let snapshots = policy.map(|policy| policy.path.join("snapshots"));
    let path = told.strip_suffix(b"\n").map(|path| Path::new(OsStr::from_bytes(path)));
    let inside = path.zip(snapshots.as_deref()).and_then(|(path, snapshots)| path.strip_prefix(snapshots).ok());
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let is_whole = |inside: &Path| inside.components().all(is_plain) && !leads_away(snapshots.as_deref(), inside);
    if !inside.is_some_and(is_whole) {
        return Err((format!("what was said is no path in the snapshots of `{client}`\nsee what its account runs"), exit::INTERNAL));
    }
    Ok(if show(&told) { 0 } else { exit::CLOSED })
}

/// Whether a link stands on the way to what is inside, as far as this process can see: whoever is
/// given the path would follow that.
fn leads_away(snapshots: Option<&Path>, inside: &Path) -> bool {
    let mut here = snapshots.map(Path::to_path_buf).unwrap_or_default();
    inside.components().any(|part| {
        here.push(part);
        here.is_symlink()
    })
}

/// Lines as they come in.
struct Lines {
    style: Style,
    /// Whether they are a file's, which may have tabs.
    is_text: bool,
    left: Vec<u8>,
}

impl Lines {
    fn take(&mut self, piece: &[u8], show: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.left.extend_from_slice(piece);
        let mut left = std::mem::take(&mut self.left);
        let whole = left.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut shown = String::new();
        for line in left.get(..whole).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
            shown.push_str(&self.shown(line.strip_suffix(b"\n").unwrap_or(line)));
            shown.push('\n');
        }
        left.drain(..whole);
        if left.len() > MAX_ANSWER_LINE {
            shown.push_str(&self.shown(&left));
            left.clear();
        }
        self.left = left;
        shown.is_empty() || show(shown.as_bytes())
    }

    fn end(&mut self, show: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let line = std::mem::take(&mut self.left);
        let end = if self.is_text { "" } else { "\n" };
        line.is_empty() || show((self.shown(&line) + end).as_bytes())
    }

    fn shown(&self, line: &[u8]) -> String {
        if !self.is_text {
            return paint::shown(line, self.style);
        }
        let columns: Vec<_> = line.split(|byte| *byte == b'\t').map(paint::plain).collect();
        columns.join("\t")
    }
}

/// A reason as an error for the administrator.
fn failure(reason: Reason) -> Failure {
    let exit = reason.code.exit();
    let advice = reason.hint.or(reason.remedy).map(|advice| format!("\n{advice}")).unwrap_or_default();
    (format!("{}{advice}", reason.detail), exit)
}

/// Every client that has a policy.
pub(crate) fn clients(directory: &Path) -> Result<Vec<ClientName>, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let all = config::all_policies(directory, &site).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    Ok(all.into_iter().map(|(client, _)| client).collect())
}

/// The client whose snapshots a path on the server leads into, and what of the path is a place in
/// one, or in `current`. It is decided by the path's text alone.
pub(crate) fn whose(directory: &Path, path: &Path) -> Result<Option<(ClientName, PathBuf)>, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let all = config::all_policies(directory, &site).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let path = std::path::absolute(path).map_err(|error| (format!("looking where that is: {error}"), exit::USAGE))?;
    for (client, policy) in all {
        let Ok(policy) = policy else { continue };
        let Ok(inside) = path.strip_prefix(&policy.path) else { continue };
        if let Ok(place) = inside.strip_prefix("current") {
            return Ok(Some((client, place.to_path_buf())));
        }
        let Ok(inside) = inside.strip_prefix("snapshots") else { continue };
        let names: Vec<_> = inside.components().collect();
        for levels in 1..=names.len() {
            let name: PathBuf = names.iter().take(levels).collect();
            if name.to_str().is_some_and(|name| policy.names.read(name).is_some()) {
                return Ok(Some((client, names.iter().skip(levels).collect())));
            }
        }
    }
    Ok(None)
}
