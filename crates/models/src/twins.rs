//! Torch twins of the O(n²) reductions that networks are trained by: the MMD of Gaussian kernels, the energy distance and
//! the Sinkhorn divergence, each with its gradient, as tensors on the device where the points are.
//!
//! On the CPU the native code of `divergences` is faster and is what runs. On another device it would have the points fetched
//! and the gradient sent back at every step; there the twin takes its place. Formulas and conventions are those of the
//! native ones, to which a test holds the twins at 1e-10 in double precision. Pairs are handled in tiles of 2048 × 2048 or
//! less: no array grows with n·m.

use crate::bridge::Bridged;
use crate::error::{Error, Result};
use crate::tensor::{scalar, shape2, values};
use divergences::Statistic;
use divergences::kernel::{Energy, Gaussian};
use divergences::transport::Sinkhorn;
use tch::{Device, Kind, Tensor, no_grad};

/// Rows and columns of a tile.
const TILE: i64 = 2048;
/// Up to this dimension distances are summed coordinate by coordinate.
const FEW: i64 = 32;
/// Temperatures of a falling sequence get so many sweeps each.
const SWEEPS_A_TEMPERATURE: usize = 5;
/// Differences of past iterates that the acceleration looks at.
const MEMORY: usize = 6;

/// A divergence between the uniform measures of the rows of two tensors, computed where they are.
///
/// ```
/// use models::{twins::Twin, tch::{Kind, Tensor}};
/// use divergences::{Statistic, kernel::Gaussian};
/// let mmd = Twin::mmd(&[Gaussian::new(1.0)?], Statistic::Plugin)?;
/// let x = Tensor::from_slice(&[0.0]).view([1, 1]).set_requires_grad(true);
/// let y = Tensor::from_slice(&[1.0]).view([1, 1]);
/// let loss = mmd.bridged(&x, &y)?;
/// assert!((loss.value - 2.0 * (1.0 - (-0.5f64).exp())).abs() < 1e-15);
/// loss.surrogate.backward();
/// assert!((x.grad().double_value(&[]) + 2.0 * (-0.5f64).exp()).abs() < 1e-15);
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Twin(Formula);

#[derive(Debug, Clone)]
enum Formula {
    Pairs { kernel: Radial, statistic: Statistic },
    Sinkhorn(Sinkhorn),
}

/// A kernel of the squared distance.
#[derive(Debug, Clone)]
enum Radial {
    /// The mean of exp(−r²/2h²) over the bandwidths h.
    Gaussians(Vec<f64>),
    /// −r^s.
    Power(f64),
}

impl Radial {
    /// k and w with ∇ₓ k(x, y) = w·(y − x), at squared distances.
    fn at(&self, r2: &Tensor) -> (Tensor, Tensor) {
        match self {
            Radial::Gaussians(bandwidths) => {
                let share = 1.0 / bandwidths.len() as f64;
                let (mut k, mut w) = (r2.zeros_like(), r2.zeros_like());
                for h in bandwidths {
                    let e = (r2 * (-0.5 / (h * h))).exp() * share;
                    w += &e / (h * h);
                    k += e;
                }
                (k, w)
            }
            Radial::Power(s) => {
                let power = if *s == 1.0 { r2.sqrt() } else { r2.pow_tensor_scalar(0.5 * s) };
                // At coinciding points the mean over directions, zero.
                let w = (&power * *s / r2).masked_fill(&r2.eq(0.0), 0.0);
                (-power, w)
            }
        }
    }

    /// k(x, x).
    fn diagonal(&self) -> f64 {
        match self {
            Radial::Gaussians(_) => 1.0,
            Radial::Power(_) => 0.0,
        }
    }
}

