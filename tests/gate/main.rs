//! Whole-program tests that need the gate's own process in their hands: kills at every system call, what rsync sees from
//! inside, limits of time, names of hosts. One program, because linking takes longer than running.
#![cfg(test)]

mod again;
mod attacks;
mod browse;
mod by_a_user;
mod carried;
mod checked;
mod checked_logins;
mod checked_places;
mod checked_world;
mod closing;
mod coming_from;
mod completes;
mod crash;
mod current;
mod doctor;
mod doctor_machine;
mod doctor_mends;
mod history;
mod hostile_commands;
mod init;
mod jail;
mod killed;
mod limits;
mod listed;
mod mailer;
mod modes;
mod names;
mod older;
mod options;
mod owners;
mod parts;
mod said;
mod secluded;
mod shares;
mod shrunk;
mod silence;
mod site_file;
mod taken_over;
mod told;
mod tries;
mod typed;
mod walks;
