//! The site file that `snapgate init` writes: what a server needs, with a remark on each.

use super::edit;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Where repositories are.
    pub store: String,
    /// Who gets mail.
    pub to: Vec<String>,
    /// How it leaves.
    pub transport: String,
    /// Where the password for that is.
    pub password_file: Option<String>,
}

/// The file. Whoever keeps it reads it first.
///
/// # Errors
/// When a word could be taken for more than a word.
pub fn text(answers: &Answers) -> Result<String, String> {
    let Answers { store, to, transport, password_file } = answers;
    let words = [store, transport].into_iter().chain(to).chain(password_file);
    let is_strange = |word: &&String| word.is_empty() || word.chars().any(|letter| letter.is_control() || "\"'\\".contains(letter));
    for word in words {
        if is_strange(&word) {
            let shown = crate::terms::text::printable(word.as_bytes());
            return Err(format!("`{shown}` cannot stand in the site file\nuse no quotes, backslashes or line ends"));
        }
    }
    let quoted: Vec<String> = to.iter().map(|word| edit::text(word)).collect();
    let password = password_file.as_ref().map(|file| format!("  password_file: {}   # mode 0640, group snapgate\n", edit::text(file)));
    Ok(format!(
        "# What holds for the whole server, begun by `snapgate init`. `snapgate check` reads it; docs/policy.md has every key.\n\
         \n# Where repositories are, unless a policy says `path:`. A client's is <store>/<client>.\n\
         store: {}\n\
         \n# The rsync that runs, whatever a client asks for.\nrsync: /usr/bin/rsync\n\
         \n# Where events and mail wait: root:snapgate, mode 1730.\nspool: /var/spool/snapgate\n\
         \n# Who is told of refusals and failures, and how mail leaves: sendmail, smtp://host, starttls://user@host,\n\
         # smtps://user@host, or off. `reports_to: [...]` sends the reports of pushes to others.\n\
         mail:\n  to: [{}]\n  transport: {}\n{}\
         \n# What pushes leave free on the disk.\n# min_free: {{ bytes: 5%, inodes: 5% }}\n\
         \n# What a policy says where it says nothing itself. A policy's key replaces the same key here whole.\n\
         defaults:\n  # Which snapshots stay; without it every one does. `snapgate prune --simulate 1y CLIENT` shows what that means.\n  \
         keep: {{ daily: 14d, weekly: 8, monthly: 12, yearly: 10 }}\n  \
         # The zone of `when:` and `keep:`.\n  # timezone: Europe/Madrid\n",
        edit::text(store),
        quoted.join(", "),
        edit::text(transport),
        password.unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::decide::policy::{Transport, read_site};

    #[test]
    fn what_was_answered_is_what_the_file_says() {
        let answers = Answers {
            store: "/srv/my backups".to_owned(),
            to: vec!["root".to_owned(), "ops@example.org".to_owned()],
            transport: "smtps://gate@mail.example.org".to_owned(),
            password_file: Some("/etc/snapgate/password".to_owned()),
        };
        let text = text(&answers).unwrap();
        let site = read_site(Path::new("/site"), text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        assert_eq!((site.store.as_path(), site.mail.to.len()), (Path::new("/srv/my backups"), 2));
        assert!(matches!(site.mail.transport, Transport::Smtp { port: 465, .. }));
        assert!(text.lines().all(|line| line.len() <= 130), "{text}");
        for bad in ["", "a\"b", "a\nstore: /", "a\\", "'"] {
            assert!(super::text(&Answers { transport: bad.to_owned(), ..answers.clone() }).is_err(), "{bad}");
        }
    }
}
