//! The energy of the paths along which a plan moves mass.

use super::cost::{Cost, NormPower};
use measures::{Coupling, Points, Result};

/// The energy ∫₀¹ E‖Ẋ_t‖² dt of the straight paths X_t = (1 − t) X + t Y whose ends (X, Y) follow a plan: Σ π_ij ‖xᵢ − yⱼ‖².
///
/// No paths with these ends have less, by Jensen's inequality, and no ends with these marginals less than W₂², which an
/// optimal plan attains (Benamou and Brenier 2000, doi:10.1007/s002110050002). The excess over W₂² says how much the paths
/// of a plan cross or detour, which is what a flow that averages velocities where paths meet has to bend for.
///
/// ```
/// use divergences::transport::{NormPower, path_energy, solve};
/// use measures::{Coupling, Empirical, Points};
/// let x = Points::from_rows(&[[0.0, 0.0], [0.0, 1.0]]);
/// let y = Points::from_rows(&[[1.0, 1.0], [1.0, 0.0]]);
/// assert_eq!(path_energy(&Coupling::permutation(&[0, 1])?, &x, &y)?, 2.0); // the paths cross
/// let optimal = solve(&Empirical::uniform(x.clone())?, &Empirical::uniform(y.clone())?, &NormPower::squared_euclidean())?;
/// assert_eq!(path_energy(&optimal.plan, &x, &y)?, 1.0);
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// The clouds have other sizes than the plan, or live in different dimensions.
pub fn path_energy(plan: &Coupling, x: &Points, y: &Points) -> Result<f64> {
    plan.cost(x, y, |x, y| NormPower::squared_euclidean().cost(x, y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::test_support::cloud;
    use crate::transport::{Sinkhorn, solve};
    use measures::{Empirical, Error};

    #[test]
    fn an_optimal_plan_has_the_least() {
        let (mu, nu) = (cloud(40, 2, 1, true), cloud(30, 2, 2, true));
        let c = NormPower::squared_euclidean();
        let energy = |plan: &Coupling| path_energy(plan, mu.points(), nu.points()).unwrap();
        let best = solve(&mu, &nu, &c).unwrap();
        assert!((energy(&best.plan) - best.value).abs() < 1e-13);
        let mut last = best.value;
        for epsilon in [0.05, 0.5, 5.0] {
            let entropic = Sinkhorn::new(epsilon).unwrap().tolerance(1e-9).solve(&mu, &nu, &c).unwrap();
            let now = energy(&entropic.plan(&mu, &nu, &c).unwrap());
            assert!(now > last, "{now} at ε {epsilon} after {last}");
            last = now;
        }
        let independent = Coupling::independent(mu.weights(), nu.weights()).unwrap();
        assert!(energy(&independent) > last);
        // The ends' mean given the start moves less: the averaged paths have at most the energy of the paths.
        let means = best.plan.barycentric_map(nu.points()).unwrap();
        let own = Empirical::weighted(means, mu.weights().to_vec()).unwrap();
        let direct: Vec<_> = mu.weights().iter().enumerate().map(|(i, w)| (i, i, *w)).collect();
        let direct = Coupling::sparse(40, 40, direct).unwrap();
        assert!(path_energy(&direct, mu.points(), own.points()).unwrap() <= best.value);
        assert!(matches!(path_energy(&best.plan, nu.points(), mu.points()), Err(Error::Length { .. })));
    }
}
