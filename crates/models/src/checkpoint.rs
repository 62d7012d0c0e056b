//! Files: one safetensors file whose metadata holds a header in JSON and a BLAKE3 checksum of header and tensors.
//!
//! Writing is atomic: a temporary file beside the target, fsync, rename, fsync of the folder. A reader finds the old file
//! or the new one, whole. Reading trusts no size that a header declares: everything is held against the length of the
//! file before memory is taken.

use crate::error::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, View};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use tch::{Kind, Tensor};

/// The version of the layout of header and entries; a reader refuses any other.
const FORMAT: u32 = 1;
/// The one key of the metadata: a map of several would be written in random order, and the bytes would differ.
const KEY: &str = "pushforward";
const CHECKSUM: &str = "blake3:";

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A training run that can be resumed.
    Checkpoint,
    /// A trained model that can generate.
    Generator,
}

/// The header of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    format: u32,
    /// What the file holds.
    pub content: Content,
    /// The name of the method, or of the type of generator.
    pub name: String,
    /// The versions that wrote it.
    pub versions: BTreeMap<String, String>,
    /// Configuration, step, seed: whatever the content needs besides tensors.
    pub body: serde_json::Value,
}

impl Header {
    /// A header of the present format and versions.
    pub fn new(content: Content, name: &str, body: serde_json::Value) -> Self {
        let versions = [("models", env!("CARGO_PKG_VERSION")), ("tch", "0.24.0"), ("libtorch", "2.11.0")];
        Header {
            format: FORMAT,
            content,
            name: name.to_owned(),
            versions: versions.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            body,
        }
    }

    /// Refuses a file that holds something else.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub fn expect(&self, path: &Path, content: Content, name: Option<&str>) -> Result<()> {
        if self.content == content && name.is_none_or(|name| name == self.name) {
            return Ok(());
        }
        let words = |content, name: &str| match content {
            Content::Checkpoint => format!("a checkpoint of {name}"),
            Content::Generator => format!("a trained model ({name})"),
        };
        Err(Error::Mismatch {
            path: path.to_owned(),
            found: words(self.content, &self.name),
            expected: words(content, name.unwrap_or("any method")),
        })
    }
}

/// A named set of arrays, in the order of the names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    entries: BTreeMap<String, Array>,
}

impl Record {
    /// Adds an entry; one of the same name is replaced.
    pub fn insert(&mut self, name: &str, array: Array) {
        self.entries.insert(name.to_owned(), array);
    }

    /// The entry of a name.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.entries.get(name)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The numbers in all entries together: of a model's file, its parameters.
    pub fn numbers(&self) -> usize {
        self.entries.values().map(|array| array.shape.iter().product::<usize>()).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries whose names begin with `prefix` and a dot, without them.
    pub fn under(&self, prefix: &str) -> Record {
        let strip = |name: &str| name.strip_prefix(prefix)?.strip_prefix('.').map(str::to_owned);
        let entries = self.entries.iter().filter_map(|(k, v)| Some((strip(k)?, v.clone()))).collect();
        Record { entries }
    }

    /// Adds every entry of `other` under `prefix` and a dot.
    pub fn insert_under(&mut self, prefix: &str, other: Record) {
        self.entries.extend(other.entries.into_iter().map(|(k, v)| (format!("{prefix}.{k}"), v)));
    }

    fn checksum(&self, header: &str) -> String {
        let mut hash = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(header.as_bytes());
        for (name, array) in &self.entries {
            field(name.as_bytes());
            field(format!("{:?}{:?}", array.dtype, array.shape).as_bytes());
            field(&array.bytes);
        }
        hash.finalize().to_hex().to_string()
    }
}

/// An array of numbers as it lies in a file: little-endian, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    /// A tensor of single or double precision.
    ///
    /// # Errors
    /// Another kind, or libtorch refuses the copy.
    pub fn of_tensor(x: &Tensor) -> Result<Self> {
        let (dtype, width) = match x.f_kind()? {
            Kind::Float => (Dtype::F32, 4),
            Kind::Double => (Dtype::F64, 8),
            other => {
                return Err(Error::setting(
                    "kind of a tensor to save",
                    format!("{other:?}"),
                    "Float or Double",
                ));
            }
        };
        let mut bytes = vec![0; x.numel() * width];
        x.f_copy_data_u8(&mut bytes, x.numel())?;
        Ok(Array { dtype, shape: x.size().iter().map(|&s| s as usize).collect(), bytes })
    }

