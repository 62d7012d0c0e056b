//! Rows of an .npy file read when they are needed, for arrays that memory does not hold.
//!
//! Only the header is read at once, and held against the length of the file. A batch reads its rows where they lie; the
//! operating system keeps in memory what is read often, as it would for a mapped file, and nothing here is unsafe.

use super::error::{Error, Problem};
use super::npy::{Layout, read_layout};
use measures::rand::{Rng, RngExt};
use measures::{Points, Seed};
use models::{Result as ModelsResult, Source};
use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// An n×d array in a file, as a source of training data.
#[derive(Debug)]
pub struct NpyRows {
    path: PathBuf,
    file: File,
    layout: Layout,
    /// The first byte of the data.
    start: u64,
    rows: usize,
    dim: usize,
    /// Rows that are never drawn, ascending.
    held: Vec<usize>,
    fingerprint: String,
}

/// Blocks of the file that its fingerprint looks at, and the bytes of each.
const PROBES: u64 = 64;
const PROBE: u64 = 4096;

impl NpyRows {
    /// Opens the array of a file. Nothing but its header is trusted to be in memory, and the header is trusted for nothing
    /// that the length of the file does not bear out.
    ///
    /// # Errors
    /// The file is no .npy array of real numbers, is truncated, or lies column by column.
    pub fn open(path: &Path) -> Result<Self, Error> {
        NpyRows::try_open(path).map_err(Error::at(path))
    }

    fn try_open(path: &Path) -> Result<Self, Problem> {
        let about = std::fs::metadata(path)?;
        if !about.is_file() {
            return Err(Problem::NotAFile);
        }
        let held = about.len();
        let mut file = File::open(path)?;
        let (layout, start) = read_layout(&mut file, held)?;
        let (rows, dim) = layout.shape_of(held - start)?;
        if layout.column_major && layout.shape.len() > 1 {
            return Err(Problem::ColumnMajor);
        }
        let fingerprint = fingerprint(&file, held, start, (rows, dim))?;
        Ok(NpyRows { path: path.to_owned(), file, layout, start, rows, dim, held: Vec::new(), fingerprint })
    }

    /// Sets `count` rows apart, drawn at random, and returns them: they are never part of a batch again.
    ///
    /// # Errors
    /// There are not more rows than that, or one of them cannot be read.
    pub fn hold_out(&mut self, count: usize, seed: Seed) -> Result<Points, Error> {
        let left = self.rows - self.held.len();
        if count >= left {
            return Err(Error::at(&self.path)(Problem::TooFewRows { needed: count + 1, got: left }));
        }
        let picked: Vec<usize> =
            distinct(count, left, &mut seed.rng()).into_iter().map(|k| self.row_of(k)).collect();
        let points = self.read(&picked).map_err(Error::at(&self.path))?;
        self.held.extend(&picked);
        self.held.sort_unstable();
        Ok(points)
    }

