//! Kantorovich's problem, solved once between large samples, as a regression target.

use crate::bridge::regression;
use crate::error::{Error, Result, check_count};
use crate::generators::{Generator, MapConfig, OneStep};
use crate::method::{Method, Moment, Setup};
use crate::optim::{Adam, OptimConfig, Schedule};
use crate::persist::{Persist, Visitor};
use crate::scaler::Scaler;
use crate::source::{Source, overview};
use crate::tensor::{scalar, to_tensor};
use divergences::neighbours::NearestNeighbours;
use divergences::transport::{NormPower, solve};
use measures::rand::RngExt;
use measures::{Coupling, Empirical, Measure, Points, Sample, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Regresses φ on an optimal plan for the cost ½‖z − y‖² between noise and target: φ(z) is the mean of what the plan sends
/// z to, in the limit Brenier's map.
///
/// The plan is solved once, exactly, between `pairs` points of each. With `semi_discrete` only its potentials g are kept:
/// ever new noise is sent to the target point that minimises ½‖z − y_j‖² − g_j, so that the map is asked for everywhere
/// and the boundaries between modes never move. Perrot, Courty, Flamary and Habrard 2016 (*Mapping estimation for
/// discrete optimal transport*) for the regression; Genevay, Cuturi, Peyré and Bach 2016, arXiv 1605.08527, for the
/// semi-discrete dual.
///
/// With cells of the noise (`map.cells`, the default) the plan is solved in two steps: between the noise and the clusters of
/// the data, exactly where it jumps, and then within each cell.
pub struct Transport;

/// Settings of `transport`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TransportConfig {
    /// The map; its noise has the dimension of the data. One cell at most for 256 rows of the data.
    pub map: MapConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Pairs a step.
    pub batch: usize,
    /// Points of noise, and of the target, between which the plan is solved; at most the rows of the data.
    pub pairs: usize,
    /// Whether new noise is drawn at every step and sent along the potentials; else the solved pairs are all there is.
    pub semi_discrete: bool,
}

impl Default for TransportConfig {
    fn default() -> Self {
        TransportConfig {
            map: MapConfig { cells: 256, ..MapConfig::default() },
            optim: OptimConfig {
                lr: 4e-3,
                schedule: Schedule::Cosine { floor: 0.0 },
                ..OptimConfig::default()
            },
            batch: 1024,
            pairs: 40_000,
            semi_discrete: false,
        }
    }
}

/// A map, its optimiser, and the plan, which is a function of settings, target and seed, and so solved again on resume.
pub struct TransportState {
    map: OneStep,
    adam: Adam,
    plan: Plan,
}

enum Plan {
    /// Noise, and what it is sent to.
    Pairs(Points, Points),
    /// The target points that a cell's noise is sent to, one part a cell; one for all where the noise is not cut.
    Potentials(Vec<Laguerre>),
}

/// The map z ↦ y_j with the least ½‖z − y_j‖² − g_j, by nearest neighbours in one dimension more:
/// ‖z − y_j‖² − 2g_j + 2 max g is the squared distance between (z, 0) and (y_j, √(2 max g − 2g_j)).
struct Laguerre {
    points: Points,
    lifted: NearestNeighbours,
}

impl Laguerre {
    fn new(points: Points, potentials: &[f64]) -> Result<Self> {
        let d = points.dim();
        let highest = potentials.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let lifted = Points::from_fn(points.len(), d + 1, |j, row| {
            row[..d].copy_from_slice(points.row(j));
            row[d] = (2.0 * (highest - potentials[j])).sqrt();
        });
        Ok(Laguerre { points, lifted: NearestNeighbours::new(lifted)? })
    }

    fn send(&self, z: &Points) -> Result<Points> {
        let d = z.dim();
        let flat = Points::from_fn(z.len(), d + 1, |i, row| row[..d].copy_from_slice(z.row(i)));
        let found = self.lifted.query(&flat, 1)?;
        let indices: Vec<usize> = (0..z.len()).map(|i| found.indices(i)[0]).collect();
        Ok(self.points.select(&indices))
    }
}

/// Rows of the data a cell at least, more than any cells ask for: every row is the answer to some noise, and a network that
/// has few of them to a cell learns each by heart (docs/models.md).
const ROWS_A_CELL: usize = 256;

/// Rows by label, for the labels below `parts`.
fn by_label(labels: &[usize], parts: usize) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); parts];
    labels.iter().enumerate().for_each(|(i, &l)| rows[l].push(i));
    rows
}

