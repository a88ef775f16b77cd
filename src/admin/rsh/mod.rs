//! `snapgate rsh`: stands in for ssh where an rsync of this machine pushes to it, or reads from it.
//!
//! The gate decides as for any client, as the client's account and by its policy. Nobody may come here
//! by way of sshd, since what is run here has no key.

use std::ffi::OsString;
use std::path::Path;

use crate::act::child::errand;
use crate::act::inspect::{self, running_uid};
use crate::act::{config, names, process};
use crate::terms::text::os_words;
use crate::terms::{ClientName, exit};

/// An error, and the exit code.
type Failure = (String, u8);

/// Serves the rsync that has started this process, and returns its exit code.
pub(crate) fn rsh(directory: &Path, name: &ClientName, words: &[OsString]) -> Result<u8, Failure> {
    if std::env::var_os("SSH_ORIGINAL_COMMAND").is_some() {
        let what = "`snapgate rsh` is not for what sshd runs: there it would ask nobody for a key";
        return Err((format!("{what}\nput `snapgate-shell --client {name}` into ForceCommand or command="), exit::REFUSED));
    }
    let command = asked(words);
    if command.is_empty() {
        let what = "there is nothing to run: rsync starts this as its remote shell";
        return Err((format!("{what}\nrsync -a -e 'snapgate rsh --client {name}' /data/ x:"), exit::USAGE));
    }
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let policy = config::load_policy(directory, &site, name).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let policy = policy.ok_or_else(|| (format!("no policy for `{name}`\n`snapgate list` shows every client"), exit::USAGE))?;
    let user = &policy.user;
    let unknown = || (format!("there is no account `{user}`, which the policy names\nmake it, or set `user:`"), exit::CONFIG);
    let account = names::named(user).ok_or_else(unknown)?;
    let failed = |what: &str, error: &std::io::Error| (format!("{what}: {}", os_words(error)), exit::INTERNAL);
    let program = std::env::current_exe().map_err(|error| failed("finding the gate's program", &error))?.with_file_name("snapgate-shell");
    let real = inspect::real(directory);
    let words = ["--config".into(), real.into_os_string(), "--client".into(), name.as_str().into(), "--local".into()];
    match running_uid() {
        own if own == account.uid => Err(failed("starting the gate", &errand::become_gate(&program, &words, command))),
        0 => {
            let groups = names::groups(&account);
            let groups = groups.ok_or_else(|| (format!("nobody can say in which groups `{user}` is"), exit::CONFIG))?;
            let become_them = |needed| {
                // The account's processes may take what the gate has open.
                process::close_all_but(&[needed]);
                process::live_as(&account, &groups)?;
                // An interrupted push ends as one over ssh does: when nobody sends any more.
                process::outlive_parent()
            };
            errand::gate_as(&program, &words, command, become_them).map_err(|error| failed("starting the gate", &error))
        }
        _ => Err((format!("`{name}` is for the account `{user}`\nrun it as that account, or as root"), exit::REFUSED)),
    }
}

/// What rsync would run, without the user and the host that it names.
fn asked(words: &[OsString]) -> &[OsString] {
    let words = match words {
        [option, _, rest @ ..] if option == "-l" => rest,
        words => words,
    };
    words.get(1..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rsync_s_user_and_host_are_no_part_of_the_command() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (text, command) in [
            ("x rsync --server . .", &["rsync", "--server", ".", "."][..]),
            ("-l jane x rsync --server", &["rsync", "--server"]),
            ("x", &[]),
            ("-l", &[]),
            ("-l jane", &[]),
            ("-l jane x", &[]),
        ] {
            assert_eq!(asked(&words(text)), command, "{text}");
        }
    }
}
