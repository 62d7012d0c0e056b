//! Passes on the rpath of libtorch that `models` found, since link arguments do not propagate.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(lib) = std::env::var("DEP_MODELS_RPATH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
}
