//! Sinkhorn's iteration for few atoms, by scalings of a stored kernel.
//!
//! ```text
//! αᵢ = 1 / Σⱼ E_ij bⱼ βⱼ,    βⱼ ← βⱼ (1 / (βⱼ Σᵢ aᵢ αᵢ E_ij))^ω,    E_ij = 2^{uᵢ + vⱼ − κ c_ij},  κ = log₂e/ε
//! ```
//!
//! Where the kernel stays in the nearest cache a sweep is two products with it: no exponential and no logarithm a pair, which
//! is what a sweep from potentials spends its time on. Temperatures fall to the one asked for, the scalings going into the
//! potentials u and v in between. As rows are exact then, the largest entry of a row is one at least and none exceeds the
//! reciprocal of the least weight, or a power of these once the temperature has fallen: all numbers keep their range.
//! Over-relaxed columns converge about ω times as fast. Sources: Cuturi (2013), arXiv:1306.0895; Schmitzer, *Stabilized
//! sparse scaling algorithms for entropy regularized transport problems* (2019), arXiv:1610.06519, for the absorption;
//! Lehmann, von Renesse, Sambale and Uschmajew (2022), arXiv:2012.12562, for ω.

use super::table::{Side, Table};
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, chunks_mut, dispatch};

/// The largest number of atoms a side.
const ATOMS: usize = 64;
/// The least weight of an atom, as a fraction of the mean: the scaling of a lighter one may be of any size.
const LEAST_SHARE: f64 = 1e-3;
/// The first temperature is at least this fraction of the largest cost, and falls by a factor.
const WARM: f64 = 0.1;
const COOLING: f64 = 4.0;
/// The marginal error at which the temperature falls, and the sweeps after which it does in any case.
const ROUGH: f64 = 3e-2;
const ROUGH_SWEEPS: usize = 20;
/// Sweeps at the last temperature after which other means are called for.
const SWEEPS: usize = 200;

/// Eight numbers in a cache line of their own: a load across two lines takes twice as long.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
struct Chunk([f64; WIDTH]);

/// Numbers continued by zeros to whole chunks.
fn aligned(values: &[f64]) -> Vec<Chunk> {
    let chunk = |values: &[f64]| {
        let mut chunk = Chunk([0.0; WIDTH]);
        chunk.0[..values.len()].copy_from_slice(values);
        chunk
    };
    values.chunks(WIDTH).map(chunk).collect()
}

/// The problem, its kernel and its scalings, all in chunks.
pub(super) struct Small {
    /// Costs and kernel, by rows and by columns.
    costs: Sides,
    kernel: Sides,
    a: Vec<Chunk>,
    b: Vec<Chunk>,
    /// Potentials in units of the temperature over log₂e.
    u: Vec<Chunk>,
    v: Vec<Chunk>,
    alpha: Vec<Chunk>,
    beta: Vec<Chunk>,
}

/// A matrix by rows, and by columns.
#[derive(Clone)]
struct Sides {
    rows: Vec<Chunk>,
    columns: Vec<Chunk>,
}

/// How a run ended.
pub(super) struct Ended {
    /// Σⱼ bⱼ |tⱼ − 1| of column sums t after exact rows.
    pub(super) error: f64,
    /// Σⱼ bⱼ tⱼ.
    pub(super) mass: f64,
    pub(super) sweeps: usize,
}

