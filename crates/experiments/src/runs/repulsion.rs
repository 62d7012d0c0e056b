//! Footnote 7: particles that interact against independent ones.

use crate::context::Context;
use crate::failure::Result;
use crate::figure::{Animation, Axis, Color, Dash, Figure, Panel};
use crate::registry::Experiment;
use crate::report::{Claim, Relation, Report, Table};
use crate::spec;
use divergences::{Divergence, EnergyDistance, Statistic};
use flows::descent::HeavyBall;
use flows::interaction::{Bandwidth, Riesz, Sum, Svgd};
use flows::langevin::Mala;
use measures::zoo::{Banana, Gaussian, GaussianMixture};
use measures::{Density, Drift, Empirical, Points, Sample, Score, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Diversity of samples at equal fidelity: interacting particles against independent ones.
pub struct Repulsion;

/// Settings of [`Repulsion`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RepulsionConfig {
    /// Numbers of particles, ascending.
    pub particles: Vec<usize>,
    /// Repetitions with other seeds.
    #[schemars(range(min = 2, max = 1000))]
    pub repetitions: usize,
    /// Steps of interacting particles and of Langevin chains.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub steps: usize,
    /// Their length.
    pub step: f64,
    /// Points of the sample that stands for the target.
    #[schemars(range(min = 500, max = 50_000))]
    pub reference: usize,
}

impl Default for RepulsionConfig {
    fn default() -> Self {
        RepulsionConfig {
            particles: vec![16, 64, 256],
            repetitions: 8,
            steps: 1500,
            step: 0.05,
            reference: 5000,
        }
    }
}

/// What can be asked of a target here.
trait Known: Sample + Density + Score + Sync {}
impl<T: Sample + Density + Score + Sync> Known for T {}

/// The ways to place particles.
const WAYS: [&str; 4] = ["independent draws", "independent chains", "SVGD", "Coulomb gas"];

/// What one cloud is worth.
#[derive(Clone, Copy)]
struct Worth {
    /// Mean log p.
    fidelity: f64,
    /// Energy distance to the target's sample, the diversity that counts: zero only for the target itself.
    energy: f64,
    /// Mean distance to the nearest other particle.
    nearest: f64,
}

struct Cell {
    target: &'static str,
    way: &'static str,
    n: usize,
    worth: Vec<Worth>,
}

impl Cell {
    fn mean(&self, of: impl Fn(&Worth) -> f64) -> f64 {
        self.worth.iter().map(of).sum::<f64>() / self.worth.len() as f64
    }

