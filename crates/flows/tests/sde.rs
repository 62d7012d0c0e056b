//! Stochastic equations: laws, paths that do not depend on steps, and what goes wrong.

mod common;

use common::checks::{euler_recursion, increments, law_of_ou, law_of_the_reverse, noised, two_on_the_line};
use common::{assert_law, largest, mixture_cdf};
use flows::field::AffineField;
use flows::measures::nalgebra::DMatrix;
use flows::measures::zoo::Gaussian;
use flows::measures::{Points, Sample, Seed};
use flows::ode::Status;
use flows::path::{GaussianBridge, Linear, MixturePath, OrnsteinUhlenbeck, Schedule, VariancePreserving};
use flows::sde::{
    Additive, BrownianTree, Direction, EulerMaruyama, OrnsteinUhlenbeckProcess, Sde, Shark, Sra1,
    StochasticHeun, WhiteNoise, family, reverse,
};
use flows::{Error, VelocityField};

#[test]
fn the_exact_ornstein_uhlenbeck_has_its_law_at_every_time() {
    let (data, parts) = two_on_the_line();
    let ou = OrnsteinUhlenbeckProcess::standard(1);
    let mut x = data.sample(40_000, &mut Seed::new(1).rng());
    let mut s = 0.0;
    for (k, h) in [0.05, 0.2, 0.5, 2.0].into_iter().enumerate() {
        x = ou.step(&x, h, Seed::new(2), k as u64).unwrap();
        s += h;
        let law = noised(&parts, (-s).exp(), (-(-2.0 * s).exp_m1()).sqrt());
        assert_law(&format!("OU at {s}"), x.as_slice(), mixture_cdf(&law));
        // Moments of He₁ and He₂ decay at their rates.
        let n = x.len() as f64;
        let (m, m2) =
            (x.as_slice().iter().sum::<f64>() / n, x.as_slice().iter().map(|x| x * x - 1.0).sum::<f64>() / n);
        let first = |f: &dyn Fn(f64, f64) -> f64| parts.iter().map(|(w, m, s)| w * f(*m, *s)).sum::<f64>();
        assert!((m - (-s).exp() * first(&|m, _| m)).abs() < 5.0 * (1.5f64 / n).sqrt());
        assert!((m2 - (-2.0 * s).exp() * first(&|m, s| m * m + s * s - 1.0)).abs() < 5.0 * (6.0 / n).sqrt());
    }
    // Another rate, mean and level.
    let ou = OrnsteinUhlenbeckProcess::new(2.0, vec![3.0], 0.5).unwrap();
    let x = ou.step(&Points::from_line(vec![1.0; 40_000]), 0.3, Seed::new(3), 0).unwrap();
    let (decay, variance) = ((-0.6f64).exp(), 0.25 * (1.0 - (-1.2f64).exp()) / 4.0);
    assert_law("OU(2, 3, ½)", x.as_slice(), mixture_cdf(&[(1.0, 3.0 - 2.0 * decay, variance.sqrt())]));
    assert!(
        ou.step(&x, -1.0, Seed::new(0), 0).is_err()
            && ou.step(&Points::zeros(1, 2), 1.0, Seed::new(0), 0).is_err()
    );
    assert!(OrnsteinUhlenbeckProcess::new(0.0, vec![0.0], 1.0).is_err());
}

#[test]
fn a_brownian_tree_is_a_brownian_motion() {
    let n = 20_000;
    let tree = BrownianTree::new(Seed::new(5), 1.0, 3.0, 1).unwrap().cells(3).unwrap();
    // On the grid and off it, in a cell, across cells, inside one leaf.
    let shallow = tree.depth(2).unwrap();
    for (tree, from, to) in [
        (tree, 1.0, 3.0),
        (tree, 1.0 + 2.0 / 3.0, 1.0 + 5.0 / 6.0),
        (tree, 1.1, 2.9),
        (tree, 2.0, 2.001),
        (shallow, 1.0 + 1.0 / 6.0, 1.2),
        (shallow, 1.02, 2.6),
        (shallow, 1.0, 1.0 + 1.0 / 6.0),
    ] {
        let (w, h) = tree.increment(0..n, from, to).unwrap();
        let length: f64 = to - from;
        assert_law("W", w.as_slice(), mixture_cdf(&[(1.0, 0.0, length.sqrt())]));
        assert_law("H", h.as_slice(), mixture_cdf(&[(1.0, 0.0, (length / 12.0).sqrt())]));
        let mixed: f64 = w.as_slice().iter().zip(h.as_slice()).map(|(w, h)| w * h).sum::<f64>() / n as f64;
        assert!(mixed.abs() < 5.0 * length / (12.0 * n as f64).sqrt(), "W and H: {mixed}");
    }
    // Increments of neighbours are independent.
    for tree in [tree, shallow] {
        let (a, _) = tree.increment(0..n, 1.3, 1.6).unwrap();
        let (b, _) = tree.increment(0..n, 1.6, 2.2).unwrap();
        let mixed: f64 = a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum::<f64>() / n as f64;
        assert!(mixed.abs() < 5.0 * (0.3f64 * 0.6 / n as f64).sqrt(), "{mixed}");
    }
}