impl Small {
    /// The problem, if it has few atoms and none of hardly any weight.
    pub(super) fn new(table: &Table<'_>, a: &[f64], b: &[f64]) -> Option<Self> {
        let heavy = |w: &[f64]| w.iter().all(|share| share * w.len() as f64 >= LEAST_SHARE);
        if a.len().max(b.len()) > ATOMS || !heavy(a) || !heavy(b) {
            return None;
        }
        let list = |side: Side| {
            let (len, mut row) = (table.row_len(side), [0.0; ATOMS]);
            let width = len.div_ceil(WIDTH);
            let mut costs = vec![Chunk([0.0; WIDTH]); table.rows(side) * width];
            for (i, costs) in costs.chunks_exact_mut(width).enumerate() {
                table.fill(side, i, 0, &mut row[..len]);
                costs
                    .iter_mut()
                    .zip(row.chunks_exact(WIDTH))
                    .for_each(|(to, from)| to.0.copy_from_slice(from));
            }
            costs
        };
        let costs = Sides { rows: list(Side::Source), columns: list(Side::Target) };
        let (a, b) = (aligned(a), aligned(b));
        let all = |like: &[Chunk], value| vec![Chunk([value; WIDTH]); like.len()];
        Some(Small {
            kernel: costs.clone(),
            costs,
            u: all(&a, 0.0),
            v: all(&b, 0.0),
            alpha: all(&a, 1.0),
            beta: all(&b, 1.0),
            a,
            b,
        })
    }

    /// Runs to a marginal error of `tolerance` at temperature `epsilon`, or for as many sweeps there as are worth while and
    /// allowed; none where numbers leave their range. Costs are at most `largest`.
    pub(super) fn run(&mut self, largest: f64, epsilon: f64, tolerance: f64, limit: usize) -> Option<Ended> {
        let mut stages = 0;
        while epsilon * COOLING.powi(stages) < WARM * largest {
            stages += 1;
        }
        // Potentials are zero until then.
        let mut before = epsilon;
        for stage in (1..=stages).rev() {
            let epsilon = epsilon * COOLING.powi(stage);
            let _ = self.stage(before / epsilon, epsilon, ROUGH.max(tolerance), ROUGH_SWEEPS);
            before = epsilon;
        }
        let ended = self.stage(before / epsilon, epsilon, tolerance, limit.min(SWEEPS));
        let finite = |chunks: &[Chunk]| chunks.iter().all(|chunk| chunk.0.iter().all(|p| p.is_finite()));
        (ended.error.is_finite() && finite(&self.u) && finite(&self.v)).then_some(ended)
    }

    /// One temperature, `cooling` times below the last.
    fn stage(&mut self, cooling: f64, epsilon: f64, tolerance: f64, limit: usize) -> Ended {
        dispatch(Stage { small: self, cooling, kappa: std::f64::consts::LOG2_E / epsilon, tolerance, limit })
    }

    /// Writes the potentials of the atoms, in units of ε over log₂e.
    pub(super) fn potentials(&self, u: &mut [f64], v: &mut [f64]) {
        let write = |chunks: &[Chunk], out: &mut [f64]| {
            let pairs = out.chunks_mut(WIDTH).zip(chunks);
            pairs.for_each(|(to, from)| to.copy_from_slice(&from.0[..to.len()]));
        };
        write(&self.u, u);
        write(&self.v, v);
    }
}

/// All sweeps at one temperature.
struct Stage<'a> {
    small: &'a mut Small,
    /// What potentials in units of the last temperature are multiplied by.
    cooling: f64,
    kappa: f64,
    tolerance: f64,
    limit: usize,
}

