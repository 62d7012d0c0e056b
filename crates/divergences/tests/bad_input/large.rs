//! A million against a million: what needs a matrix says so, and the rest never makes one.

use divergences::family::{FourierLattice, RandomFrequencies};
use divergences::kernel::{Gaussian, InverseMultiquadric, Kernel, Laplace};
use divergences::measures::rand::RngExt;
use divergences::measures::{Empirical, Error, Points, Seed, zoo};
use divergences::phi::{DualPhi, Phi, PhiDivergence, from_samples};
use divergences::quality::Frechet;
use divergences::sup_ipm::SupIpm;
use divergences::test::block_test;
use divergences::total_variation::{Grid, HistogramTotalVariation, TotalVariation};
use divergences::transport::{NormPower, Sinkhorn, SlicedWasserstein, Wasserstein, circle, line};
use divergences::{BlockMmd, Divergence, EnergyDistance, KernelStein, MeanIpm, Mmd, Statistic};

const MILLION: usize = 1_000_000;

/// Draws of the uniform law on [shift, shift + 1].
fn spread(n: usize, shift: f64) -> Points {
    let mut rng = Seed::new(shift.to_bits()).rng();
    Points::from_line((0..n).map(|_| rng.random::<f64>() + shift).collect())
}

fn refused<T>(what: &str, result: divergences::Result<T>) {
    match result {
        Err(Error::TooMany { requested, limit, .. }) => assert!(requested > limit, "{what}"),
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what}: accepted"),
    }
}

/// The largest resident memory of the process so far, in megabytes; none where the system does not tell.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

#[test]
fn a_matrix_of_a_million_squared_is_refused() {
    let (x, y) = (spread(MILLION, 0.0), spread(MILLION, 0.25));
    let (mu, nu) = (Empirical::uniform(x.clone()).unwrap(), Empirical::uniform(y.clone()).unwrap());
    refused("kernel matrix", Gaussian::new(1.0).unwrap().matrix(&x, &y));
    refused("kernel matrix", Laplace::new(1.0).unwrap().matrix(&x, &y));
    let imq = InverseMultiquadric::new(1.0).unwrap();
    let ksd = KernelStein::new(zoo::Gaussian::standard(1), imq, Statistic::Unbiased);
    refused("Stein matrix", ksd.matrix(&x));
    refused("landmarks", Mmd::new(imq, Statistic::Plugin).nystrom(x.clone()));
    let frequencies = RandomFrequencies::gaussian(1, 1.0, 100_000, Seed::new(0)).unwrap();
    refused("values of a family", DualPhi::new(Phi::Kl, frequencies).value(&mu, &nu));
    // One point against a million: no matrix, and no pass over pairs of the million.
    let cost = NormPower::squared_euclidean();
    let one = Empirical::dirac(&[0.5]).unwrap();
    let solved = Sinkhorn::new(1.0).unwrap().max_iterations(3).solve(&mu, &one, &cost).unwrap();
    assert!(solved.value.is_finite());
    if let Some(peak) = peak() {
        assert!(peak < 2000.0, "{peak} MB");
    }
}

/// What is (nearly) linear in the points answers for a million against a million.
#[test]
fn a_million_against_a_million() {
    let (mu, nu) = (
        Empirical::uniform(spread(MILLION, 0.0)).unwrap(),
        Empirical::uniform(spread(MILLION, 0.25)).unwrap(),
    );
    let close = |what: &str, value: f64, expected: f64, tolerance: f64| {
        assert!((value - expected).abs() <= tolerance, "{what}: {value}, {expected}");
    };
    close("W1", line::distance(&mu, &nu, 1.0).unwrap(), 0.25, 3e-3);
    close("W2", Wasserstein::new(2.0).unwrap().value(&mu, &nu).unwrap(), 0.25, 3e-3);
    close("W1 on the circle", circle::distance(&mu, &nu, 1.0, 1.0).unwrap(), 0.0, 3e-3);
    close(
        "sliced",
        SlicedWasserstein::new(2.0, 2, Seed::new(0)).unwrap().value(&mu, &nu).unwrap(),
        0.25,
        3e-3,
    );
    // 2∫(F − G)²: F − G is ¼ between, with ramps
    let energy = 2.0 * (2.0 * 0.25f64.powi(3) / 3.0 + 0.75 * 0.0625);
    close("energy", EnergyDistance::new(Statistic::Plugin).value(&mu, &nu).unwrap(), energy, 3e-3);
    let lattice = FourierLattice::line(4).unwrap();
    close("D2 of a turn", MeanIpm::new(lattice, Statistic::Plugin).value(&mu, &nu).unwrap(), 0.0, 1e-4);
    let wave = FourierLattice::new(&[vec![1]]).unwrap().with_periods(&[2.0]).unwrap();
    assert!(SupIpm::symmetric(wave).unwrap().value(&mu, &nu).unwrap() > 0.1);
    let cells = HistogramTotalVariation::new(Grid::cubes(1, 0.125).unwrap());
    close("histogram", cells.value(&mu, &nu).unwrap(), 0.25, 3e-3);
    close("atoms", TotalVariation.value(&mu, &nu).unwrap(), 1.0, 1e-5);
    assert!(PhiDivergence::new(Phi::JensenShannon).value(&mu, &mu).unwrap().abs() < 1e-12);
    close("Fréchet", Frechet.value(&mu, &nu).unwrap(), 0.0625, 3e-3);
    let some: Vec<usize> = (0..50_000).collect();
    let kl = from_samples(Phi::Kl, &mu.points().select(&some), &nu.points().select(&some), 1);
    assert!(kl.unwrap().value > 0.0);
    let linear = BlockMmd::linear(Gaussian::new(0.3).unwrap());
    assert!(block_test(&linear, mu.points(), nu.points()).unwrap().rejects(1e-6));
}

/// Pairs are summed in blocks: twelve thousand squared would be 1.1 GB of doubles.
#[test]
fn sums_over_pairs_make_no_matrix() {
    let n = 12_000;
    let (mu, nu) =
        (Empirical::uniform(spread(n, 0.0)).unwrap(), Empirical::uniform(spread(n, 0.25)).unwrap());
    let plane = |of: &Empirical| {
        let x = of.points();
        Empirical::uniform(Points::from_fn(n, 2, |i, row| {
            row.copy_from_slice(&[x.row(i)[0], x.row(n - 1 - i)[0]])
        }))
        .unwrap()
    };
    let (a, b) = (plane(&mu), plane(&nu));
    let gaussian = Mmd::new(Gaussian::new(0.5).unwrap(), Statistic::Unbiased);
    assert!(gaussian.variation(&a, &b).unwrap().value > 0.0);
    assert!(EnergyDistance::new(Statistic::Plugin).value(&a, &b).unwrap() > 0.0);
    let once = Sinkhorn::new(0.5).unwrap().max_iterations(1);
    assert!(once.solve(&a, &b, &NormPower::squared_euclidean()).unwrap().value.is_finite());
    if let Some(peak) = peak() {
        assert!(peak < 900.0, "{peak} MB");
    }
}