#[test]
fn a_path_does_not_depend_on_how_it_is_read() {
    let tree = BrownianTree::new(Seed::new(6), 0.0, 2.0, 2).unwrap().cells(2).unwrap().depth(6).unwrap();
    let grids: [Vec<f64>; 4] = [
        (0..=8).map(|k| 0.25 * f64::from(k)).collect(),
        (0..=64).map(|k| f64::from(k) / 32.0).collect(),
        (0..=10).map(|k| 0.2 * f64::from(k)).collect(),
        vec![0.0, 0.001, 0.002, 0.7, 0.70001, 1.9999, 2.0],
    ];
    let (whole, area) = tree.increment(5..300, 0.0, 2.0).unwrap();
    for grid in grids {
        let mut w = Points::zeros(295, 2);
        let mut integral = Points::zeros(295, 2);
        for step in grid.windows(2) {
            let (dw, dh) = tree.increment(5..300, step[0], step[1]).unwrap();
            let length = step[1] - step[0];
            for k in 0..590 {
                let (w, i) = (&mut w.as_mut_slice()[k], &mut integral.as_mut_slice()[k]);
                *i += length * (dh.as_slice()[k] + 0.5 * dw.as_slice()[k] + *w);
                *w += dw.as_slice()[k];
            }
        }
        assert!(largest(&w, &whole) < 1e-12);
        let h = Points::from_fn(295, 2, |i, h| {
            (0..2).for_each(|c| h[c] = integral.row(i)[c] / 2.0 - 0.5 * w.row(i)[c]);
        });
        assert!(largest(&h, &area) < 1e-12);
    }
    // Particles are themselves in any block, and different from one another.
    let (all, _) = tree.increment(0..300, 0.3, 0.9).unwrap();
    let (some, _) = tree.increment(7..9, 0.3, 0.9).unwrap();
    assert_eq!(some.as_slice(), &all.as_slice()[14..18]);
    assert_ne!(all.row(0), all.row(1));
    // Backwards in time it is a path from t0 too.
    let back = BrownianTree::new(Seed::new(6), 2.0, 0.0, 1).unwrap();
    assert!(back.increment(0..1, 2.0, 0.5).is_ok() && back.increment(0..1, 0.5, 2.0).is_err());
    assert!(matches!(tree.increment(0..1, 0.0, 2.5), Err(Error::Time { .. })));
    assert!(BrownianTree::new(Seed::new(0), 1.0, 1.0, 1).is_err());
    assert!(tree.cells(0).is_err() && tree.depth(33).is_err());
}

#[test]
fn refinement_sees_the_same_path() {
    // On one tree, runs with ever shorter steps approach one another path by path; on white noise they do not.
    let ou = Additive::constant(AffineField::contraction(1), 2f64.sqrt()).unwrap();
    let x0 = Points::from_line(vec![0.5; 200]);
    let tree = BrownianTree::new(Seed::new(7), 0.0, 1.0, 1).unwrap();
    let run = |n| Sde::fixed(EulerMaruyama, n).unwrap().solve(&ou, &tree, &x0, 0.0, 1.0).unwrap().end;
    assert!(largest(&run(1_000), &run(4_096)) < 5e-3);
    let white = |n| {
        let noise = WhiteNoise::new(Seed::new(7));
        Sde::fixed(EulerMaruyama, n).unwrap().solve(&ou, &noise, &x0, 0.0, 1.0).unwrap().end
    };
    assert!(largest(&white(1_024), &white(2_048)) > 0.5);
    assert_eq!(white(100), white(100));
}

#[test]
fn the_law_of_a_run_is_that_of_the_equation() {
    let ou = Additive::constant(AffineField::contraction(1), 2f64.sqrt()).unwrap();
    let noise = WhiteNoise::new(Seed::new(9));
    law_of_ou("SRA1", &Sde::fixed(Sra1, 20).unwrap(), &ou, &noise).unwrap();
    law_of_ou("Euler–Maruyama", &Sde::fixed(EulerMaruyama, 400).unwrap(), &ou, &noise).unwrap();
    let tree = BrownianTree::new(Seed::new(9), 0.0, 0.7, 1).unwrap();
    law_of_ou("ShARK on a tree", &Sde::fixed(Shark, 16).unwrap(), &ou, &tree).unwrap();
    euler_recursion("Euler–Maruyama", EulerMaruyama).unwrap();
    // One step of Euler is not the law, and the test sees it.
    law_of_ou("one step", &Sde::fixed(EulerMaruyama, 1).unwrap(), &ou, &noise).unwrap_err();
}

