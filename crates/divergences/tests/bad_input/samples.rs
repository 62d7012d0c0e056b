//! Functions of samples: tests, estimators, quality, neighbours.

use crate::answers::{Finite, odd_measures};
use crate::judge::{Answer, Judge, NUMBERS, clouds};
use divergences::family::FourierLattice;
use divergences::kernel::{Gaussian, InverseMultiquadric};
use divergences::measures::{Estimate, Functional, Points, Seed, zoo};
use divergences::neighbours::{Method, NearestNeighbours};
use divergences::phi::{
    Phi, between_densities, between_gaussians, entropy_from_sample, from_samples, relative_entropy_gradient,
};
use divergences::quality::{Modes, data_copying, density_coverage, memorisation, precision_recall};
use divergences::test::{
    Relabelled, Signs, block_test, classifier_test, energy_test, mmd_estimate, mmd_test, neighbour_test,
    permutation_test, sinkhorn_test, stein_test,
};
use divergences::total_variation::total_variation_between;
use divergences::{BlockMmd, EnergyDistance, FisherDivergence, KernelStein, Statistic};

/// A test's outcome must hold numbers, and a p-value in (0, 1].
struct Outcome(Relabelled);

impl Answer for Outcome {
    fn has_nan(&self) -> bool {
        let p = self.0.p_value;
        self.0.statistic.is_nan() || !(p > 0.0 && p <= 1.0) || self.0.null.iter().any(|v| v.is_nan())
    }
}

#[test]
fn two_sample_tests() {
    let mut judge = Judge::default();
    let seed = Seed::new(1);
    let kernel = Gaussian::new(1.0).unwrap();
    let mut all = clouds(2);
    all.extend(odd_measures(2).into_iter().map(|(name, mu)| (name.to_owned(), mu.points().clone())));
    let plain = Points::from_rows(&[[0.0, 0.3], [1.0, 0.0], [0.4, 0.4], [-1.0, 0.2], [0.3, -2.0]]);
    for (name, cloud) in &all {
        for (side, x, y) in [("first", cloud, &plain), ("second", &plain, cloud), ("both", cloud, cloud)] {
            let at = format!("{name} {side}");
            judge.case(format!("MMD test, {at}"), || mmd_test(&kernel, x, y, 9, seed).map(Outcome));
            judge.case(format!("energy test, {at}"), || energy_test(x, y, 9, seed).map(Outcome));
            judge.case(format!("MMD estimate, {at}"), || mmd_estimate(&kernel, x, y));
            judge.case(format!("neighbour test, {at}"), || neighbour_test(x, y, 2, 9, seed).map(Outcome));
            judge.case(format!("classifier test, {at}"), || classifier_test(x, y, 2, 9, seed).map(Outcome));
            judge.case(format!("energy by relabelling, {at}"), || {
                permutation_test(&EnergyDistance::new(Statistic::Plugin), x, y, 5, seed).map(Outcome)
            });
            judge.case(format!("Sinkhorn test, {at}"), || sinkhorn_test(0.5, x, y, 3, seed).map(Outcome));
            judge.case(format!("block test, {at}"), || {
                block_test(&BlockMmd::linear(kernel), x, y).map(|t| (t.statistic, t.p_value))
            });
        }
    }
    for count in [0, 1] {
        judge.case(format!("{count} relabellings"), || energy_test(&plain, &plain, count, seed).map(Outcome));
        judge.case(format!("{count} of neighbours"), || {
            neighbour_test(&plain, &plain, 1, count, seed).map(Outcome)
        });
        judge.case(format!("{count} neighbours"), || {
            classifier_test(&plain, &plain, count, 3, seed).map(Outcome)
        });
    }
    for v in NUMBERS {
        judge.case(format!("threshold {v}"), || {
            let t = energy_test(&plain, &plain, 9, seed)?.threshold(v)?;
            Ok(if t.is_nan() { f64::NAN } else { 0.0 })
        });
        judge.case(format!("ε = {v}"), || sinkhorn_test(v, &plain, &plain, 1, seed).map(Outcome));
    }
    for k in [0, 9, 10, usize::MAX] {
        judge.case(format!("{k} neighbours of ten"), || {
            neighbour_test(&plain, &plain, k, 3, seed).map(Outcome)
        });
    }
    judge.verdict(900);
}

