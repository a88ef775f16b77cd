//! Links two libraries into the program instead of loading them at every start: each would be mapped and set up for every
//! connection.
//!
//! The unwinder (`libgcc_s.so`): the release build aborts on a panic, so nothing ever unwinds, and yet it would cost about a
//! fifth of the gate's own processor time. And libseccomp, which only the process needs that becomes rsync; where there is no
//! archive of it, the shared one is taken.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name| env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu" {
        // The linker takes a text file for a library: a list of what to link in its place (ld(1), "implicit linker scripts").
        let directory = variable("OUT_DIR");
        fs::write(Path::new(&directory).join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
        if let Some(archive) = archive("libseccomp.a") {
            fs::write(Path::new(&directory).join("libseccomp.so"), format!("INPUT({})\n", archive.display()))?;
        }
        println!("cargo:rustc-link-search=native={directory}");
        if glibc().is_some_and(|version| version >= PACKED) {
            println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
    }
    Ok(())
}

/// The first glibc that reads relocations in their packed form: 3 KB instead of 127, all of which every start reads.
const PACKED: (u32, u32) = (2, 36);

/// The version of the C library here.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim_end().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

/// Where the compiler that links finds an archive; it prints the bare name where it finds none.
fn archive(name: &str) -> Option<PathBuf> {
    let output = Command::new("cc").arg(format!("-print-file-name={name}")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    path.is_absolute().then_some(path)
}
