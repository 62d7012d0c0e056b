//! Section 4 and footnote 9: the spectrum of the Ornstein–Uhlenbeck operator, and one flow that is the gradient flow of
//! three functionals in three geometries, on one grid.

use crate::context::Context;
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Figure, Panel};
use crate::registry::Experiment;
use crate::report::{Claim, Report, Table};
use crate::spec;
use flows::grid::{Jko, Line, Quantiles};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// The spectral statement of footnote 9.
pub struct Spectrum;

/// Settings of [`Spectrum`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpectrumConfig {
    /// Cells of the grid on [−8, 8].
    #[schemars(range(min = 80, max = 20000))]
    pub cells: usize,
    /// The time s until which densities are followed.
    #[schemars(range(min = 0.1, max = 5.0))]
    pub time: f64,
    /// Implicit steps to get there.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub steps: usize,
    /// Eigenfunctions whose decay is measured.
    #[schemars(range(min = 2, max = 12))]
    pub modes: usize,
    /// Eigenfunctions in the expansions of F and of the density.
    #[schemars(range(min = 10, max = 80))]
    pub terms: usize,
    /// The law at s = 0: weights, means and standard deviations of Gaussians. F is finite for variances below 2 only.
    pub start: Vec<[f64; 3]>,
    /// Quantiles of the steps of Jordan, Kinderlehrer and Otto.
    #[schemars(range(min = 20, max = 2000))]
    pub quantiles: usize,
}

impl Default for SpectrumConfig {
    fn default() -> Self {
        SpectrumConfig {
            cells: 1600,
            time: 1.0,
            steps: 4000,
            modes: 6,
            terms: 40,
            start: vec![[0.6, -1.2, 0.6], [0.4, 1.0, 0.5]],
            quantiles: 200,
        }
    }
}

impl SpectrumConfig {
    fn check(&self) -> Result<()> {
        let sum: f64 = self.start.iter().map(|c| c[0]).sum();
        let sound = |c: &[f64; 3]| c[0] > 0.0 && c[1].abs() <= 3.0 && c[2] >= 0.2 && c[2] * c[2] <= 1.5;
        if self.start.is_empty() || (sum - 1.0).abs() > 1e-9 || !self.start.iter().all(sound) {
            let needs = "[weight, mean, deviation] with weights that sum to 1, means within ±3, deviations of 0.2 to 1.22";
            return Err(spec::Error::value("start", format!("{:?}", self.start), needs).into());
        }
        Ok(())
    }
}

/// He₀/√0!, …, He_K/√K! at x, orthonormal in L²(N(0, 1)), by their recurrence.
fn hermite(x: f64, terms: usize) -> Vec<f64> {
    let mut f = vec![1.0, x];
    for k in 1..terms {
        let k1 = (k + 1) as f64;
        f.push((x * f[k] - (k as f64).sqrt() * f[k - 1]) / k1.sqrt());
    }
    f
}

/// The grid with its eigenfunctions, and F and its relatives on it.
struct Ground {
    line: Line,
    x: Vec<f64>,
    /// f_k at the centres: one list a cell.
    f: Vec<Vec<f64>>,
}

impl Ground {
    fn new(cells: usize, terms: usize) -> Result<Self> {
        let line = Line::new((-8.0, 8.0), cells, |x| 0.5 * x * x)?;
        let x = line.centres();
        let f = x.iter().map(|&x| hermite(x, terms)).collect();
        Ok(Ground { line, x, f })
    }

    /// ⟨f_k|ρ⟩.
    fn bracket(&self, k: usize, rho: &[f64]) -> f64 {
        self.f.iter().zip(rho).map(|(f, r)| f[k] * r).sum::<f64>() * self.line.width()
    }

    /// h = ρ/ρ∞.
    fn relative(&self, rho: &[f64]) -> Vec<f64> {
        rho.iter().zip(self.line.equilibrium()).map(|(r, p)| r / p).collect()
    }

    /// ½ ∫ (h′)² dρ∞ with the conductances of the grid.
    fn dirichlet(&self, rho: &[f64]) -> f64 {
        let h = self.relative(rho);
        let terms = self.line.conductance();
        let square = |(k, h): (&f64, &[f64])| k * (h[1] - h[0]).powi(2);
        0.5 * terms.iter().zip(h.windows(2)).map(square).sum::<f64>() / self.line.width()
    }

    /// ½ χ²(ρ|ρ∞).
    fn chi(&self, rho: &[f64]) -> f64 {
        let terms = self.relative(rho).into_iter().zip(self.line.equilibrium());
        0.5 * terms.map(|(h, p)| p * (h - 1.0).powi(2)).sum::<f64>() * self.line.width()
    }

