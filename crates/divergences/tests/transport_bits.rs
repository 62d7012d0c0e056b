//! Transport gives the same bytes on every instruction set and for any number of threads.

use divergences::transport::{
    Cost, MaxSliced, NormPower, Periodic, Potentials, Sinkhorn, SinkhornDivergence, SlicedWasserstein,
    Transport, Unbalanced, Wasserstein, circle, line, solve,
};
use divergences::{Divergence, SlicedEnergy, Statistic};
use measures::lanes::{Isa, force};
use measures::zoo::Gaussian;
use measures::{Empirical, Sample, Seed};
use rand::RngExt;

fn cloud(n: usize, d: usize, seed: u64, weighted: bool) -> Empirical {
    let mut rng = Seed::new(seed).rng();
    let x = Gaussian::isotropic(&vec![0.3 * (seed % 2) as f64; d], 1.0).unwrap().sample(n, &mut rng);
    if !weighted {
        return Empirical::uniform(x).unwrap();
    }
    Empirical::normalised(x, (0..n).map(|_| 0.1 + rng.random::<f64>()).collect()).unwrap()
}

/// The bits of everything a call returned.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn add(&mut self, values: &[f64]) {
        self.0.extend(values.iter().map(|v| v.to_bits()));
    }

    fn add_potentials(&mut self, p: &Potentials) {
        self.add(&p.source);
        self.add(&p.target);
    }

    fn add_transport(&mut self, t: &Transport) {
        self.add(&[t.value, t.dual, t.violation]);
        self.add_potentials(&t.potentials);
        for (i, j, mass) in t.plan.entries() {
            self.0.extend([i as u64, j as u64, mass.to_bits()]);
        }
    }

    fn add_divergence(&mut self, d: &dyn Divergence, mu: &Empirical, nu: &Empirical) {
        let v = d.variation(mu, nu).unwrap();
        self.add(&[v.value, d.value(mu, nu).unwrap()]);
        self.add(v.d_points.as_slice());
        self.add(&v.d_weights);
    }
}

fn exact() -> Vec<u64> {
    let mut bits = Bits::default();
    let costs = [
        NormPower::squared_euclidean(),
        NormPower::euclidean(),
        NormPower::new(1.0, 1.0).unwrap(),
        NormPower::new(f64::INFINITY, 2.0).unwrap(),
        NormPower::new(2.0, 1.5).unwrap(),
        NormPower::new(3.0, 1.0).unwrap(),
    ];
    for (n, m, d, weighted) in [(301, 301, 2, false), (203, 203, 19, false), (230, 190, 3, true)] {
        let (mu, nu) = (cloud(n, d, 1, weighted), cloud(m, d, 2, weighted));
        for cost in &costs {
            bits.add_transport(&solve(&mu, &nu, cost).unwrap());
        }
        bits.add_transport(&solve(&mu, &nu, &Periodic::new(2.0, 3.0).unwrap()).unwrap());
        bits.add_divergence(&Wasserstein::new(2.0).unwrap(), &mu, &nu);
    }
    let (mu, nu) = (cloud(9000, 1, 1, false), cloud(7000, 1, 2, true));
    bits.add_transport(&line::solve(&mu, &nu, 2.0).unwrap());
    bits.add_transport(&circle::solve(&mu, &nu, 2.0, 1.0).unwrap());
    bits.add(&[line::distance(&mu, &nu, 1.0).unwrap(), line::distance(&mu, &mu, 1.5).unwrap()]);
    bits.0
}

fn entropic() -> Vec<u64> {
    let mut bits = Bits::default();
    for (n, m, d, weighted) in [(301, 280, 2, false), (60, 90, 5, true)] {
        let (mu, nu) = (cloud(n, d, 1, weighted), cloud(m, d, 2, weighted));
        for cost in
            [NormPower::squared_euclidean(), NormPower::euclidean(), NormPower::new(2.0, 1.5).unwrap()]
        {
            let e = Sinkhorn::new(0.1).unwrap().solve(&mu, &nu, &cost).unwrap();
            bits.add(&[e.value, e.marginal_error]);
            bits.add_potentials(&e.potentials);
            bits.add(e.barycentric_map(&mu, &nu, &cost as &dyn Cost).unwrap().as_slice());
            bits.add_divergence(&SinkhornDivergence::new(0.3, cost).unwrap(), &mu, &nu);
            bits.add_divergence(&Unbalanced::new(0.3, 1.0, cost).unwrap(), &mu, &nu);
        }
    }
    bits.0
}

fn lines() -> Vec<u64> {
    let mut bits = Bits::default();
    for (n, m, d, weighted) in [(600, 607, 3, false), (90, 97, 17, true), (1030, 1030, 19, false)] {
        let (mu, nu) = (cloud(n, d, 1, weighted), cloud(m, d, 2, weighted));
        let sliced = SlicedWasserstein::new(2.0, 37, Seed::new(1)).unwrap();
        bits.add_divergence(&sliced, &mu, &nu);
        bits.add_divergence(&sliced.averaged_in(3.0).unwrap(), &mu, &nu);
        bits.add_divergence(&MaxSliced::new(2.0, 5, Seed::new(1)).unwrap(), &mu, &nu);
        let energy = SlicedEnergy::new(Statistic::Unbiased, 70, Seed::new(1)).unwrap();
        bits.add_divergence(&energy, &mu, &nu);
    }
    bits.0
}

#[test]
fn the_same_bytes_everywhere() {
    for (name, run) in [("exact", exact as fn() -> Vec<u64>), ("entropic", entropic), ("lines", lines)] {
        let best = run();
        for isa in Isa::available() {
            force(Some(isa)).unwrap();
            assert!(run() == best, "{name}: {isa:?} differs");
        }
        force(None).unwrap();
        #[cfg(feature = "rayon")]
        for threads in [1, 2, 3, 16] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(run) == best, "{name}: {threads} threads differ");
        }
    }
}
