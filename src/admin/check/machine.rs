//! The machine itself: the kernel, rsync's release, the clock.

use std::path::Path;

use crate::act::child;
use crate::act::inspect::{Package, running_uid, system};
use crate::decide::doctor::kernel::{self, Kernel};
use crate::decide::doctor::releases::{Revision, vulnerable};
use crate::decide::policy::Namespaces;
use crate::terms::Origin;

use super::{Row, World};

const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";

/// Where what concerns the whole machine is said to be.
fn origin(world: &World<'_>) -> Origin {
    Origin { file: world.site.file.clone(), line: 0 }
}

pub(super) fn kernel(world: &World<'_>, row: &mut Row) {
    let accounts = world.accounts.values().any(|known| !known.account.is_root());
    if !world.site.jail || !accounts {
        return;
    }
    let at = |name: &str| system::setting(&format!("/proc/sys/{name}"));
    let most = at("user/max_user_namespaces");
    let clone = at("kernel/unprivileged_userns_clone");
    let apparmor = at("kernel/apparmor_restrict_unprivileged_userns");
    let profiles = if running_uid() == 0 { system::setting(PROFILES) } else { None };
    let found = Kernel { most: most.as_deref(), clone: clone.as_deref(), apparmor: apparmor.as_deref(), profiles: profiles.as_deref() };
    row.find(&kernel::namespaces(&origin(world), found, world.site.namespaces != Namespaces::Optional));
}

pub(super) fn rsync(world: &World<'_>, row: &mut Row) {
    // One that is missing or is none is reported with the site file.
    let Ok(version) = child::version(&world.site.rsync, None) else { return };
    let package = system::package(&world.site.rsync);
    let revision = match &package {
        Package::None => Revision::Own,
        Package::Unknown => Revision::Unknown,
        Package::Changelog(text) => Revision::Changelog(text),
    };
    let found = vulnerable(&world.site.origins.of("rsync"), version, revision);
    if found.is_none() {
        row.say(format!("rsync {version} has no vulnerability that this release knows of"));
    }
    row.find(&found);
}

pub(super) fn clock(world: &World<'_>, row: &mut Row) {
    let answer = child::has_systemd().then(child::timedatectl);
    // What cannot be asked says nothing.
    let answer = answer.map(Result::unwrap_or_default);
    let is_set = Path::new("/proc/self").exists() && system::a_clock_is_set();
    row.find(&kernel::clock(&origin(world), answer.as_deref(), is_set));
}
