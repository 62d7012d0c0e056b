//! W₁ on the line as the area ∫|F − G| between the distribution functions, without sorting.
//!
//! The line is cut into buckets. Where |F − G| at the left end of a bucket is more than the mass in it, F − G keeps its
//! sign throughout, and the area there follows from sums: width · |F − G| plus the distances of the atoms to the right end.
//! Only atoms of the other buckets, those where the distribution functions may cross, are sorted.

use measures::{Empirical, parallel};

/// Buckets between the extremes of a subsample, at most, and atoms to each on average; one bucket more on either side takes
/// what lies beyond.
const MOST_BUCKETS: usize = 1 << 14;
const FEWEST_BUCKETS: usize = 1 << 9;
const ATOMS_A_BUCKET: usize = 64;

/// Atoms of each measure that say where to cut.
const SUBSAMPLE: usize = 1024;

/// Blocks of a measure, each with sums of its own: at most so many, of at least so many atoms.
const BLOCKS: usize = 8;
const BLOCK: usize = 1 << 17;

/// Fewer atoms than these are sorted sooner.
const FEWEST: usize = 1 << 15;

/// Of two measures of mass one, the mass that it pays to sort.
const DOUBTFUL: f64 = 0.25;

/// x ↦ 1 + (x − low)·scale, cut to what there are buckets for.
#[derive(Clone, Copy)]
struct Cuts {
    low: f64,
    scale: f64,
    buckets: usize,
}

impl Cuts {
    fn new(mu: &[f64], nu: &[f64]) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for values in [mu, nu] {
            for &x in values.iter().step_by(values.len() / SUBSAMPLE + 1) {
                (low, high) = (low.min(x), high.max(x));
            }
        }
        let buckets = ((mu.len() + nu.len()) / ATOMS_A_BUCKET).next_power_of_two();
        let buckets = buckets.clamp(FEWEST_BUCKETS, MOST_BUCKETS);
        let scale = buckets as f64 / (high - low);
        let is_sound = scale > 0.0 && scale.is_finite() && scale.recip().is_normal();
        is_sound.then_some(Cuts { low, scale, buckets })
    }

    /// With the two outer ones.
    fn len(self) -> usize {
        self.buckets + 2
    }

    /// The bucket, the first and the last being the outer ones, and where in it, as a fraction from its left end.
    #[inline]
    fn place(self, x: f64) -> (usize, f64) {
        let place = (x - self.low) * self.scale + 1.0;
        let place = if place > 0.0 { place } else { 0.0 };
        let last = (self.buckets + 1) as f64;
        let place = if place < last { place } else { last };
        let bucket = place as u32;
        (bucket as usize, place - f64::from(bucket))
    }

    /// The left end of a bucket.
    fn left(self, bucket: usize) -> f64 {
        self.low + (bucket as f64 - 1.0) / self.scale
    }
}

/// Σw and Σw·(fraction) of one measure in every bucket.
type Sums = Vec<[f64; 2]>;

fn sums(mu: &Empirical, cuts: Cuts) -> Sums {
    let values = mu.points().as_slice();
    let parts = parallel::map_blocks(values.len(), values.len().div_ceil(BLOCKS).max(BLOCK), |rows| {
        let mut sums = vec![[0.0; 2]; cuts.len()];
        let mut add = |x: f64, w: f64| {
            let (bucket, fraction) = cuts.place(x);
            let [mass, moment] = &mut sums[bucket];
            *mass += w;
            *moment += w * fraction;
        };
        // Equal weights are counted, which is exact.
        if mu.is_uniform() {
            values[rows].iter().for_each(|x| add(*x, 1.0));
        } else {
            values[rows.clone()].iter().zip(&mu.weights()[rows]).for_each(|(x, w)| add(*x, *w));
        }
        sums
    });
    let mut total = vec![[0.0; 2]; cuts.len()];
    for part in parts {
        total.iter_mut().flatten().zip(part.iter().flatten()).for_each(|(t, p)| *t += p);
    }
    if mu.is_uniform() {
        total.iter_mut().flatten().for_each(|t| *t /= values.len() as f64);
    }
    total
}

/// The atoms in flagged buckets, each with its weight times `sign`.
fn pick(mu: &Empirical, cuts: Cuts, flagged: &[bool], sign: f64) -> Vec<(f64, f64)> {
    let values = mu.points().as_slice();
    let parts = parallel::map_blocks(values.len(), values.len().div_ceil(BLOCKS).max(BLOCK), |rows| {
        let mut atoms = Vec::new();
        for i in rows {
            if flagged[cuts.place(values[i]).0] {
                atoms.push((values[i], sign * mu.weights()[i]));
            }
        }
        atoms
    });
    parts.concat()
}

