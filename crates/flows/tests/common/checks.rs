//! Checks of exact statements. The suite applies them to the library; `power.rs` applies the same to planted bugs.

use super::{kolmogorov, kolmogorov_limit, largest, mixture_cdf};
use flows::field::{AffineField, JacobianTrace};
use flows::grid::Line;
use flows::langevin::Chains;
use flows::likelihood::log_density;
use flows::measures::nalgebra::{DMatrix, SymmetricEigen};
use flows::measures::zoo::{Gaussian, GaussianMixture};
use flows::measures::{Density, Points, Sample, Seed};
use flows::ode::{DOP853, Ode, Stepper, TSITOURAS};
use flows::path::{MixturePath, OrnsteinUhlenbeck};
use flows::sde::{Additive, BrownianTree, Equation, Noise, Scheme, Sde, Shark};
use flows::{Clock, VelocityField};

/// `Ok`, or what was found and what was to be found.
pub(crate) type Verdict = Result<(), String>;

pub(crate) fn verdict(what: &str, good: bool, found: impl std::fmt::Display) -> Verdict {
    if good { Ok(()) } else { Err(format!("{what}: {found}")) }
}

/// Kolmogorov's test at α = 1e-6.
pub(crate) fn law(what: &str, x: &[f64], cdf: impl Fn(f64) -> f64) -> Verdict {
    let statistic = kolmogorov(x, cdf);
    verdict(
        what,
        statistic < kolmogorov_limit(),
        format!("Kolmogorov statistic {statistic:.2} of {}", x.len()),
    )
}

/// Two Gaussians on the line that are not symmetric, with (weight, mean, σ) of each.
pub(crate) fn two_on_the_line() -> (GaussianMixture, Vec<(f64, f64, f64)>) {
    let parts = vec![(0.4, 1.5, 0.4), (0.6, -0.4, 0.6)];
    let means = Points::from_line(parts.iter().map(|p| p.1).collect());
    let sigmas: Vec<f64> = parts.iter().map(|p| p.2).collect();
    (GaussianMixture::isotropic(parts.iter().map(|p| p.0).collect(), means, &sigmas).unwrap(), parts)
}

/// The law of a X + b Z.
pub(crate) fn noised(parts: &[(f64, f64, f64)], a: f64, b: f64) -> Vec<(f64, f64, f64)> {
    parts.iter().map(|(w, m, s)| (*w, a * m, (a * s).hypot(b))).collect()
}

/// The law of eq. (5) with E = ½x² at s = 0.7, from [`two_on_the_line`].
pub(crate) fn law_of_ou<E: Equation<Points>, C: Scheme<E, Points>>(
    what: &str,
    sde: &Sde<E, C>,
    equation: &E,
    noise: &impl Noise<Points>,
) -> Verdict {
    let (data, parts) = two_on_the_line();
    let x = data.sample(20_000, &mut Seed::new(8).rng());
    let end = sde.solve(equation, noise, &x, 0.0, 0.7).unwrap().finished().map_err(|e| e.to_string())?;
    let exact = noised(&parts, (-0.7f64).exp(), (-(-1.4f64).exp_m1()).sqrt());
    law(what, end.as_slice(), mixture_cdf(&exact))
}

/// The law that the reverse of the Ornstein–Uhlenbeck diffusion, run from s = 4 to s = 0.02, arrives in.
pub(crate) fn law_of_the_reverse<E: Equation<Points>>(
    what: &str,
    equation: &E,
    noise: &impl Noise<Points>,
) -> Verdict
where
    Shark: Scheme<E, Points>,
{
    let (data, parts) = two_on_the_line();
    let path = MixturePath::new(OrnsteinUhlenbeck, &data).unwrap();
    let start = path.law(4.0).unwrap().sample(6_000, &mut Seed::new(10).rng());
    let mesh: Vec<f64> = (0..=120).map(|k| 4.0 * (0.02f64 / 4.0).powf(f64::from(k) / 120.0)).collect();
    let end = *mesh.last().unwrap();
    let run = Sde::on_mesh(Shark, mesh).unwrap().solve(equation, noise, &start, 4.0, end).unwrap();
    let near = noised(&parts, (-0.02f64).exp(), (-(-0.04f64).exp_m1()).sqrt());
    law(what, run.finished().map_err(|e| e.to_string())?.as_slice(), mixture_cdf(&near))
}

