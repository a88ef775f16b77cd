//! What this build is. `build.rs` writes it down while it compiles, the same for the same sources.

macro_rules! facts {
    ($program:literal) => {
        concat!($program, env!("CARGO_PKG_VERSION"), "\n", include_str!(concat!(env!("OUT_DIR"), "/facts.txt")))
    };
}

/// What `snapgate-shell --version` says.
pub const FACTS_OF_GATE: &str = facts!("snapgate-shell ");

/// What `snapgate --version` says behind the program's name.
pub const FACTS: &str = facts!("");
