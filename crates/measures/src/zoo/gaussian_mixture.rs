//! Mixtures of Gaussians with any covariances: the target whose density, score and modes are all known.

use super::gaussian::Gaussian;
use super::mixture_lanes::{Evaluate, Want};
use super::{door, door_pair};
use crate::empirical::{cumulative, pick};
use crate::error::{Error, Result, check_dim, check_len, check_positive};
use crate::lanes::dispatch;
use crate::map::Affine;
use crate::measure::{Density, Measure, Sample, Score};
use crate::parallel::fill_blocks;
use crate::points::Points;
use nalgebra::DMatrix;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// Points evaluated by one thread at a time.
const BLOCK: usize = 1024;

/// Σ_k w_k N(m_k, Σ_k).
///
/// Density p(x) = Σ_k w_k p_k(x); score s(x) = Σ_k r_k(x) s_k(x) with responsibilities r_k = w_k p_k / p and
/// s_k(x) = −Σ_k⁻¹ (x − m_k); Hessian of the logarithm Σ_k r_k ((s_k − s)(s_k − s)ᵀ − Σ_k⁻¹). All are evaluated
/// eight points at a time in the log domain: no buffer of n×K numbers exists, and far from every mode nothing underflows.
///
/// ```
/// use measures::{Density, Points, Score, zoo::GaussianMixture};
/// let two = GaussianMixture::isotropic(vec![0.5, 0.5], Points::from_line(vec![-1.0, 1.0]), &[0.3, 0.3])?;
/// assert!(two.score(&Points::from_line(vec![0.0]))?.row(0)[0].abs() < 1e-15);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct GaussianMixture {
    weights: Vec<f64>,
    running: Vec<f64>,
    means: Points,
    /// log w_k − ½ d log 2π − ½ log det Σ_k.
    pub(super) log_scale: Vec<f64>,
    pub(super) shape: Shape,
}

/// The covariances, in the form the loops want.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// Σ_k = σ_k² I.
    Isotropic { sigma: Vec<f64>, precision: Vec<f64> },
    /// Σ_k = L Lᵀ; `factor` holds the K matrices L, `whiten` their inverses, each d×d and row-major.
    Full { factor: Vec<f64>, whiten: Vec<f64> },
}

impl GaussianMixture {
    /// The mixture of the given Gaussians; weights of any positive sum are divided by it.
    ///
    /// # Errors
    /// There is no component, the dimensions or the numbers differ, or a weight is negative, not finite, or all are zero.
    pub fn new(weights: Vec<f64>, components: &[Gaussian]) -> Result<Self> {
        let first = components.first().ok_or(Error::TooFew { what: "components", at_least: 1, got: 0 })?;
        let d = first.dim();
        let mut means = Points::zeros(components.len(), d);
        let (mut factor, mut whiten) = (Vec::new(), Vec::new());
        let mut log_det = Vec::with_capacity(components.len());
        for (k, component) in components.iter().enumerate() {
            check_dim("component", d, component.dim())?;
            means.row_mut(k).copy_from_slice(component.mean());
            let l = component.factor();
            let inverse = l
                .solve_lower_triangular(&DMatrix::identity(d, d))
                .ok_or(Error::NotPositiveDefinite { what: "covariance" })?;
            // The transpose of a column-major matrix is its row-major copy.
            factor.extend_from_slice(l.transpose().as_slice());
            whiten.extend_from_slice(inverse.transpose().as_slice());
            log_det.push(component.log_det());
        }
        Self::assemble(weights, means, &log_det, Shape::Full { factor, whiten })
    }

    /// The mixture of N(m_k, σ_k² I), the m_k being the rows of `means`.
    ///
    /// # Errors
    /// As [`GaussianMixture::new`]; a mean that is not finite, or a standard deviation that is not finite and positive.
    pub fn isotropic(weights: Vec<f64>, means: Points, sigmas: &[f64]) -> Result<Self> {
        check_len("sigmas", means.len(), sigmas.len())?;
        if let Some(index) = sigmas.iter().position(|s| !valid_sigma(*s)) {
            return Err(Error::Entry {
                what: "sigmas",
                index,
                value: sigmas[index],
                must: "positive, its square and the inverse of its square finite",
            });
        }
        let d = means.dim() as f64;
        let log_det: Vec<f64> = sigmas.iter().map(|s| 2.0 * d * s.ln()).collect();
        let precision = sigmas.iter().map(|s| 1.0 / (s * s)).collect();
        Self::assemble(weights, means, &log_det, Shape::Isotropic { sigma: sigmas.to_vec(), precision })
    }

