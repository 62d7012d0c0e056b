//! The .npz archives of numpy: .npy members in a zip, stored or deflated.

use super::Table;
use super::error::{Error, Problem, listed};
use super::npy;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Deflate makes at most 1,032 bytes of one (258 bytes by a code of two bits): a larger promise is a lie.
const MOST_EXPANSION: u64 = 1032;

/// A member as the central directory lists it.
struct Member {
    name: String,
    way: rawzip::ZipArchiveEntryWayfinder,
    method: rawzip::CompressionMethod,
    encrypted: bool,
}

/// Reads one array of the archive: the one named, or the only one.
pub(crate) fn read_path(path: &Path, held: u64, array: Option<&str>) -> Result<Table, Error> {
    read(path, held, array).map_err(Error::at(path))
}

fn read(path: &Path, held: u64, array: Option<&str>) -> Result<Table, Problem> {
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let archive = rawzip::ZipArchive::from_file(File::open(path)?, &mut buffer).map_err(broken)?;
    let mut members = Vec::new();
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(broken)? {
        let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        if let Some(name) = name.strip_suffix(".npy") {
            members.push(Member {
                name: name.to_owned(),
                way: entry.wayfinder(),
                method: entry.compression_method(),
                encrypted: entry.flags().is_encrypted(),
            });
        }
    }
    let member = choose(&members, array)?;
    if member.encrypted {
        return Err(Problem::Zip(format!("the array '{}' is encrypted", member.name)));
    }
    let entry = archive.get_entry(member.way).map_err(broken)?;
    let (start, end) = entry.compressed_data_range();
    let compressed = end.saturating_sub(start);
    let promised = member.way.uncompressed_size_hint();
    if end > held || promised > compressed.saturating_mul(MOST_EXPANSION) {
        let shape = format!("array '{}', {compressed} bytes compressed", member.name);
        return Err(Problem::Size { promised, shape, held });
    }
    let raw = std::io::BufReader::new(entry.reader());
    if member.method == rawzip::CompressionMethod::STORE {
        unpack(entry.verifying_reader(raw), promised)
    } else if member.method == rawzip::CompressionMethod::DEFLATE {
        unpack(entry.verifying_reader(flate2::bufread::DeflateDecoder::new(raw)), promised)
    } else {
        Err(Problem::Zip("its arrays are neither stored nor deflated; write it with numpy.savez".into()))
    }
}

/// Reads the array and then the end of the stream, where sizes and checksum are verified.
fn unpack(mut member: impl Read, promised: u64) -> Result<Table, Problem> {
    let table = npy::read(&mut member, promised).map_err(in_stream)?;
    let mut rest = [0];
    match member.read(&mut rest) {
        Ok(0) => Ok(table),
        Ok(_) => Err(Problem::Compressed("more bytes than its directory promises".into())),
        Err(error) => Err(in_stream(error.into())),
    }
}

/// A read error inside a member is about its compressed bytes, not about the operating system.
fn in_stream(problem: Problem) -> Problem {
    match problem {
        Problem::Io(error) if error.raw_os_error().is_none() => Problem::Compressed(error.to_string()),
        other => other,
    }
}

fn choose<'a>(members: &'a [Member], array: Option<&str>) -> Result<&'a Member, Problem> {
    let available = || listed(members.iter().map(|m| m.name.as_str()));
    match (array, members) {
        (_, []) => Err(Problem::NoArray),
        (None, [only]) => Ok(only),
        (None, _) => Err(Problem::ManyArrays(available())),
        (Some(asked), _) => members.iter().find(|m| m.name == asked).ok_or_else(|| Problem::NoSuchArray {
            asked: super::error::printable(asked),
            available: available(),
        }),
    }
}

fn broken(error: rawzip::Error) -> Problem {
    match error.into_kind() {
        rawzip::ErrorKind::IO(error) if error.raw_os_error().is_some() => Problem::Io(error),
        kind => Problem::Zip(kind.to_string()),
    }
}
