//! Functionals of a sample against a score: Stein and Fisher.

use divergences::kernel::{Gaussian, InverseMultiquadric, Kernel};
use divergences::measures::{Empirical, Functional, Measure, Points, Result, Sample, Score, Seed, zoo};
use divergences::{FisherDivergence, KernelStein, Mmd, Statistic, SteinKernel};
use rand::RngExt;

/// The density ∝ exp(−Σ (x⁴/4 + a x y′ …)): log p = −Σ xⱼ⁴/4 − ½ x₀x₁, a score that is neither linear nor isotropic.
struct Quartic(usize);

impl Measure for Quartic {
    fn dim(&self) -> usize {
        self.0
    }
}

impl Score for Quartic {
    fn score(&self, x: &Points) -> Result<Points> {
        Ok(Points::from_fn(x.len(), self.0, |i, out| {
            let x = x.row(i);
            out.iter_mut().zip(x).for_each(|(s, x)| *s = -x.powi(3));
            if x.len() > 1 {
                out[0] -= 0.5 * x[1];
                out[1] -= 0.5 * x[0];
            }
        }))
    }

    fn score_jvp(&self, x: &Points, v: &Points) -> Result<Points> {
        Ok(Points::from_fn(x.len(), self.0, |i, out| {
            let (x, v) = (x.row(i), v.row(i));
            for c in 0..x.len() {
                out[c] = -3.0 * x[c] * x[c] * v[c];
            }
            if x.len() > 1 {
                out[0] -= 0.5 * v[1];
                out[1] -= 0.5 * v[0];
            }
        }))
    }
}

/// The same without its Hessian.
struct ScoreAlone(Quartic);

impl Measure for ScoreAlone {
    fn dim(&self) -> usize {
        self.0.dim()
    }
}

impl Score for ScoreAlone {
    fn score(&self, x: &Points) -> Result<Points> {
        self.0.score(x)
    }
}

fn close(what: &str, a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}: {a} is not {b}");
}

fn weighted(n: usize, dim: usize, seed: u64) -> Empirical {
    let mut rng = Seed::new(seed).rng();
    let points =
        Points::from_fn(n, dim, |_, row| row.iter_mut().for_each(|x| *x = 3.0 * rng.random::<f64>() - 1.5));
    let weights = (0..n).map(|_| 0.2 + rng.random::<f64>()).collect();
    Empirical::normalised(points, weights).unwrap()
}

fn shifted(mu: &Empirical, i: usize, c: usize, h: f64) -> Empirical {
    let mut points = mu.points().clone();
    points.row_mut(i)[c] += h;
    mu.with_points(points).unwrap()
}

fn reweighted(mu: &Empirical, i: usize, h: f64) -> Empirical {
    let mut weights: Vec<f64> = mu.weights().iter().map(|w| (1.0 - h) * w).collect();
    weights[i] += h;
    Empirical::weighted(mu.points().clone(), weights).unwrap()
}

fn with_probe(mu: &Empirical, at: &[f64]) -> Empirical {
    let points = mu.points().concat(&Points::new(at.len(), at.to_vec()).unwrap()).unwrap();
    let mut weights = mu.weights().to_vec();
    weights.push(0.0);
    Empirical::weighted(points, weights).unwrap()
}

/// Value, both gradients and the field at a probe, against finite differences.
fn check(name: &str, f: &dyn Functional, dim: usize) {
    let mu = weighted(11, dim, 40 + dim as u64);
    let variation = f.variation(&mu).unwrap();
    let h = 1e-5;
    close(name, variation.value, f.value(&mu).unwrap(), 1e-12);
    let field = f.gradient_field(&mu).unwrap();
    for i in 0..mu.len() {
        for c in 0..dim {
            let slope = (f.value(&shifted(&mu, i, c, h)).unwrap()
                - f.value(&shifted(&mu, i, c, -h)).unwrap())
                / (2.0 * h);
            close(name, variation.d_points.row(i)[c], slope, 1e-7);
            close(name, mu.weights()[i] * field.row(i)[c], slope, 1e-7);
        }
        let slope = (f.value(&reweighted(&mu, i, h)).unwrap() - f.value(&reweighted(&mu, i, -h)).unwrap())
            / (2.0 * h);
        close(name, variation.d_weights[i], slope, 1e-7);
    }
    let at = vec![0.4; dim];
    let potential = |at: &[f64]| *f.variation(&with_probe(&mu, at)).unwrap().d_weights.last().unwrap();
    let field = f.gradient_field(&with_probe(&mu, &at)).unwrap();
    for c in 0..dim {
        let (mut up, mut down) = (at.clone(), at.clone());
        up[c] += h;
        down[c] -= h;
        close(name, field.row(mu.len())[c], (potential(&up) - potential(&down)) / (2.0 * h), 1e-7);
    }
}

