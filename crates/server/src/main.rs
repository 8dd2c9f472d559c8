//! The command line.

fn main() -> std::process::ExitCode {
    server::run()
}
