//! Continuous normalising flows: maximum likelihood through the solver.

use crate::adjoint::Backprop;
use crate::error::{Error, Result, check_count, check_range};
use crate::generators::{Divergence, FlowAbout, FlowModel, Generator, Rule, SamplerConfig, SolverConfig};
use crate::method::{Method, Moment, Setup};
use crate::methods::density::sweep::{Penalties, Sweep};
use crate::methods::flow::{PathConfig, Prediction};
use crate::nets::FieldConfig;
use crate::optim::{Adam, OptimConfig, Schedule};
use crate::persist::{Persist, Visitor};
use crate::rows::Rows;
use crate::scaler::Scaler;
use crate::source::Source;
use crate::tensor::{scalar, to_tensor};
use measures::rand::RngExt;
use measures::{Points, rand::Rng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

/// Ascent on E log p(X), X ~ μ₁, with p the law that a velocity carries N(0, I) to: log p(x) = log p₀(z) − ∫ ∇·v_t dt along
/// the trajectory that ends in x. R. T. Q. Chen et al. 2018, arXiv 1806.07366; with Hutchinson's estimate of the divergence
/// Grathwohl et al. 2019 (FFJORD), arXiv 1810.01367. Gradients go through the steps of the solver, so that they are those
/// of the discrete flow. The reported loss is −E log p in nats, in the coordinates of the data.
pub struct Cnf;

/// How the divergence of the velocity is found while training. The density of the trained model is always exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum TraceConfig {
    /// The sum of d derivatives: for few dimensions.
    Exact {},
    /// The mean over random probes u of uᵀ Dv u, without bias.
    Hutchinson {
        /// Probes of independent signs a point and step.
        probes: usize,
    },
}

/// Settings of `cnf`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CnfConfig {
    /// The network of the velocity; smooth non-linearities suit solvers.
    pub net: FieldConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// Target points a step.
    pub batch: usize,
    /// How the divergence of the velocity is found.
    pub divergence: TraceConfig,
    /// The solver while training. Too few steps for the learning rate let the velocity bend where the solver cannot follow: the
    /// loss falls, and a finer solver finds another law.
    pub train_solver: SolverConfig,
    /// Weight of the kinetic energy d⁻¹ ∫ E‖v‖² dt, which keeps trajectories straight, so that few steps follow them
    /// (arXiv 2002.02798). Like `jacobian` it needs a perceptron, a fixed number of steps in training, and the whole graph, and is to
    /// be 0 elsewhere.
    pub kinetic: f64,
    /// Weight of the mean square of derivatives d⁻¹ ∫ E‖Dv‖² dt, which keeps trajectories side by side alike.
    pub jacobian: f64,
    /// How gradients go back through the steps of that solver: with few steps their whole graph is the faster way.
    pub backprop: Backprop,
    /// How generation follows the velocity, and densities of the trained model are found.
    pub solver: SolverConfig,
    /// Whether the network works on data scaled to mean 0 and variance 1 in every coordinate.
    pub standardise: bool,
}

impl Default for CnfConfig {
    fn default() -> Self {
        let solver = |steps| SolverConfig { rule: Rule::Rk4, steps: Some(steps), ..SolverConfig::default() };
        CnfConfig {
            net: FieldConfig { widths: vec![64; 3], last_scale: 0.1, ..FieldConfig::default() },
            optim: OptimConfig {
                lr: 1e-3,
                clip: Some(10.0),
                schedule: Schedule::Cosine { floor: 0.01 },
                ..OptimConfig::default()
            },
            batch: 256,
            divergence: TraceConfig::Exact {},
            train_solver: solver(8),
            // The published weights; without them velocities bend where eight steps cannot follow.
            kinetic: 0.01,
            jacobian: 0.01,
            backprop: Backprop::default(),
            solver: solver(20),
            standardise: true,
        }
    }
}

/// The velocity and its optimiser.
pub struct CnfState {
    model: FlowModel,
    adam: Adam,
    sweep: Sweep,
}

