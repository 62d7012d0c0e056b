//! Strong and weak orders of every stochastic scheme, with intervals.
//!
//! A scheme and its reference see the same Brownian paths, whatever their steps; a slope is fitted in each of many
//! batches of paths, and the interval is that of the mean of the slopes.

#![allow(clippy::type_complexity, clippy::items_after_statements)]

mod common;

use common::checks::slope;
use common::strong::{
    Mirror, additive, arsinh, boxed, by_sra1, check_order, exact_arsinh, fine_additive, strong, weak,
    weak_square,
};
use flows::field::Pointwise;
use flows::measures::Points;
use flows::measures::nalgebra::{DMatrix, SymmetricEigen};
use flows::sde::{
    Additive, Diagonal, Equation, EulerMaruyama, Ito, Milstein, Noise, Scheme, Sde, Shark, Sra1,
    StochasticHeun, Stratonovich, Walk,
};
use std::ops::Range;

#[test]
fn strong_orders_for_additive_noise() {
    let steps = [16, 32, 64, 128];
    let (e, r) = (additive(), fine_additive);
    check_order("Euler–Maruyama, additive", 1.0, &steps, 120, |s| boxed(EulerMaruyama, s), &e, r, strong)
        .unwrap();
    check_order("stochastic Heun, additive", 1.0, &steps, 120, |s| boxed(StochasticHeun, s), &e, r, strong)
        .unwrap();
    check_order("SRA1", 1.5, &steps, 120, |s| boxed(Sra1, s), &e, r, strong).unwrap();
    check_order("ShARK", 1.5, &steps, 120, |s| boxed(Shark, s), &e, r, strong).unwrap();
}

#[test]
fn strong_orders_for_diagonal_noise() {
    let steps = [64, 128, 256, 512];
    let (ito, strat, r) = (Ito(arsinh(0.5)), Stratonovich(arsinh(0.0)), exact_arsinh);
    check_order("Euler–Maruyama, Itô", 0.5, &steps, 250, |s| boxed(EulerMaruyama, s), &ito, r, strong)
        .unwrap();
    check_order("Milstein, Itô", 1.0, &steps, 250, |s| boxed(Milstein, s), &ito, r, strong).unwrap();
    check_order("Milstein, Stratonovich", 1.0, &steps, 250, |s| boxed(Milstein, s), &strat, r, strong)
        .unwrap();
    check_order(
        "stochastic Heun, Stratonovich",
        1.0,
        &steps,
        250,
        |s| boxed(StochasticHeun, s),
        &strat,
        r,
        strong,
    )
    .unwrap();
}

#[test]
fn one_process_in_two_calculi() {
    // The Itô equation as a Stratonovich one and back: schemes of either find the same solution.
    let steps = [64, 128, 256, 512];
    let strat = Ito(arsinh(0.5)).to_stratonovich();
    let ito = Stratonovich(arsinh(0.0)).to_ito();
    let r = exact_arsinh;
    check_order(
        "stochastic Heun of an Itô equation",
        1.0,
        &steps,
        250,
        |s| boxed(StochasticHeun, s),
        &strat,
        r,
        strong,
    )
    .unwrap();
    check_order(
        "Milstein of a Stratonovich equation",
        1.0,
        &steps,
        250,
        |s| boxed(Milstein, s),
        &ito,
        r,
        strong,
    )
    .unwrap();
}

#[test]
fn weak_orders() {
    // Weak errors of order 2 fall by four a halving: few, long steps, and a reference eight times finer than the last.
    let (e, r) = (additive(), |noise: &Mirror, n: usize| by_sra1(noise, n, 128));
    let (steps, n) = ([4, 8, 16], 3_000);
    check_order(
        "Euler–Maruyama, additive, weak",
        1.0,
        &[8, 16, 32],
        n,
        |s| boxed(EulerMaruyama, s),
        &e,
        r,
        weak,
    )
    .unwrap();
    check_order("stochastic Heun, additive, weak", 2.0, &steps, n, |s| boxed(StochasticHeun, s), &e, r, weak)
        .unwrap();
    check_order("SRA1, weak", 2.0, &steps, n, |s| boxed(Sra1, s), &e, r, weak).unwrap();
    check_order("ShARK, weak", 2.0, &steps, n, |s| boxed(Shark, s), &e, r, weak).unwrap();
    let (ito, strat, r) = (Ito(arsinh(0.5)), Stratonovich(arsinh(0.0)), exact_arsinh);
    let (steps, n) = ([16, 32, 64], 1_500);
    let euler = |s| boxed(EulerMaruyama, s);
    check_order("Euler–Maruyama, Itô, weak", 1.0, &[8, 16, 32], 6_000, euler, &ito, r, weak_square).unwrap();
    check_order("Milstein, Itô, weak", 1.0, &steps, n, |s| boxed(Milstein, s), &ito, r, weak).unwrap();
    check_order("Milstein, Stratonovich, weak", 1.0, &steps, n, |s| boxed(Milstein, s), &strat, r, weak)
        .unwrap();
    check_order(
        "stochastic Heun, Stratonovich, weak",
        1.0,
        &steps,
        n,
        |s| boxed(StochasticHeun, s),
        &strat,
        r,
        weak,
    )
    .unwrap();
}

