//! Accumulators: any chunks, any order, any tree of merges, the same numbers to 1e-12.

use measures::stream::{StreamBracket, StreamFeatures, StreamMoments};
use measures::zoo::GaussianMixture;
use measures::{
    Empirical, Error, Estimate, Family, Function, Points, Pullback, Result, Sample, Seed, check_pullback,
};
use rand::RngExt;

/// 1, x, y, xy and a wave: enough of a family to be wrong about.
struct Polynomials;

fn features(x: &[f64]) -> [f64; 5] {
    [1.0, x[0], x[1], x[0] * x[1], (3.0 * x[0] + x[1]).sin()]
}

impl Family for Polynomials {
    fn dim(&self) -> usize {
        2
    }
    fn tau(&self) -> &[f64] {
        &[1.0, 0.5, 0.5, 0.25, 2.0]
    }
    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        let mut out = vec![0.0; 5];
        for (row, w) in mu.points().rows().zip(mu.weights()) {
            out.iter_mut().zip(features(row)).for_each(|(o, f)| *o += w * f);
        }
        Ok(out)
    }
    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        let values = x.rows().map(|r| features(r).iter().zip(c).map(|(f, c)| f * c).sum()).collect();
        Ok(Pullback { values, gradients: Points::zeros(x.len(), 2) })
    }
    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        Ok(x.rows().flat_map(features).collect())
    }
}

fn cloud() -> (Points, Vec<f64>) {
    let mut rng = Seed::new(1).rng();
    let mut x = GaussianMixture::ring(3, 2.0, 0.5).unwrap().sample(3001, &mut rng);
    // Far from the origin, and one heavy outlier: where naive sums of squares lose everything.
    x.rows_mut().for_each(|row| row[0] += 3e6);
    x.row_mut(17)[1] = 1e5;
    let weights = (0..x.len()).map(|i| if i % 7 == 0 { 0.0 } else { rng.random::<f64>() }).collect();
    (x, weights)
}

/// Random order, random chunks.
fn shuffled(x: &Points, w: &[f64], seed: u64) -> Vec<(Points, Vec<f64>)> {
    let mut rng = Seed::new(seed).rng();
    let mut order: Vec<usize> = (0..x.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    let mut chunks = vec![];
    let mut rest = &order[..];
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(rng.random_range(1..=rest.len().min(700)));
        chunks.push((x.select(head), head.iter().map(|&i| w[i]).collect()));
        rest = tail;
    }
    chunks
}

/// Merges the parts in a random tree.
fn merged<T: Clone>(mut parts: Vec<T>, seed: u64, merge: impl Fn(&mut T, &T)) -> T {
    let mut rng = Seed::new(seed).rng();
    while parts.len() > 1 {
        let a = parts.swap_remove(rng.random_range(0..parts.len()));
        let at = rng.random_range(0..parts.len());
        merge(&mut parts[at], &a);
    }
    parts.pop().unwrap()
}

fn close(a: f64, b: f64, scale: f64) {
    assert!((a - b).abs() <= 1e-12 * scale.abs(), "{a} and {b}, scale {scale}");
}

#[test]
fn moments_do_not_depend_on_order_chunks_or_merges() {
    let (x, w) = cloud();
    let run = |seed| {
        let parts: Vec<_> = shuffled(&x, &w, seed)
            .iter()
            .map(|(x, w)| {
                let mut m = StreamMoments::new(2).unwrap();
                m.add(x, Some(w)).unwrap();
                m
            })
            .collect();
        merged(parts, seed, |a, b| a.merge(b).unwrap())
    };
    let reference = run(0);
    let covariance = reference.covariance().unwrap();
    for seed in 1..6 {
        let other = run(seed);
        assert_eq!((other.count(), other.dim()), (3001, 2));
        for k in 0..2 {
            close(other.mean().unwrap()[k], reference.mean().unwrap()[k], 3e6);
            for l in 0..2 {
                let scale = (covariance[(k, k)] * covariance[(l, l)]).sqrt();
                close(other.covariance().unwrap()[(k, l)], covariance[(k, l)], scale);
            }
        }
        close(other.total_weight(), reference.total_weight(), reference.total_weight());
        close(other.effective_sample_size(), reference.effective_sample_size(), 3e3);
    }
    // The two-pass answer, about the true mean.
    let total: f64 = w.iter().sum();
    let mean = reference.mean().unwrap();
    for k in 0..2 {
        for l in 0..2 {
            let direct: f64 =
                x.rows().zip(&w).map(|(r, w)| w / total * (r[k] - mean[k]) * (r[l] - mean[l])).sum();
            let scale = (covariance[(k, k)] * covariance[(l, l)]).sqrt();
            assert!((direct - covariance[(k, l)]).abs() < 1e-9 * scale, "{direct} {}", covariance[(k, l)]);
        }
    }
    let copy = StreamMoments::from_state(2, &reference.state()).unwrap();
    assert_eq!(copy, reference);
}

