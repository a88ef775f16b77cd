//! What `--version` says of a build. `build.rs` writes it down, and `tests/pages.rs` tries it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the build is, for `--version`. The same sources, compiler and variables say the same: nothing here asks a clock, and a day is said
/// where the builder sets one for its whole package (<https://reproducible-builds.org/specs/source-date-epoch/>).
pub(crate) fn facts(sources: &Path, variable: &dyn Fn(&str) -> String) -> String {
    for name in ["SNAPGATE_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let is_release = variable("PROFILE") == "release";
    let given = Some(variable("SNAPGATE_COMMIT")).filter(|commit| !commit.is_empty());
    // Every commit would build all tests anew.
    let commit = given.or_else(|| is_release.then(|| packaged(sources).or_else(|| checked_out(sources))).flatten());
    let commit = commit.filter(|commit| commit.bytes().all(|byte| byte.is_ascii_graphic()));
    let compiler = Command::new(variable("RUSTC")).arg("--version").output().ok();
    let compiler = compiler.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let is_static = variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    let program = if !variable("CARGO_FEATURE_ADMIN").is_empty() { "gate and administrator's program" } else { "gate alone" };
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
fn packaged(sources: &Path) -> Option<String> {
    let note = fs::read_to_string(sources.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = note.split_once("\"sha1\": \"")?;
    Some(rest.split('"').next()?.to_owned())
}

/// The commit that is checked out. git is not asked for it: there may be none.
fn checked_out(sources: &Path) -> Option<String> {
    let git = match fs::read_to_string(sources.join(".git")) {
        // A worktree's or a submodule's.
        Ok(text) => sources.join(text.trim_end().strip_prefix("gitdir: ")?),
        Err(_) => sources.join(".git"),
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
