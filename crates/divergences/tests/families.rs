//! The families of test functions: brackets, pullbacks and diagonals against their values, and what they are known to be.

use divergences::family::{
    Activation, Bumps, Exponentials, Functions, Hermite, Monomials, Nystrom, RandomFrequencies, Ridge,
    SteinImage,
};
use divergences::kernel::{Gaussian, InverseMultiquadric, Kernel, Matern, Smoothness};
use divergences::measures::{Empirical, Family, Function, Points, Sample, Seed, TestFunction, zoo};
use divergences::{Divergence, EnergyDistance, MeanIpm, Mmd, Statistic};
use std::f64::consts::PI;

fn close(what: &str, a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}: {a} is not {b}");
}

fn normal(n: usize, dim: usize, seed: u64) -> Points {
    zoo::Gaussian::standard(dim).sample(n, &mut Seed::new(seed).rng())
}

fn weighted(n: usize, dim: usize, seed: u64) -> Empirical {
    let weights = normal(n, 1, seed + 1000).into_vec().iter().map(|z| z.abs() + 0.01).collect();
    Empirical::normalised(normal(n, dim, seed), weights).unwrap()
}

fn every(dim: usize) -> Vec<(&'static str, Box<dyn Family>)> {
    let seed = Seed::new(3);
    let table = |n: usize, seed| normal(n, dim, seed);
    let ridge = |a| Box::new(Ridge::random(a, dim, 0.8, 6, seed).unwrap());
    let square = Function::new(
        dim,
        |x| x[0] * x[0],
        |x, g| {
            g.fill(0.0);
            g[0] = 2.0 * x[0];
        },
    );
    vec![
        ("frequencies", Box::new(RandomFrequencies::gaussian(dim, 0.9, 5, seed).unwrap())),
        (
            "exponentials",
            Box::new(Exponentials::new(table(4, 1), table(4, 2), &[0.1, 0.2, 0.3, 0.4]).unwrap()),
        ),
        ("monomials", Box::new(Monomials::new(dim, 4).unwrap())),
        ("Hermite", Box::new(Hermite::new(dim, 4).unwrap())),
        ("tanh", ridge(Activation::Tanh)),
        ("sigmoid", ridge(Activation::Sigmoid)),
        ("ReLU", ridge(Activation::Relu)),
        ("softplus", ridge(Activation::Softplus)),
        ("cosine", ridge(Activation::Cosine)),
        ("bumps", Box::new(Bumps::new(table(4, 6), 2.5, &[1.0, 0.5, 2.0, 1.0]).unwrap())),
        ("Stein image", {
            let base = RandomFrequencies::gaussian(dim, 0.9, 3, seed).unwrap();
            Box::new(SteinImage::new(zoo::Gaussian::standard(dim), base).unwrap())
        }),
        (
            "functions",
            Box::new(Functions::new(vec![Box::new(square) as Box<dyn TestFunction>], &[0.7]).unwrap()),
        ),
        ("Nyström", Box::new(Nystrom::new(Gaussian::new(1.0).unwrap(), table(5, 9)).unwrap())),
    ]
}

#[test]
fn brackets_pullbacks_and_diagonals_agree_with_the_values() {
    for dim in [1, 2, 3] {
        for (name, family) in every(dim) {
            let mu = weighted(13, dim, 20);
            let x = mu.points();
            let (count, table) = (family.tau().len(), family.values(mu.points()).unwrap());
            let c: Vec<f64> = (0..count).map(|k| 0.5 - 0.3 * (k % 5) as f64).collect();
            let brackets = family.brackets(&mu).unwrap();
            let (pullback, diagonal) = (family.pullback(x, &c).unwrap(), family.diagonal(x).unwrap());
            for k in 0..count {
                let sum: f64 = (0..13).map(|i| mu.weights()[i] * table[i * count + k]).sum();
                close(name, brackets[k], sum, 1e-12);
            }
            for i in 0..13 {
                let row = &table[i * count..(i + 1) * count];
                close(name, pullback.values[i], row.iter().zip(&c).map(|(f, c)| f * c).sum(), 1e-12);
                let square = row.iter().zip(family.tau()).map(|(f, t)| t * f * f).sum();
                close(name, diagonal.values[i], square, 1e-12);
                for j in 0..dim {
                    let at = |h: f64| {
                        let mut row = x.row(i).to_vec();
                        row[j] += h;
                        family.values(&Points::new(dim, row).unwrap()).unwrap()
                    };
                    let (up, down) = (at(1e-5), at(-1e-5));
                    let slope = |f: &dyn Fn(usize) -> f64| (0..count).map(f).sum::<f64>() / 2e-5;
                    let expected = slope(&|k| c[k] * (up[k] - down[k]));
                    close(name, pullback.gradients.row(i)[j], expected, 1e-7);
                    let expected = slope(&|k| family.tau()[k] * (up[k] * up[k] - down[k] * down[k]));
                    close(name, diagonal.gradients.row(i)[j], expected, 1e-6);
                }
            }
            assert!(family.brackets(&weighted(3, dim + 1, 1)).is_err());
            assert!(family.pullback(x, &c[1..]).is_err());
        }
    }
}