#[test]
fn goodness_of_fit() {
    let mut judge = Judge::default();
    let seed = Seed::new(1);
    let target = zoo::Gaussian::standard(2);
    for statistic in [Statistic::Plugin, Statistic::Unbiased] {
        let ksd = KernelStein::new(&target, InverseMultiquadric::new(1.0).unwrap(), statistic);
        for (name, x) in clouds(2) {
            judge.case(format!("KSD test of {name}"), || {
                let t = stein_test(&ksd, &x, Signs::Independent, 9, seed)?;
                Ok((t.statistic, (t.p_value, t.null)))
            });
            judge.case(format!("KSD table of {name}"), || {
                x.check_finite("x")?;
                ksd.matrix(&x).map(|m| m.into_iter().filter(|v| !v.is_infinite()).collect::<Vec<f64>>())
            });
        }
        for (name, mu) in odd_measures(2) {
            judge.case(format!("KSD of {name}"), || ksd.value(&mu).map(|v| Finite(vec![v])));
            judge.case(format!("KSD variation of {name}"), || ksd.variation(&mu));
            judge.case(format!("KSD potential of {name}"), || ksd.potential(&mu).map(Finite));
            judge.case(format!("KSD field of {name}"), || {
                ksd.gradient_field(&mu).map(|f| Finite(f.into_vec()))
            });
        }
        for v in NUMBERS {
            let x = Points::from_rows(&[[0.0, 1.0], [0.3, -0.2], [1.0, 0.5]]);
            judge.case(format!("signs that change with {v}"), || {
                stein_test(&ksd, &x, Signs::Chain(v), 9, seed).map(|t| t.p_value)
            });
        }
    }
    for v in NUMBERS {
        judge.case(format!("Fisher bandwidth {v}"), || {
            let fisher = FisherDivergence::new(&target, v)?;
            let values = odd_measures(2).iter().filter_map(|(_, mu)| fisher.value(mu).ok()).collect();
            Ok(Finite(values))
        });
    }
    let fisher = FisherDivergence::new(&target, 0.5).unwrap();
    for (name, mu) in odd_measures(2) {
        judge.case(format!("Fisher variation of {name}"), || fisher.variation(&mu));
    }
    judge.refused("Fisher elsewhere", || fisher.value(&odd_measures(1)[0].1));
    judge.verdict(150);
}

const PHIS: [Phi; 6] = [
    Phi::Kl,
    Phi::ReverseKl,
    Phi::JensenShannon,
    Phi::ChiSquared,
    Phi::SquaredHellinger,
    Phi::TotalVariation,
];

#[test]
fn estimators_of_divergences() {
    let mut judge = Judge::default();
    let plain = Points::from_rows(&[[0.0, 0.3], [1.0, 0.0], [0.4, 0.4], [-1.0, 0.2], [0.3, -2.0]]);
    let mut all = clouds(2);
    all.extend(odd_measures(2).into_iter().map(|(name, mu)| (name.to_owned(), mu.points().clone())));
    let phis = PHIS.into_iter().chain([0.4, -1.0, 3.0].map(|a| Phi::alpha(a).unwrap()));
    for phi in phis {
        for (name, x) in &all {
            for k in [0, 1, 3, usize::MAX] {
                judge.case(format!("{phi:?} of {name}, k = {k}"), || {
                    from_samples(phi, x, &plain, k).map(size)
                });
                judge.case(format!("{phi:?} to {name}, k = {k}"), || {
                    from_samples(phi, &plain, x, k).map(size)
                });
            }
        }
    }
    for (name, x) in &all {
        for k in [0, 1, 3] {
            judge.case(format!("entropy of {name}, k = {k}"), || entropy_from_sample(x, k).map(size));
            judge.case(format!("gradient at {name}, k = {k}"), || relative_entropy_gradient(x, &plain, k));
            judge.case(format!("gradient to {name}, k = {k}"), || relative_entropy_gradient(&plain, x, k));
        }
    }
    for a in NUMBERS {
        for b in NUMBERS {
            let Ok(p) = zoo::Gaussian::isotropic(&[a.clamp(-1e300, 1e300)], b) else { continue };
            let q = zoo::Gaussian::standard(1);
            for phi in PHIS {
                judge.case(format!("{phi:?} of N({a}, {b}²)"), || between_gaussians(phi, &p, &q));
                judge.case(format!("{phi:?} of draws of N({a}, {b}²)"), || {
                    between_densities(phi, &p, &q, 5, &mut Seed::new(0).rng()).map(|e| e.value)
                });
            }
            judge.case(format!("TV of draws of N({a}, {b}²)"), || {
                total_variation_between(&q, &p, 5, &mut Seed::new(0).rng())
            });
        }
    }
    let (line, plane) = (zoo::Gaussian::standard(1), zoo::Gaussian::standard(2));
    judge.refused("Gaussians of two spaces", || between_gaussians(Phi::Kl, &line, &plane));
    judge.refused("densities of two spaces", || {
        between_densities(Phi::Kl, &line, &plane, 5, &mut Seed::new(0).rng())
    });
    for n in [0, 1] {
        judge.refused("few draws", || total_variation_between(&line, &line, n, &mut Seed::new(0).rng()));
    }
    judge.verdict(2000);
}

/// The value; a standard error may be infinite or, with one draw, unknown.
fn size(estimate: Estimate) -> f64 {
    estimate.value
}