impl Twin {
    /// The twin of [`divergences::Mmd`] for the mean of these kernels.
    ///
    /// # Errors
    /// There is no kernel.
    pub fn mmd(kernels: &[Gaussian], statistic: Statistic) -> Result<Self> {
        if kernels.is_empty() {
            return Err(measures::Error::TooFew { what: "kernels", at_least: 1, got: 0 }.into());
        }
        let kernel = Radial::Gaussians(kernels.iter().map(Gaussian::bandwidth).collect());
        Ok(Twin(Formula::Pairs { kernel, statistic }))
    }

    /// The twin of [`divergences::Mmd`] for the kernel −‖x − y‖^s: the energy distance.
    pub fn energy(kernel: Energy, statistic: Statistic) -> Self {
        Twin(Formula::Pairs { kernel: Radial::Power(kernel.exponent()), statistic })
    }

    /// The twin of [`divergences::transport::SinkhornDivergence`] for the cost ½‖x − y‖².
    ///
    /// # Errors
    /// A setting is not finite and positive.
    pub fn sinkhorn(settings: Sinkhorn) -> Result<Self> {
        measures::check_positive("epsilon", settings.epsilon)?;
        measures::check_positive("tolerance", settings.tolerance)?;
        Ok(Twin(Formula::Sinkhorn(settings)))
    }

    /// D(n⁻¹ Σ δ(xᵢ), m⁻¹ Σ δ(yⱼ)) of the rows of `x` (n×d) and `y` (m×d) and its gradient in `x` (n×d).
    ///
    /// # Errors
    /// The shapes, kinds or devices do not agree; a coordinate is not finite ([`Error::NonFinite`]); an unbiased estimate of one
    /// point; Sinkhorn's iteration ran out of sweeps, or ε is below what the precision of the tensors can hold.
    pub fn value_and_gradient(&self, x: &Tensor, y: &Tensor) -> Result<(f64, Tensor)> {
        let ((_, d), (_, e)) = (shape2("the generated sample", x)?, shape2("the target", y)?);
        measures::check_dim("the target", d, e)?;
        if (x.kind(), x.device()) != (y.kind(), y.device()) {
            let what = |t: &Tensor| format!("{:?} on {:?}", t.kind(), t.device());
            return Err(Error::setting("the target", what(y), format!("{}, as the points are", what(x))));
        }
        no_grad(|| {
            for (what, t) in [("the generated sample", x), ("the target", y)] {
                if t.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
                    return Err(Error::NonFinite { what });
                }
            }
            // Neither formula knows where the origin is; near it fewer digits cancel.
            let centre = y.f_mean_dim(0, true, y.kind())?;
            let (x, y) = (x.f_sub(&centre)?, y.f_sub(&centre)?);
            match &self.0 {
                Formula::Pairs { kernel, statistic } => pairs(kernel, *statistic, &x, &y),
                Formula::Sinkhorn(settings) => sinkhorn(settings, &x, &y),
            }
        })
    }

    /// The same as a loss to be differentiated, as [`bridged`](crate::bridge::bridged()) gives it.
    ///
    /// # Errors
    /// As [`Twin::value_and_gradient`].
    pub fn bridged(&self, x: &Tensor, y: &Tensor) -> Result<Bridged> {
        let (value, gradient) = self.value_and_gradient(x, y)?;
        Ok(Bridged { value, surrogate: x.f_mul(&gradient)?.f_sum(x.kind())? })
    }
}

/// The starts and lengths of tiles that cover n rows.
fn tiles(n: i64) -> impl Iterator<Item = (i64, i64)> + Clone {
    (0..n).step_by(TILE as usize).map(move |from| (from, TILE.min(n - from)))
}

/// ‖xᵢ − yⱼ‖², by differences: exactly zero at equal points.
fn squares(x: &Tensor, y: &Tensor) -> Tensor {
    let d = x.size()[1];
    if d > FEW {
        // 2: without the matrix product, whose cancellation near zero the energy distance would feel.
        return Tensor::cdist(x, y, 2.0, 2).square();
    }
    let difference = |k: i64| (x.narrow(1, k, 1) - y.narrow(1, k, 1).tr()).square();
    (1..d).fold(difference(0), |sum, k| sum + difference(k))
}

