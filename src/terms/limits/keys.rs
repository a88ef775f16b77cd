//! Bounds of keys that sshd asks about, and of files of keys that are imported.

/// Bytes of a key that sshd asks about, in base64. One of RSA with 16384 bits has 2,800.
pub const MAX_OFFERED_KEY: usize = 16 * 1024;

/// Bytes of the type of such a key; the longest of OpenSSH's has 46.
pub const MAX_KEY_TYPE: usize = 64;

/// Bytes of the index of keys: some hundred for each of `MAX_POLICIES`.
pub const MAX_KEY_INDEX: u64 = 32 * 1024 * 1024;

/// Bytes of the first line of that index.
pub const MAX_INDEX_HEAD: usize = 256;

/// Bytes of a line of a key in it: a fingerprint, `MAX_CLIENT_NAME`, `MAX_ACCOUNT_NAME`.
pub const MAX_INDEX_LINE: u64 = 512;

/// Bytes of a file that `import` reads: as many keys as a person would go through.
pub const MAX_IMPORT: u64 = 4 * 1024 * 1024;

/// Lines of such a file, or rules.
pub const MAX_IMPORT_LINES: usize = 20_000;

/// Texts of a list in a rule of authprogs, and in all rules of a key: more than a person reads.
pub const MAX_IMPORT_TEXTS: usize = 1000;

/// Bytes of what rules say that are carried over to the keys that they name: each key gets all of it.
pub const MAX_IMPORT_CARRIED: usize = 16 * 1024 * 1024;

/// Bytes of those that a key costs about which nothing is said.
pub const IMPORTED_KEY: usize = 512;