    /// The tensor, on the CPU.
    ///
    /// # Errors
    /// The array holds a counter, or libtorch refuses the memory.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let kind = match self.dtype {
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            other => return Err(Error::setting("type of an entry", format!("{other:?}"), "F32 or F64")),
        };
        let shape: Vec<i64> = self.shape.iter().map(|&s| s as i64).collect();
        Ok(Tensor::f_from_data_size(&self.bytes, &shape, kind)?)
    }

    /// A counter.
    pub fn of_counter(x: u64) -> Self {
        Array { dtype: Dtype::U64, shape: Vec::new(), bytes: x.to_le_bytes().to_vec() }
    }

    /// The counter, if it is one.
    pub fn to_counter(&self) -> Option<u64> {
        let bytes = self.bytes.as_slice().try_into().ok()?;
        (self.dtype == Dtype::U64).then(|| u64::from_le_bytes(bytes))
    }

    /// A list of numbers.
    pub fn of_numbers(x: &[f64]) -> Self {
        let bytes = x.iter().flat_map(|v| v.to_le_bytes()).collect();
        Array { dtype: Dtype::F64, shape: vec![x.len()], bytes }
    }

    /// The list of numbers, if it is one.
    pub fn to_numbers(&self) -> Option<Vec<f64>> {
        let (numbers, _) = self.bytes.as_chunks::<8>();
        (self.dtype == Dtype::F64).then(|| numbers.iter().map(|&b| f64::from_le_bytes(b)).collect())
    }
}

impl View for &Array {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes a file atomically; an earlier file of that name is replaced only once the new one is safe on disk.
///
/// # Errors
/// The folder is not there or cannot be written, or the disk is full; the earlier file is left as it was.
pub fn write(path: &Path, header: &Header, record: &Record) -> Result<()> {
    let config_error = |e: serde_json::Error| Error::Config { what: "the header", why: e.to_string() };
    let json = serde_json::to_string(header).map_err(config_error)?;
    let value = format!("{CHECKSUM}{}\n{json}", record.checksum(&json));
    let metadata = HashMap::from([(KEY.to_owned(), value)]);
    let entries = record.entries.iter().map(|(name, array)| (name.as_str(), array));
    let bytes = safetensors::serialize(entries, Some(metadata))
        .map_err(|e| Error::damaged(path, format!("cannot be composed: {e}")))?;
    write_atomically(path, &bytes)
}

/// Writes bytes to a file: temporary file in the same folder, fsync, rename, fsync of the folder.
///
/// # Errors
/// As [`write()`].
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let (Some(name), Some(parent)) = (name, path.parent()) else {
        return Err(Error::setting("file to write", path.display(), "a file in a folder"));
    };
    let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix).suffix(".partial");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As for any new file: the process's umask decides, not the temporary file's caution.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(|e| Error::io(folder, "create a file in it", e))?;
    file.write_all(bytes).map_err(|e| Error::io(path, "write it", e))?;
    file.as_file().sync_all().map_err(|e| Error::io(path, "bring it to disk", e))?;
    file.persist(path).map_err(|e| Error::io(path, "put it in place", e.error))?;
    let folder_file = File::open(folder).map_err(|e| Error::io(folder, "open it", e))?;
    folder_file.sync_all().map_err(|e| Error::io(folder, "bring it to disk", e))
}

