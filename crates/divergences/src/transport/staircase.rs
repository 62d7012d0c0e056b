//! The monotone coupling of two sorted lists of atoms: the north-west corner rule and its potentials.

use super::cost::{NormPower, raise};
use crate::radix::{RankScratch, Scratch, ranked, sort, sorted};
use measures::Empirical;

/// Atoms on the line in ascending order.
pub(crate) struct Ranked {
    values: Vec<f64>,
    /// Where each atom was before it was sorted; empty when only values are wanted.
    order: Vec<usize>,
    /// The weights in this order, or none when all are equal.
    weights: Option<Vec<f64>>,
}

impl Ranked {
    /// The atoms of a measure on the line.
    pub(crate) fn of(mu: &Empirical) -> Self {
        Ranked::new(mu.points().as_slice(), (!mu.is_uniform()).then(|| mu.weights()))
    }

    /// As [`Ranked::of`] without the order, which costs less to sort, when neither side has weights.
    pub(crate) fn values_of(mu: &Empirical, other_is_uniform: bool) -> Self {
        if mu.is_uniform() && other_is_uniform {
            Ranked { values: sorted(mu.points().as_slice()), order: Vec::new(), weights: None }
        } else {
            Ranked::of(mu)
        }
    }

    /// Atoms at `values`, of these weights or of equal ones.
    pub(crate) fn new(values: &[f64], weights: Option<&[f64]>) -> Self {
        Ranked::with(values, weights, &mut RankScratch::default())
    }

    /// As [`Ranked::new`], sorted on what other lists were sorted on.
    pub(crate) fn with(values: &[f64], weights: Option<&[f64]>, scratch: &mut RankScratch) -> Self {
        let (values, order) = ranked(values, scratch);
        Ranked { values, weights: weights.map(|w| order.iter().map(|&i| w[i]).collect()), order }
    }

    /// Atoms of equal weight at `values`, whose order is not asked for.
    pub(crate) fn uniform_values(values: Vec<f64>, scratch: &mut Scratch<f64>) -> Self {
        Ranked { values: sort(values, scratch), order: Vec::new(), weights: None }
    }

    /// Where each atom was before it was sorted; empty when only values are wanted.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// The atoms, ascending.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// Their weights, or none when all are equal.
    pub(crate) fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    /// ∫ |F⁻¹ − G⁻¹|^p du, without a root.
    pub(crate) fn mean_power(&self, other: &Ranked, p: f64) -> f64 {
        if p == 1.0 {
            self.mean(other, |gap| gap)
        } else if p == 2.0 {
            self.mean(other, |gap| gap * gap)
        } else {
            self.mean(other, |gap| raise(gap, p))
        }
    }

    /// The largest distance between an atom of this list and one of the other.
    pub(crate) fn farthest(&self, other: &Ranked) -> f64 {
        let ends = |r: &Ranked| (r.values[0], r.values[r.values.len() - 1]);
        let ((a, b), (c, d)) = (ends(self), ends(other));
        (d - a).abs().max((b - c).abs())
    }

    /// (∫ |F⁻¹ − G⁻¹|^p du)^{1/p} for p ∈ [1, ∞].
    pub(crate) fn distance(&self, other: &Ranked, p: f64) -> f64 {
        if p == 1.0 {
            return self.mean(other, |gap| gap);
        }
        let mut unit = 0.0f64;
        self.visit(other, |i, j, mass| {
            if mass > 0.0 {
                unit = unit.max((self.values[i] - other.values[j]).abs());
            }
        });
        if p == f64::INFINITY || unit == 0.0 {
            return unit;
        }
        // In units of the largest gap nothing over- or underflows, whatever the power.
        unit * self.mean(other, |gap| raise(gap / unit, p)).powf(p.recip())
    }

