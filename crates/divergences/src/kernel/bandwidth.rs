//! The median heuristic: a length scale from the data.

use measures::{Error, Points, Result, check_dim, parallel};

/// Which pairs of the pooled points the median is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// All pairs: time quadratic in the number of points, memory constant.
    All,
    /// The pairs among at most this many of the pooled points, taken at equal steps (so the answer is reproducible, and
    /// depends on the order of the points).
    Among(usize),
}

/// The median of ‖z − z′‖ over pairs of different points of the pooled sample (x, y): the bandwidth that the median
/// heuristic gives [`Gaussian`](super::Gaussian). (Some authors take h² = median²/2 instead.)
///
/// The middle distance of an odd number of pairs, the lower of the two middle ones of an even number.
///
/// ```
/// use divergences::kernel::{Pairs, median_distance};
/// use divergences::measures::Points;
/// let x = Points::from_line(vec![0.0, 1.0]);
/// let y = Points::from_line(vec![5.0]);
/// assert_eq!(median_distance(&x, &y, Pairs::All)?, 4.0); // of 1, 4, 5
/// # Ok::<(), divergences::Error>(())
/// ```
///
/// # Errors
/// The dimensions differ, there are fewer than two points, a coordinate is not finite, or the median is zero (half of
/// the pairs coincide) or infinite.
pub fn median_distance(x: &Points, y: &Points, pairs: Pairs) -> Result<f64> {
    check_dim("second points", x.dim(), y.dim())?;
    x.check_finite("first points")?;
    y.check_finite("second points")?;
    let pooled = x.concat(y)?;
    let points = match pairs {
        Pairs::Among(at_most) if at_most < pooled.len() => {
            if at_most < 2 {
                return Err(Error::TooFew { what: "points of the median", at_least: 2, got: at_most });
            }
            let picks: Vec<usize> = (0..at_most).map(|i| i * pooled.len() / at_most).collect();
            pooled.select(&picks)
        }
        _ => pooled,
    };
    let n = points.len();
    if n < 2 {
        return Err(Error::TooFew { what: "points", at_least: 2, got: n });
    }
    let count = (n as u64) * (n as u64 - 1) / 2;
    let median = f64::from_bits(select(&points, (count - 1) / 2)).sqrt();
    if median > 0.0 && median.is_finite() {
        Ok(median)
    } else {
        Err(Error::Parameter {
            what: "median distance",
            value: median,
            must: "positive: half of the pairs coincide",
        })
    }
}

/// The bits of the squared distance of the given rank, 16 bits a pass: those of non-negative numbers are in their order.
fn select(points: &Points, mut rank: u64) -> u64 {
    let mut prefix = 0u64;
    for shift in [48, 32, 16, 0] {
        let counts = histogram(points, prefix, shift);
        for (digit, count) in counts.into_iter().enumerate() {
            if rank < count {
                prefix |= (digit as u64) << shift;
                break;
            }
            rank -= count;
        }
    }
    prefix
}

/// How many pairs have each value of 16 bits at `shift`, among those that agree with `prefix` above.
fn histogram(points: &Points, prefix: u64, shift: u32) -> Vec<u64> {
    let above = |bits: u64| bits.checked_shr(shift + 16).unwrap_or(0);
    // at most 32 tables, whatever the number of points
    let parts = parallel::map_blocks(points.len(), points.len().div_ceil(32).max(64), |rows| {
        let mut counts = vec![0u64; 1 << 16];
        for i in rows {
            let x = points.row(i);
            for y in points.rows().skip(i + 1) {
                let r2: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
                let bits = r2.to_bits();
                if above(bits) == above(prefix) {
                    counts[(bits >> shift) as usize & 0xffff] += 1;
                }
            }
        }
        counts
    });
    let mut total = vec![0; 1 << 16];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Sample, Seed, zoo};

    #[test]
    fn the_median_is_the_middle_of_the_sorted_distances() {
        for n in [2, 3, 10, 151] {
            let z = zoo::Gaussian::standard(2).sample(n, &mut Seed::new(n as u64).rng());
            let mut all: Vec<f64> = (0..n)
                .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
                .map(|(i, j)| z.row(i).iter().zip(z.row(j)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt())
                .collect();
            all.sort_by(f64::total_cmp);
            let (x, y) =
                (z.select(&(0..n / 2).collect::<Vec<_>>()), z.select(&(n / 2..n).collect::<Vec<_>>()));
            assert_eq!(median_distance(&x, &y, Pairs::All).unwrap(), all[(all.len() - 1) / 2]);
        }
    }

    #[test]
    fn a_subsample_is_near_and_bad_input_is_named() {
        let z = zoo::Gaussian::standard(3).sample(2000, &mut Seed::new(1).rng());
        let all = median_distance(&z, &z, Pairs::All).unwrap();
        let some = median_distance(&z, &z, Pairs::Among(500)).unwrap();
        assert!((all - some).abs() < 0.05 * all, "{all} and {some}");
        let same = Points::from_line(vec![1.0; 5]);
        assert!(median_distance(&same, &same, Pairs::All).unwrap_err().to_string().contains("coincide"));
        assert!(median_distance(&same, &z, Pairs::All).is_err());
        let one = Points::from_line(vec![1.0]);
        let none = Points::from_line(vec![]);
        assert!(matches!(median_distance(&one, &none, Pairs::All), Err(Error::TooFew { got: 1, .. })));
        assert!(median_distance(&z, &z, Pairs::Among(1)).is_err());
    }
}
