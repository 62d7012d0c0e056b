//! Takes named members out of a wheel and nothing else.
//!
//! A wheel is a zip file. Whatever is not on the list is passed over; whatever is on it must be a regular file of at
//! most the stated size, and a name that would leave the target folder fails the archive as a whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipArchiveEntryWayfinder};

/// One entry of an allow-list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Take {
    /// One file, which must be there.
    File { member: &'static str, to: &'static str, max_bytes: u64 },
    /// Every C and C++ header below a folder.
    Headers { folder: &'static str, to: &'static str, max_bytes: u64, max_files: usize },
}

/// A member that was chosen.
struct Chosen {
    member: String,
    to: String,
    size: u64,
    method: CompressionMethod,
    at: ZipArchiveEntryWayfinder,
}

/// Extracts what `list` allows from the zip file `archive` into `target`, and calls `progress(done, total)` in bytes.
///
/// # Errors
/// When the archive cannot be read, a listed file is missing, a listed member is a link, encrypted, larger than
/// allowed or of another length or checksum than stated, when a name occurs twice, or when any name in the archive is absolute,
/// contains `..`, a backslash, a colon or a NUL.
pub(crate) fn extract(
    archive: &Path,
    target: &Path,
    list: &[Take],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let context = || format!("{}", archive.display());
    let file = File::open(archive).with_context(context)?;
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let zip = ZipArchive::from_file(file, &mut buffer).with_context(context)?;

    let chosen = choose(&zip, &mut buffer, list).with_context(context)?;
    let total = chosen.iter().map(|member| member.size).sum();
    let mut done = 0;
    for member in &chosen {
        write(&zip, member, target, &mut |bytes| {
            done += bytes;
            progress(done, total);
        })
        .with_context(|| format!("{}: {}", archive.display(), member.member))?;
    }
    Ok(())
}

/// Walks the whole directory before anything is written, so that a bad archive leaves nothing behind.
fn choose(zip: &ZipArchive<rawzip::FileReader>, buffer: &mut [u8], list: &[Take]) -> Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    let mut names = BTreeSet::new();
    let mut left: Vec<(u64, usize)> = list
        .iter()
        .map(|take| match *take {
            Take::File { max_bytes, .. } => (max_bytes, 1),
            Take::Headers { max_bytes, max_files, .. } => (max_bytes, max_files),
        })
        .collect();

    let mut entries = zip.entries(buffer);
    while let Some(entry) = entries.next_entry()? {
        let raw = entry.file_path();
        let name = std::str::from_utf8(raw.as_ref()).context("a member's name is not UTF-8")?.to_string();
        ensure!(stays_inside(&name), "the member {name:?} would leave the target folder");
        if entry.is_dir() {
            continue;
        }
        let Some((rule, to)) =
            list.iter().enumerate().find_map(|(rule, take)| Some((rule, destination(*take, &name)?)))
        else {
            continue;
        };
        ensure!(names.insert(to.clone()), "the member {name} occurs twice");
        // The upper half of the file type distinguishes links, devices and sockets from regular files (0o100000).
        let kind = entry.mode().value() & 0o170_000;
        ensure!(kind == 0 || kind == 0o100_000, "the member {name} is not a regular file");
        ensure!(!entry.flags().is_encrypted(), "the member {name} is encrypted");
        let size = entry.uncompressed_size_hint();
        let (bytes, files) = &mut left[rule];
        ensure!(
            size <= *bytes && *files > 0,
            "the member {name} ({size} bytes) exceeds what is expected of such a file"
        );
        *bytes -= size;
        *files -= 1;
        let (method, at) = (entry.compression_method(), entry.wayfinder());
        chosen.push(Chosen { member: name, to, size, method, at });
    }
    for take in list {
        if let Take::File { member, .. } = take {
            ensure!(chosen.iter().any(|c| c.member == *member), "the member {member} is missing");
        }
    }
    Ok(chosen)
}

