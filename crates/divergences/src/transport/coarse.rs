//! Fewer atoms for a first guess: neighbours grouped by median cuts, each group replaced by one atom of its mass.

use measures::Points;

/// Groups hold at most this many atoms, and on average more than half of it.
const GROUP: usize = 6;

/// Above this dimension the mean of a group is far from all of its members, and one of them stands for it instead.
const MEANS_UP_TO: usize = 8;

/// A cloud of about a quarter of the atoms with their masses added up. `means` says whether the mean of points is a point
/// the cost can be asked about.
pub(crate) fn coarsen(points: &Points, masses: &[i64], means: bool) -> (Points, Vec<i64>) {
    let mut order: Vec<u32> = (0..points.len() as u32).collect();
    let mut groups = Vec::new();
    cut(points, &mut order, 0, &mut groups);
    let means = means && points.dim() <= MEANS_UP_TO;
    let mut out = Points::zeros(groups.len(), points.dim());
    let mut mass = Vec::with_capacity(groups.len());
    for (&(start, end), row) in groups.iter().zip(out.rows_mut()) {
        let members = &order[start..end];
        let total: i64 = members.iter().map(|&i| masses[i as usize]).sum();
        mass.push(total);
        if means {
            for &i in members {
                let share = masses[i as usize] as f64 / total as f64;
                row.iter_mut().zip(points.row(i as usize)).for_each(|(o, x)| *o += share * x);
            }
        } else {
            let heaviest = members.iter().max_by_key(|&&i| (masses[i as usize], std::cmp::Reverse(i)));
            row.copy_from_slice(points.row(*heaviest.expect("a group has members") as usize));
        }
    }
    (out, mass)
}

/// Cuts `order`, which starts at position `offset`, at the median of the widest coordinate until groups are small.
fn cut(points: &Points, order: &mut [u32], offset: usize, groups: &mut Vec<(usize, usize)>) {
    if order.len() <= GROUP {
        groups.push((offset, offset + order.len()));
        return;
    }
    let axis = widest(points, order);
    let middle = order.len() / 2;
    order.select_nth_unstable_by(middle, |&i, &j| {
        points.row(i as usize)[axis].total_cmp(&points.row(j as usize)[axis]).then(i.cmp(&j))
    });
    let (left, right) = order.split_at_mut(middle);
    cut(points, left, offset, groups);
    cut(points, right, offset + middle, groups);
}

/// The coordinate in which these points spread most.
fn widest(points: &Points, order: &[u32]) -> usize {
    let d = points.dim();
    let mut bounds = vec![(f64::INFINITY, f64::NEG_INFINITY); d];
    for &i in order {
        for (b, &v) in bounds.iter_mut().zip(points.row(i as usize)) {
            *b = (b.0.min(v), b.1.max(v));
        }
    }
    let spread = |k: &usize| bounds[*k].1 - bounds[*k].0;
    (0..d).max_by(|a, b| spread(a).total_cmp(&spread(b)).then(b.cmp(a))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::test_support::cloud;

    #[test]
    fn mass_and_mean_are_kept() {
        let mu = cloud(1000, 3, 1, false);
        let masses: Vec<i64> = (0..1000).map(|i| 1 + i % 7).collect();
        let (points, mass) = coarsen(mu.points(), &masses, true);
        assert!(points.len() > 160 && points.len() < 400);
        assert_eq!(mass.iter().sum::<i64>(), masses.iter().sum::<i64>());
        let mean = |x: &Points, w: &[i64]| -> f64 { x.rows().zip(w).map(|(r, w)| r[1] * *w as f64).sum() };
        assert!((mean(&points, &mass) - mean(mu.points(), &masses)).abs() < 1e-9);
        let (members, _) = coarsen(mu.points(), &masses, false);
        assert!(members.rows().all(|r| mu.points().rows().any(|x| x == r)));
    }
}
