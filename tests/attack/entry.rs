//! An entry of rsync's file list, as protocols 29 to 32 write it.

use crate::wire::{Out, say};

/// What the options of a command mean for the bytes of the protocol.
#[derive(Clone, Default)]
pub(crate) struct Asked {
    pub(crate) links: bool,
    pub(crate) owner: bool,
    pub(crate) group: bool,
    pub(crate) devices: bool,
    pub(crate) specials: bool,
    pub(crate) hard_links: bool,
    pub(crate) acls: bool,
    pub(crate) xattrs: bool,
    pub(crate) checksum: bool,
    pub(crate) numeric: bool,
    pub(crate) delete: bool,
    /// The server offered it, since the client's capabilities have `v`.
    pub(crate) varint_flags: bool,
    /// The server agreed to lists of one directory each.
    pub(crate) incremental: bool,
}

impl Asked {
    pub(crate) fn read(words: &str) -> Self {
        let mut asked = Self::default();
        for word in words.split(' ') {
            match word {
                "--numeric-ids" => asked.numeric = true,
                long if long.starts_with("--delete") => asked.delete = true,
                long if long.starts_with("--") => (),
                letters => {
                    for letter in letters.chars().take_while(|letter| *letter != 'e') {
                        match letter {
                            'l' => asked.links = true,
                            'o' => asked.owner = true,
                            'g' => asked.group = true,
                            'D' => (asked.devices, asked.specials) = (true, true),
                            'H' => asked.hard_links = true,
                            'A' => asked.acls = true,
                            'X' => asked.xattrs = true,
                            'c' => asked.checksum = true,
                            _ => (),
                        }
                    }
                }
            }
        }
        asked
    }
}

/// A file list's entry.
#[derive(Clone, Default)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) size: i64,
    pub(crate) mtime: i64,
    pub(crate) nsec: Option<i32>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) device: (i32, i32),
    pub(crate) target: Vec<u8>,
    /// A group's name that says all of its file, since the group began in an earlier list.
    pub(crate) alone: bool,
    /// Flags besides those that follow from the entry.
    pub(crate) flags: u32,
    /// `-H`: the index of the group's first name, or its own. In protocol 29 the number of the inode.
    pub(crate) group: Option<(i32, bool)>,
    /// `-c`
    pub(crate) sum: [u8; 16],
    /// `-X`: names and values. A value that is longer than 32 bytes goes out as its sum alone.
    pub(crate) xattrs: Vec<(&'static str, Vec<u8>)>,
    /// `-A`: named users and their rights.
    pub(crate) acl: Vec<(i32, i32)>,
    /// What is answered when the server asks for it.
    pub(crate) content: Vec<u8>,
}

/// The time of everything that is in history (2026-01-01 10:00:00 UTC).
pub(crate) const OLD: i64 = 1_767_261_600;

impl Entry {
    pub(crate) fn file(name: &str, content: &str) -> Self {
        let content = content.as_bytes().to_vec();
        let size = i64::try_from(content.len()).unwrap();
        let sum = crate::sums::md5(&content);
        Self { name: name.into(), mode: 0o100_644, size, mtime: OLD, content, sum, ..Self::default() }
    }

    pub(crate) fn dir(name: &str) -> Self {
        Self { name: name.into(), mode: 0o040_755, size: 4096, mtime: OLD, ..Self::default() }
    }

    /// The top of the list.
    pub(crate) fn top() -> Self {
        Self { flags: say::TOP_DIR, ..Self::dir(".") }
    }

    pub(crate) fn link(name: &str, target: &str) -> Self {
        let size = i64::try_from(target.len()).unwrap();
        Self { name: name.into(), mode: 0o120_777, size, mtime: OLD, target: target.into(), ..Self::default() }
    }

