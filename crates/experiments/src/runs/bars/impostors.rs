//! Laws that resemble a mixture and are not it: a bar that lets one of them through measures nothing.

use crate::failure::Result;
use measures::rand::RngExt;
use measures::zoo::{Gaussian, GaussianMixture};
use measures::{Points, Sample, Seed};

/// The part of the mass that [`all`] puts on bridges between neighbouring modes.
const BRIDGES: f64 = 0.15;

/// n points of each impostor of a mixture of isotropic modes, with its name.
pub(super) fn all(target: &GaussianMixture, n: usize, seed: Seed) -> Result<Vec<(&'static str, Points)>> {
    let (weights, means, sigmas) = (target.weights().to_vec(), target.means().clone(), target.sigmas());
    let draw = |name: &str, law: &dyn Sample| law.sample(n, &mut seed.named(name).rng());
    let times = |factor: f64| {
        let sigmas: Vec<f64> = sigmas.iter().map(|s| s * factor).collect();
        GaussianMixture::isotropic(weights.clone(), means.clone(), &sigmas)
    };
    let moments = Gaussian::new(target.mean(), target.total_covariance())?;
    let mut lost = weights.clone();
    lost[0] = 0.0;
    let lost = GaussianMixture::isotropic(lost, means.clone(), &sigmas)?;
    Ok(vec![
        ("a Gaussian of the same mean and covariance", draw("gaussian", &moments)),
        ("modes twice as wide", draw("wide", &times(2.0)?)),
        ("points at the modes", draw("points", &times(1e-6)?)),
        ("one mode lost", draw("lost", &lost)),
        ("15% of the mass on bridges", bridged(target, n, seed.named("bridges"))),
    ])
}

/// Draws of the target, a part of them moved onto the segment between their mode and the nearest other one.
fn bridged(target: &GaussianMixture, n: usize, seed: Seed) -> Points {
    let mut rng = seed.rng();
    let mut x = target.sample(n, &mut rng);
    let means = target.means();
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let nearest = |from: &[f64], but: Option<usize>| {
        let others = (0..means.len()).filter(|k| Some(*k) != but);
        others.min_by(|&a, &b| distance(from, means.row(a)).total_cmp(&distance(from, means.row(b))))
    };
    for row in x.rows_mut() {
        if rng.random::<f64>() >= BRIDGES {
            continue;
        }
        let Some(home) = nearest(row, None) else { continue };
        let Some(other) = nearest(means.row(home), Some(home)) else { continue };
        let part: f64 = rng.random();
        for (k, v) in row.iter_mut().enumerate() {
            *v += part * (means.row(other)[k] - means.row(home)[k]);
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::super::super::recipes::{MIDDLE, Recipe, STRICT};
    use super::super::super::yardstick::{Bar, Yardstick};
    use super::*;
    use measures::Empirical;

    const N: usize = 10_000;

    /// At the size that methods are measured at: floors shrink with it, and impostors come nearer to them below it.
    #[test]
    fn the_bars_let_no_impostor_through_and_the_target_itself_through() {
        let target = GaussianMixture::eight_gaussians();
        let (yardstick, floor) = Yardstick::with_floor(&target, N, 1, Seed::new(1)).unwrap();
        let truth = target.sample(N, &mut Seed::new(2).rng());
        let over = |x: Points| yardstick.measure(&Empirical::uniform(x).unwrap()).unwrap().over(&floor);
        assert!(STRICT.holds(&over(truth)));
        for (name, x) in all(&target, N, Seed::new(3)).unwrap() {
            let over = over(x);
            assert!(!STRICT.holds(&over), "{name}: {over:?}");
            // Bridges are what wider bars allow: learned critics leave them.
            assert!(!MIDDLE.holds(&over) || name.contains("bridges"), "{name}: {over:?}");
        }
    }

    #[test]
    fn bars_are_those_stated() {
        assert_eq!(STRICT, Bar::times(2.0));
        for (name, w2) in [("flow_matching", 2.0), ("drift", 2.0), ("gan", 4.0), ("vae", 8.0)] {
            assert_eq!(Recipe::of(name).bar.w2, w2, "{name}");
        }
    }
}
