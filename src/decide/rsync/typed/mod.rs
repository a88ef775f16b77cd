//! What a person types at a client, and the commands that their rsync or ssh makes of it
//! (`server_options()` in rsync's options.c), as far as they can be known. For `explain` alone.

use super::command::words_of_commands;
use super::options::{self, Cause, Row, Rule};

/// Letters, in the order in which rsync sends them.
const ORDER: &str = "vqbunldKmOJyLkWHogDUNtpEAXrcCIRxSz";

/// Capabilities of rsync from 3.2.0 on; with incremental recursion `i` comes before them.
const CAPABILITIES: &str = "LsfxCIvu";

/// Options that stay at the client, besides those that mean nothing on a server.
const KEPT: &[&str] = &[
    "--exclude-from", "--include-from", "--filter", "--log-file", "--write-batch", "--progress", "--human-readable", "--8-bit-output",
    "--skip-compress", "--implied-dirs", "--i-d", "--cache", "--no-cache", "--debug", "--max-alloc", "--info", "--msgs2stderr",
    "--no-msgs2stderr", "--fsync", "--super", "--copy-unsafe-links", "--secluded-args", "--protect-args", "--no-W", "--no-whole-file",
    "--no-dirs", "--no-d", "--no-r", "--no-recursive", "--no-relative", "--no-R", "--no-devices", "--no-specials", "--no-super",
    "--munge-links", "--devices", "--specials",
];

/// Options that are sent as two words.
const APART: &[&str] =
    &["--link-dest", "--copy-dest", "--compare-dest", "--backup-dir", "--partial-dir", "--temp-dir", "--only-write-batch"];

/// Letters with a value, and their options.
const VALUED: &[(char, &str)] =
    &[('e', "--rsh"), ('f', "--filter"), ('B', "--block-size"), ('M', "--remote-option"), ('T', "--temp-dir"), ('@', "--modify-window")];

/// ssh's letters with a value.
const SSH_VALUED: &str = "BDEFIJLOPQRSWbceilmopw";

/// What reaches the server of a typed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// These commands, one after the other; an empty one is a login without a command.
    Sends(Vec<String>),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// What reaches the server of one command, or why nothing does.
type One = Result<String, &'static str>;

/// Reads a typed line; `None` where it is none, but what a server receives.
pub fn typed(line: &str) -> Option<Typed> {
    let words = shell_words::split(line).ok()?;
    if words.iter().any(|word| word == "--server") && words.first().and_then(|first| base(first)) != Some("ssh") {
        return None;
    }
    let line = with_status(line);
    // A command substitution is a part of its word.
    let commands = if line.contains("$(") || line.contains('`') { vec![words] } else { words_of_commands(&line) };
    let mut sent = Vec::new();
    let mut nothing = None;
    for command in &commands {
        match one(command) {
            Some(Ok(command)) => sent.push(command),
            Some(Err(why)) => nothing = nothing.or(Some(why)),
            None => {}
        }
    }
    if sent.is_empty() { nothing.map(Typed::Nothing) } else { Some(Typed::Sends(sent)) }
}

/// The line with `0` for `$?`, as after a push that went well.
fn with_status(line: &str) -> String {
    line.split('\'')
        .enumerate()
        .map(|(at, part)| if at % 2 == 0 { part.replace("$?", "0") } else { part.to_owned() })
        .collect::<Vec<_>>()
        .join("'")
}

fn base(program: &str) -> Option<&str> {
    program.rsplit('/').next()
}

/// One command. Before its rsync or ssh may stand `sudo`, variables, the times of a crontab.
fn one(words: &[String]) -> Option<One> {
    let at = words.iter().position(|word| matches!(base(word), Some("ssh" | "rsync")))?;
    let (before, words) = words.split_at(at);
    let (first, rest) = words.split_first()?;
    if base(first) == Some("ssh") {
        let command = ssh(rest);
        return (before.is_empty() || command.is_some()).then(|| Ok(command.unwrap_or_default()));
    }
    // The server answers that itself.
    if matches!(rest, [only] if only == "--version" || only == "-V") {
        return None;
    }
    // `which rsync` is no push.
    Some(rsync(rest)).filter(|one| before.is_empty() || one.is_ok())
}

/// What ssh sends, if there is a host. Options may stand before the host and behind it.
fn ssh(words: &[String]) -> Option<String> {
    let behind = behind_options(words);
    let (_host, behind) = behind.split_first()?;
    Some(behind_options(behind).join(" "))
}

