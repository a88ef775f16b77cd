//! What keeps user namespaces from accounts, and whether something sets the clock.

use crate::decide::policy::lint::Finding;
use crate::terms::Origin;

/// What the kernel says; `None` where it has no such setting.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kernel<'a> {
    /// `user.max_user_namespaces`.
    pub most: Option<&'a str>,
    /// `kernel.unprivileged_userns_clone`, Debian's.
    pub clone: Option<&'a str>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, Ubuntu's.
    pub apparmor: Option<&'a str>,
    /// The profiles that are loaded; `None` if that cannot be read.
    pub profiles: Option<&'a str>,
}

/// The profile that gives them back (`packaging/apparmor.d`).
const PROFILE: &str = "snapgate";

/// What of it stands in the way. `needed`: no push may run without them.
pub(crate) fn namespaces(origin: &Origin, kernel: Kernel<'_>, needed: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |message: &str, help: &str| {
        let make = if needed { Finding::wrong } else { Finding::note };
        found.push(make(origin.clone(), message.to_owned(), help.to_owned()));
    };
    let is = |setting: Option<&str>, value: &str| setting.is_some_and(|text| text.trim() == value);
    if is(kernel.most, "0") {
        add("the kernel gives nobody a user namespace: `user.max_user_namespaces` is 0", "remove that setting, or set it above 1000");
    }
    if is(kernel.clone, "0") {
        add(
            "the kernel gives accounts no user namespaces: `kernel.unprivileged_userns_clone` is 0",
            "sysctl kernel.unprivileged_userns_clone=1, and write it into /etc/sysctl.d/",
        );
    }
    if is(kernel.apparmor, "1") {
        let is_loaded = |profiles: &str| profiles.lines().any(|line| line.split(' ').next() == Some(PROFILE));
        match kernel.profiles {
            Some(profiles) if is_loaded(profiles) => {}
            Some(_) => add(
                "AppArmor gives user namespaces only to programs with a profile, and that of snapgate is not loaded",
                "install -m 0644 /usr/share/snapgate/apparmor.d/snapgate /etc/apparmor.d/ and apparmor_parser -r \
                 /etc/apparmor.d/snapgate",
            ),
            None => {
                let message = "whether AppArmor's profile of snapgate is loaded was not looked at";
                found.push(Finding::unseen(origin.clone(), message, "run this as root"));
            }
        }
    }
    found
}

/// Programs that set the clock, by the name of their process.
const CLOCK_SETTERS: [&str; 6] = ["chronyd", "ntpd", "openntpd", "systemd-timesyn", "ptp4l", "phc2sys"];

/// Whether that is the name of one.
pub(crate) fn sets_the_clock(process: &str) -> bool {
    CLOCK_SETTERS.contains(&process.trim())
}

/// What is wrong with how the clock is set: by the answer of `timedatectl show`, if there is one,
/// and by whether a process runs that sets it.
pub(crate) fn clock(origin: &Origin, answer: Option<&[u8]>, is_set: bool) -> Option<Finding> {
    let text = answer.map(String::from_utf8_lossy);
    let says = |line: &str| text.as_deref().is_some_and(|text| text.lines().any(|found| found == line));
    if says("NTPSynchronized=yes") {
        return None;
    }
    if text.is_some() && !says("NTPSynchronized=no") {
        let message = "whether the clock is right was not seen: timedatectl does not say";
        return Some(Finding::unseen(origin.clone(), message, "see `timedatectl`"));
    }
    let so = "names of snapshots, windows of policies and what `keep:` keeps go by the clock";
    match (text.is_some(), is_set) {
        (true, true) => {
            let message = format!("the clock is not synchronised yet: {so}");
            Some(Finding::note(
                origin.clone(),
                message,
                "see whether its servers can be reached: `timedatectl timesync-status`, `chronyc sources`",
            ))
        }
        (true, false) => {
            let message = format!("nothing sets the clock: {so}");
            Some(Finding::wrong(origin.clone(), message, "timedatectl set-ntp true, or install chrony"))
        }
        (false, true) => None,
        (false, false) => {
            let message = format!("nothing that sets the clock is seen to run here: {so}");
            Some(Finding::note(origin.clone(), message, "in a container its host sets it; elsewhere install chrony"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { file: "snapgate.yaml".into(), line: 0 }
    }

    #[test]
    fn each_setting_that_takes_namespaces_away_is_told_and_is_wrong_where_they_are_needed() {
        let found = |kernel| namespaces(&origin(), kernel, true);
        assert_eq!(found(Kernel::default()), []);
        assert_eq!(found(Kernel { most: Some("127235\n"), clone: Some("1\n"), apparmor: Some("0\n"), profiles: None }), []);
        for (kernel, words) in [
            (Kernel { most: Some("0\n"), ..Kernel::default() }, "max_user_namespaces"),
            (Kernel { clone: Some("0\n"), ..Kernel::default() }, "unprivileged_userns_clone"),
            (Kernel { apparmor: Some("1\n"), profiles: Some("sshd (enforce)\n"), ..Kernel::default() }, "AppArmor"),
        ] {
            assert!(matches!(&found(kernel)[..], [one] if one.wrong && one.message.contains(words)), "{words}");
            assert!(!namespaces(&origin(), kernel, false)[0].wrong, "{words}");
        }
        let restricted = Kernel { apparmor: Some("1\n"), ..Kernel::default() };
        assert_eq!(found(Kernel { profiles: Some("sshd (enforce)\nsnapgate (unconfined)\n"), ..restricted }), []);
        assert!(found(restricted)[0].unseen);
    }

    #[test]
    fn a_clock_that_nothing_sets_is_wrong_where_that_is_known() {
        let found = |answer: Option<&str>, is_set| clock(&origin(), answer.map(str::as_bytes), is_set);
        assert_eq!(found(Some("NTP=yes\nNTPSynchronized=yes\n"), false), None);
        assert!(found(Some("NTP=no\nNTPSynchronized=no\n"), false).unwrap().wrong);
        assert!(!found(Some("NTPSynchronized=no\n"), true).unwrap().wrong);
        assert!(found(Some("x\n"), true).unwrap().unseen);
        assert_eq!(found(None, true), None);
        assert!(!found(None, false).unwrap().wrong);
        assert!(sets_the_clock("chronyd\n") && sets_the_clock("systemd-timesyn\n") && !sets_the_clock("bash\n"));
    }
}
