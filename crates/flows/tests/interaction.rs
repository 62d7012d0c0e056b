//! Particles that interact, and descent of functionals.

mod common;

use common::largest;
use flows::descent::{Descent, Ending, HeavyBall};
use flows::field::AlongDrift;
use flows::interaction::{Bandwidth, External, Pairwise, Riesz, RieszTree, Sum, Svgd};
use flows::measures::zoo::Gaussian;
use flows::measures::{
    Drift, Empirical, Error as MeasureError, Functional, Points, Sample, Score, Seed, Variation,
};
use flows::ode::{Ode, Status, TSITOURAS};

fn cloud(n: usize, d: usize, seed: u64) -> Empirical {
    Empirical::uniform(Gaussian::standard(d).sample(n, &mut Seed::new(seed).rng())).unwrap()
}

/// ½⟨‖x‖²|μ⟩ + Riesz energy: a bowl of charges.
struct Bowl(Riesz);

impl Functional for Bowl {
    fn variation(&self, mu: &Empirical) -> Result<Variation, MeasureError> {
        let riesz = self.0.variation(mu)?;
        let half: Vec<f64> = mu.points().rows().map(|x| 0.5 * x.iter().map(|x| x * x).sum::<f64>()).collect();
        let value = riesz.value + half.iter().zip(mu.weights()).map(|(h, w)| h * w).sum::<f64>();
        let mut d_points = riesz.d_points;
        for ((g, x), w) in d_points.rows_mut().zip(mu.points().rows()).zip(mu.weights()) {
            g.iter_mut().zip(x).for_each(|(g, x)| *g += w * x);
        }
        let potential = riesz.d_weights.iter().zip(&half).map(|(a, b)| a + b).collect();
        Ok(Variation { value, d_points, d_weights: flows::measures::centred(potential, mu.weights()) })
    }
}

#[test]
fn repulsion_is_the_gradient_of_its_energy() {
    let x = Gaussian::standard(3).sample(12, &mut Seed::new(1).rng());
    let weights: Vec<f64> = (1..=12).map(f64::from).collect();
    let mu = Empirical::normalised(x.clone(), weights).unwrap();
    for (s, eps) in [(0.0, 0.0), (1.0, 0.0), (2.0, 0.3), (0.7, 0.1)] {
        let riesz = Riesz::new(s, eps).unwrap();
        let variation = riesz.variation(&mu).unwrap();
        let drift = riesz.drift(&mu).unwrap();
        for i in 0..12 {
            for c in 0..3 {
                let value = |h: f64| {
                    let mut y = x.clone();
                    y.row_mut(i)[c] += h;
                    riesz.value(&mu.with_points(y).unwrap()).unwrap()
                };
                let slope = (value(1e-5) - value(-1e-5)) / 2e-5;
                assert!((slope - variation.d_points.row(i)[c]).abs() < 1e-6 * (1.0 + slope.abs()), "s = {s}");
                assert!((slope + mu.weights()[i] * drift.row(i)[c]).abs() < 1e-6 * (1.0 + slope.abs()));
            }
        }
    }
    let coulomb = Riesz::coulomb(3, 0.1).unwrap();
    assert_eq!(coulomb, Riesz::new(1.0, 0.1).unwrap());
    let direct = Pairwise(|r2: f64| (r2 + 0.01).powf(-1.5)).drift(&mu).unwrap();
    assert!(largest(&coulomb.drift(&mu).unwrap(), &direct) < 1e-13);
    let twice = Empirical::uniform(Points::zeros(2, 2)).unwrap();
    assert!(Riesz::new(0.0, 0.0).unwrap().variation(&twice).is_err());
    assert!(Riesz::new(-1.0, 0.0).is_err() && Riesz::coulomb(1, 0.0).is_err());
}

