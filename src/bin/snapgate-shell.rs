//! The gate, which sshd starts: everything is in the library, so that tests and fuzzers drive the
//! same code.
fn main() -> std::process::ExitCode {
    snapgate::gate::run(&std::env::args_os().collect::<Vec<_>>())
}