/// Σᵢⱼ k(xᵢ, xⱼ) and the rows Σⱼ ∇k(xᵢ, xⱼ); each pair of tiles once.
fn own(kernel: &Radial, x: &Tensor) -> (Tensor, Tensor) {
    let mut sum = Tensor::zeros([], (Kind::Double, x.device()));
    let gradients = x.zeros_like();
    for (from, rows) in tiles(x.size()[0]) {
        let a = x.narrow(0, from, rows);
        for (until, columns) in tiles(x.size()[0]).filter(|(until, _)| *until >= from) {
            let b = x.narrow(0, until, columns);
            let (k, w) = kernel.at(&squares(&a, &b));
            let pull =
                |w: &Tensor, a: &Tensor, b: &Tensor| w.matmul(b) - a * w.sum_dim_intlist(1, true, w.kind());
            let _ = gradients.narrow(0, from, rows).g_add_(&pull(&w, &a, &b));
            let mut part = k.sum(Kind::Double);
            if until > from {
                let _ = gradients.narrow(0, until, columns).g_add_(&pull(&w.tr(), &b, &a));
                part *= 2.0;
            }
            sum += part;
        }
    }
    (sum, gradients)
}

/// Σᵢⱼ k(xᵢ, yⱼ) and the rows Σⱼ ∇ₓk(xᵢ, yⱼ).
fn cross(kernel: &Radial, x: &Tensor, y: &Tensor) -> (Tensor, Tensor) {
    let mut sum = Tensor::zeros([], (Kind::Double, x.device()));
    let gradients = x.zeros_like();
    for (from, rows) in tiles(x.size()[0]) {
        let a = x.narrow(0, from, rows);
        for (start, columns) in tiles(y.size()[0]) {
            let b = y.narrow(0, start, columns);
            let (k, w) = kernel.at(&squares(&a, &b));
            let part = w.matmul(&b) - &a * w.sum_dim_intlist(1, true, w.kind());
            let _ = gradients.narrow(0, from, rows).g_add_(&part);
            sum += k.sum(Kind::Double);
        }
    }
    (sum, gradients)
}

fn pairs(kernel: &Radial, statistic: Statistic, x: &Tensor, y: &Tensor) -> Result<(f64, Tensor)> {
    // What leaves a sum over all pairs, and what the rest is divided by.
    let (n, m) = (x.size()[0] as f64, y.size()[0] as f64);
    let form = |what: &'static str, n: f64| match statistic {
        Statistic::Plugin => Ok((0.0, n * n)),
        Statistic::Unbiased if n >= 2.0 => Ok((n * kernel.diagonal(), n * (n - 1.0))),
        Statistic::Unbiased => Err(measures::Error::TooFew { what, at_least: 2, got: n as usize }),
    };
    let (off_x, pairs_x) = form("points, for an unbiased estimate", n)?;
    let (off_y, pairs_y) = form("target points, for an unbiased estimate", m)?;
    let ((of_x, pull), (of_y, _), (between, push)) = (own(kernel, x), own(kernel, y), cross(kernel, x, y));
    let value = (of_x - off_x) / pairs_x + (of_y - off_y) / pairs_y - between * (2.0 / (n * m));
    Ok((scalar(&value)?, pull * (2.0 / pairs_x) - push * (2.0 / (n * m))))
}

/// c(xᵢ, yⱼ) = ½‖xᵢ − yⱼ‖² of a tile.
fn costs(x: &Tensor, y: &Tensor) -> Tensor {
    squares(x, y) * 0.5
}

/// A transport problem at one temperature.
struct Entropic<'a> {
    x: &'a Tensor,
    y: &'a Tensor,
    epsilon: f64,
}

