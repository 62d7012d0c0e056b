//! Diracs, Gaussians and small cases by hand, and the identities between methods.

use divergences::family::{FourierLattice, RandomFrequencies};
use divergences::kernel::{Gaussian, Kernel};
use divergences::measures::lanes::{Isa, force};
use divergences::measures::{Empirical, Family, Points, Sample, Seed, zoo};
use divergences::{Divergence, EnergyDistance, Error, MeanIpm, Mmd, Statistic};
use std::f64::consts::TAU;

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} is not {b}");
}

fn normal(n: usize, dim: usize, seed: u64) -> Points {
    zoo::Gaussian::standard(dim).sample(n, &mut Seed::new(seed).rng())
}

fn weighted(n: usize, dim: usize, seed: u64) -> Empirical {
    let weights = normal(n, 1, seed + 1000).into_vec().iter().map(|z| z.abs() + 0.01).collect();
    Empirical::normalised(normal(n, dim, seed), weights).unwrap()
}

#[test]
fn d2_of_diracs() {
    let (x, y) = ([0.13, -0.4], [0.9, 0.25]);
    let (mu, nu) = (Empirical::dirac(&x).unwrap(), Empirical::dirac(&y).unwrap());
    let family = FourierLattice::cube(2, 2).unwrap().with_periods(&[1.0, 3.0]).unwrap();
    assert_eq!(family.len(), 12);
    let d2 = MeanIpm::new(family, Statistic::Plugin);
    // |1 − e^{iθ}|² = 2 − 2 cos θ, averaged over one of each pair ±k
    let mut expected = 0.0;
    for k0 in -2i32..=2 {
        for k1 in -2i32..=2 {
            if (k0, k1) != (0, 0) {
                let angle = TAU * (f64::from(k0) * (x[0] - y[0]) + f64::from(k1) * (x[1] - y[1]) / 3.0);
                expected += (2.0 - 2.0 * angle.cos()) / 24.0;
            }
        }
    }
    close(d2.value(&mu, &nu).unwrap(), expected, 1e-14);
}

#[test]
fn lattice_brackets_against_plain_sums() {
    let mu = weighted(1301, 2, 1);
    let vectors = vec![vec![3, 0], vec![0, -5], vec![-40, 7], vec![100, 99], vec![0, 0], vec![1000, -1]];
    let family = FourierLattice::new(&vectors).unwrap().with_periods(&[1.5, 0.7]).unwrap();
    let brackets = family.brackets(&mu).unwrap();
    let c: Vec<f64> = (0..12).map(|i| 0.3 * i as f64 - 1.0).collect();
    let pullback = family.pullback(mu.points(), &c).unwrap();
    let table = family.values(mu.points()).unwrap();
    for (k, vector) in vectors.iter().enumerate() {
        let angle = |x: &[f64]| {
            // whole turns off before the multiplication by 2π
            let t = f64::from(vector[0]) * (x[0] / 1.5).fract() + f64::from(vector[1]) * (x[1] / 0.7).fract();
            TAU * t.fract()
        };
        let sum = |f: fn(f64) -> f64| -> f64 {
            mu.points().rows().zip(mu.weights()).map(|(x, w)| w * f(angle(x))).sum()
        };
        close(brackets[2 * k], sum(f64::cos), 1e-12);
        close(brackets[2 * k + 1], sum(f64::sin), 1e-12);
        for (i, x) in mu.points().rows().enumerate() {
            close(table[i * 12 + 2 * k], angle(x).cos(), 2e-12);
            close(table[i * 12 + 2 * k + 1], angle(x).sin(), 2e-12);
        }
    }
    for i in [0, 7, 1300] {
        let row = &table[i * 12..(i + 1) * 12];
        close(pullback.values[i], row.iter().zip(&c).map(|(f, c)| f * c).sum(), 1e-13);
        let slope: f64 = (0..6)
            .map(|k| {
                let by_angle = c[2 * k + 1] * row[2 * k] - c[2 * k] * row[2 * k + 1];
                TAU / 0.7 * f64::from(vectors[k][1]) * by_angle
            })
            .sum();
        close(pullback.gradients.row(i)[1], slope, 1e-13);
    }
}

