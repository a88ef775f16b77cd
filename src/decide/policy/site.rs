//! The site's file from bytes to [`Site`].

use std::path::{Path, PathBuf};

use crate::decide::keep::Span;
use crate::decide::policy::yaml::{self, Fault, Figure, Row, Table as _, TableOf, Text, Texts, Wrong, keys};
use crate::terms::limits::DEFAULT_ALL_SESSIONS;
use crate::terms::{Tiding, Url};

use super::limits::AllSessions;
use super::quota::FreeKeys;
use super::read::{Defaults, PolicyKeys};
use super::values::{Absolute, AbsoluteOrOff, MailAddress, Textfile};
use super::{
    DEFAULT_RSYNC, DEFAULT_SFTP_SERVER, DEFAULT_SPOOL, DEFAULT_SYSLOG, DEFAULT_WEBHOOK_SECRET, Digest, MailSettings, Namespaces, Origins,
    Site, Sshd, Switch, Transport, origins,
};

keys! {
    struct MailKeys, "`mail`" {
        /// The sender of every mail.
        from: MailAddress as Text<_> = Words("`snapgate@` and the name of the host"), "snapgate@backup.example.org";
        /// Who gets alerts: refusals, pushes that came to nothing, snapshots that are not whole,
        /// and hooks that failed, whatever a policy's `report:` says.
        to: Vec<MailAddress> as Texts<_> = Value("[root]"), "[root, ops@example.org]";
        /// Who gets the reports of pushes that a policy's `report:` asks for.
        reports_to: Vec<MailAddress> as Texts<_> = Words("the addresses of `to:`"), "[reports@example.org]";
        /// The way that mail takes: the local mailer, as `sendmail` or `sendmail:/path`; a mail
        /// server, as `smtp://host`, `starttls://user@host` or `smtps://user@host`, with `:port`
        /// where it is not 25, 587 or 465; a directory of `.eml` files, as `file:/some/dir`; or
        /// `off`, for no mail at all.
        transport: Transport as Text<_> = Value("sendmail"), "smtps://gate@mail.example.org";
        /// A file whose first line is the password of the account in `transport:`. Where root alone
        /// can read it (mode 0600), mail waits for `snapgate watch`; where the group `snapgate` can
        /// (0640), every client's account can.
        password_file: Absolute as Text<_> = Words("none"), "/etc/snapgate/password";
        /// Certificates (PEM) to trust besides the system's. They count for `webhook:` and `ping:`
        /// as well.
        ca_file: Absolute as Text<_> = Words("none"), "/etc/snapgate/ca.pem";
    }

    fn whole(&self) -> Result<(), Wrong> {
        let user = matches!(&self.transport, Some(Transport::Smtp { user: Some(_), .. }));
        match (user, self.password_file.is_some()) {
            (true, false) => {
                Err(Wrong::new("the transport names an account but no password", "add password_file: and the path of a file that holds it"))
            }
            (false, true) => Err(Wrong::new("a password file without an account", "name the account in transport: smtps://user@host")),
            _ => Ok(()),
        }
    }
}

impl MailKeys {
    fn settings(self) -> MailSettings {
        let plain = |all: Vec<MailAddress>| all.into_iter().map(|MailAddress(address)| address).collect::<Vec<_>>();
        let Self { from, to, reports_to, transport, password_file, ca_file } = self;
        let to = to.map_or_else(|| vec!["root".to_owned()], plain);
        MailSettings {
            from: from.map(|MailAddress(address)| address),
            reports_to: reports_to.map_or_else(|| to.clone(), plain),
            to,
            transport: transport.unwrap_or_else(|| Transport::Sendmail(PathBuf::from("/usr/sbin/sendmail"))),
            password_file: password_file.map(|Absolute(path)| path),
            ca_file: ca_file.map(|Absolute(path)| path),
        }
    }
}

keys! {
    struct LogKeys, "`logs`" {
        /// How long they are kept. An old ledger that speaks of a snapshot that is still there
        /// stays for as long.
        keep: Span as Text<_> = Value("90d"), "1y";
    }
}

