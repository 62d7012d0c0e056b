//! Quality measures against their reference implementations (`golden/quality.py`), and what each is made to catch.

use divergences::Divergence;
use divergences::quality::{Frechet, data_copying, density_coverage, precision_recall};
use measures::{Empirical, Points};
use std::collections::HashMap;

fn golden() -> HashMap<&'static str, f64> {
    include_str!("golden/quality.txt")
        .lines()
        .map(|line| {
            let (name, value) = line.split_once(' ').expect("a name and a value");
            (name, value.parse().expect("a number"))
        })
        .collect()
}

/// The Weyl sequence of the script.
fn cloud(n: usize, d: usize, first: usize, spread: f64) -> Points {
    let primes = [2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0f64];
    Points::from_fn(n, d, |i, row| {
        row.iter_mut().zip(primes).for_each(|(r, p)| {
            let x = (i + first) as f64 * p.sqrt();
            *r = spread * (x - x.floor());
        });
    })
}

#[test]
fn reference_implementations_agree() {
    let golden = golden();
    for d in [2, 5, 8] {
        let [data, generated, held] = [(300, 1, 1.0), (200, 5000, 1.2), (250, 9000, 1.0)]
            .map(|(n, first, spread)| cloud(n, d, first, spread));
        let copying = data_copying(&generated, &data, &held).unwrap();
        let expect = |name: &str, value: f64, tolerance: f64| {
            let expected = golden[name];
            assert!((value - expected).abs() <= tolerance * expected.abs(), "{name}: {value}, {expected}");
        };
        expect(&format!("copying_u_d{d}"), copying.farther, 1e-13);
        expect(&format!("copying_p_d{d}"), copying.p_copying, 1e-9);
        let (data, generated) = (Empirical::uniform(data).unwrap(), Empirical::uniform(generated).unwrap());
        expect(&format!("frechet_d{d}"), Frechet.value(&generated, &data).unwrap(), 1e-11);
        for k in [1, 3, 5] {
            let pr = precision_recall(&generated, &data, k).unwrap();
            let dc = density_coverage(&generated, &data, k).unwrap();
            let rows = [
                ("precision", pr.precision),
                ("recall", pr.recall),
                ("density", dc.density),
                ("coverage", dc.coverage),
            ];
            for (name, found) in rows {
                expect(&format!("{name}_d{d}_k{k}"), found.value, 1e-13);
            }
        }
    }
}
