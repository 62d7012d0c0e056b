//! Emits the rpath of the libtorch that torch-sys linked, and hands it on as metadata: link arguments do not
//! propagate to dependents, so `experiments` reads `DEP_MODELS_RPATH` in a build script of its own.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo:rpath={lib}");
    }
}