impl Entropic<'_> {
    /// The soft c-transform fᵢ = −ε log(m⁻¹ Σⱼ e^{(gⱼ − cᵢⱼ)/ε}): it gives every row its mass.
    fn transform(&self, g: &Tensor) -> Tensor {
        let log_m = (self.y.size()[0] as f64).ln();
        let part = |(from, rows): (i64, i64)| {
            let a = self.x.narrow(0, from, rows);
            let mut sum: Option<Tensor> = None;
            for (start, columns) in tiles(self.y.size()[0]) {
                let c = costs(&a, &self.y.narrow(0, start, columns));
                let log = ((g.narrow(0, start, columns) - c) / self.epsilon).logsumexp([1], false);
                sum = Some(match sum {
                    Some(sum) => sum.logaddexp(&log),
                    None => log,
                });
            }
            (sum.expect("a measure has atoms") - log_m) * -self.epsilon
        };
        Tensor::cat(&tiles(self.x.size()[0]).map(part).collect::<Vec<_>>(), 0)
    }

    /// Σⱼ m⁻¹ e^{(fᵢ + gⱼ − cᵢⱼ)/ε} yⱼ with f the transform of g: where the plan sends xᵢ on average.
    fn barycentres(&self, f: &Tensor, g: &Tensor) -> Tensor {
        let m = self.y.size()[0] as f64;
        let out = self.x.zeros_like();
        for (from, rows) in tiles(self.x.size()[0]) {
            let a = self.x.narrow(0, from, rows);
            let f = f.narrow(0, from, rows).unsqueeze(1);
            for (start, columns) in tiles(self.y.size()[0]) {
                let b = self.y.narrow(0, start, columns);
                let plan = ((&f + g.narrow(0, start, columns) - costs(&a, &b)) / self.epsilon).exp() / m;
                let _ = out.narrow(0, from, rows).g_add_(&plan.matmul(&b));
            }
        }
        out
    }

    fn largest(&self) -> Result<f64> {
        let mut largest: f64 = 0.0;
        for (from, rows) in tiles(self.x.size()[0]) {
            for (start, columns) in tiles(self.y.size()[0]) {
                let c = costs(&self.x.narrow(0, from, rows), &self.y.narrow(0, start, columns));
                largest = largest.max(scalar(&c.max())?);
            }
        }
        Ok(largest)
    }

    fn at(&self, epsilon: f64) -> Self {
        Entropic { epsilon, ..*self }
    }

    fn mirrored(&self) -> Self {
        Entropic { x: self.y, y: self.x, epsilon: self.epsilon }
    }

    /// f and g of OT_ε, rows exact.
    fn solve(&self, settings: &Sinkhorn, tolerance: f64, largest: f64) -> Result<(Tensor, Tensor)> {
        let mut g = self.y.new_zeros([self.y.size()[0]], (self.y.kind(), self.y.device()));
        for epsilon in temperatures(settings.epsilon, largest) {
            let (there, back) = (self.at(epsilon), self.mirrored().at(epsilon));
            for _ in 0..SWEEPS_A_TEMPERATURE {
                g = back.transform(&there.transform(&g));
            }
        }
        let back = self.mirrored();
        let g = settle(settings, tolerance, g, |g| {
            let next = back.transform(&self.transform(g));
            let step = &next - g;
            (next, step)
        })?;
        Ok((self.transform(&g), g))
    }

    /// The potential of OT_ε of a measure with itself, twice: the iteration that takes the mean of both.
    fn solve_with_itself(
        &self,
        settings: &Sinkhorn,
        tolerance: f64,
        largest: f64,
    ) -> Result<(Tensor, Tensor)> {
        let mut f = self.x.new_zeros([self.x.size()[0]], (self.x.kind(), self.x.device()));
        for epsilon in temperatures(settings.epsilon, largest) {
            let there = self.at(epsilon);
            for _ in 0..SWEEPS_A_TEMPERATURE {
                f = (&f + there.transform(&f)) * 0.5;
            }
        }
        let f = settle(settings, tolerance, f, |f| {
            let next = self.transform(f);
            let step = (&next - f) * 0.5;
            (next, step)
        })?;
        Ok((self.transform(&f), f))
    }
}

