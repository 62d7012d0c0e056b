//! Points, measures, brackets, couplings, functionals, estimates.

use crate::judge::{Judge, NUMBERS, clouds};
use measures::nalgebra::DMatrix;
use measures::zoo::Gaussian;
use measures::{
    Affine, Compose, Coupling, Drift, Empirical, Estimate, Function, Functional, Pad, Points, Pushforward,
    Result, Seed, Steepest, TestFunction, Variation, bracket, bracket_mc, centred, check_dim, check_finite,
    check_len, check_positive,
};

#[test]
fn points_and_empirical_measures() {
    let mut judge = Judge::default();
    for dim in [0, 1, 2, usize::MAX] {
        for n in [0, 1, 3, 4] {
            judge.case(format!("points {dim} {n}"), || Points::new(dim, vec![0.0; n]));
        }
        judge.case(format!("matrix {dim}"), || Points::from_matrix(DMatrix::zeros(dim.min(3), 2)));
    }
    for v in NUMBERS {
        judge.case(format!("points with {v}"), || Points::new(2, vec![0.0, 1.0, v, 0.0]));
        judge.case(format!("matrix with {v}"), || Points::from_matrix(DMatrix::from_element(1, 2, v)));
        judge.case(format!("dirac {v}"), || Empirical::dirac(&[v]).map(|m| m.mean()));
        for w in NUMBERS {
            let x = Points::from_raw(1, vec![0.0, v]);
            judge.case(format!("weighted {v} {w}"), || {
                Empirical::weighted(x.clone(), vec![1.0 - w, w]).map(|m| (m.mean(), m.collision()))
            });
            judge.case(format!("normalised {v} {w}"), || {
                let m = Empirical::normalised(x.clone(), vec![0.5, w])?;
                Ok(((m.mean(), m.weights().to_vec()), m.collision()))
            });
            judge.case(format!("normalised twins {w}"), || {
                Ok(Empirical::normalised(Points::zeros(2, 1), vec![w, w])?.weights().to_vec())
            });
        }
        judge.case(format!("positive {v}"), || check_positive("v", v));
        judge.case(format!("finite {v}"), || check_finite("v", &[0.0, v]));
        judge.case(format!("centred {v}"), || {
            check_finite("v", &[v]).map(|()| centred(vec![v.clamp(-1.0, 1.0); 2], &[0.5; 2]))
        });
    }
    judge.refused("empty dirac", || Empirical::dirac(&[]));
    judge.refused("no points", || Empirical::uniform(Points::zeros(0, 2)));
    judge.refused("few weights", || Empirical::weighted(Points::zeros(2, 2), vec![1.0]));
    judge
        .refused("other sizes", || Empirical::uniform(Points::zeros(2, 2))?.with_points(Points::zeros(3, 2)));
    judge.refused("other dimensions", || Points::zeros(2, 2).concat(&Points::zeros(2, 3)));
    judge.refused("dim", || check_dim("x", 1, 2));
    judge.refused("len", || check_len("x", 1, 2));
    for (name, x) in clouds(2) {
        judge.case(format!("uniform on {name}"), || Empirical::uniform(x.clone()).map(|m| m.mean()));
        let own = Empirical::uniform(Points::zeros(2, 2)).unwrap();
        judge.case(format!("moved to {name}"), || own.with_points(x.clone()).map(|m| m.mean()));
        judge.case(format!("joined with {name}"), || {
            x.check_finite("x")?;
            Points::zeros(1, 2).concat(&x)
        });
    }
    judge.verdict(400);
}

#[test]
fn estimates_and_brackets() {
    let mut judge = Judge::default();
    for a in NUMBERS {
        for b in NUMBERS {
            judge.case(format!("mean of {a} and {b}"), || Estimate::of_mean(&[a, b, a]));
            judge.case(format!("interval of {a}"), || {
                check_finite("value", &[a])?;
                Estimate::new(a, 1.0, 2).interval(b)
            });
        }
        judge.case(format!("single {a}"), || Estimate::of_mean(&[a]));
        let f = Function::new(1, move |x| x[0] * a, |_, _| {});
        judge.case(format!("bracket {a}"), || {
            bracket(&f, &Empirical::uniform(Points::from_line(vec![1.0, 2.0]))?)
        });
        judge.case(format!("Monte Carlo {a}"), || {
            bracket_mc(&f, &Gaussian::standard(1), 10, &mut Seed::new(0).rng())
        });
    }
    judge.refused("mean of nothing", || Estimate::of_mean(&[]));
    let f = Function::new(2, |x| x[0], |_, g| g[0] = 1.0);
    judge.refused("no draws", || bracket_mc(&f, &Gaussian::standard(2), 0, &mut Seed::new(0).rng()));
    judge.refused("elsewhere", || bracket_mc(&f, &Gaussian::standard(1), 5, &mut Seed::new(0).rng()));
    judge.refused("elsewhere", || bracket(&f, &Empirical::dirac(&[0.0])?));
    for (name, x) in clouds(2) {
        judge.case(format!("values at {name}"), || {
            x.check_finite("x")?;
            f.values(&x)
        });
        judge.case(format!("gradients at {name}"), || f.gradients(&x));
    }
    judge.verdict(300);
}

