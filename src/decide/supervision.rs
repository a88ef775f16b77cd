//! Changes of metadata that rsync asks for and the gate makes in its stead, and whether it may.
//!
//! A snapshot shares the inodes of its unchanged files with the ones before it, so a change of mode, owner, times or extended
//! attributes of such a file is a change of history. Landlock does not mediate these calls; so they are taken from rsync
//! (seccomp_unotify(2)), and each is judged by what it would change. What the change itself is does not matter here.

use std::path::Path;
use std::time::SystemTime;

/// A system call that changes metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the call of its name; its manual page says the rest")]
pub enum Call {
    Chmod,
    Fchmod,
    Fchmodat,
    Fchmodat2,
    Chown,
    Lchown,
    Fchown,
    Fchownat,
    Utime,
    Utimes,
    Futimesat,
    Utimensat,
    Setxattr,
    Lsetxattr,
    Fsetxattr,
    Removexattr,
    Lremovexattr,
    Fremovexattr,
}

impl Call {
    /// What the call with these arguments asks for. Addresses are in the memory of the process that calls.
    #[must_use]
    #[rustfmt::skip]
    pub fn asks(self, arguments: [u64; 6]) -> Asked {
        let [a, b, c, d, e, _] = arguments;
        let descriptor = |number: u64| Target { from: Base::of(number), path: None, follow: true, flags: 0 };
        let here = |path: u64, follow: bool| Target { from: Base::Here, path: Some(path), follow, flags: 0 };
        let at = |number: u64, path: u64, flags: u64| Target {
            from: Base::of(number),
            path: (path != 0).then_some(path),
            follow: flags & AT_SYMLINK_NOFOLLOW == 0,
            flags,
        };
        let owner = |user: u64, group: u64| Change::Owner { user: low(user), group: low(group) };
        let set = Change::SetAttribute { name: b, value: c, size: d, flags: e };
        let (target, change) = match self {
            Self::Chmod => (here(a, true), Change::Mode(low(b))),
            Self::Fchmod => (descriptor(a), Change::Mode(low(b))),
            Self::Fchmodat => (at(a, b, 0), Change::Mode(low(c))),
            Self::Fchmodat2 => (at(a, b, d), Change::Mode(low(c))),
            Self::Chown => (here(a, true), owner(b, c)),
            Self::Lchown => (here(a, false), owner(b, c)),
            Self::Fchown => (descriptor(a), owner(b, c)),
            Self::Fchownat => (at(a, b, e), owner(c, d)),
            Self::Utime => (here(a, true), Change::Times { at: b, unit: Unit::Seconds }),
            Self::Utimes => (here(a, true), Change::Times { at: b, unit: Unit::Micros }),
            Self::Futimesat => (at(a, b, 0), Change::Times { at: c, unit: Unit::Micros }),
            Self::Utimensat => (at(a, b, d), Change::Times { at: c, unit: Unit::Nanos }),
            Self::Setxattr => (here(a, true), set),
            Self::Lsetxattr => (here(a, false), set),
            Self::Fsetxattr => (descriptor(a), set),
            Self::Removexattr => (here(a, true), Change::RemoveAttribute { name: b }),
            Self::Lremovexattr => (here(a, false), Change::RemoveAttribute { name: b }),
            Self::Fremovexattr => (descriptor(a), Change::RemoveAttribute { name: b }),
        };
        Asked { target, change }
    }
}

/// `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH` (fcntl.h of Linux, the same on every machine).
const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
/// See above.
pub const AT_EMPTY_PATH: u64 = 0x1000;

/// The kernel looks at the lower half of an argument that is an int.
fn low(argument: u64) -> u32 {
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or_default()
}

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Of what.
    pub target: Target,
    /// Which change.
    pub change: Change,
}

impl Asked {
    /// The descriptor and the permissions, where it asks for no more than these. Bits beyond them may be taken away by asking for
    /// them anew (chmod(2)).
    #[must_use]
    pub fn permissions_by_descriptor(self) -> Option<(i32, u32)> {
        match (self.target, self.change) {
            (Target { from: Base::Descriptor(number), path: None, .. }, Change::Mode(mode @ 0..=0o777)) => Some((number, mode)),
            _ => None,
        }
    }
}

/// What a call names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Where a path that is not absolute begins, or what is meant where there is none.
    pub from: Base,
    /// The address of a path.
    pub path: Option<u64>,
    /// Whether a symlink at its end is followed.
    pub follow: bool,
    /// The call's own flags.
    pub flags: u64,
}

/// A directory of the process that calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The one it stands in.
    Here,
    /// A descriptor of its own.
    Descriptor(i32),
}

impl Base {
    /// `AT_FDCWD` is -100.
    fn of(number: u64) -> Self {
        match low(number).cast_signed() {
            -100 => Self::Here,
            number => Self::Descriptor(number),
        }
    }
}

/// A change of metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Of the permissions.
    Mode(u32),
    /// Of owner and group; all ones for neither.
    Owner {
        /// The user's number.
        user: u32,
        /// The group's number.
        group: u32,
    },
    /// Of the times of access and modification.
    Times {
        /// The address of the two, or 0 for now.
        at: u64,
        /// How they are written there.
        unit: Unit,
    },
    /// Of an extended attribute, access lists among them.
    SetAttribute {
        /// The address of its name.
        name: u64,
        /// The address of its value.
        value: u64,
        /// The value's length in bytes.
        size: u64,
        /// The call's own flags.
        flags: u64,
    },
    /// Away with an extended attribute.
    RemoveAttribute {
        /// The address of its name.
        name: u64,
    },
}

