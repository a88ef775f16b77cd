//! Disks that do not answer, such as a mount whose server is gone: whoever looks at one waits for
//! ever. So a process with an end looks first, and the rest leaves alone what held it up.

use std::path::{Path, PathBuf};

use crate::act::child;
use crate::act::inspect::room;
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site};
use crate::terms::Origin;
use crate::terms::limits::{MAX_HUNG, MOUNT_TIMEOUT};
use crate::terms::text::quoted_path;

use super::World;

const HELP: &str = "see whether its server or its device is there; `umount -l` takes the mount away";

/// The paths on which somebody would wait for ever; no more than [`MAX_HUNG`] are waited for. A path
/// that comes late after others that were slow is asked for once more, by itself.
fn waiting(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut rest = paths;
    for _ in 0..4 * MAX_HUNG {
        if rest.is_empty() || found.len() == MAX_HUNG {
            break;
        }
        // A byte at the beginning, and one for each path that was looked at.
        let answer = child::apart(MOUNT_TIMEOUT, rest.len() + 1, |out| {
            let mut goes_on = || out.write_all(b".").and_then(|()| out.flush()).is_ok();
            if !goes_on() {
                return;
            }
            let mut looked = |path: &PathBuf| {
                let _ = room(path);
                goes_on()
            };
            let _ = rest.iter().all(&mut looked);
        });
        // Where there is no process, nobody has waited for anything.
        let Some(seen) = answer.len().checked_sub(1) else { break };
        rest = match rest.get(seen..).and_then(<[_]>::split_first) {
            Some((hung, after)) if seen == 0 => {
                found.push(hung.clone());
                after
            }
            _ => rest.get(seen..).unwrap_or_default(),
        };
    }
    found
}

/// Takes policies away whose disks do not answer, and returns where they name these.
pub(super) fn hung(site: &Site, policies: &mut Vec<Policy>) -> Vec<(Origin, PathBuf)> {
    let mut paths: Vec<PathBuf> = vec![site.store.clone(), site.spool.clone(), site.rsync.clone()];
    paths.extend(policies.iter().map(|policy| policy.path.clone()));
    paths.dedup();
    let waiting = waiting(&paths);
    let of_the_site = [(&site.store, "store"), (&site.spool, "spool"), (&site.rsync, "rsync")];
    let mut found: Vec<_> = of_the_site
        .into_iter()
        .filter(|(path, _)| waiting.contains(path))
        .map(|(path, key)| (site.origins.of(key), path.clone()))
        .collect();
    policies.retain(|policy| {
        let hangs = waiting.iter().any(|path| policy.path.starts_with(path));
        if hangs {
            found.push((policy.origins.of("path"), policy.path.clone()));
        }
        !hangs
    });
    found
}

/// Nothing can be looked at where what is the site's own hangs.
pub(super) fn all(site: &Site, hung: &[(Origin, PathBuf)]) -> Option<Finding> {
    let (origin, path) = hung.iter().find(|(_, path)| [&site.store, &site.spool, &site.rsync].contains(&path))?;
    Some(finding(origin, path, ": no push can run, and nothing else was looked at"))
}

pub(super) fn findings(world: &World<'_>) -> Vec<Finding> {
    world.hung.iter().map(|(origin, path)| finding(origin, path, ": its client cannot push")).collect()
}

fn finding(origin: &Origin, path: &Path, so: &str) -> Finding {
    Finding::wrong(origin.clone(), format!("the disk of {} does not answer{so}", quoted_path(path)), HELP)
}