/// Removes temporary files that a killed writer of `path` left beside it.
pub(crate) fn remove_partials(path: &Path) {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { return };
    let prefix = format!(".{}.", name.to_string_lossy());
    let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        if found.starts_with(&prefix) && found.ends_with(".partial") {
            // Whoever cannot remove it can still train: it is only in the way.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Reads a file that [`write()`] wrote, whole and unaltered.
///
/// # Errors
/// The file cannot be read, was written by something else, is truncated or altered, or has another format.
pub fn read(path: &Path) -> Result<(Header, Record)> {
    let about = std::fs::metadata(path).map_err(|e| Error::io(path, "open it", e))?;
    let foreign = |why: String| Error::Foreign { path: path.to_owned(), why };
    if !about.is_file() {
        return Err(foreign("it is not a regular file".to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read it", e))?;
    let truncated = |e: SafeTensorError| match e {
        SafeTensorError::InvalidHeaderLength
        | SafeTensorError::MetadataIncompleteBuffer
        | SafeTensorError::InvalidOffset(_)
        | SafeTensorError::TensorInvalidInfo
        | SafeTensorError::ValidationOverflow => Error::damaged(path, e),
        e => foreign(format!("no safetensors file ({e})")),
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(truncated)?;
    let value = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).cloned();
    let value = value.ok_or_else(|| foreign(format!("its metadata has no key {KEY:?}")))?;
    let (checksum, json) = value
        .strip_prefix(CHECKSUM)
        .and_then(|v| v.split_once('\n'))
        .ok_or_else(|| Error::damaged(path, "its header has no checksum"))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(truncated)?;
    let entries = tensors.iter().map(|(name, view)| {
        let array = Array { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
        (name.to_owned(), array)
    });
    let record = Record { entries: entries.collect() };
    if record.checksum(json) != checksum {
        return Err(Error::damaged(path, "its checksum does not fit its content"));
    }
    let header: Header =
        serde_json::from_str(json).map_err(|e| Error::damaged(path, format!("its header: {e}")))?;
    if header.format != FORMAT {
        let (found, expected) = (format!("format {}", header.format), format!("format {FORMAT}"));
        return Err(Error::Mismatch { path: path.to_owned(), found, expected });
    }
    Ok((header, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (Header, Record) {
        let mut record = Record::default();
        let matrix = Tensor::from_slice(&[1.0f32, -2.0, 3.5, f32::MIN_POSITIVE, 0.0, -0.0]).view([2, 3]);
        record.insert("net", Array::of_tensor(&matrix).unwrap());
        record.insert("steps", Array::of_counter(u64::MAX - 1));
        record.insert("history", Array::of_numbers(&[0.1, 1e-300]));
        record.insert("none", Array::of_numbers(&[]));
        (Header::new(Content::Generator, "test", serde_json::json!({"lr": 0.1})), record)
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_the_bytes_are_stable() {
        let dir = folder();
        let (a, b) = (dir.path().join("a.safetensors"), dir.path().join("b.safetensors"));
        let (header, record) = example();
        write(&a, &header, &record).unwrap();
        let (h, r) = read(&a).unwrap();
        assert_eq!((&h, &r), (&header, &record));
        assert_eq!(r.get("steps").unwrap().to_counter(), Some(u64::MAX - 1));
        assert_eq!(r.get("history").unwrap().to_numbers().unwrap(), [0.1, 1e-300]);
        assert_eq!(r.get("net").unwrap().to_tensor().unwrap().size(), [2, 3]);
        write(&b, &h, &r).unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        // nothing else is left in the folder
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        let sub = {
            let mut all = Record::default();
            all.insert_under("x", r.clone());
            all.under("x")
        };
        assert_eq!(sub, r);
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let dir = folder();
        let path = dir.path().join("m.safetensors");
        let (header, record) = example();
        write(&path, &header, &record).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for k in 0..whole.len() {
            std::fs::write(&path, &whole[..k]).unwrap();
            assert!(matches!(read(&path), Err(Error::Damaged { .. } | Error::Foreign { .. })), "cut at {k}");
        }
        for k in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[k / 8] ^= 1 << (k % 8);
            std::fs::write(&path, &bytes).unwrap();
            match read(&path) {
                Err(e) => assert!(e.to_string().contains("m.safetensors"), "{e}"),
                // Spaces that pad the header to a multiple of eight carry nothing.
                Ok((h, r)) => assert_eq!((h, r), (header.clone(), record.clone()), "bit {k}"),
            }
        }
    }

    #[test]
    fn a_header_that_lies_takes_no_memory() {
        let dir = folder();
        let path = dir.path().join("liar.safetensors");
        let declare = |header: &str| {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            std::fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err().to_string()
        };
        let huge = r#"{"x":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}"#;
        assert!(declare(huge).contains("damaged"), "{}", declare(huge));
        let overflow = r#"{"x":{"dtype":"F64","shape":[9223372036854775807,16],"data_offsets":[0,8]}}"#;
        assert!(declare(overflow).contains("damaged"));
        std::fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
        assert!(matches!(read(&path), Err(Error::Foreign { .. })));
    }

    #[test]
    fn foreign_files_and_bad_folders_are_named() {
        let dir = folder();
        let path = dir.path().join("other.safetensors");
        let none: [(&str, &Array); 0] = [];
        std::fs::write(&path, safetensors::serialize(none, None).unwrap()).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("not a file of this program"));
        std::fs::write(&path, "plain text, long enough to be read").unwrap();
        assert!(matches!(read(&path), Err(Error::Foreign { .. })));
        assert!(matches!(read(dir.path()), Err(Error::Foreign { .. })));
        assert!(matches!(read(&dir.path().join("absent")), Err(Error::Io { .. })));
        let (header, record) = example();
        let nowhere = dir.path().join("no/such/folder/m.safetensors");
        assert!(matches!(write(&nowhere, &header, &record), Err(Error::Io { .. })));
        let error = header.expect(&path, Content::Checkpoint, Some("mmd")).unwrap_err().to_string();
        assert!(
            error.ends_with("holds a trained model (test), where a checkpoint of mmd is needed"),
            "{error}"
        );
    }

    #[test]
    fn partial_files_are_swept() {
        let dir = folder();
        let path = dir.path().join("m.safetensors");
        for name in [".m.safetensors.abc.partial", ".other.abc.partial", "m.safetensors.partial"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        remove_partials(&path);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
