//! Targets without density: what likelihood does, what noise and denoising do, what matching statistics does.

use super::ground::Ground;
use super::training::average;
use super::variant::Variant;
use super::yardstick::Figures;
use crate::cells::{self, Cell as WorkCell, Outcome};
use crate::context::{Budget, Context};
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Figure, Panel};
use crate::registry::Experiment;
use crate::report::{Claim, Relation, Report, Table};
use crate::spec;
use measures::{Points, Seed};
use models::{Generator, Precision};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Methods of every perspective on a sphere, which has no density.
pub struct Manifold;

/// Settings of [`Manifold`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ManifoldConfig {
    /// Methods with settings, as realnvp or noise_denoise:steps=3.
    pub methods: Vec<String>,
    /// Dimensions of the space around the unit sphere: 2 is a circle in the plane.
    pub dims: Vec<usize>,
    /// Steps of training.
    #[schemars(range(min = 20))]
    pub steps: u64,
    /// Looks at every model, evenly over its training.
    #[schemars(range(min = 2))]
    pub looks: u64,
    /// Points generated, and points of the target they are compared with.
    #[schemars(range(min = 100))]
    pub n: usize,
}

impl Default for ManifoldConfig {
    fn default() -> Self {
        let methods =
            ["realnvp", "spline", "vae", "noise_denoise", "mmd", "energy", "sinkhorn", "flow_matching"];
        ManifoldConfig {
            methods: methods.map(str::to_owned).to_vec(),
            dims: vec![2, 3],
            steps: 3000,
            looks: 10,
            n: 1500,
        }
    }
}

/// What a model came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Found {
    figures: Figures,
    looks: Vec<Look>,
    cloud: Vec<[f32; 2]>,
    evaluations: u64,
    seconds: f64,
}

/// A model on its way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Look {
    step: u64,
    /// E|‖x‖ − 1| of its points.
    off: f64,
    /// Mean log-density of fresh points of the sphere, where the model has one.
    log_density: Option<f64>,
}

enum Task<'a> {
    Floor { target: usize, run: u64 },
    Model { target: usize, variant: &'a Variant },
}

/// Independent samples of a target that make up its floor.
const FLOORS: u64 = 3;
/// What maximises a likelihood.
const LIKELIHOOD: [&str; 4] = ["realnvp", "spline", "autoregressive", "cnf"];
/// Points of a look.
const LOOKED: usize = 500;

impl Experiment for Manifold {
    const NAME: &'static str = "manifold";
    const PAPER: &'static str = "section 5, targets without density";
    const ABOUT: &'static str = "on a sphere likelihood grows without end; noise and denoising, and statistics, do not ask for a density";
    const SHARED: bool = true;
    type Config = ManifoldConfig;

    fn run(context: &mut Context<'_>, config: &ManifoldConfig) -> Result<Report> {
        if config.dims.is_empty() || config.dims.iter().any(|dim| !(2..=64).contains(dim)) {
            return Err(spec::Error::value("dims", "a list", "dimensions between 2 and 64").into());
        }
        let variants: Vec<Variant> =
            config.methods.iter().map(|text| Variant::parse(text)).collect::<Result<_>>()?;
        let grounds: Vec<Ground> = config
            .dims
            .iter()
            .map(|dim| {
                Ground::new(&format!("sphere:dim={dim}"), None, config.n, context.seed().named("ground"))
            })
            .collect::<Result<_>>()?;
        let mut tasks = Vec::new();
        for target in 0..grounds.len() {
            tasks.extend((0..FLOORS).map(|run| Task::Floor { target, run }));
            tasks.extend(variants.iter().map(|variant| Task::Model { target, variant }));
        }
        let found = cells::run(
            context,
            &tasks,
            |task| match task {
                Task::Floor { target, run } => {
                    format!("{}-floor-{run}", cells::plain(&grounds[*target].name))
                }
                Task::Model { target, variant } => {
                    format!("{}-{}", cells::plain(&grounds[*target].name), cells::plain(&variant.label))
                }
            },
            |cell, task| match task {
                Task::Floor { target, run } => {
                    let x = grounds[*target].truth(context.seed().named("floor").child(*run));
                    let (off, cloud) = (off(&x), cloud(&x));
                    let looks = vec![Look { step: 0, off, log_density: None }];
                    Ok(Found {
                        figures: grounds[*target].figures(x)?,
                        looks,
                        cloud,
                        evaluations: 0,
                        seconds: 0.0,
                    })
                }
                Task::Model { target, variant } => model(cell, &grounds[*target], variant, config),
            },
        )?;
        Ok(report(config, &grounds, &variants, &tasks, &found))
    }
}

