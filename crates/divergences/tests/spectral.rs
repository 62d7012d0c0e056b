//! The grid of frequencies against the direct sum over pairs, and the bound it comes with.

use divergences::kernel::{Energy, Gaussian, InverseMultiquadric, Kernel, Mixture, Properties};
use divergences::measures::{Empirical, Family, Functional, Points, Sample, Seed, zoo};
use divergences::test::mmd_test;
use divergences::transport::line;
use divergences::{
    Approach, Divergence, EnergyDistance, KernelStein, Mmd, Spectral, SpectralGrid, SpectralMmd, Statistic,
};
use measures::lanes::{Isa, force};
use rand::RngExt;

fn cloud(n: usize, dim: usize, seed: u64, weighted: bool) -> Empirical {
    let mut rng = Seed::new(seed).rng();
    let law =
        zoo::Gaussian::isotropic(&vec![0.4 * seed as f64 - 30.0; dim], 1.0 + 0.1 * seed as f64).unwrap();
    let x = law.sample(n, &mut rng);
    if !weighted {
        return Empirical::uniform(x).unwrap();
    }
    Empirical::normalised(x, (0..n).map(|i| if i == 3 { 0.0 } else { rng.random::<f64>() }).collect())
        .unwrap()
}

fn agree<K: Spectral + Clone>(what: &str, kernel: &K, dim: usize, tolerance: f64) {
    let peak = kernel.value(&vec![0.0; dim], &vec![0.0; dim]);
    for (n, m, weighted) in [(1, 2, false), (700, 311, false), (530, 1100, true)] {
        let (mu, nu) = (cloud(n, dim, 1, weighted), cloud(m, dim, 2, weighted));
        for statistic in [Statistic::Plugin, Statistic::Unbiased] {
            if n == 1 && statistic == Statistic::Unbiased {
                continue;
            }
            let direct = Mmd::new(kernel.clone(), statistic);
            let grid = SpectralMmd::new(kernel.clone(), statistic).by(Approach::Grid);
            let grid = grid.with_tolerance(tolerance).unwrap();
            let found = grid.estimate(&mu, &nu).unwrap();
            let expected = direct.variation(&mu, &nu).unwrap();
            let error = (found.value - expected.value).abs();
            assert!(found.functions > 0, "{what}, d = {dim}: no grid");
            assert!(error <= found.bound, "{what}, d = {dim}: {error} above {}", found.bound);
            assert!(found.bound <= (8.0 * tolerance + 1e-12) * peak, "{what}: a bound of {}", found.bound);
            let variation = grid.variation(&mu, &nu).unwrap();
            let close = |a: &[f64], b: &[f64]| {
                let size = b.iter().fold(1e-3f64, |m, b| m.max(b.abs()));
                a.iter().zip(b).all(|(a, b)| (a - b).abs() <= (100.0 * tolerance + 1e-12) * (peak + size))
            };
            assert!(close(variation.d_weights.as_slice(), &expected.d_weights), "{what}: δF/δμ");
            assert!(close(variation.d_points.as_slice(), expected.d_points.as_slice()), "{what}: gradient");
            let (field, direct) =
                (grid.gradient_field(&mu, &nu).unwrap(), direct.gradient_field(&mu, &nu).unwrap());
            assert!(close(field.as_slice(), direct.as_slice()), "{what}: field");
        }
    }
}

#[test]
fn the_grid_is_the_kernel_within_its_bound() {
    for dim in 1..=3 {
        agree("Gaussian", &Gaussian::new(1.3).unwrap(), dim, 1e-15);
        agree("Gaussian, coarse", &Gaussian::new(0.9).unwrap(), dim, 1e-5);
    }
    agree("narrow", &Gaussian::new(0.2).unwrap(), 2, 1e-8);
    agree("narrow", &Gaussian::new(0.03).unwrap(), 1, 1e-12);
    agree("mixture of scales", &Mixture::of_bandwidths(&[1.7, 0.5, 0.17]).unwrap(), 2, 1e-8);
    agree("mixture", &Mixture::of_bandwidths(&[0.6, 1.0, 3.0]).unwrap(), 2, 1e-15);
}

#[test]
fn terms_on_several_lengths_have_grids_of_their_own() {
    let kernel = Mixture::of_bandwidths(&[2.4, 0.7, 0.24]).unwrap();
    let (lower, upper) = ([-2.0, -2.5], [2.5, 2.0]);
    let together = SpectralGrid::new(&kernel, &lower, &upper, 1e-8).unwrap().len();
    let apart: usize = kernel.grids(&lower, &upper, 1e-8).unwrap().iter().map(SpectralGrid::len).sum();
    assert!(4 * apart < together, "{apart} functions and {together}");
    let mmd = SpectralMmd::new(kernel, Statistic::Unbiased).with_tolerance(1e-8).unwrap();
    let found = mmd.estimate(&cloud(1000, 2, 1, false), &cloud(1000, 2, 2, false)).unwrap();
    assert!(found.functions > 100, "the batches of a network are worth it");
}

