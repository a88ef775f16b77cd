//! What has to run regularly: whether systemd or cron starts it, and whether it ran.

use chrono::{DateTime, TimeDelta, Utc};

use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Digest, Site, Transport};
use crate::terms::text::printable_within;
use crate::terms::{Origin, Remedy};

/// Something that runs regularly.
#[derive(Debug)]
pub(crate) struct Job {
    /// The word behind `snapgate`.
    pub word: &'static str,
    /// What starts it.
    pub units: &'static [&'static str],
    /// What it is started as.
    service: &'static str,
    /// How long it may take until it comes again.
    within: TimeDelta,
    /// What happens without it, as the rest of a sentence.
    without: &'static str,
    /// Whether backups come to harm without it.
    needed: bool,
    /// Whether the site asks for it; otherwise nobody misses it.
    pub asked: fn(&Site) -> bool,
}

/// All of them, and when the last of them has to have come again.
pub(crate) const JOBS: &[Job] = &[
    Job {
        word: "watch",
        units: &["snapgate-watch.timer", "snapgate-watch.path"],
        service: "snapgate-watch.service",
        within: TimeDelta::hours(24),
        without: "mail that could not be sent at once is never sent",
        needed: true,
        asked: always,
    },
    Job {
        word: "maintain",
        units: &["snapgate-maintain.timer"],
        service: "snapgate-maintain.service",
        within: TimeDelta::hours(48),
        without: "nothing old is removed, and the store fills up",
        needed: true,
        asked: always,
    },
    Job {
        word: "drill",
        units: &["snapgate-drill.timer"],
        service: "snapgate-drill.service",
        within: TimeDelta::days(70),
        without: "nobody tries whether backups can be restored",
        needed: false,
        asked: always,
    },
    Job {
        word: "check",
        units: &["snapgate-check.timer"],
        service: "snapgate-check.service",
        within: TimeDelta::days(4),
        without: "nobody is told of what `snapgate check` would find",
        needed: false,
        asked: always,
    },
    Job {
        word: "metrics",
        units: &["snapgate-metrics.timer"],
        service: "snapgate-metrics.service",
        within: TimeDelta::hours(2),
        without: "Prometheus shows how clients stood long ago",
        needed: false,
        asked: |site| site.metrics.is_some(),
    },
    Job {
        word: "digest",
        units: &["snapgate-digest.timer"],
        service: "snapgate-digest.service",
        within: TimeDelta::hours(24),
        without: "the mail whose absence is an alarm never comes",
        needed: true,
        asked: |site| site.digest != Digest::Off && site.mail.transport != Transport::Off,
    },
];

fn always(_: &Site) -> bool {
    true
}

/// What systemd says of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    pub id: String,
    loaded: bool,
    enabled: bool,
    active: bool,
    result: String,
    status: i64,
}

/// The properties that [`units`] reads.
pub(crate) const PROPERTIES: &str = "--property=Id,LoadState,UnitFileState,ActiveState,Result,ExecMainStatus";

/// Every unit that is asked for.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    JOBS.iter().flat_map(|job| job.units.iter().copied().chain([job.service]))
}

