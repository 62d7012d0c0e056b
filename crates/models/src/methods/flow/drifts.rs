//! Drifts made for training: where generated points should move, from a batch of them and a batch of data.

use measures::{Drift, Empirical, Error, Points, Result, check_dim, check_positive, parallel};

/// V = h² (∇log p_h − ∇log q_h) with p_h and q_h Gaussian kernel density estimates of data and of the generated points
/// themselves: the difference of two mean shifts, Σ wⱼ yⱼ − Σ wⱼ′ xⱼ with weights ∝ exp(−‖x − ·‖²/2h²). It vanishes where
/// the two samples are the same, and changes sign when they change roles.
#[derive(Debug)]
pub struct ScoreDifference<'a> {
    data: &'a Points,
    bandwidth: f64,
}

impl<'a> ScoreDifference<'a> {
    /// The drift toward `data` at bandwidth h.
    ///
    /// # Errors
    /// The bandwidth is not finite and positive.
    pub fn new(data: &'a Points, bandwidth: f64) -> Result<Self> {
        Ok(ScoreDifference { data, bandwidth: check_positive("bandwidth", bandwidth)? })
    }
}

impl Drift for ScoreDifference<'_> {
    fn drift(&self, mu: &Empirical) -> Result<Points> {
        let x = mu.points();
        check_dim("generated points", self.data.dim(), x.dim())?;
        let (toward, away) = (mean_shift(x, self.data, self.bandwidth), mean_shift(x, x, self.bandwidth));
        Ok(difference(toward, &away))
    }
}

/// Rows of one parallel task.
const ROWS: usize = 32;

/// Σ wⱼ yⱼ with weights of sum one ∝ exp(−‖x − yⱼ‖²/2h²), at every row of x.
fn mean_shift(x: &Points, y: &Points, h: f64) -> Points {
    let d = x.dim();
    let mut out = Points::zeros(x.len(), d);
    let scale = -0.5 / (h * h);
    parallel::fill_blocks(out.as_mut_slice(), d, ROWS, |rows, out| {
        let mut weights = vec![0.0; y.len()];
        for (i, out) in rows.zip(out.chunks_exact_mut(d)) {
            for (w, y) in weights.iter_mut().zip(y.rows()) {
                *w = scale * squared(x.row(i), y);
            }
            let highest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut total = 0.0;
            for (w, y) in weights.iter().zip(y.rows()) {
                let w = (w - highest).exp();
                total += w;
                out.iter_mut().zip(y).for_each(|(o, y)| *o += w * y);
            }
            out.iter_mut().for_each(|o| *o /= total);
        }
    });
    out
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn difference(mut a: Points, b: &Points) -> Points {
    a.as_mut_slice().iter_mut().zip(b.as_slice()).for_each(|(a, b)| *a -= b);
    a
}

/// The doubly normalised kernel field of drifting models (arXiv 2602.04770): with K = exp(−‖x − ·‖/τ) over the columns
/// \[generated; data\], a point's own column left out, and K̃ = K/√(row sum · column sum),
///
/// ```text
/// V_i = (Σ_gen K̃_i·) Σ_data K̃_ij y_j − (Σ_data K̃_i·) Σ_gen K̃_ij x_j,
/// ```
///
/// attraction to data, repulsion from generated points, summed over several τ.
#[derive(Debug)]
pub struct NormalisedKernel<'a> {
    data: &'a Points,
    bandwidths: &'a [f64],
    unit: bool,
}

impl<'a> NormalisedKernel<'a> {
    /// The drift toward `data` with these τ. With `unit` the field of each τ is scaled to a root mean square of one before
    /// they are added, as in the published runs on images; it then never fades.
    ///
    /// # Errors
    /// There is no τ, or one that is not finite and positive.
    pub fn new(data: &'a Points, bandwidths: &'a [f64], unit: bool) -> Result<Self> {
        if bandwidths.is_empty() {
            return Err(Error::TooFew { what: "bandwidths", at_least: 1, got: 0 });
        }
        for tau in bandwidths {
            check_positive("bandwidth", *tau)?;
        }
        Ok(NormalisedKernel { data, bandwidths, unit })
    }

    /// The field at the rows of `x` that `generated` exerts; with `own`, row i of x is row i of `generated`, and does not
    /// act on itself.
    fn field(&self, x: &Points, generated: &Points, own: bool, tau: f64) -> Points {
        let (n, g, m, d) = (x.len(), generated.len(), self.data.len(), x.dim());
        let mut kernel = vec![0.0; n * (g + m)];
        parallel::fill_blocks(&mut kernel, g + m, ROWS, |rows, out| {
            for (i, out) in rows.zip(out.chunks_exact_mut(g + m)) {
                let columns = generated.rows().chain(self.data.rows());
                for (k, column) in out.iter_mut().zip(columns) {
                    *k = (-squared(x.row(i), column).sqrt() / tau).exp();
                }
                if own {
                    out[i] = 0.0;
                }
            }
        });
        let mut columns = vec![0.0; g + m];
        for row in kernel.chunks_exact(g + m) {
            columns.iter_mut().zip(row).for_each(|(c, k)| *c += k);
        }
        let mut out = Points::zeros(n, d);
        parallel::fill_blocks(out.as_mut_slice(), d, ROWS, |rows, out| {
            let (mut near, mut far) = (vec![0.0; d], vec![0.0; d]);
            for (i, out) in rows.zip(out.chunks_exact_mut(d)) {
                let row = &kernel[i * (g + m)..(i + 1) * (g + m)];
                let total: f64 = row.iter().sum();
                near.fill(0.0);
                far.fill(0.0);
                let (mut data, mut own) = (0.0, 0.0);
                let points = generated.rows().chain(self.data.rows());
                for (j, ((k, c), point)) in row.iter().zip(&columns).zip(points).enumerate() {
                    // A column nobody is near has no weight, rather than 0/0.
                    let weight = if *k > 0.0 { k / (total * c).sqrt() } else { 0.0 };
                    let (sum, mean) = if j < g { (&mut own, &mut far) } else { (&mut data, &mut near) };
                    *sum += weight;
                    mean.iter_mut().zip(point).for_each(|(m, p)| *m += weight * p);
                }
                for ((out, near), far) in out.iter_mut().zip(&near).zip(&far) {
                    *out = own * near - data * far;
                }
            }
        });
        out
    }
}

