//! `snapgate status`: how the last try ended, and the table that is drawn again and again.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use support::{Gate, run, skip, until};

use crate::{client, says};

#[test]
fn the_table_says_how_the_last_try_to_back_up_ended() {
    let gate = Gate::with("", &format!("{}keep: {{ daily: 9 }}\n", support::POLICY));
    let last = || {
        let json: serde_json::Value = serde_json::from_str(&says(&gate, &["status", "--json"]).exits(0).stdout).unwrap();
        json[0]["last"].clone()
    };
    assert_eq!(last(), serde_json::Value::Null);
    gate.push(&gate.source("data"), &[]).exits(0);
    assert_eq!(last()["outcome"], "published");
    gate.say("status").exits(0);
    assert_eq!(last()["outcome"], "published", "to ask is no try");
    gate.say("nothing of the kind");
    assert_eq!((&last()["outcome"], &last()["code"]), (&"refused".into(), &"program".into()));
    let said = says(&gate, &["status"]).exits(0).stdout;
    assert!(said.lines().nth(1).unwrap().contains("  refused (program)  "), "{said}");
    assert_eq!(last()["at"].as_str().map(|at| at.ends_with('Z')), Some(true));
}

#[test]
fn watching_draws_it_again_at_a_terminal_and_once_for_a_pipe() {
    let gate = Gate::new();
    gate.push(&gate.source("data"), &[]).exits(0);
    assert_eq!(says(&gate, &["status", "--watch"]).exits(0).stdout, says(&gate, &["status"]).exits(0).stdout);
    if !std::path::Path::new("/usr/bin/script").exists() {
        return skip("there is no script(1), which gives it a terminal");
    }
    let said = gate.path().join("said");
    let program = gate.snapgate(&["status", "--watch"]);
    let words: Vec<_> = std::iter::once(program.get_program()).chain(program.get_args()).map(|word| word.to_str().unwrap()).collect();
    // Where the tests run in the background a shell has them ignore it, and everything that they start.
    let mut command = Command::new("script");
    command
        .args(["-qfec", &format!("stty rows 6 cols 40; exec env --default-signal=INT {}", words.join(" ")), "/dev/null"])
        .env("TERM", "xterm");
    let mut child = command.stdin(Stdio::piped()).stdout(File::create(&said).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    let drawn = || fs::read_to_string(&said).unwrap();
    until("it is drawn twice", || drawn().matches("\u{1b}[H\u{1b}[J").count() >= 2);
    assert!(drawn().lines().all(|line| line.trim_end().trim_start_matches("\u{1b}[H\u{1b}[J").chars().count() <= 40), "{}", drawn());
    // Ctrl-C, as the terminal sends it.
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"\x03").unwrap();
    until("it has ended", || child.try_wait().unwrap().is_some());
    let end = drawn();
    let after = end.rsplit("\u{1b}[J").next().unwrap();
    assert!(!after.contains('\u{1b}') && after.starts_with("client"), "the terminal is as it was: {after:?}");
}

#[test]
fn a_thousand_clients_take_less_than_a_second_of_a_processor() {
    let gate = Gate::new();
    gate.push(&gate.source("data"), &[]).exits(0);
    let policy = fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap();
    for number in 0..1000 {
        let name = format!("c{number:04}");
        gate.write(&format!("config/policies/{name}.yaml"), &policy);
        support::must(Command::new("cp").arg("-a").arg(gate.repository()).arg(gate.path().join("store").join(&name)));
    }
    client(&gate, "young");
    let said = timed(&gate, &["status"]);
    assert_eq!(said.lines().filter(|line| line.contains("  published  ")).count(), 1001);
    // When it counts for the first time, and with something new of each.
    let counted = |said: &str| said.lines().filter(|line| line.ends_with("outcome=\"published\"} 1")).count();
    assert_eq!(counted(&timed(&gate, &["metrics"])), 0);
    for number in 0..1000 {
        let ledger = gate.path().join(format!("store/c{number:04}/.snapgate/ledger.jsonl"));
        let line = fs::read_to_string(&ledger).unwrap();
        fs::write(&ledger, format!("{line}{}", line.replace("Z-", "Z-9"))).unwrap();
    }
    assert_eq!(counted(&timed(&gate, &["metrics"])), 1000);
    assert_eq!(says(&gate, &["log", "-n", "5"]).exits(0).stdout.lines().count(), 5);
}

/// What it says, if the processors did not work for too long.
#[track_caller]
fn timed(gate: &Gate, words: &[&str]) -> String {
    let program = gate.snapgate(words);
    let words: Vec<_> = std::iter::once(program.get_program()).chain(program.get_args()).map(|word| word.to_str().unwrap()).collect();
    let said = run(Command::new("/bin/sh").args(["-c", "\"$@\"; times", "sh"]).args(words)).exits(0).stdout;
    // What the processors did for it, on however many of them, and with whatever else there was to do meanwhile.
    let times = said.lines().last().unwrap();
    let seconds = |time: &str| -> f64 {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    let took: f64 = times.split_whitespace().map(seconds).sum();
    // A build for tests is some times slower than a release.
    let limit = if cfg!(debug_assertions) { 3.0 } else { 1.0 };
    assert!(took < limit, "{took} s");
    said
}
