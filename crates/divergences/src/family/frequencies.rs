//! Complex exponentials x ↦ e^{i⟨s,x⟩} at any frequencies, drawn or given.

use super::{check_tau, doubled};
use crate::packed::{Packed, ROWS, accumulator_block, inner_products, pack_weights};
use measures::lanes::{F64s, LaneOp, Lanes, WIDTH, dispatch};
use measures::{
    Empirical, Error, Family, Measure, Points, Pullback, Result, Seed, check_dim, check_positive,
    check_pullback, parallel,
};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand_distr::{ChiSquared, Distribution, StandardNormal};
use statrs::function::gamma::ln_gamma;
use std::f64::consts::{PI, TAU};

/// The functions x ↦ e^{i⟨s_k,x⟩}, k = 1, …, K, with weights τ_k: Σ τ_k |⟨f_k|μ⟩ − ⟨f_k|ν⟩|² matches characteristic
/// functions at the frequencies s_k (in radians a unit of x).
///
/// The real coordinates are cos⟨s₁,x⟩, sin⟨s₁,x⟩, cos⟨s₂,x⟩, …, each pair with the same τ. Brackets and pullbacks are
/// fused over blocks of eight points and eight frequencies, and use no n×K memory.
///
/// ```
/// use divergences::family::RandomFrequencies;
/// use divergences::measures::{Empirical, Family, Seed};
/// let family = RandomFrequencies::gaussian(2, 0.5, 100, Seed::new(1))?;
/// let dirac = Empirical::dirac(&[0.0, 0.0])?;
/// assert_eq!(&family.brackets(&dirac)?[..2], &[1.0, 0.0]); // cos 0, sin 0
/// # Ok::<(), divergences::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RandomFrequencies {
    frequencies: Points,
    /// Frequencies in turns, eight a group.
    turns: Packed,
    tau: Vec<f64>,
}

impl RandomFrequencies {
    /// Given frequencies s (K×d, radians) with one weight each.
    ///
    /// # Errors
    /// No frequency, one that is not finite, or weights that are negative, not finite or not K in number.
    pub fn new(frequencies: Points, tau: &[f64]) -> Result<Self> {
        if frequencies.is_empty() {
            return Err(Error::TooFew { what: "frequencies", at_least: 1, got: 0 });
        }
        frequencies.check_finite("frequencies")?;
        check_tau(frequencies.len(), tau)?;
        let scaled = frequencies.as_slice().iter().map(|s| s / TAU).collect();
        let turns = Packed::new(&Points::from_raw(frequencies.dim(), scaled));
        Ok(RandomFrequencies { frequencies, turns, tau: doubled(tau) })
    }

    /// `count` frequencies drawn from N(0, h⁻² I) with τ = 1/count: random features of the Gaussian kernel
    /// exp(−‖x−y‖²/2h²), of which Σ τ f(x) conj f(y) is an unbiased estimate (Rahimi and Recht, 2007).
    ///
    /// # Errors
    /// `dim` or `count` is zero, or the bandwidth h is not positive and finite.
    pub fn gaussian(dim: usize, bandwidth: f64, count: usize, seed: Seed) -> Result<Self> {
        let h = check_positive("bandwidth", bandwidth)?;
        let mut rng = seed.rng();
        let s = normals(dim, count, &mut rng, |_| h.recip())?;
        RandomFrequencies::new(s, &vec![1.0 / count as f64; count])
    }

    /// `count` frequencies from Student's t with `freedom` degrees of freedom and scale 1/ℓ, τ = 1/count: random features
    /// of the Matérn kernel of smoothness freedom/2 and length ℓ ([`Matern`](crate::kernel::Matern)).
    ///
    /// # Errors
    /// `dim` or `count` is zero, or the length or the degrees of freedom are not positive and finite.
    pub fn student(dim: usize, length: f64, freedom: f64, count: usize, seed: Seed) -> Result<Self> {
        check_positive("length", length)?;
        check_positive("freedom", freedom)?;
        let chi = ChiSquared::new(freedom).map_err(|_| Error::Parameter {
            what: "freedom",
            value: freedom,
            must: "finite and positive",
        })?;
        let mut rng = seed.rng();
        let s = normals(dim, count, &mut rng, |rng| {
            let chi: f64 = chi.sample(rng);
            (freedom / chi.max(f64::MIN_POSITIVE)).sqrt() / length
        })?;
        RandomFrequencies::new(s, &vec![1.0 / count as f64; count])
    }

