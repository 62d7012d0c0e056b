//! A sample against a score: the Fisher divergence and the kernel Stein discrepancy.

use super::{Sheet, grid, normal, quantiles, style};
use crate::failure::Result;
use crate::figure::{Axis, Figure, Panel};
use crate::report::{Claim, Report};
use divergences::kernel::{Gaussian, InverseMultiquadric};
use divergences::{Divergence, EnergyDistance, FisherDivergence, KernelStein, Statistic};
use measures::{Empirical, Functional, zoo};

pub(super) fn figure(sheet: &mut Sheet<'_, '_>, report: &mut Report) -> Result<()> {
    let n = sheet.config.atoms;
    let target = zoo::Gaussian::standard(1);
    let functionals: Vec<(&str, Box<dyn Functional>)> = vec![
        (
            "KSD², IMQ",
            Box::new(KernelStein::new(target.clone(), InverseMultiquadric::new(1.0)?, Statistic::Plugin)),
        ),
        (
            "KSD², Gaussian",
            Box::new(KernelStein::new(target.clone(), Gaussian::new(1.0)?, Statistic::Plugin)),
        ),
        ("Fisher, smoothed by .3", Box::new(FisherDivergence::new(target, 0.3)?)),
    ];
    let mut moved = Panel::new("N(t, 1) against the score of N(0, 1)", Axis::new("t"), Axis::new("value"));
    let mut wide = Panel::new(
        "N(0, s²) against the score of N(0, 1)",
        Axis::log("s"),
        Axis::log("value").over(1e-3, 1e2),
    );
    for (k, (name, f)) in functionals.iter().enumerate() {
        let (color, dash) = style(k);
        let at = |shift: f64, scale: f64| -> Result<f64> { Ok(f.value(&quantiles(n, shift, scale)?)?) };
        let shifts = grid(-2.5, 2.5, 51)
            .into_iter()
            .map(|t| at(t, 1.0).map(|v| (t, v)))
            .collect::<Result<Vec<_>>>()?;
        let scales = grid(-1.2, 1.2, 41)
            .into_iter()
            .map(|e| at(0.0, e.exp()).map(|v| (e.exp(), v)))
            .collect::<Result<Vec<_>>>()?;
        moved = moved.line(*name, color, dash, shifts);
        wide = wide.line(*name, color, dash, scales);
    }
    // Two modes far apart: what the weight of the right one is, a score cannot tell.
    let law = zoo::GaussianMixture::isotropic(
        vec![0.5, 0.5],
        measures::Points::from_line(vec![-4.0, 4.0]),
        &[1.0, 1.0],
    )?;
    let ksd = KernelStein::new(law, InverseMultiquadric::new(1.0)?, Statistic::Plugin);
    let mixed = |w: f64| -> Result<Empirical> {
        let (left, right) = (quantiles(n, -4.0, 1.0)?, quantiles(n, 4.0, 1.0)?);
        let weights =
            left.weights().iter().map(|v| (1.0 - w) * v).chain(right.weights().iter().map(|v| w * v));
        Ok(Empirical::normalised(left.points().concat(right.points())?, weights.collect())?)
    };
    let (even, energy) = (mixed(0.5)?, EnergyDistance::new(Statistic::Plugin));
    let moved_by_half = quantiles(n, 0.5, 1.0)?;
    let yard = functionals[0].1.value(&moved_by_half)?;
    let yard_energy = energy.value(&moved_by_half, &quantiles(n, 0.0, 1.0)?)?;
    let (mut of_score, mut of_samples) = (Vec::new(), Vec::new());
    for w in grid(0.02, 0.98, 49) {
        of_score.push((w, ksd.value(&mixed(w)?)? / yard));
        of_samples.push((w, energy.value(&mixed(w)?, &even)? / yard_energy));
    }
    let blind = of_score.iter().map(|p| p.1).fold(0.0, f64::max);
    let sighted = of_samples.iter().map(|p| p.1).fold(0.0, f64::max);
    report.claim(Claim::at_most(
        "KSD² for a wrong weight of far modes, over that for a shift by ½",
        blind,
        0.2,
    ));
    report.claim(Claim::at_least(
        "the energy distance for the same, over that for a shift by ½",
        sighted,
        2.0,
    ));
    let weights = Panel::new(
        "(1 − w) N(−4, 1) + w N(4, 1) against w = ½",
        Axis::new("w"),
        Axis::log("value / that of a shift by ½").over(1e-4, 1e2),
    )
    .line("KSD², IMQ", style(0).0, style(0).1, of_score)
    .line("energy distance to a sample", style(3).0, style(3).1, of_samples);
    // The floor at the target, for the record.
    let x = normal(sheet.config.sizes[0], 1, sheet.seed.named("scores"))?;
    report.claim(Claim::at_least(
        "KSD² of a sample of its target is not negative",
        functionals[0].1.value(&x)?,
        0.0,
    ));
    let caption = "Discrepancies from a law that is known by its score alone. Right: between modes far apart scores do not tell the \
        weights, and no score-based number sees them.";
    report.figure(Figure::new(
        "scores",
        "Fisher divergence and kernel Stein discrepancy",
        caption,
        vec![moved, wide, weights],
    ));
    Ok(())
}