#[test]
fn the_tree_agrees_with_the_direct_sum() {
    for d in [1, 2, 3] {
        let mu = cloud(3_000, d, 2);
        let law = Riesz::new(1.0, 0.05).unwrap();
        let direct = law.drift(&mu).unwrap();
        let exact = RieszTree::new(law, 0.0).unwrap().drift(&mu).unwrap();
        assert!(largest(&exact, &direct) < 1e-11, "d = {d}");
        let near = RieszTree::new(law, 0.5).unwrap().drift(&mu).unwrap();
        let norm = |p: &Points| p.as_slice().iter().map(|v| v * v).sum::<f64>().sqrt();
        let mut gap = near.clone();
        gap.as_mut_slice().iter_mut().zip(direct.as_slice()).for_each(|(a, b)| *a -= b);
        assert!(norm(&gap) < 0.04 * norm(&direct), "d = {d}: {}", norm(&gap) / norm(&direct));
    }
    // Nothing pushes itself, even where a cell's centre of mass is far from a particle in it: one far from a heap.
    let corner = Points::from_fn(400, 3, |i, x| x.fill(if i == 0 { 1.0 } else { 1e-3 * (i as f64).sin() }));
    let mu = Empirical::uniform(corner).unwrap();
    let law = Riesz::new(1.0, 0.0).unwrap();
    let wide = RieszTree::new(law, 1.0).unwrap().drift(&mu).unwrap();
    let (near, exact) = (wide.row(0), law.drift(&mu).unwrap());
    assert!(
        near.iter().zip(exact.row(0)).all(|(a, b)| (a / b - 1.0).abs() < 1e-3),
        "{near:?} {:?}",
        exact.row(0)
    );
    // Many particles in one place are a leaf that cannot be cut.
    let heap = Empirical::uniform(Points::from_fn(100, 2, |i, x| x.fill(f64::from(i > 60)))).unwrap();
    let law = Riesz::new(0.0, 0.1).unwrap();
    let tree = RieszTree::new(law, 0.3).unwrap();
    assert!(largest(&tree.drift(&heap).unwrap(), &law.drift(&heap).unwrap()) < 1e-12);
    assert!(RieszTree::new(law, 1.5).is_err() && tree.drift(&cloud(5, 4, 0)).is_err());
}

#[test]
fn coulomb_gas_in_a_bowl_fills_the_disc() {
    // In the plane with ½‖x‖² and log repulsion of total mass one, the equilibrium is uniform on the unit disc: at a force
    // balance x = (mass within ‖x‖) x/‖x‖², so the part of the mass within r is r².
    let start = cloud(300, 2, 3);
    let descended =
        Descent::new(0.5, 400, 1e-6).unwrap().run(&Bowl(Riesz::new(0.0, 0.0).unwrap()), &start).unwrap();
    assert!(descended.values.windows(2).all(|w| w[1] < w[0]), "every step decreases");
    let radii: Vec<f64> = descended.measure.points().rows().map(|x| x[0].hypot(x[1])).collect();
    for r in [0.4, 0.6, 0.8] {
        let within = radii.iter().filter(|q| **q < r).count() as f64 / 300.0;
        assert!((within - r * r).abs() < 0.05, "within {r}: {within}");
    }
    assert!(radii.iter().all(|r| *r < 1.1));
    // The same equilibrium along the drift, by the solver for particles that interact.
    let pull = External(|x: &[f64], v: &mut [f64]| v.iter_mut().zip(x).for_each(|(v, x)| *v = -x));
    let field = AlongDrift::new(Sum(Riesz::new(0.0, 0.01).unwrap(), pull));
    let run = Ode::adaptive(TSITOURAS, 1e-4, 1e-4).unwrap().solve(&field, start.points(), 0.0, 3.0).unwrap();
    let end = run.finished().unwrap();
    assert!(end.rows().all(|x| x[0].hypot(x[1]) < 1.25));
}

#[test]
fn stein_descent_finds_its_target() {
    let target = Gaussian::diagonal(&[1.0, -2.0], &[1.0, 0.5]).unwrap();
    // One particle climbs to the mode.
    let one = Empirical::dirac(&[3.0, 3.0]).unwrap();
    let svgd = Svgd::new(&target, Bandwidth::Fixed(1.0)).unwrap();
    assert!(largest(&svgd.drift(&one).unwrap(), &target.score(one.points()).unwrap()) < 1e-14);
    // Against the double sum.
    let mu = cloud(20, 2, 4);
    let (x, s) = (mu.points(), target.score(mu.points()).unwrap());
    let direct = Points::from_fn(20, 2, |i, v| {
        for j in 0..20 {
            let r2: f64 = x.row(i).iter().zip(x.row(j)).map(|(a, b)| (a - b).powi(2)).sum();
            let k = (-0.5 * r2).exp() / 20.0;
            (0..2).for_each(|c| v[c] += k * (s.row(j)[c] + x.row(i)[c] - x.row(j)[c]));
        }
    });
    assert!(largest(&svgd.drift(&mu).unwrap(), &direct) < 1e-13);
    let svgd = Svgd::new(&target, Bandwidth::Median).unwrap();
    let run = Ode::adaptive(TSITOURAS, 1e-3, 1e-3).unwrap().solve(
        &AlongDrift::new(svgd),
        cloud(150, 2, 5).points(),
        0.0,
        60.0,
    );
    let end = run.unwrap().finished().unwrap();
    for (c, (m, s)) in [(1.0, 1.0), (-2.0, 0.5)].into_iter().enumerate() {
        let mean = end.column(c).iter().sum::<f64>() / 150.0;
        let spread = (end.column(c).iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 150.0).sqrt();
        assert!((mean - m).abs() < 0.05 && (spread / s - 1.0).abs() < 0.15, "{mean} {spread}");
    }
    assert!(Svgd::new(&target, Bandwidth::Fixed(0.0)).is_err());
    assert!(svgd.drift(&cloud(3, 5, 0)).is_err());
}

