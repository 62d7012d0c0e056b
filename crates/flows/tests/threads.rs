//! The same bytes for any number of threads.
#![cfg(feature = "rayon")]

use flows::field::{FiniteDifferences, Hutchinson, Pointwise, Probe};
use flows::measures::{Points, Sample, Seed, zoo::Gaussian};
use flows::ode::{Ode, TSITOURAS};

/// The bits of a result computed in pools of 1, 2, 3 and 16 threads: all equal, or panics.
fn same_bits(what: &str, run: impl Fn() -> Vec<u64> + Send + Sync) {
    let in_pool =
        |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(&run);
    let one = in_pool(1);
    assert!(!one.is_empty());
    for threads in [2, 3, 16] {
        assert!(in_pool(threads) == one, "{what}: {threads} threads give other bytes than one");
    }
}

fn bits(points: &Points) -> Vec<u64> {
    points.as_slice().iter().map(|v| v.to_bits()).collect()
}

fn cloud(n: usize) -> Points {
    Gaussian::standard(2).sample(n, &mut Seed::new(7).rng())
}

#[test]
fn adaptive_runs() {
    let field = Pointwise::new(2, |t, x: &[f64], v: &mut [f64]| {
        (v[0], v[1]) = (x[1] * (1.0 + t).cos(), -x[0].sin() * (1.0 + 30.0 * x[0] * x[0]));
    });
    let x = cloud(20_000);
    same_bits("Tsitouras", || {
        let ode = Ode::adaptive(TSITOURAS, 1e-5, 1e-5).unwrap().dense().save_at(&[0.4]);
        let run = ode.solve(&field, &x, 0.0, 1.0).unwrap();
        let mut all = bits(&run.end);
        all.extend(bits(&run.saved[0].1));
        all.extend(bits(&run.dense.unwrap().at(flows::Clock::Shared(0.77)).unwrap()));
        all
    });
}

#[test]
fn probes() {
    use flows::field::JacobianTrace;
    let field = Pointwise::autonomous(2, |x, v| (v[0], v[1]) = (x[0] * x[1], x[0].sin()));
    let field = Hutchinson::new(FiniteDifferences::new(field), Seed::new(3), 2, Probe::Gaussian).unwrap();
    let x = cloud(1_000);
    let ids: Vec<u64> = (0..1_000).collect();
    same_bits("Hutchinson", || {
        let mut out = vec![0.0; 1_000];
        field.trace(flows::Clock::Shared(0.0), &x, &ids, &mut out).unwrap();
        out.iter().map(|v| v.to_bits()).collect()
    });
}

#[test]
fn stochastic_runs() {
    use flows::sde::{
        Additive, BrownianTree, EulerMaruyama, OrnsteinUhlenbeckProcess, Sde, Sra1, WhiteNoise,
    };
    let drift = Pointwise::autonomous(2, |x, v| (v[0], v[1]) = (x[1] - x[0], -x[1].powi(3)));
    let equation = Additive::constant(drift, 0.7).unwrap();
    let x = cloud(3_000);
    same_bits("SRA1 on a tree", || {
        let tree = BrownianTree::new(Seed::new(3), 0.0, 1.0, 2).unwrap();
        bits(&Sde::fixed(Sra1, 20).unwrap().solve(&equation, &tree, &x, 0.0, 1.0).unwrap().end)
    });
    same_bits("Euler–Maruyama on white noise", || {
        let noise = WhiteNoise::new(Seed::new(3));
        bits(&Sde::fixed(EulerMaruyama, 20).unwrap().solve(&equation, &noise, &x, 0.0, 1.0).unwrap().end)
    });
    same_bits("exact Ornstein–Uhlenbeck", || {
        bits(&OrnsteinUhlenbeckProcess::standard(2).step(&x, 0.3, Seed::new(4), 7).unwrap())
    });
}

#[test]
fn interpolants_and_pairs() {
    use flows::measures::Coupling;
    use flows::path::{Interpolant, Linear, Pairs};
    let (x0, x1) = (cloud(5_000), cloud(5_000));
    same_bits("interpolant", || {
        let reverse = |a: &Points, _: &Points| Coupling::permutation(&(0..a.len()).rev().collect::<Vec<_>>());
        let pairs = Pairs::minibatch(&x0, &x1, 100, reverse, Seed::new(1)).unwrap();
        let interpolant = Interpolant::new(Linear).with_latent(1.0).unwrap();
        bits(
            &interpolant
                .draw(flows::Clock::Shared(0.3), &pairs.x0, &pairs.x1, Seed::new(2))
                .unwrap()
                .velocity,
        )
    });
}

