//! Identities between transport and the other ways to compare two measures, and within transport.

use divergences::family::Functions;
use divergences::sup_ipm::SupIpm;
use divergences::total_variation::TotalVariation;
use divergences::transport::{
    Custom, NormPower, Sinkhorn, SinkhornDivergence, SlicedWasserstein, Unbalanced, Wasserstein, circle,
    line, path_energy, solve,
};
use divergences::{Divergence, EnergyDistance, Statistic};
use measures::{Empirical, Function, Points, Seed, TestFunction};
use rand::RngExt;

fn sample(n: usize, dim: usize, weighted: bool, seed: u64) -> Empirical {
    let mut rng = Seed::new(seed).rng();
    let x =
        Points::from_fn(n, dim, |_, row| row.iter_mut().for_each(|v| *v = 4.0 * rng.random::<f64>() - 2.0));
    if !weighted {
        return Empirical::uniform(x).unwrap();
    }
    Empirical::normalised(x, (0..n).map(|_| 0.1 + rng.random::<f64>()).collect()).unwrap()
}

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} and {b}");
}

/// V_i = n (Σ_j P^{xy}_ij y_j − Σ_j P^{xx}_ij x_j) with plans of mass one, both by the two-sided iteration, is −n times the
/// gradient of the Sinkhorn divergence for c = ½‖·‖².
#[test]
fn the_sinkhorn_drift_is_minus_n_times_the_variation() {
    let c = NormPower::half_squared_euclidean();
    for (n, m, dim, epsilon) in [(12, 15, 3, 0.4), (40, 25, 2, 0.1), (9, 9, 1, 2.0)] {
        let (mu, nu) = (sample(n, dim, false, 1), sample(m, dim, false, 2));
        let sinkhorn = Sinkhorn::new(epsilon).unwrap().tolerance(1e-12);
        let plan =
            |target: &Empirical| sinkhorn.solve(&mu, target, &c).unwrap().plan(&mu, target, &c).unwrap();
        let mut drift = Points::zeros(n, dim);
        for (target, sign) in [(&nu, 1.0), (&mu, -1.0)] {
            for (i, j, mass) in plan(target).entries() {
                let y = target.points().row(j);
                drift.row_mut(i).iter_mut().zip(y).for_each(|(v, y)| *v += sign * n as f64 * mass * y);
            }
        }
        let variation = SinkhornDivergence::with_settings(sinkhorn, c).variation(&mu, &nu).unwrap();
        for (v, g) in drift.as_slice().iter().zip(variation.d_points.as_slice()) {
            close(*v, -(n as f64) * g, 1e-9);
        }
    }
}

/// On the line the largest ⟨f|μ − ν⟩ over 1-Lipschitz f has slope ±1 between neighbouring atoms; here all of these are
/// tried.
#[test]
fn w1_is_the_supremum_over_lipschitz_functions() {
    for seed in 0..6 {
        let (mu, nu) = (sample(5, 1, true, 2 * seed), sample(4, 1, seed % 2 == 0, 2 * seed + 1));
        let mut knots = mu.points().concat(nu.points()).unwrap().as_slice().to_vec();
        knots.sort_by(f64::total_cmp);
        let gaps = knots.len() - 1;
        let functions: Vec<Box<dyn TestFunction>> = (0..1u32 << gaps)
            .map(|signs| {
                let knots = knots.clone();
                let value = move |x: &[f64]| {
                    (0..gaps)
                        .map(|k| {
                            let slope = if signs >> k & 1 == 1 { 1.0 } else { -1.0 };
                            slope * (x[0].clamp(knots[k], knots[k + 1]) - knots[k])
                        })
                        .sum()
                };
                Box::new(Function::new(1, value, |_, g| g[0] = 0.0)) as Box<dyn TestFunction>
            })
            .collect();
        let tau = vec![1.0; functions.len()];
        let sup = SupIpm::new(Functions::new(functions, &tau).unwrap()).unwrap();
        let w1 = line::distance(&mu, &nu, 1.0).unwrap();
        close(sup.value(&mu, &nu).unwrap(), w1, 1e-12);
        close(Wasserstein::new(1.0).unwrap().value(&mu, &nu).unwrap(), w1, 1e-12);
    }
}

#[test]
fn total_variation_is_transport_for_the_discrete_metric() {
    let grid = |n: usize, seed: u64| {
        let mut rng = Seed::new(seed).rng();
        let x = Points::from_fn(n, 2, |_, row| row.fill_with(|| f64::from(rng.random_range(0..3))));
        Empirical::normalised(x, (0..n).map(|_| 0.1 + rng.random::<f64>()).collect()).unwrap()
    };
    for seed in 0..10 {
        let (mu, nu) = (grid(12, 2 * seed), grid(9, 2 * seed + 1));
        let discrete = Custom::new(|x: &[f64], y: &[f64]| if x == y { 0.0 } else { 1.0 });
        let tv = TotalVariation.value(&mu, &nu).unwrap();
        close(solve(&mu, &nu, &discrete).unwrap().value, tv, 1e-12);
    }
}

/// ε → ∞: the plan becomes independent and S_ε half the energy distance.
#[test]
fn a_hot_sinkhorn_divergence_is_half_the_energy_distance() {
    let (mu, nu) = (sample(30, 2, true, 1), sample(20, 2, true, 2));
    let hot = SinkhornDivergence::new(1e7, NormPower::euclidean()).unwrap();
    let energy = EnergyDistance::new(Statistic::Plugin).value(&mu, &nu).unwrap();
    close(hot.value(&mu, &nu).unwrap(), 0.5 * energy, 1e-6);
}

#[test]
fn one_dimension_in_five_ways() {
    let (mu, nu) = (sample(40, 1, true, 3), sample(30, 1, true, 4));
    for p in [1.0, 2.0, 3.0] {
        let w = line::distance(&mu, &nu, p).unwrap();
        close(Wasserstein::new(p).unwrap().value(&mu, &nu).unwrap(), w, 1e-12);
        // A circle so long that the way round the back is never shorter.
        close(circle::distance(&mu, &nu, p, 100.0).unwrap(), w, 1e-12);
        close(SlicedWasserstein::new(p, 3, Seed::new(1)).unwrap().value(&mu, &nu).unwrap(), w, 1e-12);
        // A user's own cost goes through the general solver.
        let own = Custom::new(move |x: &[f64], y: &[f64]| (x[0] - y[0]).abs().powf(p));
        close(solve(&mu, &nu, &own).unwrap().value.powf(p.recip()), w, 1e-12);
    }
    let square = line::solve(&mu, &nu, 2.0).unwrap();
    close(path_energy(&square.plan, mu.points(), nu.points()).unwrap(), square.value, 1e-12);
}

/// ρ → ∞ at any ε.
#[test]
fn unbalanced_transport_with_a_large_penalty_is_balanced() {
    let (mu, nu) = (sample(20, 2, true, 5), sample(25, 2, true, 6));
    let c = NormPower::squared_euclidean();
    let balanced = Sinkhorn::new(0.3).unwrap().tolerance(1e-11).solve(&mu, &nu, &c).unwrap();
    let free = Unbalanced::new(0.3, 1e7, c).unwrap().with_limits(1e-11, 2000).solve(&mu, &nu).unwrap();
    close(free.mass, 1.0, 1e-6);
    close(free.transport_cost, balanced.transport_cost(&mu, &nu, &c).unwrap(), 1e-5);
}