fn off(x: &Points) -> f64 {
    let distance = |row: &[f64]| (row.iter().map(|v| v * v).sum::<f64>().sqrt() - 1.0).abs();
    x.rows().map(distance).sum::<f64>() / x.len() as f64
}

fn cloud(x: &Points) -> Vec<[f32; 2]> {
    x.rows().take(600).map(|row| [row[0] as f32, row[1] as f32]).collect()
}

fn look(ground: &Ground, model: &dyn Generator, step: u64, seed: Seed) -> Result<Look> {
    let x = model.generate(LOOKED, seed)?;
    let fresh = ground.reference().select(&(0..LOOKED.min(ground.n())).collect::<Vec<_>>());
    let log_density =
        model.log_density(&fresh).ok().map(|values| values.iter().sum::<f64>() / values.len() as f64);
    Ok(Look { step, off: off(&x), log_density: log_density.filter(|v| v.is_finite()) })
}

fn model(cell: &WorkCell<'_>, ground: &Ground, variant: &Variant, config: &ManifoldConfig) -> Result<Found> {
    let (context, source) = (cell.context(), ground.source()?);
    let budget = Budget {
        steps: config.steps,
        ema: Some(average(config.steps)),
        precision: Precision::Single,
        checkpoint_every: config.steps,
        ..Budget::default()
    };
    let seed = context.seed().named("looks");
    let mut looks: Vec<Look> = cell.noted().unwrap_or_default();
    let stops: Vec<u64> = (1..config.looks).map(|k| k * config.steps / config.looks).collect();
    let trained = context.train_in_stages(
        cell.name(),
        (variant.method, &variant.settings),
        context.train_config(&budget, context.seed_number()),
        &*source,
        &stops,
        |step, model| {
            looks.retain(|look| look.step < step);
            looks.push(look(ground, model, step, seed)?);
            cell.note(&looks)
        },
    )?;
    looks.push(look(ground, &*trained.model, config.steps, seed)?);
    let x = trained.model.generate(ground.n(), seed.named("generated"))?;
    let (cloud, evaluations) = (cloud(&x), trained.model.evaluations());
    Ok(Found { figures: ground.figures(x)?, looks, cloud, evaluations, seconds: trained.seconds })
}