    /// `count` frequencies for the stable weight |s|^{−(d+1)}/c_d, c_d = π^{(d+1)/2}/Γ((d+1)/2), whose D₂² is the energy
    /// distance. The weight has infinite mass, so it is importance-sampled: uniform directions, radii from the half-Cauchy law
    /// of scale 1/`length`, and τ the ratio of the two densities over `count`. The mean over seeds of D₂² is
    /// the energy distance; one draw has a relative error of the order of count^{−½}.
    ///
    /// # Errors
    /// `dim` or `count` is zero, or the length (a typical distance between points) is not positive and finite.
    pub fn stable(dim: usize, length: f64, count: usize, seed: Seed) -> Result<Self> {
        let rate = check_positive("length", length)?.recip();
        let mut rng = seed.rng();
        let mut s = normals(dim, count, &mut rng, |_| 1.0)?;
        let d = dim as f64;
        // |S^{d−1}| / c_d, by logarithms: Γ overflows beyond d = 340
        let log_sphere = 2f64.ln() + 0.5 * d * PI.ln() - ln_gamma(0.5 * d);
        let log_c = 0.5 * (d + 1.0) * PI.ln() - ln_gamma(0.5 * (d + 1.0));
        let ratio = (log_sphere - log_c).exp();
        let mut tau = Vec::with_capacity(count);
        for row in s.rows_mut() {
            // a uniform on (0, 1): never 0, whose frequency would have no weight
            let u = 1.0 - rng.random::<f64>();
            let radius = rate * (0.5 * PI * u).tan().clamp(1e-8, 1e8);
            let norm = row.iter().map(|z| z * z).sum::<f64>().sqrt();
            row.iter_mut().for_each(|z| *z *= radius / norm);
            let density = 2.0 / PI * rate / (rate * rate + radius * radius);
            tau.push(ratio / (radius * radius * density) / count as f64);
        }
        RandomFrequencies::new(s, &tau)
    }

    /// The frequencies s, K×d, in radians a unit of x.
    pub fn frequencies(&self) -> &Points {
        &self.frequencies
    }

    /// The weight τ of each complex function, K of them.
    pub fn weights(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.tau.iter().step_by(2).copied()
    }

    /// The number of complex functions, K; there are 2K real coordinates.
    pub fn len(&self) -> usize {
        self.frequencies.len()
    }

    /// Always false: a family has a function.
    pub fn is_empty(&self) -> bool {
        self.frequencies.is_empty()
    }
}

/// Rows of independent standard normals, each row times a factor drawn for it.
fn normals(
    dim: usize,
    count: usize,
    rng: &mut ChaCha8Rng,
    mut factor: impl FnMut(&mut ChaCha8Rng) -> f64,
) -> Result<Points> {
    if dim == 0 {
        return Err(Error::TooFew { what: "dim", at_least: 1, got: 0 });
    }
    Ok(Points::from_fn(count, dim, |_, row| {
        let factor = factor(rng);
        for s in row {
            let z: f64 = StandardNormal.sample(rng);
            *s = factor * z;
        }
    }))
}

/// Adds w·cos and w·sin of every point to the sums of every frequency: lanes are frequencies.
struct Brackets<'a> {
    points: &'a Packed,
    weights: &'a [[f64; WIDTH]],
    turns: &'a Packed,
    sums: &'a mut [[[f64; WIDTH]; 2]],
}

impl LaneOp for Brackets<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for g in 0..self.points.len() {
            let x = self.points.group(g);
            let w = &self.weights[g];
            for k in 0..self.turns.len() {
                let t = inner_products(lanes, self.turns.group(k), x);
                let [cos_sum, sin_sum] = &mut self.sums[k];
                let mut c = F64s::load(lanes, cos_sum);
                let mut s = F64s::load(lanes, sin_sum);
                for i in 0..WIDTH {
                    let (sin, cos) = t[i].sin_cos_turns();
                    let w = F64s::splat(lanes, w[i]);
                    c = w.mul_add(cos, c);
                    s = w.mul_add(sin, s);
                }
                c.store(cos_sum);
                s.store(sin_sum);
            }
        }
    }
}

/// h = Σ a_k cos + b_k sin and its gradient at every point: lanes are points.
struct PullBack<'a> {
    points: &'a Packed,
    turns: &'a Packed,
    /// The coefficients a and b of eight frequencies.
    coefficients: &'a [[[f64; WIDTH]; 2]],
    values: &'a mut [[f64; WIDTH]],
    /// Gradients by 1/2π, packed.
    gradients: &'a mut [[f64; WIDTH]],
}