/// W ~ N(0, h) and H ~ N(0, h/12), apart from one another, from step to step and from particle to particle.
pub(crate) fn increments(what: &str, noise: &impl Noise<Points>) -> Verdict {
    let n = 20_000;
    let like = Points::zeros(n, 1);
    let mut walk = noise.walk(0..n, &like).unwrap();
    let steps = [(0.0, 0.25), (0.25, 0.5), (0.5, 1.0)].map(|(from, to)| {
        let (mut w, mut h) = (like.clone(), like.clone());
        walk.next(from, to, &mut w, Some(&mut h)).unwrap();
        let root = f64::sqrt(to - from);
        let scaled = |p: &Points, by: f64| p.as_slice().iter().map(|x| x / by).collect::<Vec<f64>>();
        (scaled(&w, root), scaled(&h, root / 12f64.sqrt()))
    });
    let standard = [(1.0, 0.0, 1.0)];
    for (w, h) in &steps {
        law(&format!("{what}: W"), w, mixture_cdf(&standard))?;
        law(&format!("{what}: H"), h, mixture_cdf(&standard))?;
    }
    let limit = 5.0 / (n as f64).sqrt();
    let apart = |name: &str, a: &[f64], b: &[f64]| {
        let product = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64;
        verdict(&format!("{what}: {name} are correlated"), product.abs() < limit, product)
    };
    for (k, (w, h)) in steps.iter().enumerate() {
        apart("W and H", w, h)?;
        apart("neighbours", &w[1..], &w[..n - 1])?;
        for (other, area) in &steps[..k] {
            apart("steps", w, other)?;
            apart("areas", h, area)?;
        }
    }
    Ok(())
}

fn power(m: &DMatrix<f64>, p: f64) -> DMatrix<f64> {
    let eigen = SymmetricEigen::new(m.clone());
    let diagonal = DMatrix::from_diagonal(&eigen.eigenvalues.map(|l| l.powf(p)));
    &eigen.eigenvectors * diagonal * eigen.eigenvectors.transpose()
}

/// A tilted Gaussian of the plane: its law and its covariance.
pub(crate) fn tilted_gaussian() -> (Gaussian, DMatrix<f64>) {
    let (c, s) = (0.7f64.cos(), 0.7f64.sin());
    let r = DMatrix::from_row_slice(2, 2, &[c, -s, s, c]);
    let m = &r * DMatrix::from_diagonal(&vec![3.0, 0.1].into()) * r.transpose();
    let sigma = (&m + m.transpose()) * 0.5;
    (Gaussian::new(vec![1.0, -2.0], sigma.clone()).unwrap(), sigma)
}

/// `field` must be the probability flow of OU from [`tilted_gaussian`], e^{−s}m + Σ_s^½ Σ^{−½}(x − m) at every s, and
/// lead back.
pub(crate) fn flow_of_ou(what: &str, field: &(impl VelocityField + Sync)) -> Verdict {
    let (data, sigma) = tilted_gaussian();
    let m = data.mean().to_vec();
    let x = data.sample(64, &mut Seed::new(4).rng());
    let times = [0.0, 0.1, 0.5, 1.0, 3.0, 8.0];
    let ode = Ode::adaptive(DOP853, 1e-11, 1e-11).unwrap().save_at(&times);
    let run = ode.solve(field, &x, 0.0, 8.0).unwrap();
    for (s, at) in &run.saved {
        let law = &sigma * (-2.0 * s).exp() - DMatrix::identity(2, 2) * (-2.0 * s).exp_m1();
        let map = power(&law, 0.5) * power(&sigma, -0.5);
        let exact = Points::from_fn(64, 2, |i, row| {
            let z = [x.row(i)[0] - m[0], x.row(i)[1] - m[1]];
            (0..2).for_each(|c| row[c] = (-s).exp() * m[c] + map[(c, 0)] * z[0] + map[(c, 1)] * z[1]);
        });
        let gap = largest(at, &exact);
        verdict(&format!("{what} at s = {s}"), gap < 1e-8, format!("{gap:e} from the exact map"))?;
    }
    let back = Ode::adaptive(DOP853, 1e-11, 1e-11).unwrap().solve(field, &run.end, 8.0, 0.0).unwrap().end;
    let gap = largest(&back, &x);
    verdict(&format!("{what}, and back"), gap < 1e-6, format!("{gap:e} from the start"))
}

