//! Whole-program tests that need the gate's own process in their hands: kills at every system call, what rsync sees from
//! inside, limits of time, names of hosts. One program, because linking takes longer than running.
#![cfg(test)]

mod crash;
mod current;
mod history;
mod jail;
mod limits;
mod mailer;
mod names;
mod options;
#[path = "../support/processes.rs"]
mod processes;
mod site_file;
#[path = "../support/smtp.rs"]
mod smtp;
#[path = "../support/direct.rs"]
mod support;
