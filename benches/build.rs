//! Links libtorch as `models` says, since link arguments do not propagate from a library to the binaries above it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(argument) = std::env::var("DEP_MODELS_LINK_ARG") {
        println!("cargo:rustc-link-arg={argument}");
    }
}