    /// δF/δρ by central differences of any functional of densities, at every cell.
    fn variation(&self, functional: impl Fn(&[f64]) -> f64, rho: &[f64]) -> Vec<f64> {
        let mut moved = rho.to_vec();
        (0..rho.len())
            .map(|i| {
                // As a part of the density where that is large enough to divide by.
                let step = 1e-3 * rho[i].max(1e-9 * self.line.equilibrium()[i]);
                moved[i] = rho[i] + step;
                let above = functional(&moved);
                moved[i] = rho[i] - step;
                let below = functional(&moved);
                moved[i] = rho[i];
                (above - below) / (2.0 * step * self.line.width())
            })
            .collect()
    }

    /// ∂(m ∂g) with the mobility m on the walls, no flux through the ends.
    fn divergence(&self, mobility: &[f64], g: &[f64]) -> Vec<f64> {
        let dx = self.line.width();
        let flux: Vec<f64> = mobility.iter().zip(g.windows(2)).map(|(m, g)| m * (g[1] - g[0]) / dx).collect();
        let at = |i: usize| flux.get(i).copied().unwrap_or(0.0);
        (0..g.len()).map(|i| (at(i) - if i == 0 { 0.0 } else { at(i - 1) }) / dx).collect()
    }

    /// The mobility of W₂ on the grid: κ times the logarithmic mean of h on both sides, for which the chain rule
    /// h = exp(log h) is exact (Maas 2011).
    fn otto(&self, rho: &[f64]) -> Vec<f64> {
        let mean = |h: &[f64]| {
            let z = (h[1] / h[0]).ln();
            if z.abs() < 1e-9 { 0.5 * (h[0] + h[1]) } else { (h[1] - h[0]) / z }
        };
        let h = self.relative(rho);
        self.line.conductance().iter().zip(h.windows(2)).map(|(k, h)| k * mean(h)).collect()
    }
}

/// ‖a − b‖ / ‖b‖ in L¹.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    let difference: f64 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
    difference / b.iter().map(|b| b.abs()).sum::<f64>()
}

impl Experiment for Spectrum {
    const NAME: &'static str = "spectrum";
    const PAPER: &'static str = "section 4, footnote 9";
    const ABOUT: &'static str =
        "eigenfunctions decay at rate k; one flow as the gradient flow of three functionals";
    type Config = SpectrumConfig;

    fn run(context: &mut Context<'_>, config: &SpectrumConfig) -> Result<Report> {
        config.check()?;
        let mut report = Report::new(
            "The law ρ_s of the Ornstein–Uhlenbeck process relaxes to N(0, 1). Is that the gradient flow of an objective of the form \
             (3), as section 4 says, and for which topology?",
        );
        let ground = Ground::new(config.cells, config.terms)?;
        let start = |x: f64| density(config, x, 0.0);
        let rho = ground.line.project(start)?;
        let path = follow(context, config, &ground, &rho)?;
        decay(&mut report, config, &ground, &path);
        expansion(&mut report, config, &ground, &path);
        context.check_stop()?;
        let rates = structures(&mut report, &ground, &path[path.len() / 4].1)?;
        context.check_stop()?;
        movements(&mut report, config)?;
        report.figure(draw_decay(config, &ground, &path));
        report.figure(draw_flow(&ground, &path, &rates));
        notes(&mut report);
        Ok(report)
    }
}

/// The exact density at time s: a mixture of N(e^{−s}m, e^{−2s}σ² + 1 − e^{−2s}).
fn density(config: &SpectrumConfig, x: f64, s: f64) -> f64 {
    let part = |&[w, m, d]: &[f64; 3]| w * component(m, d, s).pdf(x);
    config.start.iter().map(part).sum()
}

fn component(mean: f64, deviation: f64, s: f64) -> Normal {
    let a = (-s).exp();
    let variance = a * a * deviation * deviation + 1.0 - a * a;
    Normal::new(a * mean, variance.sqrt()).expect("a variance is positive")
}

/// Times with the densities of the grid.
type Path = Vec<(f64, Vec<f64>)>;

