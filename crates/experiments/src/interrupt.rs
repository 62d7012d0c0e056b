//! Ctrl-C and termination: the first asks the run to stop where it can be resumed, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Installs the handler. Without one (in tests, or where the system refuses) a signal ends the process at once.
pub(crate) fn install() {
    let handler = || {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("stopping at the next safe point; once more to stop at once");
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        eprintln!("warning: Ctrl-C will stop without a last checkpoint: {error}");
    }
}

/// The flag that is set when the run is asked to stop.
pub fn stop_flag() -> &'static AtomicBool {
    &STOP
}