#[test]
fn the_recurrence_keeps_its_accuracy_at_high_frequency() {
    let family = FourierLattice::new(&[vec![65_535], vec![50_000]]).unwrap();
    let x = normal(500, 1, 3);
    let table = family.values(&x).unwrap();
    for (i, x) in x.rows().enumerate() {
        let fraction = x[0] - x[0].round();
        for (j, k) in [65_535.0, 50_000.0].into_iter().enumerate() {
            // k·x exactly: product and its rounding error, whole turns off
            let high: f64 = k * fraction;
            let low = f64::mul_add(k, fraction, -high);
            let (s, c) = (TAU * ((high - high.round()) + low)).sin_cos();
            assert!((table[4 * i + 2 * j] - c).abs() < 1e-14, "{}", table[4 * i + 2 * j] - c);
            assert!((table[4 * i + 2 * j + 1] - s).abs() < 1e-14);
        }
    }
}

#[test]
fn frequencies_against_plain_sums() {
    for dim in [1, 2, 5, 64] {
        let mu = weighted(777, dim, 5);
        let family = RandomFrequencies::gaussian(dim, 1.3, 37, Seed::new(2)).unwrap();
        let brackets = family.brackets(&mu).unwrap();
        let table = family.values(mu.points()).unwrap();
        let c: Vec<f64> = (0..74).map(|i| 0.1 * i as f64 - 2.0).collect();
        let pullback = family.pullback(mu.points(), &c).unwrap();
        for (k, s) in family.frequencies().rows().enumerate() {
            let angle = |x: &[f64]| -> f64 { x.iter().zip(s).map(|(x, s)| x * s).sum() };
            let cos: f64 = mu.points().rows().zip(mu.weights()).map(|(x, w)| w * angle(x).cos()).sum();
            close(brackets[2 * k], cos, 1e-13);
            close(table[74 * 776 + 2 * k + 1], angle(mu.points().row(776)).sin(), 1e-13);
        }
        let row = &table[74 * 5..74 * 6];
        close(pullback.values[5], row.iter().zip(&c).map(|(f, c)| f * c).sum(), 1e-13);
        let slope: f64 = (0..37)
            .map(|k| family.frequencies().row(k)[0] * (c[2 * k + 1] * row[2 * k] - c[2 * k] * row[2 * k + 1]))
            .sum();
        close(pullback.gradients.row(5)[0], slope, 1e-13);
    }
}

/// D₂² over a family is the squared MMD of κ = Σ τ f⊗f, for both statistics and with weights.
struct FamilyKernel<F>(F);

impl<F: Family + Send + Sync> Kernel for FamilyKernel<F> {
    fn value(&self, x: &[f64], y: &[f64]) -> f64 {
        let at = |x: &[f64]| self.0.values(&Points::new(x.len(), x.to_vec()).unwrap()).unwrap();
        at(x).iter().zip(at(y)).zip(self.0.tau()).map(|((f, g), t)| t * f * g).sum()
    }
    fn gradient(&self, x: &[f64], y: &[f64], out: &mut [f64]) {
        let at = |x: &[f64]| Points::new(x.len(), x.to_vec()).unwrap();
        let c: Vec<f64> =
            self.0.values(&at(y)).unwrap().iter().zip(self.0.tau()).map(|(f, t)| f * t).collect();
        out.copy_from_slice(self.0.pullback(&at(x), &c).unwrap().gradients.row(0));
    }
    fn properties(&self) -> divergences::kernel::Properties {
        divergences::kernel::Properties::default()
    }
}

#[test]
fn d2_is_the_mmd_of_its_kernel() {
    let (mu, nu) = (weighted(20, 2, 7), weighted(15, 2, 8));
    for statistic in [Statistic::Plugin, Statistic::Unbiased] {
        let family = RandomFrequencies::gaussian(2, 0.8, 9, Seed::new(4)).unwrap();
        let d2 = MeanIpm::new(family.clone(), statistic).variation(&mu, &nu).unwrap();
        let mmd = Mmd::new(FamilyKernel(family), statistic).variation(&mu, &nu).unwrap();
        close(d2.value, mmd.value, 1e-13);
        for (a, b) in d2.d_points.as_slice().iter().zip(mmd.d_points.as_slice()) {
            close(*a, *b, 1e-13);
        }
        for (a, b) in d2.d_weights.iter().zip(&mmd.d_weights) {
            close(*a, *b, 1e-13);
        }
    }
}