#[test]
fn increments_are_brownian() {
    increments("white noise", &WhiteNoise::new(Seed::new(31))).unwrap();
    increments("tree", &BrownianTree::new(Seed::new(32), 0.0, 1.0, 1).unwrap()).unwrap();
}

#[test]
fn reverse_diffusions_and_their_family_return_to_the_data() {
    let (data, parts) = two_on_the_line();
    let n = 6_000;
    // Ornstein–Uhlenbeck from s = 4 back to s = 0.02, whose laws are known at both ends.
    let path = MixturePath::new(OrnsteinUhlenbeck, &data).unwrap();
    let start = path.law(4.0).unwrap().sample(n, &mut Seed::new(10).rng());
    let near = noised(&parts, (-0.02f64).exp(), (-(-0.04f64).exp_m1()).sqrt());
    let mesh: Vec<f64> = (0..=120).map(|k| 4.0 * (0.02f64 / 4.0).powf(f64::from(k) / 120.0)).collect();
    let end = *mesh.last().unwrap();
    let noise = WhiteNoise::new(Seed::new(11));
    law_of_the_reverse("reverse", &reverse(&path, OrnsteinUhlenbeck), &noise).unwrap();
    for epsilon in [0.0, 0.4] {
        let member = family(&path, Direction::Backward, move |_| epsilon);
        let run = Sde::on_mesh(StochasticHeun, mesh.clone())
            .unwrap()
            .solve(&member, &noise, &start, 4.0, end)
            .unwrap();
        assert_law(&format!("ε = {epsilon}"), run.finished().unwrap().as_slice(), mixture_cdf(&near));
    }
    // The straight path, forward in t, with a noise level that changes; and the variance-preserving one.
    let straight = MixturePath::new(Linear, &data).unwrap();
    let z = Gaussian::standard(1).sample(n, &mut Seed::new(12).rng());
    let member = family(&straight, Direction::Forward, |t| 0.5 * (1.0 - t));
    let run = Sde::fixed(StochasticHeun, 100).unwrap().solve(&member, &noise, &z, 0.0, 1.0).unwrap();
    assert_law("straight", run.finished().unwrap().as_slice(), mixture_cdf(&parts));
    let vp = VariancePreserving::default();
    let preserving = MixturePath::new(vp, &data).unwrap();
    let start = preserving.law(0.0).unwrap().sample(n, &mut Seed::new(13).rng());
    let run = Sde::fixed(StochasticHeun, 250)
        .unwrap()
        .solve(&reverse(&preserving, vp), &noise, &start, 0.0, 0.99)
        .unwrap();
    let late = noised(&parts, vp.alpha(0.99), vp.sigma(0.99));
    assert_law("variance preserving", run.finished().unwrap().as_slice(), mixture_cdf(&late));
}

#[test]
fn the_gaussian_bridge_is_realised_by_its_equation() {
    let from = Gaussian::new(vec![1.0, 0.0], DMatrix::from_row_slice(2, 2, &[1.0, 0.3, 0.3, 0.5])).unwrap();
    let to = Gaussian::new(vec![-2.0, 1.0], DMatrix::from_row_slice(2, 2, &[0.4, -0.2, -0.2, 1.5])).unwrap();
    let epsilon = 0.8;
    let bridge = GaussianBridge::new(&from, &to, epsilon).unwrap();
    let n = 20_000;
    let x0 = from.sample(n, &mut Seed::new(14).rng());
    let equation = family(&bridge, Direction::Forward, move |_| 0.5 * epsilon);
    let sde = Sde::fixed(StochasticHeun, 60).unwrap().save_every(30).unwrap();
    let run = sde.solve(&equation, &WhiteNoise::new(Seed::new(15)), &x0, 0.0, 1.0).unwrap();
    assert!(run.is_finished());
    let moment = |a: &Points, b: &Points, i: usize, j: usize| {
        let mean = |p: &Points, c: usize| p.rows().map(|r| r[c]).sum::<f64>() / n as f64;
        let (ma, mb) = (mean(a, i), mean(b, j));
        a.rows().zip(b.rows()).map(|(a, b)| (a[i] - ma) * (b[j] - mb)).sum::<f64>() / n as f64
    };
    for (t, x) in &run.saved {
        let law = bridge.law(*t).unwrap();
        for i in 0..2 {
            let mean = x.rows().map(|r| r[i]).sum::<f64>() / n as f64;
            assert!((mean - law.mean()[i]).abs() < 5.0 * (law.covariance()[(i, i)] / n as f64).sqrt() + 2e-3);
            for j in 0..2 {
                let c = law.covariance();
                let spread = ((c[(i, i)] * c[(j, j)] + c[(i, j)].powi(2)) / n as f64).sqrt();
                assert!((moment(x, x, i, j) - c[(i, j)]).abs() < 5.0 * spread + 4e-3, "t = {t}");
                if *t == 1.0 {
                    let cross = bridge.cross_covariance()[(i, j)];
                    assert!((moment(&x0, x, i, j) - cross).abs() < 5.0 * 1.5 / (n as f64).sqrt() + 4e-3);
                }
            }
        }
    }
}

