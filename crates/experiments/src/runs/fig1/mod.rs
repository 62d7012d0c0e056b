//! Figure 1 of the paper: N(0, 1) is mapped to the uniform law on [0, 1] by the mean formulation D₂ over ten frequencies.
//!
//! Many maps do that. Their law is all the loss sees, and φ∘T has the law of φ whenever T keeps N(0, 1). Which one is found
//! is the work of the first parameters: small ones (uniform on ±1/√(fan in), PyTorch's default) make a map that is close
//! to affine, hence monotone; steepest descent moves x = φ(z) with a velocity that depends on x alone, which keeps the
//! order of points; so the map found is the increasing one, the distribution function, or the decreasing one, its
//! reflection. First parameters four times as large begin with a map that folds, and end in another solution.

mod draw;
mod fit;
mod judge;

use crate::context::{Budget, Context, Trained};
use crate::failure::Result;
use crate::figure::number;
use crate::registry::Experiment;
use crate::report::{Claim, Report, Table};
use crate::spec;
use fit::{FitConfig, MatchUniform};
use judge::{Judgement, Way};
use measures::Points;
use measures::zoo::UniformBox;
use models::nets::{Activation, InitScheme, MlpConfig, Output};
use models::optim::{OptimConfig, Schedule};
use models::{Draws, Generator, MapConfig, Precision, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The paper's Figure 1.
pub struct Fig1;

/// Settings of [`Fig1`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fig1Config {
    /// Repetitions, with the seeds seed, seed + 1, …; the claims are about the worst of them.
    #[schemars(range(min = 1, max = 1000))]
    pub seeds: u64,
    /// The family is e^{2πikx} for k = 1, …, frequencies.
    #[schemars(range(min = 1, max = 1000))]
    pub frequencies: u32,
    /// Steps of Adam.
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// Draws of noise, and of the target, a step.
    #[schemars(range(min = 2))]
    pub batch: usize,
    /// The learning rate at the start; it falls to 0 along half a cosine.
    pub rate: f64,
    /// Decay of the moving average of parameters that makes the map.
    pub ema: f64,
    /// Neurons in each hidden layer.
    pub widths: Vec<usize>,
    /// Draws by which the finished map is judged.
    #[schemars(range(min = 1000, max = 100_000_000))]
    pub fresh: usize,
    /// Whether to train another solution too, from large first parameters.
    pub other: bool,
    /// The factor on the first parameters of that other solution.
    #[schemars(range(min = 0))]
    pub other_gain: f64,
}

impl Default for Fig1Config {
    fn default() -> Self {
        Fig1Config {
            seeds: 1,
            frequencies: 10,
            steps: 3000,
            batch: 1024,
            rate: 0.01,
            ema: 0.998,
            widths: vec![64, 64],
            fresh: 1_000_000,
            other: true,
            other_gain: 4.0,
        }
    }
}

/// Attempts at another solution: nearly every first one succeeds.
const ATTEMPTS: u64 = 3;
/// A map farther than this from the distribution function and from its reflection is another solution.
const ANOTHER: f64 = 0.1;

impl Experiment for Fig1 {
    const NAME: &'static str = "fig1";
    const PAPER: &'static str = "section 2, Figure 1";
    const ABOUT: &'static str =
        "N(0, 1) to the uniform law by D₂ over ten frequencies: the map found, and others that do as well";
    type Config = Fig1Config;

