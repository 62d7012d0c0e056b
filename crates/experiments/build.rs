//! Links libtorch as `models` says, since link arguments do not propagate from a library to the binaries above it, and
//! tells reports which compiler and which commit made them.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(argument) = std::env::var("DEP_MODELS_LINK_ARG") {
        println!("cargo:rustc-link-arg={argument}");
    }
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    println!("cargo:rustc-env=EXPERIMENTS_RUSTC={}", output(&rustc, &["--version"]));
    // Absent where the source is no checkout, or git is not installed: then reports do without.
    let head = output("git", &["rev-parse", "--git-path", "logs/HEAD"]);
    if std::path::Path::new(&head).exists() {
        println!("cargo:rerun-if-changed={head}");
    }
    println!("cargo:rustc-env=EXPERIMENTS_COMMIT={}", output("git", &["rev-parse", "--short=12", "HEAD"]));
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}
