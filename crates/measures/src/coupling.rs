//! Couplings: joint measures on pairs of atoms, dense or sparse.

use crate::empirical::{Empirical, cumulative, pick};
use crate::error::{Error, Result, check_dim, check_len};
use crate::measure::Measure;
use crate::points::Points;
use rand::{Rng, RngExt};

/// A plan π ≥ 0 on {0, …, n−1} × {0, …, m−1} of total mass one.
///
/// Stored dense (n·m numbers) or sparse by rows; an optimal plan between n and m atoms has at most n + m − 1 entries.
#[derive(Debug, Clone, PartialEq)]
pub struct Coupling {
    rows: usize,
    columns: usize,
    entries: Entries,
}

#[derive(Debug, Clone, PartialEq)]
enum Entries {
    Dense(Vec<f64>),
    /// Entries of row i are at `starts[i]..starts[i + 1]`, columns ascending.
    Sparse {
        starts: Vec<usize>,
        columns: Vec<usize>,
        mass: Vec<f64>,
    },
}

/// How far the mass of a plan may be from one.
const MASS_TOLERANCE: f64 = 1e-6;

impl Coupling {
    /// A dense plan from its row-major n×m table of masses.
    ///
    /// # Errors
    /// The length is not n·m, an entry is negative or not finite, or the total is not one within 1e-6.
    pub fn dense(rows: usize, columns: usize, mass: Vec<f64>) -> Result<Self> {
        check_shape(rows, columns)?;
        check_len("mass", rows.saturating_mul(columns), mass.len())?;
        check_mass(&mass)?;
        Ok(Coupling { rows, columns, entries: Entries::Dense(mass) })
    }

    /// A sparse plan from entries (i, j, mass) in any order; entries for the same pair add up.
    ///
    /// # Errors
    /// An index is out of range, a mass is negative or not finite, or the total is not one within 1e-6.
    pub fn sparse(rows: usize, columns: usize, mut entries: Vec<(usize, usize, f64)>) -> Result<Self> {
        check_shape(rows, columns)?;
        for &(i, j, _) in &entries {
            check_index("row index", i, rows)?;
            check_index("column index", j, columns)?;
        }
        check_mass(&entries.iter().map(|e| e.2).collect::<Vec<_>>())?;
        entries.sort_unstable_by_key(|&(i, j, _)| (i, j));
        entries.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        let starts = (0..=rows).map(|i| entries.partition_point(|e| e.0 < i)).collect();
        let (cols, mass) = entries.into_iter().map(|(_, j, m)| (j, m)).unzip();
        Ok(Coupling { rows, columns, entries: Entries::Sparse { starts, columns: cols, mass } })
    }

    /// The plan that sends atom i to atom `assignment[i]`, each with mass 1/n.
    ///
    /// # Errors
    /// `assignment` is not a permutation of 0, …, n−1 (the first repeated or missing index is named).
    pub fn permutation(assignment: &[usize]) -> Result<Self> {
        let n = assignment.len();
        check_shape(n, n)?;
        let mut seen = vec![false; n];
        for (index, &j) in assignment.iter().enumerate() {
            check_index("assignment", j, n)?;
            if std::mem::replace(&mut seen[j], true) {
                return Err(Error::Entry { what: "assignment", index, value: j as f64, must: "used once" });
            }
        }
        Ok(Coupling {
            rows: n,
            columns: n,
            entries: Entries::Sparse {
                starts: (0..=n).collect(),
                columns: assignment.to_vec(),
                mass: vec![1.0 / n as f64; n],
            },
        })
    }

    /// The independent coupling a ⊗ b.
    ///
    /// # Errors
    /// As [`Coupling::dense`] for the table of products.
    pub fn independent(a: &[f64], b: &[f64]) -> Result<Self> {
        Coupling::dense(a.len(), b.len(), a.iter().flat_map(|a| b.iter().map(move |b| a * b)).collect())
    }

