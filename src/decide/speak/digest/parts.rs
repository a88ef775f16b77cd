//! The parts of the page.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Client, Facts};
use crate::decide::speak::states::{Kind, long};
use crate::terms::Bytes;
use crate::terms::limits::{LARGEST, MAX_DIGEST_ROWS, MAX_PAGE_PARTS, PUSH_BARS};
use crate::terms::page::{Bar, Column, Plot, Section, Table};
use crate::terms::text::{counted, on_one_line};

/// Names of clients in one cell.
const NAMES: usize = 3;

/// A column of words.
fn words(name: &str) -> Column {
    Column { name: name.to_owned(), is_figure: false }
}

/// A column of figures.
fn figures(name: &str) -> Column {
    Column { name: name.to_owned(), is_figure: true }
}

/// As many rows as there is room for, and how many more there are.
fn table<const N: usize>(columns: [Column; N], mut rows: Vec<[String; N]>, most: usize, whole: &str) -> (Table, String) {
    let more = rows.len().saturating_sub(most);
    rows.truncate(most);
    let table = Table { columns: columns.into(), rows: rows.into_iter().map(Vec::from).collect() };
    (table, if more > 0 { format!("and {more} more: {whole}") } else { String::new() })
}

/// Bytes that came or went.
fn change(before: u64, now: u64) -> String {
    if now >= before { format!("+{}", Bytes(now - before)) } else { format!("-{}", Bytes(before - now)) }
}

fn share(part: u64, of: u64) -> u64 {
    u64::try_from(u128::from(part) * 100 / u128::from(of.max(1))).unwrap_or(u64::MAX)
}

/// What did not go well.
pub(super) fn bad(facts: &Facts, clients: &[&Client], whole: bool) -> Option<Section> {
    // What lasts comes first, and of that what nobody else would notice.
    let mut rows: Vec<(usize, [String; 3])> = Vec::new();
    let state = |who: &str, (kind, since, what): &(Kind, _, String)| {
        let title = kind.row().title;
        [who.to_owned(), format!("{title}: {what}"), format!("for {}", long(*since, facts.now))]
    };
    let server = facts.lasting.iter().filter(|_| whole);
    rows.extend(server.map(|lasting| (0, state("this server", lasting))));
    for client in clients {
        let name = || client.name.to_string();
        rows.extend(client.lasting.iter().map(|lasting| (1, state(client.name.as_str(), lasting))));
        let is_told = client.lasting.iter().any(|(kind, ..)| *kind == Kind::Unreadable);
        if let Some(problem) = client.problem.as_ref().filter(|_| !is_told) {
            rows.push((2, [name(), problem.lines().next().unwrap_or_default().to_owned(), "now".to_owned()]));
        }
        let seen = &client.seen;
        if let Some((at, line)) = &seen.failure {
            let since = seen.last.filter(|last| last > at).map_or("not backed up since", |_| "backed up since");
            let failed = counted(seen.failed, "try", "tries");
            let place = if seen.ended_badly() { 3 } else { 5 };
            rows.push((place, [name(), format!("{failed} failed, the last: {line}"), since.to_owned()]));
        }
        if let Some(problem) = seen.problem.as_ref().filter(|_| !is_told) {
            let times = if seen.problems > 1 { format!(" ({} times)", seen.problems) } else { String::new() };
            rows.push((4, [name(), format!("{problem}{times}"), String::new()]));
        }
        if seen.partial > 0 {
            let partial = counted(seen.partial, "snapshot is", "snapshots are");
            rows.push((6, [name(), format!("{partial} partial: rsync could not read or store something"), String::new()]));
        }
    }
    rows.sort_by_key(|(place, _)| *place);
    let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    let said = if rows.is_empty() { vec!["Nothing.".to_owned()] } else { Vec::new() };
    let more = "`snapgate status` and `snapgate log --outcome failed` show all";
    let (table, more) = table([words("client"), words("what"), words("since")], rows, MAX_DIGEST_ROWS, more);
    Some(Section { heading: "What did not go well".to_owned(), words: said, table, more, ..Section::default() })
}