#[test]
fn gradients_against_finite_differences() {
    for dim in [1, 2, 3] {
        for statistic in [Statistic::Plugin, Statistic::Unbiased] {
            let imq = InverseMultiquadric::new(0.8).unwrap();
            check("KSD, IMQ", &KernelStein::new(Quartic(dim), imq, statistic), dim);
            check(
                "KSD, Gaussian",
                &KernelStein::new(Quartic(dim), Gaussian::new(0.7).unwrap(), statistic),
                dim,
            );
        }
        check("Fisher", &FisherDivergence::new(Quartic(dim), 0.6).unwrap(), dim);
    }
}

/// The Stein kernel by finite differences of the kernel itself.
fn stein_by_differences(k: &impl Kernel, p: &impl Score, x: &[f64], y: &[f64]) -> f64 {
    let point = |x: &[f64]| Points::new(x.len(), x.to_vec()).unwrap();
    let (s, t) = (p.score(&point(x)).unwrap().into_vec(), p.score(&point(y)).unwrap().into_vec());
    let h = 1e-4;
    let moved = |x: &[f64], c: usize, h: f64| {
        let mut x = x.to_vec();
        x[c] += h;
        x
    };
    let mut sum = 0.0;
    for c in 0..x.len() {
        let by_x = (k.value(&moved(x, c, h), y) - k.value(&moved(x, c, -h), y)) / (2.0 * h);
        let by_y = (k.value(x, &moved(y, c, h)) - k.value(x, &moved(y, c, -h))) / (2.0 * h);
        let corner = |a: f64, b: f64| k.value(&moved(x, c, a), &moved(y, c, b));
        let mixed = (corner(h, h) - corner(h, -h) - corner(-h, h) + corner(-h, -h)) / (4.0 * h * h);
        sum += s[c] * t[c] * k.value(x, y) + s[c] * by_y + t[c] * by_x + mixed;
    }
    sum
}

fn stein_table(kernel: impl SteinKernel) {
    let mu = weighted(19, 2, 5);
    let ksd = KernelStein::new(Quartic(2), kernel.clone(), Statistic::Plugin);
    let table = ksd.matrix(mu.points()).unwrap();
    let (mut full, mut diagonal) = (0.0, 0.0);
    for i in 0..19 {
        for j in 0..19 {
            let expected = stein_by_differences(&kernel, &Quartic(2), mu.points().row(i), mu.points().row(j));
            close("k₀", table[19 * i + j], expected, 1e-6);
            let term = mu.weights()[i] * mu.weights()[j] * table[19 * i + j];
            full += term;
            diagonal += if i == j { term } else { 0.0 };
        }
    }
    close("V", ksd.value(&mu).unwrap(), full, 1e-13);
    let unbiased = KernelStein::new(Quartic(2), kernel, Statistic::Unbiased);
    close("U", unbiased.value(&mu).unwrap(), (full - diagonal) / (1.0 - mu.collision()), 1e-12);
    let potential = ksd.potential(&mu).unwrap();
    let row: f64 = (0..19).map(|j| 2.0 * mu.weights()[j] * table[3 * 19 + j]).sum();
    close("potential", potential[3], row, 1e-13);
}

#[test]
fn the_stein_kernel_is_what_its_operator_makes() {
    stein_table(InverseMultiquadric::new(0.8).unwrap());
    stein_table(Gaussian::new(0.7).unwrap());
}

/// KSD is the MMD with the Stein kernel against the population: E_p k₀(x, ·) = 0 by quadrature, so that adding the
/// population as a second measure changes nothing.
#[test]
fn ksd_is_an_mmd_against_the_population() {
    struct Stein(KernelStein<Quartic, InverseMultiquadric>);
    impl Kernel for Stein {
        fn value(&self, x: &[f64], y: &[f64]) -> f64 {
            self.0.matrix(&Points::from_line(vec![x[0], y[0]])).unwrap()[1]
        }
        fn gradient(&self, _: &[f64], _: &[f64], _: &mut [f64]) {
            unreachable!("values only")
        }
        fn properties(&self) -> divergences::kernel::Properties {
            divergences::kernel::Properties::default()
        }
    }
    let ksd = KernelStein::new(Quartic(1), InverseMultiquadric::new(0.8).unwrap(), Statistic::Plugin);
    // the trapezoid rule is spectrally accurate for exp(−x⁴/4) and its products
    let nodes: Vec<f64> = (0..241).map(|i| -6.0 + 0.05 * f64::from(i)).collect();
    let weights = nodes.iter().map(|x| (-x.powi(4) / 4.0).exp()).collect();
    let population = Empirical::normalised(Points::from_line(nodes), weights).unwrap();
    let mu = weighted(4, 1, 6);
    let mmd = Mmd::new(Stein(ksd), Statistic::Plugin);
    let d = divergences::Divergence::value(&mmd, &mu, &population).unwrap();
    let ksd = KernelStein::new(Quartic(1), InverseMultiquadric::new(0.8).unwrap(), Statistic::Plugin);
    close("KSD", d, ksd.value(&mu).unwrap(), 1e-9);
    assert!(ksd.value(&population).unwrap().abs() < 1e-12);
}

