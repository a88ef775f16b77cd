//! One connection, from sshd to the last line of the log.