#[test]
fn brackets_do_not_either_and_match_the_plain_estimate() {
    let f = Function::new(2, |x| (x[0] - 3e6) * x[1], |_, _| {});
    let (x, w) = cloud();
    let run = |seed| {
        let parts: Vec<_> = shuffled(&x, &w, seed)
            .iter()
            .map(|(x, w)| {
                let mut b = StreamBracket::new();
                b.add(&f, x, Some(w)).unwrap();
                b
            })
            .collect();
        merged(parts, seed, StreamBracket::merge)
    };
    let reference = run(0).estimate().unwrap();
    for seed in 1..6 {
        let other = run(seed).estimate().unwrap();
        close(other.value, reference.value, reference.value);
        close(other.standard_error, reference.standard_error, reference.standard_error);
    }
    let values: Vec<f64> = x.rows().map(|r| (r[0] - 3e6) * r[1]).collect();
    let (mut stream, plain) = (StreamBracket::new(), Estimate::of_mean(&values).unwrap());
    values.chunks(100).for_each(|c| stream.add_values(c, None).unwrap());
    close(stream.estimate().unwrap().value, plain.value, plain.value);
    close(stream.estimate().unwrap().standard_error, plain.standard_error, plain.standard_error);
    assert_eq!(StreamBracket::from_state(&stream.state()).unwrap(), stream);
    assert_eq!(stream.count(), 3001);
}

#[test]
fn features_give_d2_between_data_sets_never_in_memory() {
    let (x, w) = cloud();
    // Moderate numbers for the family.
    let centred = |p: &Points| {
        let mut q = p.clone();
        q.rows_mut().for_each(|r| r[0] -= 3e6);
        q
    };
    let run = |seed| {
        let parts: Vec<_> = shuffled(&x, &w, seed)
            .iter()
            .map(|(x, w)| {
                let mut b = StreamFeatures::new(&Polynomials).unwrap();
                b.add(&Polynomials, &centred(x), Some(w)).unwrap();
                b
            })
            .collect();
        merged(parts, seed, |a, b| a.merge(b).unwrap())
    };
    let reference = run(0);
    let mut other = StreamFeatures::new(&Polynomials).unwrap();
    let y = GaussianMixture::ring(3, 2.0, 0.4).unwrap().sample(500, &mut Seed::new(2).rng());
    other.add(&Polynomials, &y, None).unwrap();
    let distance = reference.squared_distance(&other).unwrap();
    let unbiased = reference.squared_distance_unbiased(&other).unwrap();
    for seed in 1..6 {
        let again = run(seed);
        for (a, b) in again.brackets().unwrap().iter().zip(reference.brackets().unwrap()) {
            close(*a, b, b.abs().max(1.0));
        }
        close(again.squared_distance(&other).unwrap(), distance, distance);
        close(again.squared_distance_unbiased(&other).unwrap(), unbiased, distance);
    }
    // Directly, over all pairs.
    let (mu, nu) = (Empirical::normalised(centred(&x), w.clone()).unwrap(), Empirical::uniform(y).unwrap());
    let kappa = |a: &[f64], b: &[f64]| -> f64 {
        features(a).iter().zip(features(b)).zip(Polynomials.tau()).map(|((f, g), t)| t * f * g).sum()
    };
    let pairs = |a: &Empirical, b: &Empirical, same: bool| {
        let (mut sum, mut total) = (0.0, 0.0);
        for i in 0..a.len() {
            for j in (0..b.len()).filter(|&j| !(same && i == j)) {
                let w = a.weights()[i] * b.weights()[j];
                sum += w * kappa(a.points().row(i), b.points().row(j));
                total += w;
            }
        }
        sum / total
    };
    let direct = pairs(&mu, &mu, true) + pairs(&nu, &nu, true) - 2.0 * pairs(&mu, &nu, false);
    assert!((direct - unbiased).abs() < 1e-9 * distance, "{direct} {unbiased}");
    assert_eq!(StreamFeatures::from_state(&Polynomials, &reference.state()).unwrap(), reference);
    let single = {
        let mut s = StreamFeatures::new(&Polynomials).unwrap();
        s.add(&Polynomials, &Points::zeros(1, 2), None).unwrap();
        s
    };
    assert!(matches!(single.squared_distance_unbiased(&other), Err(Error::TooFew { .. })));
}

#[test]
fn a_refused_chunk_leaves_no_trace() {
    let mut m = StreamMoments::new(2).unwrap();
    m.add(&Points::zeros(3, 2), None).unwrap();
    let before = m.clone();
    assert!(m.add(&Points::zeros(3, 3), None).is_err());
    assert!(m.add(&Points::from_raw(2, vec![0.0, f64::NAN]), None).is_err());
    assert!(m.add(&Points::zeros(2, 2), Some(&[1.0])).is_err());
    assert!(m.add(&Points::zeros(2, 2), Some(&[1.0, -1.0])).is_err());
    assert_eq!(m, before);
    assert!(StreamMoments::new(2).unwrap().mean().is_err() && StreamBracket::new().estimate().is_err());
    assert!(StreamFeatures::new(&Polynomials).unwrap().brackets().is_err());
    assert!(StreamMoments::from_state(2, &[1.0; 15]).is_err());
    assert!(StreamBracket::from_state(&[0.5; 11]).is_err() && StreamBracket::from_state(&[]).is_err());
    assert!(m.merge(&StreamMoments::new(3).unwrap()).is_err());
}