impl Method for Cnf {
    const NAME: &'static str = "cnf";
    const ABOUT: &'static str = "maximum likelihood of a continuous normalising flow through the solver (arXiv 1806.07366, 1810.01367)";
    type Config = CnfConfig;
    type State = CnfState;

    fn init(c: &CnfConfig, target: &dyn Source, setup: &Setup) -> Result<CnfState> {
        check_count("batch", c.batch)?;
        if let TraceConfig::Hutchinson { probes } = c.divergence {
            check_count("divergence.probes", probes)?;
        }
        c.train_solver.ode::<Rows>()?;
        target.batch(c.batch, &mut setup.seed.rng())?;
        let about = FlowAbout {
            method: Cnf::NAME.to_owned(),
            net: c.net.clone(),
            path: PathConfig::Linear {},
            prediction: Prediction::Velocity,
            solver: c.solver,
            cut: 0.0,
            scaler: Scaler::of(target, c.standardise, setup.seed.named("scaler"))?,
            start: None,
            latent: None,
            sampler: SamplerConfig::default(),
            condition: None,
        };
        let model = FlowModel::new(about, setup)?;
        let adam = Adam::new(&c.optim, &model.params)?;
        let swept = c.backprop == Backprop::Whole && Sweep::of(&model, &c.train_solver).is_some();
        for (field, weight) in [("kinetic", c.kinetic), ("jacobian", c.jacobian)] {
            check_range(field, weight, 0.0.., "finite and not negative")?;
            if weight > 0.0 && !swept {
                let must = "0: it takes net.architecture = mlp, train_solver.steps and backprop = whole";
                return Err(Error::setting(field, weight, must));
            }
        }
        Ok(CnfState { model, adam, sweep: Sweep::default() })
    }

    fn step(c: &CnfConfig, s: &mut CnfState, target: &dyn Source, at: &Moment) -> Result<f64> {
        let scaler = &s.model.about().scaler;
        let x = scaler.standardise(target.batch(c.batch, &mut at.rng("target"))?);
        let volume = scaler.log_volume();
        let (kind, device) = s.model.params.options();
        let divergence = match c.divergence {
            TraceConfig::Exact {} => Divergence::Exact,
            TraceConfig::Hutchinson { probes } => {
                let mut rng = at.rng("probes");
                let draw = |_| signs(x.len(), x.dim(), kind, device, &mut rng);
                Divergence::Probes((0..probes).map(draw).collect::<Result<_>>()?)
            }
        };
        let x = to_tensor(&x, kind, device)?;
        if let (Backprop::Whole, Some(known)) = (c.backprop, Sweep::of(&s.model, &c.train_solver)) {
            let penalties = Penalties { kinetic: c.kinetic, jacobian: c.jacobian };
            let found = s.sweep.run(&s.model, known, &x, &divergence, penalties, s.adam.gradient())?;
            // What is added is no part of the likelihood, but must be finite as well.
            if (found.log_prob + found.penalty).is_finite() {
                s.adam.descend(&mut s.model.params, at.step, at.steps)?;
            }
            return Ok(volume - found.log_prob + 0.0 * found.penalty);
        }
        let loss = -s.model.mean_log_prob(&x, &c.train_solver, &divergence, c.backprop)?;
        let value = scalar(&loss)?;
        if value.is_finite() {
            s.adam.step(&mut s.model.params, &loss, at.step, at.steps)?;
        }
        Ok(value + volume)
    }

    fn generator(_: &CnfConfig, s: &CnfState) -> Result<Box<dyn Generator>> {
        Ok(Box::new(s.model.duplicate()?))
    }
}

/// n×d independent signs.
fn signs(n: usize, d: usize, kind: Kind, device: Device, rng: &mut dyn Rng) -> Result<tch::Tensor> {
    let points = Points::from_fn(n, d, |_, row| {
        row.iter_mut().for_each(|u| *u = if rng.random::<bool>() { 1.0 } else { -1.0 });
    });
    to_tensor(&points, kind, device)
}

