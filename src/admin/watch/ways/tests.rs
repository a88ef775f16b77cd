//! What comes while other ways are told.

use std::cell::Cell;

use super::*;
use crate::act::clock;
use crate::decide::policy::read_site;
use crate::decide::speak::message::samples;

#[test]
fn what_comes_while_something_is_told_is_told_in_the_same_pass_and_what_comes_for_ever_in_the_next() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    let text = format!("store: /srv\nspool: {}\nmail: {{ transport: off }}\nexec: /bin/true\n", dir.path().display());
    let site = read_site(&dir.path().join("snapgate.yaml"), text.as_bytes()).unwrap();
    Spool::open(dir.path(), inspect::running_uid()).unwrap();
    let own = spool::own(dir.path()).unwrap();
    let added = Cell::new(0);
    let add = || {
        let event = Event { id: format!("{}-{:03}", samples::refusal().id, added.get()), ..samples::refusal() };
        added.set(added.get() + 1);
        own.dispatch_later(&Dispatch { way: Way::Exec, created: clock::now(), what: What::Event(Box::new(event)) }).is_ok()
    };
    assert!(add());
    let budget = Budget::new();
    let ways = Ways::new(&site, &budget);
    ways.may_wait(&own);
    let mut report = WatchReport::default();
    // It is asked before each step, and each time somebody brings one more.
    assert!(ways.tell(&Means { now: &clock::now, go_on: &add }, false, &mut report).is_ok());
    // Before it was told, before it went, and at the end of the first time.
    assert_eq!((report.told, report.problems.len()), (1 + 3, 0), "{report:?}");
    assert!(own.dispatches().unwrap().len() > 3, "the rest waits");
}
