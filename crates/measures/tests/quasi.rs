//! Sobol and Halton: values of a peer, net properties before and after scrambling, goodness of fit, rates.

use measures::quasi::{Halton, QuasiRandom, Sobol, normal, rqmc};
use measures::{Error, Points, Seed};

/// SciPy 1.17.1's `scipy.stats.qmc.Sobol(256, scramble=False, bits=30).random(4096)`, points 5, 1000 and 4095.
#[test]
fn sobol_is_the_one_of_joe_and_kuo() {
    let x = Sobol::new(256).unwrap().points(0, 4096).unwrap();
    assert_eq!(x.row(5)[..6], [0.875, 0.875, 0.125, 0.375, 0.875, 0.625]);
    let scaled: Vec<u64> =
        [1, 7, 63, 127, 200, 255].iter().map(|&k| (x.row(1000)[k] * 2f64.powi(30)) as u64).collect();
    assert_eq!(scaled, [103_809_024, 965_738_496, 479_199_232, 584_056_832, 808_452_096, 267_386_880]);
    let last: Vec<f64> = [0, 50, 100, 255].iter().map(|&k| x.row(4095)[k]).collect();
    let expected = [2.441_406_25e-4, 4.650_878_91e-1, 3.449_707_03e-1, 6.130_371_09e-1];
    assert!(last.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-8));
    // Any stretch is the same as the whole, also across blocks.
    let part = Sobol::new(256).unwrap().points(2040, 20).unwrap();
    assert_eq!(part.as_slice(), &x.as_slice()[2040 * 256..2060 * 256]);
}

/// Whether every dyadic box of volume 2^{t−m} holds exactly 2ᵗ of the 2ᵐ points.
fn is_net(x: &Points, t: u32, m: u32) -> bool {
    let s = x.dim();
    let mut shapes = vec![vec![]];
    for _ in 0..s {
        shapes = shapes
            .into_iter()
            .flat_map(|p: Vec<u32>| (0..=m - t).map(move |k| [p.clone(), vec![k]].concat()))
            .collect();
    }
    shapes.iter().filter(|shape| shape.iter().sum::<u32>() == m - t).all(|shape| {
        let mut counts = vec![0u32; 1 << (m - t)];
        for row in x.rows() {
            let cell =
                row.iter().zip(shape).fold(0usize, |c, (u, k)| c << k | (u * f64::from(1 << k)) as usize);
            counts[cell] += 1;
        }
        counts.iter().all(|c| *c == 1 << t)
    })
}

#[test]
fn sobol_points_form_nets_and_scrambling_keeps_them() {
    // t = Σ (degree − 1) over the primitive polynomials: 0, 0, 1, 2, 2 for the first five coordinates.
    for (dim, t) in [(1, 0), (2, 0), (3, 1), (4, 3), (5, 5)] {
        let plain = Sobol::new(dim).unwrap();
        let scrambled = plain.scrambled(Seed::new(dim as u64));
        for (start, m) in [(0, 8u32), (3 << 8, 8), (0, 11)] {
            let n = 1 << m;
            assert!(is_net(&plain.points(start, n).unwrap(), t, m), "plain {dim} {start} {m}");
            assert!(is_net(&scrambled.points(start, n).unwrap(), t, m), "scrambled {dim} {start} {m}");
        }
    }
    // Every single coordinate is perfectly stratified.
    let x = Sobol::new(256).unwrap().scrambled(Seed::new(9)).points(512, 512).unwrap();
    (0..256).for_each(|k| assert!(is_net(&Points::from_line(x.column(k)), 0, 9), "coordinate {k}"));
}

#[test]
fn halton_boxes_hold_one_point_each_and_scrambling_keeps_them() {
    let plain = Halton::new(3).unwrap();
    assert_eq!(plain.bases(), [2, 3, 5]);
    let third = plain.points(7, 1).unwrap();
    let expected = [7.0 / 8.0, 1.0 / 3.0 + 2.0 / 9.0, 2.0 / 5.0 + 1.0 / 25.0];
    assert!(third.row(0).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15));
    for sequence in [plain.clone(), plain.scrambled(Seed::new(3))] {
        for start in [0, 37] {
            for cells in [[8usize, 9, 5], [4, 27, 25], [1, 1, 125], [64, 1, 5]] {
                let x = sequence.points(start, cells.iter().product()).unwrap();
                let mut seen = vec![false; x.len()];
                for row in x.rows() {
                    // The plain points lie on cell borders exactly; the scrambled never do.
                    let cell =
                        row.iter().zip(cells).fold(0, |c, (u, k)| c * k + (u * k as f64 + 1e-9) as usize);
                    assert!(!std::mem::replace(&mut seen[cell], true), "{cells:?}");
                }
            }
        }
    }
    let wide = Halton::new(100).unwrap().scrambled(Seed::new(4)).points(0, 541).unwrap();
    assert_eq!(Halton::new(100).unwrap().bases()[99], 541);
    let mut cells: Vec<usize> = wide.column(99).iter().map(|u| (u * 541.0) as usize).collect();
    cells.sort_unstable();
    assert_eq!(cells, (0..541).collect::<Vec<_>>());
}

