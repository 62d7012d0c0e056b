//! What made a report: versions and machine.

use serde::Serialize;

/// Versions of this program and what it stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Versions {
    /// This program.
    pub experiments: &'static str,
    /// The commit it was built from, where that was known.
    pub commit: Option<&'static str>,
    /// libtorch.
    pub libtorch: &'static str,
    /// The compiler.
    pub rustc: &'static str,
}

impl Default for Versions {
    fn default() -> Self {
        Versions {
            experiments: env!("CARGO_PKG_VERSION"),
            commit: option_env!("EXPERIMENTS_COMMIT").filter(|c| !c.is_empty()),
            libtorch: "2.11.0",
            rustc: env!("EXPERIMENTS_RUSTC"),
        }
    }
}

/// The machine a run was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Machine {
    /// The processor, as the system names it.
    pub processor: String,
    /// Processors that may be used.
    pub processors: usize,
    /// The operating system and the architecture.
    pub system: String,
}

impl Default for Machine {
    fn default() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, m)| m));
        Machine {
            processor: model.unwrap_or("unknown").trim().to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}