/// ∏ 1/cosh(rⱼ/h), whose spectrum is ∏ πh/cosh(πhωⱼ/2): exponential decay on both sides.
#[derive(Clone)]
struct Sech(f64);

fn sech(x: f64) -> f64 {
    x.cosh().recip()
}

impl Kernel for Sech {
    fn value(&self, x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(x, y)| sech((x - y) / self.0)).product()
    }
    fn gradient(&self, x: &[f64], y: &[f64], out: &mut [f64]) {
        let value = self.value(x, y);
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = -value * ((x - y) / self.0).tanh() / self.0;
        }
    }
    fn properties(&self) -> Properties {
        Properties::default()
    }
}

impl Spectral for Sech {
    fn spectrum(&self, omega: &[f64]) -> f64 {
        let pi = std::f64::consts::PI;
        omega.iter().map(|w| pi * self.0 * sech(0.5 * pi * self.0 * w)).product()
    }
    // sech x ≤ 2e^{−x}: geometric series
    fn aliases(&self, extents: &[f64], periods: &[f64]) -> f64 {
        let one = |(l, p): (&f64, &f64)| 4.0 * (-(p - l) / self.0).exp() / (1.0 - (-p / self.0).exp());
        extents.iter().zip(periods).map(|pair| one(pair).ln_1p()).sum::<f64>().exp_m1()
    }
    fn tail(&self, periods: &[f64], highest: &[usize]) -> f64 {
        let pi = std::f64::consts::PI;
        let all = |p: f64| 1.0 + 4.0 * (-p / self.0).exp() / (1.0 - (-p / self.0).exp());
        let beyond = |p: f64, k: usize| {
            let step = pi * pi * self.0 / p;
            4.0 * pi * self.0 / p * (-step * (k + 1) as f64).exp() / (1.0 - (-step).exp())
        };
        periods.iter().zip(highest).map(|(p, k)| beyond(*p, *k) / all(*p)).sum::<f64>()
            * periods.iter().map(|p| all(*p)).product::<f64>()
    }
    fn lengths(&self) -> (f64, f64) {
        (self.0, self.0)
    }
}

#[test]
fn a_kernel_of_ones_own_with_exponential_decay() {
    for dim in 1..=2 {
        agree("sech", &Sech(0.8), dim, 1e-13);
    }
}

#[test]
fn pairs_are_summed_where_they_are_cheaper() {
    let functions = |n: usize, dim: usize, h: f64| {
        let mmd = SpectralMmd::new(Gaussian::new(h).unwrap(), Statistic::Plugin);
        let (mu, nu) = (cloud(n, dim, 1, false), cloud(n, dim, 2, false));
        let (found, direct) =
            (mmd.estimate(&mu, &nu).unwrap(), Mmd::new(Gaussian::new(h).unwrap(), Statistic::Plugin));
        assert!((found.value - direct.value(&mu, &nu).unwrap()).abs() <= found.bound);
        found.functions
    };
    assert_eq!(functions(30, 2, 1.0), 0, "few points");
    assert_eq!(functions(500, 4, 1.0), 0, "four dimensions");
    assert_eq!(functions(500, 2, 1e-3), 0, "a small bandwidth");
    assert!(functions(3000, 2, 1.0) > 500 && functions(1000, 1, 0.1) > 100);
}

#[test]
fn a_grid_is_a_family() {
    let kernel = Gaussian::new(0.7).unwrap();
    let grid = SpectralGrid::new(&kernel, &[-1.0, 0.0], &[1.0, 3.0], 1e-14).unwrap();
    let x = Points::from_rows(&[[-1.0, 0.5], [0.9, 3.0], [0.2, 0.0]]);
    let table = grid.values(&x).unwrap();
    let width = grid.tau().len();
    for i in 0..3 {
        for j in 0..3 {
            let row = |i: usize| &table[i * width..(i + 1) * width];
            let k: f64 = row(i).iter().zip(row(j)).zip(grid.tau()).map(|((a, b), t)| t * a * b).sum();
            assert!((k - kernel.value(x.row(i), x.row(j))).abs() < 1e-13);
        }
    }
    assert!((grid.diagonal(&x).unwrap().values[1] - 1.0).abs() < 1e-13);
    assert!(SpectralGrid::new(&kernel, &[0.0; 4], &[1.0; 4], 1e-14).is_none());
    assert!(SpectralGrid::new(&kernel, &[0.0; 2], &[1e9; 2], 1e-14).is_none());
    assert!(SpectralGrid::new(&kernel, &[-1e308; 2], &[1e308; 2], 1e-14).is_none(), "an infinite side");
}