/// Temperatures from a quarter of the largest cost down to above the one asked for.
fn temperatures(epsilon: f64, largest: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(0.25 * largest), |e| Some(0.5 * e)).take_while(move |e| *e > 2.0 * epsilon)
}

/// Iterates p ← p + step with Anderson's acceleration until the marginal error Σⱼ bⱼ |e^{(p − next)/ε} − 1| is within
/// `tolerance`. `sweep` returns what a plain sweep makes of p, and the step of the iteration.
fn settle(
    settings: &Sinkhorn,
    tolerance: f64,
    mut p: Tensor,
    sweep: impl Fn(&Tensor) -> (Tensor, Tensor),
) -> Result<Tensor> {
    let mut past: Vec<(Tensor, Tensor)> = Vec::new();
    let mut last: Option<(Tensor, Tensor, f64)> = None;
    for _ in 0..settings.max_iterations.max(1) {
        let (next, step) = sweep(&p);
        let error = scalar(&(((&p - &next) / settings.epsilon).exp() - 1.0).abs().mean(Kind::Double))?;
        if error <= tolerance {
            return Ok(p);
        }
        if let Some((before, step_before, error_before)) = &last {
            if error.is_finite() && error < 2.0 * error_before {
                past.push((&p - before, &step - step_before));
                if past.len() > MEMORY {
                    drop(past.remove(0));
                }
            } else {
                past.clear();
            }
        }
        let ahead = if past.is_empty() { &p + &step } else { accelerated(&p, &step, &past)? };
        // A far jump may leave the range of the exponential: the plain sweep never does.
        let ahead = if error.is_finite() { ahead } else { next };
        last = Some((p, step, error));
        p = ahead;
    }
    Err(measures::Error::Undefined {
        what: "Sinkhorn divergence to the tolerance asked for",
        why: "the iterations allowed ran out first (raise max_iterations, tolerance or epsilon)",
    }
    .into())
}

/// p + r − Σ γᵢ (Δpᵢ + Δrᵢ) with γ the least squares solution of Σ γᵢ Δrᵢ = r.
fn accelerated(p: &Tensor, r: &Tensor, past: &[(Tensor, Tensor)]) -> Result<Tensor> {
    let stack = |part: fn(&(Tensor, Tensor)) -> &Tensor| {
        Tensor::stack(&past.iter().map(part).collect::<Vec<_>>(), 0).to_kind(Kind::Double)
    };
    let (dp, dr) = (stack(|d| &d.0), stack(|d| &d.1));
    let gram = dr.matmul(&dr.tr()).to_device(Device::Cpu);
    let right = dr.matmul(&r.to_kind(Kind::Double)).to_device(Device::Cpu);
    let ridge = 1e-12 * scalar(&gram.trace())? + f64::MIN_POSITIVE;
    let gram = gram + Tensor::eye(past.len() as i64, (Kind::Double, Device::Cpu)) * ridge;
    let gamma = Tensor::f_linalg_solve(&gram, &right, true)?;
    if values(&gamma)?.iter().any(|g| !g.is_finite()) {
        return Ok(p + r);
    }
    let correction = (dp + dr).tr().matmul(&gamma.to_device(p.device()));
    Ok(p + r - correction.to_kind(p.kind()))
}