    fn error(&self, of: impl Fn(&Worth) -> f64) -> f64 {
        let mean = self.mean(&of);
        let n = self.worth.len() as f64;
        (self.worth.iter().map(|w| (of(w) - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt()
    }
}

impl Experiment for Repulsion {
    const NAME: &'static str = "repulsion";
    const PAPER: &'static str = "section 4, footnote 7";
    const ABOUT: &'static str =
        "interacting particles against independent ones: diversity of samples at equal fidelity";
    type Config = RepulsionConfig;

    fn run(context: &mut Context<'_>, config: &RepulsionConfig) -> Result<Report> {
        if config.particles.is_empty() || config.particles.iter().any(|&n| !(4..=4096).contains(&n)) {
            let needs = "one number or more, each from 4 to 4096";
            return Err(spec::Error::value("particles", format!("{:?}", config.particles), needs).into());
        }
        if !(config.step > 0.0 && config.step <= 0.2) {
            return Err(spec::Error::value("step", config.step, "in (0, 0.2]").into());
        }
        let gaussian = Gaussian::standard(2);
        let banana = Banana::new(2, 0.5, 1.0)?;
        let modes = GaussianMixture::ring(4, 2.0, 0.6)?;
        let targets: [(&'static str, &dyn Known); 3] =
            [("N(0, I)", &gaussian), ("banana", &banana), ("four modes", &modes)];
        let mut report = Report::new(
            "Footnote 7: does interaction between particles help to enforce the diversity of samples? n particles are placed by each \
             way; how typical are they, and how well does their cloud stand for the target?",
        );
        let mut cells = Vec::new();
        let mut stage =
            context.progress().stage("cells", (targets.len() * config.particles.len() * WAYS.len()) as u64);
        let mut pictures = Vec::new();
        for (name, target) in targets {
            let seed = context.seed().named(name);
            let reference =
                Empirical::uniform(target.sample(config.reference, &mut seed.named("reference").rng()))?;
            for &n in &config.particles {
                for way in WAYS {
                    let mut worth = Vec::new();
                    for k in 0..config.repetitions {
                        context.check_stop()?;
                        let x = place(way, target, n, config, seed.child(k as u64).child(n as u64))?;
                        worth.push(judge(&x, target, &reference)?);
                        if k == 0 && n == config.particles[config.particles.len() / 2] && name == "four modes"
                        {
                            pictures.push((way, x));
                        }
                    }
                    cells.push(Cell { target: name, way, n, worth });
                    stage.at(cells.len() as u64, None);
                }
            }
        }
        drop(stage);
        claims(&mut report, config, &cells);
        report.figure(curves(config, &cells));
        report.figure(clouds(&pictures));
        report.animation(film(&modes, config, context.seed())?);
        report.table(table(&cells));
        report.note(
            "Fidelity is the mean of log p over the particles: 0 difference from that of exact draws means equally typical points. \
             Diversity is the energy distance of the cloud to a large sample of the target, which sees holes and crowds alike, \
             against the same reference for all.",
        );
        report.note(
            "Stein variational gradient descent and the Coulomb gas both repel. The first is built so that the target is at rest, and its \
             clouds stand for the target like many times as many independent draws. The second is steepest descent of ∫−log p dμ plus a \
             Coulomb energy: it spreads evenly too, but its equilibrium is not the target (for a Gaussian it is uniform on a disc), so \
             more particles do not help it. Between modes that are apart neither helps: no \
             particle crosses, the shares of the modes stay those of the start, and the gain shrinks to what is won within each.",
        );
        Ok(report)
    }
}

/// −log p as an outer field for the gas, its strength set so that the disc of a Gaussian has the Gaussian's variance.
struct Outer<'a>(&'a dyn Known, f64);

impl Drift for Outer<'_> {
    fn drift(&self, mu: &Empirical) -> measures::Result<Points> {
        let mut score = self.0.score(mu.points())?;
        score.as_mut_slice().iter_mut().for_each(|s| *s *= self.1);
        Ok(score)
    }
}

fn place(way: &str, target: &dyn Known, n: usize, config: &RepulsionConfig, seed: Seed) -> Result<Points> {
    // All but the exact draws begin at the same points.
    let start =
        || Gaussian::isotropic(&[0.0; 2], 1.5).map(|law| law.sample(n, &mut seed.named("start").rng()));
    Ok(match way {
        "independent draws" => target.sample(n, &mut seed.named("draws").rng()),
        "independent chains" => {
            Mala::new(config.step)?.run(&target, &start()?, config.steps, seed.named("chains"))?.points
        }
        _ => {
            let drift: Box<dyn Drift> = if way == "SVGD" {
                Box::new(Scaled(Svgd::new(target, Bandwidth::Median)?, n as f64 / 4.0))
            } else {
                // Equilibrium density ∝ −Δ log p: uniform on a disc of radius R for N(0, I), whose variance a coordinate is R²/4.
                // With force strength·x against mass/r, R² = 1/strength.
                Box::new(Sum(Outer(target, 0.25), Riesz::coulomb(2, 0.0)?))
            };
            run(&*drift, &start()?, config)?
        }
    })
}

/// A drift with another clock.
struct Scaled<D>(D, f64);

impl<D: Drift> Drift for Scaled<D> {
    fn drift(&self, mu: &Empirical) -> measures::Result<Points> {
        let mut v = self.0.drift(mu)?;
        v.as_mut_slice().iter_mut().for_each(|v| *v *= self.1);
        Ok(v)
    }
}

fn run(drift: &dyn Drift, start: &Points, config: &RepulsionConfig) -> Result<Points> {
    let start = Empirical::uniform(start.clone())?;
    let end = HeavyBall::new(config.step)?.momentum(0.5)?.run(drift, &start, config.steps, Seed::new(0))?;
    Ok(end.measure.points().clone())
}

fn judge(x: &Points, target: &dyn Known, reference: &Empirical) -> Result<Worth> {
    let log = target.log_density(x)?;
    let energy = EnergyDistance::new(Statistic::Plugin).value(&Empirical::uniform(x.clone())?, reference)?;
    let nearest = |i: usize| {
        let far = |j: usize| (x.row(i)[0] - x.row(j)[0]).hypot(x.row(i)[1] - x.row(j)[1]);
        (0..x.len()).filter(|&j| j != i).map(far).fold(f64::INFINITY, f64::min)
    };
    let n = x.len() as f64;
    Ok(Worth {
        fidelity: log.iter().sum::<f64>() / n,
        energy,
        nearest: (0..x.len()).map(nearest).sum::<f64>() / n,
    })
}

fn find<'a>(cells: &'a [Cell], target: &str, way: &str, n: usize) -> &'a Cell {
    cells.iter().find(|c| c.target == target && c.way == way && c.n == n).expect("every cell was run")
}

fn claims(report: &mut Report, config: &RepulsionConfig, cells: &[Cell]) {
    let most = config.particles[config.particles.len() - 1];
    let ratio = |target: &str, way: &str, n: usize| {
        find(cells, target, way, n).mean(|w| w.energy)
            / find(cells, target, "independent draws", n).mean(|w| w.energy)
    };
    let off = |target: &str, way: &str| {
        let mean = |way: &str| find(cells, target, way, most).mean(|w| w.fidelity);
        (mean(way) - mean("independent draws")).abs()
    };
    for target in ["N(0, I)", "banana", "four modes"] {
        report.claim(Claim::at_most(
            format!(
                "{target}: fidelity of {most} SVGD particles, mean log p less that of exact draws, in nats"
            ),
            off(target, "SVGD"),
            0.25,
        ));
        report.claim(Claim::at_most(
            format!("{target}: diversity at that fidelity: energy distance of {most} SVGD particles over that of as many draws"),
            ratio(target, "SVGD", most),
            // Particles do not cross between modes: their shares stay those of the start.
            if target == "four modes" { 1.0 } else { 0.5 },
        ));
    }
    let chains = ["N(0, I)", "banana"].map(|t| (ratio(t, "independent chains", most) - 1.0).abs());
    report.claim(Claim::at_most(
        format!("{most} chains that do not interact are as good as draws: energy distance over theirs, difference from 1"),
        chains.into_iter().fold(0.0, f64::max),
        0.75,
    ));
    report.claim(Claim::new(
        "N(0, I): the Coulomb gas spreads more evenly than draws: distance to the nearest particle over theirs",
        find(cells, "N(0, I)", "Coulomb gas", most).mean(|w| w.nearest)
            / find(cells, "N(0, I)", "independent draws", most).mean(|w| w.nearest),
        Relation::Above,
        1.2,
    ));
    if config.particles.len() > 1 {
        let gain = |way: &str| {
            let energy = |n: usize| find(cells, "N(0, I)", way, n).mean(|w| w.energy);
            energy(config.particles[0]) / energy(most)
        };
        report.claim(Claim::new(
            "N(0, I): what more particles gain the Coulomb gas, over what they gain SVGD",
            gain("Coulomb gas") / gain("SVGD"),
            Relation::Below,
            0.5,
        ));
    }
}

fn curves(config: &RepulsionConfig, cells: &[Cell]) -> Figure {
    let mut panels = Vec::new();
    for target in ["N(0, I)", "banana", "four modes"] {
        let mut panel = Panel::new(target, Axis::log("particles"), Axis::log("energy distance"));
        for (k, way) in WAYS.into_iter().enumerate() {
            let at = |&n: &usize| (n as f64, find(cells, target, way, n).mean(|w| w.energy));
            panel =
                panel.line(way, Color::of_series(k), Dash::Solid, config.particles.iter().map(at).collect());
        }
        panels.push(panel);
    }
    let caption = format!(
        "Energy distance of n particles to {} draws of the target, mean of {} repetitions. Independent particles fall like 1/n.",
        config.reference, config.repetitions
    );
    Figure::new("diversity", "How well n particles stand for the target", caption, panels)
}

fn clouds(pictures: &[(&'static str, Points)]) -> Figure {
    let panels = pictures.iter().enumerate().map(|(k, (way, x))| {
        let axes = (Axis::new("x₁").over(-4.0, 4.0), Axis::new("x₂").over(-4.0, 4.0));
        let xy = x.rows().map(|r| (r[0], r[1])).collect();
        Panel::new(*way, axes.0, axes.1).equal().dots(*way, Color::of_series(k), xy)
    });
    let caption = "Particles placed by each way for a target of four modes: draws crowd and leave holes, particles that repel do not.";
    Figure::new("clouds", "The particles", caption, panels.collect()).in_rows_of(2)
}

fn film(target: &GaussianMixture, config: &RepulsionConfig, seed: Seed) -> Result<Animation> {
    const FRAMES: usize = 40;
    let drift = Scaled(Svgd::new(target, Bandwidth::Median)?, 25.0);
    let mut x = Gaussian::isotropic(&[0.5, 0.0], 0.3)?.sample(100, &mut seed.named("film").rng());
    let each = RepulsionConfig { steps: 15, ..config.clone() };
    let mut frames = Vec::new();
    for k in 0..=FRAMES {
        if k > 0 {
            x = run(&drift, &x, &each)?;
        }
        frames.push((format!("step {}", k * each.steps), x.rows().map(|r| (r[0], r[1])).collect()));
    }
    let behind = target.sample(1500, &mut seed.named("behind").rng()).rows().map(|r| (r[0], r[1])).collect();
    let caption = "A hundred particles of Stein variational gradient descent that begin in one place, over draws of the target.";
    let animation =
        Animation::new("film", "Particles that repel", caption, (Axis::new("x₁"), Axis::new("x₂")), frames);
    Ok(animation.behind("target", Color::Grey, behind))
}

fn table(cells: &[Cell]) -> Table {
    let columns = [
        "target",
        "way",
        "n",
        "mean log p",
        "energy distance",
        "standard error",
        "nearest",
        "error of log p",
    ];
    let mut table = Table::new("worth", "All cells", &columns);
    for cell in cells {
        table.push(vec![
            cell.target.into(),
            cell.way.into(),
            cell.n.into(),
            cell.mean(|w| w.fidelity).into(),
            cell.mean(|w| w.energy).into(),
            cell.error(|w| w.energy).into(),
            cell.mean(|w| w.nearest).into(),
            cell.error(|w| w.fidelity).into(),
        ]);
    }
    table
}