/// `field` must carry ⟨He_k|ρ_s⟩ = e^{−ks} ⟨He_k|ρ₀⟩, k = 1, …, 4, from [`two_on_the_line`].
pub(crate) fn hermite_decay(what: &str, field: &(impl VelocityField + Sync)) -> Verdict {
    let (data, _) = two_on_the_line();
    // ⟨f|ρ_s⟩ = ∫ f(χ_s(x)) ρ₀(x) dx by the trapezoidal rule, spectrally accurate on the line.
    let x = Points::from_fn(1_201, 1, |i, x| x[0] = -6.0 + 0.01 * i as f64);
    let weights: Vec<f64> = data.log_density(&x).unwrap().iter().map(|l| 0.01 * l.exp()).collect();
    let ode = Ode::adaptive(TSITOURAS, 1e-10, 1e-10).unwrap().save_at(&[0.0, 0.3, 1.0, 2.0]);
    let run = ode.solve(field, &x, 0.0, 2.0).unwrap();
    let hermite = |k: i32, x: f64| match k {
        1 => x,
        2 => x * x - 1.0,
        3 => x.powi(3) - 3.0 * x,
        _ => x.powi(4) - 6.0 * x * x + 3.0,
    };
    for k in 1..=4 {
        let moment =
            |at: &Points| at.as_slice().iter().zip(&weights).map(|(x, w)| w * hermite(k, *x)).sum::<f64>();
        for (s, at) in &run.saved {
            let (found, exact) = (moment(at), (-f64::from(k) * s).exp() * moment(&x));
            let words = format!("{found} for {exact}");
            verdict(&format!("{what}: He_{k} at {s}"), (found - exact).abs() < 1e-7, words)?;
        }
    }
    Ok(())
}

/// `field` must be x ↦ Ax + b with the A and b of [`spiral`]: the density that it carries is known.
pub(crate) fn affine_log_density(what: &str, field: &(impl JacobianTrace + Sync)) -> Verdict {
    use flows::measures::Diffeo;
    let (a, b) = spiral();
    let exact_field = AffineField::new(&a, b).unwrap();
    let base = Gaussian::new(vec![0.5, -1.0], DMatrix::from_row_slice(2, 2, &[1.0, 0.2, 0.2, 0.5])).unwrap();
    let x = Gaussian::isotropic(&[0.0, 0.0], 2.0).unwrap().sample(300, &mut Seed::new(1).rng());
    for (t0, t1) in [(0.0, 1.3), (1.0, -0.5)] {
        let (z, log_det) = exact_field.flow(t1 - t0).unwrap().inverse_with_log_det(&x).unwrap();
        let exact = base.log_density(&z).unwrap().into_iter().zip(&log_det).map(|(p, j)| p + j);
        let ode = Ode::adaptive(DOP853, 1e-10, 1e-10).unwrap();
        let found = log_density(&ode, field, &base, t0, &x, t1).unwrap();
        let gap = found.log_density.iter().zip(exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let words = format!("{gap:e} from the exact log-density");
        verdict(what, gap < 1e-7 && largest(&found.preimages, &z) < 1e-8, words)?;
    }
    Ok(())
}

/// A and b of an affine field that turns and stretches.
pub(crate) fn spiral() -> (DMatrix<f64>, Vec<f64>) {
    (DMatrix::from_row_slice(2, 2, &[-0.4, 1.0, -2.0, 0.7]), vec![0.3, -0.6])
}

/// dKL/ds = −Fisher for a rate of change dρ/ds on the grid.
pub(crate) fn entropy_rate(what: &str, line: &Line, rho: &[f64], rate: &[f64]) -> Verdict {
    let fisher = line.fisher(rho).unwrap();
    // dKL/ds = Σ dρ/ds log(ρ/ρ∞) dx, since mass is constant.
    let terms = rate.iter().zip(rho).zip(line.equilibrium()).map(|((d, r), p)| d * (r / p).ln());
    let along = terms.sum::<f64>() * line.width();
    verdict(what, (along + fisher).abs() < 1e-12 * fisher, format!("dKL/ds = {along}, −Fisher = {}", -fisher))
}

/// A turn of the plane whose rate depends on time and place: coupled, nonlinear and not autonomous.
pub(crate) fn turn() -> impl VelocityField + Sync {
    flows::field::Pointwise::new(2, |t, x: &[f64], v: &mut [f64]| {
        v[0] = x[1] * (1.0 + 0.5 * t.sin() + 0.1 * x[0]);
        v[1] = -x[0] * (1.0 + 0.5 * t.cos() + 0.1 * x[0]);
    })
}

/// The slope of y against x by least squares.
pub(crate) fn slope(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let cov: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    cov / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
}

/// The root mean square of a − b.
pub(crate) fn rms(a: &Points, b: &Points) -> f64 {
    let sum: f64 = a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).powi(2)).sum();
    (sum / a.as_slice().len() as f64).sqrt()
}

