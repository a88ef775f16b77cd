//! What a push asks for, by its options, as far as the rest of the gate goes by it.

use super::Push;
use crate::decide::owners::idpairs;
use crate::terms::Owners;

impl Push {
    /// Whether what is at its place and was not sent is to go. `--max-delete` with 0 or less is rsync's way to say that nothing is; how many
    /// may go otherwise nobody counts here.
    pub fn deletes(&self) -> bool {
        let deletes = self.used.iter().any(|used| used.row.kin == "delete" || used.row.long.first() == Some(&"--delete"));
        let most = self.long.iter().find_map(|word| word.strip_prefix("--max-delete=")?.parse::<i64>().ok());
        deletes && most.is_none_or(|most| most > 0)
    }

    /// Whether the client says what its rsync can do, as every rsync since 3.0 does (protocol 30).
    pub fn tells_capabilities(&self) -> bool {
        self.capabilities.is_some()
    }

    /// Whether files of the same size count as the same file.
    pub fn trusts_size(&self) -> bool {
        self.words().iter().any(|word| word == "--size-only")
    }

    /// Whether no file counts as the same file.
    pub fn ignores_times(&self) -> bool {
        self.letters.contains('I')
    }

    /// Whether the client reads its files for its list (`-c`).
    pub fn reads_for_list(&self) -> bool {
        self.letters.contains('c')
    }

    /// Whether files are sent whole, and none is built on what is there of it.
    pub fn sends_whole_files(&self) -> bool {
        self.letters.contains('W')
    }

    /// Whether hard links among the client's files are kept.
    pub fn keeps_hard_links(&self) -> bool {
        self.letters.contains('H')
    }

    /// Whether owners are asked for.
    pub fn keeps_users(&self) -> bool {
        self.letters.contains('o')
    }

    /// Whether groups are.
    pub fn keeps_groups(&self) -> bool {
        self.letters.contains('g')
    }

    /// Whether access lists are.
    pub fn keeps_access_lists(&self) -> bool {
        self.letters.contains('A')
    }

    /// Whether its `--numeric-ids` would have the server's rsync map no ids in access lists (acls.c, `recv_ida_entries`). The client sends no
    /// names then, so that it says the same without it; that is so only where nobody has a name in the client's own maps either.
    pub fn unmaps_lists(&self) -> bool {
        let maps_names = |word: &String| {
            let pairs = ["--usermap=", "--groupmap="].into_iter().find_map(|option| word.strip_prefix(option));
            pairs.is_some_and(|pairs| !idpairs::from_numbers(pairs))
        };
        let numeric = self.long.iter().any(|word| word == "--numeric-ids");
        numeric && self.keeps_access_lists() && self.comes_in_parts() && !self.long.iter().any(maps_names)
    }

    /// Whether its list of files comes in parts. The server's rsync decides it by these (compat.c, `set_allow_inc_recurse`), from protocol
    /// 30 on, as access lists do.
    fn comes_in_parts(&self) -> bool {
        let letters = self.letters.contains('r') && !self.letters.contains('m');
        let can = self.capabilities.as_ref().is_some_and(|capabilities| capabilities.contains('i'));
        letters && can && !self.long.iter().any(|word| ["--delete-before", "--delete-after", "--qsort"].contains(&word.as_str()))
    }

    /// Whether extended attributes are.
    pub fn keeps_attributes(&self) -> bool {
        self.letters.contains('X')
    }

    /// Whether its rsync can have no user namespace: in one an account can name nobody but itself, and access lists that name
    /// others could not be stored (user_namespaces(7)). Root needs none, and a mapping has names for all.
    pub fn does_without_namespaces(&self, owners: &Owners) -> bool {
        self.keeps_access_lists() && *owners == Owners::Account
    }
}
