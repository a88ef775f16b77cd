//! A script for the client's machine: any POSIX shell, whatever the names are, as often as one likes.
//! It holds no secret: the private key is found by its public half.

use super::guide::Guide;
use super::key::PublicKey;
use super::quoted;

/// What stands for the place that is backed up, until the script knows it.
const FROM: &str = "\u{1}";

/// The script.
pub fn script(guide: &Guide<'_>, key: &PublicKey) -> String {
    let push = guide.preset.pushes(FROM, guide.alias);
    let (before, behind) = push.split_once(FROM).unwrap_or((&push, ""));
    let facts = [
        ("client", guide.client.as_str().to_owned()),
        ("host", guide.host.to_owned()),
        ("alias", guide.alias.to_owned()),
        ("key", key.blob.clone()),
        ("fingerprint", key.fingerprint.to_string()),
        ("known", guide.known_host().unwrap_or_default()),
        ("config", guide.config(IDENTITY)),
        ("before", before.to_owned()),
        ("behind", behind.to_owned()),
        ("times", guide.preset.times(guide.client)),
        ("unit", guide.unit()),
        ("service", guide.service(&format!("/bin/sh \"%h/{RUNS}/{}.sh\"", guide.unit()))),
        ("timer", guide.timer()),
    ];
    let facts: String = facts.into_iter().map(|(name, value)| format!("{name}={}\n", quoted(&value))).collect();
    // The default is the only text that the shell is to look into.
    let source = guide.preset.row().source;
    format!(
        "#!/bin/sh\n# Sets this machine up as the client {} of {}, and pushes once.\n# It holds no secret, and may be run again.\n#\n\
         #     sh FILE [DIRECTORY]    what to back up, as rsync takes it; {source} without it\nset -eu\n\n{facts}from=${{1:-\"{source}\"}}\n{STEPS}",
        guide.client, guide.host
    )
}

/// Where it keeps the push for the timer, in the home directory.
const RUNS: &str = ".config/snapgate";

/// What the script replaces by the file of the private key.
const IDENTITY: &str = "@IDENTITY@";