#[test]
fn mistakes_are_named() {
    let mmd = SpectralMmd::new(Gaussian::new(1.0).unwrap(), Statistic::Unbiased);
    assert!(mmd.with_tolerance(0.0).is_err() && mmd.with_tolerance(f64::NAN).is_err());
    assert!(mmd.estimate(&cloud(9, 2, 1, false), &cloud(9, 3, 2, false)).is_err());
    let one = Empirical::dirac(&[0.0, 0.0]).unwrap();
    for approach in [Approach::Cheaper, Approach::Grid] {
        assert!(mmd.by(approach).value(&one, &cloud(9, 2, 2, false)).is_err(), "no pair");
    }
    let same = SpectralMmd::new(Gaussian::new(1.0).unwrap(), Statistic::Plugin).by(Approach::Grid);
    assert_eq!(same.value(&one, &one).unwrap(), 0.0);
}

/// What was made quick by other means than the grid, in one list of bits.
fn quick_ways() -> Vec<u64> {
    let mut bits = Vec::new();
    let mut add = |values: &[f64]| bits.extend(values.iter().map(|v| v.to_bits()));
    // sums of flat kernels by inner products, Stein discrepancies by distances, permutation tests
    let (mu, nu) = (cloud(700, 20, 1, false), cloud(605, 20, 1, true));
    let kernel = Gaussian::new(9.0).unwrap();
    let v = Mmd::new(kernel, Statistic::Unbiased).variation(&mu, &nu).unwrap();
    add(v.d_points.as_slice());
    add(&v.d_weights);
    let target = zoo::Gaussian::isotropic(&[-29.0; 20], 1.3).unwrap();
    let stein = KernelStein::new(target, InverseMultiquadric::new(4.0).unwrap(), Statistic::Plugin);
    add(&stein.potential(&mu).unwrap());
    add(&[stein.value(&nu).unwrap()]);
    add(&mmd_test(&kernel, mu.points(), nu.points(), 300, Seed::new(1)).unwrap().null);
    // the area between distribution functions, and its square
    let (mu, nu) = (cloud(30_000, 1, 1, false), cloud(20_000, 1, 2, false));
    let weighted = cloud(25_000, 1, 3, true);
    let energy = EnergyDistance::new(Statistic::Unbiased);
    add(&[line::distance(&mu, &nu, 1.0).unwrap(), line::distance(&mu, &weighted, 1.0).unwrap()]);
    add(&[energy.value(&mu, &nu).unwrap(), energy.value(&mu, &weighted).unwrap()]);
    bits
}

fn by_grid() -> Vec<u64> {
    let mut bits = Vec::new();
    // by sweeps, and by transforms with windows of both widths and several blocks of points
    let sizes = [(1, 2300, 2.0, 1e-15), (2, 2300, 2.0, 1e-15), (3, 2300, 2.0, 1e-15)];
    let wide = [(1, 9001, 0.03, 1e-8), (2, 9001, 0.3, 1e-8), (2, 2300, 0.25, 1e-15), (3, 2300, 1.1, 1e-8)];
    for (dim, n, bandwidth, tolerance) in sizes.into_iter().chain(wide) {
        let (mu, nu) = (cloud(n, dim, 1, false), cloud(1801, dim, 2, true));
        let mmd = SpectralMmd::new(Gaussian::new(bandwidth).unwrap(), Statistic::Unbiased).by(Approach::Grid);
        let mmd = mmd.with_tolerance(tolerance).unwrap();
        let v = mmd.variation(&mu, &nu).unwrap();
        bits.extend(v.d_points.as_slice().iter().chain(&v.d_weights).map(|v| v.to_bits()));
        bits.extend([v.value.to_bits(), mmd.value(&mu, &nu).unwrap().to_bits()]);
    }
    bits
}

#[test]
fn the_same_bytes_on_every_instruction_set_and_for_any_number_of_threads() {
    for run in [by_grid as fn() -> Vec<u64>, quick_ways] {
        let best = run();
        for isa in Isa::available() {
            force(Some(isa)).unwrap();
            assert!(run() == best, "{isa:?} differs");
        }
        force(None).unwrap();
        #[cfg(feature = "rayon")]
        for threads in [1, 2, 3, 16] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(run) == best, "{threads} threads differ");
        }
    }
}

#[test]
fn the_energy_distance_on_the_line_is_the_sum_over_pairs() {
    let (mu, nu) = (cloud(33_000, 1, 1, false), cloud(20_000, 1, 4, false));
    let pairs = Mmd::new(Energy::distance(), Statistic::Plugin).value(&mu, &nu).unwrap();
    let sorted = EnergyDistance::new(Statistic::Plugin).value(&mu, &nu).unwrap();
    assert!((pairs - sorted).abs() < 1e-12, "{sorted} is not {pairs}");
}
