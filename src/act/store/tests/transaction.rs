//! Several pushes, one snapshot.

use std::fs;

use super::*;

#[test]
fn the_parts_of_a_transaction_add_up_and_the_later_one_wins() {
    let store = store();
    let held = store.repository.hold().unwrap();
    held.open_transaction(at(NOON)).unwrap();
    for (file, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
        let staging = held.stage(&SubPath::parse("etc").unwrap()).unwrap();
        fs::write(staging.path().join("etc").join(file), text).unwrap();
        staging.join(&into("")).unwrap();
        held.write_transaction(&store.look().transaction.unwrap().adding(into("etc"), false)).unwrap();
    }
    let staging = held.merge_transaction(&store.look().transaction.unwrap()).unwrap();
    assert_eq!(fs::read_to_string(staging.path().join("etc/a")).unwrap(), "3");
    assert_eq!(fs::read_to_string(staging.path().join("etc/b")).unwrap(), "2");
    staging.publish(store.names.name_at(at(NOON)), "id", b"").unwrap();
    held.close_transaction().unwrap();
    assert!(store.look().transaction.is_none());
}

#[test]
fn a_complete_that_was_cut_short_can_be_said_again_even_after_a_reboot() {
    let store = store();
    {
        let held = store.repository.hold().unwrap();
        held.open_transaction(at(NOON)).unwrap();
        stage_with(&held, "f").join(&into("")).unwrap();
        held.write_transaction(&store.look().transaction.unwrap().adding(into("."), false)).unwrap();
        // The kill comes when the sum stands in progress, and the machine starts again.
        let _ = held.merge_transaction(&store.look().transaction.unwrap()).unwrap();
        fs::write(store.repository.state().join("run.json"), r#"{"boot":"another"}"#).unwrap();
    }
    let held = store.repository.hold().unwrap();
    let mut state = store.look();
    held.recover(&mut state, at(NOON), DAY).unwrap();
    let transaction = state.transaction.unwrap();
    assert!(!transaction.merging);
    assert!(held.merge_transaction(&transaction).unwrap().path().join("f").exists());
}

#[test]
fn a_push_that_was_cut_off_is_never_taken_for_the_sum_of_a_transaction() {
    let store = store();
    {
        let held = store.repository.hold().unwrap();
        held.open_transaction(at(NOON)).unwrap();
        held.write_transaction(&store.look().transaction.unwrap().adding(into("."), false)).unwrap();
        drop(stage_with(&held, "half"));
    }
    let held = store.repository.hold().unwrap();
    let mut state = store.look();
    held.recover(&mut state, at(NOON), DAY).unwrap();
    assert_eq!(held.merge_transaction(&state.transaction.unwrap()).unwrap_err().code, Code::Unpublished);
}

#[test]
fn a_complete_that_had_published_is_over() {
    let store = store();
    {
        let held = store.repository.hold().unwrap();
        held.open_transaction(at(NOON)).unwrap();
        stage_with(&held, "f").join(&into("")).unwrap();
        let staging = held.merge_transaction(&store.look().transaction.unwrap().adding(into("."), false)).unwrap();
        staging.publish(store.names.name_at(at(NOON)), "id", b"").unwrap();
    }
    let mut state = store.look();
    store.repository.hold().unwrap().recover(&mut state, at(NOON), DAY).unwrap();
    assert!(state.transaction.is_none() && store.look().transaction.is_none());
}

#[test]
fn a_transaction_that_nobody_completes_does_not_swallow_later_pushes() {
    let store = store();
    let held = store.repository.hold().unwrap();
    held.open_transaction(at("2026-11-19T11:59:59Z")).unwrap();
    stage_with(&held, "f").join(&into("")).unwrap();
    let mut state = store.look();
    assert_eq!(held.recover(&mut state, at(NOON), DAY).unwrap().len(), 2);
    assert!(state.transaction.is_none());
    assert_eq!(store.bases_of(&state, false).len(), 1, "its data is linked from all the same");
}
