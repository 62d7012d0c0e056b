//! Files written whole or not at all: a temporary file beside the target, fsync, rename, fsync of the folder.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file or folder could not be written; whatever stood there before still does.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {}", path.display(), reason(source))]
pub struct WriteError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl WriteError {
    /// The failure of an operation on `path`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| WriteError { path: path.to_owned(), source }
    }
}

/// The operating system's message without its error number, with what would help where that is known.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full; free some space or choose another folder".into(),
        io::ErrorKind::PermissionDenied => "permission denied; choose a folder you may write to".into(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only; choose another folder".into(),
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a folder".into(),
        io::ErrorKind::NotFound => "the folder does not exist".into(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    }
}

/// Writes `path` through `fill`, atomically and durably: a reader, or a crash at any moment, meets the old file or the
/// new one, never a part.
///
/// # Errors
/// The folder cannot be written, the disk is full, or `fill` failed; the old file is untouched.
pub fn write_atomic(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    write_inner(path, fill).map_err(WriteError::at(path))
}

fn write_inner(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    #[cfg(unix)]
    {
        // The mode of an ordinary new file, less the umask, and not the private one of temporary files.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut staged = builder.tempfile_in(folder)?;
    let mut buffered = BufWriter::new(staged.as_file_mut());
    fill(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    staged.as_file().sync_all()?;
    staged.persist(path).map_err(|e| e.error)?;
    sync_folder(folder)
}

/// The folder a path lies in, `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a rename durable. Only Unix can open a folder for that.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_atomic(&path, |w| w.write_all(b"first")).unwrap();
        let error = write_atomic(&path, |w| {
            w.write_all(b"second, cut")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(error.to_string().ends_with("the disk is full; free some space or choose another folder"));
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_missing_folder_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let error = write_atomic(&dir.path().join("no/such/a.txt"), |w| w.write_all(b"x")).unwrap_err();
        assert!(error.to_string().contains("the folder does not exist"), "{error}");
    }
}
