//! The manual pages and completions, as `make pages` writes them: complete, without a fault that groff or mandoc knows, and of use in
//! each shell that is here. What `--version` says of a build.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use snapgate::admin::cli;
use snapgate::admin::help::Topic;
use snapgate::decide::policy::yaml::Row;
use snapgate::decide::policy::{POLICY_KEYS, SITE_KEYS};
use snapgate::terms::{Code, Outcome, Verb};

#[path = "../packaging/facts.rs"]
mod facts;

const DAY: &str = "2026-11-21";

fn pages() -> BTreeMap<String, String> {
    pages::manual(DAY).into_iter().collect()
}

fn written() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    pages::write(directory.path(), DAY).unwrap();
    directory
}

/// Runs a program of this machine in a bare environment; nothing where it is not here.
fn run(program: &str, words: &[&str]) -> Option<Output> {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("timeout");
    command.args(["120", program]).args(words).stdin(Stdio::null()).env_clear();
    command
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home.path())
        .env("LC_ALL", "C.UTF-8")
        .env("TERM", "vt100")
        .env("MANWIDTH", "80");
    let is_here = ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|place| Path::new(place).join(program).exists());
    if !is_here {
        println!("skipped: there is no {program} here");
        return None;
    }
    Some(command.output().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A page as roff, without what it does to letters.
fn bare(page: &str) -> String {
    let signs = [("\\fB", ""), ("\\fI", ""), ("\\fR", ""), ("\\-", "-"), ("\\(aq", "'"), ("\\(dq", "\""), ("\\e", "\\"), ("\\&", "")];
    signs.iter().fold(page.to_owned(), |text, (sign, letter)| text.replace(sign, letter))
}

#[test]
fn every_command_and_each_of_its_words_is_in_the_pages() {
    let pages = pages();
    let mut program = cli::command();
    program.build();
    let main = bare(&pages["snapgate.8"]);
    let mut commands = 0;
    for command in program.get_subcommands() {
        let name = command.get_name();
        let page = pages.get(&format!("snapgate-{name}.8"));
        assert_eq!(page.is_some(), !command.is_hide_set(), "{name}");
        let Some(page) = page.map(|page| bare(page)) else { continue };
        assert!(main.contains(&format!("\nsnapgate-{name}(8)\n")), "{name}");
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "FILES", "\"SEE ALSO\""] {
            assert!(page.contains(&format!("\n.SH {section}\n")), "{name} has no {section}");
        }
        for argument in command.get_arguments().filter(|argument| {
            // clap's own has two texts.
            !argument.is_hide_set() && argument.get_id() != "config" && argument.get_id() != "help"
        }) {
            let means = argument.get_help().unwrap().to_string().replace('`', "");
            assert!(page.contains(&means), "{name}: {argument}: {means}");
            if let Some(word) = argument.get_long() {
                assert!(page.contains(&format!("--{word}")), "{name}: --{word}");
            }
        }
        commands += 1;
    }
    assert!(commands > 20 && pages.len() == commands + 4, "{commands}");
}

#[test]
fn every_key_verb_and_code_is_in_the_pages() {
    let pages = pages();
    for (name, rows) in [("snapgate.yaml.5", SITE_KEYS), ("snapgate-policy.5", POLICY_KEYS)] {
        let page = bare(&pages[name]);
        let entry = |tag: String, row: &Row| {
            let (_, from) = page.split_once(&format!("\n.TP\n{tag}\n")).unwrap_or_else(|| panic!("{name} has no {tag}"));
            let entry = from.split("\n.TP\n").next().unwrap();
            assert!(
                from.starts_with(&snapgate::admin::help::blocks::bare(
                    &row.means.split("\n\n").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
                )),
                "{entry}"
            );
        };
        for row in rows {
            entry(format!("{}:", row.word), row);
            for below in row.below.iter().filter(|_| row.word != "defaults") {
                let (open, close) = if row.example.starts_with('[') { ("[{", "}]") } else { ("{", "}") };
                entry(format!("{}: {open}{}: ...{close}", row.word, below.word), below);
            }
        }
        assert!(!page.contains("GOLDEN"));
    }
    let gate = bare(&pages["snapgate-shell.8"]);
    for verb in Verb::ALL {
        assert!(gate.contains(&format!("\n{}\n", verb.row().usage)), "{verb}");
    }
    for code in Code::ALL {
        assert!(gate.contains(&format!("\n{code} ({})\n", code.exit())), "{code}");
    }
    for outcome in Outcome::ALL {
        assert!(gate.contains(&format!("\n{outcome}\n")), "{outcome}");
    }
    let usage = Command::new(env!("CARGO_BIN_EXE_snapgate-shell")).arg("--help").output().unwrap();
    for word in text(&usage.stdout).split([' ', '[', ']', '\n']).filter(|word| word.starts_with('-')) {
        assert!(gate.contains(&format!("\n{word}")), "snapgate-shell.8 has no {word}");
    }
}