#[test]
fn mmd_against_a_plain_double_sum() {
    for (n, m, dim) in [(1, 1, 1), (3, 9, 2), (70, 41, 3), (300, 517, 64)] {
        let (mu, nu) = (weighted(n, dim, 11), weighted(m, dim, 12));
        let h = 0.9 * (dim as f64).sqrt();
        let k = |x: &[f64], y: &[f64]| {
            let r2: f64 = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
            (-r2 / (2.0 * h * h)).exp()
        };
        let sum = |a: &Empirical, b: &Empirical, off: bool| -> f64 {
            let mut total = 0.0;
            for i in 0..a.len() {
                for j in 0..b.len() {
                    if !(off && i == j) {
                        total += a.weights()[i] * b.weights()[j] * k(a.points().row(i), b.points().row(j));
                    }
                }
            }
            total
        };
        let cross = sum(&mu, &nu, false);
        let plugin = Mmd::new(Gaussian::new(h).unwrap(), Statistic::Plugin);
        let expected = sum(&mu, &mu, false) + sum(&nu, &nu, false) - 2.0 * cross;
        close(plugin.value(&mu, &nu).unwrap(), expected, 1e-14);
        close(plugin.variation(&mu, &nu).unwrap().value, expected, 1e-14);
        let unbiased = Mmd::new(Gaussian::new(h).unwrap(), Statistic::Unbiased);
        if n == 1 {
            assert!(matches!(unbiased.value(&mu, &nu), Err(Error::TooFew { got: 1, .. })));
            continue;
        }
        let (p, q) = (1.0 - mu.collision(), 1.0 - nu.collision());
        let expected = sum(&mu, &mu, true) / p + sum(&nu, &nu, true) / q - 2.0 * cross;
        close(unbiased.value(&mu, &nu).unwrap(), expected, 1e-13);
        close(unbiased.variation(&mu, &nu).unwrap().value, expected, 1e-13);
    }
}

/// Population values: E k(X, Y) of Gaussians in closed form, met by the unbiased estimate within six standard errors.
#[test]
fn the_unbiased_estimate_meets_the_population_value() {
    let h: f64 = 0.7;
    let k = |variance: f64, shift: f64| {
        let total = h * h + variance;
        h / total.sqrt() * (-shift * shift / (2.0 * total)).exp()
    };
    // N(0, 1) against N(0.5, 0.6²)
    let exact = k(2.0, 0.0) + k(0.72, 0.0) - 2.0 * k(1.36, 0.5);
    let mmd = Mmd::new(Gaussian::new(h).unwrap(), Statistic::Unbiased);
    let plugin = Mmd::new(Gaussian::new(h).unwrap(), Statistic::Plugin);
    let (mut draws, mut biased) = (Vec::new(), 0.0);
    for seed in 0..200 {
        let mu = Empirical::uniform(normal(60, 1, 100 + seed)).unwrap();
        let y = normal(50, 1, 5000 + seed).into_vec().iter().map(|z| 0.5 + 0.6 * z).collect();
        let nu = Empirical::uniform(Points::from_line(y)).unwrap();
        draws.push(mmd.value(&mu, &nu).unwrap());
        biased += plugin.value(&mu, &nu).unwrap() / 200.0;
    }
    let estimate = divergences::measures::Estimate::of_mean(&draws).unwrap();
    assert!((estimate.value - exact).abs() < 6.0 * estimate.standard_error, "{estimate:?} is not {exact}");
    // the plug-in estimate keeps the diagonal, k = 1, in the share 1/n of its pairs
    let bias = (1.0 - k(2.0, 0.0)) / 60.0 + (1.0 - k(0.72, 0.0)) / 50.0;
    assert!(
        (biased - bias - exact).abs() < 6.0 * estimate.standard_error,
        "{biased} is not {}",
        exact + bias
    );
}

#[test]
fn gaussian_random_features_estimate_the_gaussian_kernel() {
    let (mu, nu) = (weighted(40, 3, 21), weighted(30, 3, 22));
    let family = RandomFrequencies::gaussian(3, 1.1, 40_000, Seed::new(9)).unwrap();
    let d2 = MeanIpm::new(family, Statistic::Plugin).value(&mu, &nu).unwrap();
    let mmd = Mmd::new(Gaussian::new(1.1).unwrap(), Statistic::Plugin).value(&mu, &nu).unwrap();
    assert!((d2 - mmd).abs() < 0.03 * mmd, "{d2} is not {mmd}");
}

