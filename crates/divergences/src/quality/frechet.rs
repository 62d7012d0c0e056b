//! The Fréchet distance between the Gaussians that have the moments of two samples (the distance of FID).

use crate::divergence::{finite, finite_field, finite_variation};
use crate::svd::Svd;
use crate::{Axioms, Divergence};
use measures::nalgebra::{DMatrix, DVector};
use measures::parallel::map_blocks;
use measures::{Empirical, Error, Functional, Measure, Points, Result, Variation, check_dim};

/// The *squared* Fréchet distance of the Gaussians with the means and covariances of μ and ν,
///
/// D(μ, ν) = ‖m − m′‖² + tr(Σ + Σ′ − 2(Σ^½ Σ′ Σ^½)^½),
///
/// W₂² of the two Gaussians (Dowson & Landau 1982, doi:10.1016/0047-259X(82)90077-X), which on the features of an image
/// network is the FID of Heusel et al. 2017 (arXiv:1706.08500). Covariances are Σᵢ wᵢ (xᵢ − m)(xᵢ − m)ᵀ, with 1/n and
/// not 1/(n − 1) for equal weights.
///
/// A squared pseudo-metric: it sees two moments and nothing else. On samples it is biased upwards by O(d²/n); compare
/// with the value between two samples of the data of the same size.
///
/// Computed as ‖m − m′‖² + min_Q ‖R − Q R′‖² over orthogonal Q, R and R′ triangular factors of the weighted deviations:
/// never negative, no squared condition numbers, fewer points than dimensions welcome.
///
/// The first variation is h(x) = 2⟨m − m′, x⟩ + (x − m)ᵀ(I − T)(x − m), T the linear part of the optimal map from the
/// Gaussian of μ to that of ν. It exists where the span of μ's deviations holds that of ν's; elsewhere it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Frechet;

/// Mean and triangular factor: Σ = RᵀR, d×d, padded with zero rows.
#[derive(Debug, Clone)]
struct Moments {
    mean: DVector<f64>,
    factor: DMatrix<f64>,
}

/// Rows to a block of the factorisation, at least; at least four times the dimension too.
const ROWS: usize = 512;

impl Moments {
    fn of(mu: &Empirical) -> Self {
        let d = mu.dim();
        // Two passes: the mean of the deviations from a rough mean has no cancellation left in it.
        let rough = mu.mean();
        let mut mean = DVector::zeros(d);
        for (row, w) in mu.points().rows().zip(mu.weights()) {
            (0..d).for_each(|k| mean[k] += w * (row[k] - rough[k]));
        }
        (0..d).for_each(|k| mean[k] += rough[k]);
        let parts = map_blocks(mu.len(), ROWS.max(4 * d), |range| {
            let start = range.start;
            triangular(DMatrix::from_fn(range.len(), d, |i, k| {
                mu.weights()[start + i].sqrt() * (mu.points().row(start + i)[k] - mean[k])
            }))
        });
        let mut factor = DMatrix::zeros(0, d);
        for part in parts {
            factor = triangular(stack(&factor, &part));
        }
        let missing = d - factor.nrows();
        Moments { mean, factor: stack(&factor, &DMatrix::zeros(missing, d)) }
    }
}

fn stack(above: &DMatrix<f64>, below: &DMatrix<f64>) -> DMatrix<f64> {
    let mut out = DMatrix::zeros(above.nrows() + below.nrows(), below.ncols());
    out.rows_mut(0, above.nrows()).copy_from(above);
    out.rows_mut(above.nrows(), below.nrows()).copy_from(below);
    out
}

/// R with RᵀR = AᵀA and at most as many rows as columns.
fn triangular(a: DMatrix<f64>) -> DMatrix<f64> {
    if a.nrows() <= a.ncols() { a } else { a.qr().unpack_r() }
}

/// The orthogonal Q nearest to making R = Q R′, applied to R′.
fn aligned(r: &DMatrix<f64>, target: &DMatrix<f64>) -> DMatrix<f64> {
    let Svd { u, v, .. } = Svd::new(r * target.transpose());
    u * (v.transpose() * target)
}

