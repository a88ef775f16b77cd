//! What has to run regularly: who starts it, and whether it ran.

use chrono::TimeDelta;

use crate::act::inspect::system;
use crate::act::record::spool::{self, Stamp};
use crate::act::{child, clock};
use crate::decide::doctor::timers::{self, JOBS, Known, PROPERTIES};
use crate::decide::policy::lint::Finding;
use crate::terms::Origin;

use super::{Row, World};

pub(super) fn look(world: &World<'_>, row: &mut Row) {
    let origin = Origin { file: world.site.file.clone(), line: 0 };
    let mut units = None;
    if child::has_systemd() {
        let words: Vec<&str> = ["show", PROPERTIES].into_iter().chain(timers::names()).collect();
        match child::systemctl(&words) {
            Ok(answer) => units = Some(timers::units(&answer)),
            Err(why) => {
                let message = format!("whether snapgate's units are enabled was not seen: systemctl does not answer: {why}");
                row.find(&[Finding::unseen(origin.clone(), message, "see `systemctl list-timers`")]);
            }
        }
    }
    let cron: Vec<String> = system::cron_tables().iter().flat_map(|table| timers::cron(table)).collect();
    let used = world.each().filter_map(|(policy, known, _)| spool::published_since(&world.site.spool, known?.account.uid, &policy.client));
    let up = TimeDelta::from_std(system::up()).unwrap_or_default();
    let known =
        Known { units: units.as_deref(), cron: &cron, used_since: used.min(), installed: system::installed(), up, now: clock::kernel() };
    let own = spool::own(&world.site.spool).ok();
    for job in JOBS.iter().filter(|job| (job.asked)(world.site)) {
        let ran = own.as_ref().and_then(|own| own.stamped(Stamp::Ran(job.word)));
        row.find(&timers::job(&origin, job, known, ran));
        if let Some(at) = ran {
            row.say(format!("`snapgate {}` ran last at {}", job.word, at.format("%F %R UTC")));
        }
    }
}
