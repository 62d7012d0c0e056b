//! Section 2 in pictures: one for each family of divergences, and what two samples of one law make of each.

mod densities;
mod functions;
mod judging;
mod moving;
mod scores;

use crate::context::Context;
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Panel};
use crate::registry::Experiment;
use crate::report::{Claim, Report, Table};
use crate::spec;
use divergences::{Divergence, registry};
use measures::{Empirical, Points, Sample as _, Seed, zoo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// The families of divergences in pictures.
pub struct Atlas;

/// Settings of [`Atlas`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AtlasConfig {
    /// Sizes of samples of one law, ascending.
    pub sizes: Vec<usize>,
    /// Pairs of samples behind each mean.
    #[schemars(range(min = 4, max = 10_000))]
    pub repetitions: usize,
    /// Atoms of the laws on the line that are moved apart.
    #[schemars(range(min = 20, max = 5000))]
    pub atoms: usize,
}

impl Default for AtlasConfig {
    fn default() -> Self {
        AtlasConfig { sizes: vec![25, 50, 100, 200, 400], repetitions: 24, atoms: 200 }
    }
}

impl AtlasConfig {
    fn check(&self) -> Result<()> {
        let sound = self.sizes.len() >= 2 && self.sizes[0] >= 20 && self.sizes.is_sorted_by(|a, b| a < b);
        if !sound {
            let needs = "two sizes or more, ascending, each at least 20";
            return Err(spec::Error::value("sizes", format!("{:?}", self.sizes), needs).into());
        }
        Ok(())
    }
}

/// What every picture is drawn with.
struct Sheet<'a, 'b> {
    context: &'a Context<'b>,
    config: &'a AtlasConfig,
    seed: Seed,
    /// Name, dimension, exponent of n.
    slopes: Vec<(String, usize, f64)>,
}

impl Experiment for Atlas {
    const NAME: &'static str = "atlas";
    const PAPER: &'static str = "section 2";
    const ABOUT: &'static str =
        "one picture for each family of divergences, and how fast sampling noise falls in each";
    type Config = AtlasConfig;

    fn run(context: &mut Context<'_>, config: &AtlasConfig) -> Result<Report> {
        config.check()?;
        let mut report = Report::new(
            "What do the divergences see when two laws part, and how much do two samples of one law seem to differ?",
        );
        let seed = context.seed().named("atlas");
        let mut sheet = Sheet { context, config, seed, slopes: Vec::new() };
        report.figure(functions::families(&mut sheet)?);
        report.figure(functions::duality(&mut sheet)?);
        report.figure(moving::kernels(&mut sheet)?);
        report.figure(moving::transport(&mut sheet)?);
        densities::figure(&mut sheet, &mut report)?;
        scores::figure(&mut sheet, &mut report)?;
        judging::tests(&mut sheet, &mut report)?;
        judging::quality(&mut sheet, &mut report)?;
        judge(&mut report, &sheet);
        Ok(report)
    }
}

/// The powers of n with which the values at equal laws fall.
fn judge(report: &mut Report, sheet: &Sheet<'_, '_>) {
    let mut table = Table::new(
        "slopes",
        "Two samples of one law: value ~ n^slope",
        &["divergence", "dimension", "slope"],
    );
    for (name, dim, slope) in &sheet.slopes {
        table.push(vec![name.as_str().into(), (*dim).into(), (*slope).into()]);
    }
    report.table(table);
    let slope = |name: &str, dim: usize| {
        sheet.slopes.iter().find(|(n, d, _)| n == name && *d == dim).map_or(f64::NAN, |(_, _, s)| *s)
    };
    for name in ["D2 Gaussian frequencies", "MMD Gaussian", "energy distance", "Sinkhorn divergence"] {
        let found = slope(name, 2);
        report.claim(Claim::at_most(
            format!("{name} of equal laws in the plane falls as 1/n: slope + 1, absolute"),
            (found + 1.0).abs(),
            0.2,
        ));
    }
    report.claim(Claim::at_most(
        "W₁ of equal laws in ten dimensions falls no faster than n^{−1/10} by much: slope, absolute",
        slope("W1", 10).abs(),
        0.2,
    ));
    report.claim(Claim::at_least(
        "W₁ of equal laws on the line falls as n^{−1/2}: slope, absolute",
        slope("W1", 1).abs(),
        0.4,
    ));
    report.claim(Claim::at_least(
        "the Sinkhorn divergence, ε = 4, feels the dimension less than W₂², whose slope would be ⅕: slope in ten dimensions, absolute",
        slope("Sinkhorn divergence", 10).abs(),
        0.5,
    ));
}