fn value(mu: &Moments, nu: &Moments) -> f64 {
    (&mu.mean - &nu.mean).norm_squared() + (&mu.factor - aligned(&mu.factor, &nu.factor)).norm_squared()
}

fn variation(mu: &Empirical, nu: &Moments) -> Result<(Variation, Points)> {
    let d = mu.dim();
    let ours = Moments::of(mu);
    let shift = &ours.mean - &nu.mean;
    let target = aligned(&ours.factor, &nu.factor);
    let value = shift.norm_squared() + (&ours.factor - &target).norm_squared();

    let Svd { u, values, v } = Svd::new(ours.factor.clone());
    let cut = values.max() * f64::EPSILON * 8.0 * d as f64;
    // Columns of R′ outside the span of R: directions in which ν is spread and μ is not.
    let seen = &nu.factor * &v;
    let outside: f64 = (0..d).filter(|&k| values[k] <= cut).map(|k| seen.column(k).norm_squared()).sum();
    if outside.sqrt() > 1e-10 * nu.factor.norm() {
        return Err(Error::Undefined {
            what: "the variation of the Fréchet distance",
            why: "the second sample is spread in a direction in which the first is not",
        });
    }
    // T = R⁺ Q R′, symmetric up to round-off.
    let mut rotated = u.transpose() * target;
    for k in 0..d {
        let s = values[k];
        rotated.row_mut(k).scale_mut(if s > cut { 1.0 / s } else { 0.0 });
    }
    let map = v * rotated;
    let bend = DMatrix::identity(d, d) - (&map + map.transpose()) * 0.5;

    let mut potential = Vec::with_capacity(mu.len());
    let mut field = Points::zeros(mu.len(), d);
    for (x, out) in mu.points().rows().zip(field.rows_mut()) {
        let deviation = DVector::from_fn(d, |k, _| x[k] - ours.mean[k]);
        let bent = &bend * &deviation;
        potential.push(2.0 * shift.dot(&deviation) + deviation.dot(&bent));
        out.iter_mut().enumerate().for_each(|(k, g)| *g = 2.0 * (shift[k] + bent[k]));
    }
    Ok((Variation::from_potential(mu, value, potential, field.clone()), field))
}

impl Divergence for Frechet {
    fn axioms(&self) -> Axioms {
        Axioms {
            non_negative: true,
            identity: true,
            symmetry: true,
            triangle_power: Some(0.5),
            permutation: true,
            atom_splitting: true,
            translation: true,
            rotation: true,
            scaling_degree: Some(2.0),
            continuous_in_points: true,
            continuous_in_weights: true,
            ..Axioms::default()
        }
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        finite(value(&Moments::of(mu), &Moments::of(nu)))
    }

    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        self.toward(nu)?.variation(mu)
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        self.toward(nu)?.gradient_field(mu)
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(TowardMoments(Moments::of(target))))
    }
}

/// μ ↦ D(μ, ν) with the moments of ν computed once.
struct TowardMoments(Moments);

impl TowardMoments {
    fn check(&self, mu: &Empirical) -> Result<()> {
        check_dim("second measure", mu.dim(), self.0.mean.len())
    }
}

