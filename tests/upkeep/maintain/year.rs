//! A year of two clients: real pushes through the gate, the timer's `maintain`, and only the clock is not real. What is left is what a model
//! says, which knows no files (`keep/model.rs`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use snapgate::act::config::{load_policy, load_site, zones};
use snapgate::decide::keep::{Keep, Snapshot};
use snapgate::terms::{Event, NamePattern, Zone};
use support::{Gate, getent, run};

use super::count;
use crate::keep::model;
use crate::says;

/// So many days; `YEAR=long` has the clients push four times as often.
const DAYS: i64 = 365;

/// The clock is ahead for so many days, from that day on; then it is set right.
const AHEAD: (i64, i64, i64) = (100, 108, 4);

/// Nights in which clocks change in Madrid.
const CHANGES: [&str; 2] = ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"];

struct Client {
    name: &'static str,
    /// Hours between two pushes.
    every: i64,
    keep: Keep,
    zone: Zone,
    /// What the model says is there.
    stock: Vec<Snapshot>,
    pushes: usize,
}

impl Client {
    fn new(gate: &Gate, name: &'static str, every: i64, policy: &str) -> Self {
        let user = getent::my_name();
        gate.write(
            &format!("config/policies/{name}.yaml"),
            &format!("user: {user}\nreport: never\noptions: {{ allow: [owner, group] }}\n{policy}"),
        );
        gate.write(
            &format!("ssh-{name}"),
            &format!(
                "shift\nexec /usr/bin/env -i SSH_CONNECTION='192.0.2.7 50000 192.0.2.1 22' SSH_ORIGINAL_COMMAND=\"$*\" {} --config $DIR/config \
                 --client {name}\n",
                gate.program().join(" ")
            ),
        );
        let directory = gate.path().join("config");
        let policy = load_policy(&directory, &load_site(&directory).unwrap(), &name.parse().unwrap()).unwrap().unwrap();
        let zone = zones::load(&policy.timezone).unwrap();
        let every = if std::env::var_os("YEAR").is_some() { every / 4 } else { every };
        Self { name, every, keep: policy.keep, zone, stock: Vec::new(), pushes: 0 }
    }

    /// Whether it pushes in this hour: in its rhythm, and in each hour of a night in which clocks change.
    fn is_due(&self, hour: i64, right: DateTime<Utc>) -> bool {
        let is_night = CHANGES.iter().any(|change| (right - change.parse::<DateTime<Utc>>().unwrap()).num_hours().abs() <= 4);
        hour % self.every == 0 || is_night
    }

