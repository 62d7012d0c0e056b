//! The `.libtorch` link of the checkout: the one path torch-sys ever sees.
//!
//! torch-sys compiles its C++ again whenever `LIBTORCH` changes, so plain cargo (through `.cargo/config.toml`) and
//! xtask both name this link, wherever the libtorch behind it may be.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Where the link is.
pub(crate) fn path() -> PathBuf {
    workspace::root().join(".libtorch")
}

/// True when `link` points to `home`.
pub(crate) fn points_to(link: &Path, home: &Path) -> bool {
    fs::read_link(link).is_ok_and(|target| target == home)
}

/// Makes `link` point to `home`, in one atomic step.
///
/// # Errors
/// When something that is not a link is in the way, or links cannot be made there.
pub(crate) fn point(link: &Path, home: &Path) -> Result<()> {
    if fs::symlink_metadata(link).is_ok_and(|found| !found.is_symlink()) {
        bail!("{} should be a link that xtask keeps, but is something else: move it away", link.display());
    }
    let staged = link.with_file_name(format!(".libtorch.{}", std::process::id()));
    let _ = fs::remove_file(&staged);
    symlink(home, &staged)
        .and_then(|()| fs::rename(&staged, link))
        .with_context(|| format!("could not make {} point to {}", link.display(), home.display()))
}

#[cfg(unix)]
fn symlink(home: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(home, link)
}

#[cfg(windows)]
fn symlink(home: &Path, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(home, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_follows() {
        let dir = tempfile::tempdir().unwrap();
        let (link, a, b) = (dir.path().join("link"), dir.path().join("a"), dir.path().join("b"));
        fs::create_dir(&a).unwrap();
        assert!(!points_to(&link, &a));
        // To a folder that is gone too, as after the cache was emptied, and back.
        for home in [&a, &b, &a] {
            point(&link, home).unwrap();
            assert!(points_to(&link, home));
        }
        assert!(!points_to(&link, &b));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "a staged link was left behind");
    }

    #[test]
    fn a_real_folder_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        fs::create_dir(&link).unwrap();
        assert!(point(&link, dir.path()).is_err());
        assert!(link.is_dir());
    }
}
