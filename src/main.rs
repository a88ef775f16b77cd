//! The program: everything is in the library, so that tests and fuzzers drive the same code.
fn main() -> std::process::ExitCode {
    snapgate::cli::run()
}
