//! What is known of the arcs that a solver does not have, so that not every round need price all of them.

use super::network_simplex::Arc;
use super::pricing::{Priced, Pricer};
use super::table::Side;

/// Candidates an atom gets at first.
pub(crate) const CANDIDATES: usize = 12;

/// Violated arcs an atom adds in a round of pricing.
const ADDED: usize = 3;

/// Entries of a row that a round of pricing looks at.
const LOOKED_AT: usize = 16;

/// What is known of the arcs that are not listed: bounds under which no c_ij − g_j of row i can be.
pub(crate) struct Unlisted {
    pub(crate) bounds: Vec<f64>,
    /// The g that the bounds are for.
    pub(crate) g: Vec<f64>,
}

impl Unlisted {
    /// The bounds for another g.
    fn follow(&mut self, g: &[f64]) {
        let rise = g.iter().zip(&self.g).map(|(new, old)| new - old).fold(f64::NEG_INFINITY, f64::max);
        self.bounds.iter_mut().for_each(|bound| *bound -= rise);
        self.g.copy_from_slice(g);
    }

    /// The next best arcs of some rows, at most as many again as are listed at first, whether f and g violate them or not.
    pub(crate) fn widen(
        &mut self,
        pricer: &Pricer<'_>,
        rows: &[u32],
        f: &[f64],
        g: &[f64],
        is_listed: impl Fn(u32, u32) -> bool,
    ) -> Vec<Arc> {
        self.follow(g);
        let priced = pricer.price(Side::Source, rows, f, g, 8 * CANDIDATES, f64::INFINITY);
        let mut arcs = Vec::new();
        for (list, &row) in each(&priced).zip(rows) {
            let mut new = list.iter().filter(|(arc, _)| !is_listed(arc.from, arc.to));
            arcs.extend(new.by_ref().take(CANDIDATES).map(|(arc, _)| *arc));
            let complete = list.len() == g.len();
            let last = if complete { f64::INFINITY } else { list[list.len() - 1].1 };
            self.bounds[row as usize] = new.next().map_or(last, |(_, reduced)| *reduced) + f[row as usize];
        }
        arcs
    }

    /// Arcs that f and g violate, and a bound on all violations, where the listed arcs are within the tolerance. Only rows
    /// that their bounds do not clear are priced anew.
    pub(crate) fn price(
        &mut self,
        pricer: &Pricer<'_>,
        f: &[f64],
        g: &[f64],
        tolerance: f64,
        is_listed: impl Fn(u32, u32) -> bool,
    ) -> (Vec<(Arc, f64)>, f64) {
        self.follow(g);
        let doubtful = |i: &u32| self.bounds[*i as usize] - f[*i as usize] < -tolerance;
        let rows: Vec<u32> = (0..f.len() as u32).filter(doubtful).collect();
        let priced = pricer.price(Side::Source, &rows, f, g, LOOKED_AT, f64::INFINITY);
        let mut arcs = Vec::new();
        let mut violation = 0.0f64;
        for (list, &row) in each(&priced).zip(&rows) {
            let mut bound = list[list.len() - 1].1;
            let mut added = 0;
            for &(arc, reduced) in list {
                violation = violation.max(-reduced);
                if is_listed(arc.from, arc.to) {
                    continue;
                }
                if reduced < -tolerance && added < ADDED {
                    arcs.push((arc, reduced));
                    added += 1;
                } else {
                    bound = bound.min(reduced);
                    break;
                }
            }
            self.bounds[row as usize] = bound + f[row as usize];
        }
        let cleared = self.bounds.iter().zip(f).map(|(bound, f)| f - bound).fold(0.0, f64::max);
        (arcs, violation.max(cleared))
    }
}

/// The lists of the rows.
pub(crate) fn each(priced: &Priced) -> impl Iterator<Item = &[(Arc, f64)]> {
    let mut rest = &priced.arcs[..];
    priced.counts.iter().map(move |&count| {
        let (list, after) = rest.split_at(count as usize);
        rest = after;
        list
    })
}
