//! The disks of backups: whether they have room, and whether each repository is on the right one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::act::inspect::{device, real, room, system};
use crate::decide::host::mounts;
use crate::decide::host::seen::{self, Disks};
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site};
use crate::terms::text::quoted_path;

use super::World;

/// What is wrong with the disks of the store and of repositories elsewhere, each once.
pub(super) fn rooms(site: &Site, policies: &[Policy]) -> Vec<Finding> {
    let mut found = Vec::new();
    let store = room(&site.store);
    let mut reported: Vec<u64> = store.iter().map(|store| store.device).collect();
    found.extend(store.as_ref().and_then(|store| seen::room(&site.origins.of("store"), store)));
    let root = device(Path::new("/"));
    if let Some(spool) = room(&site.spool).filter(|spool| !reported.contains(&spool.device)) {
        reported.push(spool.device);
        found.extend(seen::room(&site.origins.of("spool"), &spool));
    }
    for policy in policies {
        let Some(own) = room(&policy.path) else { continue };
        let origin = policy.origins.of("path");
        if let Some(store) = &store {
            let disks = Disks { own: own.device, store: store.device, root };
            found.extend(seen::elsewhere(&origin, disks, &policy.path, &site.store, policy.require_mount));
        }
        if !reported.contains(&own.device) {
            reported.push(own.device);
            found.extend(seen::room(&origin, &own));
        }
    }
    found
}

/// What is to be mounted and is not, and how it is mounted.
pub(super) fn mounts(site: &Site, policies: &[Policy]) -> Vec<Finding> {
    let fstab = system::small(Path::new("/etc/fstab")).unwrap_or_default();
    let mounted = system::small(Path::new("/proc/self/mountinfo")).map(|text| mounts::points(&text));
    let missing: Vec<PathBuf> = match &mounted {
        Some(mounted) => {
            mounts::wanted(&fstab).into_iter().filter(|point| !mounted.contains(point) && !mounted.contains(&real(point))).collect()
        }
        None => Vec::new(),
    };
    let mut found = Vec::new();
    let mut reported: Vec<&PathBuf> = Vec::new();
    let mut seen = BTreeSet::new();
    let stores = std::iter::once((&site.store, site.origins.of("store")));
    for (path, origin) in stores.chain(policies.iter().map(|policy| (&policy.path, policy.origins.of("path")))) {
        if device(path).is_some_and(|disk| seen.insert(disk)) && system::notes_reading(path) {
            let message = format!("the disk of {} is mounted without `noatime`", quoted_path(path));
            found.push(Finding::note(
                origin.clone(),
                message,
                "mount it with noatime: otherwise whoever reads snapshots (maintain, drill, restore) writes times",
            ));
        }
        let Some(point) = missing.iter().find(|point| path.starts_with(point)).filter(|point| !reported.contains(point)) else { continue };
        reported.push(point);
        let message =
            format!("{} is in /etc/fstab and not mounted: what is pushed to {} fills another disk", quoted_path(point), quoted_path(path));
        let help = format!("mount {}, and write require_mount: true", shell_words::quote(&point.to_string_lossy()));
        found.push(Finding::wrong(origin, message, help));
    }
    found
}

/// Files that soon have as many names as their file system lets them have.
pub(super) fn links(world: &World<'_>) -> Vec<Finding> {
    let found = world.each().filter_map(|(policy, _, asked)| {
        let most = system::most_links(&policy.path)?;
        seen::links(&policy.origins.of("path"), &policy.path, asked?.seen.links, most)
    });
    found.collect()
}