fn sinkhorn(settings: &Sinkhorn, x: &Tensor, y: &Tensor) -> Result<(f64, Tensor)> {
    let problem = |x, y| Entropic { x, y, epsilon: settings.epsilon };
    let (between, of_x, of_y) = (problem(x, y), problem(x, x), problem(y, y));
    let largest = between.largest()?.max(of_x.largest()?).max(of_y.largest()?);
    let unit = if x.kind() == Kind::Float { f64::from(f32::EPSILON) } else { f64::EPSILON };
    // The marginal error that round-off allows.
    let floor = 4.0 * unit * (largest / settings.epsilon + 8.0);
    if floor > 0.1 {
        let must = format!("at least {:e} at this precision and size of the points", 40.0 * unit * largest);
        return Err(Error::setting("epsilon", settings.epsilon, must));
    }
    let tolerance = settings.tolerance.max(floor);
    let (f, g) = between.solve(settings, tolerance, largest)?;
    let (own_f, own_g) = of_x.solve_with_itself(settings, tolerance, largest)?;
    let (far_f, far_g) = of_y.solve_with_itself(settings, tolerance, largest)?;
    let dual = |f: &Tensor, g: &Tensor| f.mean(Kind::Double) + g.mean(Kind::Double);
    let value = dual(&f, &g) - (dual(&own_f, &own_g) + dual(&far_f, &far_g)) * 0.5;
    let gradient = (of_x.barycentres(&own_f, &own_g) - between.barycentres(&f, &g)) / x.size()[0] as f64;
    Ok((scalar(&value)?, gradient))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{to_points, to_tensor};
    use divergences::kernel::Mixture;
    use divergences::transport::{NormPower, SinkhornDivergence};
    use divergences::{Divergence, Mmd};
    use measures::{Empirical, Points, Sample, Seed, zoo};

    fn cloud(n: usize, d: usize, seed: u64) -> Points {
        let mean = vec![5.0 + 0.3 * seed as f64; d];
        zoo::Gaussian::isotropic(&mean, 0.8).unwrap().sample(n, &mut Seed::new(seed).rng())
    }

    /// The largest differences of value and gradient between a twin and its native divergence.
    fn gap(twin: &Twin, native: &dyn Divergence, x: &Points, y: &Points) -> (f64, f64) {
        let tensor = |p: &Points| to_tensor(p, Kind::Double, Device::Cpu).unwrap();
        let (value, gradient) = twin.value_and_gradient(&tensor(x), &tensor(y)).unwrap();
        let uniform = |p: &Points| Empirical::uniform(p.clone()).unwrap();
        let exact = native.variation(&uniform(x), &uniform(y)).unwrap();
        let gradient = to_points(&gradient).unwrap();
        let pairs = gradient.as_slice().iter().zip(exact.d_points.as_slice());
        ((value - exact.value).abs(), pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max))
    }

    /// More rows than a tile, fewer, and one dimension beyond which distances are found in another way.
    const SIZES: [(usize, usize, usize); 4] = [(2100, 300, 2), (300, 2100, 1), (40, 50, 5), (30, 25, 40)];

    #[test]
    fn sums_over_pairs_are_the_native_ones() {
        for (n, m, d) in SIZES {
            let (mut x, y) = (cloud(n, d, 1), cloud(m, d, 2));
            // coinciding points, within a sample and between both
            let first = x.row(0).to_vec();
            x.row_mut(1).copy_from_slice(&first);
            x.row_mut(2).copy_from_slice(y.row(3));
            for statistic in [Statistic::Plugin, Statistic::Unbiased] {
                let check = |name: &str, twin: Twin, native: &dyn Divergence| {
                    let (value, gradient) = gap(&twin, native, &x, &y);
                    println!("{name} {n}×{m}, d = {d}, {statistic:?}: {value:.1e}, gradient {gradient:.1e}");
                    assert!(value < 1e-10 && gradient < 1e-10, "{name} {n} {m} {d}: {value:e} {gradient:e}");
                };
                let h = [2.0, 0.6, 0.2];
                let kernels = h.map(|h| Gaussian::new(h).unwrap());
                let native = Mmd::new(Mixture::of_bandwidths(&h).unwrap(), statistic);
                check("mmd", Twin::mmd(&kernels, statistic).unwrap(), &native);
                for s in [1.0, 0.5, 1.5] {
                    let kernel = Energy::new(s).unwrap();
                    check("energy", Twin::energy(kernel, statistic), &Mmd::new(kernel, statistic));
                }
            }
        }
    }

    #[test]
    fn the_sinkhorn_divergence_is_the_native_one() {
        for (n, m, d) in [(2100, 60, 2), (150, 130, 1), (40, 50, 5), (30, 25, 40)] {
            let (x, y) = (cloud(n, d, 1), cloud(m, d, 2));
            for epsilon in [0.2, 1.0] {
                let epsilon = epsilon * d as f64;
                let settings = Sinkhorn::new(epsilon).unwrap().tolerance(1e-13).max_iterations(5000);
                let native = SinkhornDivergence::with_settings(settings, NormPower::half_squared_euclidean());
                let (value, gradient) = gap(&Twin::sinkhorn(settings).unwrap(), &native, &x, &y);
                println!("sinkhorn {n}×{m}, d = {d}, ε = {epsilon}: {value:.1e}, gradient {gradient:.1e}");
                assert!(value < 1e-10 && gradient < 1e-10, "{n} {m} {d} {epsilon}: {value:e} {gradient:e}");
            }
        }
    }

    /// At the settings of training: small ε, rough tolerance, single precision.
    #[test]
    fn training_settings_converge_in_single_precision() {
        let (x, y) = (cloud(256, 2, 1), cloud(256, 2, 2));
        let settings = Sinkhorn::new(0.0064).unwrap().tolerance(1e-3).max_iterations(200);
        let tensor = |p: &Points, kind| to_tensor(p, kind, Device::Cpu).unwrap();
        let twin = Twin::sinkhorn(settings).unwrap();
        let (value, gradient) =
            twin.value_and_gradient(&tensor(&x, Kind::Float), &tensor(&y, Kind::Float)).unwrap();
        let native = SinkhornDivergence::with_settings(settings, NormPower::half_squared_euclidean());
        let uniform = |p: &Points| Empirical::uniform(p.clone()).unwrap();
        let exact = native.variation(&uniform(&x), &uniform(&y)).unwrap();
        assert!((value - exact.value).abs() < 1e-3 * exact.value, "{value} {}", exact.value);
        let off = gradient.to_kind(Kind::Double) - tensor(&exact.d_points, Kind::Double);
        let scale = tensor(&exact.d_points, Kind::Double).norm();
        let off = scalar(&(off.norm() / scale)).unwrap();
        assert!(off < 0.02, "{off}");
    }

    #[test]
    fn bad_input_is_refused() {
        let energy = Twin::energy(Energy::distance(), Statistic::Unbiased);
        let t = |v: &[f64], d: i64| Tensor::from_slice(v).view([-1, d]);
        let refuse = |x: &Tensor, y: &Tensor| energy.value_and_gradient(x, y).unwrap_err().to_string();
        let two = t(&[0.0, 1.0], 1);
        assert!(refuse(&t(&[0.0], 1), &two).contains("unbiased"));
        assert!(refuse(&two, &t(&[0.0, 1.0], 2)).contains("dimension"));
        assert!(refuse(&t(&[0.0, f64::NAN], 1), &two).contains("not finite"));
        assert!(refuse(&two, &two.to_kind(Kind::Float)).contains("Float"));
        assert!(Twin::mmd(&[], Statistic::Plugin).is_err());
        let cold = Twin::sinkhorn(Sinkhorn::new(1e-9).unwrap()).unwrap();
        let single = two.to_kind(Kind::Float);
        let error = cold.value_and_gradient(&single, &(&single * 3.0)).unwrap_err().to_string();
        assert!(error.contains("epsilon"), "{error}");
        let few = Twin::sinkhorn(Sinkhorn::new(1e-3).unwrap().max_iterations(1)).unwrap();
        let (x, y) = (t(&[0.0, 1.0, 5.0, 2.0], 1), t(&[0.3, 1.4, 4.0], 1));
        assert!(few.value_and_gradient(&x, &y).unwrap_err().to_string().contains("ran out"));
    }
}