/// ½ Σ c (mean)²: convex, with a known minimum, and undefined for means below −10.
struct Steep;

impl Functional for Steep {
    fn variation(&self, mu: &Empirical) -> Result<Variation, MeasureError> {
        let mean = mu.mean()[0];
        if mean < -10.0 {
            return Err(MeasureError::Undefined { what: "Steep", why: "the mean is below −10" });
        }
        let gradient = Points::from_fn(mu.len(), 1, |_, g| g[0] = 1e4 * mean);
        let potential = mu.points().rows().map(|x| 1e4 * mean * x[0]).collect();
        Ok(Variation::from_potential(mu, 0.5e4 * mean * mean, potential, gradient))
    }
}

/// The value of [`Steep`] with a gradient of the wrong sign.
struct Wrong;
impl Functional for Wrong {
    fn variation(&self, mu: &Empirical) -> Result<Variation, MeasureError> {
        Ok(Steep.variation(mu)?.scaled(-1.0))
    }
    fn value(&self, mu: &Empirical) -> Result<f64, MeasureError> {
        Steep.value(mu)
    }
}

#[test]
fn descent_decreases_whatever_the_step() {
    let start = Empirical::uniform(Points::from_line(vec![1.0, 2.0, 3.0])).unwrap();
    // The first trial step leads out of the domain.
    let run = Descent::new(10.0, 50, 1e-6).unwrap().run(&Steep, &start).unwrap();
    assert_eq!(run.ending, Ending::Converged);
    assert!(run.values.windows(2).all(|w| w[1] < w[0]) && run.slope <= 1e-6);
    let stopped = Descent::new(1e-6, 1, 0.0).unwrap().run(&Steep, &start).unwrap();
    assert_eq!((stopped.ending, stopped.values.len()), (Ending::MaxSteps, 2));
    // A gradient of the wrong sign: nothing decreases, and that is said.
    let stalled = Descent::new(1.0, 50, 0.0).unwrap().run(&Wrong, &start).unwrap();
    assert_eq!((stalled.ending, stalled.measure), (Ending::Stalled, start.clone()));
    assert!(
        Descent::new(0.0, 1, 0.0).is_err()
            && Descent::new(1.0, 0, 0.0).is_err()
            && Descent::new(1.0, 1, -1.0).is_err()
    );
    let outside = Empirical::dirac(&[-20.0]).unwrap();
    assert!(Descent::new(1.0, 5, 0.0).unwrap().run(&Steep, &outside).is_err());
}

#[test]
fn momentum_and_noise_move_along_any_drift() {
    let pull = External(|x: &[f64], v: &mut [f64]| v.iter_mut().zip(x).for_each(|(v, x)| *v = -x));
    let start = Empirical::uniform(Points::from_line(vec![1.0, -2.0])).unwrap();
    let plain = HeavyBall::new(0.1).unwrap().run(&pull, &start, 10, Seed::new(0)).unwrap();
    assert!((plain.measure.points().row(0)[0] - 0.9f64.powi(10)).abs() < 1e-14);
    // Heavy ball on a quadratic: u ← βu − ηx, x ← x + u.
    let heavy =
        HeavyBall::new(0.1).unwrap().momentum(0.8).unwrap().run(&pull, &start, 10, Seed::new(0)).unwrap();
    let (mut x, mut u) = (1.0, 0.0);
    (0..10).for_each(|_| {
        u = 0.8 * u - 0.1 * x;
        x += u;
    });
    assert!((heavy.measure.points().row(0)[0] - x).abs() < 1e-14);
    // With noise at temperature T the law is N(0, T/(1 − η/2)).
    let many = Empirical::uniform(Points::zeros(10_000, 1)).unwrap();
    let warm =
        HeavyBall::new(0.1).unwrap().temperature(0.5).unwrap().run(&pull, &many, 100, Seed::new(1)).unwrap();
    let law = [(1.0, 0.0, (0.5f64 / 0.95).sqrt())];
    common::assert_law("noise", warm.measure.points().as_slice(), common::mixture_cdf(&law));
    // A drift that runs away keeps the last finite measure.
    let explode = External(|x: &[f64], v: &mut [f64]| v[0] = x[0].powi(3) * 1e30);
    let run = HeavyBall::new(1.0).unwrap().run(&explode, &start, 50, Seed::new(0)).unwrap();
    assert_eq!(run.status, Status::NonFinite);
    assert!(run.steps < 50 && run.measure.points().check_finite("points").is_ok());
    assert!(
        HeavyBall::new(0.1).unwrap().momentum(1.0).is_err()
            && HeavyBall::new(0.1).unwrap().temperature(-1.0).is_err()
    );
}
