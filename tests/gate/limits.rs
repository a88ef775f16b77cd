//! What is ended, when, and how cleanly; what rsync sees of the world while it runs; what outlives a session.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;
use snapgate::terms::record::Jail;

use support::processes::{is_alive, of};
use support::{Gate, POLICY, Running, can_trace, is_root, kept};

/// A tree that takes long: one small file first, one large one after it.
fn slow_source(gate: &Gate) -> PathBuf {
    let source = gate.source("slow");
    fs::write(source.join("a-small-one"), "small").unwrap();
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(12_000_000)
    .collect();
    fs::write(source.join("large"), noise).unwrap();
    source
}

/// A push of it that would take a minute.
fn slow_push(gate: &Gate, source: &Path, wrap: &str) -> Running {
    Running::start(&mut gate.push_command(source, &["--bwlimit=200", "--whole-file"], wrap))
}

fn stop(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

#[test]
fn the_deadline_ends_rsync_cleanly_and_keeps_what_it_received() {
    let gate = Gate::with("", &format!("{POLICY}time_limits: {{ push: 5s }}\n"));
    let source = slow_source(&gate);
    let push = slow_push(&gate, &source, "");
    support::until("both processes of rsync run", || gate.rsyncs().len() == 2);
    let pids = gate.rsyncs();

    let ran = push.wait();
    assert!(ran.took > Duration::from_secs(4) && ran.took < Duration::from_secs(15), "{:?}", ran.took);
    assert_ne!(ran.status, 0);
    assert!(pids.iter().all(|pid| !is_alive(*pid)) && !gate.rsync_runs(), "rsync is still there");
    support::until("the gate has ended", || of(gate.path(), "snapgate-shell").is_empty());
    let record = gate.record();
    assert_eq!((record.result, record.exit, record.reasons[0].code), (Outcome::Failed, 75, Code::Deadline));
    assert_eq!(ran.code(), Some("deadline"), "{}", ran.stderr);

    let kept = gate.inside(".snapgate/interrupted/1");
    let names: BTreeSet<_> = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["a-small-one".to_owned(), "large".to_owned()]), "files lost, or temporary ones left");
    let partial = fs::metadata(kept.join("large")).unwrap().len();
    assert!(partial > 200_000 && partial < 12_000_000, "{partial}");
    assert!(gate.snapshots().is_empty());
    gate.flush();
    assert!(gate.mails().iter().any(|mail| mail.contains("To: alerts@") && mail.contains("longer than it may")), "{:?}", gate.mails());

    let again = gate.push(&source, &["--no-whole-file"]).exits(0);
    assert!(again.figure("Literal data") <= 12_000_005 - partial + 8192, "{}", again.stdout);
    assert_eq!(fs::read(gate.newest().join("large")).unwrap(), fs::read(source.join("large")).unwrap());
}

