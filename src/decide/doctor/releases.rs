//! Vulnerabilities of rsync that are known, by the release that mended them (rsync's NEWS, and the
//! CVE records). A client of this server is a stranger to its rsync, so what one reaches is told
//! apart. The jail holds either way; a hole in it is one wall less.
//!
//! Distributions mend older releases without another number. What Debian's changelog of the
//! package names counts as mended.

use crate::decide::policy::lint::Finding;
use crate::decide::rsync::argv::Version;
use crate::terms::Origin;

/// What a release mended.
#[derive(Debug)]
pub struct Release {
    /// The first that is mended.
    pub fixed: Version,
    /// Its day.
    pub dated: &'static str,
    /// The vulnerabilities that a client of a server reaches through ssh.
    pub reached: &'static [&'static str],
    /// The others: of rsync's daemon, its client, `rrsync`, or of those who share the machine.
    pub others: &'static [&'static str],
    /// What a client can do by those that it reaches, as the rest of a sentence.
    pub what: &'static str,
}

/// When [`RELEASES`] was last compared with what is known.
pub const KNOWN_UNTIL: &str = "2026-11-28";

/// All of them, the newest first.
pub const RELEASES: [Release; 6] = [
    Release {
        fixed: Version(3, 5, 2),
        dated: "2026-10-16",
        reached: &["CVE-2026-119741"],
        others: &[],
        what: "have a pull use the processor without end",
    },
    Release {
        fixed: Version(3, 5, 0),
        dated: "2026-08-13",
        reached: &[
            "CVE-2026-53785", "CVE-2026-53795", "CVE-2026-53792", "CVE-2026-53794", "CVE-2026-70461", "CVE-2026-70458", "CVE-2026-70453",
        ],
        others: &[
            "CVE-2026-53796", "CVE-2026-53797", "CVE-2026-53799", "CVE-2026-53801", "CVE-2026-70460", "CVE-2026-53802", "CVE-2026-53803",
            "CVE-2026-53784", "CVE-2026-53793", "CVE-2026-53800", "CVE-2026-53783", "CVE-2026-53786", "CVE-2026-53798", "CVE-2026-53788",
            "CVE-2026-53789", "CVE-2026-53791", "CVE-2026-53790", "CVE-2026-70456", "CVE-2026-70457", "CVE-2026-70459", "CVE-2026-70464",
            "CVE-2026-70455", "CVE-2026-70452", "CVE-2026-70463", "CVE-2026-70462", "CVE-2026-70454",
        ],
        what: "write beyond rsync's memory, and to places outside of the destination",
    },
    Release {
        fixed: Version(3, 4, 3),
        dated: "2026-05-20",
        reached: &["CVE-2026-43618", "CVE-2026-43620"],
        others: &["CVE-2026-43619", "CVE-2026-29518", "CVE-2026-43617", "CVE-2026-45232"],
        what: "read rsync's memory, or have it crash",
    },
    Release {
        fixed: Version(3, 4, 2),
        dated: "2026-04-28",
        reached: &["CVE-2025-10158", "CVE-2026-41035"],
        others: &[],
        what: "have rsync read beyond its memory",
    },
    Release {
        fixed: Version(3, 4, 0),
        dated: "2025-01-15",
        reached: &["CVE-2024-12084", "CVE-2024-12085"],
        others: &["CVE-2024-12747", "CVE-2024-12086", "CVE-2024-12087", "CVE-2024-12088"],
        what: "run code of its own as rsync, and read its memory",
    },
    Release { fixed: Version(3, 2, 5), dated: "2022-08-14", reached: &[], others: &["CVE-2022-29154"], what: "" },
];

/// What is known of this machine's rsync besides its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revision<'a> {
    /// It is no package of a distribution's.
    Own,
    /// It is one, and what was mended in it is not known.
    Unknown,
    /// It is one with this changelog.
    Changelog(&'a str),
}