/// One point of many scrambles is uniform on the cube: χ² over pairs of leading digits of two coordinates and of deep bits.
#[test]
fn a_scrambled_point_is_uniform() {
    use statrs::distribution::{ChiSquared, ContinuousCDF};
    let repeats = 4000;
    let bound = ChiSquared::new(63.0).unwrap().inverse_cdf(1.0 - 1e-6);
    let sobol = Sobol::new(3).unwrap();
    let halton = Halton::new(3).unwrap();
    for index in [0u64, 1, 77] {
        for which in 0..2 {
            let mut counts = [[0.0f64; 64]; 4];
            for r in 0..repeats {
                let seed = Seed::new(1000 + r);
                let x = if which == 0 {
                    sobol.scrambled(seed).points(index, 2).unwrap()
                } else {
                    halton.scrambled(seed).points(index, 2).unwrap()
                };
                let digit = |i: usize, k: usize, shift: i32| (x.row(i)[k] * 2f64.powi(shift)).fract() * 8.0;
                let pairs = [
                    (digit(0, 0, 0), digit(0, 1, 0)),
                    (digit(0, 1, 0), digit(0, 2, 0)),
                    (digit(0, 0, 3), digit(0, 0, 35)),
                    (digit(0, 2, 30), digit(1, 2, 33)),
                ];
                for (counts, (a, b)) in counts.iter_mut().zip(pairs) {
                    counts[a as usize * 8 + b as usize] += 1.0;
                }
            }
            for (test, counts) in counts.iter().enumerate() {
                let expected = repeats as f64 / 64.0;
                let statistic: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
                assert!(statistic < bound, "sequence {which}, point {index}, test {test}: {statistic}");
            }
        }
    }
}

/// Root mean square error of scrambled nets on a smooth function falls about as n^{−3/2}; plain Monte Carlo as n^{−1/2}.
#[test]
fn scrambled_nets_beat_chance_at_their_rate() {
    let f = |u: &Points| -> measures::Result<Vec<f64>> {
        Ok(u.rows().map(|x| x.iter().map(|x| x.exp() / 1f64.exp_m1()).product()).collect())
    };
    let error = |n: usize| {
        let runs: Vec<f64> = (0..40).map(|r| rqmc(3, n, 2, Seed::new(r), f).unwrap().value - 1.0).collect();
        (runs.iter().map(|e| e * e).sum::<f64>() / 40.0).sqrt()
    };
    let (few, many) = (error(256), error(4096));
    let order = (few / many).ln() / 16f64.ln();
    assert!(order > 1.2, "order {order}");
    let single = rqmc(3, 1024, 16, Seed::new(5), f).unwrap();
    assert!((single.value - 1.0).abs() < 6.0 * single.standard_error && single.standard_error < 1e-4);
    // Halton, from its scrambles.
    let halton = Halton::new(3).unwrap();
    let runs: Vec<f64> = (0..40)
        .map(|r| {
            let values = f(&halton.scrambled(Seed::new(r)).points(0, 4096).unwrap()).unwrap();
            values.iter().sum::<f64>() / 4096.0 - 1.0
        })
        .collect();
    let spread = (runs.iter().map(|e| e * e).sum::<f64>() / 40.0).sqrt();
    let mean = runs.iter().sum::<f64>() / 40.0;
    // Chance would give .0086.
    assert!(spread < 1e-3 && mean.abs() < 5.0 * spread / 40f64.sqrt(), "{spread} {mean}");
}

#[test]
fn normal_points_and_refusals() {
    let u = Sobol::new(2).unwrap().scrambled(Seed::new(1)).points(0, 4096).unwrap();
    let z = normal(&u).unwrap();
    for k in 0..2 {
        let column = z.column(k);
        let moment = |p: i32| column.iter().map(|v| v.powi(p)).sum::<f64>() / 4096.0;
        assert!(moment(1).abs() < 1e-3 && (moment(2) - 1.0).abs() < 5e-3 && (moment(4) - 3.0).abs() < 0.1);
    }
    assert!(matches!(
        normal(&Sobol::new(1).unwrap().points(0, 1).unwrap()),
        Err(Error::Entry { index: 0, .. })
    ));
    assert!(matches!(Sobol::new(0), Err(Error::TooFew { .. })));
    assert!(matches!(Sobol::new(257), Err(Error::TooMany { limit: 256, .. })));
    assert!(matches!(Halton::new(1025), Err(Error::TooMany { .. })));
    assert!(matches!(Sobol::new(1).unwrap().points(1 << 32, 1), Err(Error::TooMany { .. })));
    assert!(matches!(Sobol::new(1).unwrap().points(u64::MAX, 2), Err(Error::TooMany { .. })));
    assert_eq!(Sobol::new(2).unwrap().points((1 << 32) - 1, 1).unwrap().len(), 1);
    assert_eq!(Halton::new(2).unwrap().scrambled(Seed::new(0)).points((1 << 32) - 2, 2).unwrap().len(), 2);
    assert!(rqmc(2, 16, 1, Seed::new(0), |u| Ok(vec![0.0; u.len()])).is_err());
    assert!(rqmc(2, 16, 2, Seed::new(0), |_| Ok(vec![f64::NAN; 16])).is_err());
    assert!(rqmc(2, 16, 2, Seed::new(0), |_| Ok(vec![])).is_err());
}