    /// (n, m).
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The stored entries (i, j, π_ij), by rows; a dense plan lists its zeros too.
    pub fn entries(&self) -> Box<dyn Iterator<Item = (usize, usize, f64)> + '_> {
        match &self.entries {
            Entries::Dense(mass) => {
                Box::new(mass.iter().enumerate().map(|(k, &m)| (k / self.columns, k % self.columns, m)))
            }
            Entries::Sparse { starts, columns, mass } => Box::new(
                (0..self.rows)
                    .flat_map(move |i| (starts[i]..starts[i + 1]).map(move |k| (i, columns[k], mass[k]))),
            ),
        }
    }

    /// The marginals (Σⱼ π_ij)ᵢ and (Σᵢ π_ij)ⱼ.
    pub fn marginals(&self) -> (Vec<f64>, Vec<f64>) {
        let (mut a, mut b) = (vec![0.0; self.rows], vec![0.0; self.columns]);
        for (i, j, m) in self.entries() {
            a[i] += m;
            b[j] += m;
        }
        (a, b)
    }

    /// Σ_ij π_ij c(x_i, y_j), the transport cost of the plan.
    ///
    /// # Errors
    /// The clouds have other sizes than the plan, or live in different dimensions.
    pub fn cost(&self, x: &Points, y: &Points, c: impl Fn(&[f64], &[f64]) -> f64) -> Result<f64> {
        self.check_clouds(x, y)?;
        Ok(self.entries().filter(|e| e.2 > 0.0).map(|(i, j, m)| m * c(x.row(i), y.row(j))).sum())
    }

    /// The barycentric map: row i is the mean of the y's that x_i is sent to, Σⱼ π_ij y_j / Σⱼ π_ij, n×d.
    ///
    /// # Errors
    /// The cloud has another size than the plan has columns, or a row of the plan has no mass (its index is named).
    pub fn barycentric_map(&self, y: &Points) -> Result<Points> {
        check_len("target points", self.columns, y.len())?;
        let mut out = Points::zeros(self.rows, y.dim());
        let mut total = vec![0.0; self.rows];
        for (i, j, m) in self.entries() {
            total[i] += m;
            out.row_mut(i).iter_mut().zip(y.row(j)).for_each(|(o, y)| *o += m * y);
        }
        for (index, (row, &mass)) in out.rows_mut().zip(&total).enumerate() {
            if mass <= 0.0 {
                return Err(Error::ZeroWeight { what: "barycentric map", index });
            }
            row.iter_mut().for_each(|o| *o /= mass);
        }
        Ok(out)
    }

    /// n independent pairs (i, j) drawn from the plan.
    pub fn sample_pairs(&self, n: usize, rng: &mut dyn Rng) -> Vec<(usize, usize)> {
        let listed: Vec<_> = self.entries().collect();
        let running = cumulative(&listed.iter().map(|e| e.2).collect::<Vec<_>>());
        (0..n)
            .map(|_| {
                let (i, j, _) = listed[pick(&running, rng.random())];
                (i, j)
            })
            .collect()
    }

    /// Whether the marginals are the weights of μ and ν, to within `tolerance` in total variation ×2 (the ℓ¹ distance).
    ///
    /// # Errors
    /// The sizes differ.
    pub fn couples(&self, mu: &Empirical, nu: &Empirical, tolerance: f64) -> Result<bool> {
        self.check_clouds(mu.points(), nu.points())?;
        let (a, b) = self.marginals();
        let l1 = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>();
        check_dim("second measure", mu.dim(), nu.dim())?;
        Ok(l1(&a, mu.weights()) <= tolerance && l1(&b, nu.weights()) <= tolerance)
    }

    fn check_clouds(&self, x: &Points, y: &Points) -> Result<()> {
        check_len("source points", self.rows, x.len())?;
        check_len("target points", self.columns, y.len())?;
        check_dim("target points", x.dim(), y.dim())
    }
}

fn check_shape(rows: usize, columns: usize) -> Result<()> {
    for (what, got) in [("rows of the plan", rows), ("columns of the plan", columns)] {
        if got == 0 {
            return Err(Error::TooFew { what, at_least: 1, got });
        }
    }
    Ok(())
}

fn check_index(what: &'static str, index: usize, len: usize) -> Result<()> {
    if index < len { Ok(()) } else { Err(Error::TooMany { what, limit: len - 1, requested: index }) }
}

fn check_mass(mass: &[f64]) -> Result<()> {
    if let Some(index) = mass.iter().position(|m| !(m.is_finite() && *m >= 0.0)) {
        return Err(Error::Entry {
            what: "mass",
            index,
            value: mass[index],
            must: "finite and not negative",
        });
    }
    let sum: f64 = mass.iter().sum();
    if (sum - 1.0).abs() > MASS_TOLERANCE { Err(Error::WeightSum { what: "mass", sum }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn dense_and_sparse_plans_agree() {
        let dense = Coupling::dense(2, 3, vec![0.1, 0.0, 0.4, 0.0, 0.5, 0.0]).unwrap();
        let sparse =
            Coupling::sparse(2, 3, vec![(1, 1, 0.25), (0, 2, 0.4), (0, 0, 0.1), (1, 1, 0.25)]).unwrap();
        assert_eq!(dense.marginals(), sparse.marginals());
        assert_eq!(sparse.entries().collect::<Vec<_>>(), [(0, 0, 0.1), (0, 2, 0.4), (1, 1, 0.5)]);
        let y = Points::from_line(vec![0.0, 1.0, 5.0]);
        assert_eq!(dense.barycentric_map(&y).unwrap(), sparse.barycentric_map(&y).unwrap());
        let x = Points::from_line(vec![0.0, 1.0]);
        let cost = |p: &Coupling| p.cost(&x, &y, |a, b| (a[0] - b[0]).abs()).unwrap();
        assert_eq!(cost(&dense), cost(&sparse));
        assert_eq!(cost(&dense), 2.0);
    }

    #[test]
    fn pairs_follow_the_plan() {
        let plan = Coupling::sparse(2, 2, vec![(0, 1, 0.25), (1, 0, 0.75)]).unwrap();
        let pairs = plan.sample_pairs(40_000, &mut Seed::new(3).rng());
        assert!(pairs.iter().all(|&(i, j)| i != j));
        let first = pairs.iter().filter(|p| p.0 == 0).count() as f64;
        assert!((first - 10_000.0).abs() < 5.0 * (40_000.0f64 * 0.25 * 0.75).sqrt());
    }

    #[test]
    fn bad_plans_are_refused() {
        assert!(matches!(Coupling::permutation(&[0, 0]), Err(Error::Entry { index: 1, .. })));
        assert!(matches!(Coupling::permutation(&[0, 2]), Err(Error::TooMany { .. })));
        assert!(matches!(Coupling::dense(1, 2, vec![0.5, 0.4]), Err(Error::WeightSum { .. })));
        assert!(matches!(Coupling::dense(0, 2, vec![]), Err(Error::TooFew { .. })));
        assert!(matches!(Coupling::sparse(1, 1, vec![(0, 1, 1.0)]), Err(Error::TooMany { .. })));
    }
}