    fn run(context: &mut Context<'_>, config: &Fig1Config) -> Result<Report> {
        let mut runs = Vec::new();
        for k in 0..config.seeds {
            let seed = context.seed_number().wrapping_add(k);
            let trained = train(context, config, &format!("seed-{seed}"), seed, 1.0)?;
            let judged = judge::judge(trained.model.as_ref(), config, context.seed().child(k))?;
            runs.push((seed, trained, judged));
            context.check_stop()?;
        }
        let other = if config.other { another(context, config)? } else { None };
        let lost = judge::unseen(config.frequencies)?;
        let mut report = Report::new(format!(
            "Does descent on D₂, which compares a law with the uniform one on [0, 1] by {} frequencies, learn a map that takes \
             N(0, 1) there, and which?",
            config.frequencies
        ));
        claims(&mut report, &runs, other.as_ref(), &lost);
        notes(&mut report, config, &runs, other.as_ref(), &lost);
        report.table(table(&runs, other.as_ref(), &lost));
        let (_, first, judged) = &runs[0];
        report.figure(draw::map(first.model.as_ref(), judged)?);
        report.figure(draw::loss(config, &first.history));
        report.figure(draw::law(judged));
        if let Some((trained, judged)) = &other {
            report.figure(draw::other(trained.model.as_ref(), judged)?);
        }
        report.figure(draw::unseen(config.frequencies));
        first.model.save(&context.path("model.safetensors"))?;
        report.artifact("model.safetensors", "the map of the first seed, for the experiment sample");
        Ok(report)
    }
}

fn train(context: &Context<'_>, config: &Fig1Config, name: &str, seed: u64, gain: f64) -> Result<Trained> {
    for (key, value, fits) in [
        ("rate", config.rate, config.rate > 0.0),
        ("ema", config.ema, (0.0..1.0).contains(&config.ema)),
        ("other_gain", config.other_gain, config.other_gain > 0.0),
    ] {
        if !(fits && value.is_finite()) {
            let needs = if key == "ema" { "a number, at least 0 and below 1" } else { "a number above 0" };
            return Err(spec::Error::value(key, value, needs).into());
        }
    }
    let net = MlpConfig {
        widths: config.widths.clone(),
        activation: Activation::Tanh,
        init: InitScheme::Torch,
        output: Output::Sigmoid {},
        ..MlpConfig::default()
    };
    let fit = FitConfig {
        map: MapConfig { latent_dim: Some(1), net, standardise: false, ..MapConfig::default() },
        optim: OptimConfig {
            lr: config.rate,
            schedule: Schedule::Cosine { floor: 0.0 },
            ..OptimConfig::default()
        },
        batch: config.batch,
        frequencies: config.frequencies,
        gain,
    };
    let budget = Budget {
        steps: config.steps,
        ema: Some(config.ema),
        precision: Precision::Single,
        log_every: 25,
        checkpoint_every: 1000,
        wall_seconds: None,
    };
    let target = Draws::new(UniformBox::new(vec![0.0], vec![1.0])?, "uniform");
    context.train::<MatchUniform>(name, fit, context.train_config(&budget, seed), &target)
}

/// A solution that is neither the distribution function nor its reflection, if one of a few attempts finds it.
fn another(context: &Context<'_>, config: &Fig1Config) -> Result<Option<(Trained, Judgement)>> {
    let mut last = None;
    for k in 0..ATTEMPTS {
        let seed = context.seed_number().wrapping_add(k);
        let trained = train(context, config, &format!("other-{seed}"), seed, config.other_gain)?;
        let judged = judge::judge(trained.model.as_ref(), config, context.seed().named("other").child(k))?;
        let found = judged.distance >= ANOTHER;
        last = Some((trained, judged));
        if found {
            break;
        }
    }
    Ok(last)
}

type Run = (u64, Trained, Judgement);

fn claims(report: &mut Report, runs: &[Run], other: Option<&(Trained, Judgement)>, lost: &Judgement) {
    let worst = |value: fn(&Judgement) -> f64| {
        // NaN must win: a run that went wrong is the worst.
        runs.iter().map(|(_, _, j)| value(j)).fold(0.0, |a: f64, v| if v.is_nan() || v > a { v } else { a })
    };
    let of = if runs.len() == 1 { String::new() } else { format!(", worst of {} seeds", runs.len()) };
    let way = match runs {
        [(_, _, judged)] => judged.way.words().to_owned(),
        _ => "the distribution function or its reflection".into(),
    };
    report.claim(Claim::at_most(
        format!("sup-distance of φ to {way} on [−2.5, 2.5]{of}"),
        worst(|j| j.distance),
        0.01,
    ));
    report.claim(Claim::at_most(format!("D₂² of φ(Z), unbiased, fresh draws{of}"), worst(|j| j.d2), 1e-5));
    report.claim(Claim::at_most(
        format!("Wasserstein-1 of φ(Z) to the uniform law{of}"),
        worst(|j| j.w1),
        0.005,
    ));
    if let Some((_, judged)) = other {
        let name = "another solution: sup-distance to the distribution function and to its reflection";
        report.claim(Claim::at_least(name, judged.distance, ANOTHER));
        report.claim(Claim::at_most("another solution: D₂², unbiased, fresh draws", judged.d2, 1e-4));
    }
    let name =
        format!("D₂² of the density 1 + cos {}πx, which the family does not see", 2 * (lost.frequencies + 1));
    report.claim(Claim::at_most(name, lost.d2, 1e-9));
}

