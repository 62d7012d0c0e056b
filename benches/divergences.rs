//! Value and gradient of D₂ and MMD.

use benches::pair;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use divergences::family::{FourierLattice, RandomFrequencies};
use divergences::kernel::Gaussian;
use divergences::{Divergence, MeanIpm, Mmd, Statistic};
use measures::Seed;
use std::hint::black_box;

fn value_and_gradient(c: &mut Criterion, name: &str, d: &dyn Divergence, n: usize, dim: usize) {
    let (mu, nu) = pair(n, dim);
    let size = format!("n={n} d={dim}");
    let mut group = c.benchmark_group(name);
    group.sample_size(10);
    group.bench_function(BenchmarkId::new("value", &size), |b| {
        b.iter(|| d.value(black_box(&mu), black_box(&nu)).unwrap());
    });
    group.bench_function(BenchmarkId::new("value and gradient", &size), |b| {
        b.iter(|| d.variation(black_box(&mu), black_box(&nu)).unwrap().value);
    });
    group.finish();
}

fn mean_ipm(c: &mut Criterion) {
    for dim in [2, 64] {
        let family =
            RandomFrequencies::gaussian(dim, (dim as f64).sqrt(), 256, Seed::new(2)).expect("a family");
        let d2 = MeanIpm::new(family, Statistic::Plugin);
        value_and_gradient(c, "D2, 256 frequencies", &d2, 100_000, dim);
    }
    let line = MeanIpm::new(FourierLattice::line(256).expect("a family"), Statistic::Unbiased);
    value_and_gradient(c, "D2, lattice of 256", &line, 100_000, 1);
}

fn mmd(c: &mut Criterion) {
    for dim in [2, 64] {
        let kernel = Gaussian::new((dim as f64).sqrt()).expect("a bandwidth");
        value_and_gradient(c, "MMD, Gaussian", &Mmd::new(kernel, Statistic::Unbiased), 5000, dim);
    }
}

criterion_group!(benches, mean_ipm, mmd);
criterion_main!(benches);
