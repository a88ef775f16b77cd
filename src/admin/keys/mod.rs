//! `snapgate keys`: answers sshd's question whose key it is that somebody offers
//! (AuthorizedKeysCommand, sshd_config(5)), so that one account serves any number of clients.
//!
//! sshd asks before anybody has logged in, with words of a stranger's. Where anything is not as it
//! should be, the answer is that the key is nobody's.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::act::config::{keyring, unusable};
use crate::act::record::syslog;
use crate::decide::keys::{Offer, is_one_word};
use crate::decide::policy::DEFAULT_CONFIG;
use crate::terms::exit;
use crate::terms::text::printable_path;

/// What is printed, or an error; each with its exit code.
type Answer = Result<(String, u8), (String, u8)>;

/// sshd's words, where these are such. They are read before all else, since a login waits for the
/// answer, and none of them may be taken for an option.
pub(crate) fn asked(words: &[OsString]) -> Option<(&Path, [&OsStr; 3])> {
    let (directory, words) = match words {
        [_, option, directory, rest @ ..] if option == "--config" => (Path::new(directory), rest),
        [_, rest @ ..] => (Path::new(DEFAULT_CONFIG), rest),
        [] => return None,
    };
    match words {
        [order, account, kind, key] if order == "keys" => Some((directory, [account, kind, key])),
        _ => None,
    }
}

/// The line for sshd, or nothing where the key is nobody's.
pub(crate) fn keys(directory: &Path, words: [&OsStr; 3]) -> Answer {
    let nobody = Ok((String::new(), 0));
    let [account, kind, key] = words.map(OsStr::as_encoded_bytes);
    let Some(offer) = Offer::read(account, kind, key) else { return nobody };
    let broken = |fault: String| (fault, exit::CONFIG);
    let (site, found) = keyring::holders(directory, &offer).map_err(|fault| broken(fault.to_string()))?;
    // sshd throws away what is said on standard error.
    let tell = |what: &str| site.syslog.as_ref().is_some_and(|socket| syslog::send(socket, &offer.problem(what)));
    for fault in &found.faults {
        tell(&fault.to_string());
    }
    let client = match found.clients.as_slice() {
        [] => return nobody,
        [client] => client,
        several => {
            let names = several.iter().map(|client| client.as_str()).collect::<Vec<_>>().join(", ");
            tell(&format!("the policies of {names} list this key: which is meant cannot be told; give each its own"));
            return nobody;
        }
    };
    let until = keyring::until(directory, &offer).map_err(|fault| {
        tell(&fault.to_string());
        broken(fault.to_string())
    })?;
    let gate = gate(directory).map_err(|what| {
        tell(&what);
        broken(what)
    })?;
    Ok((offer.admits(&gate, client, until.as_deref()), 0))
}

/// How sshd starts the gate.
fn gate(directory: &Path) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| unusable(format!("the gate's own program cannot be found: {error}")).detail)?;
    let program = program.with_file_name("snapgate-shell");
    let word = |path: &Path| {
        let text = path.to_str().filter(|text| is_one_word(text)).map(str::to_owned);
        text.ok_or_else(|| format!("`{}` would be read by a shell as something else\ngive it a plain name", printable_path(path)))
    };
    let program = word(&program)?;
    if directory == Path::new(DEFAULT_CONFIG) {
        return Ok(program);
    }
    Ok(format!("{program} --config {}", word(directory)?))
}