fn destination(take: Take, name: &str) -> Option<String> {
    match take {
        Take::File { member, to, .. } => (member == name).then(|| to.to_string()),
        Take::Headers { folder, to, .. } => {
            let rest = name.strip_prefix(folder)?;
            let header =
                Path::new(rest).extension().is_some_and(|e| ["h", "hpp", "cuh"].iter().any(|h| e == *h));
            header.then(|| format!("{to}{rest}"))
        }
    }
}

/// True for a relative path of plain components.
fn stays_inside(name: &str) -> bool {
    let name = name.strip_suffix('/').unwrap_or(name);
    !name.contains(['\\', ':', '\0']) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn write(
    zip: &ZipArchive<rawzip::FileReader>,
    member: &Chosen,
    target: &Path,
    wrote: &mut dyn FnMut(u64),
) -> Result<()> {
    let path = target.join(&member.to);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let entry = zip.get_entry(member.at)?;
    let reader: Box<dyn Read + '_> = match member.method {
        CompressionMethod::STORE => Box::new(entry.reader()),
        CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(entry.reader())),
        other => bail!("compression method {} is not supported", other.as_u16()),
    };
    // The verifier holds the stream to the stated length and checksum. It does so at the end, hence the bound.
    let mut reader = entry.verifying_reader(reader.take(member.size + 1));
    // A new file: nothing that is already there, a link least of all, is written through.
    let mut out = File::create_new(&path)?;
    let mut block = vec![0; 1 << 18];
    loop {
        let n = reader.read(&mut block)?;
        if n == 0 {
            return Ok(());
        }
        out.write_all(&block[..n])?;
        wrote(n as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rawzip::{ZipArchiveWriter, path::EntryPath};

    use super::*;

    const LIST: &[Take] = &[
        Take::File { member: "pkg/lib/a.so", to: "lib/a.so", max_bytes: 100 },
        Take::Headers { folder: "pkg/include/", to: "include/", max_bytes: 50, max_files: 2 },
    ];

    /// A stored member: name, Unix mode, content.
    type Member<'a> = (&'a str, u32, &'a [u8]);

    const GOOD: Member<'_> = ("pkg/lib/a.so", 0o100_755, b"library");

    fn zip(members: &[Member<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = ZipArchiveWriter::new(&mut bytes);
        for (name, mode, content) in members {
            let path = EntryPath::verbatim(name.as_bytes());
            let (mut entry, config) = archive.new_file(path).unix_permissions(*mode).start().unwrap();
            let mut writer = config.wrap(&mut entry);
            writer.write_all(content).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        bytes
    }

    /// Extracts the bytes into a fresh folder; the files it then holds, or the error.
    fn take(bytes: &[u8]) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
        let dir = tempfile::tempdir().unwrap();
        let (archive, target) = (dir.path().join("a.whl"), dir.path().join("inner/target"));
        fs::write(&archive, bytes).unwrap();
        fs::create_dir_all(&target).unwrap();
        let result = extract(&archive, &target, LIST, &mut |_, _| ());
        let mut found = Vec::new();
        collect(dir.path(), dir.path(), &mut found);
        let outside =
            found.iter().filter(|(path, _)| !path.starts_with("inner/target") && *path != Path::new("a.whl"));
        assert_eq!(outside.count(), 0, "something was written outside of the target");
        found.retain(|(path, _)| path.starts_with("inner/target"));
        found.sort();
        result.map(|()| found).map_err(|error| format!("{error:#}"))
    }

    fn collect(base: &Path, folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(base, &path, found);
            } else {
                found.push((path.strip_prefix(base).unwrap().into(), fs::read(&path).unwrap()));
            }
        }
    }

    fn refused(members: &[Member<'_>], why: &str) {
        let error = take(&zip(members)).unwrap_err();
        assert!(error.contains(why), "expected `{why}`, got `{error}`");
    }

    #[test]
    fn only_what_is_listed_is_taken() {
        let found = take(&zip(&[
            GOOD,
            ("pkg/include/deep/x.h", 0o100_644, b"header"),
            ("pkg/include/x.py", 0o100_644, b"script"),
            ("pkg/include/", 0o040_755, b""),
            ("pkg/lib/b.so", 0o100_755, b"other"),
        ]))
        .unwrap();
        let expected: [(&str, &[u8]); 2] =
            [("inner/target/include/deep/x.h", b"header"), ("inner/target/lib/a.so", b"library")];
        let found: Vec<(&str, &[u8])> =
            found.iter().map(|(p, c)| (p.to_str().unwrap(), c.as_slice())).collect();
        assert_eq!(found, expected);
    }

    /// One compressed member of 90 bytes.
    fn deflated() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = ZipArchiveWriter::new(&mut bytes);
        let file = archive.new_file("pkg/lib/a.so").compression_method(CompressionMethod::DEFLATE);
        let (mut entry, config) = file.start().unwrap();
        let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default());
        let mut writer = config.wrap(encoder);
        writer.write_all(&[7; 90]).unwrap();
        let (encoder, descriptor) = writer.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(descriptor).unwrap();
        archive.finish().unwrap();
        bytes
    }

    #[test]
    fn compressed_members_are_inflated() {
        assert_eq!(take(&deflated()).unwrap()[0].1, [7; 90]);
    }

    #[test]
    fn a_member_of_another_length_than_stated_is_refused() {
        let mut bytes = deflated();
        // The uncompressed size in the central directory stands 24 bytes after its signature.
        let size = 24 + bytes.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
        assert_eq!(bytes[size], 90);
        for stated in [80, 95] {
            bytes[size] = stated;
            assert!(take(&bytes).is_err(), "90 bytes were taken for {stated}");
        }
    }

    #[test]
    fn names_that_leave_the_target_fail_the_archive() {
        for name in [
            "../evil.h",
            "pkg/include/../../../evil.h",
            "pkg/include/./x.h",
            "pkg//x.h",
            "/etc/evil.h",
            "C:/evil.h",
            "pkg\\include\\..\\evil.h",
            "pkg/include/nul\0.h",
        ] {
            refused(&[GOOD, (name, 0o100_644, b"x")], "would leave the target folder");
        }
    }

    #[test]
    fn links_and_devices_are_refused() {
        refused(&[("pkg/lib/a.so", 0o120_777, b"/etc/passwd")], "not a regular file");
        refused(&[GOOD, ("pkg/include/l.h", 0o120_777, b"../../..")], "not a regular file");
        refused(&[("pkg/lib/a.so", 0o020_644, b"")], "not a regular file");
    }

    #[test]
    fn size_and_number_are_bounded() {
        refused(&[("pkg/lib/a.so", 0o100_644, &[0; 101])], "exceeds");
        // Each header fits, together they do not.
        let half = [0; 30];
        refused(&[GOOD, ("pkg/include/1.h", 0o644, &half), ("pkg/include/2.h", 0o644, &half)], "exceeds");
        let many = [
            GOOD,
            ("pkg/include/1.h", 0o644, b""),
            ("pkg/include/2.h", 0o644, b""),
            ("pkg/include/3.h", 0o644, b""),
        ];
        refused(&many, "exceeds");
    }

    #[test]
    fn damage_is_noticed() {
        let good = zip(&[GOOD]);
        let at = good.windows(7).position(|w| w == b"library").unwrap();
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        assert!(take(&flipped).is_err(), "a wrong checksum was accepted");
        assert!(take(&good[..good.len() - 8]).is_err(), "a truncated archive was accepted");
        assert!(take(b"no zip at all").is_err());
    }

    #[test]
    fn a_listed_file_must_be_there_once() {
        refused(&[("pkg/include/x.h", 0o100_644, b"x")], "pkg/lib/a.so is missing");
        refused(&[GOOD, GOOD], "occurs twice");
    }
}