#[test]
fn a_client_that_says_nothing_is_ended_by_the_idle_limit() {
    let gate = Gate::with("", &format!("{POLICY}time_limits: {{ idle: 10s }}\n"));
    let mut command = gate.say_command("rsync --server -logDtpre.iLsfxCIvu . .", "");
    // Connected for as long as the test likes, and silent.
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _line = child.stdin.take();
    let began = Instant::now();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert!(began.elapsed() > Duration::from_secs(9) && began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    assert_eq!(status.code(), Some(30), "{said}");
    assert!(said.contains("(code interrupted)"), "{said}");
    assert_eq!(gate.record().reasons[0].code, Code::Interrupted);
}

/// rsync's own limit does not see this one: its generator sends a sign of life every half of the limit, and takes it for a
/// sign of life of the client's as long as it can be written (`check_timeout` in rsync's io.c; measured with 3.5.0).
#[test]
fn a_client_that_freezes_on_the_way_is_ended_although_its_line_is_open() {
    let gate = Gate::with("", &format!("{POLICY}time_limits: {{ idle: 10s, push: 1h }}\n"));
    let source = slow_source(&gate);
    let mut push = slow_push(&gate, &source, "");
    support::until("something has arrived", || gate.inside("inprogress/a-small-one").exists());
    let client = push.child.id();
    stop(client, Signal::SIGSTOP);
    support::until("the gate has given up", || of(gate.path(), "snapgate-shell").is_empty());
    assert!(gate.rsyncs().is_empty() && !gate.rsync_runs());
    let record = gate.record();
    assert_eq!((record.result, record.exit), (Outcome::Failed, 30), "rsync's own status for it");
    assert_eq!(fs::read_to_string(gate.inside(".snapgate/interrupted/1/a-small-one")).unwrap(), "small");
    stop(client, Signal::SIGKILL);
    push.child.wait().unwrap();
}

fn lines(pid: u32, file: &str) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap();
    String::from_utf8_lossy(&bytes).split(['\n', '\0']).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A limit by its name in `/proc/PID/limits`: soft and hard.
fn limit(pid: u32, name: &str) -> (String, String) {
    let lines = lines(pid, "limits");
    let line = lines.iter().find_map(|line| line.strip_prefix(name)).unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

#[test]
fn rsync_inherits_a_fixed_environment_four_descriptors_and_low_limits() {
    let gate = Gate::new();
    let source = slow_source(&gate);
    gate.write("secret", "not for rsync");
    // What a careless sshd, a PAM module or `AcceptEnv` could hand over.
    gate.write("leak", "exec 3<$DIR/secret 7<$DIR/secret 9>>$DIR/leaked 8<$DIR\nexec \"$@\"\n");
    let variables = "HOME=/root USER=x PATH=/tmp RSYNC_MAX_ALLOC=1 CVSIGNORE=x OPENSSL_CONF=/x TZ=Asia/Tokyo LANG=de_DE RSYNC_RSH=x";
    let wrap = format!("/usr/bin/env {variables} /bin/sh {}/leak", gate.path().display());
    let mut push = slow_push(&gate, &source, &wrap);
    support::until("both processes of rsync run", || gate.rsyncs().len() == 2);
    support::until("something has arrived", || gate.inside("inprogress/a-small-one").exists());
    for pid in gate.rsyncs() {
        let environment: BTreeSet<_> = lines(pid, "environ").into_iter().collect();
        assert_eq!(environment, BTreeSet::from(["LC_ALL=C".to_owned(), "TZ=UTC".to_owned()]));

        // Besides what it was given, rsync has what it opened itself: its log, its temporary file, pipes between its two
        // processes. Of the gate's own there is the lock.
        let mut held = 0;
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
            let Ok(target) = fs::read_link(entry.unwrap().path()) else { continue };
            let shown = target.to_string_lossy();
            let own = ["/rsync.log", "/stage"].iter().any(|name| target.starts_with(name));
            let lock = target == gate.inside(".snapgate/rsync.lock");
            held += usize::from(lock);
            let unnamed = shown.starts_with("pipe:") || shown.starts_with("socket:");
            // Where this test collects what the client's rsync says.
            let ours = shown.starts_with(&format!("{}/#", std::env::temp_dir().display()));
            assert!(own || lock || unnamed || ours || shown == "/dev/null", "rsync holds {shown}");
        }
        assert_eq!(held, 1, "the lock");

        let status = lines(pid, "status");
        assert!(status.contains(&"NoNewPrivs:\t1".to_owned()), "{status:?}");
        // Root's rsync gives files what root's may have: owners, modes, attributes; a client's root has no trusted attributes, CAP_SYS_ADMIN.
        // Anybody else's is let into the account's own files, CAP_DAC_OVERRIDE.
        let kept: &[u32] = match (kept::keeper(), kept::is_dropped()) {
            (None, _) if is_root() => &[0, 1, 3, 4, 21, 31],
            (Some(_), false) => &[0, 1, 3, 4, 31],
            _ => &[1],
        };
        let power = kept.iter().fold(0_u64, |all, number| all | 1 << number);
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(status.contains(&format!("{set}:\t{power:016x}")), "{set}: {status:?}");
        }
        let both = |text: &str| (text.to_owned(), text.to_owned());
        assert_eq!(limit(pid, "Max core file size"), both("0"));
        assert_eq!(limit(pid, "Max address space"), both(&(8_u64 << 30).to_string()));
        assert_eq!(limit(pid, "Max open files"), both("8192"));
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/stage"));
        let seen: BTreeSet<_> = fs::read_dir(format!("/proc/{pid}/root")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let known = ["dev", "etc", "lib", "lib64", "rsync.log", "stage", "usr"].map(std::ffi::OsString::from);
        assert!(seen.iter().all(|name| known.contains(name)), "rsync sees {seen:?}");
        assert!(fs::read_dir(format!("/proc/{pid}/root/etc")).unwrap().count() <= 1, "more than the linker's list");
    }
    stop(push.child.id(), Signal::SIGKILL);
    push.child.wait().unwrap();
    support::until("rsync is gone", || gate.rsyncs().is_empty());
    assert_eq!(fs::read_to_string(gate.path().join("leaked")).unwrap(), "");
}

#[test]
fn a_program_in_rsync_s_place_is_started_with_nothing_of_the_gate_s() {
    // Without the jail, so that it can be a script: it writes down what it was started with, and becomes rsync.
    let gate = Gate::with("jail: off\nrsync: $DIR/spy\n", POLICY);
    let text = "#!/bin/sh\nif [ \"$1\" != --version ]; then\n\
                ls /proc/self/fd >$DIR/fds; tr '\\0' '\\n' </proc/$$/environ >$DIR/environ; fi\nexec /usr/bin/rsync \"$@\"\n";
    gate.write("spy", text);
    support::must(std::process::Command::new("chmod").arg("700").arg(gate.path().join("spy")));
    gate.write("leak", "exec 5<$DIR/ssh 7<$DIR/ssh\nexec \"$@\"\n");
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    let wrap = format!("/bin/sh {}/leak", gate.path().display());
    support::run(&mut gate.push_command(&source, &[], &wrap)).exits(0);
    let fds: Vec<_> = fs::read_to_string(gate.path().join("fds")).unwrap().split_whitespace().map(str::to_owned).collect();
    // 0 to 2, the lock, and the directory that `ls` reads; dash may hold the script itself, which is the kernel's doing.
    let besides: Vec<_> = fds.iter().filter(|fd| !["0", "1", "2", "10"].contains(&fd.as_str())).collect();
    assert!(besides.len() <= 2, "{fds:?}");
    let environment: BTreeSet<_> = fs::read_to_string(gate.path().join("environ")).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(environment, BTreeSet::from(["LC_ALL=C".to_owned(), "TZ=UTC".to_owned()]));
    assert_eq!(gate.record().jail, Jail::Off);
}

#[test]
fn a_mail_server_that_never_answers_holds_up_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let open = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&open);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            taken.lock().unwrap().push(stream);
        }
    });
    let site = format!("mail: {{ from: gate@example.org, to: [alerts@example.org], transport: \"smtp://127.0.0.1:{port}\" }}\n");
    let gate = Gate::with(&site, POLICY);
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();

    // `output` waits for the end of both pipes, as sshd does: whoever still held one would be waited for.
    let began = Instant::now();
    let refused = gate.say_command("rm -rf /", "").output().unwrap();
    assert_eq!(refused.status.code(), Some(77));
    let pushed = gate.push_command(&source, &[], "").output().unwrap();
    assert!(pushed.status.success(), "{pushed:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    support::until("the mail server was asked", || !open.lock().unwrap().is_empty());
    // Each event starts a pass, and the second finds the first at it and ends.
    support::until("one pass is at it", || of(gate.path(), "snapgate").len() == 1);
    let passes = of(gate.path(), "snapgate");
    let session = |pid: Option<u32>| nix::unistd::getsid(pid.map(|pid| Pid::from_raw(i32::try_from(pid).unwrap()))).unwrap();
    support::until("each pass is in a session of its own", || passes.iter().all(|pid| session(Some(*pid)) != session(None)));
    for pid in passes {
        for number in 0..3 {
            assert_eq!(fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap(), Path::new("/dev/null"));
        }
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
            let Ok(target) = fs::read_link(entry.unwrap().path()) else { continue };
            assert!(!target.starts_with(gate.repository()) && !target.to_string_lossy().starts_with("pipe:"), "{}", target.display());
        }
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
        assert_eq!(lines(pid, "environ"), Vec::<String>::new());
    }
    let waiting = ["new", "out"].iter().map(|name| fs::read_dir(gate.spool().join(name)).unwrap().count()).sum::<usize>();
    let state = fs::read_to_string(gate.spool().join("state.json")).unwrap_or_default();
    assert!(waiting > 0 || state.contains("refused"), "the events are gone");
}

