//! Time and memory of one call, as `benches/peers/common.py` takes them.

use crate::Arguments;
use serde_json::{Map, Value, json};
use std::fmt::Display;
use std::fs;
use std::time::Instant;

/// Calls `work` once to warm up and then until the budget or the repetitions are spent, and returns the row with the last
/// result. A first call beyond the budget is the only one.
pub(crate) fn bench<T, E: Display>(
    arguments: &Arguments,
    mut work: impl FnMut() -> Result<T, E>,
    describe: impl FnOnce(T) -> Result<Vec<(&'static str, Value)>, E>,
) -> Result<Value, String> {
    let mut timed = || {
        let start = Instant::now();
        work().map(|result| (result, start.elapsed().as_secs_f64())).map_err(|e| e.to_string())
    };
    let baseline = memory("VmRSS:");
    // Resets the peak; where the kernel has no such file the peak is that of the whole process.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let (mut result, first) = timed()?;
    let mut times = Vec::new();
    if first > arguments.budget {
        times.push(first);
    } else {
        while times.is_empty()
            || (times.iter().sum::<f64>() < arguments.budget && times.len() < arguments.reps)
        {
            // The old result goes first: two at once would count twice.
            drop(result);
            let (next, seconds) = timed()?;
            result = next;
            times.push(seconds);
        }
    }
    let mb = (memory("VmHWM:") - baseline).max(0.0);
    times.sort_by(f64::total_cmp);
    let mut row = Map::new();
    row.insert("seconds".into(), json!(median(&times)));
    row.insert("seconds_min".into(), json!(times[0]));
    row.insert("repetitions".into(), json!(times.len()));
    row.insert("mb".into(), json!((mb * 100.0).round() / 100.0));
    for (key, value) in describe(result).map_err(|e| e.to_string())? {
        row.insert(key.into(), value);
    }
    Ok(Value::Object(row))
}

fn median(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    0.5 * (sorted[(n - 1) / 2] + sorted[n / 2])
}

/// A line of /proc/self/status in MB (2²⁰ bytes).
fn memory(key: &str) -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kilobytes.map_or(f64::NAN, |kb| kb / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_odd_and_even_counts() {
        assert_eq!(median(&[1.0]), 1.0);
        assert_eq!(median(&[1.0, 3.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
    }

    #[test]
    fn what_a_call_allocates_is_seen_and_it_is_repeated() {
        let arguments = Arguments { budget: 10.0, reps: 3, ..Arguments::default() };
        let mut calls = 0;
        let work = || {
            calls += 1;
            Ok::<_, String>(vec![1u8; 64 << 20])
        };
        let row = bench(&arguments, work, |bytes| Ok(vec![("value", json!(bytes.len()))])).unwrap();
        assert_eq!((calls, row["repetitions"].as_u64(), row["value"].as_u64()), (4, Some(3), Some(64 << 20)));
        assert!(row["mb"].as_f64().is_none_or(|mb| (60.0..80.0).contains(&mb)), "{row}");
    }
}
