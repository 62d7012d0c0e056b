//! The energy distance by sorting against the direct sum, with ties, weights and probes.

use divergences::kernel::Energy;
use divergences::measures::{Empirical, Points, Sample, Seed, zoo};
use divergences::{Divergence, EnergyDistance, Mmd, SlicedEnergy, Statistic};
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

fn weighted(n: usize, dim: usize, seed: u64) -> Empirical {
    let mut rng = Seed::new(seed).rng();
    let x = Points::from_fn(n, dim, |_, row| row.fill_with(|| 4.0 * rng.random::<f64>() - 2.0));
    Empirical::normalised(x, (0..n).map(|_| 0.1 + rng.random::<f64>()).collect()).unwrap()
}

/// The energy distance in any dimension is the MMD of −‖x − y‖, as the plain double sum has it.
#[test]
fn the_double_sum_in_any_dimension() {
    for dim in [1, 2, 3, 7] {
        let (mu, nu) = (weighted(17, dim, 1), weighted(12, dim, 2));
        let mean = |a: &Empirical, b: &Empirical| -> f64 {
            let mut sum = 0.0;
            for (x, w) in a.points().rows().zip(a.weights()) {
                for (y, v) in b.points().rows().zip(b.weights()) {
                    sum += w * v * x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt();
                }
            }
            sum
        };
        let expected = 2.0 * mean(&mu, &nu) - mean(&mu, &mu) - mean(&nu, &nu);
        close(EnergyDistance::new(Statistic::Plugin).value(&mu, &nu).unwrap(), expected, 1e-13);
        close(Mmd::new(Energy::distance(), Statistic::Plugin).value(&mu, &nu).unwrap(), expected, 1e-13);
    }
}

/// √π Γ((d+1)/2)/Γ(d/2), by which the mean of the sliced energies is multiplied.
fn slicing_constant(dim: usize) -> f64 {
    // Γ by Γ(½) = √π, Γ(1) = 1 and Γ(x + 1) = xΓ(x)
    let gamma = |twice: usize| -> f64 {
        let first: f64 = if twice.is_multiple_of(2) { 1.0 } else { std::f64::consts::PI.sqrt() };
        let steps = (twice - 1) / 2;
        let start = if twice.is_multiple_of(2) { 1.0 } else { 0.5 };
        (0..steps).fold(first, |g, k| g * (start + k as f64))
    };
    std::f64::consts::PI.sqrt() * gamma(dim + 1) / gamma(dim)
}

fn along(mu: &Empirical, direction: &[f64]) -> Empirical {
    let line = mu.points().rows().map(|x| x.iter().zip(direction).map(|(x, t)| x * t).sum()).collect();
    Empirical::weighted(Points::from_line(line), mu.weights().to_vec()).unwrap()
}

/// In the plane the sliced energy is smooth between the directions in which two atoms project to one place: Gauss's rule
/// between those is exact to round-off.
#[test]
fn energy_is_the_mean_of_sliced_energies() {
    let (mu, nu) = (weighted(5, 2, 3), weighted(4, 2, 4));
    let energy = EnergyDistance::new(Statistic::Plugin);
    let pooled = mu.points().concat(nu.points()).unwrap();
    let mut kinks = vec![0.0, std::f64::consts::PI];
    for i in 0..9 {
        for j in 0..i {
            let (a, b) = (pooled.row(i), pooled.row(j));
            let angle = (b[0] - a[0]).atan2(a[1] - b[1]);
            kinks.push(angle.rem_euclid(std::f64::consts::PI));
        }
    }
    kinks.sort_by(f64::total_cmp);
    // Gauss–Legendre with eight nodes on [−1, 1]
    let nodes =
        [0.183_434_642_495_649_8, 0.525_532_409_916_329, 0.796_666_477_413_626_7, 0.960_289_856_497_536_2];
    let weights =
        [0.362_683_783_378_362, 0.313_706_645_877_887_3, 0.222_381_034_453_374_5, 0.101_228_536_290_376_3];
    let mut mean = 0.0;
    for pair in kinks.windows(2) {
        let (middle, half) = (0.5 * (pair[0] + pair[1]), 0.5 * (pair[1] - pair[0]));
        for (node, weight) in nodes.iter().zip(weights).flat_map(|(n, w)| [(*n, w), (-n, w)]) {
            let (sin, cos) = (middle + half * node).sin_cos();
            let value = energy.value(&along(&mu, &[cos, sin]), &along(&nu, &[cos, sin])).unwrap();
            mean += half * weight * value / std::f64::consts::PI;
        }
    }
    close(energy.value(&mu, &nu).unwrap(), slicing_constant(2) * mean, 1e-9);
}

