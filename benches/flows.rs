//! Clouds moved along fields: the general solver, the lanes in either precision, stochastic steps.

use criterion::{Criterion, criterion_group, criterion_main};
use flows::field::AffineField;
use flows::lanes::{InLanes, LaneField, LaneOde, LaneSde, MixtureScore, Tsitouras};
use flows::ode::{Ode, TSITOURAS};
use flows::sde::{Additive, EulerMaruyama, Sde, WhiteNoise};
use measures::lanes::Real;
use measures::zoo::{Gaussian, GaussianMixture};
use measures::{Points, Sample, Seed};
use std::hint::black_box;

fn cloud(n: usize, d: usize) -> Points {
    Gaussian::standard(d).sample(n, &mut Seed::new(1).rng())
}

fn tsitouras(c: &mut Criterion) {
    let x = cloud(20_000, 2);
    let field =
        MixtureScore::<2>::new(&GaussianMixture::ring(8, 4.0, 1.0).expect("a ring"), 1.0).expect("isotropic");
    let mut group = c.benchmark_group("50 Tsitouras steps along a mixture's score, n=20000 d=2");
    group.sample_size(10);
    let double = LaneOde::fixed(Tsitouras, 50).expect("steps");
    group.bench_function("lanes", |b| {
        b.iter(|| double.solve(&field, black_box(&x), 0.0, 1.0).expect("a run"));
    });
    let single = double.clone().single();
    group.bench_function("lanes, single precision", |b| {
        b.iter(|| single.solve(&field, black_box(&x), 0.0, 1.0).expect("a run"));
    });
    let ode = Ode::fixed(TSITOURAS, 50).expect("steps");
    group.bench_function("general", |b| {
        b.iter(|| ode.solve(&InLanes(&field), black_box(&x), 0.0, 1.0).expect("a run"));
    });
    group.finish();
}

/// −x on the line.
struct Contraction;

impl LaneField<1> for Contraction {
    #[inline(always)]
    fn velocity<R: Real>(&self, _: R, x: &[R; 1]) -> [R; 1] {
        [-x[0]]
    }
}

fn euler_maruyama(c: &mut Criterion) {
    let (x, noise) = (cloud(50_000, 1), WhiteNoise::new(Seed::new(2)));
    let mut group = c.benchmark_group("100 Euler–Maruyama steps of Ornstein–Uhlenbeck, n=50000");
    group.sample_size(10);
    let ou = Additive::constant(Contraction, 2f64.sqrt()).expect("a level");
    let sde = LaneSde::euler_maruyama(100).expect("steps");
    group.bench_function("lanes", |b| {
        b.iter(|| sde.solve(&ou, &noise, black_box(&x), 0.0, 1.0).expect("a run"));
    });
    let ou = Additive::constant(AffineField::contraction(1), 2f64.sqrt()).expect("a level");
    let sde = Sde::fixed(EulerMaruyama, 100).expect("steps");
    group.bench_function("general", |b| {
        b.iter(|| sde.solve(&ou, &noise, black_box(&x), 0.0, 1.0).expect("a run"));
    });
    group.finish();
}

criterion_group!(benches, tsitouras, euler_maruyama);
criterion_main!(benches);