fn behind_options(mut words: &[String]) -> &[String] {
    while let Some((word, rest)) = words.split_first() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else { break };
        if letters == "-" {
            return rest;
        }
        let valued = letters.find(|letter| SSH_VALUED.contains(letter));
        let is_apart = valued.is_some_and(|at| at + 1 == letters.len());
        words = rest.get(usize::from(is_apart)..).unwrap_or_default();
    }
    words
}

fn rsync(words: &[String]) -> One {
    let mut sent = Sent::default();
    let mut places: Vec<&str> = Vec::new();
    let mut rest = words.iter();
    let mut only_places = false;
    while let Some(word) = rest.next() {
        if only_places || word == "-" || !word.starts_with('-') {
            places.push(word);
        } else if word == "--" {
            only_places = true;
        } else if word.starts_with("--") {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
            let value = value.or_else(|| if takes_value(name) { rest.next().cloned() } else { None });
            sent.long(name, value);
        } else {
            let mut letters = word.chars().skip(1);
            while let Some(letter) = letters.next() {
                match VALUED.iter().find(|(valued, _)| *valued == letter) {
                    None => sent.letter(letter),
                    Some((_, name)) => {
                        let behind: String = letters.by_ref().collect();
                        let behind = behind.strip_prefix('=').map(str::to_owned).unwrap_or(behind);
                        sent.long(name, if behind.is_empty() { rest.next().cloned() } else { Some(behind) });
                    }
                }
            }
        }
    }
    let Some((to, from)) = places.split_last() else { return Err("it names nothing to push and no place to push to") };
    if places.iter().any(|place| matches!(Place::of(place), Place::Daemon)) {
        return Err("it speaks to an rsync daemon and not by ssh: write one colon, host:path");
    }
    // Behind the first one, `:path` is of the same host.
    let of = |from: &&str| Place::of(from).remote().map(str::to_owned).or_else(|| from.strip_prefix(':').map(str::to_owned));
    let pulled: Vec<String> = from.iter().filter_map(of).collect();
    match (Place::of(to).remote(), pulled.first()) {
        (Some(_), Some(_)) => Err("rsync does not copy from one server to another: say it on one of the two"),
        (Some(place), None) => Ok(sent.command(from.is_empty(), &[place.to_owned()])),
        (None, Some(_)) => Ok(sent.command(true, &pulled)),
        (None, None) => Err("it copies on the client alone: name the server with a colon behind it, as in `backup:`"),
    }
}

/// What an operand names (`check_for_hostspec` in rsync's options.c).
#[derive(Debug)]
enum Place<'a> {
    Local,
    /// A host over ssh, and the path behind its colon.
    Remote(&'a str),
    Daemon,
}

impl<'a> Place<'a> {
    fn of(word: &'a str) -> Self {
        if word.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("rsync://")) {
            return Self::Daemon;
        }
        // An address in brackets has colons of its own.
        let host = word.split_once('@').filter(|(user, _)| !user.contains(['/', ':'])).map_or(word, |(_, host)| host);
        let behind = match host.strip_prefix('[') {
            Some(address) => address.split_once("]:").filter(|(address, _)| !address.is_empty() && !address.contains('/')),
            None => host.split_once(':').filter(|(host, _)| !host.is_empty() && !host.contains('/')),
        };
        match behind {
            Some((_, path)) if path.starts_with(':') => Self::Daemon,
            Some((_, path)) => Self::Remote(path),
            None => Self::Local,
        }
    }

    fn remote(self) -> Option<&'a str> {
        if let Self::Remote(path) = self { Some(path) } else { None }
    }
}

fn takes_value(name: &str) -> bool {
    !matches!(options::by_long(name), None | Some(Row { value: options::Value::None, .. }))
}

/// What rsync sends.
#[derive(Debug, Default)]
struct Sent {
    letters: Vec<char>,
    long: Vec<String>,
    /// The values of -M, which come last.
    extra: Vec<String>,
    program: Option<String>,
    archive: bool,
    listed: bool,
}

impl Sent {
    fn letter(&mut self, letter: char) {
        match letter {
            'a' => {
                self.archive = true;
                self.letters.extend("rlptgoD".chars());
            }
            'P' => self.add("--partial"),
            'i' => self.add("--log-format=%i"),
            's' | 'h' | '8' | '4' | '6' | '0' | 'F' => {}
            letter => self.letters.push(letter),
        }
    }

