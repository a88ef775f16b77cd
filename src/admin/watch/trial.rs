//! `snapgate watch --test CLIENT`: one of each that could be told of a client, marked as a test, and
//! whether it was taken. Nothing goes by way of the spool: somebody waits for the answer.

use std::fmt::Write as _;
use std::path::Path;

use super::ways::Ways;
use super::{Budget, route};
use crate::act::ways::NotTaken;
use crate::act::{clock, config, inspect, mail};
use crate::decide::policy::{Site, Transport};
use crate::decide::speak::ways as words;
use crate::terms::text::printable_path;
use crate::terms::{Audience, ClientName, ComposedMail, MailSubject, Signal, Told, What, exit};

/// What is printed, and the exit code.
type Printed = (String, u8);

/// What became of one way.
enum End {
    /// It was taken there.
    Taken(String),
    /// It is not set up; by which key it would be.
    Unset(String),
    /// It was not taken; why, and what to do.
    Failed(String, String),
}

/// Tries each way.
pub fn test(directory: &Path, site: &Site, client: &ClientName) -> Result<Printed, Printed> {
    let policy = config::load_policy(directory, site, client).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let Some(policy) = policy else {
        return Err((format!("there is no client `{client}`\nsee `snapgate status` for the clients there are"), exit::USAGE));
    };
    let budget = Budget::new();
    let ways = Ways::new(site, &budget);
    let host = inspect::host_name();
    let now = clock::now();
    let what = What::Notice(Told {
        id: format!("test-{}", now.timestamp_micros()),
        at: now,
        client: Some(client.clone()),
        tiding: None,
        subject: MailSubject::new(client, "this is a test"),
        text: text(client, &host),
    });
    let taken = |result: Result<(), NotTaken>, place: String, help: String| match result {
        Ok(()) => End::Taken(place),
        Err(error) => End::Failed(error.to_string(), help),
    };
    let webhook = site.webhook.as_ref().map_or_else(
        || End::Unset("webhook: in the site file".to_owned()),
        |url| {
            let help = format!("see what the server says of it, and webhook: in {}", printable_path(&site.file));
            taken(ways.post(&what, now), url.to_string(), help)
        },
    );
    let ping = policy.told.ping.as_ref().map(|url| words::ping(url, client, Signal::Log)).map_or_else(
        || End::Unset(format!("ping: in the policy of {client}")),
        |url| {
            let help = format!(
                "see ping: in {}; the test goes to its URL with /log behind it, which means neither success nor failure",
                printable_path(&policy.origins.of("ping").file)
            );
            taken(ways.ping_with(&url, "this is a test of snapgate\n"), url.to_string(), help)
        },
    );
    let exec = site.exec.as_ref().map_or_else(
        || End::Unset("exec: in the site file".to_owned()),
        |program| taken(ways.run(&what), printable_path(program), "run it by hand with a file of JSON on its standard input".to_owned()),
    );
    let ends = [
        ("mail (alert)", mailed(site, client, Audience::Alerts)),
        ("mail (report)", mailed(site, client, Audience::Reports)),
        ("webhook", webhook),
        ("ping", ping),
        ("exec", exec),
    ];
    let (mut said, mut code) = (String::new(), 0);
    for (way, end) in ends {
        let _ = match end {
            End::Taken(place) => writeln!(said, "{way}: accepted ({place})"),
            End::Unset(key) => writeln!(said, "{way}: not set up ({key})"),
            End::Failed(why, help) => {
                code = 1;
                writeln!(said, "{way}: NOT accepted: {why}\n    {help}")
            }
        };
    }
    Ok((said, code))
}

fn text(client: &ClientName, host: &str) -> String {
    format!(
        "`snapgate watch --test {client}` has sent this, to see whether it leaves {host} and arrives.\nNothing has happened, and there is nothing to do.\n"
    )
}

fn mailed(site: &Site, client: &ClientName, audience: Audience) -> End {
    if site.mail.transport == Transport::Off {
        return End::Unset("mail: in the site file: its transport: is off".to_owned());
    }
    let what = match audience {
        Audience::Alerts => "an alert",
        Audience::Reports => "a report",
    };
    let mail = ComposedMail {
        seq: 0,
        uid: inspect::running_uid(),
        created: clock::now(),
        audience,
        events: 0,
        subject: MailSubject::new(client, format_args!("this is a test of {what}")),
        body: text(client, &inspect::host_name()),
        client: Some(client.clone()),
        topic: None,
        thread: None,
        page: None,
    };
    let settings = route::settings(site, &mail);
    let to = match audience {
        Audience::Alerts => &settings.to,
        Audience::Reports => &settings.reports_to,
    };
    let to = to.join(", ");
    let help = format!("see mail: in {}, and the log of the mailer", printable_path(&site.file));
    match mail::send(&settings, &mail, &super::ways::addresses) {
        Ok(sent) if sent.left_out.is_empty() => End::Taken(to),
        Ok(sent) => End::Failed(format!("not by all: {}", sent.left_out.join("; ")), help),
        Err(error) => End::Failed(error.to_string(), help),
    }
}