/// The rest of it.
const STEPS: &str = r##"
die() { printf '%s\n' "$@" >&2; exit 1; }
quote() { printf '%s' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"; }

for tool in ssh rsync awk; do
    command -v "$tool" >/dev/null 2>&1 || die "$tool is missing" "install it, then run this again"
done
[ -d "$from" ] || die "$from is no directory" "say what to back up: sh $0 DIRECTORY"
case $from in *"
"*) die "the directory's name has a line end in it" "choose one above it" ;; esac

# The private key, by its public half.
umask 077
cd
mkdir -p .ssh
identity=
for public in .ssh/*.pub; do
    if [ -f "${public%.pub}" ] && grep -qF -e "$key" "$public"; then identity=${public%.pub}; fi
done
[ -n "$identity" ] || die "no private key in $HOME/.ssh belongs to $fingerprint" \
    "run this as the user who has it, and with its .pub file beside it"
case $identity in *[\"%]*) die "ssh cannot be told of the file $identity" "rename it and its .pub file" ;; esac

# Which server that is.
if [ -n "$known" ]; then
    touch .ssh/known_hosts
    grep -qxF -e "$known" .ssh/known_hosts || printf '%s\n' "$known" >>.ssh/known_hosts
fi

# How ssh finds it. It stands first, since the first value counts, and ends where what follows is for all hosts.
touch .ssh/config
begin="# snapgate $client: begin" end="# snapgate $client: end"
rest=$(awk -v begin="$begin" -v end="$end" '$0 == begin { ours = 1 } !ours { print } $0 == end { ours = 0 }' .ssh/config; echo .)
rest=${rest%.}
printf '%s' "$rest" | awk -v alias="$alias" 'tolower($1) == "host" { for (at = 2; at <= NF; at++) if ($at == alias) taken = 1 } END { exit taken }' ||
    die "$HOME/.ssh/config has a host $alias already" "rename it there, or have another name: snapgate add-client --alias NAME"
ours=$(printf '%s\n' "$config" | awk -v file="\"~/$identity\"" '{ if ($1 == "IdentityFile") print "    IdentityFile " file; else if (NF) print }')
new=$begin'
'$ours'
Host *
'$end'
'$rest
[ "$new" = "$(cat .ssh/config; echo .)" ] || printf '%s' "$new" >.ssh/config

# When it pushes.
push=$before$(quote "$from")$behind
line="$times  $(printf '%s' "$push" | sed 's/%/\\%/g') # snapgate $client"
# By a timer where systemd runs, and may go on when nobody is logged in; else by cron.
units= user=
if [ "$(id -u)" = 0 ]; then
    if systemctl show-environment >/dev/null 2>&1; then units=/etc/systemd/system; fi
elif systemctl --user show-environment >/dev/null 2>&1 && loginctl enable-linger >/dev/null 2>&1; then
    units=$HOME/.config/systemd/user user=--user
fi
put() { [ "$(cat "$1" 2>/dev/null; echo .)" = "$2
." ] || printf '%s\n' "$2" >"$1"; }
if [ -n "$units" ]; then
    mkdir -p "$units" .config/snapgate
    put ".config/snapgate/$unit.sh" "$push"
    (umask 022; put "$units/$unit.service" "$service"; put "$units/$unit.timer" "$timer")
    systemctl $user daemon-reload
    systemctl $user enable --now "$unit.timer"
    line=
fi
if command -v crontab >/dev/null 2>&1; then
    old=$(crontab -l 2>/dev/null || :)
    kept=$(printf '%s\n' "$old" | awk -v mark="# snapgate $client" 'length($0) < length(mark) || substr($0, length($0) - length(mark) + 1) != mark')
    if [ -n "$kept" ] && [ -n "$line" ]; then kept=$kept'
'; fi
    [ "$kept$line" = "$old" ] || printf '%s\n' "$kept$line" | crontab -
elif [ -n "$line" ]; then
    printf '%s\n' "there is no crontab here: have this run by what runs things at times:" "    $line"
fi

printf '%s\n' "$client pushes $from to $host: $push"
sh -c "$push"
"##;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::super::key::tests::GOOD;
    use super::super::preset::Preset;
    use super::*;

    /// Runs the script where ssh, rsync and crontab write down what they are asked for.
    fn run(home: &std::path::Path, script: &str, words: &[&str]) -> (bool, String) {
        let bin = home.join("bin");
        fs::create_dir_all(&bin).unwrap();
        for (name, text) in [
            ("rsync", "for word; do printf '[%s]' \"$word\"; done >>$HOME/pushed; echo >>$HOME/pushed"),
            ("ssh", "for word; do printf '(%s)' \"$word\"; done >>$HOME/pushed; echo >>$HOME/pushed"),
            // Without a systemd that runs, as long as nobody has put one there.
            ("systemctl", "[ -e $HOME/systemd ] && echo \"$@\" >>$HOME/managed"),
            ("loginctl", "[ -e $HOME/systemd ] && echo \"$@\" >>$HOME/managed"),
            ("crontab", "if [ \"$1\" = -l ]; then cat $HOME/table; else cat >$HOME/table; echo >>$HOME/written; fi"),
        ] {
            fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let ran = Command::new("sh")
            .arg("-c")
            .arg(script)
            .arg("script")
            .args(words)
            .env_clear()
            .env("HOME", home)
            .env("PATH", path)
            .output()
            .unwrap();
        (ran.status.success(), String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap())
    }

    fn scripted(preset: Preset) -> String {
        let (client, key) = ("web1".parse().unwrap(), PublicKey::read(GOOD).unwrap());
        let guide =
            Guide { client: &client, account: "web1", host: "backup.example.org", port: 22, host_key: Some(&key), alias: "backup", preset };
        script(&guide, &key)
    }

    #[test]
    fn it_sets_all_up_pushes_and_may_be_run_twice() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        let odd = home.join("it's 100% \"mine\"; $(touch gone) *");
        fs::create_dir(&odd).unwrap();
        fs::create_dir(home.join(".ssh")).unwrap();
        let script = scripted(Preset::Laptop);
        let (went, said) = run(home, &script, &[odd.to_str().unwrap()]);
        assert!(!went && said.contains("no private key"), "{said}");
        fs::write(home.join(".ssh/id_backup.pub"), GOOD).unwrap();
        fs::write(home.join(".ssh/id_backup"), "s3cr3t").unwrap();
        fs::write(home.join(".ssh/config"), "Compression no\n\nHost other\n    User me\n").unwrap();
        fs::write(home.join("table"), "1 2 * * * mine # snapgate xweb10\n").unwrap();
        let (went, said) = run(home, &script, &[odd.to_str().unwrap()]);
        assert!(went, "{said}");
        let files = || ["table", ".ssh/config", ".ssh/known_hosts"].map(|file| fs::read_to_string(home.join(file)).unwrap());
        let first = files();
        assert!(first[1].starts_with("# snapgate web1: begin\nHost backup\n    HostName backup.example.org\n"), "{}", first[1]);
        assert!(
            first[1].contains("IdentityFile \"~/.ssh/id_backup\"\n")
                && first[1].ends_with("Host *\n# snapgate web1: end\nCompression no\n\nHost other\n    User me\n"),
            "{}",
            first[1]
        );
        let (kept, ours) = first[0].split_once('\n').unwrap();
        assert_eq!(kept, "1 2 * * * mine # snapgate xweb10");
        assert!(
            ours.contains("* * * *  rsync -az --delete '") && ours.contains(r"100\%") && ours.ends_with("' backup: # snapgate web1\n"),
            "{ours}"
        );
        assert!(!first.concat().contains("s3cr3t") && !script.contains("s3cr3t"));
        let (went, said) = run(home, &script, &[odd.to_str().unwrap()]);
        assert!(went, "{said}");
        assert_eq!(files(), first, "a second run changes nothing");
        let pushed = fs::read_to_string(home.join("pushed")).unwrap();
        assert_eq!(pushed, format!("[-az][--delete][{}][backup:]\n", odd.display()).repeat(2));
        assert!(!home.join("gone").exists());
        assert_eq!(fs::read_to_string(home.join("written")).unwrap(), "\n", "the table is written where it changes");
        fs::write(home.join(".ssh/config"), "host x backup\n").unwrap();
        let (went, said) = run(home, &script, &[]);
        assert!(!went && said.contains("has a host backup already"), "{said}");
        assert_eq!(fs::read_to_string(home.join(".ssh/config")).unwrap(), "host x backup\n");
    }

    #[test]
    fn where_systemd_runs_a_timer_pushes_and_no_crontab_does() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        let odd = home.join("it's 100% \"mine\"; $(touch gone) *");
        fs::create_dir(&odd).unwrap();
        fs::create_dir(home.join(".ssh")).unwrap();
        fs::write(home.join(".ssh/k.pub"), GOOD).unwrap();
        fs::write(home.join(".ssh/k"), "").unwrap();
        // This machine's own stays as it is.
        let units = home.join(".config/systemd/user");
        let script = scripted(Preset::Laptop).replace("/etc/systemd/system", units.to_str().unwrap());
        fs::write(home.join("table"), "1 2 * * * mine\n").unwrap();
        let words = [odd.to_str().unwrap()];
        assert!(run(home, &script, &words).0);
        assert!(fs::read_to_string(home.join("table")).unwrap().contains("# snapgate web1"));
        fs::write(home.join("systemd"), "").unwrap();
        for _ in ["first", "again"] {
            let (went, said) = run(home, &script, &words);
            assert!(went, "{said}");
            assert_eq!(fs::read_to_string(home.join("table")).unwrap(), "1 2 * * * mine\n", "it would push twice");
            assert!(fs::read_to_string(home.join("managed")).unwrap().ends_with("enable --now snapgate-web1.timer\n"));
        }
        let service = fs::read_to_string(units.join("snapgate-web1.service")).unwrap();
        assert!(service.contains("ExecStart=/bin/sh \"%h/.config/snapgate/snapgate-web1.sh\"\n"), "{service}");
        let timer = fs::read_to_string(units.join("snapgate-web1.timer")).unwrap();
        assert!(timer.contains("OnCalendar=*-*-* *:") && timer.contains("Persistent=true"), "{timer}");
        // What the unit runs is the push.
        fs::remove_file(home.join("pushed")).unwrap();
        let path = format!("{}:/usr/bin:/bin", home.join("bin").display());
        let ran =
            Command::new("sh").arg(home.join(".config/snapgate/snapgate-web1.sh")).env_clear().env("HOME", home).env("PATH", path).status();
        assert!(ran.unwrap().success());
        assert_eq!(fs::read_to_string(home.join("pushed")).unwrap(), format!("[-az][--delete][{}][backup:]\n", odd.display()));
        assert!(!home.join("gone").exists());
    }

    #[test]
    fn the_units_of_every_kind_are_what_systemd_takes() {
        let Ok(_) = Command::new("systemd-analyze").arg("--version").output() else { return };
        for preset in Preset::ALL {
            let dir = tempfile::tempdir().unwrap();
            let (client, key) = ("web+1@x".parse().unwrap(), PublicKey::read(GOOD).unwrap());
            let guide = Guide { client: &client, account: "w", host: "h", port: 22, host_key: Some(&key), alias: "backup", preset };
            let text = guide.text();
            let exec = text.lines().find_map(|line| line.trim().strip_prefix("ExecStart=")).unwrap();
            fs::write(dir.path().join("snapgate-web_1_x.service"), guide.service(exec)).unwrap();
            fs::write(dir.path().join("snapgate-web_1_x.timer"), guide.timer()).unwrap();
            let files = ["service", "timer"].map(|kind| dir.path().join(format!("{}.{kind}", guide.unit())));
            let ran = Command::new("systemd-analyze").arg("verify").args(files).output().unwrap();
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            // What is wrong with other units of this machine is not ours.
            assert!(!said.contains("snapgate-web_1_x"), "{preset}: {said}");
            let times = guide.timer().lines().find_map(|line| line.strip_prefix("OnCalendar=").map(str::to_owned)).unwrap();
            assert!(Command::new("systemd-analyze").args(["calendar", &times]).output().unwrap().status.success(), "{times}");
        }
    }

    #[test]
    fn what_a_telephone_reads_sets_up_and_pushes() {
        for preset in Preset::ALL {
            let dir = tempfile::tempdir().unwrap();
            let home = dir.path();
            let (client, key) = ("web1".parse().unwrap(), PublicKey::read(GOOD).unwrap());
            let guide =
                Guide { client: &client, account: "web1", host: "h.example", port: 2222, host_key: Some(&key), alias: "backup", preset };
            let (went, said) = run(home, &guide.lines(), &[]);
            assert!(went, "{said}");
            let config = fs::read_to_string(home.join(".ssh/config")).unwrap();
            assert!(
                config.starts_with("Host backup\n HostName h.example\n Port 2222\n User web1\n IdentityFile ~/.ssh/id_backup\n"),
                "{config}"
            );
            assert!(fs::read_to_string(home.join(".ssh/known_hosts")).unwrap().starts_with("[h.example]:2222 ssh-ed25519 "));
            assert!(fs::read_to_string(home.join("pushed")).unwrap().contains("[backup:]"));
        }
    }

    #[test]
    fn every_kind_pushes_what_it_is_told() {
        for preset in Preset::ALL {
            let dir = tempfile::tempdir().unwrap();
            let home = dir.path();
            fs::create_dir(home.join(".ssh")).unwrap();
            fs::write(home.join(".ssh/k.pub"), GOOD).unwrap();
            fs::write(home.join(".ssh/k"), "").unwrap();
            let source = format!("{}/", home.display());
            let (went, said) = run(home, &scripted(preset), &[&source]);
            assert!(went, "{preset}: {said}");
            let pushed = fs::read_to_string(home.join("pushed")).unwrap();
            assert!(pushed.contains(&format!("[{source}][backup:]")), "{preset}: {pushed}");
            if preset == Preset::Rsbackup {
                assert!(pushed.starts_with("(backup)(prepare)\n") && pushed.ends_with("(backup)(complete)(0)\n"), "{pushed}");
            }
        }
    }
}
