//! Advice on a command with something around rsync or in its place: `--rsync-path` arrives as words
//! before `--server` (`sudo rsync`, `mkdir -p x && rsync`).

use super::other::{OTHER_ACCOUNT, transfer};
use super::{Probe, begins_with_server, is_rsync, programs, usage};
use crate::decide::rsync::options::shown;
use crate::terms::limits::{MAX_ADVICE, MAX_SHOWN_WORD};
use crate::terms::text::printable_within;
use crate::terms::word::nearest;
use crate::terms::{Code, Reason, Verb};

/// A word as a shell would see it, and its end in the command.
#[derive(Debug)]
struct Word {
    text: String,
    end: usize,
}

/// The words of each command of a line.
pub(in crate::decide) fn words_of_commands(line: &str) -> Vec<Vec<String>> {
    commands(line.as_bytes()).into_iter().map(|words| words.into_iter().map(|word| word.text).collect()).collect()
}

/// Splits at quotes, `;`, `&`, `|` and brackets. Variables stay as they are.
fn commands(bytes: &[u8]) -> Vec<Vec<Word>> {
    let mut commands = vec![Vec::new()];
    let (mut word, mut quote): (Option<Vec<u8>>, Option<u8>) = (None, None);
    // The word behind `>` or `<` is a file's name.
    let mut names_file = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None | Some(b'"'), b'\\') => {
                at += 1;
                word.get_or_insert_default().extend(bytes.get(at));
            }
            (Some(_), _) => word.get_or_insert_default().push(byte),
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            // A command substitution is a command of its own.
            (None, b'$') if bytes.get(at + 1) == Some(&b'(') => {}
            (None, b' ' | b'\t' | b'\n' | b'\r' | b';' | b'&' | b'|' | b'(' | b')' | b'`' | b'<' | b'>') => {
                // Digits right before `>` or `<` are a descriptor's number.
                let descriptor = |word: &Vec<u8>| b"<>".contains(&byte) && word.iter().all(u8::is_ascii_digit);
                word = word.filter(|word| !descriptor(word));
                take(&mut commands, &mut word, at, &mut names_file);
                // In `2>&1` the `&` ends nothing.
                let ends = !b" \t<>".contains(&byte) && (byte != b'&' || !names_file);
                names_file |= b"<>".contains(&byte);
                if ends {
                    commands.push(Vec::new());
                }
            }
            (None, _) => word.get_or_insert_default().push(byte),
        }
        at += 1;
    }
    take(&mut commands, &mut word, bytes.len(), &mut names_file);
    commands.retain(|command| !command.is_empty());
    commands
}

fn take(commands: &mut [Vec<Word>], word: &mut Option<Vec<u8>>, end: usize, names_file: &mut bool) {
    let Some(word) = word.take() else { return };
    if std::mem::take(names_file) {
        return;
    }
    if let Some(command) = commands.last_mut() {
        command.push(Word { text: String::from_utf8_lossy(&word).into_owned(), end });
    }
}