/// The density at 41 times. Steps of half the length remove the error of first order in them.
fn follow(context: &Context<'_>, config: &SpectrumConfig, ground: &Ground, rho: &[f64]) -> Result<Path> {
    const FRAMES: usize = 40;
    let each = config.steps.div_ceil(FRAMES);
    let h = config.time / (each * FRAMES) as f64;
    let (mut coarse, mut fine) = (rho.to_vec(), rho.to_vec());
    let mut path = vec![(0.0, rho.to_vec())];
    let mut stage = context.progress().stage("flow", FRAMES as u64);
    for k in 1..=FRAMES {
        context.check_stop()?;
        coarse = ground.line.run(&coarse, h, each)?;
        fine = ground.line.run(&fine, 0.5 * h, 2 * each)?;
        let mixed = coarse.iter().zip(&fine).map(|(c, f)| (2.0 * f - c).max(f64::MIN_POSITIVE)).collect();
        path.push((config.time * k as f64 / FRAMES as f64, mixed));
        stage.at(k as u64, None);
    }
    Ok(path)
}

/// ⟨f_k|ρ_s⟩ = e^{−ks}⟨f_k|ρ₀⟩.
fn decay(report: &mut Report, config: &SpectrumConfig, ground: &Ground, path: &Path) {
    let mut table =
        Table::new("decay", "Rates of decay", &["k", "bracket at 0", "bracket at the end", "rate", "error"]);
    let (mut worst, (time, last)) = (0.0f64, &path[path.len() - 1]);
    for k in 1..=config.modes {
        let (first, end) = (ground.bracket(k, &path[0].1), ground.bracket(k, last));
        // A bracket that is zero from the start has no rate.
        let rate = if first.abs() > 1e-6 { (first / end).ln() / time } else { f64::NAN };
        let error = (rate - k as f64).abs();
        if rate.is_finite() {
            worst = worst.max(error / k as f64);
        }
        table.push(vec![k.into(), first.into(), end.into(), rate.into(), error.into()]);
    }
    report.claim(Claim::at_most(
        format!(
            "⟨He_k/√k!|ρ_s⟩ decays at rate k, k = 1, …, {}: relative error of the rate, worst",
            config.modes
        ),
        worst,
        1e-2,
    ));
    let exact: Vec<f64> = ground.x.iter().map(|&x| density(config, x, *time)).collect();
    report.claim(Claim::at_most(
        "the grid against the law in closed form, L¹ at the end",
        apart(last, &exact),
        1e-3,
    ));
    report.table(table);
}

/// F as a series and as an integral, and the density as a series.
fn expansion(report: &mut Report, config: &SpectrumConfig, ground: &Ground, path: &Path) {
    let brackets: Vec<f64> = (0..=config.terms).map(|k| ground.bracket(k, &path[0].1)).collect();
    // The series converges like the density is smooth: judged from a quarter of the time on.
    let mut worst_f = 0.0f64;
    let mut worst_density = 0.0f64;
    for (s, rho) in path.iter().skip(path.len() / 4) {
        let at = |k: usize| brackets[k] * (-(k as f64) * s).exp();
        let series: f64 = (1..=config.terms).map(|k| 0.5 * k as f64 * at(k).powi(2)).sum();
        worst_f = worst_f.max((series / ground.dirichlet(rho) - 1.0).abs());
        let sum = |(f, p): (&Vec<f64>, &f64)| p * (0..=config.terms).map(|k| at(k) * f[k]).sum::<f64>();
        let density: Vec<f64> = ground.f.iter().zip(ground.line.equilibrium()).map(sum).collect();
        worst_density = worst_density.max(apart(&density, rho));
    }
    report.claim(Claim::at_most(
        "F = ½ Σ k ⟨f_k|ρ⟩² with brackets that decay at rate k, against ½ ∫ ‖∇(dρ/dρ∞)‖² dρ∞: relative difference, worst over times",
        worst_f,
        1e-2,
    ));
    report.claim(Claim::at_most(
        "gradient flow of F in L²(ρ∞⁻¹) by its eigenfunctions against Fokker–Planck on the grid: L¹, worst over times",
        worst_density,
        1e-3,
    ));
}

/// dρ/ds by every structure at one density.
struct Rates {
    s: Vec<f64>,
    fokker_planck: Vec<f64>,
    wasserstein_of_f: Vec<f64>,
}

