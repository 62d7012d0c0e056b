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

/// What [`point`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The link was right already.
    None,
    /// There was no link, or it pointed elsewhere.
    Pointed,
}

/// Makes `link` point to `home`, in one atomic step and only when it does not yet.
///
/// # Errors
/// When something that is not a link is in the way, or links cannot be made there.
pub(crate) fn point(link: &Path, home: &Path) -> Result<Change> {
    match fs::symlink_metadata(link) {
        Ok(found) if !found.is_symlink() => {
            bail!("{} should be a link that xtask keeps, but is something else: move it away", link.display())
        }
        Ok(_) if fs::read_link(link).is_ok_and(|target| target == home) => return Ok(Change::None),
        _ => {}
    }
    let staged = link.with_file_name(format!(".libtorch.{}", std::process::id()));
    let _ = fs::remove_file(&staged);
    symlink(home, &staged)
        .and_then(|()| fs::rename(&staged, link))
        .with_context(|| format!("could not make {} point to {}", link.display(), home.display()))?;
    Ok(Change::Pointed)
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
    fn the_link_moves_only_when_it_must() {
        let dir = tempfile::tempdir().unwrap();
        let (link, a, b) = (dir.path().join("link"), dir.path().join("a"), dir.path().join("b"));
        fs::create_dir(&a).unwrap();
        assert_eq!(point(&link, &a).unwrap(), Change::Pointed);
        assert_eq!(point(&link, &a).unwrap(), Change::None);
        // To a folder that is gone, as after the cache was emptied, and back.
        assert_eq!(point(&link, &b).unwrap(), Change::Pointed);
        assert_eq!(point(&link, &a).unwrap(), Change::Pointed);
        assert_eq!(fs::read_link(&link).unwrap(), a);
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
