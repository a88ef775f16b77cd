//! The other ways out than mail: whether the secret and the program can be used.

use crate::act::inspect::running_uid;
use crate::act::ways;
use crate::decide::policy::Site;
use crate::decide::policy::lint::Finding;

/// What is wrong with them. An account cannot look: root tells.
pub(super) fn out(site: &Site) -> Vec<Finding> {
    if running_uid() != 0 {
        return Vec::new();
    }
    let finding =
        |key, error: ways::NotTaken| Finding::wrong(site.origins.of(key), error.to_string(), "then try it: `snapgate watch --test CLIENT`");
    let secret = site.webhook.as_ref().and_then(|_| ways::secret(&site.webhook_secret).err());
    let program = site.exec.as_ref().and_then(|program| ways::usable(program).err());
    let secret = secret.map(|error| finding("webhook", error));
    let program = program.map(|error| finding("exec", error));
    secret.into_iter().chain(program).collect()
}
