//! The lock: which wheels make our libtorch, with their hashes, and the tags that select exactly these files.

use anyhow::{Context, Result, bail, ensure};

/// The requirements file that pip reads, as it was when xtask was compiled.
pub(crate) const LOCK: &str = include_str!("../../libtorch.lock");

/// The libtorch that torch-sys 0.24 was written for.
pub(crate) const VERSION: &str = "2.11.0";

/// Bumped when the layout of the extracted folder changes, so that an older one in the cache is not taken for it.
const LAYOUT: &str = "layout 1";

/// Without these pip would pick the wheel for the Python that happens to run it, whose hash is another.
pub(crate) const TAGS: [&str; 14] = [
    "--python-version",
    "3.12",
    "--implementation",
    "cp",
    "--abi",
    "cp312",
    "--platform",
    "manylinux_2_28_x86_64",
    "--platform",
    "manylinux_2_25_x86_64",
    "--platform",
    "manylinux_2_17_x86_64",
    "--platform",
    "manylinux2014_x86_64",
];

/// One pinned package.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sha256: String,
}

impl Pin {
    /// How the file name of the package's wheel starts.
    pub(crate) fn wheel_prefix(&self) -> String {
        format!("{}-{}-", self.name.replace('-', "_"), self.version)
    }
}

/// Reads a lock: one `name==version --hash=sha256:…` a line, comments and empty lines aside.
pub(crate) fn parse(text: &str) -> Result<Vec<Pin>> {
    let mut pins: Vec<Pin> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pin = parse_line(line).with_context(|| format!("libtorch.lock, line {}", number + 1))?;
        ensure!(
            pins.iter().all(|other| other.name != pin.name),
            "libtorch.lock, line {}: {} is pinned twice",
            number + 1,
            pin.name
        );
        pins.push(pin);
    }
    Ok(pins)
}

fn parse_line(line: &str) -> Result<Pin> {
    let (requirement, hash) = line
        .split_once(" --hash=sha256:")
        .with_context(|| format!("expected `name==version --hash=sha256:…`, found `{line}`"))?;
    let (name, version) = requirement
        .trim()
        .split_once("==")
        .with_context(|| format!("`{requirement}` does not pin an exact version with `==`"))?;
    let plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    ensure!(plain(name) && plain(version), "`{requirement}` is not a plain name and version");
    let hash = hash.trim();
    if hash.len() != 64 || !hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
        bail!("the hash of {name} must be one SHA-256 of 64 lower-case hexadecimal digits");
    }
    Ok(Pin { name: name.into(), version: version.into(), sha256: hash.into() })
}

/// The name the extracted libtorch has in the cache: it changes with the pins, the tags and the layout.
pub(crate) fn folder_name(lock: &str) -> Result<String> {
    let pins = parse(lock)?;
    let pins = pins.iter().map(|pin| format!("{} {} {}", pin.name, pin.version, pin.sha256));
    let identity: Vec<String> =
        pins.chain(TAGS.iter().map(ToString::to_string)).chain([LAYOUT.to_string()]).collect();
    Ok(format!("libtorch-{VERSION}-{:016x}", fnv1a(identity.join("\n").as_bytes())))
}

/// FNV-1a, 64 bits. It tells one lock from another; what vouches for the bytes is the SHA-256 that pip checks.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn the_committed_lock_pins_the_version_that_torch_sys_expects() {
        let pins = parse(LOCK).unwrap();
        let names: Vec<&str> = pins.iter().map(|pin| pin.name.as_str()).collect();
        assert_eq!(names, ["torch", "nvidia-cuda-runtime", "nvidia-cuda-cupti"]);
        assert_eq!(pins[0].version, VERSION);
        assert_eq!(pins[1].wheel_prefix(), "nvidia_cuda_runtime-13.0.96-");
    }

    #[test]
    fn a_line_that_pip_would_read_more_loosely_is_refused() {
        for line in [
            "torch".to_string(),
            "torch==2.11.0".to_string(),
            format!("torch>=2.11.0 --hash=sha256:{HASH}"),
            format!("torch==2.11.* --hash=sha256:{HASH}"),
            format!("torch==2.11.0 --hash=sha256:{}", &HASH[1..]),
            format!("torch==2.11.0 --hash=sha256:{}", HASH.to_uppercase()),
            format!("torch==2.11.0 --hash=sha256:{HASH} --hash=sha256:{HASH}"),
            format!("--index-url=elsewhere==1 --hash=sha256:{HASH} x"),
            format!("a==1 --hash=sha256:{HASH}\na==2 --hash=sha256:{HASH}"),
        ] {
            assert!(parse(&line).is_err(), "accepted: {line}");
        }
    }

    #[test]
    fn the_error_names_the_line() {
        let error = format!("{:#}", parse("# fine\n\ntorch\n").unwrap_err());
        assert!(error.starts_with("libtorch.lock, line 3: "), "{error}");
    }

    #[test]
    fn the_folder_follows_the_pins_and_not_the_comments() {
        let lock = format!("a==1 --hash=sha256:{HASH}\n");
        let same = folder_name(&format!("# a comment\n{lock}")).unwrap();
        assert_eq!(folder_name(&lock).unwrap(), same);
        assert_ne!(folder_name(&lock.replace("a==1", "a==2")).unwrap(), same);
        assert_ne!(folder_name(&lock.replace("0123", "1123")).unwrap(), same);
    }

    #[test]
    fn fnv1a_is_the_published_function() {
        // The test vectors of the reference implementation (Fowler, Noll, Vo).
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
