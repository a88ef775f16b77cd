//! The digest, read as whoever gets it.