/// How two times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Whole seconds (`struct utimbuf`).
    Seconds,
    /// Seconds and microseconds (`struct timeval`).
    Micros,
    /// Seconds and nanoseconds (`struct timespec`).
    Nanos,
}

/// What a change would be made to.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Where it is, as rsync sees it, looked up after its names were counted.
    pub path: &'a Path,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Its names.
    pub links: u64,
    /// When the inode was made, where the file system remembers it. Nobody can set it.
    pub born: Option<SystemTime>,
}

/// What is of one push alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The directory that it fills, as rsync sees it.
    pub stage: std::path::PathBuf,
    /// When that was made, or what it links from was last changed, whichever is later by a clock that may have been set back.
    /// Everything that is older than this is not the push's own.
    pub since: Option<SystemTime>,
}

impl Bounds {
    /// Whether a change may be made: only in the stage, and there only to what is of this push alone. A directory is never
    /// shared. A file is not if it is younger than the push; nor if it has one name and that is the one in the stage. The second
    /// does not hold for a file whose name has just been removed: the one name that is left may be history's.
    #[must_use]
    pub fn may_change(&self, found: Found<'_>) -> bool {
        let is_young = matches!((found.born, self.since), (Some(born), Some(since)) if born > since);
        // What the kernel shows of a name that is gone (proc(5)). A file that is really called so is young, or out of luck.
        let is_gone = found.path.as_os_str().as_encoded_bytes().ends_with(b" (deleted)");
        let is_alone = found.links == 1 && !is_gone;
        found.path.starts_with(&self.stage) && (found.is_directory || is_young || is_alone)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_is_of_the_push_alone_may_be_changed() {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let bounds = Bounds { stage: PathBuf::from("/repository/inprogress"), since: Some(since) };
        let found = |path, is_directory, links, born: Option<u64>| {
            let born = born.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            bounds.may_change(Found { path: Path::new(path), is_directory, links, born })
        };
        assert!(found("/repository/inprogress", true, 9, Some(1000)));
        assert!(found("/repository/inprogress/f", false, 1, None));
        assert!(found("/repository/inprogress/f", false, 2, Some(1001)), "linked within the push");
        assert!(!found("/repository/inprogress/f", false, 2, Some(1000)), "shared with history");
        assert!(!found("/repository/inprogress/f", false, 2, None), "in doubt");
        assert!(!found("/repository/inprogress/f (deleted)", false, 1, Some(1000)), "the one name that is left is history's");
        assert!(!found("/repository/inprogress/f (deleted)", false, 1, None), "in doubt");
        assert!(found("/repository/inprogress/f (deleted)", false, 1, Some(1001)), "a temporary file");
        for outside in ["/repository/snapshots/x/f", "/repository/inprogress2/f", "/repository", "/", "/usr/lib/x"] {
            assert!(!found(outside, true, 2, Some(2000)) && !found(outside, false, 1, Some(2000)), "{outside}");
        }
    }

    #[test]
    fn calls_are_read_as_the_kernel_reads_them() {
        let here = |path, follow| Target { from: Base::Here, path: Some(path), follow, flags: 0 };
        let asked = |call: Call, arguments| call.asks(arguments);
        assert_eq!(asked(Call::Chmod, [7, 0o644, 0, 0, 0, 0]), Asked { target: here(7, true), change: Change::Mode(0o644) });
        let at_here = u64::from((-100_i32).cast_unsigned());
        let target = Target { from: Base::Here, path: Some(7), follow: false, flags: 0x100 };
        let change = Change::Times { at: 8, unit: Unit::Nanos };
        assert_eq!(asked(Call::Utimensat, [at_here, 7, 8, 0x100, 0, 0]), Asked { target, change });
        // The upper half of an int is nothing to the kernel, whatever stands in it.
        assert_eq!(asked(Call::Utimensat, [at_here | 1 << 32, 7, 8, 0x100, 0, 0]), Asked { target, change });
        let target = Target { from: Base::Descriptor(5), path: None, follow: true, flags: 0 };
        assert_eq!(asked(Call::Utimensat, [5, 0, 8, 0, 0, 0]), Asked { target, change });
        assert_eq!(asked(Call::Lchown, [7, 1, 2, 0, 0, 0]).target, here(7, false));
        assert_eq!(asked(Call::Fchmod, [5, 0o600, 0, 0, 0, 0]).permissions_by_descriptor(), Some((5, 0o600)));
        assert_eq!(asked(Call::Fchmod, [5, 0o4600, 0, 0, 0, 0]).permissions_by_descriptor(), None);
        assert_eq!(asked(Call::Chmod, [5, 0o600, 0, 0, 0, 0]).permissions_by_descriptor(), None);
        assert_eq!(asked(Call::Fremovexattr, [5, 6, 0, 0, 0, 0]).change, Change::RemoveAttribute { name: 6 });
    }
}