/// Batches of noise that are drawn to fill cells before a rare one is taken as it is.
const BATCHES: usize = 100;

/// The data of each cluster with as much noise of its cell. Without cells there is one part.
fn parts(map: &OneStep, y: Points, seed: Seed) -> Vec<(Points, Points)> {
    let draw = |batch| map.noise().sample(y.len(), &mut seed.stream(batch));
    let Some(cells) = map.cells() else { return vec![(draw(0), y)] };
    let data: Vec<Points> =
        by_label(&cells.of_data(&y), cells.len()).iter().map(|rows| y.select(rows)).collect();
    let mut noise = vec![Points::zeros(0, y.dim()); cells.len()];
    for batch in 0..BATCHES as u64 {
        let z = draw(batch);
        for ((kept, rows), want) in
            noise.iter_mut().zip(by_label(&cells.of_noise(&z), cells.len())).zip(&data)
        {
            let missing = want.len() - kept.len();
            let more = z.select(&rows[..rows.len().min(missing)]);
            *kept = kept.concat(&more).unwrap_or_else(|_| unreachable!("both are of the noise's dimension"));
        }
        if noise.iter().zip(&data).all(|(z, y)| z.len() == y.len()) {
            break;
        }
    }
    noise.into_iter().zip(data).collect()
}

impl Method for Transport {
    const NAME: &'static str = "transport";
    const ABOUT: &'static str =
        "regression on an optimal plan between noise and data (Kantorovich; arXiv 1605.08527)";
    type Config = TransportConfig;
    type State = TransportState;

    fn init(config: &TransportConfig, target: &dyn Source, setup: &Setup) -> Result<TransportState> {
        check_count("batch", config.batch)?;
        check_count("pairs", config.pairs)?;
        let scaler = Scaler::of(target, config.map.standardise, setup.seed.named("scaler"))?;
        let mut map = config.map.clone();
        map.cells = map.cells.min(target.len().map_or(usize::MAX, |rows| (rows / ROWS_A_CELL).max(1)));
        let map = OneStep::new(&map, scaler, Transport::NAME, target, setup)?;
        let (noise, dim) = (map.noise(), map.scaler().dim());
        if noise.dim() != dim {
            let must = format!("{dim}, the dimension of the data: the cost is a distance");
            return Err(Error::setting("map.latent_dim", noise.dim(), must));
        }
        let y = map.scaler().standardise(overview(target, config.pairs, setup.seed.named("plan data"))?);
        let cost = NormPower::half_squared_euclidean();
        let (mut pairs, mut potentials) = ((Points::zeros(0, dim), Points::zeros(0, dim)), Vec::new());
        for (z, y) in parts(&map, y, setup.seed.named("plan noise")) {
            if y.is_empty() {
                // Another sample made the cells, and found a point here. The noise goes to the nearest of all: its centre.
                let centre = map.cells().map(|cells| cells.centre(potentials.len()));
                let Some(centre) = centre else { unreachable!("an overview is never empty") };
                potentials.push(Laguerre::new(centre, &[0.0])?);
                continue;
            }
            if z.is_empty() {
                potentials.push(Laguerre::new(y.clone(), &vec![0.0; y.len()])?);
                continue;
            }
            let (mu, nu) = (Empirical::uniform(z)?, Empirical::uniform(y)?);
            let solved = solve(&mu, &nu, &cost)?;
            potentials.push(Laguerre::new(nu.points().clone(), &solved.potentials.target)?);
            if !config.semi_discrete {
                let y = sent(&solved.plan, nu.points())?;
                pairs = (pairs.0.concat(mu.points())?, pairs.1.concat(&y)?);
            }
        }
        let plan =
            if config.semi_discrete { Plan::Potentials(potentials) } else { Plan::Pairs(pairs.0, pairs.1) };
        let adam = Adam::new(&config.optim, &map.params)?;
        Ok(TransportState { map, adam, plan })
    }

