//! The administrator's program: everything is in the library, so that tests drive the same code.
fn main() -> std::process::ExitCode {
    snapgate::admin::cli::run(std::env::args_os().collect())
}