impl Drift for NormalisedKernel<'_> {
    fn drift(&self, mu: &Empirical) -> Result<Points> {
        let x = mu.points();
        check_dim("generated points", self.data.dim(), x.dim())?;
        let mut total = Points::zeros(x.len(), x.dim());
        for &tau in self.bandwidths {
            let field = self.field(x, x, true, tau);
            let square: f64 = field.as_slice().iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
            let scale = if self.unit && square > 0.0 { square.sqrt().recip() } else { 1.0 };
            total.as_mut_slice().iter_mut().zip(field.as_slice()).for_each(|(t, v)| *t += scale * v);
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Sample, Seed, zoo::Gaussian};

    fn cloud(n: usize, seed: u64) -> Points {
        Gaussian::standard(2).sample(n, &mut Seed::new(seed).rng())
    }

    fn largest(v: &Points) -> f64 {
        v.as_slice().iter().fold(0.0, |m, v| m.max(v.abs()))
    }

    #[test]
    fn equal_samples_are_at_rest_and_roles_reverse_the_field() {
        let (x, y) = (cloud(40, 1), cloud(60, 2));
        let mu = Empirical::uniform(x.clone()).unwrap();
        assert_eq!(largest(&ScoreDifference::new(&x, 0.5).unwrap().drift(&mu).unwrap()), 0.0);
        // The normalised kernel at points apart from both samples.
        let (points, tau) = (cloud(30, 3), [0.7]);
        let toward_y = NormalisedKernel::new(&y, &tau, false).unwrap().field(&points, &x, false, 0.7);
        let toward_x = NormalisedKernel::new(&x, &tau, false).unwrap().field(&points, &y, false, 0.7);
        assert!(toward_y.as_slice().iter().zip(toward_x.as_slice()).all(|(a, b)| (a + b).abs() < 1e-14));
        assert!(largest(&toward_y) > 1e-3);
        let none = NormalisedKernel::new(&y, &tau, false).unwrap().field(&points, &y, false, 0.7);
        assert!(largest(&none) < 1e-15);
    }

    #[test]
    fn the_field_is_its_formula() {
        let (x, y) = (cloud(5, 4), cloud(4, 5));
        let tau = 0.8;
        let taus = [tau];
        let found = NormalisedKernel::new(&y, &taus, false).unwrap();
        let found = found.drift(&Empirical::uniform(x.clone()).unwrap()).unwrap();
        let all: Vec<&[f64]> = x.rows().chain(y.rows()).collect();
        let k = |i: usize, j: usize| if i == j { 0.0 } else { (-squared(all[i], all[j]).sqrt() / tau).exp() };
        for i in 0..5 {
            let row: f64 = (0..9).map(|j| k(i, j)).sum();
            let weight = |j: usize| k(i, j) / (row * (0..5).map(|l| k(l, j)).sum::<f64>()).sqrt();
            let (own, data): (f64, f64) = ((0..5).map(weight).sum(), (5..9).map(weight).sum());
            for c in 0..2 {
                let near: f64 = (5..9).map(|j| weight(j) * all[j][c]).sum();
                let far: f64 = (0..5).map(|j| weight(j) * all[j][c]).sum();
                assert!((found.row(i)[c] - (own * near - data * far)).abs() < 1e-14);
            }
        }
    }

    /// Small steps along either field bring the two samples together in energy distance.
    #[test]
    fn samples_are_brought_together() {
        let data = cloud(200, 6);
        let mut start = cloud(200, 7);
        start.rows_mut().for_each(|row| row[0] += 3.0);
        let energy =
            divergences::Mmd::new(divergences::kernel::Energy::distance(), divergences::Statistic::Plugin);
        let nu = Empirical::uniform(data.clone()).unwrap();
        let distance = |x: &Points| {
            divergences::Divergence::value(&energy, &Empirical::uniform(x.clone()).unwrap(), &nu).unwrap()
        };
        let run = |drift: &dyn Drift, eta: f64| {
            let mut x = start.clone();
            for _ in 0..30 {
                let v = drift.drift(&Empirical::uniform(x.clone()).unwrap()).unwrap();
                x.as_mut_slice().iter_mut().zip(v.as_slice()).for_each(|(x, v)| *x += eta * v);
            }
            distance(&x)
        };
        let first = distance(&start);
        let taus = [0.5, 2.0];
        assert!(run(&ScoreDifference::new(&data, 1.0).unwrap(), 0.3) < 0.05 * first);
        assert!(run(&NormalisedKernel::new(&data, &taus, true).unwrap(), 0.1) < 0.3 * first);
        assert!(
            NormalisedKernel::new(&data, &[], true).is_err() && ScoreDifference::new(&data, -1.0).is_err()
        );
    }
}
