//! The commands of docs/history.md, as they stand there.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Past;
use support::run;

#[test]
fn every_command_of_the_document_has_an_answer() {
    let past = Past::new();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/history.md")).unwrap();
    let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(commands.len(), 21, "{commands:?}");
    let day = (chrono::Utc::now() - chrono::TimeDelta::days(1)).format("@%Y-%m-%d").to_string();
    for command in commands {
        let ran = match command.strip_prefix("ssh backup ") {
            // sshd is handed what the client's shell has made of it.
            Some(said) => past.gate.say(&said.replace('\'', "").replace("@2026-11-20", &day)),
            None => {
                let program = format!("{} --config {}/config", support::SNAPGATE, past.gate.path().display());
                run(Command::new("sh").args(["-c", &command.replacen("snapgate", &program, 1)]))
            }
        };
        assert!(ran.status == 0 && !ran.stdout.is_empty(), "{command}: {ran:?}");
    }
}