/// n quantiles of N(shift, scale²) as a measure: a law on the line without noise.
fn quantiles(n: usize, shift: f64, scale: f64) -> Result<Empirical> {
    let law = Normal::standard();
    let at = |i: usize| shift + scale * law.inverse_cdf((i as f64 + 0.5) / n as f64);
    Ok(Empirical::uniform(Points::from_line((0..n).map(at).collect()))?)
}

/// n draws of N(0, I), of the given stream.
fn normal(n: usize, dim: usize, seed: Seed) -> Result<Empirical> {
    Ok(Empirical::uniform(zoo::Gaussian::standard(dim).sample(n, &mut seed.rng()))?)
}

/// Evenly spaced numbers, both ends included.
fn grid(low: f64, high: f64, n: usize) -> Vec<f64> {
    (0..n).map(|i| low + (high - low) * i as f64 / (n - 1) as f64).collect()
}

/// The registered divergences of these names at length scale one.
fn named(names: &[&str], dim: usize) -> Result<Vec<(String, Box<dyn Divergence + Send + Sync>)>> {
    let all = registry(dim, 1.0)?;
    let mut found: Vec<_> = all
        .into_iter()
        .map(|e| (e.name, e.divergence))
        .filter(|(n, _)| names.contains(&n.as_str()))
        .collect();
    // in the order asked for, so that colours are the reader's
    found.sort_by_key(|(name, _)| names.iter().position(|n| n == name));
    assert_eq!(found.len(), names.len(), "a name that is not registered");
    Ok(found)
}

/// A colour and a dash for every line of a panel.
fn style(k: usize) -> (Color, Dash) {
    (Color::of_series(k), if k < Color::SERIES.len() { Dash::Solid } else { Dash::Dashed })
}

impl Sheet<'_, '_> {
    /// Values between N(0, 1) and N(t, 1) on the line, each divided by its value at t = 1.
    fn parting(&self, names: &[&str]) -> Result<Panel> {
        let n = self.config.atoms;
        let mu = quantiles(n, 0.0, 1.0)?;
        let mut panel = Panel::new(
            "N(0, 1) and N(t, 1), over the value at t = 1",
            Axis::new("t"),
            Axis::log("divergence / that at t = 1"),
        );
        for (k, (name, d)) in named(names, 1)?.iter().enumerate() {
            self.context.check_stop()?;
            let one = d.value(&quantiles(n, 1.0, 1.0)?, &mu)?;
            let mut xy = Vec::new();
            for t in grid(0.1, 5.0, 25) {
                xy.push((t, d.value(&quantiles(n, t, 1.0)?, &mu)? / one));
            }
            let (color, dash) = style(k);
            panel = panel.line(name, color, dash, xy);
        }
        Ok(panel)
    }

    /// Mean values between two samples of N(0, I) against their size, with the slopes kept for the claims.
    fn noise(&mut self, title: &str, of: &[(&str, usize)]) -> Result<Panel> {
        let mut panel = Panel::new(title, Axis::log("n"), Axis::log("mean value at equal laws"));
        for (k, &(name, dim)) in of.iter().enumerate() {
            let found = named(&[name], dim)?;
            let d = &found[0].1;
            let mut xy = Vec::new();
            for &n in &self.config.sizes {
                self.context.check_stop()?;
                let seed = self.seed.named("noise").child(dim as u64).child(n as u64);
                let mut sum = 0.0;
                for r in 0..self.config.repetitions {
                    let seed = seed.child(r as u64);
                    sum += d.value(&normal(n, dim, seed.named("x"))?, &normal(n, dim, seed.named("y"))?)?;
                }
                xy.push((n as f64, sum / self.config.repetitions as f64));
            }
            self.slopes.push((name.to_owned(), dim, slope(&xy)));
            let (color, dash) = style(k);
            let several = of.iter().any(|(other, d)| *other == name && *d != dim);
            let label = if several { format!("{name}, d = {dim}") } else { name.to_owned() };
            panel = panel.line(label, color, dash, xy);
        }
        Ok(panel)
    }
}

/// The least-squares slope of log y against log x.
fn slope(xy: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = xy.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = logs.len() as f64;
    let (mx, my) = (logs.iter().map(|p| p.0).sum::<f64>() / n, logs.iter().map(|p| p.1).sum::<f64>() / n);
    let cross: f64 = logs.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    cross / logs.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>()
}
