//! The observed order of every scheme, by regression.

use flows::field::Pointwise;
use flows::measures::Points;
use flows::ode::{METHODS, Ode, Tableau};
use flows::{Clock, VelocityField};

/// The slope of y against x by least squares.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let cov: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    cov / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
}

/// A turn of the plane whose rate depends on time and place: coupled, nonlinear and not autonomous.
fn turn() -> impl VelocityField + Sync {
    Pointwise::new(2, |t, x: &[f64], v: &mut [f64]| {
        v[0] = x[1] * (1.0 + 0.5 * t.sin() + 0.1 * x[0]);
        v[1] = -x[0] * (1.0 + 0.5 * t.cos() + 0.1 * x[0]);
    })
}

/// Many starts, so that no accident of one trajectory hides the leading term.
fn starts() -> Points {
    Points::from_fn(60, 2, |i, x| {
        let angle = 2.399_963 * i as f64;
        (x[0], x[1]) = (1.2 + 0.8 * angle.cos(), 1.2 + 0.8 * angle.sin());
    })
}

/// The root mean square of a − b.
fn gap(a: &Points, b: &Points) -> f64 {
    let sum: f64 = a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).powi(2)).sum();
    (sum / a.as_slice().len() as f64).sqrt()
}

/// Logarithms of step and error where the leading term rules: errors below `ceiling`, above round-off at `floor`.
fn ladder(error: impl Fn(usize) -> f64, ceiling: f64, floor: f64) -> (Vec<f64>, Vec<f64>) {
    let (mut h, mut e) = (Vec::new(), Vec::new());
    let mut n = 3.0f64;
    while n < 2e4 {
        let error = error(n.round() as usize);
        if error < ceiling && error > floor {
            h.push(-n.round().ln());
            e.push(error.ln());
        }
        if error <= floor || h.len() == 10 {
            break;
        }
        n *= 1.12;
    }
    (h, e)
}

#[test]
fn every_scheme_has_its_order() {
    let start = starts();
    let solve = |method: Tableau, n| {
        Ode::fixed(method, n).unwrap().solve(&turn(), &start, 0.0, 3.0).unwrap().finished().unwrap()
    };
    let exact = solve(flows::ode::DOP853, 2_000);
    for method in METHODS {
        let ceiling = [3e-3, 1e-3, 1e-4, 1e-5, 1e-10, 1.5e-11][(method.order as usize - 1).min(5)];
        let (h, e) = ladder(|n| gap(&solve(method, n), &exact), ceiling, 5e-14);
        assert!(h.len() >= 5, "{}: {} points", method.name, h.len());
        let order = slope(&h, &e);
        println!("{:<24} {order:.3} for {} ({} points)", method.name, method.order, h.len());
        assert!((order - f64::from(method.order)).abs() < 0.1, "{}: order {order}", method.name);
    }
}

#[test]
fn every_error_estimate_has_its_order() {
    use flows::ode::{Stages, Stepper};
    let field = turn();
    let y = Points::from_rows(&[[1.3, 0.7]]);
    for method in METHODS {
        let Some(order) = Stepper::<Points>::error_order(&method) else { continue };
        let error = |n: usize| {
            let h = Clock::Shared(1.0 / n as f64);
            let mut work = Stages::new(&y);
            field.velocity(Clock::Shared(0.2), &y, &mut work.k[0]).unwrap();
            method.step(&field, Clock::Shared(0.2), h, &y, &mut work).unwrap();
            method.error_rows(h, &y, &mut work, 0.0, 1.0).unwrap()[0]
        };
        let (h, e) = ladder(error, 1e-5, 1e-15);
        let slope = slope(&h, &e);
        println!("{:<24} {slope:.3} for {}", method.name, order + 1);
        // The blend of two estimates is no single power of the step.
        let within = if method.name == "DOP853" { 0.5 } else { 0.2 };
        assert!(h.len() >= 5 && (slope - f64::from(order + 1)).abs() < within, "{}: {slope}", method.name);
    }
}

#[test]
fn every_interpolant_has_its_order() {
    let start = Points::from_rows(&[[1.3, 0.7]]);
    // Of one step: the lesser of the method's local order and the interpolant's order plus one.
    let local = |method: Tableau| match method.name {
        "RK4" => 4.0,
        "DOP853" => 8.0,
        _ => f64::from(method.order.min(4) + 1),
    };
    let exact = Ode::fixed(flows::ode::DOP853, 1_000).unwrap();
    for method in METHODS {
        let error = |n: usize| {
            let h = 3.0 / n as f64;
            let run = Ode::fixed(method, 1).unwrap().dense().solve(&turn(), &start, 0.5, 0.5 + h).unwrap();
            let dense = run.dense.unwrap();
            let at = |theta: f64| {
                let t = 0.5 + theta * h;
                let truth = exact.solve(&turn(), &start, 0.5, t).unwrap().finished().unwrap();
                gap(&dense.at(Clock::Shared(t)).unwrap(), &truth)
            };
            [0.2, 0.45, 0.7].map(at).into_iter().fold(0.0, f64::max)
        };
        let (h, e) = ladder(error, 1e-5, 3e-15);
        let slope = slope(&h, &e);
        println!("{:<24} {slope:.3} for {}", method.name, local(method));
        assert!(h.len() >= 4 && (slope - local(method)).abs() < 0.3, "{}: {slope}", method.name);
    }
}