/// Names, grouped by the advice on them.
#[derive(Default)]
struct Advice(Vec<(&'static str, Vec<String>)>);

impl Advice {
    fn add(&mut self, name: &str, instead: &'static str) {
        let name = format!("`{}`", shown(name));
        match self.0.iter_mut().find(|(known, _)| *known == instead) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => self.0.push((instead, vec![name])),
        }
    }

    /// Adds what a command begins with: variables, wrappers, then the first other program.
    fn of(&mut self, words: &[Word]) {
        let mut first = true;
        let mut words = words.iter();
        while let Some(Word { text, .. }) = words.next() {
            if matches!(text.as_str(), "-u" | "-g") {
                // What follows is an account's name, which may be any word.
                words.next();
                continue;
            }
            let kind = if is_assignment(text) { programs::environment() } else { programs::kind(text) };
            match kind {
                Some(kind) => self.add(&named(text), kind.instead),
                None if first => self.add(text, programs::STRANGER),
                None => continue,
            }
            if !kind.is_some_and(|kind| kind.wraps) {
                return;
            }
            first = false;
        }
    }

    /// Each piece of advice with the names it is for.
    fn parts(&self, around: impl Fn(&str) -> String) -> String {
        let parts = self.0.iter().take(MAX_ADVICE);
        parts.map(|(instead, names)| format!("{}: {instead}", around(&listed(names)))).collect::<Vec<_>>().join("; ")
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().flat_map(|(_, names)| names).cloned().collect()
    }
}

fn listed(names: &[String]) -> String {
    names.iter().take(MAX_ADVICE).cloned().collect::<Vec<_>>().join(", ")
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// An assignment by its variable alone: the value may be long or private.
fn named(word: &str) -> String {
    if is_assignment(word) { word.split_once('=').map(|(name, _)| format!("{name}=")).unwrap_or_default() } else { word.to_owned() }
}

/// Whether a program's name is that of some rsync, on any system.
fn looks_like_rsync(word: &str) -> bool {
    let base = word.rsplit(['/', '\\']).next().unwrap_or(word).to_ascii_lowercase();
    base.starts_with("rsync") || base.ends_with("rsync") || base.ends_with("rsync.exe")
}

const PLAIN: &str = "leave --rsync-path out, so that rsync asks for plain `rsync`";

const OWN_RSYNC: &str = "the server's own rsync is what runs, wherever it is and whatever it is called";

/// rsync with something before it, or under another name.
#[derive(Debug)]
pub(in crate::decide) struct Front {
    says: String,
    hint: String,
    /// Where the words of rsync begin, behind its name.
    pub(super) rest: usize,
}

impl Front {
    /// The reason for a refusal, with advice.
    pub(super) fn reason(&self) -> Reason {
        Reason::new(Code::Program, &self.says).only_client(&self.hint)
    }

    /// The same without mention of snapshots and verbs.
    pub(in crate::decide) fn reason_without_gate(&self) -> Reason {
        Reason::new(Code::Program, &self.says).only_client(PLAIN)
    }
}

/// What stands before rsync's arguments, where that is more than its name.
pub(in crate::decide) fn front(bytes: &[u8]) -> Option<Front> {
    // The usual form, in which nearly every command comes.
    if begins_with_server(bytes) {
        return None;
    }
    let commands = commands(bytes);
    let served = commands.iter().position(|words| words.iter().any(|word| word.text == "--server"))?;
    let (words, before) = (commands.get(served)?, commands.get(..served)?);
    let server = words.iter().position(|word| word.text == "--server")?;
    let (words, server) = (words.get(..server)?, words.get(server)?);
    // A command substitution for rsync's name: `$(which rsync) --server`.
    let found_out = bytes.get(..server.end)?.strip_suffix(b"--server").map(<[u8]>::trim_ascii_end);
    let found_out = found_out.filter(|front| words.is_empty() && (front.ends_with(b")") || front.ends_with(b"`")));
    let (before, words) = match (found_out, before) {
        (Some(_), [before @ .., last]) => (before, last.as_slice()),
        _ => (before, words),
    };
    let in_brackets = bytes.trim_ascii_start().starts_with(b"(");
    if before.is_empty() && found_out.is_none() && !in_brackets && words.first().is_none_or(|first| is_rsync(&first.text)) {
        return None;
    }
    let program = words.iter().rposition(|word| looks_like_rsync(&word.text));
    let program = program.or_else(|| words.iter().rposition(|word| !word.text.starts_with('-')))?;
    let (wrappers, program) = (words.get(..program)?, words.get(program)?);
    let end = found_out.map_or(program.end, <[u8]>::len);
    let mut advice = Advice::default();
    if in_brackets {
        advice.add("(", programs::kind("(").map_or(programs::STRANGER, |kind| kind.instead));
    }
    before.iter().for_each(|words| advice.of(words));
    advice.of(wrappers);
    if !is_rsync(&program.text) || advice.0.is_empty() {
        advice.add(&program.text, programs::kind(&program.text).map_or(OWN_RSYNC, |kind| kind.instead));
    }
    let text = printable_within(bytes.get(..end)?.trim_ascii(), MAX_SHOWN_WORD);
    Some(Front {
        says: format!("`{text}` stands where `rsync` has to stand alone"),
        hint: format!("{PLAIN}; {}", advice.parts(str::to_owned)),
        rest: end,
    })
}

/// The reason for a line that begins with neither rsync nor a verb, or goes on behind a probe.
pub(super) fn instead_of_rsync(bytes: &[u8]) -> Option<Reason> {
    let commands = commands(bytes);
    let words: Vec<_> = commands.first()?.iter().map(|word| word.text.as_str()).collect();
    if Probe::of(&words).is_some() {
        let says = format!("`{}` is answered only where it stands alone", shown(&words.join(" ")));
        return Some(usage(says, "say it without anything behind it: what is to be done with the answer can be done on your side"));
    }
    let first = commands.first()?.first()?;
    if is_rsync(&first.text) || Verb::read(&first.text).is_some() {
        return None;
    }
    if let Some(reason) = transfer(&first.text) {
        return Some(reason);
    }
    let mut advice = Advice::default();
    let is_other = |words: &&Vec<Word>| words.first().is_none_or(|first| !is_rsync(&first.text));
    commands.iter().filter(is_other).for_each(|words| advice.of(words));
    let names = advice.names();
    let others = advice.parts(|names| format!("leave {names} out"));
    let hint = match nearest(&first.text, Verb::ALL.map(Verb::as_str)) {
        Some(verb) if programs::kind(&first.text).is_none() => format!("did you mean `{verb}`? Otherwise {others}"),
        _ => others,
    };
    Some(Reason::new(Code::Program, format!("{} cannot be run here", listed(&names))).hint(hint).remedy(OTHER_ACCOUNT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(command: &str) -> String {
        let front = front(command.as_bytes()).unwrap_or_else(|| panic!("{command}"));
        let reason = front.reason();
        assert_eq!(reason.code, Code::Program, "{command}");
        assert!(reason.says.contains("stands where `rsync` has to stand alone"), "{command}");
        let hint = reason.hint.unwrap();
        assert!(hint.starts_with(PLAIN) && !hint.contains('\n') && !hint.contains("; ;"), "{command}: {hint}");
        assert_eq!(command.as_bytes().get(front.rest), Some(&b' '), "{command}");
        assert!(String::from_utf8_lossy(&command.as_bytes()[front.rest..]).contains("--server"), "{command}");
        hint
    }

    #[test]
    fn whatever_stands_before_rsync_is_understood_and_told_what_to_do_instead() {
        for (front, named) in [
            ("sudo rsync", &["`sudo`: a push runs as the account of the key"][..]),
            ("sudo -n -u backup /usr/bin/rsync", &["`sudo`: "]),
            ("mkdir -p x && rsync", &["`mkdir`: a push makes its place by itself"]),
            ("mkdir -p '/srv/my data' && rsync", &["`mkdir`: "]),
            ("[ -d x ] || mkdir x; sudo nice -n 10 rsync", &["`[`: ", "`mkdir`: ", "`sudo`: ", "`nice`: "]),
            ("nice rsync", &["`nice`: go easy with nice before your own rsync, or with --bwlimit"]),
            ("ionice -c3 nice rsync", &["`ionice`, `nice`: "]),
            ("LC_ALL=C rsync", &["`LC_ALL=`: rsync has an environment of its own here"]),
            ("LC_ALL=C LANG=C env TZ=UTC rsync", &["`LC_ALL=`, `LANG=`, `env`, `TZ=`: "]),
            ("export LC_ALL=C; rsync", &["`export`, `LC_ALL=`: "]),
            ("flock -n /tmp/backup.lock rsync", &["`flock`: two pushes of a client never run side by side"]),
            ("timeout 3h rsync", &["`timeout`: use --timeout"]),
            ("umask 077; rsync", &["`umask`: use --chmod of your own rsync"]),
            ("umask 077\nrsync", &["`umask`: "]),
            ("cd /srv&&rsync", &["`cd`: write the place behind the colon"]),
            ("rsync.exe", &["`rsync.exe`: the server's own rsync is what runs"]),
            ("C:\\\\cygwin\\\\bin\\\\rsync.exe", &["rsync.exe`: the server's own rsync"]),
            ("/volume1/bin/rsync", &["`/volume1/bin/rsync`: the server's own rsync"]),
            ("~/bin/rsync3", &["`~/bin/rsync3`: the server's own rsync"]),
            ("sudo /opt/rsync", &["`sudo`: ", "`/opt/rsync`: the server's own rsync"]),
            ("/usr/local/sbin/wrap.sh", &["`/usr/local/sbin/wrap.sh`: the server's own rsync"]),
            ("rsync --version >/dev/null && rsync", &["`rsync`: "]),
            ("true; sudo rsync", &["`true`: ", "`sudo`: "]),
            ("$(which rsync)", &["`which`: the server's own rsync is what runs"]),
            ("\"$(command -v rsync)\"", &["rsync"]),
            ("`which rsync`", &["`which`: the server's own rsync is what runs"]),
            ("sudo $(command -v rsync)", &["`sudo`: ", "`command`: "]),
            ("(rsync", &["`(`: no shell runs here"]),
            ("(umask 077; rsync", &["`(`: no shell runs here", "`umask`: "]),
            ("{ rsync", &["`{`: no shell runs here"]),
        ] {
            let hint = hint(&format!("{front} --server -logDtpre.iLsfxCIvu . dst/"));
            for part in named {
                assert!(hint.contains(part), "{front}: {part}: {hint}");
            }
        }
        assert!(hint("nice rsync --fake-super --server -r . x").contains("`nice`: "));
    }

    #[test]
    fn rsync_alone_has_nothing_before_it() {
        for command in [
            "rsync --server -r . x",
            "/usr/local/bin/rsync --server -r . x",
            "rsync --server -r . a;b",
            "rsync --server . x && y --server",
            "rsync --fake-super --server -r . x",
            "'rsync' \"--server\" -r . x",
            "rsync --daemon",
            "sh -c 'rsync --server -r . x'",
            "--server",
            "; --server",
            "sudo; --server",
            "",
        ] {
            assert!(front(command.as_bytes()).is_none(), "{command}");
        }
    }

    #[test]
    fn no_text_however_odd_is_too_much() {
        let mut texts = vec![b"\xff\xfe rsync --server . x".to_vec(), b"'".to_vec(), b"a\\".to_vec(), b"> --server".to_vec()];
        texts.push([b"LC_A=".as_slice(), &[b'x'; 9000], b" rsync --server"].concat());
        texts.push([b"x;".repeat(4000), b"rsync --server".to_vec()].concat());
        texts.push([b"nice ".repeat(2000), b"rsync --server".to_vec()].concat());
        for text in texts {
            let reasons = [front(&text).map(|front| front.reason()), instead_of_rsync(&text)];
            for reason in reasons.into_iter().flatten() {
                assert!(reason.says.len() < 600 && reason.hint.unwrap().len() < 1200, "{}", reason.says.len());
            }
        }
    }

    #[test]
    fn what_is_asked_for_instead_of_rsync_is_told_what_to_do() {
        for (command, says, part) in [
            ("echo ok", "`echo` cannot be run here", "leave `echo` out: to see whether a connection works say `true`"),
            ("test -d /srv/backup", "`test` cannot be run here", "leave `test` out: a push needs nothing to be there"),
            ("mkdir -p 'my place'", "`mkdir` cannot be run here", "leave `mkdir` out: a push makes its place by itself"),
            ("test -d x || mkdir x", "`test`, `mkdir` cannot be run here", "leave `mkdir` out: "),
            ("df -P /srv | tail -1", "`df`, `tail` cannot be run here", "leave `df` out: a push for which there is no room"),
            ("sudo rm -rf -- x", "`sudo`, `rm` cannot be run here", "leave `rm` out: each push becomes a snapshot by itself"),
            ("command -v rsync", "`command` cannot be run here", "to see whether it is there say `rsync --version`"),
            ("cd x; rsync -a . backup:", "`cd` cannot be run here", "leave `cd` out: write the place behind the colon"),
            ("cd x && ln -nfs a b", "`cd`, `ln` cannot be run here", "leave `ln` out: each push"),
            ("stauts", "`stauts` cannot be run here", "did you mean `status`? Otherwise leave `stauts` out: only rsync and the verbs"),
            ("/usr/bin/frobnicate", "`/usr/bin/frobnicate` cannot be run here", "only rsync and the verbs"),
            (
                "rsync --version 2>&1 | head -1",
                "`rsync --version` is answered only where it stands alone",
                "say it without anything behind it",
            ),
            ("true; echo ok", "`true` is answered only where it stands alone", "say it without anything behind it"),
        ] {
            let reason = instead_of_rsync(command.as_bytes()).unwrap_or_else(|| panic!("{command}"));
            assert_eq!(reason.says, says, "{command}");
            assert!(reason.hint.as_ref().unwrap().contains(part), "{command}: {reason:?}");
        }
        for command in ["rsync --server -r . x", "status", "complete 1; y", ""] {
            assert!(instead_of_rsync(command.as_bytes()).is_none(), "{command}");
        }
    }
}
