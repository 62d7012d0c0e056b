//! The observed order of every scheme, by regression.

mod common;

use common::checks::{ladder, ode_order, rms, slope, turn};
use flows::measures::Points;
use flows::ode::{METHODS, Ode, Tableau};
use flows::{Clock, VelocityField};

#[test]
fn every_scheme_has_its_order() {
    METHODS.iter().for_each(|method| ode_order(*method, |_| 3.0).unwrap());
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
                rms(&dense.at(Clock::Shared(t)).unwrap(), &truth)
            };
            [0.2, 0.45, 0.7].map(at).into_iter().fold(0.0, f64::max)
        };
        let (h, e) = ladder(error, 1e-5, 3e-15);
        let slope = slope(&h, &e);
        println!("{:<24} {slope:.3} for {}", method.name, local(method));
        assert!(h.len() >= 4 && (slope - local(method)).abs() < 0.3, "{}: {slope}", method.name);
    }
}
