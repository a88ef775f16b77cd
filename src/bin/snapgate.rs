//! The program: everything is in the library, so that tests and fuzzers drive the same code.
fn main() -> std::process::ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    snapgate::gate::run(&words).unwrap_or_else(|| snapgate::admin::cli::run(words))
}
