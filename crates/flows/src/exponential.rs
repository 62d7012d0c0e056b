//! Exponential integrators for the probability flow of Gaussian paths: DPM-Solver++ and DEIS.
//!
//! Along x_t = α x₁ + σ x₀ the flow of eq. (7) is semi-linear in λ = log(α/σ): with the denoiser D(x, t) = E[X₁ | x_t = x],
//! x_t = (σ_t/σ_s) x_s + σ_t ∫_{λ_s}^{λ_t} e^λ D dλ exactly. The linear part is integrated in closed form, and D, which
//! changes slowly, is extrapolated by a polynomial in λ from the values of earlier steps: one evaluation a step.

use crate::error::{Error, FieldError, Result};
use crate::ode::{Status, Trajectory, check_ends, check_mesh, check_start};
use crate::path::{MixturePath, Schedule, check_time};
use crate::state::{Clock, State};
use measures::Points;

/// A denoiser D(x, t) = E[X₁ | x_t = x].
pub trait Denoiser<S: State = Points> {
    /// Writes D(xᵢ, t) over row i of `out`, which comes with the shape of `x`.
    ///
    /// # Errors
    /// Whatever keeps it from being evaluated.
    fn denoise(&self, t: f64, x: &S, out: &mut S) -> Result<(), FieldError>;
}

impl<P: Schedule> Denoiser for MixturePath<P> {
    fn denoise(&self, t: f64, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        *out = self.denoised(Clock::Shared(t), x)?;
        Ok(())
    }
}

/// How D is extrapolated over a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extrapolation {
    /// By its last value, of order 1: DDIM. J. Song, C. Meng and S. Ermon, arXiv:2010.02502.
    Ddim,
    /// By (1 + 1/2r) D_n − (1/2r) D_{n−1} with r the ratio of the last step to this one, of order 2: DPM-Solver++(2M). C. Lu et
    /// al., *DPM-Solver++*, arXiv:2211.01095, algorithm 2.
    TwoM,
    /// By the polynomial in λ through its last two (order 2) or three (order 3) values, whose integral against e^λ is
    /// exact: exponential Adams–Bashforth, as in DEIS. Q. Zhang and Y. Chen, arXiv:2204.13902.
    AdamsBashforth2,
    /// The same through three values, of order 3; the first step takes a second evaluation to begin well.
    AdamsBashforth3,
}

impl Extrapolation {
    /// The order of the method.
    pub fn order(self) -> u32 {
        match self {
            Extrapolation::Ddim => 1,
            Extrapolation::TwoM | Extrapolation::AdamsBashforth2 => 2,
            Extrapolation::AdamsBashforth3 => 3,
        }
    }
}

/// n + 1 times from `t0` to `t1` at equal distances in λ = log(α/σ): the mesh these methods like.
///
/// # Errors
/// No step; λ is not finite at an end (start where α > 0, stop where σ > 0), or does not go one way.
pub fn log_snr_mesh(schedule: &(impl Schedule + ?Sized), t0: f64, t1: f64, steps: usize) -> Result<Vec<f64>> {
    if steps == 0 {
        return Err(measures::Error::TooFew { what: "steps", at_least: 1, got: 0 }.into());
    }
    let (from, to) = (lambda(schedule, t0)?, lambda(schedule, t1)?);
    let rising = to > from;
    let mut mesh = vec![t0];
    for k in 1..steps {
        let wanted = from + (to - from) * k as f64 / steps as f64;
        let (mut a, mut b) = (mesh[k - 1], t1);
        for _ in 0..200 {
            let middle = 0.5 * (a + b);
            if middle == a || middle == b {
                break;
            }
            if (lambda(schedule, middle)? < wanted) == rising { a = middle } else { b = middle }
        }
        mesh.push(0.5 * (a + b));
    }
    mesh.push(t1);
    check_mesh(&mesh)?;
    Ok(mesh)
}

