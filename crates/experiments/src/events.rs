//! Event files as TensorBoard reads them: scalars along training.
//!
//! A file is a sequence of records (length, its checksum, bytes, their checksum; all little-endian), each a protocol buffer
//! `tensorflow.Event`: `wall_time` (1, double), `step` (2, varint), `file_version` (3, string) or `summary` (5), a list of values
//! with `tag` (1, string) and `simple_value` (2, float). Checksums are CRC-32C (RFC 3720, appendix B.4), rotated and shifted as
//! the TFRecord format asks.

use crate::files::WriteError;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// One event file, written as events come: what a killed process wrote is readable.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: File,
}

impl EventFile {
    /// A new file for the training run `name`, in the folder `tensorboard/NAME` of the run's.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn create(dir: &Path, name: &str) -> Result<Self, WriteError> {
        let folder = dir.join("tensorboard").join(name);
        std::fs::create_dir_all(&folder).map_err(WriteError::at(&folder))?;
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A second file of the same run has a later number, and TensorBoard joins them.
        let name = format!("events.out.tfevents.{}.{}", seconds.as_millis(), std::process::id());
        let path = folder.join(name);
        let mut file = File::create(&path).map_err(WriteError::at(&path))?;
        let head = event(seconds.as_secs_f64(), 0, &bytes_field(3, b"brain.Event:2"));
        file.write_all(&record(&head)).map_err(WriteError::at(&path))?;
        Ok(EventFile { file })
    }

    /// Adds one value. A value that cannot be written is no reason to lose a run.
    pub(crate) fn scalar(&mut self, tag: &str, step: u64, value: f64) {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let _ = self.file.write_all(&record(&event(seconds, step, &scalar(tag, value))));
    }
}

fn event(seconds: f64, step: u64, what: &[u8]) -> Vec<u8> {
    let mut out = vec![0x09];
    out.extend(seconds.to_le_bytes());
    out.push(0x10);
    varint(&mut out, step);
    out.extend(what);
    out
}

fn scalar(tag: &str, value: f64) -> Vec<u8> {
    let mut one = bytes_field(1, tag.as_bytes());
    one.push(0x15);
    one.extend((value as f32).to_le_bytes());
    bytes_field(5, &bytes_field(1, &one))
}

/// A field of bytes (a string or a message).
fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(&mut out, bytes.len() as u64);
    out.extend(bytes);
    out
}

fn varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push((v & 0x7f) as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked(data).to_le_bytes());
    out
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The polynomial of Castagnoli, bit by bit: records are short.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ 0x82f6_3b78 & (crc & 1).wrapping_neg();
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, appendix B.4, and the check value of the catalogue of CRC algorithms.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// The bytes that TensorFlow's own writer makes of these events.
    #[test]
    fn events_are_the_bytes_of_the_format() {
        assert_eq!(scalar("a", 1.0), [0x2a, 10, 0x0a, 8, 0x0a, 1, b'a', 0x15, 0, 0, 0x80, 0x3f]);
        assert_eq!(event(1.0, 300, &[])[..], [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02]);
        let whole = record(b"abc");
        assert_eq!(whole[..8], 3u64.to_le_bytes());
        assert_eq!(whole[12..15], *b"abc");
        assert_eq!(whole.len(), 8 + 4 + 3 + 4);
    }

    #[test]
    fn a_file_holds_its_records() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(dir.path(), "train").unwrap();
        (1..=3).for_each(|k| file.scalar("loss", k, 0.5));
        let folder = std::fs::read_dir(dir.path().join("tensorboard/train")).unwrap();
        let path = folder.map(|entry| entry.unwrap().path()).next().unwrap();
        let bytes = std::fs::read(path).unwrap();
        let (mut at, mut records) = (0, 0);
        while at < bytes.len() {
            let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
            let body = &bytes[at + 12..at + 12 + length];
            assert_eq!(bytes[at + 8..at + 12], masked(&bytes[at..at + 8]).to_le_bytes());
            assert_eq!(bytes[at + 12 + length..at + 16 + length], masked(body).to_le_bytes());
            (at, records) = (at + 16 + length, records + 1);
        }
        assert_eq!(records, 4);
    }
}
