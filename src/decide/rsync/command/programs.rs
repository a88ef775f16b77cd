//! Programs that clients ask for or put before rsync, with what to do instead. None is ever run.

#[derive(Debug)]
pub(super) struct Kind {
    /// Its programs, and a shell's own words that do the same.
    pub(super) names: &'static [&'static str],
    /// Whether it starts another command.
    pub(super) wraps: bool,
    /// Why it is not needed and what to do instead, in words that may stand after a colon.
    pub(super) instead: &'static str,
}

const fn alone(names: &'static [&'static str], instead: &'static str) -> Kind {
    Kind { names, wraps: false, instead }
}

const fn wrapper(names: &'static [&'static str], instead: &'static str) -> Kind {
    Kind { names, wraps: true, instead }
}

const KINDS: &[Kind] = &[
    wrapper(
        &["sudo", "doas", "su", "runuser", "pkexec", "run0", "setpriv", "fakeroot", "chpst", "gosu"],
        "a push runs as the account of the key, and whether it keeps owners is for the administrator to say",
    ),
    wrapper(
        &["nice", "ionice", "chrt", "taskset", "renice", "cpulimit", "trickle", "ulimit", "prlimit", "choom", "systemd-run", "cgexec"],
        "go easy with nice before your own rsync, or with --bwlimit",
    ),
    wrapper(
        &["flock", "lockf", "lckdo", "setlock", "run-one", "with-lock-ex", "lockfile", "dotlockfile"],
        "two pushes of a client never run side by side: the second is told to try again (exit 75)",
    ),
    wrapper(&["timeout", "gtimeout", "timelimit"], "use --timeout or --stop-after of your own rsync"),
    wrapper(ENVIRONMENT, "rsync has an environment of its own here, and names are stored byte by byte in every locale"),
    wrapper(
        &[
            "nohup", "nocache", "screen", "tmux", "setsid", "time", "stdbuf", "unbuffer", "script", "strace", "ltrace", "exec", "builtin",
            "busybox", "toybox", "chronic", "daemonize", "at", "batch", "tsp", "logger", "unshare", "nsenter", "chroot", "proot", "docker",
            "podman", "ssh", "watch", "xargs", "parallel", "firejail", "bwrap", "caffeinate", "start-stop-daemon",
        ],
        "only rsync itself is started here",
    ),
    alone(
        &[
            "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "eval", "source", ".", "{", "(", "if", "then",
            "else", "do", "for", "while", "case",
        ],
        "no shell runs here, and only one command is said at a time",
    ),
    alone(&["perl", "python", "python3", "ruby", "awk", "sed", "node", "php", "lua", "make"], "no program of the client's runs here"),
    alone(&["mkdir", "install", "mktemp"], "a push makes its place by itself"),
    alone(
        &["test", "[", "[[", "ls", "dir", "stat", "find", "file", "readlink", "realpath", "basename", "dirname", "tree"],
        "a push needs nothing to be there; the verb status tells which snapshot is the newest",
    ),
    alone(&["cd", "pwd", "pushd", "chdir"], "write the place behind the colon: host: is the whole snapshot, host:etc/ is etc inside it"),
    alone(
        &["df", "du", "quota", "free", "lsblk"],
        "a push for which there is no room is told so, and what it sent is kept for the next one",
    ),
    alone(
        &["rm", "rmdir", "unlink", "mv", "ln", "cp", "touch", "truncate", "shred", "rename", "chattr"],
        "each push becomes a snapshot by itself, with links to what did not change; which old ones go is for the administrator to say",
    ),
    alone(&["chmod", "chown", "chgrp", "setfacl", "setfattr"], "use --chmod of your own rsync; a snapshot never changes again"),
    alone(&["umask"], "use --chmod of your own rsync, for instance --chmod=go="),
    alone(&["head", "tail", "sort", "uniq", "wc", "cut", "tr", "tee", "column"], "it can be done on your own side, too"),
    alone(&["echo", "printf"], "to see whether a connection works say `true`"),
    wrapper(
        &["which", "command", "type", "hash", "whereis", "whence"],
        "the server's own rsync is what runs; to see whether it is there say `rsync --version`",
    ),
    alone(&["true", "false", ":"], "only `true` alone is answered"),
    alone(
        &["cat", "tac", "less", "more", "grep", "zcat", "md5sum", "sha1sum", "sha256sum", "cksum", "b3sum", "diff", "cmp"],
        "nothing is read back over this key; to compare, push with -c",
    ),
    alone(
        &[
            "tar", "dd", "cpio", "gzip", "zstd", "xz", "rdiff-backup", "borg", "restic", "rclone", "unison", "duplicity", "kopia", "zfs",
            "btrfs",
        ],
        "only rsync can store something here, for instance rsync -a /data host:",
    ),
    alone(&["git", "git-upload-pack", "git-receive-pack", "git-shell", "svnserve", "hg"], "there are no repositories here; use rsync"),
    alone(
        &["date", "hostname", "hostnamectl", "uname", "id", "whoami", "who", "uptime", "ps", "locale", "getent", "groups", "lsb_release"],
        "ssh without a command tells who you are and what you may do",
    ),
    alone(&["rsnapshot", "snapgate"], "the server does its part without being asked"),
    alone(&["mount", "umount", "mountpoint", "cryptsetup", "fsck", "sync", "fstrim"], "the server minds its disks itself"),
    alone(
        &["sleep", "wait", "exit", "logout", "set", "trap", "shopt", "alias", "kill", "pkill", "killall", "pgrep"],
        "it can be done on your own side",
    ),
    alone(&["shutdown", "poweroff", "reboot", "systemctl", "service", "rc-service", "crontab"], "ask the administrator of the server"),
    alone(&["mail", "mailx", "sendmail", "curl", "wget"], "whoever is to know of a push gets a mail without it"),
];

/// What sets variables.
const ENVIRONMENT: &[&str] = &["env", "export", "setenv", "declare", "local", "readonly"];

/// The advice on an unknown program.
pub(super) const STRANGER: &str = "only rsync and the verbs that help lists are offered here";

/// A program's kind, by the last part of its path.
pub(super) fn kind(name: &str) -> Option<&'static Kind> {
    let base = name.rsplit('/').next().unwrap_or(name);
    KINDS.iter().find(|kind| kind.names.contains(&base))
}

/// The kind of an assignment like `LC_ALL=C`.
pub(super) fn environment() -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.names == ENVIRONMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_is_of_one_kind_and_every_kind_tells_what_to_do() {
        let mut names: Vec<_> = KINDS.iter().flat_map(|kind| kind.names).collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "{names:?}");
        for kind in KINDS {
            assert!(!kind.instead.is_empty() && !kind.instead.ends_with('.') && !kind.instead.contains('\n'), "{kind:?}");
        }
        assert_eq!(kind("/usr/bin/sudo").map(|kind| kind.wraps), Some(true));
        assert!(kind("sudo-like").is_none() && environment().is_some());
    }
}
