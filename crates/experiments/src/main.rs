//! The command `experiments`; everything is in the library of the same name.

fn main() -> std::process::ExitCode {
    experiments::cli::main()
}