#[test]
fn quality_and_neighbours() {
    let mut judge = Judge::default();
    let seed = Seed::new(1);
    let plain = Points::from_rows(&[[0.0, 0.3], [1.0, 0.0], [0.4, 0.4], [-1.0, 0.2], [0.3, -2.0]]);
    let mut all = clouds(2);
    all.extend(odd_measures(2).into_iter().map(|(name, mu)| (name.to_owned(), mu.points().clone())));
    for (name, x) in &all {
        for method in [Method::Auto, Method::Tree, Method::Scan] {
            for k in [0, 1, 4, usize::MAX] {
                judge.case(format!("{k} of {name} by {method:?}"), || {
                    let near = NearestNeighbours::with_method(x.clone(), method)?;
                    near.query_self(k).map(|found| found.radii())
                });
                judge.case(format!("{k} at {name} by {method:?}"), || {
                    NearestNeighbours::with_method(plain.clone(), method)?
                        .query(x, k)
                        .map(|found| found.radii())
                });
            }
            for radius in NUMBERS {
                judge.case(format!("balls of {radius} at {name} by {method:?}"), || {
                    let near = NearestNeighbours::with_method(plain.clone(), method)?;
                    near.balls_containing(x, &[radius; 5]).map(|_| ())
                });
            }
        }
        judge.case(format!("copies of {name}"), || {
            memorisation(&plain, x, &plain, 9, seed).map(|m| (m.p_value, m.scores))
        });
        judge.case(format!("{name} as copies"), || {
            memorisation(x, &plain, &plain, 9, seed).map(|m| (m.p_value, m.scores))
        });
        judge.case(format!("held out {name}"), || {
            memorisation(&plain, &plain, x, 9, seed).map(|m| (m.p_value, m.scores))
        });
        judge.case(format!("data copying of {name}"), || {
            data_copying(x, &plain, &plain).map(|c| (c.z, c.p_copying))
        });
        judge.case(format!("data copying from {name}"), || {
            data_copying(&plain, x, &plain).map(|c| (c.z, c.p_copying))
        });
        judge.case(format!("modes at {name}"), || {
            let found = Modes::new(x.clone(), 0.5)?
                .assess(&divergences::measures::Empirical::uniform(plain.clone())?)?;
            Ok((found.good, (found.reverse_kl, found.reverse_kl_floor)))
        });
    }
    for (of_mu, mu) in odd_measures(2) {
        for (of_nu, nu) in odd_measures(2) {
            for k in [0, 1, 3, usize::MAX - 1] {
                let what = format!("{of_mu}, {of_nu}, k = {k}");
                judge.case(format!("precision of {what}"), || {
                    precision_recall(&mu, &nu, k).map(|p| (p.precision.value, p.recall.value))
                });
                judge.case(format!("coverage of {what}"), || {
                    density_coverage(&mu, &nu, k).map(|p| (p.density.value, p.coverage.value))
                });
            }
        }
        judge.case(format!("modes of {of_mu}"), || {
            let found = Modes::new(plain.clone(), 0.5)?.assess(&mu)?;
            Ok((
                found.good.value,
                (found.reverse_kl, found.modes.iter().map(|m| m.std_ratio).collect::<Vec<_>>()),
            ))
        });
    }
    for v in NUMBERS {
        judge.case(format!("σ = {v}"), || Modes::new(plain.clone(), v).map(|_| ()));
        judge.case(format!("share {v}"), || {
            Modes::weighted(Points::zeros(2, 1), vec![1.0; 2], vec![1.0, v]).map(|_| ())
        });
    }
    judge.refused("few shares", || Modes::weighted(Points::zeros(2, 1), vec![1.0; 2], vec![1.0]));
    judge.refused("no relabellings", || memorisation(&plain, &plain, &plain, 0, seed));
    judge.verdict(3000);
}

#[test]
fn duals_at_other_points() {
    let mut judge = Judge::default();
    for (of_mu, mu) in odd_measures(1) {
        for phi in PHIS {
            let ask = |judge: &mut Judge, ridge: f64| {
                let Ok(lattice) = FourierLattice::line(2) else { return };
                let dual = divergences::phi::DualPhi::new(phi, lattice).with_ridge(ridge).unwrap();
                let plain = &odd_measures(1)[3].1;
                let what = format!("{phi:?} of {of_mu}, ridge {ridge}");
                let maximised = || dual.maximise(&mu, plain);
                judge.case(format!("dual: {what}"), || {
                    let found = maximised()?;
                    Ok((if found.value == f64::INFINITY { 0.0 } else { found.value }, found.residual))
                });
                judge.case(format!("critic: {what}"), || maximised()?.critic(plain.points()));
                judge.case(format!("ratio: {what}"), || maximised()?.ratio(mu.points()));
                judge.case(format!("held out: {what}"), || Ok(size(maximised()?.evaluate(plain, &mu)?)));
                judge.case(format!("Donsker–Varadhan: {what}"), || {
                    Ok(size(maximised()?.donsker_varadhan(plain, &mu)?))
                });
                judge.refused(format!("elsewhere: {what}"), || maximised()?.critic(&Points::zeros(1, 2)));
            };
            ask(&mut judge, 0.0);
            ask(&mut judge, 0.1);
        }
    }
    judge.verdict(800);
}
