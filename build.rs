//! Links the unwinder's few functions into the program instead of loading `libgcc_s.so` at every start.
//!
//! The release build aborts on a panic, so nothing ever unwinds, and yet the loader would map and set up that library for
//! each connection: about a fifth of the gate's own processor time up to there.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name| env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu" {
        // The linker takes a text file for a library: a list of what to link in its place (ld(1), "implicit linker scripts").
        let directory = variable("OUT_DIR");
        fs::write(Path::new(&directory).join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
        println!("cargo:rustc-link-search=native={directory}");
    }
    Ok(())
}
