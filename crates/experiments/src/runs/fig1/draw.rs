//! The figures of Figure 1.

use super::judge::{Judgement, Way};
use super::{Fig1Config, values};
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Figure, Panel};
use crate::runs::pictures;
use models::Generator;
use std::f64::consts::PI;

const NODES: usize = 601;

fn line(low: f64, high: f64) -> Vec<f64> {
    (0..NODES).map(|k| low + (high - low) * k as f64 / (NODES - 1) as f64).collect()
}

fn graph(model: &dyn Generator) -> Result<Vec<(f64, f64)>> {
    let z = line(-3.0, 3.0);
    let v = values(model, z.clone())?;
    Ok(z.into_iter().zip(v).collect())
}

fn truth(way: Way) -> Vec<(f64, f64)> {
    line(-3.0, 3.0).into_iter().map(|z| (z, way.truth(z))).collect()
}

/// Truth in blue, the learned map in dashed orange, as the paper draws it.
pub(super) fn map(model: &dyn Generator, judged: &Judgement) -> Result<Figure> {
    let panel = Panel::new("", Axis::new("z"), Axis::new("φ(z)"))
        .wide_line(judged.way.words(), Color::Blue, truth(judged.way))
        .line("learned map", Color::Orange, Dash::Dashed, graph(model)?);
    let caption = format!(
        "The learned map beside {} of N(0, 1); they differ by at most {:.4} on [−2.5, 2.5].",
        judged.way.words(),
        judged.distance
    );
    Ok(Figure::new("map", "The map", caption, vec![panel]))
}

pub(super) fn loss(config: &Fig1Config, history: &[(u64, f64)]) -> Figure {
    let floor = 2.0 / config.batch as f64;
    let caption = format!(
        "D₂² between batches of {} generated and as many target points, with the bias 2/batch that it has by plugging samples in, \
         averaged over 25 steps. Two samples of the uniform law would give the floor on average.",
        config.batch
    );
    pictures::losses("loss", caption, &[("loss", history)], Some(("noise floor 2/batch", floor)))
}

/// The histogram of φ(Z).
pub(super) fn law(judged: &Judgement) -> Figure {
    let caption = format!("The histogram of {} values φ(Z): the uniform density is 1.", judged.sample.len());
    Figure::new("law", "The law of φ(Z)", caption, vec![histogram(judged, "")])
}

fn histogram(judged: &Judgement, title: &str) -> Panel {
    Panel::new(title, Axis::new("x"), Axis::new("density").over(0.0, 1.5))
        .histogram("φ(Z)", Color::Orange, &judged.sample, (0.0, 1.0), 50)
        .level("uniform density", Color::Blue, Dash::Solid, 1.0)
}

/// Another solution: its map, and its law, which is as uniform.
pub(super) fn other(model: &dyn Generator, judged: &Judgement) -> Result<Figure> {
    let panel = Panel::new("the map", Axis::new("z"), Axis::new("φ(z)"))
        .wide_line(judged.way.words(), Color::Blue, truth(judged.way))
        .line("another solution", Color::Orange, Dash::Dashed, graph(model)?);
    let caption = "A map that folds the line pushes N(0, 1) to the uniform law as well. D₂, like every divergence, sees the law of \
                   φ(Z) and not φ.";
    Ok(Figure::new("other", "Another solution", caption, vec![panel, histogram(judged, "its law")]))
}

/// The density that the family does not see.
pub(super) fn unseen(frequencies: u32) -> Figure {
    let k = 2 * (frequencies + 1);
    let wave = line(0.0, 1.0).into_iter().map(|x| (x, 1.0 + (f64::from(k) * PI * x).cos())).collect();
    let panel = Panel::new("", Axis::new("x").over(0.0, 1.0), Axis::new("density"))
        .line(format!("1 + cos {k}πx"), Color::Orange, Dash::Solid, wave)
        .level("uniform density", Color::Blue, Dash::Solid, 1.0);
    let caption = format!(
        "Both densities have the same brackets with e^(2πikx) for k = 1, …, {frequencies}: D₂ between them is 0."
    );
    Figure::new("unseen", "What the family does not see", caption, vec![panel])
}
