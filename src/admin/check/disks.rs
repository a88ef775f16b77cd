//! The disks of backups: whether they have room, and whether each repository is on the right one.

use std::path::Path;

use crate::act::inspect::{device, room};
use crate::decide::host::seen::{self, Disks};
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site};

/// What is wrong with the disks of the store and of repositories elsewhere, each once.
pub(super) fn rooms(site: &Site, policies: &[Policy]) -> Vec<Finding> {
    let mut found = Vec::new();
    let store = room(&site.store);
    let mut reported: Vec<u64> = store.iter().map(|store| store.device).collect();
    found.extend(store.as_ref().and_then(|store| seen::room(&site.origins.of("store"), store)));
    let root = device(Path::new("/"));
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
