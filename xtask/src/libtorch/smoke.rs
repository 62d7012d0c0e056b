//! Links the small `libtorch.so` and shows that the result loads.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace;

/// `c++`, or what `CXX` names: the compiler torch-sys will use for its own C++.
fn compiler() -> std::process::Command {
    let given = env::var("CXX").unwrap_or_else(|_| "c++".into());
    let mut words = given.split_whitespace();
    let mut command = workspace::command(words.next().unwrap_or("c++"));
    command.args(words);
    command
}

/// Fails when there is no C++ compiler, before anything is downloaded for it.
pub(crate) fn find_compiler() -> Result<()> {
    workspace::output(compiler().arg("--version")).map(drop).context(
        "a C++ compiler is needed, here and for torch-sys (Debian, Ubuntu: apt install g++; or set CXX)",
    )
}

/// Makes `libtorch.so`, which torch-sys links by name. The one of the wheel needs all of CUDA; this one stands for
/// libtorch_cpu and libc10 and finds them beside itself.
pub(crate) fn link_libtorch(lib: &Path) -> Result<()> {
    let mut link = compiler();
    link.current_dir(lib)
        .args([
            "-shared",
            "-x",
            "c++",
            "/dev/null",
            "-x",
            "none",
            "-o",
            "libtorch.so",
            "-Wl,-soname,libtorch.so",
        ])
        .args(["-Wl,--no-as-needed", "-L.", "-ltorch_cpu", "-lc10", "-Wl,-rpath,$ORIGIN"]);
    workspace::run(&mut link).context("libtorch.so could not be linked")
}

/// Compiles and runs a program that calls libtorch, linked as torch-sys links.
///
/// Loading through Python's ctypes would be shorter, but would show neither that the linker finds everything nor that
/// this machine's C++ runtime and its names fit, which is what the long compilation that follows stands on.
pub(crate) fn try_out(lib: &Path, scratch: &Path) -> Result<()> {
    let (source, program) = (scratch.join("try.cpp"), scratch.join("try"));
    // Declared by hand: the real headers would take half a minute to compile.
    let code = "#include <string>\n\
                namespace at { int get_num_threads(); std::string show_config(); }\n\
                int main() { return at::get_num_threads() > 0 && !at::show_config().empty() ? 0 : 1; }\n";
    fs::write(&source, code)?;
    let mut compile = compiler();
    compile.arg(&source).arg("-o").arg(&program).arg(format!("-L{}", lib.display()));
    compile.args(["-ltorch_cpu", "-ltorch", "-lc10", "-lgomp"]).arg(format!("-Wl,-rpath,{}", lib.display()));
    workspace::run(&mut compile)
        .context("a program could not be linked to the libtorch that was downloaded")?;
    workspace::run(workspace::command(&program).env_remove("LD_LIBRARY_PATH"))
        .context("the libtorch that was downloaded does not run on this machine (it needs glibc 2.28)")
}