    /// ∫ h(|F⁻¹ − G⁻¹|) du.
    pub(crate) fn mean(&self, other: &Ranked, h: impl Fn(f64) -> f64) -> f64 {
        let (x, y) = (&self.values, &other.values);
        if self.weights.is_some() || other.weights.is_some() || x.len() != y.len() {
            let mut sum = 0.0;
            self.visit(other, |i, j, mass| sum += mass * h((x[i] - y[j]).abs()));
            return sum;
        }
        let (xs, ys) = (x.chunks_exact(8), y.chunks_exact(8));
        let tail = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| h((x - y).abs())).sum::<f64>();
        let mut lanes = [0.0; 8];
        for (x, y) in xs.zip(ys) {
            for k in 0..8 {
                lanes[k] += h((x[k] - y[k]).abs());
            }
        }
        (lanes.iter().sum::<f64>() + tail) / x.len() as f64
    }

    /// The north-west corner rule: visits n + m − 1 cells (i, j, mass) of sorted positions, each next to the one
    /// before, with masses that sum to the marginals. Cells of mass zero appear where both sides run out together or an
    /// atom weighs nothing; they keep the staircase connected.
    pub(crate) fn visit(&self, other: &Ranked, visit: impl FnMut(usize, usize, f64)) {
        let (n, m) = (self.values.len(), other.values.len());
        match (&self.weights, &other.weights) {
            (None, None) => {
                // In whole units of 1/lcm(n, m) the rule is exact.
                let common = gcd(n as u64, m as u64);
                let (from, to) = (m as u64 / common, n as u64 / common);
                let unit = 1.0 / (n as f64 * from as f64);
                walk(n, m, |_| from, |_| to, |units| units as f64 * unit, visit);
            }
            (a, b) => {
                let mass = |w: &Option<Vec<f64>>, count: usize, i: usize| match w {
                    Some(w) => w[i],
                    None => 1.0 / count as f64,
                };
                walk(n, m, |i| mass(a, n, i), |j| mass(b, m, j), |mass| mass.max(0.0), visit);
            }
        }
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn walk<T: Copy + PartialOrd + std::ops::Sub<Output = T>>(
    n: usize,
    m: usize,
    a: impl Fn(usize) -> T,
    b: impl Fn(usize) -> T,
    mass: impl Fn(T) -> f64,
    mut visit: impl FnMut(usize, usize, f64),
) {
    let (mut i, mut j) = (0, 0);
    let (mut left_i, mut left_j) = (a(0), b(0));
    loop {
        let (last_i, last_j) = (i + 1 == n, j + 1 == m);
        if last_i && last_j {
            // Round-off may leave the two a few ulp apart; the smaller keeps the entry within both atoms.
            visit(i, j, mass(if left_i < left_j { left_i } else { left_j }));
            return;
        }
        if last_j || (!last_i && left_i < left_j) {
            visit(i, j, mass(left_i));
            left_j = left_j - left_i;
            i += 1;
            left_i = a(i);
        } else {
            visit(i, j, mass(left_j));
            left_i = left_i - left_j;
            j += 1;
            left_j = b(j);
        }
    }
}

/// The monotone coupling with what it proves, in the order the atoms were given in.
pub(crate) struct Climbed {
    /// ⟨c|π⟩.
    pub(crate) value: f64,
    /// The potential at the source atoms.
    pub(crate) f: Vec<f64>,
    /// The potential at the target atoms.
    pub(crate) g: Vec<f64>,
    /// f′ at the source atoms: the slope of the cost where the plan, or for weightless atoms the contact set, has them.
    pub(crate) slopes: Vec<f64>,
    /// max(f ⊕ g − c, 0).
    pub(crate) violation: f64,
    /// The cells (i, j, mass, c′(xᵢ − yⱼ)) of the staircase, those of mass zero included.
    pub(crate) cells: Vec<(usize, usize, f64, f64)>,
}

/// The monotone coupling in ascending order of the atoms.
pub(crate) struct Stairs {
    /// ⟨c|π⟩.
    pub(crate) value: f64,
    /// The potential at the source atoms.
    pub(crate) f: Vec<f64>,
    /// f′ at the source atoms, as in [`Climbed`].
    pub(crate) slopes: Vec<f64>,
    g: Vec<f64>,
    violation: f64,
}

/// What the source sees of the monotone coupling for s|x − y|^p, p ≥ 1: its potential and the derivative of that.
pub(crate) fn climb_source(x: &Ranked, y: &Ranked, cost: NormPower) -> Stairs {
    let one_by_one = x.weights.is_none() && y.weights.is_none() && x.values.len() == y.values.len();
    let s = cost.scale();
    match cost.power() {
        _ if !one_by_one => stairs(x, y, cost, |_| ()),
        2.0 => pairs(x, y, |gap| s * (gap * gap), |gap| 2.0 * s * gap),
        _ => pairs(x, y, |gap| cost.of_length(gap.abs()), |gap| cost.slope(gap.abs()).copysign(gap)),
    }
}

/// Atoms of equal weight coupled one by one: the potential grows by the difference between the costs at (r, r) and, where
/// there is no mass, at (r − 1, r).
fn pairs(x: &Ranked, y: &Ranked, price: impl Fn(f64) -> f64, slope: impl Fn(f64) -> f64) -> Stairs {
    let n = x.values.len();
    let (mut f, mut slopes) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let (mut last, mut potential) = (x.values[0], 0.0);
    f.push(potential);
    slopes.push(slope(last - y.values[0]));
    for (x, y) in x.values[1..].iter().zip(&y.values[1..]) {
        potential += price(x - y) - price(last - y);
        last = *x;
        f.push(potential);
        slopes.push(slope(x - y));
    }
    Stairs { value: x.mean(y, price), f, slopes, g: Vec::new(), violation: 0.0 }
}

/// The monotone coupling for s|x − y|^p, p ≥ 1, with the cells (i, j, mass, c′(xᵢ − yⱼ)) of its staircase.
fn stairs(x: &Ranked, y: &Ranked, cost: NormPower, mut keep: impl FnMut((usize, usize, f64, f64))) -> Stairs {
    let (n, m) = (x.values.len(), y.values.len());
    let c = |i: usize, j: usize| cost.of_length((x.values[i] - y.values[j]).abs());
    let (mut f, mut g, mut slopes) = (vec![0.0; n], vec![0.0; m], vec![0.0; n]);
    let (mut value, mut violation, mut row_mass) = (0.0, 0.0f64, 0.0);
    let mut before: [Option<(usize, usize)>; 2] = [None, None];
    x.visit(y, |i, j, mass| {
        let gap = x.values[i] - y.values[j];
        let price = c(i, j);
        // One of the two indices advanced by one; the other potential is known.
        let new_row = before[1].is_none_or(|(above, _)| above != i);
        match before[1] {
            None => g[j] = price,
            Some(_) if new_row => f[i] = price - g[j],
            Some(_) => g[j] = price - f[i],
        }
        // The array of costs is Monge, so f ⊕ g − c is largest next to the staircase: at its corners.
        if let [Some((i0, j0)), Some(_)] = before
            && i0 != i
            && j0 != j
        {
            violation = violation.max(f[i0] + g[j] - c(i0, j)).max(f[i] + g[j0] - c(i, j0));
        }
        before = [before[1], Some((i, j))];
        // A running mean of the slopes by mass; a first cell of mass zero counts until one with mass comes.
        let slope = cost.slope(gap.abs()).copysign(gap);
        row_mass = if new_row { mass } else { row_mass + mass };
        if new_row {
            slopes[i] = slope;
        } else if mass > 0.0 {
            slopes[i] += (slope - slopes[i]) * (mass / row_mass);
        }
        value += mass * price;
        keep((i, j, mass, slope));
    });
    Stairs { value, f, slopes, g, violation }
}

/// The monotone coupling for s|x − y|^p, p ≥ 1.
pub(crate) fn climb(x: &Ranked, y: &Ranked, cost: NormPower) -> Climbed {
    let mut cells = Vec::with_capacity(x.values.len() + y.values.len() - 1);
    let Stairs { value, f, slopes, g, violation } = stairs(x, y, cost, |cell| cells.push(cell));
    let back = |sorted: &[f64], order: &[usize]| {
        let mut out = vec![0.0; sorted.len()];
        sorted.iter().zip(order).for_each(|(v, &i)| out[i] = *v);
        out
    };
    cells.iter_mut().for_each(|e| (e.0, e.1) = (x.order[e.0], y.order[e.1]));
    Climbed {
        value,
        f: back(&f, &x.order),
        g: back(&g, &y.order),
        slopes: back(&slopes, &x.order),
        violation,
        cells,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_what_the_staircase_gives() {
        for (a, b) in [
            (vec![0.3, -1.0, 2.5, 0.3, 0.9], vec![1.0, 0.9, -3.0, 0.3, 4.0]),
            (vec![1.0; 4], vec![1.0, 2.0, -1.0, 1.0]),
            (vec![-2.0], vec![3.5]),
        ] {
            let (x, y) = (Ranked::new(&a, None), Ranked::new(&b, None));
            for p in [1.0, 1.5, 2.0, 3.0] {
                let cost = NormPower::new(2.0, p).unwrap().scaled(0.7).unwrap();
                let (whole, pairs) = (stairs(&x, &y, cost, |_| ()), climb_source(&x, &y, cost));
                let close = |a: &[f64], b: &[f64]| {
                    assert_eq!(a.len(), b.len());
                    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-13)
                };
                assert!((whole.value - pairs.value).abs() <= 1e-14 * whole.value);
                assert!(close(&whole.f, &pairs.f) && close(&whole.slopes, &pairs.slopes), "p = {p}");
            }
        }
    }
}
