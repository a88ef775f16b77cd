//! The arguments of `snapgate-shell rrsync` in an administrator's `command="…"`: rrsync 3.5.0's.

use std::ffi::OsString;

use crate::decide::rsync::options::shown;
use crate::decide::rsync::transfer::Flags;

/// What the arguments ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// `-h`, `-help`: print [`HELP`].
    Help,
    /// One connection.
    Serve(Flags),
}

/// The usage.
pub const USAGE: &str = "snapgate [--config DIR] rrsync [-ro|-wo] [-munge] [-absolute] [-no-del] [-no-lock] [-no-overwrite] DIR";

/// The answer to `-help`.
pub const HELP: &str = "\
usage: snapgate [--config DIR] rrsync [-ro|-wo] [-munge] [-absolute] [-no-del] [-no-lock] [-no-overwrite] DIR

Takes the place of rsync's rrsync in a `command=\"…\"` line of authorized_keys: pushes and pulls of plain files
beneath DIR, which the kernel holds rsync to. There are no snapshots in this mode.

  DIR             the directory; relative to the account's home, or absolute
  -ro             only pulls; implies -no-del and -no-lock
  -wo             only pushes
  -munge          store symlinks so that they lead nowhere on this server (rsync's --munge-links)
  -absolute       paths may begin with DIR itself
  -no-del         refuse --delete*, --remove-* and --force
  -no-lock        let sessions run at the same time
  -no-overwrite   leave files that are there as they are, and refuse what could change or delete one
  -help, -h       this
";

/// Reads the arguments behind `rrsync`.
pub fn parse(words: &[OsString]) -> Result<Order, String> {
    let mut flags = Flags::default();
    let mut dirs = Vec::new();
    for word in words {
        match word.as_encoded_bytes() {
            b"-h" | b"-help" => return Ok(Order::Help),
            b"-ro" => flags.read_only = true,
            b"-wo" => flags.write_only = true,
            b"-munge" => flags.munge = true,
            b"-absolute" => flags.absolute = true,
            b"-no-del" => flags.no_del = true,
            b"-no-lock" => flags.no_lock = true,
            b"-no-overwrite" => flags.no_overwrite = true,
            [b'-', ..] => return Err(format!("`{}` is no option of rrsync; usage: {USAGE}", shown(&word.to_string_lossy()))),
            _ => dirs.push(word),
        }
    }
    if flags.read_only && flags.write_only {
        return Err("-ro and -wo exclude each other".to_owned());
    }
    match dirs.as_slice() {
        [dir] if !dir.is_empty() => flags.dir = (*dir).clone(),
        [] | [_] => return Err(format!("the directory is missing; usage: {USAGE}")),
        _ => return Err(format!("there is more than one directory; usage: {USAGE}")),
    }
    flags.no_del |= flags.read_only;
    flags.no_lock |= flags.read_only;
    Ok(Order::Serve(flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Order, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn rrsyncs_own_words_are_read_in_any_order() {
        let flags = |words: &[&str]| match read(words) {
            Ok(Order::Serve(flags)) => flags,
            other => panic!("{other:?}"),
        };
        let dir = || OsString::from("backup");
        assert_eq!(flags(&["backup"]), Flags { dir: dir(), ..Flags::default() });
        assert_eq!(flags(&["-ro", "backup"]), Flags { dir: dir(), read_only: true, no_del: true, no_lock: true, ..Flags::default() });
        let all = flags(&["-wo", "-munge", "backup", "-absolute", "-no-del", "-no-lock", "-no-overwrite"]);
        assert!(all.write_only && all.munge && all.absolute && all.no_del && all.no_lock && all.no_overwrite && !all.read_only);
        assert_eq!(read(&["-h"]), Ok(Order::Help));
        assert_eq!(read(&["-ro", "-help"]), Ok(Order::Help));
    }

    #[test]
    fn what_could_be_meant_otherwise_is_an_error() {
        for words in [&["-ro", "-wo", "d"][..], &[], &[""], &["a", "b"], &["-r", "d"], &["--ro", "d"], &["-", "d"], &["-no-dell", "d"]] {
            assert!(read(words).is_err(), "{words:?}");
        }
        for word in HELP.split_whitespace().filter(|word| word.starts_with('-') && word.len() > 2 && word.ends_with(char::is_alphabetic)) {
            assert!(word == "--config" || word.starts_with("--") || read(&[word, "d"]).is_ok(), "{word}");
        }
    }
}
