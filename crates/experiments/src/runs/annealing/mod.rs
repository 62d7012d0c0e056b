//! The paper's closing question: could the path of a diffusion make a better optimisation of a one-step map?

mod answer;
mod arms;
mod cell;
mod identity;

use super::ground::Ground;
use crate::cells::{self, Outcome};
use crate::context::Context;
use crate::failure::Result;
use crate::registry::Experiment;
use crate::report::Report;
use crate::spec;
use arms::{Arm, Objective, Shared, settings};
use cell::{Found, Trial, annealed, solved};
use models::methods::{AnyMethod, by_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Annealing of one-step maps, arm by arm.
pub struct Annealing;

/// How much the study may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnnealingBudget {
    /// Short runs: every loss on two targets, in 2 and in 16 dimensions, and two losses on one in 64.
    Quick,
    /// Every loss on four targets in 2, 16 and 64 dimensions.
    #[default]
    Full,
}

/// Settings of [`Annealing`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnnealingConfig {
    /// What the keys below stand for where they are null or empty: quick or full.
    pub budget: AnnealingBudget,
    /// What is annealed: none, target, kernel, target_and_kernel, reversed, shuffled, both_sides. None of them means all.
    pub arms: Vec<String>,
    /// The losses: d2, mmd, energy, sinkhorn, wgan_gp, r3gan. None of them means all.
    pub objectives: Vec<String>,
    /// The targets: named sets such as cross_polytope:dim=16.
    pub targets: Vec<String>,
    /// Further targets, on which only `more_objectives` are trained; null means those of the budget, none of them where
    /// `targets` are given.
    pub more_targets: Option<Vec<String>>,
    /// The losses on `more_targets`, of those in `objectives`.
    pub more_objectives: Vec<String>,
    /// Runs of each, with seeds of their own; arms of one seed begin with the same map and see the same draws.
    #[schemars(range(min = 2))]
    pub seeds: Option<u64>,
    /// Steps of every run, flow matching included.
    #[schemars(range(min = 10))]
    pub steps: Option<u64>,
    /// Points a step, on either side.
    #[schemars(range(min = 2))]
    pub batch: Option<usize>,
    /// Points generated, and points of the target they are compared with.
    #[schemars(range(min = 100))]
    pub n: Option<usize>,
    /// Rounds before the last one.
    #[schemars(range(min = 1))]
    pub rounds: usize,
    /// The part of the steps that the last round, against the data themselves, takes.
    #[schemars(range(min = 0, max = 1))]
    pub last_round: f64,
    /// How many times as wide the kernel is at first, where it is annealed.
    #[schemars(range(min = 1))]
    pub kernel: f64,
    /// Looks at every map, evenly over its training.
    #[schemars(range(min = 1))]
    pub looks: u64,
    /// Numbers of steps in which the flow is solved.
    pub flow_steps: Vec<usize>,
    /// Independent samples of a target that make up its floor.
    #[schemars(range(min = 1))]
    pub floors: u64,
}

impl Default for AnnealingConfig {
    fn default() -> Self {
        AnnealingConfig {
            budget: AnnealingBudget::Full,
            arms: Vec::new(),
            objectives: Vec::new(),
            targets: Vec::new(),
            more_targets: None,
            more_objectives: vec!["mmd".into(), "energy".into()],
            seeds: None,
            steps: None,
            batch: None,
            n: None,
            rounds: 20,
            last_round: 0.4,
            kernel: 10.0,
            looks: 8,
            flow_steps: vec![1, 2, 5, 10, 50, 100],
            floors: 5,
        }
    }
}

/// The same with nothing left open.
struct Plan {
    arms: Vec<Arm>,
    objectives: Vec<Objective>,
    targets: Vec<String>,
    /// How many of the targets have every loss; they come first.
    whole: usize,
    /// The losses of the others.
    few: Vec<Objective>,
    seeds: u64,
    steps: u64,
    n: usize,
    shared: Shared,
}

impl Plan {
    /// The losses that are trained on a target.
    fn losses(&self, target: usize) -> &[Objective] {
        if target < self.whole { &self.objectives } else { &self.few }
    }
}

impl AnnealingConfig {
    fn plan(&self) -> Result<Plan> {
        let quick = self.budget == AnnealingBudget::Quick;
        let arms: Vec<Arm> = self.arms.iter().map(|name| Arm::parse(name)).collect::<Result<_>>()?;
        let objectives: Vec<Objective> =
            self.objectives.iter().map(|name| Objective::parse(name)).collect::<Result<_>>()?;
        let (usual, further): (&[&str], &[&str]) = if quick {
            (&["eight_gaussians", "cross_polytope:dim=16"], &["cross_polytope:dim=64"])
        } else {
            (&["eight_gaussians", "grid_gaussians", "cross_polytope:dim=16", "cross_polytope:dim=64"], &[])
        };
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut targets = if self.targets.is_empty() { owned(usual) } else { self.targets.clone() };
        let whole = targets.len();
        targets.extend(match &self.more_targets {
            Some(names) => names.clone(),
            None if self.targets.is_empty() => owned(further),
            None => Vec::new(),
        });
        let objectives = if objectives.is_empty() { Objective::ALL.to_vec() } else { objectives };
        let mut few: Vec<Objective> =
            self.more_objectives.iter().map(|name| Objective::parse(name)).collect::<Result<_>>()?;
        few.retain(|objective| objectives.contains(objective));
        if self.flow_steps.is_empty() || self.flow_steps.contains(&0) {
            return Err(spec::Error::value("flow_steps", "a list", "numbers of at least 1").into());
        }
        let plan = Plan {
            arms: if arms.is_empty() { Arm::ALL.to_vec() } else { arms },
            objectives,
            targets,
            whole,
            few,
            seeds: self.seeds.unwrap_or(5),
            steps: self.steps.unwrap_or(if quick { 600 } else { 6000 }),
            n: self.n.unwrap_or(if quick { 1000 } else { 4000 }),
            shared: Shared {
                batch: self.batch.unwrap_or(if quick { 128 } else { 512 }),
                rounds: self.rounds,
                last_round: self.last_round,
                kernel: self.kernel,
            },
        };
        if !plan.arms.contains(&Arm::None) {
            let needs = "none among them, which the others are compared with";
            return Err(spec::Error::value("arms", self.arms.join(","), needs).into());
        }
        Ok(plan)
    }
}