impl Persist for CnfState {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("model", &mut self.model)?;
        v.part("adam", &mut self.adam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::Gradient;
    use crate::source::Draws;
    use crate::tensor::values;
    use measures::{Seed, zoo::Gaussian};

    fn wild(divergence: TraceConfig) -> (CnfConfig, CnfState) {
        let net = FieldConfig { widths: vec![8, 8], ..FieldConfig::default() };
        let config = CnfConfig { net, divergence, batch: 4, standardise: false, ..CnfConfig::default() };
        let target = Draws::new(Gaussian::standard(2), "plane");
        let setup = Setup { kind: Kind::Double, device: Device::Cpu, seed: Seed::new(7) };
        let mut state = Cnf::init(&config, &target, &setup).unwrap();
        let _guard = tch::no_grad_guard();
        let _ = state.model.params.flat_mut().g_mul_scalar_(2.0);
        (config, state)
    }

    fn points() -> tch::Tensor {
        tch::Tensor::from_slice(&[0.3, -0.7, 1.2, 0.4]).view([2, 2])
    }

    fn probes() -> Divergence {
        Divergence::Probes(vec![
            tch::Tensor::from_slice(&[1.0, -1.0, 1.0, 1.0]).view([2, 2]),
            tch::Tensor::from_slice(&[-1.0, -1.0, 1.0, -1.0]).view([2, 2]),
        ])
    }

    /// The gradient in the parameters is that of the discrete solve, divergence and all.
    #[test]
    fn gradients_through_the_solver_agree_with_differences() {
        let (config, mut state) = wild(TraceConfig::Exact {});
        for divergence in [Divergence::Exact, probes()] {
            let ode = config.train_solver.ode().unwrap();
            let value = |s: &CnfState, graph| {
                s.model.log_prob(&points(), &ode, &divergence, graph).unwrap().sum(Kind::Double)
            };
            let gradient =
                values(&state.model.params.gradient(&value(&state, true), false).unwrap()).unwrap();
            for k in (0..gradient.len()).step_by(7) {
                let mut at = |shift: f64| {
                    {
                        let _guard = tch::no_grad_guard();
                        let _ = state.model.params.flat_mut().get(k as i64).g_add_scalar_(shift);
                    }
                    let found = scalar(&value(&state, false)).unwrap();
                    let _guard = tch::no_grad_guard();
                    let _ = state.model.params.flat_mut().get(k as i64).g_add_scalar_(-shift);
                    found
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((difference - gradient[k]).abs() < 1e-6, "{k}: {difference} {}", gradient[k]);
            }
        }
    }

    /// The sweep without a graph has value and gradient of the graph; with penalties, the gradient of differences.
    #[test]
    fn sweeps_agree_with_the_graph() {
        let (config, mut state) = wild(TraceConfig::Exact {});
        let rules = [Rule::Euler, Rule::Midpoint, Rule::Rk4, Rule::DormandPrince, Rule::Dop853];
        let mut sweep = Sweep::default();
        let mut gradient = Gradient::zeros(&state.model.params).unwrap();
        let mut swept = |s: &CnfState, solver: &SolverConfig, divergence: &Divergence, penalties| {
            let known = Sweep::of(&s.model, solver).unwrap();
            let found = sweep.run(&s.model, known, &points(), divergence, penalties, &mut gradient).unwrap();
            (found, values(gradient.flat()).unwrap())
        };
        let none = Penalties { kinetic: 0.0, jacobian: 0.0 };
        for rule in rules {
            let solver = SolverConfig { rule, steps: Some(3), ..config.train_solver };
            for divergence in [Divergence::Exact, probes()] {
                let (found, ours) = swept(&state, &solver, &divergence, none);
                let loss =
                    -state.model.mean_log_prob(&points(), &solver, &divergence, Backprop::Whole).unwrap();
                let expected = values(&state.model.params.gradient(&loss, false).unwrap()).unwrap();
                let scale = expected.iter().fold(0.0f64, |m, g| m.max(g.abs()));
                let gap = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!((found.log_prob + scalar(&loss).unwrap()).abs() < 1e-12, "{rule:?}");
                assert!(gap < 1e-12 * scale && found.penalty == 0.0, "{rule:?}: {gap:e} of {scale}");
            }
        }
        let penalties = Penalties { kinetic: 0.7, jacobian: 0.3 };
        for divergence in [Divergence::Exact, probes()] {
            let (found, ours) = swept(&state, &config.train_solver, &divergence, penalties);
            assert!(found.penalty > 0.0);
            for k in (0..ours.len()).step_by(7) {
                let mut at = |shift: f64| {
                    {
                        let _guard = tch::no_grad_guard();
                        let _ = state.model.params.flat_mut().get(k as i64).g_add_scalar_(shift);
                    }
                    let (found, _) = swept(&state, &config.train_solver, &divergence, penalties);
                    let _guard = tch::no_grad_guard();
                    let _ = state.model.params.flat_mut().get(k as i64).g_add_scalar_(-shift);
                    found.penalty - found.log_prob
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((difference - ours[k]).abs() < 1e-6, "{k}: {difference} {}", ours[k]);
            }
        }
    }

    /// Checkpoints change memory and time, and no gradient.
    #[test]
    fn checkpoints_have_the_gradient_of_the_whole_graph() {
        let (config, state) = wild(TraceConfig::Exact {});
        let u = tch::Tensor::from_slice(&[1.0, -1.0, 1.0, 1.0]).view([2, 2]);
        let adaptive = SolverConfig { rule: Rule::DormandPrince, steps: None, rtol: 1e-6, atol: 1e-6 };
        for solver in [config.train_solver, SolverConfig { steps: Some(23), ..config.train_solver }, adaptive]
        {
            for divergence in [Divergence::Exact, Divergence::Probes(vec![u.shallow_clone()])] {
                let of = |backprop| {
                    let loss = state.model.mean_log_prob(&points(), &solver, &divergence, backprop).unwrap();
                    (
                        scalar(&loss).unwrap(),
                        values(&state.model.params.gradient(&loss, false).unwrap()).unwrap(),
                    )
                };
                let ((a, whole), (b, kept)) = (of(Backprop::Whole), of(Backprop::Checkpoints));
                let scale = whole.iter().fold(0.0f64, |m, g| m.max(g.abs()));
                let gap = whole.iter().zip(&kept).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!((a - b).abs() < 1e-12 && gap < 1e-12 * scale, "{solver:?}: {gap:e} of {scale}");
            }
        }
    }

    /// With many steps the density is that of eq. (4) for the map the solver makes, by differences of that map.
    #[test]
    fn the_density_is_that_of_the_map() {
        let (_, state) = wild(TraceConfig::Exact {});
        let model = &state.model;
        let x = Points::from_rows(&[[0.3, -0.7], [1.2, 0.4]]);
        let found = model.log_density_of(&x).unwrap();
        let back = |x: &Points| model.carry(x, true).unwrap();
        let z = back(&x);
        let h = 1e-5;
        let column = |k: usize| {
            let moved = |h: f64| {
                let mut y = x.clone();
                y.rows_mut().for_each(|row| row[k] += h);
                back(&y)
            };
            let (plus, minus) = (moved(h), moved(-h));
            let slope = |i: usize, r: usize| (plus.row(i)[r] - minus.row(i)[r]) / (2.0 * h);
            [[slope(0, 0), slope(0, 1)], [slope(1, 0), slope(1, 1)]]
        };
        let (first, second) = (column(0), column(1));
        for i in 0..2 {
            let det = first[i][0] * second[i][1] - first[i][1] * second[i][0];
            let base = -0.5 * z.row(i).iter().map(|v| v * v).sum::<f64>() - std::f64::consts::TAU.ln();
            assert!(
                (base + det.abs().ln() - found[i]).abs() < 1e-5,
                "{} {}",
                base + det.abs().ln(),
                found[i]
            );
        }
        assert!(model.log_density_of(&Points::zeros(1, 3)).is_err());
    }
}