/// The rate of Fokker–Planck from three functionals and three metrics, each functional differentiated numerically.
fn structures(report: &mut Report, ground: &Ground, rho: &[f64]) -> Result<Rates> {
    let line = &ground.line;
    let rate = line.rate(rho)?;
    let df = ground.variation(|r| ground.dirichlet(r), rho);
    let in_l2: Vec<f64> = df.iter().zip(line.equilibrium()).map(|(d, p)| -p * d).collect();
    let dchi = ground.variation(|r| ground.chi(r), rho);
    let in_h1 = ground.divergence(&line.conductance(), &dchi);
    let dkl = ground.variation(|r| line.entropy(r), rho);
    let in_w2 = ground.divergence(&ground.otto(rho), &dkl);
    let columns = ["functional", "metric", "differs from Fokker–Planck by"];
    let mut table = Table::new("structures", "Rates dρ/ds from gradient structures", &columns);
    let mut row = |functional: &str, metric: &str, found: &[f64]| {
        let apart = apart(found, &rate);
        table.push(vec![functional.into(), metric.into(), apart.into()]);
        apart
    };
    let l2 = row("F = ½ Σ λ_k ⟨f_k|ρ⟩²", "L²(ρ∞⁻¹)", &in_l2);
    let w2 = row("KL(ρ|ρ∞)", "W₂", &in_w2);
    let h1 = row("½ χ²(ρ|ρ∞)", "H⁻¹ weighted by ρ∞", &in_h1);
    // Without the ½ of F the flow is twice as fast.
    let double: Vec<f64> = ground
        .variation(|r| 2.0 * ground.dirichlet(r), rho)
        .iter()
        .zip(line.equilibrium())
        .map(|(d, p)| -0.5 * p * d)
        .collect();
    let twice = row("Σ λ_k ⟨f_k|ρ⟩², at half speed", "L²(ρ∞⁻¹)", &double);
    let other = ground.divergence(&ground.otto(rho), &df);
    let another = row("F", "W₂", &other);
    let name = "on the grid the same dρ/ds: relative difference from Fokker–Planck";
    report.claim(Claim::at_most(format!("gradient flow of F in L²(ρ∞⁻¹), {name}"), l2, 1e-6));
    report.claim(Claim::at_most(format!("W₂ gradient flow of KL, {name}"), w2, 1e-3));
    report.claim(Claim::at_most(format!("H⁻¹ gradient flow of ½χ², {name}"), h1, 1e-3));
    report.claim(Claim::at_most(
        "without the ½ in F the flow is the same at twice the speed: relative difference",
        twice,
        1e-6,
    ));
    report.claim(Claim::at_least(
        "the W₂ gradient flow of F is another flow: relative difference of dρ/ds",
        another,
        0.5,
    ));
    // dKL/ds = −Fisher.
    let h = 1e-6;
    let moved = |sign: f64| rho.iter().zip(&rate).map(|(r, d)| r + sign * h * d).collect::<Vec<f64>>();
    let slope = (line.entropy(&moved(1.0)) - line.entropy(&moved(-1.0))) / (2.0 * h);
    let fisher = line.fisher(rho)?;
    report.claim(Claim::at_most(
        "dKL/ds = −Fisher along the flow: relative difference",
        (slope / fisher + 1.0).abs(),
        1e-4,
    ));
    report.table(table);
    Ok(Rates { s: ground.x.clone(), fokker_planck: rate, wasserstein_of_f: other })
}

/// The steps of Jordan, Kinderlehrer and Otto, which know no equation, against the exact law.
fn movements(report: &mut Report, config: &SpectrumConfig) -> Result<()> {
    let n = config.quantiles;
    let at =
        |s: f64| -> Vec<f64> { (0..n).map(|k| quantile(config, (k as f64 + 0.5) / n as f64, s)).collect() };
    let (tau, time) = (0.005, 0.5f64.min(config.time));
    let steps = (time / tau).round() as usize;
    let jko = Jko::new(tau, |x| (0.5 * x * x, x, 1.0))?;
    let path = jko.run(&Quantiles::new(at(0.0))?, steps)?;
    let exact = Quantiles::new(at(tau * steps as f64))?;
    let values: Vec<f64> = path.iter().map(|q| jko.functional(q)).collect();
    let rise = values.windows(2).map(|w| w[1] - w[0]).fold(f64::NEG_INFINITY, f64::max);
    let distance = path[path.len() - 1].squared_distance(&exact)?.sqrt();
    report.claim(Claim::at_most(
        format!("minimising movements of KL in W₂ ({steps} steps, {n} quantiles) against the law in closed form: W₂"),
        distance,
        0.03,
    ));
    report.claim(Claim::at_most("KL falls at every minimising movement: largest rise", rise, 0.0));
    Ok(())
}

