//! Hands on how to link the libtorch that torch-sys found. Link arguments do not propagate to dependents, so the
//! packages with binaries read `DEP_MODELS_LINK_ARG` in build scripts of their own.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Unset with the feature `doc-only`.
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    // No symbol of libtorch_cuda is ever asked for: it registers its devices when it is loaded, and a linker that
    // drops what nobody asks for would leave a program that sees no GPU.
    let cuda = Path::new(&lib).join("libtorch_cuda.so");
    let argument = if cuda.exists() {
        format!("-Wl,-rpath,{lib},--push-state,--no-as-needed,{},--pop-state", cuda.display())
    } else {
        format!("-Wl,-rpath,{lib}")
    };
    println!("cargo:rustc-link-arg={argument}");
    println!("cargo:link_arg={argument}");
}