    /// The mixture of N(m_k, σ² I) with equal weights.
    ///
    /// # Errors
    /// As [`GaussianMixture::isotropic`].
    pub fn equal(means: Points, sigma: f64) -> Result<Self> {
        check_positive("sigma", sigma)?;
        let sigmas = vec![sigma; means.len()];
        Self::isotropic(vec![1.0; means.len()], means, &sigmas)
    }

    fn assemble(weights: Vec<f64>, means: Points, log_det: &[f64], shape: Shape) -> Result<Self> {
        let weights = super::normalised_weights(weights, means.len())?;
        means.check_finite("means")?;
        let constant = 0.5 * means.dim() as f64 * TAU.ln();
        let log_scale = weights.iter().zip(log_det).map(|(w, l)| w.ln() - 0.5 * l - constant).collect();
        Ok(GaussianMixture { running: cumulative(&weights), weights, means, log_scale, shape })
    }

    /// The number K of components.
    pub fn components(&self) -> usize {
        self.weights.len()
    }

    /// w_k, of sum one.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The centres m_k, K×d: what mode counting measures distances to.
    pub fn means(&self) -> &Points {
        &self.means
    }

    /// Σ_k.
    ///
    /// # Errors
    /// There is no component k.
    pub fn covariance(&self, k: usize) -> Result<DMatrix<f64>> {
        if k >= self.components() {
            return Err(Error::TooMany { what: "component", limit: self.components() - 1, requested: k });
        }
        let d = self.dim();
        Ok(match &self.shape {
            Shape::Isotropic { sigma, .. } => DMatrix::identity(d, d) * sigma[k].powi(2),
            Shape::Full { factor, .. } => {
                let l = DMatrix::from_row_slice(d, d, &factor[k * d * d..(k + 1) * d * d]);
                &l * l.transpose()
            }
        })
    }

    /// The standard deviations (tr Σ_k / d)^½ of the components, K of them: σ_k where Σ_k = σ_k² I.
    pub fn sigmas(&self) -> Vec<f64> {
        let d = self.dim();
        match &self.shape {
            Shape::Isotropic { sigma, .. } => sigma.clone(),
            Shape::Full { factor, .. } => factor
                .chunks_exact(d * d)
                .map(|l| (l.iter().map(|v| v * v).sum::<f64>() / d as f64).sqrt())
                .collect(),
        }
    }