/// What groff and mandoc complain of, and man(1) shows, of every page.
#[test]
fn no_page_makes_groff_man_or_mandoc_complain() {
    let directory = written();
    let mut tried = 0;
    for (name, _) in pages() {
        let path = directory.path().join("man").join(&name);
        let path = path.to_str().unwrap();
        for (program, words) in [
            ("groff", ["-ww", "-man", "-Tutf8", path]),
            ("groff", ["-ww", "-man", "-Tascii", path]),
            ("mandoc", ["-Tlint", "-Wwarning", "--", path]),
            ("man", ["--warnings=w", "-l", "--", path]),
        ] {
            let Some(output) = run(program, &words) else { continue };
            assert!(output.status.success() && output.stderr.is_empty(), "{program} {name}: {}", text(&output.stderr));
            if program == "mandoc" {
                assert_eq!(text(&output.stdout), "", "{name}");
            }
            if program == "man" {
                let shown = text(&output.stdout);
                let left =
                    shown.lines().find(|line| line.contains("**") || line.contains("](") || (line.contains('`') && !line.contains('#')));
                assert!(shown.lines().count() > 20 && left.is_none(), "{name}: {left:?}\n{shown}");
            }
            tried += 1;
        }
    }
    assert!(tried > 0 || run("groff", &["--version"]).is_none());
}

#[test]
fn the_same_sources_make_the_same_files_and_what_is_of_an_earlier_build_is_gone() {
    let directory = written();
    fs::write(directory.path().join("man/snapgate-gone.8"), "").unwrap();
    pages::write(directory.path(), DAY).unwrap();
    assert!(!directory.path().join("man/snapgate-gone.8").exists());
    for (name, text) in pages() {
        assert_eq!(fs::read_to_string(directory.path().join("man").join(&name)).unwrap(), text);
        assert!(text.is_ascii() && text.contains(DAY), "{name}");
    }
    assert!(pages::manual("").iter().all(|(_, text)| text.lines().next().unwrap().contains(" \"\" ")));
}

/// A directory with completions that look for policies in it, and policies.
fn completions() -> (tempfile::TempDir, PathBuf) {
    let directory = written();
    let policies = directory.path().join("policies");
    fs::create_dir(&policies).unwrap();
    for name in ["web1", "web-2", "$(touch stolen)", "a b"] {
        fs::write(policies.join(format!("{name}.yaml")), "").unwrap();
    }
    let place = directory.path().join("completions");
    for file in ["bash/snapgate", "zsh/_snapgate", "fish/snapgate.fish"] {
        let text = fs::read_to_string(place.join(file)).unwrap();
        assert!(text.contains("/etc/snapgate/policies"), "{file}");
        fs::write(place.join(file), text.replace("/etc/snapgate/policies", policies.to_str().unwrap())).unwrap();
    }
    (directory, place)
}

