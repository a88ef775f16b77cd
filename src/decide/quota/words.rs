//! What a client and the administrator read of room that is short.

use super::{Disk, Holding, MinFree, Quota};
use crate::terms::text::counted;
use crate::terms::{Bytes, Code, Reason, Usage};

/// Why a push or `prepare` is refused: the quota is used up, or would be with the bytes that the
/// client means to bring.
pub fn refusal(quota: &Quota, holding: &Holding, wants: Option<u64>) -> Option<Reason> {
    let used = holding.before_a_push();
    let doubt = if holding.due { "; that has to be counted anew: `snapgate usage --recount`" } else { "" };
    let refused = |says: String, detail: String| {
        let reason = Reason::new(Code::Quota, says)
            .hint("older snapshots have to go, or the quota has to grow: ask the administrator of the server")
            .detail(detail + doubt);
        reason.remedy("raise `quota:`, keep fewer snapshots by `keep:`, or let `snapgate prune` keep fewer when there is no room for more: `when_full: shorten`")
    };
    if quota.is_reached_by(used) {
        let held = held(quota, used);
        return Some(refused(
            format!("the server keeps as much of yours as it may: {held}"),
            format!("the client's quota is used up: {held}"),
        ));
    }
    let (most, wants) = quota.bytes.zip(wants)?;
    let room = most.saturating_sub(used.bytes);
    (wants > room).then(|| {
        let says = format!("{} do not fit: the server keeps {} of yours, and may keep {}", Bytes(wants), Bytes(used.bytes), Bytes(most));
        refused(says, format!("the client means to bring {}, and its quota leaves it {}", Bytes(wants), Bytes(room)))
    })
}

/// Why one is refused for the sake of the disk: no more may be taken from it, or less than the
/// client means to bring. The client learns nothing of the disk.
pub fn no_room(disk: &Disk, leave: &MinFree, wants: Option<u64>) -> Option<Reason> {
    let room = disk.room(leave);
    // The client asks as often as it likes: it must not find out what others take.
    let is_too_much = wants.is_some_and(|wants| wants > roughly(room.bytes));
    if !disk.is_short(leave) && !is_too_much {
        return None;
    }
    let Usage { bytes, inodes } = disk.free;
    let free = format!("{} and {} are free on the store", Bytes(bytes), counted(inodes, "inode", "inodes"));
    let brings = wants.map(|wants| format!(", and the client means to bring {}", Bytes(wants))).unwrap_or_default();
    let reason = Reason::of_the_server(Code::Store, format!("{free}{brings}: `min_free:` leaves pushes {}", Bytes(room.bytes)));
    Some(reason.remedy("make room on the store, or lower `min_free:` in the site file"))
}

/// So many bytes or a little less: the same for all that differ by less than an eighth.
fn roughly(bytes: u64) -> u64 {
    let kept = bytes.checked_ilog2().map_or(0, |digits| digits.saturating_sub(2));
    bytes >> kept << kept
}

/// From how many hundredths on the administrator is told once more, whatever `warn:` says.
const NEARLY_ALL: u64 = 95;

/// What the administrator should know of a push that adds this: that the quota is nearly used up,
/// once for each share that it passes, and where it is not known how much is used.
pub fn warnings(quota: &Quota, before: &Holding, adds: Option<Usage>) -> Vec<String> {
    if !quota.is_set() {
        return Vec::new();
    }
    let after = before.used.and(adds.unwrap_or_default());
    let passes = |percent| quota.over(after, percent) && !quota.over(before.used, percent);
    let is_near = passes(quota.warn) || (passes(NEARLY_ALL) && quota.over(after, quota.warn));
    let near = is_near.then(|| format!("the client's quota is nearly used up: {}", held(quota, after)));
    let is_due = before.due || adds.is_none();
    let due = is_due.then(|| {
        "what the client holds is not known exactly: `snapgate prune` counts it anew, and so does `snapgate usage --recount`".to_owned()
    });
    near.into_iter().chain(due).collect()
}

/// Used and allowed.
pub fn held(quota: &Quota, used: Usage) -> String {
    let of = |most: Option<String>| most.map(|most| format!(" of {most}")).unwrap_or_default();
    let bytes = format!("{}{}", Bytes(used.bytes), of(quota.bytes.map(|most| Bytes(most).to_string())));
    format!("{bytes}, {}{} files and directories", used.inodes, of(quota.inodes.map(|most| most.to_string())))
}