    /// The k-th of the rows that are not held out.
    fn row_of(&self, k: usize) -> usize {
        // The smallest row with k others before it: each held row at or below it moves it on by one.
        let (mut low, mut high) = (k, k + self.held.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let before = self.held.partition_point(|&row| row <= middle);
            if middle + 1 - before > k {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// These rows, in this order.
    fn read(&self, rows: &[usize]) -> Result<Points, Problem> {
        let (size, dim) = (self.layout.element.size(), self.dim);
        let mut bytes = vec![0; size * dim];
        let mut points = Points::zeros(rows.len(), dim);
        // In the order of the file, which disks prefer.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_unstable_by_key(|&i| rows[i]);
        for i in order {
            let row = rows[i];
            let from = self.start + row as u64 * bytes.len() as u64;
            read_at(&self.file, &mut bytes, from)?;
            for (column, (out, element)) in
                points.row_mut(i).iter_mut().zip(bytes.chunks_exact(size)).enumerate()
            {
                let decoded = self.layout.element.decode(element);
                *out = decoded.map_err(|value| Problem::Inexact { row, column, value })?;
                if !out.is_finite() {
                    return Err(Problem::NonFinite { row, column, value: *out });
                }
            }
        }
        Ok(points)
    }
}

impl Source for NpyRows {
    fn dim(&self) -> usize {
        self.dim
    }

    fn len(&self) -> Option<usize> {
        Some(self.rows - self.held.len())
    }

    fn batch(&self, n: usize, rng: &mut dyn Rng) -> ModelsResult<Points> {
        let left = self.rows - self.held.len();
        if n > left {
            let must = format!("at most {left}, the number of rows of data");
            return Err(models::Error::Setting { field: "batch", value: n.to_string(), must });
        }
        let picked: Vec<usize> = distinct(n, left, rng).into_iter().map(|k| self.row_of(k)).collect();
        self.read(&picked)
            .map_err(|problem| models::Error::Damaged { path: self.path.clone(), why: problem.to_string() })
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

/// `count` different numbers below `n`, every subset equally likely, in random order: R. W. Floyd's algorithm (Bentley and
/// Floyd 1987, doi 10.1145/30401.315746), shuffled.
fn distinct(count: usize, n: usize, rng: &mut dyn Rng) -> Vec<usize> {
    let (mut seen, mut picked) = (HashSet::with_capacity(count), Vec::with_capacity(count));
    for j in n - count..n {
        let k = rng.random_range(0..=j as u64) as usize;
        let k = if seen.insert(k) { k } else { j };
        seen.insert(k);
        picked.push(k);
    }
    for i in (1..picked.len()).rev() {
        picked.swap(i, rng.random_range(0..=i as u64) as usize);
    }
    picked
}

/// Words that tell this array from others: its shape, and a checksum of its length and of blocks spread over the file.
fn fingerprint(file: &File, held: u64, start: u64, (rows, dim): (usize, usize)) -> Result<String, Problem> {
    let mut hash = blake3::Hasher::new();
    hash.update(&held.to_le_bytes());
    for k in 0..PROBES {
        let from = start + (held - start).saturating_sub(PROBE) / PROBES * k;
        let mut block = vec![0; PROBE.min(held - from) as usize];
        read_at(file, &mut block, from)?;
        hash.update(&block);
    }
    Ok(format!("{rows}×{dim} rows of a file, blake3 of {PROBES} blocks {}", &hash.finalize().to_hex()[..16]))
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], from: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, from)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], from: u64) -> std::io::Result<()> {
    use std::os::windows::fs::FileExt;
    let mut done = 0;
    while done < bytes.len() {
        match file.seek_read(&mut bytes[done..], from + done as u64)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => done += read,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::write_npy;
    use std::io::Write;

    fn file(points: &Points) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        write_npy(&path, points).unwrap();
        (folder, path)
    }

    fn counted(n: usize) -> Points {
        Points::from_fn(n, 3, |i, row| row.copy_from_slice(&[i as f64, 0.5 * i as f64, -1.0]))
    }

    #[test]
    fn batches_are_rows_of_the_file_without_replacement() {
        let (_folder, path) = file(&counted(500));
        let rows = NpyRows::open(&path).unwrap();
        assert_eq!((rows.dim(), Source::len(&rows)), (3, Some(500)));
        let all = rows.batch(500, &mut Seed::new(1).rng()).unwrap();
        let mut first = all.column(0);
        first.sort_by(f64::total_cmp);
        assert_eq!(first, counted(500).column(0));
        assert!(all.rows().all(|row| row[1] == 0.5 * row[0] && row[2] == -1.0));
        assert_eq!(
            rows.batch(7, &mut Seed::new(2).rng()).unwrap(),
            rows.batch(7, &mut Seed::new(2).rng()).unwrap()
        );
        let error = rows.batch(501, &mut Seed::new(1).rng()).unwrap_err().to_string();
        assert_eq!(error, "batch = 501: must be at most 500, the number of rows of data");
    }

    #[test]
    fn every_row_is_drawn_equally_often_and_held_rows_never() {
        let (_folder, path) = file(&counted(12));
        let mut rows = NpyRows::open(&path).unwrap();
        let held: Vec<usize> =
            rows.hold_out(2, Seed::new(5)).unwrap().column(0).iter().map(|v| *v as usize).collect();
        assert_eq!(Source::len(&rows), Some(10));
        let (rounds, mut counts, mut rng) = (20_000, [0.0f64; 12], Seed::new(2).rng());
        for _ in 0..rounds {
            rows.batch(3, &mut rng).unwrap().column(0).iter().for_each(|&v| counts[v as usize] += 1.0);
        }
        let (expected, sd) = (0.3 * f64::from(rounds), (f64::from(rounds) * 0.3 * 0.7).sqrt());
        for (row, count) in counts.iter().enumerate() {
            let should = if held.contains(&row) { 0.0 } else { expected };
            assert!((count - should).abs() < 5.5 * sd, "{row}: {count}");
        }
        assert!(rows.hold_out(10, Seed::new(1)).unwrap_err().to_string().contains("10 rows"));
    }

    #[test]
    fn lies_truncation_and_columns_are_refused() {
        let (folder, path) = file(&counted(50));
        let whole = std::fs::read(&path).unwrap();
        let refuse = |bytes: &[u8]| {
            let path = folder.path().join("bad.npy");
            std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
            NpyRows::open(&path).unwrap_err().to_string()
        };
        assert!(refuse(&whole[..whole.len() - 5]).contains("promises"));
        assert!(refuse(&whole[..40]).contains("header"));
        assert!(refuse(b"not an array").contains("bad.npy"));
        let text = String::from_utf8_lossy(&whole[..128]).replace("False", "True ").into_bytes();
        let mut fortran = whole.clone();
        // The first bytes are no text; only the words of the header are exchanged.
        fortran[10..128].copy_from_slice(&text[text.len() - 118..]);
        assert!(refuse(&fortran).contains("column by column"), "{}", refuse(&fortran));
        // A number that is not finite is found when its row is read, and named.
        let mut bad = counted(50);
        bad.row_mut(49)[1] = 1.0;
        let mut bytes = whole;
        let at = bytes.len() - 16;
        bytes[at..at + 8].copy_from_slice(&f64::NAN.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        let error = NpyRows::open(&path).unwrap().batch(50, &mut Seed::new(1).rng()).unwrap_err().to_string();
        assert!(error.contains("row 49, column 1 is NaN"), "{error}");
    }

    /// A file of more numbers than are read into memory: nothing of it is read but what is drawn.
    #[test]
    fn files_larger_than_memory_are_served() {
        let (_folder, path) = file(&counted(500));
        let rows: u64 = 1 << 30;
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 3), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        let start = bytes.len() as u64;
        std::fs::write(&path, &bytes).unwrap();
        // All zeros, which file systems keep in no room at all.
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(start + 12 * rows).unwrap();
        let error = crate::data::read(&path, &crate::data::Options::default()).unwrap_err().to_string();
        assert!(error.contains("25.770 GB of numbers"), "{error}");
        let mut source = NpyRows::open(&path).unwrap();
        assert_eq!(Source::len(&source), Some(rows as usize));
        assert_eq!(source.hold_out(100, Seed::new(1)).unwrap(), Points::zeros(100, 3));
        assert_eq!(source.batch(1000, &mut Seed::new(2).rng()).unwrap(), Points::zeros(1000, 3));
    }

    #[test]
    fn other_data_have_another_fingerprint() {
        let (_a, first) = file(&counted(5000));
        let mut changed = counted(5000);
        changed.row_mut(0)[0] = 3.0;
        let (_b, second) = file(&changed);
        let print = |path: &Path| NpyRows::open(path).unwrap().fingerprint();
        assert_eq!(print(&first), print(&first));
        assert_ne!(print(&first), print(&second));
    }
}