#[test]
fn student_frequencies_are_the_matern_kernel() {
    let (x, y) = ([0.2, -0.3], [0.7, 0.4]);
    for smoothness in [Smoothness::Half, Smoothness::ThreeHalves, Smoothness::FiveHalves] {
        let n = 200_000;
        let family = RandomFrequencies::student(2, 0.9, 2.0 * smoothness.nu(), n, Seed::new(5)).unwrap();
        let draws: Vec<f64> = family
            .frequencies()
            .rows()
            .map(|s| s.iter().zip(x.iter().zip(y)).map(|(s, (x, y))| s * (x - y)).sum::<f64>().cos())
            .collect();
        let estimate = divergences::measures::Estimate::of_mean(&draws).unwrap();
        let exact = Kernel::value(&Matern::new(smoothness, 0.9).unwrap(), &x, &y);
        assert!(
            (estimate.value - exact).abs() < 6.0 * estimate.standard_error,
            "{estimate:?} is not {exact}"
        );
    }
}

/// D₂² with the stable weight is the energy distance, within the Monte Carlo interval over seeds.
#[test]
fn stable_frequencies_are_the_energy_distance() {
    for dim in [1, 2, 5] {
        let (mu, nu) = (weighted(12, dim, 31), weighted(9, dim, 32));
        let exact = EnergyDistance::new(Statistic::Plugin).value(&mu, &nu).unwrap();
        let draws: Vec<f64> = (0..60)
            .map(|seed| {
                let family = RandomFrequencies::stable(dim, 1.0, 400, Seed::new(seed)).unwrap();
                MeanIpm::new(family, Statistic::Plugin).value(&mu, &nu).unwrap()
            })
            .collect();
        let estimate = divergences::measures::Estimate::of_mean(&draws).unwrap();
        assert!(
            (estimate.value - exact).abs() < 6.0 * estimate.standard_error,
            "{estimate:?} is not {exact}"
        );
        assert!(estimate.standard_error < 0.03 * exact, "{estimate:?}");
    }
}

#[test]
fn hermite_polynomials_are_orthonormal_and_monomials_complete() {
    let hermite = Hermite::new(2, 4).unwrap();
    assert_eq!(hermite.exponents().len(), 14); // C(6, 2) − 1
    assert_eq!(hermite.eigenvalues()[..5], [1.0, 1.0, 2.0, 2.0, 2.0]);
    // a fine grid under the normal weight: the trapezoid rule is exact to round-off
    let grid: Vec<f64> = (0..161).map(|i| -10.0 + 0.125 * f64::from(i)).collect();
    let rows: Vec<f64> = grid.iter().flat_map(|x| grid.iter().flat_map(move |y| [*x, *y])).collect();
    let weights = rows.chunks_exact(2).map(|r| (-0.5 * (r[0] * r[0] + r[1] * r[1])).exp()).collect();
    let mu = Empirical::normalised(Points::new(2, rows).unwrap(), weights).unwrap();
    let table = hermite.values(mu.points()).unwrap();
    for a in 0..14 {
        for b in 0..14 {
            let inner: f64 =
                table.chunks_exact(14).zip(mu.weights()).map(|(row, w)| w * row[a] * row[b]).sum();
            close("inner product", inner, f64::from(u8::from(a == b)), 1e-11);
        }
    }
    let monomials = Monomials::new(3, 2).unwrap();
    assert_eq!(monomials.exponents().len(), 9);
    let at = monomials.values(&Points::from_rows(&[[2.0, 3.0, 5.0]])).unwrap();
    assert_eq!(at, [2.0, 3.0, 5.0, 4.0, 6.0, 10.0, 9.0, 15.0, 25.0]);
}