keys! {
    struct SiteKeys, "the site file" {
        /// The directory of the repositories: a client's is `<store>/<client>`, unless its policy
        /// has a `path:`.
        store: Absolute as Text<_> = Required, "/srv/backups";
        /// The rsync that runs, whatever program a client asks for.
        rsync: Absolute as Text<_> = Value("/usr/bin/rsync"), "/usr/local/bin/rsync";
        /// OpenSSH's sftp-server, which shows snapshots to clients whose policy has the verb `browse`.
        sftp_server: Absolute as Text<_> = Value("/usr/lib/openssh/sftp-server"), "/usr/libexec/openssh/sftp-server";
        /// The directory in which events wait for the mailer. Every account of the group `snapgate`
        /// may write in it, and the file `sessions` in it counts connections.
        spool: Absolute as Text<_> = Value("/var/spool/snapgate"), "/srv/spool/snapgate";
        /// The socket of the log daemon. `off` logs nothing there.
        syslog: AbsoluteOrOff as Text<_> = Value("/dev/log"), "/run/log";
        /// The sshd_config(5) file of the sshd that clients reach, where it is not the usual one.
        /// `snapgate check` alone asks for it. `off` says that clients come in another way, as by
        /// Dropbear.
        sshd: AbsoluteOrOff as Text<_> = Words("sshd, with its usual settings"), "/etc/ssh/backup_config";
        /// Whether Landlock and seccomp confine rsync. Where the kernel cannot hold the jail, the
        /// gate refuses to run unless this is `off`, and then says so in every line of its log.
        jail: Switch as Text<_> = Value("on"), "off";
        /// What becomes of a push where the kernel gives its account no namespaces of users and
        /// mounts, so that rsync would see the server's own files.
        namespaces: Namespaces as Text<_> = Value("required"), "optional";
        /// Connections of all clients together that are served at once. One more is told to try
        /// again (code `busy`, exit 75).
        sessions: AllSessions as Figure<_> = Value("100"), "200";
        /// What pushes leave free on the disk of a repository. Where there is no more, they are
        /// refused (code `store`, exit 75), and one that comes to it is stopped; what it brought is
        /// kept.
        min_free: FreeKeys as TableOf<_> = Below, "{ bytes: 5%, inodes: 5% }";
        /// Who gets mail, and how it leaves.
        mail: MailKeys as TableOf<_> = Below, "{ to: [root], transport: sendmail }";
        /// When a mail comes that says how all clients stand, also where all is well: one that does not
        /// come says that something is wrong with the server. By the clocks of `timezone:` in
        /// `defaults:`. It goes to `reports_to:` of `mail:`, and, with what concerns their clients, to
        /// those of policies.
        digest: Digest as Text<_> = Value("daily at 07:00"), "weekly on monday at 07:00";
        /// A server to which each event is sent by POST, as JSON with a signature. `http://` is for this
        /// machine alone; elsewhere write `insecure:http://` if everybody on the way may read it. See
        /// "Other ways out" in `docs/administration.md`.
        webhook: Url as Text<_> = Words("none"), "\"https://ops.example.org/snapgate\"";
        /// A file whose first line is the secret of that signature. Only root may be able to read it
        /// (mode 0600).
        webhook_secret: Absolute as Text<_> = Value("/etc/snapgate/webhook.key"), "/etc/snapgate/ops.key";
        /// What the webhook is told.
        webhook_kinds: Vec<Tiding> as Texts<_> = Words("all of it"), "[failed, held, missed, quota]";
        /// A program that is given the same JSON on standard input. `snapgate watch` runs it, so as
        /// root: nobody else may be able to change it, or a directory that it is in.
        exec: Absolute as Text<_> = Words("none"), "/usr/local/sbin/snapgate-told";
        /// What `snapgate maintain` leaves of the past: logs of runs, what was set aside as broken,
        /// mails that no server accepted, and ledgers. A ledger is set aside and packed each month,
        /// and read like the new one.
        logs: LogKeys as TableOf<_> = Below, "{ keep: 1y }";
        /// A file of metrics for Prometheus' node exporter, whose option
        /// `--collector.textfile.directory` names its directory. That has to be root's alone. `snapgate
        /// metrics` shows what is in it.
        metrics: Textfile as Text<_> = Words("none"), "/var/lib/prometheus/node-exporter/snapgate.prom";
        /// Any keys of a policy, for every policy that does not say them itself. A policy's key
        /// replaces the same one here whole: the tables of both are never merged.
        defaults: PolicyKeys as TableOf<_> = Words("none"), "{ report: always, timezone: Europe/Madrid }";
    }
}

/// For how long logs are kept.
const DEFAULT_LOGS: Span = Span::of_days(90);

/// What may stand in the site file.
pub const SITE_KEYS: &[Row] = SiteKeys::ROWS;

/// Reads the site file.
pub fn read_site(file: &Path, bytes: &[u8]) -> Result<Site, Fault> {
    let TableOf(SiteKeys {
        store,
        rsync,
        sftp_server,
        spool,
        syslog,
        sshd,
        jail,
        namespaces,
        sessions,
        min_free,
        mail,
        digest,
        webhook,
        webhook_secret,
        webhook_kinds,
        exec,
        logs,
        metrics,
        defaults,
    }) = yaml::read(file, bytes)?;
    let text = yaml::text_of(file, bytes)?;
    let Some(Absolute(store)) = store else {
        return Err(Fault::whole(file, "the key `store` is missing", "add store: and the directory of the repositories"));
    };
    let or = |given: Option<Absolute>, usual: &str| given.map_or_else(|| PathBuf::from(usual), |Absolute(path)| path);
    Ok(Site {
        file: file.to_path_buf(),
        store,
        rsync: or(rsync, DEFAULT_RSYNC),
        sftp_server: or(sftp_server, DEFAULT_SFTP_SERVER),
        spool: or(spool, DEFAULT_SPOOL),
        syslog: syslog.map_or_else(|| Some(PathBuf::from(DEFAULT_SYSLOG)), |AbsoluteOrOff(path)| path),
        sshd: match sshd {
            None => Sshd::OfTheMachine,
            Some(AbsoluteOrOff(None)) => Sshd::None,
            Some(AbsoluteOrOff(Some(file))) => Sshd::With(file),
        },
        jail: jail.is_none_or(|jail| jail == Switch::On),
        namespaces: namespaces.unwrap_or(Namespaces::Required),
        sessions: sessions.map_or(DEFAULT_ALL_SESSIONS, |AllSessions(sessions)| sessions),
        min_free: min_free.unwrap_or_default().min_free(),
        mail: mail.unwrap_or_default().settings(),
        digest: digest.unwrap_or(Digest::USUAL),
        webhook,
        webhook_secret: or(webhook_secret, DEFAULT_WEBHOOK_SECRET),
        webhook_kinds: webhook_kinds.unwrap_or_else(|| Tiding::ALL.to_vec()),
        exec: exec.map(|Absolute(path)| path),
        metrics: metrics.map(|Textfile(path)| path),
        logs_keep: logs.and_then(|logs| logs.keep).unwrap_or(DEFAULT_LOGS),
        origins: Origins { file: file.to_path_buf(), keys: origins::keys(file, text, None) },
        defaults: Defaults { keys: defaults.unwrap_or_default(), origins: origins::keys(file, text, Some("defaults")) },
    })
}
