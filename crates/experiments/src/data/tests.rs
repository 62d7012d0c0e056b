//! Round trips, and files that are cut, lie or are hostile.

use super::*;
use proptest::prelude::*;
use std::io::Write;

fn problem(bytes: &[u8]) -> Problem {
    from_memory(bytes, &Options::default()).unwrap_err()
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    framed(1, &header, data)
}

fn framed(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = npy::MAGIC.to_vec();
    bytes.extend([version, 0]);
    if version == 1 {
        bytes.extend((header.len() as u16).to_le_bytes());
    } else {
        bytes.extend((header.len() as u32).to_le_bytes());
    }
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn f8(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn points(bytes: &[u8]) -> Points {
    from_memory(bytes, &Options::default()).unwrap().points
}

fn csv(text: &str) -> Result<Table, Problem> {
    from_memory(text.as_bytes(), &Options::default())
}

/// A zip of one member, written by another library than the one that reads.
fn zip(name: &str, content: &[u8], deflate: bool, claimed: Option<u32>) -> Vec<u8> {
    let packed = if deflate {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    } else {
        content.to_vec()
    };
    let mut crc = flate2::Crc::new();
    crc.update(content);
    let size = claimed.unwrap_or(content.len() as u32);
    let mut common = Vec::new();
    common.extend([20, 0, 0, 0, if deflate { 8 } else { 0 }, 0, 0, 0, 0x21, 0]);
    common.extend(crc.sum().to_le_bytes());
    common.extend((packed.len() as u32).to_le_bytes());
    common.extend(size.to_le_bytes());
    common.extend((name.len() as u16).to_le_bytes());
    common.extend([0, 0]);
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.extend(&common);
    bytes.extend(name.as_bytes());
    bytes.extend(&packed);
    let directory = bytes.len() as u32;
    bytes.extend(b"PK\x01\x02\x14\0");
    bytes.extend(&common);
    bytes.extend([0; 14]);
    bytes.extend(name.as_bytes());
    let length = bytes.len() as u32 - directory;
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend(length.to_le_bytes());
    bytes.extend(directory.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn read_file(bytes: &[u8], options: &Options) -> Result<Table, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    std::fs::write(&path, bytes).unwrap();
    read(&path, options)
}

#[test]
fn shapes_versions_and_orders_of_npy() {
    let data = f8(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let expected = Points::from_rows(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }\n";
    for version in [1, 2, 3] {
        assert_eq!(points(&framed(version, header, &data)), expected, "version {version}");
    }
    assert_eq!(points(&npy("'<f8'", "(6,)", &data)).dim(), 1);
    assert_eq!(points(&npy("'<f8'", "(1, 3, 2)", &data)).row(0), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    // Fortran order of a 3×2 array: columns one after the other.
    let fortran = header.replace("False", "True");
    let columns = f8(&[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    assert_eq!(points(&framed(1, &fortran, &columns)), expected);
    // numpy.asfortranarray(numpy.arange(12.).reshape(2, 3, 2)) in memory order; its rows are 0..6 and 6..12.
    let cube = f8(&[0.0, 6.0, 2.0, 8.0, 4.0, 10.0, 1.0, 7.0, 3.0, 9.0, 5.0, 11.0]);
    let x = points(&framed(1, &fortran.replace("(3, 2)", "(2, 3, 2)"), &cube));
    assert_eq!(x, Points::new(6, (0..12).map(f64::from).collect()).unwrap());
}

#[test]
fn npy_that_lies_or_is_of_no_use_is_refused_before_memory_is_taken() {
    let lie = problem(&npy("'<f8'", "(1000000000000, 2)", &[0; 16]));
    assert_eq!(
        lie.to_string(),
        "the header promises 16000000000000 bytes of data ((1000000000000, 2) float64), the file holds 16"
    );
    let huge = npy("'<f8'", "(18446744073709551615, 18446744073709551615)", &[0; 16]);
    assert!(matches!(problem(&huge), Problem::Size { promised: u64::MAX, .. }));
    assert!(matches!(problem(&npy("'<f8'", "(1, 2)", &[0; 24])), Problem::Size { held: 24, .. }));
    assert!(matches!(problem(&npy("'<f8'", "(3, 0)", &[])), Problem::Shape(_)));
    assert!(matches!(problem(&npy("'<f8'", "(0, 3)", &[])), Problem::Shape(_)));
    assert!(matches!(problem(&npy("'<f8'", "()", &[0; 8])), Problem::Shape(_)));
    assert!(matches!(problem(&npy("'|O'", "(1,)", b"\x80\x04K\x01.")), Problem::Dtype { .. }));
    assert!(matches!(problem(&npy("[('x', '<f8')]", "(1,)", &[0; 8])), Problem::Dtype { .. }));
    let nan = problem(&npy("'<f8'", "(2, 2)", &f8(&[0.0, 1.0, f64::NAN, 2.0])));
    assert_eq!(nan.to_string(), "row 1, column 0 is NaN: every number must be finite");
    let wide = problem(&npy(
        "'<i8'",
        "(1, 2)",
        &[[0; 8], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]].concat(),
    ));
    assert!(matches!(wide, Problem::Inexact { row: 0, column: 1, .. }));
    let mut long = framed(2, "", &[]);
    long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(problem(&long), Problem::HeaderTruncated { .. }));
    assert!(matches!(problem(&framed(2, &" ".repeat(70_000), &[])), Problem::Header { .. }));
    assert!(matches!(problem(&framed(9, "", &[0; 64])), Problem::Header { .. }));
}

#[test]
fn archives_are_read_by_name_and_verified() {
    let one = npy("'<f8'", "(2, 1)", &f8(&[1.0, 2.0]));
    for deflate in [false, true] {
        let x = read_file(&zip("points.npy", &one, deflate, None), &Options::default()).unwrap();
        assert_eq!(x.points.as_slice(), [1.0, 2.0]);
    }
    let named = |name: &str| Options { array: Some(name.into()), ..Options::default() };
    let error = read_file(&zip("points.npy", &one, true, None), &named("labels")).unwrap_err().to_string();
    assert!(error.ends_with("holds no array named 'labels'; it holds points"), "{error}");
    let refused = |bytes: &[u8]| read_file(bytes, &Options::default()).unwrap_err().problem;
    assert!(matches!(refused(&zip("readme.txt", b"hello", false, None)), Problem::NoArray));
    // A directory that promises more than deflate could ever make of so few bytes.
    assert!(matches!(refused(&zip("a.npy", &one, true, Some(u32::MAX))), Problem::Size { .. }));
    // A promise that deflate could keep, with a header that agrees with it: the stream ends early.
    let liar = npy("'<f8'", "(200, 1)", &f8(&[1.0, 2.0]));
    let promised = (liar.len() - 16 + 1600) as u32;
    assert!(matches!(refused(&zip("a.npy", &liar, true, Some(promised))), Problem::Compressed(_)));
    // One flipped bit in stored data: the checksum notices.
    let mut flipped = zip("a.npy", &one, false, None);
    let at = flipped.windows(8).position(|w| w == 2.0f64.to_le_bytes()).unwrap();
    flipped[at + 6] ^= 1;
    assert!(matches!(refused(&flipped), Problem::Compressed(_)));
    // A bomb: a gigabyte of zeros in a megabyte whose header promises sixteen bytes is not unpacked.
    let bomb = [one.clone(), vec![0; 1 << 24]].concat();
    assert!(matches!(refused(&zip("a.npy", &bomb, true, None)), Problem::Size { .. }));
}

#[test]
fn gzip_of_each_format() {
    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let text = pack(b"1,2\n3,4\n");
    assert_eq!(read_file(&text, &Options::default()).unwrap().points.row(1), [3.0, 4.0]);
    let idx = pack(&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4]);
    assert_eq!(read_file(&idx, &Options::default()).unwrap().points.row(1), [3.0, 4.0]);
    let cut = &text[..text.len() - 9];
    assert!(matches!(read_file(cut, &Options::default()).unwrap_err().problem, Problem::Compressed(_)));
    let lie = [0, 0, 0x0e, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert!(matches!(problem(&lie), Problem::Size { .. }));
    assert!(matches!(problem(&lie[..7]), Problem::HeaderTruncated { .. }));
}

#[test]
fn text_in_the_dialects_people_use() {
    let two = Points::from_rows(&[[1.5, -2.0], [3.0, 4e-3]]);
    for text in [
        "1.5,-2\n3,4e-3\n",
        "1.5;-2\r\n3;4e-3",
        "\u{feff}1.5\t-2\n3\t4e-3\n\n",
        "# made by savetxt\n1.5   -2.0\n  3 4e-3\n",
        "\"1.5\",\"-2\"\n\"3\",\"4e-3\"\n",
        "1.5 | -2\n3 | 4e-3\n",
    ] {
        assert_eq!(csv(text).unwrap().points, two, "{text:?}");
    }
    let table = csv("height, weight\n1.5,-2\n3,4e-3\n").unwrap();
    assert_eq!((table.columns, table.points), (vec!["height".into(), "weight".into()], two.clone()));
    let options = Options { columns: vec!["w".into(), "h".into()], ..Options::default() };
    let chosen = from_memory(b"name,h,w\nann,1,2\nbob,3,4\n", &options).unwrap();
    assert_eq!(chosen.points, Points::from_rows(&[[2.0, 1.0], [4.0, 3.0]]));
    let by_number = Options { columns: vec!["1".into()], ..Options::default() };
    assert_eq!(from_memory(b"1,2\n3,4\n", &by_number).unwrap().points.as_slice(), [2.0, 4.0]);
    assert_eq!(csv("7").unwrap().points.as_slice(), [7.0]);
}

#[test]
fn broken_text_names_line_and_column() {
    let error = |text: &str| csv(text).unwrap_err().to_string();
    assert_eq!(error("x,y\n1,2\n3,oops\n"), "line 3, column 'y': 'oops' is not a number");
    assert_eq!(error("1,2\n3,\n"), "line 2, column 1 (counted from 0): is empty where a number is needed");
    assert_eq!(error("1,2\n3\n"), "line 2 has 1 columns where the first row has 2");
    assert_eq!(error("x\n1\nnan\n"), "line 3, column 'x': 'nan' is not finite");
    assert!(error("1,5;2,5\n").contains("decimal comma") || error("1,5;2,5\n").contains("not a number"));
    assert!(error("a,1\nb,2\n").contains("input.header=yes"));
    assert!(error(",x\n0,1.5\n1,2.5\n").contains("row numbers of pandas"));
    assert!(matches!(csv("# nothing\n\n"), Err(Problem::Empty)));
    assert!(matches!(csv("x,y\n"), Err(Problem::Empty)));
    assert!(matches!(problem(b"\x7fELF\x02\x01\x01\0\0\0"), Problem::UnknownFormat));
    assert!(matches!(problem(&[0xff, 0xfe, b'1', 0]), Problem::Encoding { .. }));
    assert!(
        error("x\u{1b}[31m\n1\nb\u{7}\n").contains("'b\\u{7}'"),
        "no control character reaches the terminal"
    );
    let options = Options { columns: vec!["z".into()], ..Options::default() };
    let missing = from_memory(b"x,y\n1,2\n", &options).unwrap_err().to_string();
    assert_eq!(missing, "has no column 'z'; it has x, y");
}

#[test]
fn what_is_no_file_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = |path: &Path| read(path, &Options::default()).unwrap_err();
    assert!(error(&dir.path().join("none.npy")).to_string().ends_with("there is no such file"));
    assert!(matches!(error(dir.path()).problem, Problem::NotAFile));
    let empty = dir.path().join("empty.npy");
    std::fs::write(&empty, b"").unwrap();
    assert!(matches!(error(&empty).problem, Problem::Empty));
}

#[test]
fn an_archive_cut_anywhere_is_an_error() {
    for deflate in [false, true] {
        let packed = zip("x.npy", &npy("'<f8'", "(3, 1)", &f8(&[1.0, 2.0, 3.0])), deflate, None);
        for end in 0..packed.len() {
            assert!(read_file(&packed[..end], &Options::default()).is_err(), "cut at {end}");
        }
    }
}

fn any_points() -> impl Strategy<Value = Points> {
    (1usize..6, 1usize..40).prop_flat_map(|(dim, n)| {
        let bits = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |v| v.is_finite());
        prop::collection::vec(bits, n * dim).prop_map(move |coords| Points::new(dim, coords).unwrap())
    })
}

/// Equality of bits: −0 is not 0 here.
fn same(a: &Points, b: &Points) -> bool {
    a.dim() == b.dim()
        && a.as_slice().iter().map(|v| v.to_bits()).eq(b.as_slice().iter().map(|v| v.to_bits()))
}

proptest! {
    // Each case syncs files to the disk.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn files_give_back_the_same_bits(x in any_points()) {
        let dir = tempfile::tempdir().unwrap();
        let (binary, text) = (dir.path().join("x.npy"), dir.path().join("x.csv"));
        write_npy(&binary, &x).unwrap();
        write_csv(&text, &column_names(x.dim()), &x).unwrap();
        prop_assert!(same(&read(&binary, &Options::default()).unwrap().points, &x));
        prop_assert!(same(&read(&text, &Options::default()).unwrap().points, &x));
        let mut bytes = Vec::new();
        npy::encode(&mut bytes, &x).unwrap();
        prop_assert_eq!((bytes.len() - 8 * x.as_slice().len()) % 64, 0, "data begin at a multiple of 64");
        for deflate in [false, true] {
            let packed = zip("x.npy", &bytes, deflate, None);
            prop_assert!(same(&read_file(&packed, &Options::default()).unwrap().points, &x));
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error(x in any_points()) {
        let mut bytes = Vec::new();
        npy::encode(&mut bytes, &x).unwrap();
        for end in 0..bytes.len() {
            prop_assert!(from_memory(&bytes[..end], &Options::default()).is_err(), "cut at {}", end);
        }
    }

    #[test]
    fn changed_bytes_are_read_or_refused_but_never_a_panic(
        x in any_points(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        archive in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        npy::encode(&mut bytes, &x).unwrap();
        if archive {
            bytes = zip("x.npy", &bytes, true, None);
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len().min(160));
            bytes[at] = byte;
        }
        if let Ok(table) = read_file(&bytes, &Options::default()) {
            prop_assert!(table.points.check_finite("points").is_ok());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        start in prop::sample::select(vec![&b""[..], b"\x93NUMPY\x01\0", b"PK\x03\x04", b"\x1f\x8b\x08", b"\0\0\x08\x02", b"1,2\n"]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = read_file(&[start, &rest].concat(), &Options::default());
    }
}
