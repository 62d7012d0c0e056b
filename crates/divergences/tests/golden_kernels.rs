//! MMD, energy distances and divergences of weights against scikit-learn, dcor and SciPy; `tests/golden/kernels.py` made the
//! values.

use divergences::kernel::{Energy, Gaussian, Kernel, Laplace, Polynomial};
use divergences::measures::{Empirical, Points};
use divergences::phi::{Phi, PhiDivergence};
use divergences::{Divergence, EnergyDistance, Mmd, Statistic};
use std::collections::HashMap;

/// The golden values that are left to ask for.
struct Golden(HashMap<&'static str, f64>);

impl Golden {
    fn read() -> Self {
        let lines = include_str!("golden/kernels.txt").lines();
        let pairs = lines.map(|line| line.split_once(' ').expect("a name and a value"));
        Golden(pairs.map(|(name, value)| (name, value.parse().expect("a number"))).collect())
    }

    fn expect(&mut self, name: &str, value: f64) {
        let want = self.0.remove(name).expect("a golden value of this name");
        assert!((value - want).abs() <= 1e-12 * (1.0 + want.abs()), "{name}: {value}, {want}");
    }
}

/// The Weyl sequence of the script.
fn cloud(n: usize, d: usize, first: usize, spread: f64) -> Empirical {
    let primes = [2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0f64];
    let points = Points::from_fn(n, d, |i, row| {
        row.iter_mut().zip(primes).for_each(|(r, p)| {
            let x = (i + first) as f64 * p.sqrt();
            *r = spread * (x - x.floor());
        });
    });
    Empirical::uniform(points).unwrap()
}

#[test]
fn peers_agree() {
    let mut golden = Golden::read();
    for d in [1, 2, 5] {
        let (mu, nu) = (cloud(40, d, 1, 1.0), cloud(31, d, 5000, 1.3));
        let kernel = |name: &str| -> Box<dyn Kernel> {
            match name {
                "gaussian" => Box::new(Gaussian::new(0.4).unwrap()),
                "laplace" => Box::new(Laplace::new(0.4).unwrap()),
                _ => Box::new(Polynomial::new(3, 0.5, 1.0).unwrap()),
            }
        };
        for name in ["gaussian", "laplace", "polynomial"] {
            for (of, statistic) in [("plugin", Statistic::Plugin), ("unbiased", Statistic::Unbiased)] {
                let value = Mmd::new(kernel(name), statistic).value(&mu, &nu).unwrap();
                golden.expect(&format!("mmd_{name}_d{d}_{of}"), value);
            }
        }
        let energy = EnergyDistance::new(Statistic::Plugin).value(&mu, &nu).unwrap();
        golden.expect(&format!("energy_d{d}_plugin"), energy);
        for s in [0.5, 1.5] {
            let value = Mmd::new(Energy::new(s).unwrap(), Statistic::Plugin).value(&mu, &nu).unwrap();
            golden.expect(&format!("energy_{s}_d{d}_plugin"), value);
        }
        if d == 1 {
            golden.expect("energy_d1_scipy", energy);
        }
    }
    let atoms = |w: [f64; 5]| {
        Empirical::weighted(Points::from_line(vec![0.0, 1.0, 2.0, 3.0, 4.0]), w.to_vec()).unwrap()
    };
    let (p, q) = (atoms([0.1, 0.2, 0.3, 0.25, 0.15]), atoms([0.3, 0.05, 0.2, 0.15, 0.3]));
    for (name, phi) in
        [("phi_kl", Phi::Kl), ("phi_reverse_kl", Phi::ReverseKl), ("phi_jensen_shannon", Phi::JensenShannon)]
    {
        golden.expect(name, PhiDivergence::new(phi).value(&p, &q).unwrap());
    }
    assert!(golden.0.is_empty(), "values that no test asks for: {:?}", golden.0.keys());
}