impl LaneOp for Stage<'_> {
    type Output = Ended;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> Ended {
        let Small { costs, kernel, a, b, u, v, alpha, beta } = self.small;
        let cooling = F64s::splat(l, self.cooling);
        for p in u.iter_mut().chain(v.iter_mut()) {
            (F64s::load(l, &p.0) * cooling).store(&mut p.0);
        }
        exponentials(l, &costs.rows, u, v, self.kappa, &mut kernel.rows);
        exponentials(l, &costs.columns, v, u, self.kappa, &mut kernel.columns);
        let one = F64s::splat(l, 1.0);
        beta.iter_mut().for_each(|x| *x = Chunk([1.0; WIDTH]));
        let mut sums = [Chunk([0.0; WIDTH]); ATOMS / WIDTH];
        let sums = &mut sums[..beta.len()];
        let mut sweeps = 0;
        loop {
            product(l, &kernel.columns, b, beta, alpha);
            for x in alpha.iter_mut() {
                (one / F64s::load(l, &x.0)).store(&mut x.0);
            }
            product(l, &kernel.rows, a, alpha, sums);
            sweeps += 1;
            let (mut error, mut mass) = (F64s::splat(l, 0.0), F64s::splat(l, 0.0));
            for k in 0..beta.len() {
                let total = F64s::load(l, &beta[k].0) * F64s::load(l, &sums[k].0);
                let b = F64s::load(l, &b[k].0);
                mass = b.mul_add(total, mass);
                error = b.mul_add((total - one).abs(), error);
            }
            let ended = Ended { error: error.sum(), mass: mass.sum(), sweeps };
            // Not a number where a row or a column has nothing in reach.
            let goes_on = ended.error > self.tolerance && sweeps < self.limit;
            if !goes_on {
                absorb(l, alpha, u);
                absorb(l, beta, v);
                return ended;
            }
            for k in 0..beta.len() {
                // ω = 7/4
                let scaling = F64s::load(l, &beta[k].0);
                let ratio = one / (scaling * F64s::load(l, &sums[k].0));
                let root = ratio.sqrt();
                (scaling * ratio * root * root.sqrt()).store(&mut beta[k].0);
            }
        }
    }
}

/// 2^{pᵢ + qⱼ − κ c_ij} for every entry.
#[inline(always)]
fn exponentials<L: Lanes>(l: L, costs: &[Chunk], p: &[Chunk], q: &[Chunk], kappa: f64, out: &mut [Chunk]) {
    let kappa = F64s::splat(l, kappa);
    for i in 0..costs.len() / q.len() {
        let p = F64s::splat(l, p[i / WIDTH].0[i % WIDTH]);
        for j in 0..q.len() {
            let at = i * q.len() + j;
            let exponent = F64s::load(l, &costs[at].0).neg_mul_add(kappa, F64s::load(l, &q[j].0) + p);
            exponent.exp2_nonpositive().store(&mut out[at].0);
        }
    }
}

/// Σᵢ wᵢ sᵢ (row i of the matrix).
#[inline(always)]
fn product<L: Lanes>(l: L, matrix: &[Chunk], w: &[Chunk], s: &[Chunk], out: &mut [Chunk]) {
    let mut factors = [0.0; ATOMS];
    for (k, factors) in chunks_mut(&mut factors).0.iter_mut().enumerate().take(w.len()) {
        (F64s::load(l, &w[k].0) * F64s::load(l, &s[k].0)).store(factors);
    }
    let width = out.len();
    let rows = matrix.len() / width;
    // Four sums at a time: one after the other would wait for each addition.
    for j in (0..width).step_by(2) {
        let next = if j + 1 < width { j + 1 } else { j };
        let mut sums = [F64s::splat(l, 0.0); 4];
        for i in 0..rows / 2 {
            let (first, second) = (2 * i * width, (2 * i + 1) * width);
            let factor = F64s::splat(l, factors[2 * i]);
            sums[0] = F64s::load(l, &matrix[first + j].0).mul_add(factor, sums[0]);
            sums[1] = F64s::load(l, &matrix[first + next].0).mul_add(factor, sums[1]);
            let factor = F64s::splat(l, factors[2 * i + 1]);
            sums[2] = F64s::load(l, &matrix[second + j].0).mul_add(factor, sums[2]);
            sums[3] = F64s::load(l, &matrix[second + next].0).mul_add(factor, sums[3]);
        }
        if rows % 2 == 1 {
            let last = (rows - 1) * width;
            let factor = F64s::splat(l, factors[rows - 1]);
            sums[0] = F64s::load(l, &matrix[last + j].0).mul_add(factor, sums[0]);
            sums[1] = F64s::load(l, &matrix[last + next].0).mul_add(factor, sums[1]);
        }
        (sums[0] + sums[2]).store(&mut out[j].0);
        (sums[1] + sums[3]).store(&mut out[next].0);
    }
}

