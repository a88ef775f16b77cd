//! Asks the machine's name services, by getent(1), for accounts that are not in `/etc/passwd` and
//! for addresses of hosts.
//!
//! In the gate itself the C library would load the modules that nsswitch.conf(5) names, and a
//! service may hang. So every question is a process that is ended when its time is over. Nothing of
//! a client's reaches it: no variable of the environment, which resolv.conf(5) and others obey, and
//! no descriptor.

use std::io::{self, PipeReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::fork::{forked_with_gate, is_alone};
use super::leader::Leader;
use super::milliseconds;
use crate::terms::limits::MAX_ANSWER;

/// Where it is, wherever there is a C library like the one that it belongs to.
pub const GETENT: &str = "/usr/bin/getent";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// An account, by its name or number.
    Account,
    /// The groups of an account besides its own, by its name.
    Groups,
    /// The addresses of a host, also of a kind that this machine has none of, as the C library
    /// answers.
    Addresses,
    /// The same without the latter. A getent(1) before glibc 2.37 can do no more.
    OurAddresses,
}

impl Ask {
    fn words(self) -> &'static [&'static str] {
        // `--`: no word is taken for an option.
        match self {
            Self::Account => &["--", "passwd"],
            Self::Groups => &["--", "initgroups"],
            Self::Addresses => &["--no-addrconfig", "--", "ahosts"],
            Self::OurAddresses => &["--", "ahosts"],
        }
    }
}

/// Asks all at once, each for one word, and returns the answers in the order of the questions.
/// Without an answer it is empty; a late answer, or one longer than [`MAX_ANSWER`], is cut off.
pub fn getent(questions: &[(Ask, &str)], limit: Duration) -> Vec<Vec<u8>> {
    answered(questions, limit).into_iter().map(|(answer, _)| answer).collect()
}

/// The same; `None` where there is no whole answer.
pub fn getent_to_its_end(questions: &[(Ask, &str)], limit: Duration) -> Vec<Option<Vec<u8>>> {
    answered(questions, limit).into_iter().map(|(answer, is_whole)| is_whole.then_some(answer)).collect()
}

/// The answers, and whether each came to its end.
fn answered(questions: &[(Ask, &str)], limit: Duration) -> Vec<(Vec<u8>, bool)> {
    let begun = Instant::now();
    if limit.is_zero() {
        return questions.iter().map(|_| (Vec::new(), false)).collect();
    }
    let mut asked: Vec<_> = questions.iter().map(|(ask, word)| Question::ask(*ask, word)).collect();
    loop {
        let mut waiting: Vec<_> = asked.iter_mut().filter(|question| question.answering.is_some()).collect();
        let mut polled: Vec<_> =
            waiting.iter().filter_map(|question| Some(PollFd::new(question.answering.as_ref()?.0.as_fd(), PollFlags::POLLIN))).collect();
        if polled.is_empty() || begun.elapsed() > limit {
            break;
        }
        match poll(&mut polled, milliseconds(limit.saturating_sub(begun.elapsed()))) {
            Err(Errno::EINTR) => continue,
            Ok(1..) => {}
            _ => break,
        }
        let ready: Vec<bool> = polled.iter().map(|one| one.any().unwrap_or(true)).collect();
        waiting.iter_mut().zip(ready).filter(|(_, ready)| *ready).for_each(|(question, _)| question.read());
    }
    asked.into_iter().map(|question| (question.answer, question.is_whole)).collect()
}

struct Question {
    answer: Vec<u8>,
    /// Until the answer is complete or too long: where it comes from, and who is ended then.
    answering: Option<(PipeReader, Leader)>,
    /// Whether it ended by itself.
    is_whole: bool,
}

impl Question {
    fn ask(ask: Ask, word: &str) -> Self {
        let answering = io::pipe().and_then(|(reader, writer)| {
            let mut command = Command::new(GETENT);
            command.args(ask.words()).arg(word).env_clear().current_dir("/").process_group(0);
            command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
            Ok((reader, start(command)?))
        });
        Self { answer: Vec::new(), answering: answering.ok(), is_whole: false }
    }

    fn read(&mut self) {
        let Some((reader, _)) = &mut self.answering else { return };
        let mut room = [0; 4096];
        match reader.read(&mut room) {
            Ok(length @ 1..) => self.answer.extend(room.iter().take(length.min(MAX_ANSWER - self.answer.len()))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => {
                self.is_whole = ended.is_ok();
                self.answering = None;
            }
        }
        if self.answer.len() == MAX_ANSWER {
            self.answering = None;
        }
    }
}

/// Starts it so that it ends with the gate. Beside a thread, in a `watch`, that is not possible:
/// then its answer or the library's own limit ends it, and it holds nothing.
fn start(mut command: Command) -> io::Result<Leader> {
    if !is_alone().unwrap_or(false) {
        return Leader::of_child(&command.spawn()?);
    }
    Leader::of(forked_with_gate(move || drop(command.exec()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn every_question_has_its_own_answer() {
        let answers = getent(
            &[
                (Ask::Account, "0"),
                (Ask::Account, "no-such-account"),
                (Ask::Account, "root"),
                (Ask::Addresses, "127.0.0.2"),
                (Ask::OurAddresses, "127.0.0.2"),
                (Ask::Groups, "root"),
            ],
            LONG,
        );
        let [number, nobody, name, address, ours, groups] = answers.as_slice() else { panic!("{answers:?}") };
        assert!(number.starts_with(b"root:") && number == name, "{answers:?}");
        assert!(nobody.is_empty() && groups.starts_with(b"root "), "{answers:?}");
        assert!(ours.starts_with(b"127.0.0.2 ") && (address == ours || address.is_empty()), "{answers:?}");
        assert!(getent(&[], LONG).is_empty());
    }

    #[test]
    fn no_word_is_an_option_and_none_does_harm() {
        let words = ["--help", "--service=files", "-s", "", "a\0b", "a b", "$(id)", "\n"];
        let questions = words.map(|word| (Ask::Account, word));
        assert_eq!(getent(&questions, LONG), words.map(|_| Vec::<u8>::new()));
    }

    #[test]
    fn nobody_is_waited_for_longer_than_is_said() {
        let begun = Instant::now();
        assert_eq!(getent(&[(Ask::Account, "0"); 3], Duration::from_nanos(1)).len(), 3);
        assert!(begun.elapsed() < LONG);
    }

    #[test]
    fn an_answer_has_an_end() {
        let (reader, writer) = io::pipe().unwrap();
        let mut command = Command::new("yes");
        command.process_group(0).stdout(writer);
        let mut question = Question { answer: Vec::new(), answering: Some((reader, start(command).unwrap())), is_whole: false };
        while question.answering.is_some() {
            question.read();
        }
        assert_eq!(question.answer.len(), MAX_ANSWER);
    }
}
