//! What a run tells while it goes on: bars on a terminal, lines of JSON elsewhere, always on standard error.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How progress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Log {
    /// Bars on a terminal, lines of JSON elsewhere.
    #[default]
    Auto,
    /// Bars.
    Bar,
    /// One JSON object a line.
    Json,
    /// Nothing.
    None,
}

/// Lines of one stage are at least this far apart.
const PAUSE: Duration = Duration::from_millis(500);

/// The teller of a run.
#[derive(Debug, Clone)]
pub struct Progress {
    log: Log,
    bars: MultiProgress,
    started: Instant,
}

impl Progress {
    /// A teller of the given kind.
    pub fn new(log: Log) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let log = match log {
            Log::Auto if terminal => Log::Bar,
            Log::Auto => Log::Json,
            other => other,
        };
        let target =
            if log == Log::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress { log, bars: MultiProgress::with_draw_target(target), started: Instant::now() }
    }

    /// A stage of `total` steps; stages that live at the same time stand under one another.
    pub fn stage(&self, name: impl Into<String>, total: u64) -> Stage {
        let name = name.into();
        let bar = ProgressBar::new(total);
        if self.log == Log::Bar {
            let style = ProgressStyle::with_template("{prefix:>12} {wide_bar} {pos}/{len} {msg} {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ "));
            bar.set_prefix(name.clone());
        }
        Stage {
            progress: self.clone(),
            name,
            total,
            done: 0,
            pace: None,
            bar: self.bars.add(bar),
            told: None,
        }
    }

    /// A line that stays: on a terminal above the bars.
    pub fn say(&self, line: &str) {
        match self.log {
            Log::Bar | Log::Auto => drop(self.bars.println(line)),
            Log::Json => self.emit(&json!({ "event": "message", "text": line })),
            Log::None => {}
        }
    }

    fn emit(&self, event: &serde_json::Value) {
        let mut event = event.clone();
        event["seconds"] = json!((self.started.elapsed().as_secs_f64() * 1e3).round() / 1e3);
        // A closed standard error is no reason to lose a run.
        let _ = writeln!(std::io::stderr().lock(), "{event}");
    }
}

/// One stage of a run; it ends when it is dropped.
#[derive(Debug)]
pub struct Stage {
    progress: Progress,
    name: String,
    total: u64,
    done: u64,
    /// The steps at the first word of it, and when that was.
    pace: Option<(u64, Instant)>,
    bar: ProgressBar,
    told: Option<Instant>,
}

impl Stage {
    /// Tells that one step more is done.
    pub fn advance(&mut self) {
        self.at(self.done + 1, None);
    }

    /// Tells that `step` steps are done, with the loss if there is one.
    pub fn at(&mut self, step: u64, loss: Option<f64>) {
        self.done = step;
        // A stage that goes on where an earlier run stopped has not done those steps at its own speed.
        self.pace.get_or_insert_with(|| (step, Instant::now()));
        match self.progress.log {
            Log::Bar | Log::Auto => {
                if let Some(loss) = loss {
                    self.bar.set_message(format!("loss {}", crate::figure::number(loss, 3)));
                }
                self.bar.set_position(step);
            }
            Log::Json => {
                let due = self.told.is_none_or(|told| told.elapsed() >= PAUSE) || step >= self.total;
                if due {
                    self.told = Some(Instant::now());
                    let (stage, steps) = (&self.name, self.total);
                    let loss = loss.filter(|l| l.is_finite());
                    let left = self.left().map(|left| left.as_secs_f64().round());
                    self.progress.emit(&json!({
                        "event": "progress", "stage": stage, "step": step, "steps": steps, "loss": loss, "left": left
                    }));
                }
            }
            Log::None => {}
        }
    }
}

impl Stage {
    /// The time left, at the speed so far.
    fn left(&self) -> Option<Duration> {
        let (done, begun) = self.pace?;
        let more = self.done.checked_sub(done).filter(|more| *more > 0)?;
        Some(begun.elapsed().mul_f64(self.total.saturating_sub(self.done) as f64 / more as f64))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