/// Nodes and weights of the m-point rule for the standard normal law, from the eigenvalues of its Jacobi matrix.
fn gauss_hermite(m: usize) -> Vec<(f64, f64)> {
    let jacobi =
        DMatrix::from_fn(m, m, |i, j| if i.abs_diff(j) == 1 { (i.max(j) as f64).sqrt() } else { 0.0 });
    let eigen = SymmetricEigen::new(jacobi);
    (0..m).map(|k| (eigen.eigenvalues[k], eigen.eigenvectors[(0, k)].powi(2))).collect()
}

/// Two steps whose W and H are the nodes of a tensor rule, a row a node: expectations without sampling.
struct Quadrature(Vec<[f64; 4]>);

struct Nodes<'a>(&'a [[f64; 4]], usize);

impl Noise<Points> for Quadrature {
    fn walk(&self, rows: Range<usize>, _: &Points) -> flows::Result<Box<dyn Walk<Points> + '_>> {
        Ok(Box::new(Nodes(&self.0[rows], 0)))
    }
}

impl Walk<Points> for Nodes<'_> {
    fn next(&mut self, from: f64, to: f64, w: &mut Points, levy: Option<&mut Points>) -> flows::Result<()> {
        let (h, k) = (to - from, 2 * self.1);
        w.as_mut_slice().iter_mut().zip(self.0).for_each(|(w, z)| *w = h.sqrt() * z[k]);
        if let Some(levy) = levy {
            levy.as_mut_slice().iter_mut().zip(self.0).for_each(|(l, z)| *l = (h / 12.0).sqrt() * z[k + 1]);
        }
        self.1 += 1;
        Ok(())
    }
}

#[test]
fn weak_orders_by_quadrature() {
    // E f after one step less E f after two halves is of order h^{p+1} for a scheme of weak order p.
    let rule = gauss_hermite(9);
    let (mut nodes, mut weights) = (Vec::new(), Vec::new());
    for (a, wa) in &rule {
        for (b, wb) in &rule {
            for (c, wc) in &rule {
                for (d, wd) in &rule {
                    nodes.push([*a, *b, *c, *d]);
                    weights.push(wa * wb * wc * wd);
                }
            }
        }
    }
    let noise = Quadrature(nodes);
    let x0 = Points::from_line(vec![0.4; weights.len()]);
    let mean = |x: &Points| -> f64 {
        x.as_slice().iter().zip(&weights).map(|(x, w)| w * ((x + 0.4).sin() + 0.3 * (1.7 * x).cos())).sum()
    };
    fn local<E: Equation<Points>>(
        make: &dyn Fn(usize) -> Sde<E, Box<dyn Scheme<E, Points>>>,
        equation: &E,
        noise: &Quadrature,
        x0: &Points,
        mean: &dyn Fn(&Points) -> f64,
    ) -> f64 {
        let (mut h, mut e) = (Vec::new(), Vec::new());
        for k in 0..8 {
            let step = 0.02 * 0.75f64.powi(k);
            let end =
                |n| mean(&make(n).solve(equation, noise, x0, 0.3, 0.3 + step).unwrap().finished().unwrap());
            h.push(step.ln());
            e.push((end(1) - end(2)).abs().ln());
        }
        slope(&h, &e) - 1.0
    }
    let drift = Pointwise::new(1, |t, x: &[f64], v: &mut [f64]| v[0] = (2.0 * x[0]).sin() - x[0] + t.cos());
    let additive = Additive::new(drift, |t| 0.7 + 0.3 * (2.0 * t).sin());
    let diagonal = |rate: f64| {
        let drift = Pointwise::autonomous(1, move |x, v| v[0] = rate * x[0] + x[0].cos());
        Diagonal::new(drift, |t, x: &[f64], b: &mut [f64], db: &mut [f64]| {
            (b[0], db[0]) =
                (t.cos() * (x[0] * x[0] + 1.0).sqrt(), t.cos() * x[0] / (x[0] * x[0] + 1.0).sqrt());
        })
    };
    let (ito, strat) = (Ito(diagonal(0.5)), Stratonovich(diagonal(-0.4)));
    let found = [
        ("Euler–Maruyama, additive", 1.0, local(&|s| boxed(EulerMaruyama, s), &additive, &noise, &x0, &mean)),
        (
            "stochastic Heun, additive",
            2.0,
            local(&|s| boxed(StochasticHeun, s), &additive, &noise, &x0, &mean),
        ),
        ("SRA1", 2.0, local(&|s| boxed(Sra1, s), &additive, &noise, &x0, &mean)),
        ("ShARK", 2.0, local(&|s| boxed(Shark, s), &additive, &noise, &x0, &mean)),
        ("Euler–Maruyama, Itô", 1.0, local(&|s| boxed(EulerMaruyama, s), &ito, &noise, &x0, &mean)),
        ("Milstein, Itô", 1.0, local(&|s| boxed(Milstein, s), &ito, &noise, &x0, &mean)),
        ("Milstein, Stratonovich", 1.0, local(&|s| boxed(Milstein, s), &strat, &noise, &x0, &mean)),
        (
            "stochastic Heun, Stratonovich",
            1.0,
            local(&|s| boxed(StochasticHeun, s), &strat, &noise, &x0, &mean),
        ),
    ];
    for (what, theory, order) in found {
        println!("{what:<44} {order:.3} for {theory}");
        assert!((order - theory).abs() < 0.1, "{what}: {order} for {theory}");
    }
}
