//! How the program is linked, beyond what `.cargo/config.toml` says, and what `--version` says of the build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    fs::write(Path::new(&variable("OUT_DIR")).join("facts.txt"), facts(&variable))?;
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

/// What the build is, for `--version`. The same sources, compiler and variables say the same: nothing here asks a clock, and a day is said
/// where the builder sets one for its whole package (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn facts(variable: &dyn Fn(&str) -> String) -> String {
    for name in ["SNAPGATE_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let is_release = variable("PROFILE") == "release";
    let given = Some(variable("SNAPGATE_COMMIT")).filter(|commit| !commit.is_empty());
    // Every commit would build all tests anew.
    let commit = given.or_else(|| is_release.then(|| packaged().or_else(checked_out)).flatten());
    let commit = commit.filter(|commit| commit.bytes().all(|byte| byte.is_ascii_graphic()));
    let compiler = Command::new(variable("RUSTC")).arg("--version").output().ok();
    let compiler = compiler.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let is_static = variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    let program = if env::var_os("CARGO_FEATURE_ADMIN").is_some() { "gate and administrator's program" } else { "gate alone" };
    let unknown = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let commit = unknown(&commit.unwrap_or_default());
    let target = variable("TARGET");
    let linked = if is_static { "static" } else { "with shared libraries" };
    let kind = if is_release { "release" } else { "for tests, no release" };
    let mut text =
        format!("commit: {commit}\ntarget: {target}, {linked}\ncompiler: {}\nbuild: {program}, {kind}\n", unknown(compiler.trim()));
    if let Ok(seconds) = variable("SOURCE_DATE_EPOCH").parse() {
        text += &format!("sources of: {}\n", day(seconds));
    }
    text
}

/// The commit that a crate was packaged from, as cargo notes it there.
fn packaged() -> Option<String> {
    let note = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = note.split_once("\"sha1\": \"")?;
    Some(rest.split('"').next()?.to_owned())
}

/// The commit that is checked out. git is not asked for it: there may be none.
fn checked_out() -> Option<String> {
    let git = match fs::read_to_string(".git") {
        // A worktree's or a submodule's.
        Ok(text) => PathBuf::from(text.trim_end().strip_prefix("gitdir: ")?),
        Err(_) => PathBuf::from(".git"),
    };
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        println!("cargo:rerun-if-changed={}", path.display());
        Some(text.trim_end().to_owned())
    };
    let head = read(git.join("HEAD"))?;
    // It grows with each commit, also where the branch's own file is not there yet.
    read(git.join("logs/HEAD"));
    let Some(branch) = head.strip_prefix("ref: ") else { return Some(head) };
    let common = fs::read_to_string(git.join("commondir")).map_or_else(|_| git.clone(), |text| git.join(text.trim_end()));
    if let Some(commit) = read(common.join(branch)) {
        return Some(commit);
    }
    let packed = read(common.join("packed-refs"))?;
    packed.lines().find_map(|line| line.strip_suffix(branch)?.strip_suffix(' ').map(str::to_owned))
}

/// The day, in UTC, of so many seconds since 1970 (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn day(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + u64::from(month <= 2))
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