/// What went well.
pub(super) fn good(facts: &Facts, clients: &[&Client], _: bool) -> Option<Section> {
    let sum = |of: fn(&Client) -> u64| clients.iter().map(|client| of(client)).fold(0, u64::saturating_add);
    let (snapshots, new) = (sum(|client| client.seen.snapshots), sum(|client| client.seen.new));
    let mut backed_up: Vec<_> = clients.iter().filter(|client| client.seen.snapshots > 0).collect();
    let of = counted(backed_up.len(), "client", "clients");
    let mut said = vec![match snapshots {
        0 => "No push became a snapshot.".to_owned(),
        1 => format!("1 push became a snapshot, with {} that are new.", Bytes(new)),
        many => format!("{many} pushes of {of} became snapshots, with {} that are new.", Bytes(new)),
    }];
    let (restores, drills) = (sum(|client| client.seen.restores), sum(|client| client.seen.drills));
    if restores > 0 {
        said.push(format!("{}.", counted(restores, "restore", "restores")));
    }
    if drills > 0 {
        said.push(format!("{} found what the store has.", counted(drills, "drill", "drills")));
    }
    let mut bars = vec![Bar::default(); PUSH_BARS];
    for (bar, seen) in clients.iter().flat_map(|client| bars_of(client).enumerate()) {
        if let Some(sum) = bars.get_mut(bar) {
            sum.good = sum.good.saturating_add(seen.good);
            sum.bad = sum.bad.saturating_add(seen.bad);
        }
    }
    let (good, bad) = bars.iter().fold((0_u64, 0_u64), |(good, bad), bar| (good.saturating_add(bar.good), bad.saturating_add(bar.bad)));
    let plot = (good + bad > 0).then(|| Plot {
        title: format!("Pushes over this time: {} in blue, {bad} that failed in red", counted(good, "snapshot", "snapshots")),
        ends: [facts.moment(facts.span.since), facts.moment(facts.span.until)],
        bars,
    });
    backed_up.sort_by_key(|client| Reverse(client.seen.new));
    let rows = backed_up.iter().map(|client| {
        let newest = client.newest.map(|newest| facts.moment(newest)).unwrap_or_default();
        [client.name.to_string(), client.seen.snapshots.to_string(), Bytes(client.seen.new).to_string(), newest]
    });
    let columns = [words("client"), figures("snapshots"), figures("new"), words("newest")];
    let most = if backed_up.len() > MAX_DIGEST_ROWS { LARGEST } else { MAX_DIGEST_ROWS };
    let (table, more) = table(columns, rows.collect(), most, "`snapgate status` shows all");
    Some(Section { heading: "What went well".to_owned(), words: said, plot, table, more })
}

fn bars_of(client: &Client) -> impl Iterator<Item = Bar> + use<'_> {
    client.seen.bars.iter().copied()
}

/// What is due.
pub(super) fn due(facts: &Facts, clients: &[&Client], _: bool) -> Option<Section> {
    let mut rows = Vec::new();
    for client in clients {
        let mut say = |what: String, when: String| rows.push([client.name.to_string(), what, when]);
        if let Some((expected, missed)) = client.late {
            let when = format!("expected {}, missed from {} on", facts.moment(expected), facts.moment(missed));
            say("its next snapshot is late".to_owned(), when);
        }
        if client.frozen {
            say("it is frozen, so nothing is expected of it".to_owned(), "until `snapgate thaw`".to_owned());
        }
        if client.newest.is_none() && client.problem.is_none() {
            say("it has no snapshot yet".to_owned(), String::new());
        }
        if let (Some(used), Some(quota)) = (client.used, client.quota)
            && share(used, quota) >= client.warn
            && !client.lasting.iter().any(|(kind, ..)| *kind == Kind::Quota)
        {
            let what = format!("{} % of its quota of {} are used", share(used, quota), Bytes(quota));
            say(what, String::new());
        }
    }
    let (mut said, mut upkeep) = (Vec::new(), BTreeMap::<&str, usize>::new());
    clients.iter().flat_map(|client| &client.upkeep).for_each(|word| *upkeep.entry(word).or_default() += 1);
    if !upkeep.is_empty() {
        let each: Vec<_> = upkeep.iter().map(|(word, count)| format!("{word} for {}", counted(*count, "client", "clients"))).collect();
        said.push(format!("Upkeep, which `snapgate maintain` does by itself: {}.", each.join(", ")));
    }
    let trash: usize = clients.iter().map(|client| client.trash).sum();
    if trash > 0 {
        let trash = counted(trash, "removed snapshot waits", "removed snapshots wait");
        said.push(format!("{trash} in the trash, to be freed after `trash_grace:`."));
    }
    if rows.is_empty() && said.is_empty() {
        said.push("Nothing.".to_owned());
    }
    let (table, more) = table([words("client"), words("what"), words("when")], rows, MAX_DIGEST_ROWS, "`snapgate status` shows all");
    Some(Section { heading: "What is due".to_owned(), words: said, table, more, ..Section::default() })
}

