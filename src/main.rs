//! The `stonetown` program.

fn main() -> std::process::ExitCode {
    stonetown::cli::run().into()
}