    fn long(&mut self, name: &str, value: Option<String>) {
        if let Some(taken_back) = name.strip_prefix("--no-") {
            return self.take_back(name, taken_back);
        }
        let value = value.unwrap_or_default();
        match name {
            "--archive" => self.letter('a'),
            "--files-from" if !value.contains(':') => self.listed = true,
            "--itemize-changes" => self.letter('i'),
            "--del" => self.add("--delete-during"),
            "--rsync-path" => self.program = Some(value),
            "--remote-option" => self.extra.push(value),
            "--chown" => {
                let (user, group) = value.split_once(':').unwrap_or((&value, ""));
                for (map, whose) in [("usermap", user), ("groupmap", group)] {
                    if !whose.is_empty() {
                        self.add(&format!("--{map}=*:{whose}"));
                    }
                }
            }
            // The server's half of it.
            "--iconv" => self.add(&format!("--iconv={}", value.split(',').nth(1).unwrap_or(&value))),
            "--out-format" if value.contains("%i") => self.add("--log-format=%i"),
            "--out-format" => {}
            _ => match options::by_long(name) {
                Some(row) if stays(row, name) => {}
                Some(Row { letter: Some(letter), value: options::Value::None, .. }) => self.letter(*letter),
                _ if APART.contains(&name) => self.long.extend([name.to_owned(), value]),
                _ if value.is_empty() => self.add(name),
                _ => self.add(&format!("{name}={value}")),
            },
        }
    }

    fn add(&mut self, word: &str) {
        if !self.long.iter().any(|known| known == word) {
            self.long.push(word.to_owned());
        }
    }

    fn take_back(&mut self, name: &str, of: &str) {
        let long = format!("--{of}");
        let mut letters = of.chars();
        let letter = match (letters.next(), letters.next()) {
            (Some(letter), None) => Some(letter),
            _ => options::by_long(&long).and_then(|row| row.letter),
        };
        self.letters.retain(|known| Some(*known) != letter);
        self.long.retain(|known| *known != long && !known.starts_with(&format!("{long}=")));
        if name == "--no-specials" && self.letters.contains(&'D') {
            self.add(name);
        }
        if name == "--no-implied-dirs" || name == "--no-i-d" {
            self.add("--no-implied-dirs");
        }
    }

    /// The command of a pull or a push.
    fn command(mut self, pulls: bool, places: &[String]) -> String {
        if self.listed {
            // The list is read at the client: names stay whole, and -a does not recurse.
            self.letters.push('R');
            if let Some(of_archive) = self.letters.iter().position(|known| *known == 'r').filter(|_| self.archive) {
                self.letters.remove(of_archive);
            }
        }
        if self.long.iter().any(|known| known == "--inplace") {
            self.long.retain(|known| known != "--partial");
        }
        let count = |letter: char| self.letters.iter().filter(|known| **known == letter).count();
        if count('z') > 1 {
            self.long.insert(0, "--new-compress".to_owned());
        }
        let mut letters = String::from("-");
        for letter in ORDER.chars() {
            let most = options::by_letter(letter).filter(|_| letter != 'y').map_or(1, |row| row.repeats);
            let skipped = (letter == 'z' && count('z') > 1) || (!pulls && "Lk".contains(letter)) || (pulls && "KmOJy".contains(letter));
            let times = if skipped { 0 } else { count(letter).min(most) };
            letters.extend(std::iter::repeat_n(letter, times));
        }
        let lists_ahead = count('r') > 0;
        let caps = format!("e.{}{CAPABILITIES}", if lists_ahead { "i" } else { "" });
        let mut words = vec![self.program.clone().unwrap_or_else(|| "rsync".to_owned()), "--server".to_owned()];
        words.extend(pulls.then(|| "--sender".to_owned()));
        words.push(letters + &caps);
        let given = self.long.iter().chain(&self.extra).map(|word| quoted(word));
        words.extend(given);
        words.push(".".to_owned());
        let path = |place: &String| if place.is_empty() { ".".to_owned() } else { place.clone() };
        words.extend(places.iter().map(path).map(|path| if pulls { escaped(&path) } else { quoted(&path) }));
        words.join(" ")
    }
}

/// A word as the gate splits it again.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./,:@%+*?[]~^".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) { word.to_owned() } else { shell_words::quote(word).into_owned() }
}

/// A path as rsync escapes it for a shell.
fn escaped(path: &str) -> String {
    path.chars().flat_map(|letter| if letter == ' ' || letter == '\\' { vec!['\\', letter] } else { vec![letter] }).collect()
}

/// Whether an option stays at the client.
fn stays(row: &Row, name: &str) -> bool {
    KEPT.contains(&name)
        || (row.rule == Rule::Refuse(Cause::Misplaced)
            && !["--backup", "--suffix", "--crtimes", "--copy-links", "--copy-dirlinks"].contains(&name))
}

#[cfg(test)]
mod tests;