/// What is known to be wrong with this release.
pub(crate) fn vulnerable(origin: &Origin, version: Version, revision: Revision<'_>) -> Option<Finding> {
    let is_mended = |name: &str| match revision {
        Revision::Changelog(text) => names(text, name),
        Revision::Own | Revision::Unknown => false,
    };
    let open = |names: &'static [&'static str]| names.iter().copied().filter(|name| !is_mended(name)).collect::<Vec<_>>();
    let older = RELEASES.iter().filter(|release| version < release.fixed);
    let left: Vec<_> = older.map(|release| (release, open(release.reached), open(release.others))).collect();
    let reached: Vec<&str> = left.iter().flat_map(|(_, reached, _)| reached).copied().collect();
    let others = left.iter().map(|(.., others)| others.len()).sum::<usize>();
    // The oldest release that is missed is the one that is known best to those who attack.
    let (worst, ..) =
        left.iter().rfind(|(_, reached, _)| !reached.is_empty()).or_else(|| left.iter().rfind(|(.., others)| !others.is_empty()))?;
    let newest = RELEASES.first().map(|release| release.fixed)?;
    let help = format!(
        "install the distribution's updates, or rsync {newest}; known until {KNOWN_UNTIL}, of rsync {} from {} on",
        worst.fixed, worst.dated
    );
    if reached.is_empty() {
        let message = format!("rsync {version} has {others} known vulnerabilities, none of which a client reaches through ssh");
        return Some(Finding::note(origin.clone(), message, help));
    }
    let named = reached.iter().rev().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = match reached.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = format!("a client may {} ({named}{more}), within the jail", worst.what);
    Some(match revision {
        Revision::Own => Finding::wrong(origin.clone(), format!("rsync {version} has known vulnerabilities: {what}"), help),
        Revision::Changelog(_) => {
            let message = format!("rsync {version} has vulnerabilities that its package's changelog does not name as mended: {what}");
            Finding::wrong(origin.clone(), message, help)
        }
        Revision::Unknown => {
            let message = format!("rsync {version} had vulnerabilities, and whether its package has them mended was not seen: {what}");
            let help = format!("see the package's changelog (`apt changelog rsync`); {help}");
            Finding::note(origin.clone(), message, help)
        }
    })
}

/// How many vulnerabilities are named.
const NAMED: usize = 4;

/// Whether a text names it, and no longer number that begins alike.
fn names(text: &str, name: &str) -> bool {
    text.match_indices(name)
        .any(|(at, _)| text.get(at + name.len()..).is_none_or(|rest| !rest.starts_with(|next: char| next.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: Version, revision: Revision<'_>) -> Option<(bool, String)> {
        let origin = Origin { file: "snapgate.yaml".into(), line: 2 };
        vulnerable(&origin, version, revision).map(|found| (found.wrong, found.message))
    }

    #[test]
    fn the_table_is_in_order_and_names_each_vulnerability_once() {
        assert!(RELEASES.is_sorted_by(|newer, older| newer.fixed > older.fixed && newer.dated > older.dated));
        assert!(RELEASES.iter().all(|release| release.dated < KNOWN_UNTIL));
        let mut all: Vec<_> = RELEASES.iter().flat_map(|release| release.reached.iter().chain(release.others)).collect();
        assert!(all.iter().all(|name| name.starts_with("CVE-20") && name.len() >= 13));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_release_is_as_bad_as_what_it_misses_and_what_its_package_mended_is_none() {
        let newest = RELEASES[0].fixed;
        assert_eq!(found(newest, Revision::Own), None);
        let (wrong, words) = found(Version(3, 2, 7), Revision::Own).unwrap();
        assert!(wrong && words.contains("run code of its own as rsync") && words.contains("CVE-2024-12084"), "{words}");
        let everything: String = RELEASES
            .iter()
            .flat_map(|release| release.reached.iter().chain(release.others))
            .map(|name| format!("  - {name}: x\n"))
            .collect();
        assert_eq!(found(Version(3, 2, 7), Revision::Changelog(&everything)), None);
        let (wrong, words) = found(Version(3, 2, 7), Revision::Changelog("* Fix CVE-2024-12084, CVE-2024-12085")).unwrap();
        assert!(wrong && words.contains("does not name as mended") && !words.contains("12084"), "{words}");
        let (wrong, words) = found(Version(3, 2, 7), Revision::Unknown).unwrap();
        assert!(!wrong && words.contains("was not seen"), "{words}");
        let reached: String = RELEASES.iter().flat_map(|release| release.reached).map(|name| format!("{name}\n")).collect();
        assert!(!found(Version(3, 2, 3), Revision::Changelog(&reached)).unwrap().0, "no client reaches the rest");
        assert!(names("CVE-2026-1197412 CVE-2026-119741.", "CVE-2026-119741") && !names("CVE-2026-1197412", "CVE-2026-119741"));
    }
}
