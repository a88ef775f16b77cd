//! A Landlock layer for the thread that runs a test, and all that it starts from then on.

use landlock::{
    Access as _, AccessFs, PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
};

/// Jails the calling thread in a way that hinders nobody. But the kernel takes no more than sixteen of them
/// (`LANDLOCK_MAX_NUM_LAYERS`), and who is in one may not mount (landlock(7)).
pub fn layer() -> Result<RestrictionStatus, RulesetError> {
    // Moving between directories is what every layer takes away, so every layer has to give it back (landlock(7)).
    let ruleset = Ruleset::default().handle_access(AccessFs::Refer)?.create()?;
    ruleset.add_rule(PathBeneath::new(PathFd::new("/").unwrap(), AccessFs::from_all(landlock::ABI::V2) & AccessFs::Refer))?.restrict_self()
}
