//! Whole-program tests that need the gate's own process in their hands: kills at every system call, what rsync sees from
//! inside, limits of time, names of hosts. One program, because linking takes longer than running.
#![cfg(test)]

mod again;
mod attacks;
mod by_a_user;
mod carried;
mod checked;
mod checked_logins;
mod checked_places;
mod closing;
mod coming_from;
mod completes;
mod crash;
mod current;
#[path = "../support/history.rs"]
mod facts;
mod history;
mod hostile_commands;
mod jail;
mod killed;
#[path = "../support/layer.rs"]
mod layer;
mod limits;
mod mailer;
mod modes;
#[path = "../support/mutate.rs"]
mod mutate;
mod names;
mod older;
mod options;
mod owners;
mod parts;
#[path = "../support/processes.rs"]
mod processes;
mod said;
mod secluded;
mod shares;
mod shrunk;
mod silence;
mod site_file;
#[path = "../support/smtp.rs"]
mod smtp;
#[path = "../support/direct.rs"]
mod support;
mod taken_over;
mod told;
#[path = "../support/tree.rs"]
#[expect(dead_code, reason = "the tests with sshd use all of it")]
mod tree;
mod tries;
mod typed;
#[path = "../support/older.rs"]
mod versions;
mod walks;
