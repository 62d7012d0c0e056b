//! Whatever transport is given, it answers with finite numbers and a certificate, or with an error that names what is wrong.

use divergences::Divergence;
use divergences::transport::{
    Cost, Custom, MaxSliced, NormPower, Periodic, Sinkhorn, SinkhornDivergence, SlicedWasserstein,
    Unbalanced, Wasserstein, assignment, circle, line, mean_cost, solve,
};
use measures::{Empirical, Error, Points, Seed};
use rand::RngExt;

/// Measures that break things: alone, copies, far, near, in a line, light and weightless atoms.
fn odd_measures(dim: usize) -> Vec<(&'static str, Empirical)> {
    let mut rng = Seed::new(dim as u64).rng();
    let mut random = |n: usize, scale: f64, shift: f64| {
        Points::from_fn(n, dim, |_, row| row.fill_with(|| scale * (rng.random::<f64>() - 0.5) + shift))
    };
    let uniform = |x: Points| Empirical::uniform(x).unwrap();
    let plain = random(9, 2.0, 0.0);
    let with = |w: Vec<f64>| Empirical::normalised(plain.clone(), w).unwrap();
    vec![
        ("one point", uniform(random(1, 1.0, 0.3))),
        ("the origin", uniform(Points::zeros(1, dim))),
        ("copies", uniform(Points::zeros(7, dim))),
        ("copies and others", uniform(Points::zeros(150, dim).concat(&random(40, 1.0, 0.0)).unwrap())),
        ("plain", uniform(plain.clone())),
        ("many", uniform(random(160, 2.0, 0.2))),
        ("a line", uniform(Points::from_fn(12, dim, |i, row| row.fill(i as f64 / 7.0)))),
        ("near", uniform(random(9, 1e-12, 1.0))),
        ("tiny", uniform(random(9, 1e-160, 0.0))),
        ("denormal", uniform(random(5, 1e-310, 0.0))),
        ("far", uniform(random(9, 1.0, 1e8))),
        ("very far", uniform(random(4, 1e120, 0.0))),
        ("beyond", uniform(random(4, 1e300, 0.0))),
        ("light atoms", with(vec![1.0, 1e-13, 1e-13, 1.0, 1e-300, 1e-9, 0.5, 1e-6, 1.0])),
        ("weightless atoms", with(vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.5])),
    ]
}

/// What a call came to: the numbers that must be finite, or an error.
type Outcome = Result<Vec<f64>, Error>;

fn divergence(d: &dyn Divergence, mu: &Empirical, nu: &Empirical) -> Outcome {
    let value = d.value(mu, nu)?;
    let mut all = vec![value];
    if let Ok(v) = d.variation(mu, nu) {
        all.push(v.value);
        all.extend(v.d_points.as_slice());
        all.extend(v.d_weights);
    }
    Ok(all)
}

fn exact(mu: &Empirical, nu: &Empirical, cost: &dyn Cost) -> Outcome {
    let t = solve(mu, nu, cost)?;
    let largest = mu.points().rows().flat_map(|x| nu.points().rows().map(|y| cost.cost(x, y).abs()));
    // Round-off on a circle is that of its length.
    let largest =
        largest.fold(cost.periodic().map_or(0.0, |torus| torus.period().powf(torus.power())), f64::max);
    assert!(t.plan.couples(mu, nu, 1e-12).unwrap(), "the marginals of the plan");
    assert!(t.gap().abs() <= 1e-11 * largest + 1e-290, "gap {} where costs go to {largest}", t.gap());
    let mut all = vec![t.value, t.dual, t.violation];
    all.extend(t.potentials.source);
    all.extend(t.potentials.target);
    Ok(all)
}

fn entropic(mu: &Empirical, nu: &Empirical, share: f64) -> Outcome {
    let cost = NormPower::squared_euclidean();
    let mean = mean_cost(mu, nu, &cost)?;
    let epsilon = share * if mean > 0.0 { mean } else { 1.0 };
    let e = Sinkhorn::new(epsilon)?.max_iterations(300).solve(mu, nu, &cost)?;
    assert!(!e.status.is_converged() || e.marginal_error <= 1e-6);
    let map = e.barycentric_map(mu, nu, &cost)?;
    let mut all = vec![e.value, e.marginal_error, e.transport_cost(mu, nu, &cost)?];
    all.extend(e.potentials.source.iter().chain(&e.potentials.target).chain(map.as_slice()));
    Ok(all)
}