/// How what clients hold has grown.
pub(super) fn growth(facts: &Facts, clients: &[&Client], whole: bool) -> Option<Section> {
    let used: u64 = clients.iter().filter_map(|client| client.used).fold(0, u64::saturating_add);
    let unknown = clients.iter().filter(|client| client.used.is_none() && client.newest.is_some()).count();
    // Whoever was not known then has not grown by all that it holds.
    let known = || clients.iter().filter_map(|client| Some((client, client.before?, client.used?)));
    let (before, now) = known().fold((0_u64, 0_u64), |sum, (_, before, now)| (sum.0.saturating_add(before), sum.1.saturating_add(now)));
    let mut said = vec![format!("Together the clients hold {}.", Bytes(used))];
    if known().next().is_some() {
        said.push(format!("Those that were here at the last digest: {}.", change(before, now)));
    } else {
        said.push("The next digest says how that grows.".to_owned());
    }
    if unknown > 0 {
        let unknown = counted(unknown, "client holds", "clients hold");
        said.push(format!("What {unknown} is not known: the next `snapgate maintain` counts it."));
    }
    let plot = facts.points.first().filter(|_| whole && facts.points.len() > 1).map(|first| Plot {
        title: format!("What all clients hold, at the last digests and now, when it is {}", Bytes(used)),
        ends: [facts.moment(first.at), facts.moment(facts.now)],
        bars: facts.points.iter().map(|point| Bar { good: point.used, bad: 0 }).collect(),
    });
    let mut grown: Vec<_> = known().filter(|(_, before, now)| now > before).collect();
    grown.sort_by_key(|(_, before, now)| Reverse(now - before));
    let rows =
        grown.iter().take(LARGEST).map(|(client, before, now)| [client.name.to_string(), change(*before, *now), Bytes(*now).to_string()]);
    let (table, _) = table([words("client"), figures("grown by"), figures("holds")], rows.collect(), LARGEST, "");
    Some(Section { heading: "Growth".to_owned(), words: said, plot, table, more: String::new() })
}

/// The ten largest.
pub(super) fn largest(_: &Facts, clients: &[&Client], _: bool) -> Option<Section> {
    let mut all: Vec<_> = clients.iter().filter_map(|client| Some((client, client.used.filter(|used| *used > 0)?))).collect();
    let sum = all.iter().map(|(_, used)| *used).fold(0, u64::saturating_add);
    all.sort_by_key(|(_, used)| Reverse(*used));
    let rows = all.iter().take(LARGEST).map(|(client, used)| {
        let quota = client.quota.map(|quota| format!("{} %", share(*used, quota))).unwrap_or_default();
        [client.name.to_string(), Bytes(*used).to_string(), format!("{} %", share(*used, sum)), quota]
    });
    let rows: Vec<_> = rows.collect();
    let heading = if all.len() > LARGEST { "The ten largest" } else { "By size" };
    let columns = [words("client"), figures("holds"), figures("of all"), figures("of its quota")];
    let (table, _) = table(columns, rows, LARGEST, "");
    (!table.rows.is_empty()).then(|| Section { heading: heading.to_owned(), table, ..Section::default() })
}

/// Refusals, summed.
pub(super) fn refusals(facts: &Facts, clients: &[&Client], whole: bool) -> Option<Section> {
    let mut codes: BTreeMap<&str, (u64, BTreeSet<&str>)> = BTreeMap::new();
    let apart = facts.apart.iter().filter(|_| whole).map(|(account, seen)| (account.as_str(), seen));
    for (who, seen) in clients.iter().map(|client| (client.name.as_str(), &client.seen)).chain(apart) {
        for (code, count) in &seen.refused {
            let (sum, names) = codes.entry(code).or_default();
            *sum = sum.saturating_add(*count);
            names.insert(who);
        }
    }
    let sum = codes.values().map(|(count, _)| *count).fold(0, u64::saturating_add);
    let said = match sum {
        0 => "No connection was refused.".to_owned(),
        _ => format!("{} refused. `snapgate log --outcome refused` shows each.", counted(sum, "connection was", "connections were")),
    };
    let mut rows: Vec<_> = codes.into_iter().collect();
    rows.sort_by_key(|(_, (count, _))| Reverse(*count));
    let rows = rows.into_iter().map(|(code, (count, names))| {
        let more = if names.len() > NAMES { format!(" and {} more", names.len() - NAMES) } else { String::new() };
        [code.to_owned(), count.to_string(), names.into_iter().take(NAMES).collect::<Vec<_>>().join(", ") + &more]
    });
    let (table, more) =
        table([words("code"), figures("connections"), words("of")], rows.collect(), MAX_DIGEST_ROWS, "`snapgate help codes`");
    Some(Section { heading: "Refusals".to_owned(), words: vec![said], table, more, ..Section::default() })
}

/// What could not be read, and so is not told of.
pub(super) fn unread(facts: &Facts, _: &[&Client], whole: bool) -> Option<Section> {
    if !whole || facts.unread.is_empty() {
        return None;
    }
    let more = facts.unread.len().saturating_sub(MAX_PAGE_PARTS);
    let more = if more > 0 { format!("and {more} more") } else { String::new() };
    let words = facts.unread.iter().take(MAX_PAGE_PARTS).map(|what| on_one_line(what)).collect();
    Some(Section { heading: "What could not be read".to_owned(), words, more, ..Section::default() })
}