#[test]
fn chains_interactions_and_grids() {
    use flows::grid::Plane;
    use flows::interaction::{Riesz, RieszTree};
    use flows::langevin::{Baoab, Mala};
    use flows::measures::{Drift, Empirical};
    let (target, x) = (Gaussian::standard(2), cloud(1_000));
    same_bits("MALA", || bits(&Mala::new(0.3).unwrap().run(&target, &x, 10, Seed::new(1)).unwrap().points));
    same_bits("BAOAB", || {
        bits(&Baoab::new(0.3, 1.0).unwrap().run(&target, &x, None, 10, Seed::new(1)).unwrap().points)
    });
    let mu = Empirical::uniform(x.clone()).unwrap();
    let law = Riesz::new(1.0, 0.1).unwrap();
    same_bits("Riesz", || bits(&law.drift(&mu).unwrap()));
    same_bits("tree", || bits(&RieszTree::new(law, 0.5).unwrap().drift(&mu).unwrap()));
    let plane = Plane::new((-3.0, 3.0), (-3.0, 3.0), [50, 60], |x, y| x * x + x * y + y * y).unwrap();
    let start = plane.project(|x, y| (-(x - 1.0).powi(2) - y * y).exp()).unwrap();
    same_bits("plane", || plane.run(&start, 0.01, 5).unwrap().iter().map(|r| r.to_bits()).collect());
}

#[test]
fn lanes() {
    use flows::lanes::{LaneField, LaneOde, LaneSde, MixtureScore, Tsitouras};
    use flows::measures::lanes::Real;
    use flows::measures::zoo::GaussianMixture;
    use flows::sde::{Additive, WhiteNoise};
    struct Home;
    impl LaneField<2> for Home {
        #[inline(always)]
        fn velocity<R: Real>(&self, _: R, x: &[R; 2]) -> [R; 2] {
            [-x[0], -x[1]]
        }
    }
    let field = MixtureScore::<2>::new(&GaussianMixture::ring(8, 4.0, 0.7).unwrap(), 1.0).unwrap();
    let x = cloud(20_000);
    let adaptive = LaneOde::adaptive(Tsitouras, 1e-4, 1e-4).unwrap();
    let single = LaneOde::fixed(Tsitouras, 10).unwrap().single();
    same_bits("adaptive lanes", || bits(&adaptive.solve(&field, &x, 0.0, 1.0).unwrap().end));
    same_bits("fixed lanes", || bits(&single.solve(&field, &x, 0.0, 1.0).unwrap().end));
    same_bits("Euler–Maruyama on lanes", || {
        let (ou, noise) = (Additive::constant(Home, 1.0).unwrap(), WhiteNoise::new(Seed::new(3)));
        bits(&LaneSde::euler_maruyama(20).unwrap().solve(&ou, &noise, &x, 0.0, 1.0).unwrap().end)
    });
}

#[test]
fn exponential_steps_densities_and_descents() {
    use flows::descent::{Descent, HeavyBall};
    use flows::exponential::{Extrapolation, log_snr_mesh, solve};
    use flows::interaction::{Bandwidth, Riesz, Svgd};
    use flows::likelihood::log_density;
    use flows::measures::Empirical;
    use flows::measures::zoo::GaussianMixture;
    use flows::path::{Linear, MixturePath};
    let path = MixturePath::new(Linear, &GaussianMixture::ring(5, 2.0, 0.4).unwrap()).unwrap();
    let x = cloud(5_000);
    let mesh = log_snr_mesh(&Linear, 0.05, 0.95, 8).unwrap();
    same_bits("2M", || bits(&solve(Extrapolation::TwoM, &Linear, &path, &x, &mesh).unwrap().end));
    same_bits("likelihood", || {
        let ode = Ode::adaptive(TSITOURAS, 1e-3, 1e-3).unwrap();
        let found = log_density(&ode, &path, &Gaussian::standard(2), 0.0, &x, 0.9).unwrap();
        found.log_density.iter().map(|l| l.to_bits()).collect()
    });
    let few = Empirical::uniform(cloud(200)).unwrap();
    let riesz = Riesz::new(1.0, 0.1).unwrap();
    same_bits("descent", || {
        bits(Descent::new(0.1, 10, 0.0).unwrap().run(&riesz, &few).unwrap().measure.points())
    });
    same_bits("SVGD with momentum and noise", || {
        let svgd = Svgd::new(Gaussian::standard(2), Bandwidth::Median).unwrap();
        let ball = HeavyBall::new(0.1).unwrap().momentum(0.5).unwrap().temperature(0.1).unwrap();
        bits(ball.run(&svgd, &few, 10, Seed::new(1)).unwrap().measure.points())
    });
}