#[test]
fn every_pair_of_odd_measures() {
    let squared = NormPower::squared_euclidean();
    let mut calls = 0;
    let mut answered = 0;
    for dim in [1, 2, 3] {
        let measures = odd_measures(dim);
        for (of_mu, mu) in &measures {
            for (of_nu, nu) in &measures {
                let sliced = SlicedWasserstein::new(2.0, 5, Seed::new(1)).unwrap();
                let outcomes: Vec<(&str, Outcome)> = vec![
                    ("exact, squared", exact(mu, nu, &squared)),
                    ("exact, distance", exact(mu, nu, &NormPower::euclidean())),
                    ("exact, roots", exact(mu, nu, &NormPower::new(1.0, 0.5).unwrap())),
                    ("exact, torus", exact(mu, nu, &Periodic::new(2.0, 1.0).unwrap())),
                    ("exact, own", exact(mu, nu, &Custom::new(|x: &[f64], y: &[f64]| (x[0] - y[0]).sin()))),
                    ("W2", divergence(&Wasserstein::new(2.0).unwrap(), mu, nu)),
                    ("sliced", divergence(&sliced, mu, nu)),
                    ("max-sliced", divergence(&MaxSliced::new(1.0, 3, Seed::new(1)).unwrap(), mu, nu)),
                    ("entropic", entropic(mu, nu, 0.1)),
                    ("entropic, cold", entropic(mu, nu, 1e-3)),
                    ("Sinkhorn divergence", {
                        let settings = Sinkhorn::new(0.5).unwrap().max_iterations(300);
                        divergence(&SinkhornDivergence::with_settings(settings, squared), mu, nu)
                    }),
                    ("unbalanced", {
                        let u = Unbalanced::new(0.5, 1.0, squared).unwrap().with_limits(1e-6, 300);
                        divergence(&u, mu, nu)
                    }),
                ];
                for (name, outcome) in outcomes {
                    calls += 1;
                    match outcome {
                        Ok(all) => {
                            answered += 1;
                            let bad = all.iter().find(|v| !v.is_finite());
                            assert!(
                                bad.is_none(),
                                "{name} of {of_mu} and {of_nu} in dimension {dim}: {bad:?}"
                            );
                        }
                        Err(error) => {
                            let line = error.to_string();
                            assert!(!line.is_empty() && !line.contains('\n'), "{name}: {line}");
                            // Only what is really extreme may be refused.
                            let extreme = |of: &str| {
                                ["tiny", "denormal", "far", "very far", "beyond", "light atoms"].contains(&of)
                            };
                            assert!(
                                extreme(of_mu)
                                    || extreme(of_nu)
                                    || name.starts_with("Sinkhorn div")
                                    || name == "unbalanced",
                                "{name} of {of_mu} and {of_nu} in dimension {dim}: {line}"
                            );
                        }
                    }
                }
            }
        }
    }
    assert!(calls > 8000 && answered > calls * 3 / 4, "{answered} of {calls} answered");
}

#[test]
fn identical_sets_cost_nothing() {
    for dim in [1, 2, 3] {
        for (of, mu) in odd_measures(dim).iter().filter(|m| !["beyond", "very far"].contains(&m.0)) {
            for p in [1.0, 2.0] {
                let w = Wasserstein::new(p).unwrap();
                let value = w.value(mu, mu).unwrap();
                assert!(value == 0.0, "W{p} of {of} with itself is {value}");
                let (columns, t) = assignment(mu.points(), mu.points(), w.cost()).unwrap();
                assert!(t.value == 0.0 && columns.len() == mu.len());
            }
            let s = SinkhornDivergence::new(0.5, NormPower::squared_euclidean()).unwrap();
            assert!(s.solve(mu, mu).map_or(0.0, |s| s.value) == 0.0);
        }
    }
}

#[test]
fn what_would_be_a_huge_matrix_is_refused_by_name() {
    let n = 17_000;
    let spread = |shift: f64| Points::from_line((0..n).map(|i| i as f64 / n as f64 + shift).collect());
    let (mu, nu) = (Empirical::uniform(spread(0.0)).unwrap(), Empirical::uniform(spread(0.1)).unwrap());
    let cost = NormPower::squared_euclidean();
    let once = Sinkhorn::new(1.0).unwrap().max_iterations(1);
    let e = once.solve_from(&mu, &nu, &cost, Some(&vec![0.0; n])).unwrap();
    let refused = e.plan(&mu, &nu, &cost);
    assert!(matches!(refused, Err(Error::TooMany { what: "entries of the plan", .. })));
    // The plan on the line has a million entries and no matrix.
    let many = Points::from_line((0..1_000_000).map(|i| f64::from(i) * 1e-6).collect());
    let mu = Empirical::uniform(many).unwrap();
    assert_eq!(solve(&mu, &mu, &cost).unwrap().value, 0.0);
    assert!(circle::distance(&mu, &mu, 2.0, 3.0).unwrap().abs() < 1e-12);
    assert_eq!(line::distance(&mu, &mu, 1.0).unwrap(), 0.0);
}

#[test]
fn temperatures_down_to_the_last_digit() {
    let mut rng = Seed::new(4).rng();
    let mut cloud = |n: usize| {
        Empirical::uniform(Points::from_fn(n, 2, |_, row| row.fill_with(|| rng.random()))).unwrap()
    };
    let (mu, nu) = (cloud(80), cloud(70));
    let cost = NormPower::squared_euclidean();
    let best = solve(&mu, &nu, &cost).unwrap().value;
    for share in [1e-3, 1e-4, 1e-5, 1e-8] {
        let e = Sinkhorn::new(share * 2.0).unwrap().max_iterations(500).solve(&mu, &nu, &cost).unwrap();
        assert!(e.potentials.source.iter().chain(&e.potentials.target).all(|p| p.is_finite()));
        // A lower bound of OT_ε, whatever the number of passes; and OT_ε is at most that much above the optimum.
        assert!(e.value <= best + 2.0 * share * 80f64.ln() * 2.0, "{} at {share}", e.value);
        if share >= 1e-4 {
            assert!(e.status.is_converged(), "{} after {} passes at {share}", e.marginal_error, e.iterations);
        }
    }
    let below = Sinkhorn::new(1e-13).unwrap().solve(&mu, &nu, &cost);
    assert!(matches!(below, Err(Error::Parameter { what: "epsilon", .. })));
}
