//! The ids of a process or thread (proc_pid_status(5)).

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub name: String,
    /// Real, effective, saved, and for files.
    pub users: Vec<u32>,
    /// The same four, and the supplementary ones.
    pub groups: Vec<u32>,
    /// Whether it has ended.
    pub is_gone: bool,
}

/// Reads `/proc/pid/status`. `None` if a line is missing or malformed.
pub(crate) fn status(text: &[u8]) -> Option<Status> {
    let field = |name: &str| {
        let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name.as_bytes()))?;
        Some(String::from_utf8_lossy(line).trim().to_owned())
    };
    let numbers = |name| field(name)?.split_whitespace().map(|word| word.parse().ok()).collect::<Option<Vec<u32>>>();
    let (users, mut groups) = (numbers("Uid:")?, numbers("Gid:")?);
    if users.len() != 4 || groups.len() != 4 {
        return None;
    }
    groups.extend(numbers("Groups:")?);
    let is_gone = field("State:")?.starts_with(['Z', 'X']);
    Some(Status { name: field("Name:")?, users, groups, is_gone })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\trsync\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t5\nUid:\t1000\t1001\t1002\t1003\nGid:\t7\t8\t9\t10\n\
        FDSize:\t64\nGroups:\t7 100 \nNStgid:\t5\n";

    #[test]
    fn every_id_of_a_process_is_read() {
        let found = status(TEXT.as_bytes()).unwrap();
        assert_eq!((found.users, found.groups), (vec![1000, 1001, 1002, 1003], vec![7, 8, 9, 10, 7, 100]));
        assert_eq!((found.name.as_str(), found.is_gone), ("rsync", false));
        assert!(status(TEXT.replace("S (sleeping)", "Z (zombie)").as_bytes()).unwrap().is_gone);
        assert_eq!(status(TEXT.replace("7 100 ", "").as_bytes()).unwrap().groups, [7, 8, 9, 10]);
        for (from, to) in [("Uid:", "Xid:"), ("1003", ""), ("1003", "x"), ("Groups:", "Grp:"), ("State:", "S:"), ("\t10\n", "\n")] {
            assert_eq!(status(TEXT.replace(from, to).as_bytes()), None, "{from}");
        }
    }
}