    fn names(&self, gate: &Gate) -> BTreeSet<String> {
        let entries = fs::read_dir(gate.path().join("store").join(self.name).join("snapshots")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Pushes. While the newest snapshot is later than the clock says, the gate takes no other.
    fn push(&mut self, gate: &Gate, now: DateTime<Utc>) {
        let source = gate.source(self.name);
        fs::write(source.join("file"), format!("{now}")).unwrap();
        fs::write(source.join("same"), "always").unwrap();
        let before = self.names(gate);
        let shell = format!("/bin/sh {}/ssh-{}", gate.path().display(), self.name);
        let mut rsync = std::process::Command::new("rsync");
        let ran = run(rsync.args(["-a", "--delete", "-e", &shell]).arg(format!("{}/", source.display())).arg("backup:"));
        let is_ahead = self.stock.last().is_some_and(|newest| newest.began > now + TimeDelta::minutes(1));
        assert_eq!(ran.status != 0, is_ahead, "{} at {now}: {ran:?}", self.name);
        let new: Vec<_> = self.names(gate).difference(&before).cloned().collect();
        assert_eq!(new.len(), usize::from(!is_ahead), "{} at {now}: {new:?}", self.name);
        for name in new {
            let name = NamePattern::default().read(&name).unwrap();
            assert!((name.at - now).num_seconds().abs() < 60, "{name} at {now}");
            self.stock.iter_mut().for_each(|snapshot| snapshot.current = false);
            self.stock.push(Snapshot { current: true, ..Snapshot::complete(name.clone(), name.at) });
            self.pushes += 1;
        }
    }

    /// What the timer has done is what the model would have done.
    #[track_caller]
    fn compare(&mut self, gate: &Gate, now: DateTime<Utc>) {
        let kept = model::kept(&self.stock, now, &self.zone, &self.keep);
        let doomed = self.stock.len() - kept.len();
        // A person has to agree to so many.
        if doomed * 100 < self.stock.len() * 90 {
            self.stock.retain(|snapshot| kept.contains(snapshot.name.as_str()));
        }
        let expected: BTreeSet<_> = self.stock.iter().map(|snapshot| snapshot.name.to_string()).collect();
        assert_eq!(self.names(gate), expected, "{} at {now}", self.name);
    }
}

#[test]
fn after_a_year_of_pushes_there_is_what_the_model_says() {
    let gate = Gate::in_memory("", support::POLICY);
    fs::remove_file(gate.path().join("config/policies/web1.yaml")).unwrap();
    let mut clients = [
        Client::new(
            &gate,
            "laptop",
            100,
            "timezone: Europe/Madrid\nkeep: { hourly: 6, daily: 7, weekly: 4, monthly: 6 }\nkeep_within: 36h\n",
        ),
        Client::new(
            &gate,
            "router",
            148,
            "timezone: America/New_York\nkeep: \"1:1 30:7 120:30 330:0\"\nmin_snapshots: 2\nkeep_within: 3d\n",
        ),
    ];
    let from: DateTime<Utc> = "2026-01-01T00:20:00Z".parse().unwrap();
    let mut last = from;
    for hour in 0..DAYS * 24 {
        let right = from + TimeDelta::hours(hour);
        let (begins, ends, days) = AHEAD;
        let is_ahead = (begins * 24..ends * 24).contains(&hour);
        let now = if is_ahead { right + TimeDelta::days(days) } else { right };
        let is_pushed = clients.iter().any(|client| client.is_due(hour, right));
        // The timer runs every hour; what it does is the same where nobody has pushed since.
        if !is_pushed && hour % 100 != 0 {
            continue;
        }
        gate.set_clock(now);
        for client in clients.iter_mut().filter(|client| client.is_due(hour, right)) {
            client.push(&gate, now);
        }
        let said = run(&mut gate.snapgate(&["maintain"])).exits(0);
        assert_eq!(said.stdout, "", "{now}");
        for client in &mut clients {
            // Its pushes took a moment, too.
            client.compare(&gate, now + TimeDelta::seconds(50));
        }
        last = now;
    }
    for client in &clients {
        let state = gate.path().join("store").join(client.name).join(".snapgate");
        nothing_is_left_behind(client, &state, last);
    }
    gate.set_clock(last + TimeDelta::days(2));
    says(&gate, &["maintain"]).exits(0);
    for client in &clients {
        let state = gate.path().join("store").join(client.name).join(".snapgate");
        assert_eq!((count(&state.join("trash")), count(&state.join("reaping"))), (0, 0), "{}", client.name);
    }
    let said = says(&gate, &["status"]).exits(0).stdout;
    assert!(said.lines().skip(1).all(|line| line.ends_with("  0  -")), "nothing is due: {said}");
}

/// A year leaves no more than its policy says: of logs, of the trash, and of ledgers those that tell of what is there.
fn nothing_is_left_behind(client: &Client, state: &Path, now: DateTime<Utc>) {
    let stamp = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%S").to_string();
    let names = |directory: &str| -> Vec<String> {
        let entries = fs::read_dir(state.join(directory)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let (oldest, logs) = (stamp(now - TimeDelta::days(92)), names("logs"));
    assert!(!logs.is_empty() && logs.iter().all(|log| *log > oldest), "{logs:?}");
    let trash: Vec<_> = names("trash").into_iter().filter(|name| !name.ends_with(".json")).collect();
    let oldest = stamp(now - TimeDelta::hours(52));
    assert!(trash.iter().all(|name| *name.split('@').nth(1).unwrap() > *oldest), "{trash:?}");
    let mut told = BTreeSet::new();
    let is_a_push = |event: &Event| event.push().is_some();
    snapgate::act::prune::recorded(state, is_a_push, |event| told.extend(event.push().and_then(|facts| facts.snapshot.clone())));
    assert!(client.stock.iter().all(|snapshot| told.contains(snapshot.name.as_str())), "what is there is told of");
    assert!(client.pushes > 60 && client.stock.len() < 40, "{} of {}", client.stock.len(), client.pushes);
    let old = names("ledgers");
    assert!((3..=12).contains(&old.len()) && old.iter().all(|name| name.ends_with(".jsonl.gz")), "{old:?}");
}
