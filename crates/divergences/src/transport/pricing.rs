//! Finding arcs worth adding: the smallest reduced costs c_ij − f_i − g_j of every row, over all pairs.

use super::network_simplex::Arc;
use super::table::{Side, Table};
use measures::parallel;

/// Rows that one task prices.
const ROWS: usize = 16;
/// Columns looked at together; their minima say whether to look closer.
const COLUMNS: usize = 64;
/// Costs computed at a time.
const BUFFER: usize = 1024;

/// What pricing a whole side found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Priced {
    /// The arcs of each row with the smallest reduced costs, row after row, ascending, each with its reduced cost.
    pub(crate) arcs: Vec<(Arc, f64)>,
    /// minⱼ (c_ij − g_j) for every row: the c-transform of the other side's potential.
    pub(crate) transform: Vec<f64>,
}

/// For every row of `side`, the at most `keep` entries with c − own − other < `below`, and the c-transform of `other`.
pub(crate) fn price(
    table: &Table<'_>,
    side: Side,
    own: &[f64],
    other: &[f64],
    keep: usize,
    below: f64,
) -> Priced {
    let len = table.row_len(side);
    let parts = parallel::map_blocks(table.rows(side), ROWS, |rows| {
        let mut part = Priced::default();
        let mut buffer = [0.0; BUFFER];
        let mut best: Vec<(f64, usize)> = Vec::with_capacity(keep + 1);
        for row in rows {
            best.clear();
            let mut limit = below + own[row];
            let mut least = f64::INFINITY;
            for start in (0..len).step_by(BUFFER) {
                let costs = &mut buffer[..BUFFER.min(len - start)];
                table.fill(side, row, start, costs);
                for (k, (values, potentials)) in
                    costs.chunks_mut(COLUMNS).zip(other[start..].chunks(COLUMNS)).enumerate()
                {
                    let smallest = subtract(values, potentials);
                    least = least.min(smallest);
                    if smallest >= limit {
                        continue;
                    }
                    for (l, &value) in values.iter().enumerate() {
                        if value < limit {
                            let at = best.partition_point(|b| b.0 <= value);
                            best.insert(at, (value, start + k * COLUMNS + l));
                            best.truncate(keep);
                            if best.len() == keep {
                                limit = best[keep - 1].0;
                            }
                        }
                    }
                }
            }
            part.transform.push(least);
            for &(value, column) in &best {
                let (from, to) = match side {
                    Side::Source => (row as u32, column as u32),
                    Side::Target => (column as u32, row as u32),
                };
                // Not value + other[column], which has lost digits.
                let cost = table.entry(from as usize, to as usize);
                part.arcs.push((Arc { from, to, cost }, value - own[row]));
            }
        }
        part
    });
    let mut all = Priced::default();
    for part in parts {
        all.arcs.extend(part.arcs);
        all.transform.extend(part.transform);
    }
    all
}

/// values −= potentials; returns the smallest.
fn subtract(values: &mut [f64], potentials: &[f64]) -> f64 {
    let mut least = [f64::INFINITY; 8];
    let (whole, rest) = values.as_chunks_mut::<8>();
    let (whole_g, rest_g) = potentials[..whole.len() * 8 + rest.len()].as_chunks::<8>();
    for (v, g) in whole.iter_mut().zip(whole_g) {
        for k in 0..8 {
            v[k] -= g[k];
            least[k] = if v[k] < least[k] { v[k] } else { least[k] };
        }
    }
    let mut smallest = least.iter().copied().fold(f64::INFINITY, f64::min);
    for (v, g) in rest.iter_mut().zip(rest_g) {
        *v -= g;
        smallest = smallest.min(*v);
    }
    smallest
}