/// The same in three and five dimensions over random directions, within the interval of their mean.
#[test]
fn energy_is_the_mean_of_sliced_energies_in_space() {
    for dim in [3, 5] {
        let (mu, nu) = (weighted(12, dim, 5), weighted(9, dim, 6));
        let energy = EnergyDistance::new(Statistic::Plugin);
        let directions = divergences::transport::directions(dim, 20_000, Seed::new(7)).unwrap();
        let values: Vec<f64> =
            directions.rows().map(|t| energy.value(&along(&mu, t), &along(&nu, t)).unwrap()).collect();
        let mean = divergences::measures::Estimate::of_mean(&values).unwrap();
        let (found, error) =
            (slicing_constant(dim) * mean.value, slicing_constant(dim) * mean.standard_error);
        let exact = energy.value(&mu, &nu).unwrap();
        assert!((found - exact).abs() < 6.0 * error && error < 0.02 * exact, "{found} ± {error}: {exact}");
    }
}

/// Along given lines it is c_d times the mean of the energies on them, ties and weights included, value and slopes.
#[test]
fn sliced_energies_are_means_over_their_lines() {
    for (dim, weights) in [(1, true), (2, false), (3, true), (19, false)] {
        let (mut mu, mut nu) = (weighted(30, dim, 5), weighted(23, dim, 6));
        if !weights {
            mu = Empirical::uniform(mu.points().clone()).unwrap();
            nu = Empirical::uniform(nu.points().clone()).unwrap();
        }
        // A tie within the first measure, and one between the two.
        let mut x = mu.points().clone();
        let (first, other) = (x.row(0).to_vec(), nu.points().row(0).to_vec());
        x.row_mut(1).copy_from_slice(&first);
        x.row_mut(2).copy_from_slice(&other);
        let mu = mu.with_points(x).unwrap();
        let theta = divergences::transport::spread_directions(dim, 70, Seed::new(3)).unwrap();
        for statistic in [Statistic::Plugin, Statistic::Unbiased] {
            let lines = SlicedEnergy::along(statistic, theta.clone()).unwrap();
            let energy = EnergyDistance::new(statistic);
            let share = slicing_constant(dim) / theta.len() as f64;
            let (mut value, mut slopes, mut potential) =
                (0.0, Points::zeros(mu.len(), dim), vec![0.0; mu.len()]);
            for t in theta.rows() {
                let v = energy.variation(&along(&mu, t), &along(&nu, t)).unwrap();
                value += share * v.value;
                for (i, row) in slopes.rows_mut().enumerate() {
                    row.iter_mut().zip(t).for_each(|(g, t)| *g += share * v.d_points.row(i)[0] * t);
                    potential[i] += share * v.d_weights[i];
                }
            }
            let found = lines.variation(&mu, &nu).unwrap();
            close(found.value, value, 1e-13);
            close(lines.value(&mu, &nu).unwrap(), value, 1e-13);
            for (a, b) in found.d_points.as_slice().iter().zip(slopes.as_slice()) {
                close(*a, *b, 1e-13);
            }
            for (a, b) in found.d_weights.iter().zip(&potential) {
                close(*a, *b, 1e-13);
            }
            let toward = lines.toward(&nu).unwrap();
            assert_eq!(toward.variation(&mu).unwrap(), found);
            assert_eq!(toward.value(&mu).unwrap(), lines.value(&mu, &nu).unwrap());
            assert_eq!(toward.gradient_field(&mu).unwrap(), lines.gradient_field(&mu, &nu).unwrap());
        }
    }
}

/// Sixteen lines in the plane have the value and the gradient of all pairs to 2% between laws that are apart, and means
/// over turns come nearer.
#[test]
fn few_lines_are_enough_in_the_plane() {
    let draw = |seed| {
        let x = zoo::Gaussian::standard(2).sample(600, &mut Seed::new(seed).rng());
        Points::from_fn(600, 2, |i, row| {
            let shift = if i % 3 == 0 { 2.0 } else { -1.0 } * (seed % 2) as f64;
            row.copy_from_slice(&[x.row(i)[0] + shift, x.row(i)[1]]);
        })
    };
    let (mu, nu) = (Empirical::uniform(draw(1)).unwrap(), Empirical::uniform(draw(2)).unwrap());
    let exact = EnergyDistance::new(Statistic::Plugin).variation(&mu, &nu).unwrap();
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let size = norm(exact.d_points.as_slice());
    let runs = 64;
    let (mut mean, mut worst) = (vec![0.0; 1200], 0.0f64);
    let mut value = 0.0;
    for run in 0..runs {
        let lines = SlicedEnergy::new(Statistic::Plugin, 16, Seed::new(run)).unwrap();
        let v = lines.variation(&mu, &nu).unwrap();
        let gap: Vec<f64> =
            v.d_points.as_slice().iter().zip(exact.d_points.as_slice()).map(|(a, b)| a - b).collect();
        worst = worst.max(norm(&gap) / size).max((v.value / exact.value - 1.0).abs());
        mean.iter_mut().zip(&gap).for_each(|(m, g)| *m += g / runs as f64);
        value += v.value / runs as f64;
    }
    assert!(worst < 0.02, "{worst}");
    let bias = norm(&mean) / size;
    assert!(bias < 0.25 * worst, "{bias} of {worst}");
    close(value, exact.value, 1e-4);
}