#[test]
fn an_rsync_that_cannot_be_waited_for_is_ended_with_all_that_it_has_started() {
    if !can_trace() {
        return;
    }
    let gate = Gate::with("rsync: $DIR/stubborn\njail: off\n", POLICY);
    // Tame at first, so that its version is known afterwards.
    let stubborn = "#!/bin/sh\n[ ! -e $DIR/tame ] || exec /usr/bin/rsync \"$@\"\ntrap '' TERM\n(trap '' TERM; sleep 61) &\nsleep 61\n";
    gate.write("stubborn", stubborn);
    support::must(std::process::Command::new("chmod").arg("700").arg(gate.path().join("stubborn")));
    gate.write("tame", "");
    gate.push(&gate.source("data"), &[]).exits(0);
    fs::remove_file(gate.path().join("tame")).unwrap();
    let push = "rsync --server -logDtpre.iLsfxCIvu . .";
    // The first one is the start of every program written in Rust.
    let wrap = "strace -qq -o /dev/null -e trace=poll -e inject=poll:error=EINVAL:when=2+";
    let began = Instant::now();
    let ran = support::run(&mut gate.say_command(push, wrap));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_ne!(ran.status, 0);
    support::until("nothing of it is left", || of(gate.path(), "stubborn").is_empty());
    assert!(gate.snapshots().len() == 1 && !gate.inside("inprogress").exists());
    let record = gate.record();
    assert!(record.reasons[0].detail.contains("could not wait for it"), "{record:?}");
}