    fn step(
        config: &TransportConfig,
        state: &mut TransportState,
        _: &dyn Source,
        at: &Moment,
    ) -> Result<f64> {
        let mut rng = at.rng("pairs");
        let (z, y) = match &state.plan {
            Plan::Pairs(z, y) => {
                let picks: Vec<usize> = (0..config.batch).map(|_| rng.random_range(0..z.len())).collect();
                (z.select(&picks), y.select(&picks))
            }
            Plan::Potentials(parts) => {
                let z = state.map.noise().sample(config.batch, &mut rng);
                let y = match state.map.cells() {
                    None => parts[0].send(&z)?,
                    Some(cells) => {
                        let mut y = Points::zeros(z.len(), z.dim());
                        let rows = by_label(&cells.of_noise(&z), parts.len());
                        for (part, rows) in parts.iter().zip(rows).filter(|(_, rows)| !rows.is_empty()) {
                            let sent = part.send(&z.select(&rows))?;
                            rows.iter()
                                .zip(sent.rows())
                                .for_each(|(&i, to)| y.row_mut(i).copy_from_slice(to));
                        }
                        y
                    }
                };
                (z, y)
            }
        };
        let (kind, device) = state.map.params.options();
        let x = state.map.forward(&to_tensor(&z, kind, device)?);
        let loss = regression(&x, &to_tensor(&y, kind, device)?)?;
        let value = scalar(&loss)?;
        if value.is_finite() {
            state.adam.step(&mut state.map.params, &loss, at.step, at.steps)?;
        }
        Ok(value)
    }

    fn generator(_: &TransportConfig, state: &TransportState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(state.map.duplicate()?))
    }
}

/// What the plan sends each source point to: the mean, which for a permutation is the one point (to round-off).
fn sent(plan: &Coupling, y: &Points) -> Result<Points> {
    Ok(plan.barycentric_map(y)?)
}

impl Persist for TransportState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("map", &mut self.map)?;
        v.part("adam", &mut self.adam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Law;
    use crate::source::Data;
    use measures::zoo::Gaussian;

    #[test]
    fn the_lifted_search_is_the_laguerre_cell() {
        let mut rng = Seed::new(5).rng();
        let noise = crate::Noise::new(Law::Gaussian, 2).unwrap();
        let (y, z) = (noise.sample(200, &mut rng), noise.sample(300, &mut rng));
        let g: Vec<f64> = (0..200).map(|_| rng.random::<f64>()).collect();
        let sent = Laguerre::new(y.clone(), &g).unwrap().send(&z).unwrap();
        for i in 0..300 {
            let cost = |j: usize| {
                0.5 * z.row(i).iter().zip(y.row(j)).map(|(a, b)| (a - b).powi(2)).sum::<f64>() - g[j]
            };
            let best = (0..200).min_by(|&a, &b| cost(a).total_cmp(&cost(b))).unwrap();
            assert_eq!(sent.row(i), y.row(best));
        }
    }

    #[test]
    fn on_the_solved_sample_the_potentials_give_the_plan_back() {
        let mut rng = Seed::new(6).rng();
        let noise = crate::Noise::new(Law::Gaussian, 2).unwrap();
        let mu = Empirical::uniform(noise.sample(100, &mut rng)).unwrap();
        let nu = Empirical::uniform(noise.sample(100, &mut rng)).unwrap();
        let solved = solve(&mu, &nu, &NormPower::half_squared_euclidean()).unwrap();
        let laguerre = Laguerre::new(nu.points().clone(), &solved.potentials.target).unwrap();
        let (a, b) = (sent(&solved.plan, nu.points()).unwrap(), laguerre.send(mu.points()).unwrap());
        // Every pair of the plan is tight; so are other pairs, and the search may take any of them: what it takes has the
        // least reduced cost, which is the source's potential.
        for i in 0..100 {
            let reduced = |y: &[f64]| {
                let same = |row: &[f64]| row.iter().zip(y).all(|(a, b)| (a - b).abs() < 1e-12);
                let j = nu.points().rows().position(same).unwrap();
                let square: f64 = mu.points().row(i).iter().zip(y).map(|(a, b)| (a - b).powi(2)).sum();
                0.5 * square - solved.potentials.target[j]
            };
            assert!((reduced(a.row(i)) - reduced(b.row(i))).abs() < 1e-12, "{i}");
            assert!((reduced(b.row(i)) - solved.potentials.source[i]).abs() < 1e-12, "{i}");
        }
    }

    #[test]
    fn few_rows_make_few_cells() {
        let cells = |rows: usize| {
            let target = Data::new(Gaussian::standard(2).sample(rows, &mut Seed::new(7).rng())).unwrap();
            let setup = Setup { kind: tch::Kind::Double, device: tch::Device::Cpu, seed: Seed::new(8) };
            let state = Transport::init(&TransportConfig::default(), &target, &setup).unwrap();
            state.map.cells().unwrap().len()
        };
        assert_eq!([100, 600, 1100].map(cells), [1, 2, 4]);
    }
}
