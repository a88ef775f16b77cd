//! A client to be: its key, its policy, the steps that make it, and what its own machine needs.
//!
//! What an administrator pastes is read strictly, since a line too much in a file of keys lets
//! somebody in. Nothing here ever holds a secret.

pub mod edit;
pub mod guide;
pub mod key;
pub mod keyfile;
pub mod preset;
pub mod script;
pub mod site;
pub mod steps;

use crate::terms::ClientName;

/// The group of all accounts that run the gate.
pub const GROUP: &str = "snapgate";

/// How what an account of ours says of itself begins.
const OURS: &str = "snapgate client ";

/// What an account of ours says of itself, so that a later run knows whose it is.
pub fn comment(client: &ClientName) -> String {
    format!("{OURS}{client}")
}

/// Whether an account that says this was made for a client, whichever that was.
pub fn is_a_client_s(comment: &str) -> bool {
    comment.strip_prefix(OURS).is_some_and(|client| client.parse::<ClientName>().is_ok())
}

/// Whether useradd(8) takes this for the name of an account.
pub fn names_an_account(name: &str) -> bool {
    let first = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let rest = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    first && rest && name.len() <= crate::terms::limits::MAX_NEW_ACCOUNT
}

/// A text for a shell, whatever is in it.
pub fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@%+,=".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_s_name_is_one_that_useradd_takes() {
        for good in ["web1", "_x", "rt-1080", "a"] {
            assert!(names_an_account(good), "{good}");
        }
        for bad in ["", "1und1", "Web1", "-x", "a.b", "jane@example.org", "a b", "a\n", &"a".repeat(33)] {
            assert!(!names_an_account(bad), "{bad}");
        }
    }

    #[test]
    fn a_word_stays_one_word_for_a_shell() {
        for text in ["plain/path", "", "a b", "it's", "$(id)", "`id`", "a\"b", "-x", "*", "a\nb", "~"] {
            let echoed = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quoted(text))).output();
            assert_eq!(echoed.unwrap().stdout, text.as_bytes(), "{text:?}");
        }
    }
}