    /// The mean Σ_k w_k m_k.
    pub fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim()];
        for (m, w) in self.means.rows().zip(&self.weights) {
            mean.iter_mut().zip(m).for_each(|(out, m)| *out += w * m);
        }
        mean
    }

    /// The covariance Σ_k w_k (Σ_k + (m_k − m)(m_k − m)ᵀ).
    pub fn total_covariance(&self) -> DMatrix<f64> {
        let d = self.dim();
        let mean = self.mean();
        let mut total = DMatrix::zeros(d, d);
        for (k, &w) in self.weights.iter().enumerate() {
            total += self.covariance(k).expect("k is in range") * w;
            let row = self.means.row(k);
            for i in 0..d {
                for j in 0..d {
                    total[(i, j)] += w * (row[i] - mean[i]) * (row[j] - mean[j]);
                }
            }
        }
        total
    }

    /// The law of `scale`·X + `sigma`·Z with X from this mixture and Z ~ N(0, I) apart from it: the mixture of
    /// N(a m_k, a² Σ_k + σ² I), every marginal of an Ornstein–Uhlenbeck or a linear-interpolant path started here.
    ///
    /// # Errors
    /// A number is not finite, `sigma` is negative, or the image is degenerate (`scale` = 0 = `sigma`).
    pub fn noised(&self, scale: f64, sigma: f64) -> Result<Self> {
        if !(scale.is_finite()) {
            return Err(Error::Parameter { what: "scale", value: scale, must: "finite" });
        }
        if !(sigma.is_finite() && sigma >= 0.0) {
            return Err(Error::Parameter { what: "sigma", value: sigma, must: "finite and not negative" });
        }
        let mut means = self.means.clone();
        means.as_mut_slice().iter_mut().for_each(|m| *m *= scale);
        if let Shape::Isotropic { sigma: own, .. } = &self.shape {
            let sigmas: Vec<f64> = own.iter().map(|s| (scale * s).hypot(sigma)).collect();
            return Self::isotropic(self.weights.clone(), means, &sigmas);
        }
        let d = self.dim();
        let components: Result<Vec<_>> = (0..self.components())
            .map(|k| {
                let mut covariance = self.covariance(k)? * (scale * scale);
                (0..d).for_each(|i| covariance[(i, i)] += sigma * sigma);
                Gaussian::new(means.row(k).to_vec(), covariance)
            })
            .collect();
        Self::new(self.weights.clone(), &components?)
    }

    /// The image under z ↦ A z + b, again a mixture: Σ_k w_k N(A m_k + b, A Σ_k Aᵀ).
    ///
    /// # Errors
    /// The map lives in another dimension.
    pub fn affine(&self, map: &Affine) -> Result<Self> {
        use crate::map::Map;
        let means = map.apply(&self.means)?;
        let components: Result<Vec<_>> = (0..self.components())
            .map(|k| {
                let image = map.matrix() * self.covariance(k)? * map.matrix().transpose();
                Gaussian::new(means.row(k).to_vec(), (&image + image.transpose()) * 0.5)
            })
            .collect();
        Self::new(self.weights.clone(), &components?)
    }

    /// For every point the component it most probably came from, argmax_k w_k p_k(x), the lowest index winning ties.
    ///
    /// # Errors
    /// The points live in another dimension, or one is not finite.
    pub fn classify(&self, x: &Points) -> Result<Vec<usize>> {
        door(self.dim(), x)?;
        let likeliest = |row: &[f64]| {
            let mut best = (f64::NEG_INFINITY, None);
            for k in 0..self.components() {
                let log = self.log_scale[k] - 0.5 * self.form(k, row, 1.0);
                if log > best.0 {
                    best = (log, Some(k));
                }
            }
            best.1.unwrap_or_else(|| self.nearest(row))
        };
        Ok(x.rows().map(likeliest).collect())
    }

    /// (x − m_k)ᵀ Σ_k⁻¹ (x − m_k) · unit².
    fn form(&self, k: usize, x: &[f64], unit: f64) -> f64 {
        let d = x.len();
        let deviations = || x.iter().zip(self.means.row(k)).map(|(x, m)| x * unit - m * unit);
        match &self.shape {
            Shape::Isotropic { precision, .. } => precision[k] * deviations().map(|y| y * y).sum::<f64>(),
            Shape::Full { whiten, .. } => (0..d)
                .map(|i| {
                    let row = &whiten[k * d * d + i * d..][..=i];
                    row.iter().zip(deviations()).map(|(w, y)| w * y).sum::<f64>().powi(2)
                })
                .sum(),
        }
    }

    /// For a point so far out that every squared distance overflows: the component that decays most slowly there.
    fn nearest(&self, x: &[f64]) -> usize {
        let unit = 1.0 / x.iter().fold(1.0f64, |a, v| a.max(v.abs()));
        let live = (0..self.components()).filter(|&k| self.weights[k] > 0.0);
        let forms = live.map(|k| (k, self.form(k, x, unit)));
        forms.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |best| best.0)
    }

    /// Σ_k⁻¹ v into `out`.
    fn solve(&self, k: usize, v: &[f64], out: &mut [f64]) {
        match &self.shape {
            Shape::Isotropic { precision, .. } => {
                out.iter_mut().zip(v).for_each(|(o, v)| *o = precision[k] * v);
            }
            Shape::Full { whiten, .. } => {
                let d = v.len();
                out.fill(0.0);
                for i in 0..d {
                    let row = &whiten[k * d * d + i * d..][..=i];
                    let y: f64 = row.iter().zip(v).map(|(w, v)| w * v).sum();
                    out.iter_mut().zip(row).for_each(|(o, w)| *o += w * y);
                }
            }
        }
    }

    /// Blocks of points through the lanes; points they leave open are answered by `far(row number, output row)`.
    fn evaluate(
        &self,
        x: &Points,
        ask: Ask<'_>,
        out: &mut [f64],
        far: impl Fn(usize, &mut [f64]) + Sync + Send,
    ) {
        let d = self.dim();
        let width = if matches!(ask, Ask::Density) { 1 } else { d };
        fill_blocks(out, width, BLOCK, |rows, chunk| {
            let span = rows.start * d..rows.end * d;
            let want = match ask {
                Ask::Density => Want::Density,
                Ask::Score => Want::Score,
                Ask::Jvp(v) => Want::Jvp(&v.as_slice()[span.clone()]),
            };
            dispatch(Evaluate { mixture: self, want, x: &x.as_slice()[span], out: &mut *chunk });
            for (out, i) in chunk.chunks_exact_mut(width).zip(rows) {
                if out.iter().any(|v| v.is_nan()) {
                    far(i, out);
                }
            }
        });
    }
}

