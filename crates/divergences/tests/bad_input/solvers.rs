//! Plans, maps and what is read off them, between odd measures and with odd arguments.

use crate::answers::{Finite, extreme, odd_measures};
use crate::judge::{Judge, NUMBERS};
use divergences::family::FourierLattice;
use divergences::kernel::Gaussian as GaussianKernel;
use divergences::measures::{Coupling, Empirical, Points, Seed, zoo::Gaussian};
use divergences::phi::Phi;
use divergences::sup_ipm::{Kantorovich, RkhsBall, SupIpm, SupPairs};
use divergences::transport::{
    Custom, GaussianTransport, MaxSliced, NormPower, Sinkhorn, SinkhornDivergence, SlicedWasserstein,
    Wasserstein, assignment, circle, line, mean_cost, path_energy, solve,
};

#[test]
fn plans_and_maps() {
    let mut judge = Judge::default();
    let cost = NormPower::squared_euclidean();
    for dim in [1, 2] {
        let measures = odd_measures(dim);
        for (of_mu, mu) in &measures {
            for (of_nu, nu) in &measures {
                let what = format!("{of_mu} and {of_nu} in dimension {dim}");
                judge.case(format!("exact: {what}"), || solve(mu, nu, &cost));
                judge.case(format!("assignment: {what}"), || {
                    assignment(mu.points(), nu.points(), &NormPower::euclidean()).map(|(_, t)| t)
                });
                judge
                    .case(format!("mean cost: {what}"), || mean_cost(mu, nu, &cost).map(|v| Finite(vec![v])));
                judge.case(format!("path energy: {what}"), || {
                    let plan = solve(mu, nu, &cost)?.plan;
                    path_energy(&plan, mu.points(), nu.points()).map(|v| Finite(vec![v]))
                });
                if dim == 1 {
                    for p in [1.0, 1.5, 2.0] {
                        judge.case(format!("line {p}: {what}"), || line::solve(mu, nu, p));
                        judge.case(format!("circle {p}: {what}"), || circle::solve(mu, nu, p, 2.0));
                    }
                }
                judge.case(format!("ball's witness: {what}"), || {
                    RkhsBall::new(GaussianKernel::new(1.0)?)?.witness(mu, nu, mu.points())
                });
                judge.case(format!("Debiased: {what}"), || {
                    let s = SinkhornDivergence::new(0.5, cost)?.solve(mu, nu)?;
                    Ok(Finite(vec![s.value]))
                });
                judge.case(format!("slice: {what}"), || {
                    let s = MaxSliced::new(2.0, 2, Seed::new(0))?.search(mu, nu)?;
                    Ok((Finite(vec![s.value, s.residual]), s.direction))
                });
                for share in [1.0, 1e-4] {
                    let what = format!("ε = {share} of the largest cost: {what}");
                    let most = mu.points().rows().flat_map(|x| nu.points().rows().map(move |y| (x, y)));
                    let most = most
                        .map(|(x, y)| x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f64>())
                        .fold(0.0, f64::max);
                    let epsilon = share * if most > 0.0 { most } else { 1.0 };
                    let mut answered = false;
                    judge.case(&what, || {
                        let e = Sinkhorn::new(epsilon)?.max_iterations(200).solve(mu, nu, &cost)?;
                        let (plan, map) = (e.plan(mu, nu, &cost)?, e.barycentric_map(mu, nu, &cost)?);
                        let mass: f64 = plan.entries().map(|x| x.2).sum();
                        // All the mass, up to the marginal error that is reported.
                        assert!(
                            (mass - 1.0).abs() <= e.marginal_error + 1e-9,
                            "mass {mass}, error {}",
                            e.marginal_error
                        );
                        answered = true;
                        Ok((Finite(vec![e.transport_cost(mu, nu, &cost)?]), (e, map)))
                    });
                    assert!(answered || extreme(of_mu) || extreme(of_nu), "{what}: refused");
                }
            }
        }
    }
    judge.verdict(3000);
}