/// F(μ) = Σ w x²/2 on the line.
struct Energy;

impl Functional for Energy {
    fn variation(&self, mu: &Empirical) -> Result<Variation> {
        let potential: Vec<f64> = mu.points().as_slice().iter().map(|x| 0.5 * x * x).collect();
        let value = potential.iter().zip(mu.weights()).map(|(h, w)| h * w).sum();
        Ok(Variation::from_potential(mu, value, potential, mu.points().clone()))
    }
}

#[test]
fn couplings_functionals_and_compositions() {
    let mut judge = Judge::default();
    let (x, y) = (Points::zeros(2, 1), Points::from_line(vec![0.0, 1.0, 2.0]));
    for a in NUMBERS {
        judge.case(format!("dense {a}"), || Coupling::dense(1, 2, vec![1.0 - a, a]).map(|p| p.marginals()));
        judge.case(format!("sparse {a}"), || {
            Coupling::sparse(2, 2, vec![(0, 0, a), (1, 1, 1.0 - a)]).map(|p| p.marginals())
        });
        judge.case(format!("independent {a}"), || {
            Coupling::independent(&[a, 1.0 - a], &[1.0]).map(|p| p.marginals())
        });
        judge.case(format!("couples to {a}"), || {
            let mu = Empirical::uniform(x.clone())?;
            Coupling::permutation(&[1, 0])?.couples(&mu, &mu, a).map(|_| ())
        });
        judge.case(format!("weight {a}"), || {
            let mu = Empirical::normalised(Points::from_line(vec![1.0, 2.0]), vec![a, 1.0])?;
            Steepest(Energy).drift(&mu)
        });
    }
    let plan = Coupling::dense(2, 3, vec![0.0, 0.0, 0.0, 0.5, 0.5, 0.0]).unwrap();
    judge.refused("an empty row", || plan.barycentric_map(&y));
    judge.refused("few targets", || plan.barycentric_map(&x));
    judge.refused("few sources", || plan.cost(&y, &y, |_, _| 0.0));
    judge.refused("targets elsewhere", || plan.cost(&x, &Points::zeros(3, 2), |_, _| 0.0));
    judge.case("pairs", || {
        assert!(plan.sample_pairs(50, &mut Seed::new(0).rng()).iter().all(|(i, j)| *i == 1 && *j < 2));
        Ok(())
    });
    judge.case("no pairs", || Ok(plan.sample_pairs(0, &mut Seed::new(0).rng()).len() as f64));
    let orders: [&[usize]; 5] = [&[], &[0, 0], &[2, 0], &[usize::MAX], &[0]];
    for order in orders {
        judge.case(format!("order {order:?}"), || Coupling::permutation(order).map(|p| p.marginals()));
    }
    for (rows, columns) in [(0, 0), (0, 1), (1, 0), (usize::MAX, 2), (usize::MAX, usize::MAX)] {
        judge.refused(format!("dense {rows}×{columns}"), || Coupling::dense(rows, columns, vec![1.0]));
    }
    for (i, j) in [(2, 0), (0, 2), (usize::MAX, usize::MAX)] {
        judge.refused(format!("sparse at ({i}, {j})"), || Coupling::sparse(2, 2, vec![(i, j, 1.0)]));
    }
    judge.refused("nothing in a sparse plan", || Coupling::sparse(2, 2, vec![]));
    judge.refused("independent of nothing", || Coupling::independent(&[], &[1.0]));
    let wide = Affine::diagonal(&[1.0; 3], vec![0.0; 3]).unwrap();
    judge.refused("compose", || Compose::new(Pad::new(1, 2)?, wide.clone()));
    judge.refused("push", || Pushforward::new(wide.clone(), Gaussian::standard(2)));
    judge.refused("no map", || Pad::new(0, 0));
    judge.verdict(80);
}