#[test]
fn the_discrepancy_is_small_at_the_target_and_large_elsewhere() {
    let p = zoo::Gaussian::standard(2);
    let sample = p.sample(1000, &mut Seed::new(1).rng());
    let moved = Points::from_fn(1000, 2, |i, row| {
        row[0] = sample.row(i)[0] + 0.5;
        row[1] = sample.row(i)[1];
    });
    let ksd = KernelStein::new(&p, InverseMultiquadric::new(1.0).unwrap(), Statistic::Unbiased);
    let at = |x: &Points| ksd.value(&Empirical::uniform(x.clone()).unwrap()).unwrap();
    assert!(at(&sample).abs() < 0.01 && at(&moved) > 0.1, "{} and {}", at(&sample), at(&moved));
}

/// Closed form: the law N(m, s²) given as a fine grid, smoothed to variance s² + h², against N(0, 1).
#[test]
fn fisher_of_a_gaussian() {
    let (m, s, h): (f64, f64, f64) = (0.3, 0.8, 0.25);
    let nodes: Vec<f64> = (0..401).map(|i| -5.0 + 0.025 * f64::from(i)).collect();
    let weights = nodes.iter().map(|x| (-(x - m).powi(2) / (2.0 * s * s)).exp()).collect();
    let mu = Empirical::normalised(Points::from_line(nodes), weights).unwrap();
    let variance = s * s + h * h;
    // (x − (x − m)/variance) under N(m, s²): mean m, slope 1 − 1/variance
    let slope = 1.0 - 1.0 / variance;
    let expected = m * m + slope * slope * s * s;
    let fisher = FisherDivergence::new(zoo::Gaussian::standard(1), h).unwrap();
    close("Fisher", fisher.value(&mu).unwrap(), expected, 1e-8);
}

#[test]
fn without_a_hessian_there_are_values_but_no_gradients() {
    let mu = weighted(5, 2, 8);
    let alone =
        KernelStein::new(ScoreAlone(Quartic(2)), InverseMultiquadric::new(1.0).unwrap(), Statistic::Unbiased);
    let whole = KernelStein::new(Quartic(2), InverseMultiquadric::new(1.0).unwrap(), Statistic::Unbiased);
    close("value", alone.value(&mu).unwrap(), whole.value(&mu).unwrap(), 1e-15);
    let potential = alone.potential(&mu).unwrap();
    let mean: f64 = potential.iter().zip(mu.weights()).map(|(p, w)| p * w).sum();
    for (p, d) in potential.iter().zip(whole.variation(&mu).unwrap().d_weights) {
        close("potential", p - mean, d, 1e-12);
    }
    assert!(alone.variation(&mu).unwrap_err().to_string().contains("score_jvp"));
    assert!(FisherDivergence::new(ScoreAlone(Quartic(2)), 1.0).unwrap().variation(&mu).is_err());
    assert!(FisherDivergence::new(ScoreAlone(Quartic(2)), 1.0).unwrap().value(&mu).is_ok());
    assert!(whole.value(&weighted(3, 3, 1)).is_err());
    assert!(whole.value(&Empirical::dirac(&[0.0, 0.0]).unwrap()).is_err());
    assert!(FisherDivergence::new(Quartic(1), 0.0).is_err());
}

/// Scores of isotropic Gaussian targets take a shorter way; the table of all pairs does not.
#[test]
fn the_discrepancy_is_the_sum_of_its_table_for_every_kind_of_score() {
    for dim in [1, 3, 20] {
        let x = zoo::Gaussian::standard(dim).sample(83, &mut Seed::new(5).rng());
        let mean = vec![0.3; dim];
        let isotropic = zoo::Gaussian::isotropic(&mean, 1.7).unwrap();
        let scales: Vec<f64> = (0..dim).map(|k| 1.0 + 0.1 * k as f64).collect();
        let other = zoo::Gaussian::diagonal(&mean, &scales).unwrap();
        for target in [zoo::Gaussian::standard(dim), isotropic, other] {
            let kernel = InverseMultiquadric::new(1.3).unwrap();
            let ksd = KernelStein::new(target, kernel, Statistic::Plugin);
            let mu = Empirical::uniform(x.clone()).unwrap();
            let table = ksd.matrix(&x).unwrap();
            let mean = table.iter().sum::<f64>() / (83.0 * 83.0);
            let size = table.iter().map(|k| k.abs()).sum::<f64>() / (83.0 * 83.0);
            let value = ksd.value(&mu).unwrap();
            assert!((value - mean).abs() < 1e-13 * size, "{dim}: {value} is not {mean}");
            let potential = ksd.potential(&mu).unwrap();
            for (i, h) in potential.iter().enumerate() {
                let row = table[i * 83..(i + 1) * 83].iter().sum::<f64>() * 2.0 / 83.0;
                assert!((h - row).abs() < 1e-13 * size.max(1.0), "{dim}: {h} is not {row}");
            }
        }
    }
}