/// ∫|F − G|; none where the atoms are too few or too unevenly spread for it to pay.
pub(super) fn between(mu: &Empirical, nu: &Empirical) -> Option<f64> {
    let (x, y) = (mu.points().as_slice(), nu.points().as_slice());
    if x.len() + y.len() < FEWEST {
        return None;
    }
    let cuts = Cuts::new(x, y)?;
    let parts = parallel::map_blocks(2, 1, |side| sums(if side.start == 0 { mu } else { nu }, cuts));
    let (of_mu, of_nu) = (&parts[0], &parts[1]);
    let width = cuts.scale.recip();
    let (mut area, mut difference, mut doubtful) = (0.0, 0.0f64, 0.0);
    let mut flagged = vec![false; cuts.len()];
    // F − G at the left end of every bucket.
    let mut before = Vec::with_capacity(cuts.len());
    for (k, ([up, up_moment], [down, down_moment])) in of_mu.iter().zip(of_nu).enumerate() {
        before.push(difference);
        let is_outer = k == 0 || k == cuts.buckets + 1;
        if is_outer || (difference < *down && -difference < *up) {
            flagged[k] = true;
            doubtful += up + down;
        } else {
            area += width * (difference + (up - up_moment) - (down - down_moment)).abs();
        }
        difference += up - down;
    }
    if doubtful > DOUBTFUL {
        return None;
    }
    let picked = parallel::map_blocks(2, 1, |side| match side.start {
        0 => pick(mu, cuts, &flagged, 1.0),
        _ => pick(nu, cuts, &flagged, -1.0),
    });
    let atoms = picked.concat();
    let order = crate::radix::order(&atoms.iter().map(|atom| atom.0).collect::<Vec<_>>());
    let atoms: Vec<_> = order.into_iter().map(|i| atoms[i]).collect();
    let mut rest = &atoms[..];
    for k in (0..flagged.len()).filter(|k| flagged[*k]) {
        let inside = rest.partition_point(|atom| cuts.place(atom.0).0 <= k);
        let (own, after) = rest.split_at(inside);
        rest = after;
        // The outer buckets end where the atoms do.
        let (mut last, mut step) = match own.first() {
            Some(atom) if k == 0 => (atom.0, before[k]),
            _ => (cuts.left(k), before[k]),
        };
        for (at, weight) in own {
            area += step.abs() * (at - last);
            last = *at;
            step += weight;
        }
        if k <= cuts.buckets && !(k == 0 && own.is_empty()) {
            area += step.abs() * (cuts.left(k + 1) - last);
        }
    }
    Some(area)
}

#[cfg(test)]
mod tests {
    use super::super::staircase::Ranked;
    use super::*;
    use measures::{Points, Seed};
    use rand::RngExt;

    fn draw(n: usize, seed: u64, law: impl Fn(f64) -> f64, weighted: bool) -> Empirical {
        let mut rng = Seed::new(seed).rng();
        let x = Points::from_line((0..n).map(|_| law(rng.random::<f64>())).collect());
        if !weighted {
            return Empirical::uniform(x).unwrap();
        }
        let w = (0..n).map(|_| (rng.random::<f64>() * 5.0).floor()).collect();
        Empirical::normalised(x, w).unwrap()
    }

    type Quantile = fn(f64) -> f64;

    #[test]
    fn it_is_the_integral_of_quantile_differences() {
        let laws: [(&str, Quantile); 6] = [
            ("uniform", |u| u),
            ("a little less", |u| 0.999 * u),
            ("heavy tails", |u| 1.0 / (u - 0.5)),
            ("far away", |u| 1e6 + u * u),
            ("ties", |u| (9.0 * u).floor()),
            ("wide and narrow", |u| if u < 0.3 { u } else { 1e4 * u }),
        ];
        let (mut by_area, mut by_sorting) = (0, 0);
        for (a, (name, of_mu)) in laws.iter().enumerate() {
            for (b, (other, of_nu)) in laws.iter().enumerate() {
                for (n, m, weighted) in
                    [(20_000, 20_000, false), (30_000, 9_000, false), (17_000, 20_000, true)]
                {
                    let (mu, nu) =
                        (draw(n, a as u64, of_mu, weighted), draw(m, 77 + b as u64, of_nu, weighted));
                    let expected = Ranked::of(&mu).distance(&Ranked::of(&nu), 1.0);
                    let Some(found) = between(&mu, &nu) else {
                        by_sorting += 1;
                        continue;
                    };
                    by_area += 1;
                    let scale = mu.points().as_slice().iter().chain(nu.points().as_slice());
                    let scale = scale.fold(0.0f64, |m, x| m.max(x.abs()));
                    let error = (found - expected).abs();
                    assert!(
                        error < 1e-12 * expected + 1e-15 * scale,
                        "{name} and {other}: {found}, {expected}"
                    );
                }
            }
        }
        assert!(by_area > 30 && by_sorting > 0, "{by_area} and {by_sorting}: the test is of both ways");
    }

    #[test]
    fn equal_measures_and_few_or_equal_atoms_are_left_to_sorting() {
        let mu = draw(40_000, 1, |u| u, false);
        assert_eq!(between(&mu, &mu), None, "F − G is zero everywhere, and may cross zero everywhere");
        assert_eq!(super::super::line::distance(&mu, &mu, 1.0).unwrap(), 0.0);
        assert_eq!(between(&draw(99, 1, |u| u, false), &draw(99, 2, |u| u, false)), None);
        let same = draw(40_000, 1, |_| 2.0, false);
        assert_eq!(between(&same, &same), None);
    }
}