/// What to evaluate for all points.
#[derive(Clone, Copy)]
enum Ask<'a> {
    Density,
    Score,
    Jvp(&'a Points),
}

fn valid_sigma(sigma: f64) -> bool {
    let square = sigma * sigma;
    sigma > 0.0 && square.is_finite() && (1.0 / square).is_finite()
}

impl Measure for GaussianMixture {
    fn dim(&self) -> usize {
        self.means.dim()
    }
}

impl Sample for GaussianMixture {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        let d = self.dim();
        let mut z = vec![0.0; d];
        Points::from_fn(n, d, |_, row| {
            let k = pick(&self.running, rng.random());
            row.copy_from_slice(self.means.row(k));
            match &self.shape {
                Shape::Isotropic { sigma, .. } => {
                    for x in row {
                        let z: f64 = StandardNormal.sample(rng);
                        *x += sigma[k] * z;
                    }
                }
                Shape::Full { factor, .. } => {
                    z.iter_mut().for_each(|z| *z = StandardNormal.sample(rng));
                    let l = &factor[k * d * d..(k + 1) * d * d];
                    for (i, x) in row.iter_mut().enumerate() {
                        *x += l[i * d..=i * d + i].iter().zip(&z).map(|(l, z)| l * z).sum::<f64>();
                    }
                }
            }
        })
    }
}

impl Density for GaussianMixture {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        door(self.dim(), x)?;
        let mut out = vec![0.0; x.len()];
        self.evaluate(x, Ask::Density, &mut out, |_, out| out[0] = f64::NEG_INFINITY);
        Ok(out)
    }

    /// Closed for one component; a mixture has none.
    fn entropy(&self) -> Option<f64> {
        if self.components() != 1 {
            return None;
        }
        Some(0.5 * self.dim() as f64 - self.log_scale[0])
    }
}

impl Score for GaussianMixture {
    fn score(&self, x: &Points) -> Result<Points> {
        door(self.dim(), x)?;
        let mut out = Points::zeros(x.len(), self.dim());
        self.evaluate(x, Ask::Score, out.as_mut_slice(), |i, out| {
            let k = self.nearest(x.row(i));
            let deviation: Vec<f64> = x.row(i).iter().zip(self.means.row(k)).map(|(x, m)| m - x).collect();
            self.solve(k, &deviation, out);
        });
        Ok(out)
    }

    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        door_pair(self.dim(), x, v)?;
        let mut out = Points::zeros(x.len(), self.dim());
        self.evaluate(x, Ask::Jvp(v), out.as_mut_slice(), |i, out| {
            self.solve(self.nearest(x.row(i)), v.row(i), out);
            out.iter_mut().for_each(|o| *o = -*o);
        });
        Ok(out)
    }
}
