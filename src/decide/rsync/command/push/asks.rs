//! What a push asks for by its options, as far as the gate depends on it.

use super::Push;
use crate::decide::owners::idpairs;
use crate::terms::Owners;

impl Push {
    /// Whether files that were not sent are deleted. `--max-delete` of 0 or less means none; how
    /// many otherwise is not counted.
    pub fn deletes(&self) -> bool {
        let deletes = self.used.iter().any(|used| used.row.kin == "delete" || used.row.long.first() == Some(&"--delete"));
        let most = self.long.iter().find_map(|word| word.strip_prefix("--max-delete=")?.parse::<i64>().ok());
        deletes && most.is_none_or(|most| most > 0)
    }

    /// Whether the client lists its capabilities, as every rsync since 3.0 does (protocol 30).
    pub fn lists_capabilities(&self) -> bool {
        self.capabilities.is_some()
    }

    /// Whether files of the same size count as the same file.
    pub fn trusts_size(&self) -> bool {
        self.words().iter().any(|word| word == "--size-only")
    }

    /// Whether it can tell next time that a file has not changed: by its time, or otherwise.
    pub fn tells_changes(&self) -> bool {
        self.keeps_times() || self.trusts_size() || self.reads_for_list()
    }

    /// Whether `--numeric-ids` would keep the server's rsync from mapping ids in access lists
    /// (acls.c, `recv_ida_entries`). The client sends no names then, so the option can be dropped,
    /// unless the client's own maps have names.
    pub fn unmaps_lists(&self) -> bool {
        let maps_names = |word: &String| {
            let pairs = ["--usermap=", "--groupmap="].into_iter().find_map(|option| word.strip_prefix(option));
            pairs.is_some_and(|pairs| !idpairs::from_numbers(pairs))
        };
        let numeric = self.long.iter().any(|word| word == "--numeric-ids");
        numeric && self.keeps_access_lists() && self.comes_in_parts() && !self.long.iter().any(maps_names)
    }

    /// Whether the list of files comes in parts (compat.c, `set_allow_inc_recurse`).
    fn comes_in_parts(&self) -> bool {
        let letters = self.letters.contains('r') && !self.letters.contains('m');
        let can = self.capabilities.as_ref().is_some_and(|capabilities| capabilities.contains('i'));
        letters && can && !self.long.iter().any(|word| ["--delete-before", "--delete-after", "--qsort"].contains(&word.as_str()))
    }

    /// Whether rsync needs to be without a user namespace: in one an account can name only itself,
    /// so access lists with others could not be stored. Root and mappings have no such limit.
    pub fn does_without_namespaces(&self, owners: &Owners) -> bool {
        self.keeps_access_lists() && *owners == Owners::Account
    }
}

/// What a letter asks for.
macro_rules! letters {
    ($($(#[$means:meta])+ $name:ident: $letter:literal;)+) => {
        impl Push {
            $($(#[$means])+ pub fn $name(&self) -> bool {
                self.letters.contains($letter)
            })+
        }
    };
}

letters! {
    /// Whether no file counts as unchanged.
    ignores_times: 'I';
    /// Whether times are kept: without them a file looks changed the next time.
    keeps_times: 't';
    /// Whether the client reads its files for its list.
    reads_for_list: 'c';
    /// Whether files are sent whole.
    sends_whole_files: 'W';
    /// Whether hard links among the client's files are kept.
    keeps_hard_links: 'H';
    /// Whether owners are kept.
    keeps_users: 'o';
    /// Whether groups are.
    keeps_groups: 'g';
    /// Whether access lists are.
    keeps_access_lists: 'A';
    /// Whether extended attributes are.
    keeps_attributes: 'X';
}
