//! The energy distance by sorting against the direct sum, with ties, weights and probes.

use divergences::kernel::Energy;
use divergences::measures::{Empirical, Points, Sample, Seed, zoo};
use divergences::{Divergence, EnergyDistance, Mmd, Statistic};
use rand::RngExt;

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} is not {b}");
}

#[test]
fn sorting_gives_the_double_sum() {
    let mut rng = Seed::new(12).rng();
    for trial in 0..60 {
        let (n, m) = (rng.random_range(2..30), rng.random_range(2..30));
        // coarse grids make ties within and between the measures
        let coarse = trial % 3 == 0;
        let mut draw = |n: usize, weighted: bool| {
            let values = (0..n)
                .map(|_| {
                    if coarse { f64::from(rng.random_range(-2..3)) } else { 4.0 * rng.random::<f64>() - 2.0 }
                })
                .collect();
            let mut weights: Vec<f64> = (0..n).map(|_| if weighted { rng.random() } else { 1.0 }).collect();
            if weighted && n > 4 {
                weights[3] = 0.0;
            }
            Empirical::normalised(Points::from_line(values), weights).unwrap()
        };
        let (mu, nu) = (draw(n, trial % 2 == 0), draw(m, trial % 5 == 0));
        for statistic in [Statistic::Plugin, Statistic::Unbiased] {
            let fast = EnergyDistance::new(statistic);
            let direct = Mmd::new(Energy::distance(), statistic);
            close(fast.value(&mu, &nu).unwrap(), direct.value(&mu, &nu).unwrap(), 1e-13);
            let (a, b) = (fast.variation(&mu, &nu).unwrap(), direct.variation(&mu, &nu).unwrap());
            close(a.value, b.value, 1e-13);
            for (a, b) in a.d_points.as_slice().iter().zip(b.d_points.as_slice()) {
                close(*a, *b, 1e-13);
            }
            for (a, b) in a.d_weights.iter().zip(&b.d_weights) {
                close(*a, *b, 1e-13);
            }
            let (a, b) = (fast.gradient_field(&mu, &nu).unwrap(), direct.gradient_field(&mu, &nu).unwrap());
            for (a, b) in a.as_slice().iter().zip(b.as_slice()) {
                close(*a, *b, 1e-12);
            }
        }
    }
}

#[test]
fn large_samples_of_gaussians_meet_the_closed_form() {
    // E|N(δ, 2)| for N(0, 1) against N(δ, 1): 2E|X−Y| − 2·2/√π
    let n = 200_000;
    let x = zoo::Gaussian::standard(1).sample(n, &mut Seed::new(1).rng());
    let y = zoo::Gaussian::standard(1).sample(n, &mut Seed::new(2).rng());
    let y = Points::from_line(y.into_vec().iter().map(|y| y + 0.5).collect());
    let energy = EnergyDistance::new(Statistic::Unbiased);
    let value = energy.value(&Empirical::uniform(x).unwrap(), &Empirical::uniform(y).unwrap()).unwrap();
    // 2E|X − Y| − 4/√π, with E|N(½, 2)| = 2/√π e^{−1/16} + ½(1 − 2Φ(−½/√2))
    let e = 1.198_177_324_462_302_7;
    close(value, 2.0 * e - 4.0 / std::f64::consts::PI.sqrt(), 0.004);
}

#[test]
fn diracs_and_far_points() {
    let dirac = |x: f64| Empirical::dirac(&[x]).unwrap();
    let energy = EnergyDistance::new(Statistic::Plugin);
    assert_eq!(energy.value(&dirac(-1.0), &dirac(2.5)).unwrap(), 7.0);
    assert_eq!(energy.value(&dirac(1.0), &dirac(1.0)).unwrap(), 0.0);
    assert!(energy.value(&dirac(f64::MAX), &dirac(f64::MIN)).is_err());
    assert!(EnergyDistance::new(Statistic::Unbiased).value(&dirac(0.0), &dirac(1.0)).is_err());
    let plane = EnergyDistance::new(Statistic::Plugin);
    let (a, b) = (Empirical::dirac(&[0.0, 0.0]).unwrap(), Empirical::dirac(&[3.0, 4.0]).unwrap());
    close(plane.value(&a, &b).unwrap(), 10.0, 1e-15);
}