/// E_p[A_p g] = 0 under the target.
#[test]
fn the_stein_image_vanishes_under_its_target() {
    let base = RandomFrequencies::gaussian(1, 1.0, 4, Seed::new(8)).unwrap();
    let family = SteinImage::new(zoo::Gaussian::standard(1), base).unwrap();
    let grid: Vec<f64> = (0..2001).map(|i| -10.0 + 0.01 * f64::from(i)).collect();
    let weights = grid.iter().map(|x| (-0.5 * x * x).exp() / (2.0 * PI).sqrt()).collect();
    let normal = Empirical::normalised(Points::from_line(grid), weights).unwrap();
    assert!(family.brackets(&normal).unwrap().iter().all(|b| b.abs() < 1e-13));
    let elsewhere = Empirical::dirac(&[1.0]).unwrap();
    assert!(family.brackets(&elsewhere).unwrap().iter().any(|b| b.abs() > 0.1));
}

#[test]
fn nystrom_is_exact_when_the_landmarks_are_all_points() {
    let (mu, nu) = (weighted(12, 2, 41), weighted(9, 2, 42));
    let kernel = InverseMultiquadric::new(0.7).unwrap();
    let exact = Mmd::new(kernel, Statistic::Plugin).variation(&mu, &nu).unwrap();
    let all = mu.points().concat(nu.points()).unwrap();
    // coinciding landmarks change nothing
    let twice = all.concat(mu.points()).unwrap();
    for landmarks in [all.clone(), twice] {
        let d2 = MeanIpm::new(Nystrom::new(kernel, landmarks).unwrap(), Statistic::Plugin)
            .variation(&mu, &nu)
            .unwrap();
        close("Nyström", d2.value, exact.value, 1e-9);
        for (a, b) in d2.d_points.as_slice().iter().zip(exact.d_points.as_slice()) {
            close("Nyström", *a, *b, 1e-6);
        }
    }
    let some = Nystrom::new(kernel, all.select(&[0, 5, 10, 15])).unwrap();
    let part = MeanIpm::new(some, Statistic::Plugin).value(&mu, &nu).unwrap();
    assert!(part > 0.0 && part <= exact.value, "a projection does not lengthen: {part} and {}", exact.value);
}

#[test]
fn bad_families_are_refused() {
    let seed = Seed::new(0);
    assert!(Monomials::new(0, 2).is_err() && Monomials::new(2, 0).is_err());
    assert!(Monomials::new(500, 9).is_err(), "too many");
    assert!(Hermite::new(1, 3).unwrap().with_tau(&[1.0]).is_err());
    assert!(Ridge::random(Activation::Tanh, 2, 0.0, 3, seed).is_err());
    assert!(Ridge::random(Activation::Tanh, 2, 1.0, 0, seed).is_err());
    assert!(Bumps::new(normal(2, 1, 1), -1.0, &[1.0, 1.0]).is_err());
    assert!(Exponentials::new(normal(2, 1, 1), normal(3, 1, 1), &[1.0, 1.0]).is_err());
    assert!(Functions::<Box<dyn TestFunction>>::new(vec![], &[]).is_err());
    assert!(RandomFrequencies::student(1, 1.0, 0.0, 3, seed).is_err());
    assert!(RandomFrequencies::stable(1, f64::NAN, 3, seed).is_err());
    assert!(RandomFrequencies::stable(0, 1.0, 3, seed).is_err());
    let base = RandomFrequencies::gaussian(2, 1.0, 3, seed).unwrap();
    assert!(SteinImage::new(zoo::Gaussian::standard(1), base).is_err());
    assert!(Nystrom::new(divergences::kernel::Energy::distance(), normal(3, 1, 1)).is_err());
    // e^{1000} overflows: an error, not an infinity
    let steep =
        Exponentials::new(Points::from_line(vec![1000.0]), Points::from_line(vec![0.0]), &[1.0]).unwrap();
    let (one, two) = (Empirical::dirac(&[1.0]).unwrap(), Empirical::dirac(&[0.0]).unwrap());
    assert!(MeanIpm::new(steep, Statistic::Plugin).value(&one, &two).is_err());
}
