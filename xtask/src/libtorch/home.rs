//! What makes a folder a libtorch that torch-sys can build against.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::lock::VERSION;

const EXTENSION: &str = if cfg!(target_os = "macos") { "dylib" } else { "so" };

/// Checks that `home` has the libraries, the headers and the version that torch-sys expects.
///
/// # Errors
/// With the first thing that is not as it should be.
pub(crate) fn check(home: &Path) -> Result<()> {
    ensure!(home.is_dir(), "{} is not a folder", home.display());
    // torch-sys lets these two move the halves of a split installation elsewhere.
    let half = |name: &str| env::var_os(name).map_or_else(|| home.to_path_buf(), Into::into);
    let lib = half("LIBTORCH_LIB").join("lib");
    for name in ["torch", "torch_cpu", "c10"] {
        let file = lib.join(format!("lib{name}.{EXTENSION}"));
        ensure!(file.is_file(), "{} is missing", file.display());
    }
    let include = half("LIBTORCH_INCLUDE").join("include");
    let header = include.join("torch/csrc/api/include/torch/torch.h");
    ensure!(header.is_file(), "{} is missing", header.display());

    if env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some() {
        return Ok(());
    }
    let version = version(home, &include)?;
    let plain = version.split('+').next().unwrap_or_default();
    ensure!(
        plain == VERSION,
        "{} holds libtorch {version}, tch 0.24 is written for {VERSION} \
         (LIBTORCH_BYPASS_VERSION_CHECK=1 skips this check)",
        home.display()
    );
    Ok(())
}

/// The version: from `build-version`, which the archives of pytorch.org and ours carry, else from the headers, since
/// an installed Python package has no such file.
fn version(home: &Path, include: &Path) -> Result<String> {
    if let Ok(text) = fs::read_to_string(home.join("build-version")) {
        return Ok(text.trim().to_string());
    }
    for header in ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"] {
        let Ok(text) = fs::read_to_string(include.join(header)) else { continue };
        let part = |name: &str| {
            let start = text.find(&format!("#define TORCH_VERSION_{name} "))?;
            text[start..].split_whitespace().nth(2).map(str::to_string)
        };
        if let (Some(major), Some(minor), Some(patch)) = (part("MAJOR"), part("MINOR"), part("PATCH")) {
            return Ok(format!("{major}.{minor}.{patch}"));
        }
    }
    bail!("{} does not say which version of libtorch it holds", home.display())
}

/// Records the length of every library, so that a folder that lost a part of one is noticed later.
pub(crate) fn seal(home: &Path) -> Result<()> {
    fs::write(home.join("lengths"), lengths(home)?).context("could not write `lengths`")
}

/// True when the libraries are as long as they were when the folder was sealed.
pub(crate) fn is_sealed(home: &Path) -> bool {
    let sealed = fs::read_to_string(home.join("lengths"));
    matches!((sealed, lengths(home)), (Ok(then), Ok(now)) if then == now)
}

fn lengths(home: &Path) -> Result<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(home.join("lib"))? {
        let entry = entry?;
        lines.push(format!("{} {}\n", entry.metadata()?.len(), entry.file_name().to_string_lossy()));
    }
    lines.sort();
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fake(version_header: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let api = dir.path().join("include/torch/csrc/api/include/torch");
        let headeronly = dir.path().join("include/torch/headeronly");
        for folder in [&api, &headeronly, &dir.path().join("lib")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(api.join("torch.h"), "").unwrap();
        fs::write(headeronly.join("version.h"), version_header).unwrap();
        for name in ["torch", "torch_cpu", "c10"] {
            fs::write(dir.path().join(format!("lib/lib{name}.{EXTENSION}")), "x").unwrap();
        }
        dir
    }

    fn header(minor: u32) -> String {
        format!(
            "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR {minor}\n#define TORCH_VERSION_PATCH 0\n"
        )
    }

    #[test]
    fn the_version_comes_from_the_headers_of_a_python_package() {
        check(fake(&header(11)).path()).unwrap();
        let error = check(fake(&header(12)).path()).unwrap_err().to_string();
        assert!(error.contains("2.12.0") && error.contains("2.11.0"), "{error}");
        assert!(check(fake("").path()).is_err());
    }

    #[test]
    fn build_version_comes_first_and_a_build_tag_does_not_matter() {
        let home = fake(&header(12));
        fs::write(home.path().join("build-version"), "2.11.0+cpu\n").unwrap();
        check(home.path()).unwrap();
        fs::write(home.path().join("build-version"), "2.10.0\n").unwrap();
        assert!(check(home.path()).is_err());
    }

    #[test]
    fn a_missing_library_is_named() {
        let home = fake(&header(11));
        fs::remove_file(home.path().join(format!("lib/libc10.{EXTENSION}"))).unwrap();
        let error = check(home.path()).unwrap_err().to_string();
        assert!(error.contains("libc10") && error.ends_with("is missing"), "{error}");
    }

    #[test]
    fn a_truncated_library_breaks_the_seal() {
        let home = fake(&header(11));
        assert!(!is_sealed(home.path()));
        seal(home.path()).unwrap();
        assert!(is_sealed(home.path()));
        fs::write(home.path().join(format!("lib/libtorch_cpu.{EXTENSION}")), "").unwrap();
        assert!(!is_sealed(home.path()));
    }
}