/// Logarithms of step and error where the leading term rules: errors below `ceiling`, above round-off at `floor`.
pub(crate) fn ladder(error: impl Fn(usize) -> f64, ceiling: f64, floor: f64) -> (Vec<f64>, Vec<f64>) {
    let (mut h, mut e) = (Vec::new(), Vec::new());
    let mut n = 3.0f64;
    while n < 2e4 {
        let error = error(n.round() as usize);
        if error < ceiling && error > floor {
            h.push(-n.round().ln());
            e.push(error.ln());
        }
        if error <= floor || h.len() == 10 {
            break;
        }
        n *= 1.12;
    }
    (h, e)
}

/// The observed order of a method on [`turn`] is its own within 0.1. `end` is the time at which its runs arrive, 3.
pub(crate) fn ode_order(method: impl Stepper<Points> + Copy, end: impl Fn(usize) -> f64) -> Verdict {
    // Many starts, so that no accident of one trajectory hides the leading term.
    let start = Points::from_fn(60, 2, |i, x| {
        let angle = 2.399_963 * i as f64;
        (x[0], x[1]) = (1.2 + 0.8 * angle.cos(), 1.2 + 0.8 * angle.sin());
    });
    let solve = |ode: Ode<'_, Points>, t1| ode.solve(&turn(), &start, 0.0, t1).unwrap().finished().unwrap();
    let exact = solve(Ode::fixed(DOP853, 2_000).unwrap(), 3.0);
    let (name, order) = (method.name(), method.order());
    let ceiling = [3e-3, 1e-3, 1e-4, 1e-5, 1e-10, 1.5e-11][(order as usize - 1).min(5)];
    let error = |n: usize| rms(&solve(Ode::fixed(method, n).unwrap(), end(n)), &exact);
    let (h, e) = ladder(error, ceiling, 5e-14);
    verdict(name, h.len() >= 5, format!("only {} errors between {ceiling:e} and round-off", h.len()))?;
    let found = slope(&h, &e);
    println!("{name:<24} {found:.3} for {order} ({} points)", h.len());
    verdict(name, (found - f64::from(order)).abs() < 0.1, format!("order {found:.3} for {order}"))
}

/// The velocity of a field at one time.
pub(crate) fn velocity(field: &impl VelocityField, t: f64, x: &Points) -> Points {
    let mut out = Points::zeros(x.len(), x.dim());
    field.velocity(Clock::Shared(t), x, &mut out).unwrap();
    out
}

/// Euler–Maruyama on dX = −X dt + √2 dB is X ← X − hX + √2 W with the increments of its tree, to round-off.
pub(crate) fn euler_recursion<C: Scheme<Additive<'static, AffineField>, Points>>(
    what: &str,
    scheme: C,
) -> Verdict {
    let steps = 12;
    let tree = BrownianTree::new(Seed::new(40), 0.0, 1.0, 1).unwrap();
    let ou = Additive::constant(AffineField::contraction(1), 2f64.sqrt()).unwrap();
    let x0 = Points::from_line((0..50).map(|i| 0.1 * f64::from(i) - 2.0).collect());
    let end = Sde::fixed(scheme, steps).unwrap().solve(&ou, &tree, &x0, 0.0, 1.0).unwrap().end;
    let mut x = x0.into_vec();
    let at = |k: usize| k as f64 / steps as f64;
    for k in 0..steps {
        let (w, _) = tree.increment(0..50, at(k), at(k + 1)).unwrap();
        x.iter_mut().zip(w.as_slice()).for_each(|(x, w)| *x += -*x / steps as f64 + 2f64.sqrt() * w);
    }
    let gap = largest(&end, &Points::from_line(x));
    verdict(what, gap < 1e-12, format!("{gap:e} from the recursion"))
}

/// The law of chains against that of [`two_on_the_line`], and chains that move.
pub(crate) fn samples_two_on_the_line(what: &str, chains: &Chains) -> Verdict {
    let rate = chains.mean_acceptance();
    verdict(what, rate > 0.5, format!("acceptance {rate:.3}"))?;
    law(what, chains.points.as_slice(), mixture_cdf(&two_on_the_line().1))
}