#[test]
fn figure_one_does_not_separate() {
    // density 1 + cos 22πx on [0, 1] has the brackets of the uniform at k = 1, …, 10: both on a fine grid
    let n = 4400;
    let x: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
    let density: Vec<f64> = x.iter().map(|x| 1.0 + (11.0 * TAU * x).cos()).collect();
    let uniform = Empirical::uniform(Points::from_line(x.clone())).unwrap();
    let wave = Empirical::normalised(Points::from_line(x), density).unwrap();
    let d2 =
        |k| MeanIpm::new(FourierLattice::line(k).unwrap(), Statistic::Plugin).value(&wave, &uniform).unwrap();
    assert!(d2(10) < 1e-28, "{}", d2(10));
    close(d2(11), 0.25 / 11.0, 1e-12);
}

/// The same bytes on every instruction set and, with rayon, for any number of threads.
#[test]
fn bits_do_not_depend_on_the_machine() {
    let run = || -> Vec<u64> {
        let (mu, nu) = (weighted(3001, 2, 31), weighted(2100, 2, 32));
        let mut bits = Vec::new();
        for statistic in [Statistic::Plugin, Statistic::Unbiased] {
            let lattice = MeanIpm::new(FourierLattice::cube(2, 2).unwrap(), statistic);
            let drawn =
                MeanIpm::new(RandomFrequencies::gaussian(2, 1.0, 20, Seed::new(1)).unwrap(), statistic);
            let mmd = Mmd::new(Gaussian::new(0.5).unwrap(), statistic);
            for d in [&lattice as &dyn Divergence, &drawn, &mmd] {
                let v = d.variation(&mu, &nu).unwrap();
                bits.extend([v.value.to_bits(), d.value(&mu, &nu).unwrap().to_bits()]);
                bits.extend(v.d_points.as_slice().iter().chain(&v.d_weights).map(|x| x.to_bits()));
            }
        }
        // so many pairs in so many dimensions that distances come from inner products
        let (mu, nu) = (weighted(1100, 17, 33), weighted(1050, 17, 34));
        bits.push(EnergyDistance::new(Statistic::Plugin).value(&mu, &nu).unwrap().to_bits());
        bits
    };
    let best = run();
    for isa in Isa::available() {
        force(Some(isa)).unwrap();
        assert!(run() == best, "{isa:?} differs");
    }
    force(None).unwrap();
    #[cfg(feature = "rayon")]
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(run) == best, "{threads} threads differ");
    }
}

#[test]
fn bad_input_is_named() {
    let one = Empirical::dirac(&[0.0]).unwrap();
    let two = Empirical::dirac(&[0.0, 0.0]).unwrap();
    let lattice = MeanIpm::new(FourierLattice::line(2).unwrap(), Statistic::Unbiased);
    assert!(matches!(lattice.value(&two, &two), Err(Error::Dimension { .. })));
    let message = lattice.value(&one, &one).unwrap_err().to_string();
    assert!(message.contains("at least 2") && message.contains("unbiased"), "{message}");
    let mmd = Mmd::new(Gaussian::new(1.0).unwrap(), Statistic::Plugin);
    assert!(matches!(mmd.value(&one, &two), Err(Error::Dimension { .. })));
    assert!(matches!(mmd.variation(&two, &one), Err(Error::Dimension { .. })));
    for h in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Gaussian::new(h).is_err());
        assert!(RandomFrequencies::gaussian(1, h, 5, Seed::new(0)).is_err());
    }
    assert!(RandomFrequencies::gaussian(0, 1.0, 5, Seed::new(0)).is_err());
    assert!(RandomFrequencies::gaussian(1, 1.0, 0, Seed::new(0)).is_err());
    assert!(FourierLattice::new(&[vec![1], vec![1, 2]]).is_err());
    assert!(FourierLattice::new(&[vec![1 << 20]]).is_err());
    assert!(FourierLattice::cube(40, 3).is_err());
    assert!(FourierLattice::line(3).unwrap().with_tau(&[1.0, -1.0, 0.0]).is_err());
    assert!(FourierLattice::line(3).unwrap().with_periods(&[0.0]).is_err());
    // far points: the kernel is zero there, the brackets stay on the unit circle
    let far = Empirical::uniform(Points::from_line(vec![1e300, -1e300])).unwrap();
    close(mmd.value(&far, &one).unwrap(), 1.5, 1e-15);
    let plugin = MeanIpm::new(FourierLattice::line(2).unwrap(), Statistic::Plugin);
    assert!(plugin.value(&far, &one).unwrap().is_finite());
    let drawn =
        MeanIpm::new(RandomFrequencies::gaussian(1, 1e-20, 4, Seed::new(0)).unwrap(), Statistic::Plugin);
    assert!(drawn.value(&far, &one).is_err(), "⟨s, x⟩ overflows: an error, not NaN");
}