impl LaneOp for PullBack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let dim = self.gradients.len() / self.values.len();
        for g in 0..self.points.len() {
            let x = self.points.group(g);
            let gradient = &mut self.gradients[g * dim..(g + 1) * dim];
            let mut h = F64s::splat(lanes, 0.0);
            for k in 0..self.turns.len() {
                let frequencies = self.turns.group(k);
                let [a, b] = &self.coefficients[k];
                let mut slopes = inner_products(lanes, x, frequencies);
                for i in 0..WIDTH {
                    let (sin, cos) = slopes[i].sin_cos_turns();
                    let (a, b) = (F64s::splat(lanes, a[i]), F64s::splat(lanes, b[i]));
                    h = a.mul_add(cos, b.mul_add(sin, h));
                    slopes[i] = a.neg_mul_add(sin, b * cos);
                }
                for (out, s) in gradient.iter_mut().zip(frequencies) {
                    let mut sum = F64s::load(lanes, out);
                    for i in 0..WIDTH {
                        sum = slopes[i].mul_add(F64s::splat(lanes, s[i]), sum);
                    }
                    sum.store(out);
                }
            }
            h.store(&mut self.values[g]);
        }
    }
}

impl Family for RandomFrequencies {
    fn dim(&self) -> usize {
        self.frequencies.dim()
    }

    fn tau(&self) -> &[f64] {
        &self.tau
    }

    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        check_dim("measure", self.dim(), mu.dim())?;
        let parts = parallel::map_blocks(mu.len(), accumulator_block(mu.len()), |rows| {
            let points = Packed::rows(mu.points(), rows.clone());
            let weights = pack_weights(&mu.weights()[rows]);
            let mut sums = vec![[[0.0; WIDTH]; 2]; self.turns.len()];
            dispatch(Brackets { points: &points, weights: &weights, turns: &self.turns, sums: &mut sums });
            sums
        });
        let mut out = vec![0.0; self.tau.len()];
        for part in parts {
            for (k, pair) in out.chunks_exact_mut(2).enumerate() {
                let [c, s] = &part[k / WIDTH];
                pair[0] += c[k % WIDTH];
                pair[1] += s[k % WIDTH];
            }
        }
        Ok(out)
    }

    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        let mut coefficients = vec![[[0.0; WIDTH]; 2]; self.turns.len()];
        for (k, pair) in c.chunks_exact(2).enumerate() {
            coefficients[k / WIDTH][0][k % WIDTH] = pair[0];
            coefficients[k / WIDTH][1][k % WIDTH] = pair[1];
        }
        Ok(crate::packed::pullback_blocks(x, ROWS, |rows, values, gradients| {
            let points = &Packed::rows(x, rows);
            dispatch(PullBack { points, turns: &self.turns, coefficients: &coefficients, values, gradients });
            for g in gradients {
                g.iter_mut().for_each(|g| *g *= TAU);
            }
        }))
    }

    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        check_dim("points", self.dim(), x.dim())?;
        let mut out = vec![0.0; x.len() * self.tau.len()];
        parallel::fill_blocks(&mut out, self.tau.len(), ROWS, |rows, out| {
            let points = Packed::rows(x, rows);
            dispatch(Values { points: &points, turns: &self.turns, width: self.tau.len(), out });
        });
        Ok(out)
    }

    /// κ(x, x) = Σ τ, a constant.
    fn diagonal(&self, x: &Points) -> Result<Pullback> {
        check_dim("points", self.dim(), x.dim())?;
        let sum = self.tau.iter().step_by(2).sum();
        Ok(Pullback { values: vec![sum; x.len()], gradients: Points::zeros(x.len(), x.dim()) })
    }
}

/// The table of cosines and sines, `width` numbers a point.
struct Values<'a> {
    points: &'a Packed,
    turns: &'a Packed,
    width: usize,
    out: &'a mut [f64],
}

impl LaneOp for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let rows = self.out.len() / self.width;
        for g in 0..self.points.len() {
            for k in 0..self.turns.len() {
                let t = inner_products(lanes, self.turns.group(k), self.points.group(g));
                for i in 0..WIDTH.min(rows - g * WIDTH) {
                    let (sin, cos) = t[i].sin_cos_turns();
                    let (sin, cos) = (sin.to_array(), cos.to_array());
                    let row = &mut self.out[(g * WIDTH + i) * self.width..][..self.width];
                    for (l, pair) in row[2 * k * WIDTH..].chunks_exact_mut(2).take(WIDTH).enumerate() {
                        pair[0] = cos[l];
                        pair[1] = sin[l];
                    }
                }
            }
        }
    }
}
