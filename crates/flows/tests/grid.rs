//! The referees on a grid: what they conserve, the flows they are, and particles against densities.

mod common;

use flows::field::Current;
use flows::grid::{Jko, Line, Plane, Quantiles};
use flows::measures::nalgebra::{DMatrix, DVector, SymmetricEigen};
use flows::measures::zoo::Gaussian;
use flows::measures::{Density, Points};
use flows::path::{MixturePath, OrnsteinUhlenbeck};

/// A double well that is not symmetric.
fn well(x: f64) -> f64 {
    0.25 * x.powi(4) - x * x + 0.3 * x
}

fn line() -> (Line, Vec<f64>) {
    let line = Line::new((-3.5, 3.5), 120, well).unwrap();
    let start = line.project(|x| (-3.0 * (x + 0.8).powi(2)).exp() + 0.05).unwrap();
    (line, start)
}

fn largest(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn mass_positivity_and_equilibrium_hold_to_round_off() {
    let (line, start) = line();
    for h in [1e-4, 0.1, 100.0] {
        let end = line.run(&start, h, 50).unwrap();
        assert!((line.mass(&end) - 1.0).abs() < 1e-13, "h = {h}: {:e}", line.mass(&end) - 1.0);
        assert!(end.iter().all(|r| *r >= 0.0));
        let still = line.run(line.equilibrium(), h, 50).unwrap();
        assert!(largest(&still, line.equilibrium()) < 1e-12);
    }
    // A point mass, with all other cells empty.
    let mut spike = vec![0.0; 120];
    spike[3] = 1.0 / line.width();
    let end = line.run(&spike, 1e-3, 200).unwrap();
    assert!(end.iter().all(|r| *r >= 0.0) && (line.mass(&end) - 1.0).abs() < 1e-13);
    let plane =
        Plane::new((-3.0, 3.0), (-2.0, 3.0), [40, 30], |x, y| 0.5 * x * x + 0.5 * (y - 0.5 * x).powi(2))
            .unwrap();
    let mut spike = vec![0.0; 1_200];
    spike[617] = 1.0 / plane.volume();
    let end = plane.run(&spike, 0.05, 40).unwrap();
    assert!(end.iter().all(|r| *r >= 0.0) && (plane.mass(&end) - 1.0).abs() < 1e-13);
    let still = plane.run(plane.equilibrium(), 0.5, 20).unwrap();
    assert!(largest(&still, plane.equilibrium()) < 1e-12);
    let late = plane.run(&spike, 0.05, 800).unwrap();
    assert!(plane.entropy(&late) < 1e-10 && plane.entropy(&end) > 1e-6);
}

#[test]
fn entropy_falls_at_the_rate_of_fisher_information() {
    let (line, rho) = line();
    common::checks::entropy_rate("finite volumes", &line, &rho, &line.rate(&rho).unwrap()).unwrap();
    // And in time, by a difference of second order.
    let h = 1e-5;
    let after = line.run(&rho, h, 2).unwrap();
    let middle = line.run(&rho, h, 1).unwrap();
    let slope = (line.entropy(&after) - line.entropy(&rho)) / (2.0 * h);
    assert!((slope / -line.fisher(&middle).unwrap() - 1.0).abs() < 1e-3);
    // On a fine grid it is the Fisher information of the densities: N(0, s²) against N(0, 1), (s − 1/s)².
    let fine = Line::new((-8.0, 8.0), 1_600, |x| 0.5 * x * x).unwrap();
    let narrow = fine.project(|x| (-0.5 * (x / 0.7).powi(2)).exp()).unwrap();
    assert!((fine.fisher(&narrow).unwrap() - (0.7f64 - 1.0 / 0.7).powi(2)).abs() < 1e-3);
    let mut empty = rho;
    empty[5] = 0.0;
    assert!(line.fisher(&empty).is_err());
}

#[test]
fn one_flow_is_three_gradient_flows() {
    let (line, _) = line();
    // A density whose ratio to ρ∞ is moderate, so that linear algebra in the far tails does not blur the comparison.
    let rho = line.project(|x| (-well(x)).exp() * (1.0 + 0.6 * (2.0 * x).sin())).unwrap();
    let (pi, kappa, dx) = (line.equilibrium().to_vec(), line.conductance(), line.width());
    let n = rho.len();
    let rate = line.rate(&rho).unwrap();
    let u: Vec<f64> = rho.iter().zip(&pi).map(|(r, p)| r / p).collect();
    let scale = rate.iter().fold(0.0f64, |m, r| m.max(r.abs()));
    let minus_divergence = |flux: &[f64]| -> Vec<f64> {
        (0..n)
            .map(|i| (if i > 0 { flux[i - 1] } else { 0.0 } - flux.get(i).copied().unwrap_or(0.0)) / dx)
            .collect()
    };

    // W₂ flow of KL: the flux is −(mobility) ∂ δKL/δρ with δKL/δρ = log u and as mobility κ times the logarithmic mean of u.
    let by_kl: Vec<f64> = (0..n - 1)
        .map(|i| {
            let (a, b) = (u[i], u[i + 1]);
            let mean = if (a - b).abs() < 1e-12 * a { a } else { (a - b) / (a.ln() - b.ln()) };
            -kappa[i] * mean * (b.ln() - a.ln()) / dx
        })
        .collect();
    assert!(largest(&minus_divergence(&by_kl), &rate) < 1e-11 * scale);

    // Weighted H^{−1} flow of ½χ² = ½Σ ρ∞ (u − 1)² dx: the potential φ with −∇·(κ∇φ) = dρ/ds must be −δ(½χ²)/δρ = −(u − 1)
    // up to a constant. Solve for φ from the rate, and compare.
    let mut laplacian = DMatrix::zeros(n, n);
    for i in 0..n - 1 {
        for (a, b, sign) in [(i, i, 1.0), (i + 1, i + 1, 1.0), (i, i + 1, -1.0), (i + 1, i, -1.0)] {
            laplacian[(a, b)] += sign * kappa[i] / (dx * dx);
        }
    }
    let pinned = &laplacian + DMatrix::from_element(n, n, 1.0);
    let phi = pinned.lu().solve(&DVector::from_column_slice(&rate)).unwrap();
    // In the norm of the metric, which weighs gradients by κ: where nothing conducts, nothing is known of φ.
    let flux = |v: &dyn Fn(usize) -> f64| -> Vec<f64> {
        (0..n - 1).map(|i| kappa[i] * (v(i + 1) - v(i)) / dx).collect()
    };
    let (of_phi, of_u) = (flux(&|i| phi[i]), flux(&|i| -u[i]));
    let size = of_u.iter().fold(0.0f64, |m, f| m.max(f.abs()));
    assert!(largest(&of_phi, &of_u) < 1e-10 * size, "{:e}", largest(&of_phi, &of_u) / size);

    // L²(ρ∞^{−1}) flow of footnote 9's F = ½ Σ λ_i ⟨f_i|ρ⟩²: −grad F = −Σ λ_i ⟨f_i|ρ⟩ f_i ρ∞, (λ_i, f_i) the eigenpairs of
    // L = −Δ + ∇E·∇ on the grid, orthonormal in L²(ρ∞).
    let symmetric = DMatrix::from_fn(n, n, |i, j| laplacian[(i, j)] / (pi[i] * pi[j]).sqrt());
    let eigen = SymmetricEigen::new(symmetric);
    let mut by_footnote = vec![0.0; n];
    let mut f_value = 0.0;
    for k in 0..n {
        let f: Vec<f64> = (0..n).map(|i| eigen.eigenvectors[(i, k)] / (pi[i] * dx).sqrt()).collect();
        let bracket: f64 = f.iter().zip(&rho).map(|(f, r)| f * r * dx).sum();
        f_value += 0.5 * eigen.eigenvalues[k] * bracket * bracket;
        by_footnote
            .iter_mut()
            .zip(&f)
            .zip(&pi)
            .for_each(|((out, f), p)| *out -= eigen.eigenvalues[k] * bracket * f * p);
    }
    assert!(largest(&by_footnote, &rate) < 1e-9 * scale, "{:e}", largest(&by_footnote, &rate));
    // F = ½ ∫ |∇u|² dρ∞ on the grid.
    let dirichlet: f64 = (0..n - 1).map(|i| 0.5 * kappa[i] * ((u[i + 1] - u[i]) / dx).powi(2) * dx).sum();
    assert!((f_value / dirichlet - 1.0).abs() < 1e-9);
    // λ₀ = 0, and λ_k = k for Ornstein–Uhlenbeck.
    let ou = Line::new((-7.0, 7.0), 350, |x| 0.5 * x * x).unwrap();
    let (pi, kappa, dx) = (ou.equilibrium(), ou.conductance(), ou.width());
    let matrix = DMatrix::from_fn(350, 350, |i, j| {
        let wall = |k: Option<usize>| k.and_then(|k| kappa.get(k)).copied().unwrap_or(0.0) / (dx * dx);
        let raw = match i.abs_diff(j) {
            0 => wall(Some(i)) + wall(i.checked_sub(1)),
            1 => -wall(Some(i.min(j))),
            _ => 0.0,
        };
        raw / (pi[i] * pi[j]).sqrt()
    });
    let mut values = SymmetricEigen::new(matrix).eigenvalues.as_slice().to_vec();
    values.sort_by(f64::total_cmp);
    (0..5).for_each(|k| assert!((values[k] - k as f64).abs() < 0.01, "{values:?}"));
}

#[test]
fn particles_solve_the_continuity_equation_of_the_grid() {
    // The residual of eq. (6) on the grid: dρ/ds of the finite volumes against −∇·(vρ) of the particles' velocity.
    let data = Gaussian::isotropic(&[0.8], 0.6).unwrap();
    let path = MixturePath::to_gaussian(OrnsteinUhlenbeck, &data).unwrap();
    let residual = |cells: usize| {
        let line = Line::new((-6.0, 6.0), cells, |x| 0.5 * x * x).unwrap();
        let x = Points::from_line(line.centres());
        let s = 0.4;
        let log = path.log_density(flows::Clock::Shared(s), &x).unwrap();
        let rho: Vec<f64> = log.iter().map(|l| l.exp()).collect();
        let h = 1e-5;
        let (before, after) = (
            path.law(s - h).unwrap().log_density(&x).unwrap(),
            path.law(s + h).unwrap().log_density(&x).unwrap(),
        );
        let along: Vec<f64> =
            before.iter().zip(&after).map(|(b, a)| (a.exp() - b.exp()) / (2.0 * h)).collect();
        largest(&line.rate(&rho).unwrap(), &along)
    };
    let (coarse, fine) = (residual(200), residual(400));
    assert!(coarse < 5e-3 && (coarse / fine).log2() > 1.9, "{coarse:e} {fine:e}");

    // Quantiles carried by v = −U − ∇log r are the quantiles of the density on the grid.
    let line = Line::new((-6.0, 6.0), 1_200, |x| 0.5 * x * x).unwrap();
    let start = line.project(|x| (-0.5 * ((x - 0.8) / 0.6).powi(2)).exp()).unwrap();
    let end = line.run(&start, 1e-3, 400).unwrap();
    let ou = flows::field::AffineField::contraction(1);
    let current = Current::new(ou, &path, 1.0).unwrap();
    let ode = flows::Ode::adaptive(flows::ode::TSITOURAS, 1e-9, 1e-9).unwrap();
    let q = Points::from_line(vec![0.8 - 0.6, 0.8, 0.8 + 0.6 * 0.674_489_750_196]);
    let moved = ode.solve(&current, &q, 0.0, 0.4).unwrap().finished().unwrap();
    for (x, level) in moved.as_slice().iter().zip([0.158_655_253_931, 0.5, 0.75]) {
        let below: f64 = line
            .centres()
            .iter()
            .zip(&end)
            .map(|(c, r)| r * (x - c + 0.5 * line.width()).clamp(0.0, line.width()))
            .sum();
        assert!((below - level).abs() < 5e-4, "{below} for {level}");
    }
}

#[test]
fn two_dimensions_are_two_lines_when_the_energy_is_a_sum() {
    let plane = Plane::new((-5.0, 5.0), (-5.0, 5.0), [80, 70], |x, y| 0.5 * x * x + y * y).unwrap();
    let (a, b) = (
        Line::new((-5.0, 5.0), 80, |x| 0.5 * x * x).unwrap(),
        Line::new((-5.0, 5.0), 70, |y| y * y).unwrap(),
    );
    let (f, g) = (|x: f64| (-2.0 * (x - 1.0).powi(2)).exp(), |y: f64| (-(y + 0.5).powi(2)).exp());
    let rho = plane.run(&plane.project(|x, y| f(x) * g(y)).unwrap(), 0.01, 30).unwrap();
    let (p, q) =
        (a.run(&a.project(f).unwrap(), 0.005, 60).unwrap(), b.run(&b.project(g).unwrap(), 0.01, 30).unwrap());
    let product: Vec<f64> = q.iter().flat_map(|q| p.iter().map(move |p| p * q)).collect();
    assert!(largest(&rho, &product) < 1e-12);
    assert_eq!((plane.centre(0, 0), plane.cells()), ([-4.9375, -5.0 + 5.0 / 70.0], [80, 70]));
}

#[test]
fn minimising_movements_follow_fokker_planck() {
    // Of a Gaussian each step is known: (s' − s)/τ + s' − 1/s' = 0, and the mean shrinks by 1/(1 + τ).
    let quadratic = |x: f64| (0.5 * x * x, x, 1.0);
    let n = 800;
    let normal = statrs::distribution::Normal::standard();
    let z: Vec<f64> = (0..n)
        .map(|k| statrs::distribution::ContinuousCDF::inverse_cdf(&normal, (k as f64 + 0.5) / n as f64))
        .collect();
    let start = Quantiles::new(z.iter().map(|z| 2.0 + 0.4 * z).collect()).unwrap();
    let tau = 0.05;
    let jko = Jko::new(tau, quadratic).unwrap();
    let run = jko.run(&start, 20).unwrap();
    let (mut s, mut m): (f64, f64) = (0.4, 2.0);
    for (k, mu) in run.iter().enumerate() {
        let mean = mu.as_slice().iter().sum::<f64>() / n as f64;
        let spread = (mu.as_slice().iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
        assert!((mean - m).abs() < 1e-9, "step {k}: {mean} for {m}");
        assert!((spread - s).abs() < 0.01, "step {k}: {spread} for {s}");
        let p = 1.0 / tau + 1.0;
        s = (s / tau + (s * s / (tau * tau) + 4.0 * p).sqrt()) / (2.0 * p);
        m /= 1.0 + tau;
    }
    // F falls, and by at least W₂²/(2τ) a step.
    for pair in run.windows(2) {
        let fall = jko.functional(&pair[0]) - jko.functional(&pair[1]);
        assert!(fall >= pair[0].squared_distance(&pair[1]).unwrap() / (2.0 * tau) - 1e-12);
    }
    // First order in τ towards the law of Ornstein–Uhlenbeck: the mean is exact to see it, (1 + τ)^{−s/τ} against e^{−s}.
    let error = |steps: usize| {
        let end = Jko::new(1.0 / steps as f64, quadratic).unwrap().run(&start, steps).unwrap().pop().unwrap();
        (end.as_slice().iter().sum::<f64>() / n as f64 - 2.0 * (-1f64).exp()).abs()
    };
    assert!(((error(10) / error(20)).log2() - 1.0).abs() < 0.1);
    // A double well, against the grid.
    let (line, _) = line();
    let from = line.project(|x| (-0.5 * ((x + 0.5) / 0.5).powi(2)).exp()).unwrap();
    let grid = line.run(&from, 1e-3, 300).unwrap();
    let jko = Jko::new(5e-3, |x| (well(x), x.powi(3) - 2.0 * x + 0.3, 3.0 * x * x - 2.0)).unwrap();
    let start = Quantiles::new(z.iter().map(|z| -0.5 + 0.5 * z).collect()).unwrap();
    let end = jko.run(&start, 60).unwrap().pop().unwrap();
    let below = |x: f64| -> f64 {
        line.centres()
            .iter()
            .zip(&grid)
            .map(|(c, r)| r * (x - c + 0.5 * line.width()).clamp(0.0, line.width()))
            .sum()
    };
    for k in [40, 200, 400, 600, 760] {
        assert!((below(end.as_slice()[k]) - (k as f64 + 0.5) / n as f64).abs() < 0.01);
    }
}

#[test]
fn bad_grids_are_refused() {
    assert!(Line::new((1.0, 1.0), 10, well).is_err() && Line::new((0.0, 1.0), 1, well).is_err());
    assert!(
        Line::new((0.0, f64::INFINITY), 10, well).is_err()
            && Line::new((0.0, 1.0), 10, |x| 1.0 / (x - 0.05)).is_err()
    );
    let (line, rho) = line();
    assert!(line.run(&rho, 0.0, 1).is_err() && line.run(&rho[1..], 0.1, 1).is_err());
    assert!(line.run(&vec![1.0; 120], 0.1, 1).is_err() && line.run(&vec![-1.0; 120], 0.1, 1).is_err());
    assert!(line.project(|_| 0.0).is_err() && line.project(|_| f64::NAN).is_err());
    assert!(Plane::new((0.0, 1.0), (1.0, 0.0), [4, 4], |_, _| 0.0).is_err());
    assert!(Quantiles::new(vec![0.0, 0.0]).is_err() && Quantiles::new(vec![0.0]).is_err());
    assert!(Jko::new(0.0, |x| (x, 1.0, 0.0)).is_err());
    let nan = Jko::new(0.1, |_| (f64::NAN, 0.0, 0.0)).unwrap();
    assert!(nan.step(&Quantiles::new(vec![0.0, 1.0]).unwrap()).is_err());
}
