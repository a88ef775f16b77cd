//! Whose silence is idle: a client at work on its own files is waited for, one that has only to send is not. What a slow disk does to a
//! client's rsync is done here by stopping it, or by a file of filter rules that cannot be read yet: to the server they look the same.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;

use support::{Gate, POLICY, Ran, Running};

/// Longer than the limit, and than the two looks that it may take to be seen.
const LONGER: Duration = Duration::from_secs(17);

fn gate(limits: &str) -> Gate {
    Gate::with("", &format!("{POLICY}time_limits: {{ {limits} }}\n"))
}

/// A push whose client does not come to the end of its list: it reads the rules of some directory from a pipe.
struct Listing {
    push: Running,
    pipe: PathBuf,
}

impl Listing {
    /// Starts it; the pipe is in that directory, and so many processes of the server's rsync wait.
    fn start(gate: &Gate, place: &str, options: &[&str], processes: usize) -> Self {
        let source = gate.source("listed");
        fs::write(source.join("a-small-one"), "small").unwrap();
        fs::create_dir_all(source.join(place)).unwrap();
        let pipe = source.join(place).join(".rules");
        mkfifo(&pipe, Mode::from_bits_truncate(0o600)).unwrap();
        let options = [&["-c", "--filter=:es .rules"], options].concat();
        let push = Running::start(&mut gate.push_command(&source, &options, ""));
        support::until("the server waits for the list", || gate.rsyncs().len() == processes);
        // It is at the list still, and not on its way to it.
        sleep(Duration::from_millis(500));
        assert_eq!(gate.rsyncs().len(), processes);
        Self { push, pipe }
    }

    /// Lets the client go on, if it is there.
    fn goes_on(self) -> Ran {
        let _ = fs::File::options().write(true).custom_flags(nix::libc::O_NONBLOCK).open(&self.pipe);
        self.push.wait()
    }

    /// The same after longer than the limit.
    fn goes_on_late(self) -> Ran {
        sleep(LONGER);
        self.goes_on()
    }
}

/// A directory with a file of this size that takes no room.
fn large(gate: &Gate, size: u64) -> PathBuf {
    let source = gate.source("large");
    fs::write(source.join("a-small-one"), "small").unwrap();
    fs::File::create(source.join("image")).unwrap().set_len(size).unwrap();
    source
}

/// Starts a push, and stops its client as soon as something is so.
fn stopped(gate: &Gate, source: &Path, options: &[&str], is_so: impl FnMut() -> bool) -> (Running, Pid) {
    let push = Running::start(&mut gate.push_command(source, options, ""));
    let client = Pid::from_raw(i32::try_from(push.child.id()).unwrap());
    support::until("it is time to stop", is_so);
    kill(client, Signal::SIGSTOP).unwrap();
    (push, client)
}

/// Lets it go on after longer than the limit.
fn goes_on_late((push, client): (Running, Pid)) -> Ran {
    sleep(LONGER);
    kill(client, Signal::SIGCONT).unwrap();
    push.wait()
}

/// Waits until the gate has ended a push.
fn given_up(gate: &Gate) {
    let entered = || fs::read_to_string(gate.inside(".snapgate/ledger.jsonl")).is_ok_and(|ledger| ledger.ends_with('\n'));
    support::until("the gate has given up", || !gate.is_at_work() && entered());
}

/// Whether some process of the server's rsync has a file open that is called so.
fn has_open(gate: &Gate, begin: &str) -> bool {
    let files = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut open = gate.rsyncs().into_iter().flat_map(files).filter_map(|fd| fs::read_link(fd.path()).ok());
    open.any(|path| path.to_string_lossy().starts_with(begin))
}

#[test]
fn a_client_that_takes_long_over_the_first_of_its_list_is_waited_for() {
    let gate = gate("idle: 10s");
    Listing::start(&gate, "", &[], 1).goes_on_late().exits(0);
    assert_eq!(gate.record().result, Outcome::Published);
}

#[test]
fn a_client_that_takes_long_over_the_rest_of_its_list_is_waited_for_too() {
    let gate = gate("idle: 10s");
    Listing::start(&gate, "deep/down", &[], 2).goes_on_late().exits(0);
    assert_eq!(gate.record().result, Outcome::Published);
}

#[test]
fn a_client_that_compares_a_large_file_is_waited_for() {
    let gate = gate("idle: 10s");
    let source = large(&gate, 1 << 29);
    gate.push(&source, &["-S"]).exits(0);
    fs::File::options().write(true).open(source.join("image")).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    goes_on_late(stopped(&gate, &source, &["-S", "--no-whole-file"], || has_open(&gate, "/stage/.image"))).exits(0);
    // Both have all of it to read now, and neither says anything.
    gate.push(&source, &["-cS"]).exits(0);
    assert_eq!((gate.snapshots().len(), gate.record().push.unwrap().received), (3, 0));
}

#[test]
fn whoever_stops_in_the_middle_of_a_file_is_ended_and_all_are_told_by_which_limit() {
    let gate = gate("idle: 10s");
    let source = large(&gate, 1 << 30);
    let (push, client) = stopped(&gate, &source, &["-S", "--bwlimit=100"], || has_open(&gate, "/stage/.image"));
    given_up(&gate);
    kill(client, Signal::SIGCONT).unwrap();
    let ran = push.wait();
    let record = gate.record();
    let reason = &record.reasons[0];
    assert_eq!((record.result, record.exit, reason.code), (Outcome::Failed, 30, Code::Interrupted));
    assert!(ran.stderr.contains("snapgate: the push did not finish: nothing came for 10s (code interrupted)"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("time_limits"), "that is the server's: {}", ran.stderr);
    assert!(reason.rule.as_ref().is_some_and(|rule| rule.file.ends_with("web1.yaml") && rule.line > 0), "{reason:?}");
    gate.flush();
    let mails = gate.mails();
    let says = |words: &str| mails.iter().any(|mail| mail.replace("\r\n", "\n").contains(words));
    assert!(says("`time_limits: {idle: …}`") || says("time_limits: {idle:"), "{mails:?}");
    assert!(!says("nothing, if the client pushes again"), "{mails:?}");
}

#[test]
fn whoever_stays_silent_over_the_list_is_ended_by_the_limit_of_the_whole_push() {
    let gate = gate("idle: 10s, push: 15s");
    let mut listing = Listing::start(&gate, "", &[], 1);
    given_up(&gate);
    let record = gate.record();
    assert_eq!((record.result, record.exit, record.reasons[0].code), (Outcome::Failed, 75, Code::Deadline));
    listing.push.child.kill().unwrap();
    listing.push.wait();
}

#[test]
fn a_limit_of_the_client_s_own_counts_and_is_told_from_the_server_s() {
    let gate = gate("idle: 10s");
    let listing = Listing::start(&gate, "", &["--timeout=3"], 1);
    given_up(&gate);
    let ran = listing.goes_on();
    let record = gate.record();
    assert_eq!((record.result, record.exit, record.reasons[0].code), (Outcome::Failed, 30, Code::Interrupted));
    assert!(ran.stderr.contains("nothing came for as long as your own --timeout allows"), "{}", ran.stderr);
    assert!(record.reasons[0].remedy.as_ref().unwrap().contains("leave `--timeout` out"), "{record:?}");
}

#[test]
fn a_longer_limit_of_the_client_s_own_does_not_bring_the_server_s_back() {
    let gate = gate("idle: 10s");
    Listing::start(&gate, "", &["--timeout=60"], 1).goes_on_late().exits(0);
    assert_eq!(gate.record().result, Outcome::Published);
}