#[test]
fn arguments_that_do_not_fit() {
    let mut judge = Judge::default();
    let cost = NormPower::squared_euclidean();
    let x = Points::from_rows(&[[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]]);
    let (mu, nu) = (Empirical::uniform(x.clone()).unwrap(), Empirical::uniform(x.select(&[0, 2])).unwrap());
    let e = Sinkhorn::new(1.0).unwrap().solve(&mu, &nu, &cost).unwrap();
    judge.refused("plan of other measures", || e.plan(&nu, &mu, &cost));
    judge.refused("cost of other measures", || e.transport_cost(&nu, &mu, &cost));
    judge.refused("map of other measures", || e.barycentric_map(&nu, &nu, &cost));
    for v in NUMBERS {
        judge.case(format!("start at {v}"), || {
            Sinkhorn::new(1.0)?.max_iterations(50).solve_from(&mu, &nu, &cost, Some(&[v, 0.0]))
        });
        let constant = Custom::new(move |_: &[f64], _: &[f64]| v);
        judge.case(format!("a cost of {v}"), || solve(&mu, &nu, &constant));
        judge.case(format!("an entropic cost of {v}"), || {
            Sinkhorn::new(1.0)?.max_iterations(50).solve(&mu, &nu, &constant)
        });
        judge.case(format!("a mean cost of {v}"), || mean_cost(&mu, &nu, &constant).map(|v| Finite(vec![v])));
        // One pair alone costs that.
        let odd = Custom::new(move |x: &[f64], y: &[f64]| if x[0] + y[0] == 2.0 { v } else { 1.0 });
        judge.case(format!("one cost of {v}"), || solve(&mu, &nu, &odd));
        judge.case(format!("geodesic at {v}"), || {
            let t = GaussianTransport::new(&Gaussian::standard(2), &Gaussian::isotropic(&[1.0, 0.0], 2.0)?)?;
            t.geodesic(v).map(|g| g.mean().to_vec())
        });
        for w in NUMBERS {
            judge.case(format!("Bures of N({v}, {w}²)"), || {
                let law = Gaussian::isotropic(&[v, 0.0], w)?;
                let t = GaussianTransport::new(&Gaussian::standard(2), &law)?;
                Ok((Finite(vec![t.value]), t.potential(&x)?))
            });
        }
    }
    judge.refused("a short start", || Sinkhorn::new(1.0)?.solve_from(&mu, &nu, &cost, Some(&[0.0])));
    judge.refused("assignments of two sizes", || assignment(&x, &x.select(&[0]), &cost));
    judge.refused("no points", || assignment(&Points::zeros(0, 2), &Points::zeros(0, 2), &cost));
    judge.refused("points that are not finite", || {
        assignment(&Points::from_raw(1, vec![f64::NAN]), &Points::zeros(1, 1), &cost)
    });
    judge.refused("a plane on the line", || line::distance(&mu, &nu, 1.0));
    judge.refused("a plane on the circle", || circle::distance(&mu, &nu, 1.0, 1.0));
    judge.refused("Gaussians of two spaces", || {
        GaussianTransport::new(&Gaussian::standard(1), &Gaussian::standard(2))
    });
    judge.refused("a plan of other sizes", || path_energy(&Coupling::permutation(&[0])?, &x, &x));
    judge.refused("directions of another space", || {
        use divergences::Divergence;
        SlicedWasserstein::along(2.0, Points::from_line(vec![1.0]))?.value(&mu, &nu)
    });
    judge.refused("witness elsewhere", || {
        RkhsBall::new(GaussianKernel::new(1.0)?)?.witness(&mu, &nu, &Points::zeros(1, 3))
    });
    let line_of = |n: usize| Empirical::uniform(Points::zeros(n, 1));
    judge.refused("maximiser elsewhere", || {
        SupIpm::new(FourierLattice::cube(2, 1)?)?.maximise(&line_of(1)?, &line_of(2)?)
    });
    judge.refused("pairs elsewhere", || {
        SupPairs::of_phi(Phi::Kl, FourierLattice::cube(2, 1)?)?.maximise(&line_of(1)?, &mu)
    });
    judge.refused("Kantorovich elsewhere", || {
        Kantorovich::new(cost, FourierLattice::cube(2, 1)?)?.maximise(&mu, &line_of(2)?)
    });
    judge.refused("a gradient that was not given", || {
        use divergences::Divergence;
        Wasserstein::with_cost(Custom::new(|x: &[f64], y: &[f64]| (x[0] - y[0]).abs())).variation(&mu, &nu)
    });
    judge.verdict(200);
}
