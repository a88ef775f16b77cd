//! Messages about files that were in the last snapshot and were stored again. With another mode or
//! owner that is the client's affair; without a difference somebody should know.

use crate::terms::StoredAgain;

/// The line of a report: what differs, in how many.
pub fn describe(again: &StoredAgain) -> Option<String> {
    let StoredAgain { files, same, content, mode, owner, times, access_list, attributes, more } = *again;
    let all = [
        (content, "other content of the same size and time"),
        (mode, "another mode"),
        (owner, "another owner or group"),
        (times, "another time"),
        (access_list, "another access list"),
        (attributes, "other attributes"),
        (same, "no difference"),
    ];
    let kinds: Vec<_> = all.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} with {what}")).collect();
    let least = if more { "at least " } else { "" };
    let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    (!kinds.is_empty()).then(|| format!("{least}{files} stored before: {}", kinds.join(", ")))
}

/// The warning about those that do not differ. `ignores_times`: the client asked for it.
pub fn warning(again: &StoredAgain, ignores_times: bool) -> Option<String> {
    let least = if again.more { "at least " } else { "" };
    let files = if again.same == 1 { "1 file is".to_owned() } else { format!("{} files are", again.same) };
    let why = if ignores_times { ": the client has its rsync ignore times (-I)" } else { "" };
    let says = || format!("{least}{files} the same as in the last snapshot, content and all, and stored again instead of linked{why}");
    (again.same > 0).then(says)
}

/// The warning about a push that linked nothing, although the snapshot before has files of the same
/// names: `changed` of them came anew. `keeps_times`: the client has its rsync keep times.
pub fn nothing_linked(again: &StoredAgain, changed: u64, keeps_times: bool, ignores_times: bool) -> Option<String> {
    let is_known = !keeps_times || ignores_times;
    // Otherwise they may all have changed.
    if changed == 0 || (!is_known && again.files.saturating_mul(2) < changed) {
        return None;
    }
    let causes = [
        (!keeps_times, "the client's rsync keeps no times (`-t`, which `-a` has), so each file looks changed the next time"),
        (ignores_times, "the client has its rsync ignore times (`-I`)"),
        (again.times > 0, "the files have other times at the client than before: look for what sets them there"),
        (again.owner > 0, "the files have another owner or group than before"),
        (again.mode > 0, "the files have another mode than before"),
        (again.access_list > 0, "the files have other access lists than before"),
        (again.attributes > 0, "the files have other extended attributes than before"),
        (again.content > 0, "the files have other content than before, with the same size and time"),
    ];
    let cause =
        causes.iter().find(|(holds, _)| *holds).map_or("the server's rsync may not have been able to read them there", |(_, what)| what);
    let files = if changed == 1 { "1 file".to_owned() } else { format!("{changed} files") };
    Some(format!("nothing was linked, although the snapshot before has {files} of the same names: {cause}"))
}

/// Warnings about unchanged files that could get no further link: those with as many as the file
/// system allows, and others.
pub fn unlinked(full: u64, kept: u64) -> Vec<String> {
    let each = [
        (full, "they have as many links as the file system gives a file (EMLINK)"),
        (kept, "the kernel does not let them be linked, as where a file is immutable or belongs to another project"),
    ];
    let says = |(count, why)| {
        let files = if count == 1 { "1 unchanged file was".to_owned() } else { format!("{count} unchanged files were") };
        format!("{files} stored again instead of linked: {why}; later pushes link to the new ones")
    };
    each.into_iter().filter(|(count, _)| *count > 0).map(says).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_said_and_only_that() {
        let nothing = StoredAgain::default();
        assert_eq!((describe(&nothing), warning(&nothing, true)), (None, None));
        let some = StoredAgain { files: 3, mode: 1, owner: 2, ..nothing };
        let says = "3 files stored before: 1 with another mode, 2 with another owner or group";
        assert_eq!((describe(&some).as_deref(), warning(&some, true)), (Some(says), None));
        let list = StoredAgain { files: 1, access_list: 1, ..nothing };
        assert_eq!(describe(&list).as_deref(), Some("1 file stored before: 1 with another access list"));
        assert_eq!(describe(&StoredAgain { more: true, ..nothing }), None, "nothing is known");
    }

    #[test]
    fn a_push_that_linked_nothing_is_told_of_with_its_cause() {
        let again = StoredAgain { files: 4, times: 4, ..StoredAgain::default() };
        let said = |again: &StoredAgain, changed, keeps, ignores| nothing_linked(again, changed, keeps, ignores).unwrap_or_default();
        assert!(said(&again, 5, true, false).contains("5 files of the same names: the files have other times"));
        assert!(said(&again, 5, false, false).contains("keeps no times (`-t`"));
        assert!(said(&StoredAgain::default(), 1, true, true).contains("1 file of the same names: the client has its rsync ignore"));
        assert_eq!(said(&again, 9, true, false), "", "most have changed");
        assert_eq!(said(&StoredAgain::default(), 0, false, false), "", "there was nothing to link");
    }

    #[test]
    fn a_cause_is_named_where_it_is_known_alone() {
        let same = StoredAgain { files: 2, same: 2, ..StoredAgain::default() };
        let says = "2 files are the same as in the last snapshot, content and all, and stored again instead of linked";
        assert_eq!(warning(&same, false).as_deref(), Some(says));
        assert_eq!(warning(&same, true), Some(format!("{says}: the client has its rsync ignore times (-I)")));
        assert!(warning(&StoredAgain { more: true, ..same }, false).unwrap().starts_with("at least 2 files"));
    }
}