/// The quantile of the exact law, by bisection.
fn quantile(config: &SpectrumConfig, u: f64, s: f64) -> f64 {
    let cdf = |x: f64| config.start.iter().map(|&[w, m, d]| w * component(m, d, s).cdf(x)).sum::<f64>();
    let (mut low, mut high) = (-20.0, 20.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if cdf(middle) < u { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

fn draw_decay(config: &SpectrumConfig, ground: &Ground, path: &Path) -> Figure {
    let mut panel = Panel::new("brackets", Axis::new("s"), Axis::log("|⟨f_k|ρ_s⟩| relative to s = 0"));
    for k in 1..=config.modes {
        let first = ground.bracket(k, &path[0].1);
        let xy = path.iter().map(|(s, rho)| (*s, (ground.bracket(k, rho) / first).abs())).collect();
        panel = panel.line(format!("k = {k}"), Color::of_series(k - 1), Dash::Solid, xy);
        let law = [0.0, config.time].map(|s| (s, (-(k as f64) * s).exp())).to_vec();
        panel = panel.line("e^(−ks)", Color::Ink, Dash::Dotted, law);
    }
    let fall =
        |value: &dyn Fn(&[f64]) -> f64| path.iter().map(|(s, rho)| (*s, value(rho))).collect::<Vec<_>>();
    let functionals = Panel::new("functionals", Axis::new("s"), Axis::log("value"))
        .line("F", Color::Blue, Dash::Solid, fall(&|r| ground.dirichlet(r)))
        .line("KL", Color::Orange, Dash::Solid, fall(&|r| ground.line.entropy(r)))
        .line("½χ²", Color::Green, Dash::Solid, fall(&|r| ground.chi(r)));
    let caption = "Left: the brackets with He_k/√k! fall at rate k. Right: the three functionals whose gradient flow this is, each in its \
                   own geometry.";
    Figure::new("decay", "Decay", caption, vec![panel, functionals])
}

fn draw_flow(ground: &Ground, path: &Path, rates: &Rates) -> Figure {
    let mut densities = Panel::new("densities", Axis::new("x").over(-4.0, 4.0), Axis::new("ρ_s"));
    let count = path.len() - 1;
    for (k, part) in [0, 1, 2, 4].into_iter().enumerate() {
        let (s, rho) = &path[part * count / 4];
        let xy = ground.x.iter().copied().zip(rho.iter().copied()).collect();
        densities = densities.line(
            format!("s = {}", crate::figure::number(*s, 3)),
            Color::of_series(k),
            Dash::Solid,
            xy,
        );
    }
    let rest = ground.x.iter().copied().zip(ground.line.equilibrium().iter().copied()).collect();
    densities = densities.line("ρ∞", Color::Ink, Dash::Dotted, rest);
    let pairs = |v: &[f64]| rates.s.iter().copied().zip(v.iter().copied()).collect::<Vec<_>>();
    // Each to its own largest value: the second is of fourth order and much faster.
    let scaled = |v: &[f64]| {
        let most = v.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        v.iter().map(|v| v / most).collect::<Vec<_>>()
    };
    let rates = Panel::new("dρ/ds, each to its largest", Axis::new("x").over(-4.0, 4.0), Axis::new(""))
        .line("Fokker–Planck", Color::Blue, Dash::Solid, pairs(&scaled(&rates.fokker_planck)))
        .line("W₂ flow of F", Color::Orange, Dash::Dashed, pairs(&scaled(&rates.wasserstein_of_f)));
    let caption = "Left: the density on its way. Right: the rate of change at a quarter of the time, by Fokker–Planck and by particles that \
                   would descend F: not the same flow.";
    Figure::new("flow", "The flow", caption, vec![densities, rates])
}

fn notes(report: &mut Report) {
    report.note(
        "Footnote 9, as it holds: with L = −Δ + ∇E·∇, self-adjoint in L²(ρ∞), eigenvalues λ_k and orthonormal eigenfunctions f_k (He_k/√k! \
         and λ_k = k here), F(ρ) = ½ Σ λ_k ⟨f_k|ρ⟩² = ½ ∫ ‖∇(dρ/dρ∞)‖² dρ∞ is D₂² with τ = ½λ, and its gradient flow in L²(ρ∞⁻¹) is \
         Fokker–Planck. τ has infinite mass, so it cannot be normalised; F is finite for N(m, s²) only if s² < 2.",
    );
    report.note(
        "The topology matters. The same curve is the W₂ flow of KL and the H⁻¹ flow of ½χ², but the W₂ flow of F, which is what \
         particles or a generator do when they descend F, is of fourth order and another one: v = −∇L(dρ/dρ∞).",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenfunctions_are_orthonormal_on_the_grid() {
        let ground = Ground::new(800, 5).unwrap();
        for j in 0..=5 {
            for k in 0..=5 {
                let product: f64 =
                    ground.f.iter().zip(ground.line.equilibrium()).map(|(f, p)| f[j] * f[k] * p).sum();
                let product = product * ground.line.width();
                assert!((product - f64::from(u8::from(j == k))).abs() < 1e-6, "{j} {k} {product}");
            }
        }
    }
}
