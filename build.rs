//! How the program is linked, beyond what `.cargo/config.toml` says, and what `--version` says of the build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

#[path = "packaging/facts.rs"]
mod facts;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=packaging/facts.rs");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    fs::write(Path::new(&variable("OUT_DIR")).join("facts.txt"), facts::facts(Path::new("."), &variable))?;
    if variable("CARGO_CFG_TARGET_OS") != "linux" || variable("CARGO_CFG_TARGET_ENV") != "gnu" {
        return Ok(());
    }
    if variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static") {
        let (Some(seccomp), Some(libc)) = (archive("libseccomp.a"), archive("libc.a")) else {
            println!(
                "cargo::error=there is no libseccomp.a or libc.a here: install libseccomp-dev (libseccomp-static and glibc-static on Fedora)"
            );
            return Ok(());
        };
        // The crate asks for the shared library. The linker takes a text file for one: what to link
        // in its place (ld(1), "implicit linker scripts"). GNU ld only looks ahead, and the C library
        // stands before it: both are a group, so that it looks there again.
        let directory = variable("OUT_DIR");
        let group = format!("GROUP({} {})\n", seccomp.display(), libc.display());
        fs::write(Path::new(&directory).join("libseccomp.so"), group)?;
        println!("cargo:rustc-link-search=native={directory}");
    } else if env::var_os("CARGO_CFG_FUZZING").is_none() {
        println!(
            "cargo::warning=linked with shared libraries, so every connection starts slower and in more memory: \
             RUSTFLAGS of the environment take the place of those in .cargo/config.toml"
        );
    }
    if variable("PROFILE") == "release" {
        let script = Path::new(&variable("OUT_DIR")).join("no-unwinding.ld");
        fs::write(&script, NO_UNWINDING)?;
        println!("cargo:rustc-link-arg-bin=snapgate-shell=-Wl,-T,{}", script.display());
    }
    if glibc().is_some_and(|version| version >= PACKED) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    Ok(())
}

/// Leaves out the tables by which a stack is unwound, a tenth of the gate: in a release build it aborts where it panics.
const NO_UNWINDING: &str =
    "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) *(.gcc_except_table .gcc_except_table.*) } } INSERT AFTER .text;\n";

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