/// Adds the logarithms of the scalings to the potentials.
#[inline(always)]
fn absorb<L: Lanes>(l: L, scaling: &[Chunk], potential: &mut [Chunk]) {
    for (scaling, potential) in scaling.iter().zip(potential) {
        let log = F64s::load(l, &scaling.0).ln();
        let log2e = F64s::splat(l, std::f64::consts::LOG2_E);
        log.mul_add(log2e, F64s::load(l, &potential.0)).store(&mut potential.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::test_support::cloud;
    use crate::transport::{NormPower, Sinkhorn};
    use measures::Empirical;
    use measures::lanes::{Isa, force};

    fn solved(
        mu: &Empirical,
        nu: &Empirical,
        cost: NormPower,
        epsilon: f64,
        tolerance: f64,
    ) -> Option<(Small, Ended)> {
        let table = Table::new(&cost, mu.points(), nu.points());
        let mut small = Small::new(&table, mu.weights(), nu.weights())?;
        let ended = small.run(table.largest().unwrap(), epsilon, tolerance, usize::MAX)?;
        Some((small, ended))
    }

    /// The error is that of the plan which the potentials give, and the potentials are those of the general iteration.
    #[test]
    fn potentials_have_the_marginals_that_are_stated() {
        for (n, m, d, weighted) in [(1, 1, 2, false), (1, 9, 1, true), (16, 16, 2, false), (33, 64, 3, true)]
        {
            let (mu, nu) = (cloud(n, d, 1, weighted), cloud(m, d, 2, weighted));
            for (cost, epsilon) in [(NormPower::euclidean(), 0.1), (NormPower::squared_euclidean(), 0.3)] {
                let (small, ended) = solved(&mu, &nu, cost, epsilon, 1e-9).unwrap();
                assert!(ended.sweeps <= SWEEPS);
                let kappa = std::f64::consts::LOG2_E / epsilon;
                let (mut u, mut v) = (vec![0.0; n], vec![0.0; m]);
                small.potentials(&mut u, &mut v);
                let entry = |i: usize, j: usize| {
                    let cost = crate::transport::Cost::cost(&cost, mu.points().row(i), nu.points().row(j));
                    (u[i] + v[j] - kappa * cost).exp2()
                };
                for i in 0..n {
                    let row: f64 = (0..m).map(|j| entry(i, j) * nu.weights()[j]).sum();
                    assert!((row - 1.0).abs() < 1e-10, "row {i}: {row}");
                }
                let columns = (0..m).map(|j| (0..n).map(|i| entry(i, j) * mu.weights()[i]).sum::<f64>());
                let error: f64 = columns.zip(nu.weights()).map(|(t, b)| b * (t - 1.0).abs()).sum();
                assert!((error - ended.error).abs() < 1e-10, "{error} for {}", ended.error);
                let again = Sinkhorn::new(epsilon).unwrap().tolerance(1e-9).solve(&mu, &nu, &cost).unwrap();
                assert!(again.marginal_error <= 1e-9);
            }
        }
    }

    #[test]
    fn many_atoms_and_weights_of_any_size_are_left_to_others() {
        let cost = NormPower::euclidean();
        let (few, many) = (cloud(8, 2, 1, false), cloud(65, 2, 2, false));
        assert!(solved(&few, &many, cost, 0.1, 1e-3).is_none());
        let light = vec![1e-6, 0.3 - 1e-6, 0.1, 0.1, 0.1, 0.1, 0.2, 0.1];
        let light = Empirical::weighted(few.points().clone(), light).unwrap();
        assert!(solved(&few, &light, cost, 0.1, 1e-3).is_none());
        assert!(solved(&few, &few, cost, 0.1, 1e-3).is_some());
    }

    #[test]
    fn the_same_bits_on_every_instruction_set() {
        let (mu, nu) = (cloud(13, 2, 1, true), cloud(20, 2, 2, true));
        let run = || {
            let (small, ended) = solved(&mu, &nu, NormPower::euclidean(), 0.05, 1e-3).unwrap();
            (small.u, small.v, ended.error)
        };
        let native = run();
        for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
            if force(Some(isa)).is_ok() {
                assert_eq!(native, run(), "{isa:?}");
            }
        }
        force(None).unwrap();
    }
}