fn lambda(schedule: &(impl Schedule + ?Sized), t: f64) -> Result<f64> {
    check_time(schedule, t)?;
    let value = 0.5 * schedule.log_snr(t);
    if value.is_finite() {
        Ok(value)
    } else {
        let why = "α or σ vanishes; start where α > 0 and stop where σ > 0";
        Err(Error::Singular { what: "log(α/σ)", t, why })
    }
}

/// Carries x₀ along the probability flow of `schedule` on the times of `mesh`, from noise to data or back, with one evaluation
/// of the denoiser a step.
///
/// The last time may be that of data with σ = 0: the last step then is D itself. A row that leaves the finite numbers
/// keeps its last finite state and time.
///
/// ```
/// use flows::{exponential::{Extrapolation, log_snr_mesh, solve}, path::{MixturePath, VariancePreserving}};
/// use measures::{Sample, Seed, zoo::{Gaussian, GaussianMixture}};
/// let vp = VariancePreserving::default();
/// let path = MixturePath::new(vp, &GaussianMixture::ring(8, 4.0, 0.3)?)?;
/// let z = Gaussian::standard(2).sample(100, &mut Seed::new(0).rng());
/// let mesh = log_snr_mesh(&vp, 0.0, 0.999, 20)?;
/// let x = solve(Extrapolation::TwoM, &vp, &path, &z, &mesh)?.finished()?;
/// assert!(x.rows().filter(|x| (x[0].hypot(x[1]) - 4.0).abs() < 1.5).count() > 95);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The mesh has fewer than two times or does not go one way; λ is infinite before the last time, or of no sign after it; no
/// row, or one that is not finite; a denoiser that refuses the start.
pub fn solve<S: State>(
    rule: Extrapolation,
    schedule: &(impl Schedule + ?Sized),
    denoiser: &(impl Denoiser<S> + ?Sized),
    x0: &S,
    mesh: &[f64],
) -> Result<Trajectory<S>> {
    check_mesh(mesh)?;
    let (t0, t1) = (mesh[0], mesh[mesh.len() - 1]);
    check_start(x0, t0, t1)?;
    check_ends(mesh, t0, t1)?;
    let mut log = Trajectory::at_start(x0, t0, &[], false);
    let mut x = x0.clone();
    // The last values of the denoiser with their λ, the latest first.
    let mut history: Vec<(f64, S)> = Vec::new();
    for (k, step) in mesh.windows(2).enumerate() {
        let (s, t) = (step[0], step[1]);
        let here = lambda(schedule, s)?;
        let mut value = x.clone();
        if let Err(source) = denoiser.denoise(s, &x, &mut value) {
            if k == 0 {
                return Err(Error::Field { t: s, source });
            }
            let words = source.to_string();
            for row in (0..x.rows()).filter(|&row| log.counts[row].accepted == k) {
                log.failures.push((row, FieldError::from(words.clone())));
                log.status[row] = Status::Field;
            }
            return Ok(log);
        }
        history.insert(0, (here, value));
        history.truncate(3);
        let sigma = (schedule.sigma(s), schedule.sigma(t));
        let terms: Vec<f64> = if sigma.1 == 0.0 && k + 2 == mesh.len() {
            // λ = ∞: everything of x but the data is gone.
            vec![schedule.alpha(t)]
        } else {
            let there = lambda(schedule, t)?;
            let lambdas: Vec<f64> = history.iter().map(|h| h.0).collect();
            weights(rule, there, &lambdas).iter().map(|w| sigma.1 * w).collect()
        };
        let mut next = x.clone();
        let mut all: Vec<(f64, &S)> = vec![(sigma.1 / sigma.0, &x)];
        all.extend(terms.iter().copied().zip(history.iter().map(|h| &h.1)));
        next.combine(None, Clock::Shared(1.0), &all);
        if rule == Extrapolation::AdamsBashforth3 && k == 0 && sigma.1 > 0.0 {
            // The first step knows one value alone, too little for order 3: correct it with the value at its end.
            let (mut ahead, h) = (next.clone(), lambda(schedule, t)? - here);
            denoiser.denoise(t, &next, &mut ahead).map_err(|source| Error::Field { t, source })?;
            let moment = |m: i32| sigma.1 * here.exp() * exponential_moment(h, m);
            let second = moment(1) / h;
            let all = [(sigma.1 / sigma.0, &x), (moment(0) - second, &history[0].1), (second, &ahead)];
            next.combine(None, Clock::Shared(1.0), &all);
            log.counts.iter_mut().for_each(|c| c.evaluations += 1);
        }
        let finite = next.finite_rows();
        let alive: Vec<usize> =
            (0..finite.len()).filter(|&i| finite[i] && log.counts[i].accepted == k).collect();
        for (i, counts) in log.counts.iter_mut().enumerate() {
            counts.evaluations += usize::from(counts.accepted == k);
            if counts.accepted == k && !finite[i] {
                log.status[i] = Status::NonFinite;
            }
        }
        log.end.take(&alive, &next);
        // Rows that have stopped stand where they were last finite: the denoiser sees no NaN on their account.
        let stopped: Vec<usize> = (0..finite.len()).filter(|i| alive.binary_search(i).is_err()).collect();
        next.take(&stopped, &log.end);
        for i in alive {
            log.counts[i].accepted = k + 1;
            log.times[i] = t;
            log.status[i] = if k + 2 == mesh.len() { Status::Finished } else { log.status[i] };
        }
        x = next;
    }
    Ok(log)
}

