//! A year.