/// What bash offers for the last of these words.
fn by_bash(place: &Path, words: &[&str]) -> Option<Vec<String>> {
    let script = format!(
        "source {}/bash/snapgate; COMP_WORDS=({}); COMP_CWORD={}; \
         _snapgate_or_client snapgate \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        place.display(),
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1
    );
    let output = run("bash", &["--norc", "--noprofile", "-c", &script])?;
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    Some(text(&output.stdout).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

#[test]
fn bash_completes_commands_options_topics_and_clients() {
    let (_directory, place) = completions();
    for (words, expected) in [
        (&["snapgate", "rest"][..], &["restore"][..]),
        (&["snapgate", "un"], &["undelete", "unprotect"]),
        (&["snapgate", "prune", "--sim"], &["--simulate"]),
        (&["snapgate", "help", "snap"], &["snapshots"]),
        (&["snapgate", "ls", "--client", ""], &["web-2", "web1"]),
        (&["snapgate", "ls", "--client", "web1"], &["web1"]),
        (&["snapgate", "ls", "--client", "="], &["web-2", "web1"]),
        (&["snapgate", "ls", "--client", "=", "web-"], &["web-2"]),
        (&["snapgate", "prune", "web1", "web-"], &["web-2"]),
        (&["snapgate", "drill-"], &[]),
        (&["snapgate", "answer"], &[]),
    ] {
        let Some(offered) = by_bash(&place, words) else { return };
        assert_eq!(offered, expected, "{words:?}");
    }
    let number = by_bash(&place, &["snapgate", "drill", "--sample", "we"]).unwrap();
    assert!(number.is_empty(), "{number:?}");
    let registered = run("bash", &["--norc", "-c", &format!("source {}/bash/snapgate; complete -p snapgate", place.display())]).unwrap();
    assert_eq!(text(&registered.stdout), "complete -o bashdefault -o default -F _snapgate_or_client snapgate\n");
}

#[test]
fn fish_completes_commands_options_topics_and_clients() {
    let (_directory, place) = completions();
    for (line, expected) in [
        ("snapgate rest", &["restore"][..]),
        ("snapgate prune --sim", &["--simulate"]),
        ("snapgate help snap", &["snapshots"]),
        ("snapgate ls --client web", &["web-2", "web1"]),
        ("snapgate list web-", &["web-2"]),
        ("snapgate answer", &[]),
    ] {
        let script = format!("source {}/fish/snapgate.fish; complete -C '{line}'", place.display());
        let Some(output) = run("fish", &["--no-config", "-c", &script]) else { return };
        let mut offered: Vec<String> = text(&output.stdout).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
        offered.sort();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
        assert_eq!(offered, expected, "{line}");
    }
}

/// zsh completes for a terminal alone: one is made for it, and a key that shows the line.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "PROMPT= RPROMPT=; unset zle_bracketed_paste; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w inner 'show() { zle -I; print -r -- "<""$BUFFER"">" }; zle -N show; bindkey "^X" show; stty -echo; print -r -- "rea""dy"'
zpty -r inner line '*ready*'
zpty -w -n inner "$2"$'\t\C-X'
zpty -r inner line '*<snapgate*>*'
print -r -- "$line"
zpty -d inner
"#;

#[test]
fn zsh_completes_commands_options_topics_and_clients() {
    let (_directory, place) = completions();
    let zsh = place.join("zsh");
    for (typed, expected) in [
        ("snapgate resto", "<snapgate restore >"),
        ("snapgate prune --sim", "<snapgate prune --simulate"),
        ("snapgate help snap", "<snapgate help snapshots >"),
        ("snapgate ls --client web1", "<snapgate ls --client web1 >"),
        ("snapgate ls --client web-", "<snapgate ls --client web-2 >"),
        ("snapgate list web-", "<snapgate list web-2 >"),
    ] {
        let Some(output) = run("zsh", &["-f", "-c", ZSH, "zsh", zsh.to_str().unwrap(), typed]) else { return };
        assert!(text(&output.stdout).contains(expected), "{typed}: {output:?}");
    }
}

#[test]
fn both_programs_say_how_they_were_built() {
    for (program, name) in [(env!("CARGO_BIN_EXE_snapgate"), "snapgate"), (env!("CARGO_BIN_EXE_snapgate-shell"), "snapgate-shell")] {
        let output = Command::new(program).arg("--version").output().unwrap();
        let said = text(&output.stdout);
        let facts: BTreeMap<&str, &str> = said.lines().skip(1).filter_map(|line| line.split_once(": ")).collect();
        assert!(output.status.success() && said.starts_with(&format!("{name} {}\n", env!("CARGO_PKG_VERSION"))), "{said}");
        assert!(facts["compiler"].starts_with("rustc 1.") && facts["target"].contains("-linux-"), "{said}");
        assert!(facts.contains_key("commit") && facts["build"].contains("administrator"), "{said}");
        assert_eq!(std::env::var_os("SOURCE_DATE_EPOCH").is_some(), facts.contains_key("sources of"), "{said}");
    }
    let short = Command::new(env!("CARGO_BIN_EXE_snapgate")).arg("-V").output().unwrap();
    assert_eq!(text(&short.stdout), concat!("snapgate ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// What a release build of these sources says, with these variables.
fn facts_of(sources: &Path, variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    let usual = [("PROFILE", "release"), ("RUSTC", "rustc"), ("TARGET", "x86_64-unknown-linux-gnu")];
    let find = |name: &str| variables.iter().chain(&usual).find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    let text = facts::facts(sources, &|name| find(name).unwrap_or_default());
    text.lines().map(|line| line.split_once(": ").unwrap()).map(|(fact, value)| (fact.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_commit_is_read_where_it_stands_without_git() {
    let [one, two] = ["1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"];
    let directory = tempfile::tempdir().unwrap();
    let sources = directory.path().join("sources");
    let write = |path: &str, text: &str| {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    fs::create_dir(&sources).unwrap();
    let commit = |variables: &[(&str, &str)]| facts_of(&sources, variables)["commit"].clone();
    assert_eq!(commit(&[]), "unknown");
    write("sources/.git/HEAD", &format!("{one}\n"));
    assert_eq!(commit(&[]), one);
    write("sources/.git/HEAD", "ref: refs/heads/main\n");
    assert_eq!(commit(&[]), "unknown");
    write("sources/.git/packed-refs", &format!("# pack-refs\n{two} refs/heads/xmain\n{one} refs/heads/main\n"));
    assert_eq!(commit(&[]), one);
    write("sources/.git/refs/heads/main", &format!("{two}\n"));
    assert_eq!(commit(&[]), two);
    assert_eq!(commit(&[("PROFILE", "debug")]), "unknown");
    assert_eq!(commit(&[("SNAPGATE_COMMIT", "v1-3-gabc"), ("PROFILE", "debug")]), "v1-3-gabc");
    assert_eq!(commit(&[("SNAPGATE_COMMIT", "two\nlines: x")]), "unknown");
    // A worktree's.
    fs::rename(sources.join(".git"), directory.path().join("main")).unwrap();
    write("main/worktrees/other/HEAD", "ref: refs/heads/main\n");
    write("main/worktrees/other/commondir", "../..\n");
    write("sources/.git", &format!("gitdir: {}\n", directory.path().join("main/worktrees/other").display()));
    assert_eq!(commit(&[]), two);
    write("sources/.cargo_vcs_info.json", &format!("{{\n  \"git\": {{\n    \"sha1\": \"{one}\"\n  }}\n}}"));
    assert_eq!(commit(&[]), one);
}

#[test]
fn the_day_is_said_where_the_builder_says_it() {
    let nowhere = tempfile::tempdir().unwrap();
    assert!(!facts_of(nowhere.path(), &[]).contains_key("sources of"));
    assert!(!facts_of(nowhere.path(), &[("SOURCE_DATE_EPOCH", "yesterday")]).contains_key("sources of"));
    for seconds in (0..4_200_000_000_u64).step_by(86_400 * 367 - 1).chain([0, 86_399, 86_400, 951_782_400, 951_868_799, 4_107_542_400]) {
        let day = chrono::DateTime::from_timestamp(i64::try_from(seconds).unwrap(), 0).unwrap().format("%Y-%m-%d").to_string();
        assert_eq!(facts_of(nowhere.path(), &[("SOURCE_DATE_EPOCH", &seconds.to_string())])["sources of"], day);
    }
}

#[test]
fn help_is_given_about_commands_topics_and_keys() {
    let help = |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_snapgate")).arg("help").args(words).output().unwrap();
    let all = text(&help(&[]).stdout);
    for word in ["restore", "prune"].into_iter().chain(Topic::ALL.map(Topic::as_str)) {
        assert!(all.contains(&format!("\n  {word} ")), "{word}: {all}");
        assert!(help(&[word]).status.success(), "{word}");
    }
    assert!(text(&help(&["restore"]).stdout).contains("Usage: snapgate restore "));
    assert!(
        text(&help(&["policy", "quota"]).stdout).contains("\nquota: {bytes: …}\n")
            || text(&help(&["quota"]).stdout).contains("quota: {bytes: …}")
    );
    let wrong = help(&["restor"]);
    assert_eq!(
        (wrong.status.code(), text(&wrong.stderr)),
        (Some(64), "snapgate: there is no help about `restor`\ndid you mean `restore`?\n".to_owned())
    );
}
