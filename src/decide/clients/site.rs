//! The site file that `snapgate init` writes: what a server needs, with a remark on each. An answer is read
//! as that file's reader will read it, before anything is made; whoever gave it has seen no file yet, so what
//! is wrong with it is said without one.

use std::path::Path;

use super::edit;
use crate::decide::policy::{Site, Transport, read_site};

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

/// A directory for repositories.
///
/// # Errors
/// Here and below: when it is none, in words that say what to do.
pub fn store(word: &str) -> Result<String, String> {
    read(&format!("store: {}\n", plain(word)?)).map(|_| word.to_owned())
}

/// Those who get mail, with a space or a comma between.
pub fn addresses(words: &str) -> Result<Vec<String>, String> {
    let all: Vec<String> = words.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let plain = all.iter().map(|word| plain(word)).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() {
        return Err("nobody would get mail\nname an address, or an account of this machine like root".to_owned());
    }
    read(&format!("store: /x\nmail: {{ to: [{}] }}\n", plain.join(", "))).map(|_| all)
}

/// A way for mail.
pub fn transport(word: &str) -> Result<Transport, String> {
    let word = plain(word)?;
    let with = |password: &str| read(&format!("store: /x\nmail: {{ transport: {word}{password} }}\n"));
    // One that names an account can be read with a file alone, any other without it.
    with(", password_file: /x").or_else(|_| with("")).map(|site| site.mail.transport)
}

/// The path of a file for that.
pub fn password_file(word: &str) -> Result<String, String> {
    let text = format!("store: /x\nmail: {{ transport: smtps://user@host, password_file: {} }}\n", plain(word)?);
    read(&text).map(|_| word.to_owned())
}

fn read(text: &str) -> Result<Site, String> {
    read_site(Path::new("/"), text.as_bytes()).map_err(|fault| format!("{}\n{}", fault.message, fault.help))
}

/// A word as the file has it.
fn plain(word: &str) -> Result<String, String> {
    if word.is_empty() || word.chars().any(|letter| letter.is_control() || "\"'\\".contains(letter)) {
        let shown = crate::terms::text::printable(word.as_bytes());
        return Err(format!("`{shown}` cannot stand in the site file\nuse no quotes, backslashes or line ends"));
    }
    Ok(edit::text(word))
}

/// The file. Whoever keeps it reads it first.
///
/// # Errors
/// When a word could be taken for more than a word.
pub fn text(answers: &Answers) -> Result<String, String> {
    let Answers { store, to, transport, password_file } = answers;
    for word in [store, transport].into_iter().chain(to).chain(password_file) {
        plain(word)?;
    }
    let quoted: Vec<String> = to.iter().map(|word| edit::text(word)).collect();
    let password = password_file
        .as_ref()
        .map(|file| format!("  password_file: {}   # root's, mode 0600; docs/administration.md, \"Mail\"\n", edit::text(file)));
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
    use super::*;

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

    #[test]
    fn each_answer_is_read_by_itself_and_a_fault_names_no_file_that_is_not_there() {
        assert_eq!(store("/srv/my backups").as_deref(), Ok("/srv/my backups"));
        assert_eq!(addresses("root, ops@example.org ,x").unwrap(), ["root", "ops@example.org", "x"]);
        assert_eq!(password_file("/etc/snapgate/mail.password").as_deref(), Ok("/etc/snapgate/mail.password"));
        for (word, account) in [("smtps://gate@mail", Some("gate")), ("starttls://a@b@mail:25", Some("a@b")), ("smtp://mail", None)] {
            let Ok(Transport::Smtp { user, .. }) = transport(word) else { unreachable!("{word}") };
            assert_eq!(user.as_deref(), account, "{word}");
        }
        for word in ["sendmail", "off", "file:/tmp/mails"] {
            transport(word).unwrap();
        }
        for (bad, words) in [
            (store("backups").err(), "`backups` is not"),
            (store("/a\nb").err(), "cannot stand in the site file"),
            (addresses(" ,").err(), "nobody would get mail"),
            (addresses("root,-x").err(), "`-x` is not"),
            (transport("mail.example.org").err(), "write sendmail, smtp://host:25"),
            (transport("smtps://gate:secret@mail").err(), "--password-file"),
            (transport("off\"").err(), "cannot stand in the site file"),
            (password_file("mail.password").err(), "`mail.password` is not"),
        ] {
            let bad = bad.unwrap();
            assert!(bad.contains(words) && bad.contains('\n') && !bad.contains("secret") && !bad.contains(":1:"), "{bad}");
        }
    }
}