/// What is done in one cell.
enum Task {
    Floor {
        target: usize,
        run: u64,
    },
    Map {
        target: usize,
        objective: Objective,
        arm: Arm,
        run: u64,
    },
    /// The same budget spent on a flow, or on a method that makes few steps of one.
    Flow {
        target: usize,
        method: &'static dyn AnyMethod,
        run: u64,
    },
}

impl Task {
    fn name(&self, targets: &[String]) -> String {
        let plain = |target: usize| cells::plain(&targets[target]);
        match self {
            Task::Floor { target, run } => format!("{}-floor-{run}", plain(*target)),
            Task::Map { target, objective, arm, run } => {
                format!("{}-{}-{}-{run}", plain(*target), objective.name(), arm.name())
            }
            Task::Flow { target, method, run } => format!("{}-{}-{run}", plain(*target), method.name()),
        }
    }
}

/// Flow matching, and a method that distils it where there is one.
fn flows() -> Vec<&'static dyn AnyMethod> {
    ["flow_matching", "distill"].iter().filter_map(|name| by_name(name).ok()).collect()
}

impl Experiment for Annealing {
    const NAME: &'static str = "annealing";
    const PAPER: &'static str = "section 4, closing question";
    const ABOUT: &'static str =
        "one map, one loss, data less noisy round by round: does it help, beside controls and flow matching?";
    const SHARED: bool = true;
    type Config = AnnealingConfig;

    fn run(context: &mut Context<'_>, config: &AnnealingConfig) -> Result<Report> {
        let plan = config.plan()?;
        let grounds: Vec<Ground> = plan
            .targets
            .iter()
            .map(|name| Ground::new(name, None, plan.n, context.seed().named("ground")))
            .collect::<Result<_>>()?;
        let tasks = tasks(config, &plan);
        let annealing = by_name("annealed")?;
        let found = cells::run(
            context,
            &tasks,
            |task| task.name(&plan.targets),
            |cell, task| {
                let seed = |run: u64| context.seed_number().wrapping_add(run);
                match task {
                    Task::Floor { target, run } => {
                        let ground = &grounds[*target];
                        let x = ground.truth(context.seed().named("floor").child(*run));
                        let figures = vec![(0, ground.figures(x)?)];
                        Ok(Found { figures, stages: Vec::new(), seconds: 0.0, diverged: None })
                    }
                    Task::Map { target, objective, arm, run } => {
                        let settings = settings(annealing.default_config(), *objective, *arm, &plan.shared);
                        let trial = Trial {
                            method: annealing,
                            settings,
                            steps: plan.steps,
                            seed: seed(*run),
                            looks: config.looks,
                        };
                        annealed(cell, &grounds[*target], &trial, &plan.shared)
                    }
                    Task::Flow { target, method, run } => {
                        let mut settings = method.default_config();
                        if settings.get("batch").is_some() {
                            settings["batch"] = json!(plan.shared.batch);
                        }
                        let trial = Trial {
                            method: *method,
                            settings,
                            steps: plan.steps,
                            seed: seed(*run),
                            looks: 1,
                        };
                        solved(cell, &grounds[*target], &trial, &config.flow_steps)
                    }
                }
            },
        )?;
        let identity = identity::check(context.seed().named("identity"))?;
        Ok(answer::report(&plan, &grounds, &tasks, &found, &identity))
    }
}

fn tasks(config: &AnnealingConfig, plan: &Plan) -> Vec<Task> {
    let mut tasks = Vec::new();
    // Seed by seed, so that a study that is looked at early has every arm.
    for run in 0..plan.seeds.max(config.floors) {
        for target in 0..plan.targets.len() {
            if run < config.floors {
                tasks.push(Task::Floor { target, run });
            }
            if run >= plan.seeds {
                continue;
            }
            for &objective in plan.losses(target) {
                let arms = plan.arms.iter().filter(|arm| objective.takes(**arm));
                tasks.extend(arms.map(|&arm| Task::Map { target, objective, arm, run }));
            }
            tasks.extend(flows().into_iter().map(|method| Task::Flow { target, method, run }));
        }
    }
    tasks
}

/// A cell that failed, as far as it has figures.
fn figures(outcome: &Outcome<Found>) -> Option<&Found> {
    outcome.done().filter(|found| !found.figures.is_empty())
}