/// ∫_{λ₀}^{λ} e^u Σ_j L_j(u) du for the latest values of the denoiser at `lambdas`, the coefficient of each.
fn weights(rule: Extrapolation, to: f64, lambdas: &[f64]) -> Vec<f64> {
    let here = lambdas[0];
    let h = to - here;
    // Integrals ∫_0^h e^v v^m dv · e^{λ₀}, m = 0, 1, 2, by parts, and by series where h is small.
    let moment = |m: i32| here.exp() * exponential_moment(h, m);
    let known = (rule.order() as usize).min(lambdas.len());
    if known == 1 {
        return vec![moment(0)];
    }
    if rule == Extrapolation::TwoM {
        let r = (here - lambdas[1]) / h;
        return vec![moment(0) * (1.0 + 0.5 / r), -moment(0) * 0.5 / r];
    }
    // Lagrange polynomials in v = u − λ₀ through 0, −a (and −b).
    let a = here - lambdas[1];
    if known == 2 {
        return vec![moment(0) + moment(1) / a, -moment(1) / a];
    }
    let b = here - lambdas[2];
    vec![
        moment(0) + moment(1) * (a + b) / (a * b) + moment(2) / (a * b),
        (moment(2) + b * moment(1)) / (a * (a - b)),
        (moment(2) + a * moment(1)) / (b * (b - a)),
    ]
}

/// ∫_0^h e^v v^m dv for m ≤ 2.
fn exponential_moment(h: f64, m: i32) -> f64 {
    if h.abs() < 0.5 {
        // Σ_k h^{m+k+1} / (k! (m + k + 1)).
        let (mut sum, mut factor) = (0.0, h.powi(m + 1));
        for k in 0..20 {
            sum += factor / f64::from(m + k + 1);
            factor *= h / f64::from(k + 1);
        }
        return sum;
    }
    let e = h.exp();
    match m {
        0 => h.exp_m1(),
        1 => e * (h - 1.0) + 1.0,
        _ => e * (h * h - 2.0 * h + 2.0) - 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_agree_with_quadrature() {
        for h in [-2.0, -0.49, -0.01, 1e-6, 0.3, 0.51, 3.0] {
            for m in 0..3 {
                let n = 20_000;
                let at = |k: usize| {
                    let v = h * (k as f64 + 0.5) / f64::from(n);
                    v.exp() * v.powi(m)
                };
                let sum: f64 = (0..n as usize).map(at).sum::<f64>() * h / f64::from(n);
                let exact = exponential_moment(h, m);
                assert!(
                    (sum - exact).abs() < 1e-7 * exact.abs() + 1e-18,
                    "h = {h}, m = {m}: {exact} for {sum}"
                );
            }
        }
    }
}
