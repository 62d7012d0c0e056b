//! The minimising movements of Jordan, Kinderlehrer and Otto on the line, by quantiles.

use crate::error::Result;
use measures::{check_finite, check_positive};

/// A measure on the line by its n quantiles X_1 < … < X_n, each of mass 1/n.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiles(Vec<f64>);

impl Quantiles {
    /// The measure with these quantiles.
    ///
    /// # Errors
    /// Fewer than two, one that is not finite, or two that are not in strict order.
    pub fn new(x: Vec<f64>) -> Result<Self> {
        if x.len() < 2 {
            return Err(measures::Error::TooFew { what: "quantiles", at_least: 2, got: x.len() }.into());
        }
        check_finite("quantiles", &x)?;
        if let Some(k) = x.windows(2).position(|w| w[0] >= w[1]) {
            let must = "above the one before it";
            return Err(
                measures::Error::Entry { what: "quantiles", index: k + 1, value: x[k + 1], must }.into()
            );
        }
        Ok(Quantiles(x))
    }

    /// The quantiles, in order.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// W₂² to another measure with as many quantiles: n⁻¹ Σ (X_k − Y_k)².
    ///
    /// # Errors
    /// Another number of quantiles.
    pub fn squared_distance(&self, other: &Quantiles) -> Result<f64> {
        measures::check_len("quantiles", self.0.len(), other.0.len())?;
        let sum: f64 = self.0.iter().zip(&other.0).map(|(x, y)| (x - y).powi(2)).sum();
        Ok(sum / self.0.len() as f64)
    }
}

/// Steps μ_{k+1} = argmin W₂²(μ, μ_k)/(2τ) + F(μ) of F = ∫E dμ + ∫ρ log ρ, whose limit τ → 0 is Fokker–Planck.
///
/// On quantiles W₂ is Euclidean and ∫ρ log ρ = −n⁻¹ Σ log(n (X_{k+1} − X_k)): a smooth problem, convex where E is, solved by
/// Newton's method on a tridiagonal matrix. F decreases at every step, whatever τ. R. Jordan, D. Kinderlehrer and F. Otto, *The
/// variational formulation of the Fokker–Planck equation*, SIAM J. Math. Anal. 29 (1998), doi:10.1137/S0036141096303359
/// (reference 30 of the paper).
pub struct Jko<'a> {
    energy: Energy<'a>,
    tau: f64,
}

/// E, E′ and E″ at a point.
type Energy<'a> = Box<dyn Fn(f64) -> (f64, f64, f64) + 'a>;

impl<'a> Jko<'a> {
    /// Steps of length τ for the energy whose value and first two derivatives `energy` gives.
    ///
    /// # Errors
    /// τ is not finite and positive.
    pub fn new(tau: f64, energy: impl Fn(f64) -> (f64, f64, f64) + 'a) -> Result<Self> {
        Ok(Jko { energy: Box::new(energy), tau: check_positive("tau", tau)? })
    }

    /// F(μ).
    pub fn functional(&self, mu: &Quantiles) -> f64 {
        self.value(&mu.0)
    }

    fn value(&self, x: &[f64]) -> f64 {
        let n = x.len() as f64;
        let potential: f64 = x.iter().map(|x| (self.energy)(*x).0).sum();
        let entropy: f64 = x.windows(2).map(|w| -(n * (w[1] - w[0])).ln()).sum();
        (potential + entropy) / n
    }

    fn objective(&self, x: &[f64], from: &[f64]) -> f64 {
        let square: f64 = x.iter().zip(from).map(|(x, y)| (x - y).powi(2)).sum();
        square / (2.0 * self.tau * x.len() as f64) + self.value(x)
    }

    /// One step.
    ///
    /// # Errors
    /// Newton's method finds no further decrease before its gradient is small: an energy that is not finite or whose
    /// derivatives are wrong, or one so far from convex that τ is too long for it.
    pub fn step(&self, mu: &Quantiles) -> Result<Quantiles> {
        let (from, n) = (&mu.0, mu.0.len());
        let mut x = from.clone();
        let mut value = self.objective(&x, from);
        let (mut diagonal, mut beside) = (vec![0.0; n], vec![0.0; n - 1]);
        let (mut direction, mut room) = (vec![0.0; n], Vec::new());
        for _ in 0..200 {
            // n times gradient and Hessian.
            for k in 0..n {
                let (_, slope, curvature) = (self.energy)(x[k]);
                direction[k] = (x[k] - from[k]) / self.tau + slope;
                // Where E is concave its curvature would spoil the descent.
                diagonal[k] = 1.0 / self.tau + curvature.max(0.0);
            }
            for k in 0..n - 1 {
                let gap = x[k + 1] - x[k];
                direction[k] += 1.0 / gap;
                direction[k + 1] -= 1.0 / gap;
                let bend = 1.0 / (gap * gap);
                diagonal[k] += bend;
                diagonal[k + 1] += bend;
                beside[k] = -bend;
            }
            let gradient = direction.clone();
            solve_tridiagonal(&diagonal, &beside, &mut direction, &mut room);
            // Newton's decrement: what the step still promises.
            let promise = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum::<f64>() / n as f64;
            if promise <= 1e-14 * (1.0 + value.abs()) {
                // Below the resolution of the objective a line search is blind: one whole step, which squares the error.
                let last: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x - d).collect();
                return Quantiles::new(if last.windows(2).all(|w| w[0] < w[1]) { last } else { x });
            }
            let mut t = 1.0;
            let next = loop {
                let trial: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x - t * d).collect();
                if trial.windows(2).all(|w| w[0] < w[1]) {
                    let next = self.objective(&trial, from);
                    if next <= value - 1e-4 * t * promise {
                        break Some((trial, next));
                    }
                }
                t *= 0.5;
                if t < 1e-12 {
                    break None;
                }
            };
            match next {
                Some((trial, lower)) => (x, value) = (trial, lower),
                // As low as round-off lets one see.
                None if promise <= 1e-10 * (1.0 + value.abs()) => return Quantiles::new(x),
                None => break,
            }
        }
        let why = "Newton's method finds no decrease: check the energy's derivatives, or take a shorter step";
        Err(measures::Error::Undefined { what: "the minimiser of a JKO step", why }.into())
    }

    /// `steps` steps, the start included.
    ///
    /// # Errors
    /// As [`Jko::step`].
    pub fn run(&self, start: &Quantiles, steps: usize) -> Result<Vec<Quantiles>> {
        let mut all = vec![start.clone()];
        for _ in 0..steps {
            let next = self.step(&all[all.len() - 1])?;
            all.push(next);
        }
        Ok(all)
    }
}

/// Solves a symmetric positive definite tridiagonal system in place of `rhs`.
fn solve_tridiagonal(diagonal: &[f64], beside: &[f64], rhs: &mut [f64], room: &mut Vec<f64>) {
    let n = rhs.len();
    room.clear();
    room.resize(n, 0.0);
    let mut pivot = diagonal[0];
    rhs[0] /= pivot;
    for i in 1..n {
        room[i] = beside[i - 1] / pivot;
        pivot = diagonal[i] - beside[i - 1] * room[i];
        rhs[i] = (rhs[i] - beside[i - 1] * rhs[i - 1]) / pivot;
    }
    for i in (0..n - 1).rev() {
        rhs[i] -= room[i + 1] * rhs[i + 1];
    }
}