fn report(
    config: &ManifoldConfig,
    grounds: &[Ground],
    variants: &[Variant],
    tasks: &[Task<'_>],
    found: &[Outcome<Found>],
) -> Report {
    let mut report = Report::new(format!(
        "The uniform law on a sphere has no density. What do {} methods make of it in {} steps?",
        variants.len(),
        config.steps
    ));
    let columns = [
        "target",
        "method",
        "W₂",
        "W₂ / floor",
        "score",
        "E | ‖x‖ − 1 |",
        "log-density halfway, nats",
        "log-density at the end, nats",
        "evaluations",
        "training, s",
    ];
    let mut table = Table::new("methods", "On and off the sphere", &columns);
    let (mut densities, mut offs, mut all_floors) = (Vec::new(), Vec::new(), Vec::new());
    for (t, ground) in grounds.iter().enumerate() {
        let floors: Vec<Figures> = tasks
            .iter()
            .zip(found)
            .filter_map(|(task, outcome)| match task {
                Task::Floor { target, .. } if *target == t => Some(outcome.done()?.figures),
                _ => None,
            })
            .collect();
        let floor = Figures::mean(&floors);
        all_floors.push(floor);
        let mut density =
            Panel::new(&ground.name, Axis::new("step"), Axis::new("mean log-density on the sphere, nats"));
        let mut distance = Panel::new(&ground.name, Axis::new("step"), Axis::log("E | ‖x‖ − 1 |"));
        for (k, variant) in variants.iter().enumerate() {
            let cell = tasks.iter().zip(found).find_map(|(task, outcome)| match task {
                Task::Model { target, variant: v } if *target == t && v.label == variant.label => {
                    Some(outcome)
                }
                _ => None,
            });
            let Some(outcome) = cell else { continue };
            let Some(found) = outcome.done() else {
                report.note(format!(
                    "{}, {}: {}",
                    ground.name,
                    variant.label,
                    outcome.failed().unwrap_or_default()
                ));
                continue;
            };
            let (half, last) = (found.looks.get(found.looks.len() / 2), found.looks.last());
            let over = found.figures.over(&floor);
            let at = |look: Option<&Look>| look.and_then(|look| look.log_density);
            table.push(vec![
                ground.name.as_str().into(),
                variant.label.as_str().into(),
                found.figures.w2.into(),
                over.w2.into(),
                over.worst().into(),
                last.map(|look| look.off).into(),
                at(half).into(),
                at(last).into(),
                found.evaluations.into(),
                found.seconds.into(),
            ]);
            let likelihood = LIKELIHOOD.contains(&variant.method.name());
            if let (Some(half), Some(last), true) = (at(half), at(last), likelihood) {
                let name = format!(
                    "{}, {}: log-density still grows in the second half, nats",
                    ground.name, variant.label
                );
                report.claim(Claim::new(name, last - half, Relation::Above, 0.0));
            }
            let color = Color::of_series(k);
            let dash = if k < 6 { Dash::Solid } else { Dash::Dashed };
            let xy = |of: &dyn Fn(&Look) -> Option<f64>| -> Vec<(f64, f64)> {
                found.looks.iter().filter_map(|look| Some((look.step as f64, of(look)?))).collect()
            };
            let curve = xy(&|look| look.log_density);
            if !curve.is_empty() {
                density = density.line(variant.label.as_str(), color, dash, curve);
            }
            distance = distance.line(variant.label.as_str(), color, dash, xy(&|look| Some(look.off)));
        }
        densities.push(density);
        offs.push(distance);
    }
    compare(&mut report, grounds, &all_floors, tasks, found);
    let caption = "A density on the space around the sphere can be made as large on it as one likes: the mean log-density of fresh points grows \
                   as long as training goes on, and says nothing of an end.";
    report.figure(Figure::new("likelihood", "Likelihood has no end", caption, densities));
    let caption = "The mean distance of generated points to the sphere along training.";
    report.figure(Figure::new("off", "How far off the sphere", caption, offs));
    if let Some(figure) = clouds(grounds, variants, tasks, found) {
        report.figure(figure);
    }
    report.table(table);
    report
}

/// What asks for no density of the target itself.
const WITHOUT: [&str; 8] =
    ["noise_denoise", "mmd", "energy", "sinkhorn", "sliced", "transport", "drift", "flow_matching"];

/// What the paper's conclusion says: the hurdle can be avoided.
fn compare(
    report: &mut Report,
    grounds: &[Ground],
    floors: &[Figures],
    tasks: &[Task<'_>],
    found: &[Outcome<Found>],
) {
    for (t, (ground, floor)) in grounds.iter().zip(floors).enumerate() {
        let models = tasks.iter().zip(found).filter_map(|(task, outcome)| match task {
            Task::Model { target, variant } if *target == t => Some((variant.method.name(), outcome.done()?)),
            _ => None,
        });
        let without = models.filter(|(name, _)| WITHOUT.contains(name));
        let least = without.map(|(_, found)| found.figures.w2 / floor.w2).fold(f64::INFINITY, f64::min);
        if least.is_finite() {
            let name = format!("{}: W₂ over its floor, the best of what asks for no density", ground.name);
            report.claim(Claim::at_most(name, least, 2.0));
        }
    }
}

fn clouds(
    grounds: &[Ground],
    variants: &[Variant],
    tasks: &[Task<'_>],
    found: &[Outcome<Found>],
) -> Option<Figure> {
    let plane = grounds.iter().position(|ground| ground.dim() == 2)?;
    let mut panels = Vec::new();
    for variant in variants {
        let cloud = tasks.iter().zip(found).find_map(|(task, outcome)| match task {
            Task::Model { target, variant: v } if *target == plane && v.label == variant.label => {
                Some(&outcome.done()?.cloud)
            }
            _ => None,
        });
        let Some(cloud) = cloud else { continue };
        let xy = cloud.iter().map(|p| (f64::from(p[0]), f64::from(p[1]))).collect();
        let axis = || Axis::new("").over(-1.5, 1.5);
        panels.push(Panel::new(variant.label.as_str(), axis(), axis()).equal().small().dots(
            "",
            Color::Orange,
            xy,
        ));
    }
    let caption = "Points of every method on the circle.";
    Some(Figure::new("samples", "Samples in the plane", caption, panels).in_rows_of(4))
        .filter(|_| !variants.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_to_the_unit_sphere() {
        let x = Points::from_rows(&[[1.0, 0.0], [0.0, 3.0]]);
        assert_eq!(off(&x), 1.0);
    }
}