impl Functional for TowardMoments {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        self.check(mu)?;
        finite_variation(variation(mu, &self.0)?.0)
    }

    fn value(&self, mu: &Empirical) -> Result<f64> {
        self.check(mu)?;
        finite(value(&Moments::of(mu), &self.0))
    }

    fn gradient_field(&self, mu: &Empirical) -> Result<Points> {
        self.check(mu)?;
        finite_field(variation(mu, &self.0)?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_variation;
    use measures::{Affine, Map, Sample, Seed, zoo::Gaussian};

    fn sample(n: usize, d: usize, seed: u64) -> Empirical {
        Empirical::uniform(Gaussian::standard(d).sample(n, &mut Seed::new(seed).rng())).unwrap()
    }

    /// An affine image A x + b with A symmetric positive definite is the optimal map's, so that D = ⟨‖x − Ax − b‖²⟩.
    #[test]
    fn the_cost_of_a_symmetric_affine_map() {
        let x = sample(50, 3, 1);
        let a = DMatrix::from_row_slice(3, 3, &[2.0, 0.5, 0.0, 0.5, 1.0, 0.2, 0.0, 0.2, 0.3]);
        let map = Affine::new(a, vec![1.0, -2.0, 0.5]).unwrap();
        let y = Empirical::uniform(map.apply(x.points()).unwrap()).unwrap();
        let cost: f64 = (0..50)
            .map(|i| {
                let gaps = x.points().row(i).iter().zip(y.points().row(i));
                gaps.map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 50.0
            })
            .sum();
        assert!((Frechet.value(&x, &y).unwrap() - cost).abs() < 1e-12 * cost);
        assert!((Frechet.value(&y, &x).unwrap() - cost).abs() < 1e-12 * cost);
        assert!(Frechet.value(&x, &x).unwrap() < 1e-28);
    }

    #[test]
    fn variation_by_finite_differences() {
        let (x, y) = (sample(9, 3, 2), sample(12, 3, 3));
        let weights = vec![0.2, 0.05, 0.15, 0.1, 0.1, 0.0, 0.2, 0.1, 0.1];
        let x = Empirical::weighted(x.points().clone(), weights).unwrap();
        check_variation(&Frechet, &x, &y, 1e-5, 1e-8);
        // An atom of no weight has a field too: the slope of the potential there.
        let field = Frechet.gradient_field(&x, &y).unwrap();
        assert!(field.row(5).iter().all(|g| g.is_finite() && *g != 0.0));
    }

    #[test]
    fn samples_on_a_subspace() {
        // The second lies in the span of the first (a line in the plane): differentiable; the other way round: not.
        let line = Empirical::uniform(Points::from_rows(&[[0.0, 0.0], [1.0, 2.0], [3.0, 6.0]])).unwrap();
        let short = Empirical::uniform(Points::from_rows(&[[1.0, 2.0], [2.0, 4.0]])).unwrap();
        let plane = sample(6, 2, 4);
        check_variation(&Frechet, &plane, &line, 1e-5, 1e-8);
        assert!(Frechet.variation(&line, &short).is_ok());
        assert!(matches!(Frechet.variation(&line, &plane), Err(Error::Undefined { .. })));
        assert!(Frechet.value(&line, &plane).unwrap() > 0.0);
        let dirac = Empirical::dirac(&[1.0, 1.0]).unwrap();
        let other = Empirical::dirac(&[4.0, 5.0]).unwrap();
        assert_eq!(Frechet.value(&dirac, &other).unwrap(), 25.0);
        assert_eq!(Frechet.variation(&dirac, &other).unwrap().d_points.row(0), &[-6.0, -8.0]);
    }

    #[test]
    fn many_blocks_agree_with_one_covariance() {
        let (x, y) = (sample(5000, 4, 5), sample(3000, 4, 6));
        let root = |m: &DMatrix<f64>| {
            let e = m.clone().symmetric_eigen();
            let half = DMatrix::from_diagonal(&e.eigenvalues.map(|v| v.max(0.0).sqrt()));
            &e.eigenvectors * half * e.eigenvectors.transpose()
        };
        let moments = |m: &Empirical| {
            let mean = DVector::from_vec(m.mean());
            let mut cov = DMatrix::zeros(4, 4);
            for row in m.points().rows() {
                let dev = DVector::from_column_slice(row) - &mean;
                cov += &dev * dev.transpose() / m.len() as f64;
            }
            (mean, cov)
        };
        let ((m1, s1), (m2, s2)) = (moments(&x), moments(&y));
        let cross = root(&(root(&s1) * &s2 * root(&s1)));
        let expected = (m1 - m2).norm_squared() + s1.trace() + s2.trace() - 2.0 * cross.trace();
        assert!((Frechet.value(&x, &y).unwrap() - expected).abs() < 1e-12);
    }
}
