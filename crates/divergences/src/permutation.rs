//! Random relabellings of two pooled samples, and the p-values they give.

use measures::{Error, Result, Seed};
use rand::RngExt;

/// Which `first` of the pooled `total` atoms carry the first label, drawn uniformly by relabelling number `i`.
///
/// Every relabelling has its own counter-based stream, so that they may be drawn in any order.
pub(crate) fn relabel(first: usize, total: usize, seed: Seed, i: usize) -> Vec<bool> {
    let mut rng = seed.stream(i as u64);
    // Floyd's algorithm draws the smaller of the two groups: every subset of that size is equally likely.
    let drawn = first.min(total - first);
    let mut picked = vec![false; total];
    for last in total - drawn..total {
        let candidate = rng.random_range(0..=last);
        let at = if picked[candidate] { last } else { candidate };
        picked[at] = true;
    }
    if drawn < first {
        picked.iter_mut().for_each(|p| *p = !*p);
    }
    picked
}

/// (1 + #{b : drawn_b ≥ observed}) / (1 + B): exact, that is P(p ≤ α) ≤ α for every α, when the observed labels are
/// exchangeable with the drawn ones (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585).
pub(crate) fn p_value(observed: f64, drawn: &[f64]) -> f64 {
    (1 + drawn.iter().filter(|d| **d >= observed).count()) as f64 / (1 + drawn.len()) as f64
}

/// `Ok` when there is at least one relabelling.
pub(crate) fn check_count(permutations: usize) -> Result<()> {
    if permutations == 0 {
        return Err(Error::TooFew { what: "permutations", at_least: 1, got: 0 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subset_is_equally_likely() {
        let (draws, mut counts) = (60_000, std::collections::HashMap::new());
        for i in 0..draws {
            let labels = relabel(3, 5, Seed::new(4), i);
            assert_eq!(labels.iter().filter(|l| **l).count(), 3);
            *counts.entry(labels).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 10);
        let chi_squared: f64 = counts.values().map(|&c| (f64::from(c) - 6000.0).powi(2) / 6000.0).sum();
        // The upper 1e-6 quantile of χ² with nine degrees of freedom is 46.1.
        assert!(chi_squared < 46.1, "{chi_squared}");
    }

    #[test]
    fn p_values_count_ties_against_the_claim() {
        assert_eq!(p_value(1.0, &[0.0, 1.0, 2.0]), 0.75);
        assert_eq!(p_value(3.0, &[0.0, 1.0, 2.0]), 0.25);
    }
}
