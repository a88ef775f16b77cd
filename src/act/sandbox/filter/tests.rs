//! The filter on a real kernel.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::mpsc;

use super::*;
use crate::act::child::Attend as _;
use crate::decide::push::links::{Answer, Links};

/// Answers by what is asked, and writes it down.
#[derive(Default)]
struct Told {
    asked: Vec<(String, String)>,
}

impl Links for Told {
    fn asked(&mut self, from: &[u8], to: &[u8]) -> Answer {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.asked.push((text(from), text(to)));
        match from {
            from if from.ends_with(b"recorded") => Answer::Recorded,
            from if from.ends_with(b"failed") => Answer::Failed(libc::EMLINK),
            _ => Answer::Let,
        }
    }

    fn answer_lost(&mut self) {}
}

/// Runs `probe` on a thread whose links are asked about, and says what was asked. Once in a
/// process: libseccomp 2.5 keeps one listener for all of its filters.
fn asked(probe: impl FnOnce() + Send) -> Vec<(String, String)> {
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        // Before there is a filter: a thread has the filter of the one that starts it.
        let answering = scope.spawn(move || {
            let listener: std::os::fd::OwnedFd = receive.recv().unwrap();
            let mut told = Told::default();
            let mut answering = Answering::new(listener, nix::unistd::getpid(), &mut told).unwrap();
            while matches!(receive.try_recv(), Err(mpsc::TryRecvError::Empty)) {
                let mut waited = [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&answering), nix::poll::PollFlags::POLLIN)];
                if nix::poll::poll(&mut waited, 10_u8) == Ok(1) {
                    answering.answer();
                }
            }
            drop(answering);
            told.asked
        });
        scope.spawn(move || {
            let prepared = prepare(Isolation { view: false, asks: true, filter: None }, nix::unistd::getppid()).unwrap();
            let listener = prepared.listener().unwrap().unwrap();
            // As the gate gets it: by way of a socket, and owned.
            let itself = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).unwrap();
            send.send(rustix::process::pidfd_getfd(itself, listener, rustix::process::PidfdGetfdFlags::empty()).unwrap()).unwrap();
            probe();
            drop(send);
        });
        answering.join().unwrap()
    })
}

#[test]
fn links_are_asked_about_as_they_are_written_and_made_only_where_they_are_let() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    for name in ["let", "recorded", "failed"] {
        fs::write(at(name), name).unwrap();
    }
    let long = "x/".repeat(1900);
    let found = asked(|| {
        fs::hard_link(at("let"), at("a")).unwrap();
        fs::hard_link(at("recorded"), at("b")).unwrap();
        assert_eq!(fs::hard_link(at("failed"), at("c")).unwrap_err().raw_os_error(), Some(libc::EMLINK));
        let directory = fs::File::open(root.path()).unwrap();
        nix::unistd::linkat(&directory, "recorded", &directory, "d", nix::fcntl::AtFlags::empty()).unwrap();
        let _ = fs::hard_link(Path::new(&long).join("recorded"), "e");
        let _ = fs::hard_link("/".repeat(5000), "f");
        // By a descriptor: the kernel's to answer.
        let flags = nix::fcntl::AtFlags::AT_SYMLINK_FOLLOW;
        nix::unistd::linkat(nix::fcntl::AT_FDCWD, &at("let"), nix::fcntl::AT_FDCWD, &at("g"), flags).unwrap();
    });
    let path = |name: &str| at(name).display().to_string();
    let mut expected = vec![(path("let"), path("a")), (path("recorded"), path("b")), (path("failed"), path("c"))];
    expected.push((path("recorded"), path("d")));
    expected.push((format!("{long}recorded"), "e".to_owned()));
    assert_eq!(found, expected);
    assert_eq!(fs::metadata(at("a")).unwrap().ino(), fs::metadata(at("let")).unwrap().ino());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 5, "nothing else was made");
}