fn notes(
    report: &mut Report,
    config: &Fig1Config,
    runs: &[Run],
    other: Option<&(Trained, Judgement)>,
    lost: &Judgement,
) {
    let rising = runs.iter().filter(|(_, _, j)| j.way == Way::Rising).count();
    let found = match runs {
        [(_, _, judged)] => format!("The map is close to {}.", judged.way.words()),
        _ => format!(
            "Of {} maps, {rising} are closer to the distribution function Φ and {} to its reflection 1 − Φ.",
            runs.len(),
            runs.len() - rising
        ),
    };
    report.note(format!(
        "{found} Both Φ and 1 − Φ push N(0, 1) to the uniform law; which is found depends on the sign of the first map."
    ));
    report.note(
        "How the map is made to be monotone: by its first parameters alone, uniform on ±1/√(fan in). They make a map that is \
         close to affine. Descent moves each point x = φ(z) with a velocity that depends on x and not on z, so points do \
         not overtake one another, and a map that begins in order ends in order.",
    );
    if let Some((_, judged)) = other {
        report.note(format!(
            "Another solution, from first parameters {} times as large: D₂² = {}, sup-distance {}. The loss cannot tell it \
             from Φ, since it sees the law of φ(Z) and nothing else, and φ∘T has the law of φ for every T that keeps N(0, 1).",
            config.other_gain,
            number(judged.d2, 2),
            number(judged.distance, 2)
        ));
    }
    report.note(format!(
        "{} frequencies do not separate laws: the density 1 + cos {}πx on [0, 1] has D₂ = 0 to the uniform one, and Wasserstein \
         distance {:.4}. Nor would the family see a map onto the whole line that wraps round: its functions have period 1, \
         which is why φ ends in a sigmoid.",
        lost.frequencies,
        2 * (lost.frequencies + 1),
        lost.w1
    ));
    for (seed, trained, _) in runs {
        if let Status::Diverged { at, restored } = trained.outcome.status {
            report.note(format!(
                "Seed {seed}: the loss was not finite at step {at}; judged is the map of step {restored}."
            ));
        }
    }
}

fn table(runs: &[Run], other: Option<&(Trained, Judgement)>, lost: &Judgement) -> Table {
    let columns = ["map", "seed", "closest to", "sup-distance", "D2 squared", "W1", "seconds"];
    let mut table = Table::new("runs", "All runs", &columns);
    for (seed, trained, judged) in runs {
        table.push(vec![
            "default start".into(),
            (*seed).into(),
            judged.way.words().into(),
            judged.distance.into(),
            judged.d2.into(),
            judged.w1.into(),
            trained.outcome.seconds.into(),
        ]);
    }
    if let Some((trained, judged)) = other {
        table.push(vec![
            "large start".into(),
            None::<f64>.into(),
            judged.way.words().into(),
            judged.distance.into(),
            judged.d2.into(),
            judged.w1.into(),
            trained.outcome.seconds.into(),
        ]);
    }
    let name = format!("none: density 1 + cos {}πx", 2 * (lost.frequencies + 1));
    let none = || None::<f64>.into();
    table.push(vec![name.into(), none(), none(), none(), lost.d2.into(), lost.w1.into(), none()]);
    table
}

/// φ at points of the line.
fn values(model: &dyn Generator, z: Vec<f64>) -> Result<Vec<f64>> {
    let undefined = models::Error::Undefined { what: "the map", why: "this model is not one" };
    let map = model.map().ok_or(undefined)?;
    Ok(map.apply(&Points::from_line(z))?.into_vec())
}
