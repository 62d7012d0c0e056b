//! Kernels and transport: the divergences that move points.

use super::{Sheet, grid, normal, style};
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Figure, Panel};
use divergences::kernel::{
    Energy, Gaussian, InverseMultiquadric, Kernel, Laplace, Matern, Mixture, Smoothness,
};
use divergences::transport::{NormPower, Sinkhorn, solve};
use measures::{Empirical, Points};

pub(super) fn kernels(sheet: &mut Sheet<'_, '_>) -> Result<Figure> {
    let shown: Vec<(&str, &str, Box<dyn Kernel>)> = vec![
        ("Gaussian", "MMD Gaussian", Box::new(Gaussian::new(1.0)?)),
        ("Laplace", "MMD Laplace", Box::new(Laplace::new(1.0)?)),
        ("Matérn 3/2", "MMD Matérn 3/2", Box::new(Matern::new(Smoothness::ThreeHalves, 1.0)?)),
        ("inverse multiquadric", "MMD inverse multiquadric", Box::new(InverseMultiquadric::new(1.0)?)),
        (
            "three bandwidths",
            "MMD bandwidths 1, 0.3, 0.1",
            Box::new(Mixture::of_bandwidths(&[1.0, 0.3, 0.1])?),
        ),
        ("1 − ‖x − y‖ (energy)", "energy distance", Box::new(Energy::distance())),
    ];
    let mut panel = Panel::new("kernels", Axis::new("‖x − y‖"), Axis::new("k").over(-1.0, 1.0));
    for (k, (name, _, kernel)) in shown.iter().enumerate() {
        let (color, dash) = style(k);
        let shift = if name.contains("energy") { 1.0 } else { 0.0 };
        let xy = grid(0.0, 4.0, 81).into_iter().map(|r| (r, shift + kernel.value(&[r], &[0.0])));
        panel = panel.line(*name, color, dash, xy.collect());
    }
    let names: Vec<&str> = shown.iter().map(|(_, name, _)| *name).collect();
    let noise: Vec<(&str, usize)> = names.iter().map(|name| (*name, 2)).collect();
    let panels =
        vec![panel, sheet.parting(&names)?, sheet.noise("two samples of N(0, I) in the plane", &noise)?];
    let caption = "Kernels (left) and their squared MMD. A bounded kernel sees no farther than its bandwidth: it saturates, and its \
        gradient dies, where the energy distance goes on. All fall as 1/n at equal laws.";
    Ok(Figure::new("kernels", "MMD and the energy distance", caption, panels))
}

pub(super) fn transport(sheet: &mut Sheet<'_, '_>) -> Result<Figure> {
    let seed = sheet.seed.named("transport");
    let x = normal(40, 2, seed.named("x"))?;
    let ring = normal(50, 2, seed.named("y"))?;
    let y = Points::from_fn(50, 2, |i, row| {
        let from = ring.points().row(i);
        let r = (from[0] * from[0] + from[1] * from[1]).sqrt().max(1e-9);
        row.iter_mut().zip(from).for_each(|(y, v)| *y = v / r * (2.5 + 0.1 * r));
    });
    let y = Empirical::uniform(y)?;
    let cost = NormPower::squared_euclidean();
    let plan = solve(&x, &y, &cost)?.plan;
    let segments = |pairs: Vec<(Vec<f64>, Vec<f64>)>| {
        let broken = (f64::NAN, f64::NAN);
        pairs.into_iter().flat_map(|(a, b)| [(a[0], a[1]), (b[0], b[1]), broken]).collect::<Vec<_>>()
    };
    let moves = plan.entries().map(|(i, j, _)| (x.points().row(i).to_vec(), y.points().row(j).to_vec()));
    let entropic = Sinkhorn::new(1.0)?.solve(&x, &y, &cost)?;
    let map = entropic.barycentric_map(&x, &y, &cost)?;
    let blurred = (0..x.len()).map(|i| (x.points().row(i).to_vec(), map.row(i).to_vec()));
    let dots = |m: &Empirical| m.points().rows().map(|r| (r[0], r[1])).collect::<Vec<_>>();
    let panel = Panel::new("plans between 40 and 50 points", Axis::new(""), Axis::new(""))
        .equal()
        .line("optimal plan", Color::of_series(2), Dash::Solid, segments(moves.collect()))
        .line(
            "entropic, ε = 1: the mean of each row",
            Color::of_series(3),
            Dash::Dashed,
            segments(blurred.collect()),
        )
        .dots("μ", Color::of_series(0), dots(&x))
        .dots("ν", Color::of_series(1), dots(&y));
    let names = ["W1", "W2", "sliced W2", "Sinkhorn divergence", "unbalanced transport"];
    let noise = [
        ("W1", 1),
        ("W1", 2),
        ("W1", 10),
        ("Sinkhorn divergence", 2),
        ("Sinkhorn divergence", 10),
        ("sliced W2", 10),
    ];
    let panels = vec![panel, sheet.parting(&names)?, sheet.noise("two samples of N(0, I)", &noise)?];
    let caption = "Left: an optimal plan, and the barycentric map of an entropic one, which draws inwards by its blur. Middle: transport \
        sees how far, without saturating; unbalanced transport gives up beyond √ρ. Right: W₁ of samples falls as n^{−1/d}, the \
        Sinkhorn divergence and sliced distances do not feel the dimension.";
    Ok(Figure::new("transport", "Optimal transport", caption, panels))
}