#[test]
fn bad_particles_stop_alone_and_bad_input_is_named() {
    // NaN beyond 2, an error beyond 30.
    struct Cliff;
    impl VelocityField for Cliff {
        fn velocity(
            &self,
            _: flows::Clock<'_>,
            x: &Points,
            out: &mut Points,
        ) -> Result<(), flows::FieldError> {
            for (v, x) in out.rows_mut().zip(x.rows()) {
                if x[0] > 30.0 {
                    return Err("over the cliff".into());
                }
                v[0] = if x[0] > 20.0 { f64::NAN } else { 0.0 };
            }
            Ok(())
        }
        fn is_pointwise(&self) -> bool {
            true
        }
    }
    let equation = Additive::constant(Cliff, 1.0).unwrap();
    let sde = Sde::fixed(Sra1, 40).unwrap().save_every(20).unwrap();
    let noise = BrownianTree::new(Seed::new(16), 0.0, 1.0, 1).unwrap();
    let good = sde.solve(&equation, &noise, &Points::from_line(vec![0.0; 6]), 0.0, 1.0).unwrap();
    assert!(good.is_finished() && good.saved.len() == 3);
    let mut x0 = Points::from_line(vec![0.0; 6]);
    x0.row_mut(1)[0] = 25.0;
    x0.row_mut(4)[0] = 40.0;
    let run = sde.solve(&equation, &noise, &x0, 0.0, 1.0).unwrap();
    for i in [0, 2, 3, 5] {
        assert_eq!((run.end.row(i), run.status[i]), (good.end.row(i), Status::Finished));
        assert!((0..3).all(|k| run.saved[k].1.row(i) == good.saved[k].1.row(i)));
    }
    assert_eq!((run.status[1], run.times[1], run.end.row(1)[0]), (Status::NonFinite, 0.0, 25.0));
    assert_eq!((run.status[4], run.end.row(4)[0], run.failures.len()), (Status::Field, 40.0, 1));
    assert_eq!(run.saved[2].1.row(4)[0], 40.0);
    assert_eq!((run.counts[0].evaluations, run.counts[1].evaluations), (80, 2));

    let ou = Additive::constant(AffineField::contraction(2), 1.0).unwrap();
    let x = Points::zeros(3, 2);
    assert!(Additive::constant(Cliff, f64::NAN).is_err());
    assert!(Sde::<Additive<'_, Cliff>, _>::fixed(EulerMaruyama, 0).is_err());
    let one = |noise: &BrownianTree, x: &Points, t1| {
        Sde::fixed(EulerMaruyama, 4).unwrap().solve(&ou, noise, x, 0.0, t1)
    };
    let other = BrownianTree::new(Seed::new(0), 0.0, 1.0, 3).unwrap();
    assert!(one(&other, &x, 1.0).is_err(), "noise of another dimension");
    let plane = BrownianTree::new(Seed::new(0), 0.0, 1.0, 2).unwrap();
    assert!(matches!(one(&plane, &x, 2.0), Err(Error::Time { .. })));
    assert!(matches!(one(&plane, &x, 0.0), Err(Error::EmptyInterval { .. })));
    assert!(matches!(one(&plane, &Points::zeros(0, 2), 1.0), Err(Error::Measure(_))));
    // A level that is singular stops all, and says when.
    let singular = Additive::new(AffineField::contraction(2), |t: f64| (0.5 - t).sqrt());
    let run = Sde::fixed(EulerMaruyama, 10).unwrap().solve(&singular, &plane, &x, 0.0, 1.0).unwrap();
    assert!(run.status.iter().all(|s| *s == Status::NonFinite) && (run.times[0] - 0.6).abs() < 1e-12);
}