    pub(crate) fn node(name: &str, mode: u32) -> Self {
        Self { name: name.into(), mode, mtime: OLD, device: (1, 3), ..Self::default() }
    }

    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.mode = self.mode & 0o170_000 | mode;
        self
    }

    pub(crate) fn mtime(mut self, mtime: i64) -> Self {
        self.mtime = mtime;
        self
    }

    pub(crate) fn size(mut self, size: i64) -> Self {
        self.size = size;
        self
    }

    pub(crate) fn owner(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    pub(crate) fn xattr(mut self, name: &'static str, value: &[u8]) -> Self {
        self.xattrs.push((name, value.to_vec()));
        self
    }

    pub(crate) fn user(mut self, uid: i32, rights: i32) -> Self {
        self.acl.push((uid, rights));
        self
    }

    /// One of a group of hard links that begins at that index.
    pub(crate) fn linked(mut self, first: i32, is_first: bool) -> Self {
        self.group = Some((first, is_first));
        self
    }

    /// Told in full, although the group began in an earlier list.
    pub(crate) fn told(mut self) -> Self {
        self.alone = true;
        self
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    fn is_link(&self) -> bool {
        self.mode & 0o170_000 == 0o120_000
    }

    fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    fn is_device(&self) -> bool {
        [0o060_000, 0o020_000].contains(&(self.mode & 0o170_000))
    }

    fn is_special(&self) -> bool {
        [0o010_000, 0o140_000].contains(&(self.mode & 0o170_000))
    }

    /// Where rsync sorts it (`f_name_cmp`): in a directory its files first, then its directories, by name with a slash.
    pub(crate) fn key(&self) -> Vec<(bool, Vec<u8>)> {
        let mut parts: Vec<&[u8]> = self.name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        let last = if self.is_dir() { None } else { parts.pop() };
        let mut key: Vec<_> = parts.into_iter().map(|part| (true, [part, b"/"].concat())).collect();
        key.extend(last.map(|last| (false, last.to_vec())));
        key
    }

    /// Writes it (`send_file_entry`), as both ends have agreed on by the options.
    pub(crate) fn put(&self, out: &mut Out, asked: &Asked) {
        let modern = out.protocol >= 30;
        let mut flags = self.flags;
        if self.name.len() > 255 {
            flags |= say::LONG_NAME;
        }
        if self.nsec.is_some() && out.protocol >= 31 {
            flags |= say::MOD_NSEC;
        }
        if let Some((_, first)) = self.group.filter(|_| asked.hard_links) {
            flags |= say::HLINKED | if modern && first { say::HLINK_FIRST } else { 0 };
        }
        self.put_flags(out, asked, flags);
        if flags & say::SAME_NAME != 0 {
            out.byte(0);
        }
        let length = i32::try_from(self.name.len()).unwrap();
        if flags & say::LONG_NAME != 0 {
            out.varint30(length)
        } else {
            out.byte(u8::try_from(length).unwrap())
        };
        out.raw(&self.name);
        if let Some((first, false)) = self.group.filter(|_| asked.hard_links && modern) {
            // An index of this list: nothing more is told of the file than its ACL and attributes.
            out.varint(first);
            if !self.alone {
                return self.put_rights(out, asked);
            }
        }
        out.varlong30(self.size, 3);
        if flags & say::SAME_TIME == 0 {
            #[expect(clippy::cast_possible_truncation, reason = "the old protocol's times have 32 bits")]
            if modern {
                out.varlong(self.mtime, 4)
            } else {
                out.int(self.mtime as i32)
            };
        }
        if flags & say::MOD_NSEC != 0 {
            out.varint(self.nsec.unwrap_or_default());
        }
        if flags & say::SAME_MODE == 0 {
            out.raw(&self.mode.to_le_bytes());
        }
        for (id, sent) in [(self.uid, asked.owner), (self.gid, asked.group)] {
            if sent {
                out.varint30(id.cast_signed());
            }
        }
        if asked.devices && self.is_device() || asked.specials && self.is_special() && out.protocol < 31 {
            out.varint30(self.device.0);
            if modern {
                out.varint(self.device.1)
            } else {
                out.int(self.device.1)
            };
        }
        if asked.links && self.is_link() {
            out.varint30(i32::try_from(self.target.len()).unwrap()).raw(&self.target);
        }
        if let Some((inode, _)) = self.group.filter(|_| asked.hard_links && !modern) {
            out.long(1).long(i64::from(inode));
        }
        if asked.checksum && self.is_file() {
            out.raw(&self.sum);
        }
        self.put_rights(out, asked);
    }

    fn put_flags(&self, out: &mut Out, asked: &Asked, mut flags: u32) {
        if asked.varint_flags {
            out.varint(if flags == 0 { say::EXTENDED } else { flags }.cast_signed());
            return;
        }
        if flags == 0 && !self.is_dir() {
            flags |= say::TOP_DIR;
        }
        if flags == 0 || flags & 0xff00 != 0 {
            flags |= say::EXTENDED;
        }
        let [low, high, ..] = flags.to_le_bytes();
        out.byte(low);
        if flags & say::EXTENDED != 0 {
            out.byte(high);
        }
    }

    /// ACLs and extended attributes, each told in full.
    fn put_rights(&self, out: &mut Out, asked: &Asked) {
        if asked.acls && !self.is_link() {
            for _ in 0..if self.is_dir() { 2 } else { 1 } {
                // New, with a list of names; owner, group, mask and others stay those of the mode.
                out.varint(0).byte(16).varint(i32::try_from(self.acl.len()).unwrap());
                for (uid, rights) in &self.acl {
                    out.varint(*uid).varint(rights << 2 | 2);
                }
            }
        }
        if asked.xattrs {
            out.varint(0).varint(i32::try_from(self.xattrs.len()).unwrap());
            for (name, value) in &self.xattrs {
                let length = i32::try_from(value.len()).unwrap();
                out.varint(i32::try_from(name.len() + 1).unwrap()).varint(length).raw(name.as_bytes()).byte(0);
                if value.len() > 32 {
                    out.raw(&crate::sums::md5(value));
                } else {
                    out.raw(value);
                }
            }
        }
    }
}
