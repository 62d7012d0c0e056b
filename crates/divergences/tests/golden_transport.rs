//! Optimal transport against POT and SciPy; `tests/golden/transport.py` made the values and says with which versions.

use divergences::Divergence;
use divergences::transport::{
    GaussianTransport, NormPower, Sinkhorn, SlicedWasserstein, Unbalanced, circle, line, solve,
};
use measures::nalgebra::DMatrix;
use measures::zoo::Gaussian;
use measures::{Empirical, Points};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/transport.json")).expect("the golden file is JSON")
}

fn cases(golden: &Value, name: &str) -> Vec<Value> {
    let cases = golden[name].as_array().expect("a list of cases").clone();
    assert!(!cases.is_empty());
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn table(value: &Value) -> Points {
    let rows = value.as_array().expect("a list");
    if rows[0].is_number() {
        return Points::from_line(numbers(value));
    }
    let rows: Vec<Vec<f64>> = rows.iter().map(numbers).collect();
    Points::new(rows[0].len(), rows.concat()).expect("finite points")
}

fn pair(case: &Value) -> (Empirical, Empirical) {
    let measure =
        |x: &str, w: &str| Empirical::weighted(table(&case[x]), numbers(&case[w])).expect("a measure");
    (measure("x", "a"), measure("y", "b"))
}

fn close(got: f64, want: &Value, tolerance: f64) {
    let want = want.as_f64().expect("a number");
    assert!((got - want).abs() <= tolerance * want.abs().max(1e-3), "{got} where {want} is right");
}

#[test]
fn on_the_line() {
    for case in cases(&golden(), "line") {
        let (mu, nu) = pair(&case);
        close(line::distance(&mu, &nu, 1.0).unwrap(), &case["w1"], 1e-13);
        for (p, want) in case["powers"].as_object().unwrap() {
            close(line::solve(&mu, &nu, p.parse().unwrap()).unwrap().value, want, 1e-12);
        }
    }
}

#[test]
fn in_any_dimension() {
    for case in cases(&golden(), "exact") {
        let (mu, nu) = pair(&case);
        let value = |cost: NormPower| solve(&mu, &nu, &cost).unwrap().value;
        close(value(NormPower::squared_euclidean()), &case["squared"], 1e-13);
        close(value(NormPower::squared_euclidean()), &case["linprog"], 1e-9);
        close(value(NormPower::euclidean()), &case["euclidean"], 1e-13);
        close(value(NormPower::new(1.0, 1.0).unwrap()), &case["taxi"], 1e-13);
        close(value(NormPower::new(f64::INFINITY, 1.0).unwrap()), &case["largest"], 1e-13);
    }
}

#[test]
fn with_entropy() {
    let c = NormPower::squared_euclidean();
    for case in cases(&golden(), "entropic") {
        let (mu, nu) = pair(&case);
        let epsilon = case["eps"].as_f64().unwrap();
        let entropic = Sinkhorn::new(epsilon).unwrap().tolerance(1e-12).solve(&mu, &nu, &c).unwrap();
        assert!(entropic.status.is_converged());
        let (linear, kl) = (&case["linear"], case["kl"].as_f64().unwrap());
        close(entropic.transport_cost(&mu, &nu, &c).unwrap(), linear, 1e-9);
        let value = linear.as_f64().unwrap() + epsilon * kl;
        close(entropic.value, &value.into(), 1e-10);
    }
}

#[test]
fn with_marginals_held_by_a_penalty() {
    for case in cases(&golden(), "unbalanced") {
        let (mu, nu) = pair(&case);
        let number = |name: &str| case[name].as_f64().unwrap();
        let u = Unbalanced::new(number("eps"), number("penalty"), NormPower::squared_euclidean()).unwrap();
        let u = u.with_limits(1e-12, 10_000).solve(&mu, &nu).unwrap();
        close(u.mass, &case["mass"], 1e-9);
        close(u.transport_cost, &case["linear"], 1e-9);
    }
}

#[test]
fn on_the_circle() {
    for case in cases(&golden(), "circle") {
        let (mu, nu) = pair(&case);
        for (p, want) in case["powers"].as_object().unwrap() {
            // POT bisects to 1e-12.
            close(circle::solve(&mu, &nu, p.parse().unwrap(), 1.0).unwrap().value, want, 1e-9);
        }
    }
}

#[test]
fn between_gaussians() {
    for case in cases(&golden(), "gaussian") {
        let matrix = |name: &str| {
            let rows = table(&case[name]);
            DMatrix::from_fn(rows.len(), rows.dim(), |i, j| rows.row(i)[j])
        };
        let law =
            |mean: &str, covariance: &str| Gaussian::new(numbers(&case[mean]), matrix(covariance)).unwrap();
        let transport = GaussianTransport::new(&law("m0", "s0"), &law("m1", "s1")).unwrap();
        close(transport.distance(), &case["distance"], 1e-10);
        assert!((transport.map.matrix() - matrix("matrix")).amax() < 1e-9);
        let offset = numbers(&case["offset"]);
        assert!(transport.map.offset().iter().zip(&offset).all(|(a, b)| (a - b).abs() < 1e-9));
    }
}

#[test]
fn over_given_directions() {
    for case in cases(&golden(), "sliced") {
        let (mu, nu) = pair(&case);
        let p = case["p"].as_f64().unwrap();
        let theta = table(&case["theta"]);
        let sliced = SlicedWasserstein::along(p, theta.clone()).unwrap();
        close(sliced.value(&mu, &nu).unwrap(), &case["value"], 1e-12);
        let largest = (0..theta.len())
            .map(|l| SlicedWasserstein::along(p, theta.select(&[l])).unwrap().value(&mu, &nu).unwrap())
            .fold(0.0, f64::max);
        close(largest, &case["largest"], 1e-12);
    }
}