/// Reads the answer of `systemctl show`: a paragraph for each unit.
pub(crate) fn units(answer: &[u8]) -> Vec<Unit> {
    let text = String::from_utf8_lossy(answer);
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
    let unit = |paragraph: &str| {
        let mut unit = Unit::default();
        for (property, value) in paragraph.lines().filter_map(|line| line.split_once('=')) {
            match property {
                "Id" => unit.id = value.to_owned(),
                "LoadState" => unit.loaded = value == "loaded",
                // What another unit starts, or an administrator has linked, is as good.
                "UnitFileState" => unit.enabled = ["enabled", "enabled-runtime", "static", "linked", "generated", "alias"].contains(&value),
                "ActiveState" => unit.active = value == "active" || value == "activating",
                "Result" => unit.result = printable_within(value.as_bytes(), SHOWN),
                "ExecMainStatus" => unit.status = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        unit
    };
    paragraphs.map(unit).collect()
}

/// Bytes of a word of systemd's that are shown.
const SHOWN: usize = 40;

/// From this status on systemd itself could not start a program (systemd.exec(5)).
const NOT_STARTED: i64 = 200;

/// What is known of a machine's jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// What systemd says; `None` where it does not look after the machine.
    pub units: Option<&'a [Unit]>,
    /// Lines of cron's that start this program.
    pub cron: &'a [String],
    /// When the first client pushed for the first time.
    pub used_since: Option<DateTime<Utc>>,
    /// When this release was put into place; an earlier one may have left no sign of what it ran.
    pub installed: Option<DateTime<Utc>>,
    /// How long the machine has been up.
    pub up: TimeDelta,
    pub now: DateTime<Utc>,
}

/// How long a site may be in use before nothing that ran is a fault, and no beginning.
const GRACE: TimeDelta = TimeDelta::hours(48);

/// How far ahead of the clock the time of a run may be.
const LEAD: TimeDelta = TimeDelta::minutes(10);

/// What is wrong with a job, which ran last at that time.
pub(crate) fn job(origin: &Origin, job: &Job, known: Known<'_>, ran: Option<DateTime<Utc>>) -> Vec<Finding> {
    let mut found = Vec::new();
    let word = job.word;
    let by_cron = known.cron.iter().any(|line| starts(line, word));
    let of = |id: &str| known.units.iter().copied().flatten().find(|unit| unit.id == id && unit.loaded);
    for name in job.units {
        let Some(unit) = of(name).filter(|unit| !(by_cron || unit.enabled && unit.active)) else { continue };
        let what = if unit.enabled { "is enabled and does not run" } else { "is not enabled" };
        let finding = Finding::wrong(origin.clone(), format!("{name} {what}: {}", job.without), format!("systemctl enable --now {name}"));
        found.push(finding.mended_by(Remedy::Enable { unit: name }));
    }
    if let Some(unit) = of(job.service).filter(|unit| failed(unit)) {
        let message = format!("the last `snapgate {word}` of {} failed: {}", job.service, unit.result);
        found.push(Finding::wrong(origin.clone(), message, format!("journalctl -u {} says why", job.service)));
    }
    if let Some(at) = ran.filter(|at| *at > known.now + LEAD) {
        let message = format!("`snapgate {word}` ran last at {}, which is in the future", at.format("%F %R UTC"));
        found.push(Finding::wrong(origin.clone(), message, "the clock has been set back: see that something sets it, and sets it right"));
        return found;
    }
    let is_started = by_cron || job.units.iter().any(|name| of(name).is_some());
    let is_in_use = known.used_since.is_some_and(|since| known.now - since > GRACE);
    let was_there = known.installed.is_some_and(|since| known.now - since > job.within);
    let help = format!("enable snapgate's units, or have cron run `snapgate {word}`");
    match ran {
        // A machine that was off has not had the time.
        Some(at) if known.now - at > job.within && known.up > job.within => {
            let message = format!("`snapgate {word}` has not come to its end since {}: {}", at.format("%F %R UTC"), job.without);
            found.push(Finding::wrong(origin.clone(), message, "see what holds it up: run it by hand, or look at its journal"));
        }
        None if !is_started => {
            let message = format!("nothing runs `snapgate {word}` regularly, as far as can be seen: {}", job.without);
            let is_wrong = job.needed && is_in_use;
            let make = if is_wrong { Finding::wrong } else { Finding::note };
            found.push(make(origin.clone(), message, help));
        }
        // Such as a line of cron's whose `PATH` does not lead to it.
        None if job.needed && is_in_use && was_there && known.up > job.within => {
            let message = format!("`snapgate {word}` has never come to its end, although something is to run it: {}", job.without);
            found.push(Finding::wrong(origin.clone(), message, "see what holds it up: run it by hand, or look at its journal"));
        }
        Some(_) | None => {}
    }
    found
}

fn failed(unit: &Unit) -> bool {
    match unit.result.as_str() {
        "" | "success" => false,
        // What it has to say by its own exit code is mailed.
        "exit-code" => unit.status >= NOT_STARTED,
        _ => true,
    }
}

/// Whether a line of cron's starts that, by the words next to each other.
fn starts(line: &str, word: &str) -> bool {
    let is_program = |program: &str| program == "snapgate" || program.ends_with("/snapgate");
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let program = words.iter().position(|word| is_program(word));
    program.is_some_and(|at| words.iter().skip(at + 1).any(|other| *other == word))
}

/// The lines of a table of cron's (crontab(5)) that start this program.
pub(crate) fn cron(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && line.contains("snapgate"));
    lines.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { file: "snapgate.yaml".into(), line: 0 }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn known<'a>(units: Option<&'a [Unit]>, cron: &'a [String]) -> Known<'a> {
        Known { units, cron, used_since: None, installed: None, up: TimeDelta::days(100), now: now() }
    }

    /// As systemd 252 prints it.
    const ANSWER: &[u8] = b"Id=snapgate-watch.timer\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nResult=success\n\n\
        Id=snapgate-watch.path\nLoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\nResult=success\n\n\
        ExecMainStatus=0\nId=snapgate-watch.service\nLoadState=loaded\nActiveState=inactive\nUnitFileState=static\nResult=timeout\n\n\
        Id=snapgate-maintain.timer\nLoadState=loaded\nActiveState=failed\nUnitFileState=enabled\n\n\
        ExecMainStatus=1\nId=snapgate-maintain.service\nLoadState=loaded\nActiveState=failed\nResult=exit-code\n\n\
        Id=snapgate-drill.timer\nLoadState=not-found\nActiveState=inactive\n";

    #[test]
    fn a_unit_that_is_off_is_told_with_what_puts_it_on() {
        let units = units(ANSWER);
        assert_eq!(units.len(), 6);
        let found = |number: usize| job(&origin(), &JOBS[number], known(Some(&units), &[]), Some(now()));
        let watch = found(0);
        assert_eq!(watch.len(), 2, "{watch:?}");
        assert_eq!(watch[0].remedy, Some(Remedy::Enable { unit: "snapgate-watch.path" }));
        assert!(watch[1].message.contains("snapgate-watch.service failed: timeout"), "{watch:?}");
        let maintain = found(1);
        assert!(
            matches!(&maintain[..], [one] if one.message.contains("is enabled and does not run")),
            "its exit code is mailed: {maintain:?}"
        );
        let not_found = job(&origin(), &JOBS[2], known(Some(&units), &[]), None);
        assert!(matches!(&not_found[..], [one] if !one.wrong && one.message.contains("nothing runs `snapgate drill`")), "{not_found:?}");
    }

    #[test]
    fn cron_is_as_good_and_what_neither_starts_is_wrong_once_the_site_is_in_use() {
        let lines = cron(b"# 1 * * * * root snapgate maintain\n*/5 * * * * root /usr/bin/snapgate --config /etc/snapgate watch\n");
        assert_eq!(lines.len(), 1);
        let found = |number: usize, known: Known<'_>, ran| job(&origin(), &JOBS[number], known, ran);
        assert_eq!(found(0, known(None, &lines), None), []);
        let maintain = found(1, known(None, &lines), None);
        assert!(matches!(&maintain[..], [one] if !one.wrong), "{maintain:?}");
        let used = |hours| Known { used_since: Some(now() - TimeDelta::hours(hours)), ..known(None, &lines) };
        assert!(!found(1, used(47), None)[0].wrong && found(1, used(49), None)[0].wrong);
        assert!(!found(2, used(1000), None)[0].wrong, "a drill is no must");
    }

    #[test]
    fn what_is_to_run_and_never_did_is_wrong_once_this_release_had_the_time() {
        let lines = cron(b"7 * * * * root snapgate maintain\n");
        let ago = |hours| Some(now() - TimeDelta::hours(hours));
        let found = |used, installed, up| {
            let known = Known { used_since: ago(used), installed: ago(installed), up: TimeDelta::hours(up), ..known(None, &lines) };
            job(&origin(), &JOBS[1], known, None)
        };
        assert!(matches!(&found(1000, 49, 49)[..], [one] if one.wrong && one.message.contains("has never come to its end")));
        for (used, installed, up) in [(47, 49, 49), (1000, 47, 49), (1000, 49, 1)] {
            assert_eq!(found(used, installed, up), []);
        }
    }

    #[test]
    fn what_has_not_run_for_long_is_wrong_unless_the_machine_was_off() {
        let found = |hours: i64, up: i64| {
            let known = Known { up: TimeDelta::hours(up), ..known(None, &[]) };
            job(&origin(), &JOBS[1], known, Some(now() - TimeDelta::hours(hours)))
        };
        assert_eq!(found(47, 1000), []);
        assert!(matches!(&found(49, 1000)[..], [one] if one.wrong && one.message.contains("has not come to its end since")));
        assert_eq!(found(1000, 1), []);
        assert!(found(-1, 1)[0].message.contains("in the future"));
    }
}
