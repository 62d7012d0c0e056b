//! Real images, conditional on what they show.

mod draw;

use super::fit;
use super::method::Choice;
use super::neighbours::{agreement, nearest};
use super::rows::shuffled;
use crate::context::{Budget, Context};
use crate::data::{Digits, Error, write_npy};
use crate::failure::{Failure, Result};
use crate::figure::number;
use crate::registry::Experiment;
use crate::report::{Claim, Report, Table};
use divergences::Divergence;
use divergences::quality::{memorisation, precision_recall};
use divergences::transport::Wasserstein;
use measures::{Empirical, Points, Seed};
use models::{Labelled, Precision};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;

/// Handwritten digits of 8×8 pixels, drawn on demand.
pub struct DigitImages;

/// Settings of [`DigitImages`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DigitsConfig {
    /// What is trained: a method that takes labels, and its settings.
    pub method: Choice,
    /// Steps of the optimiser.
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// The factors of guidance that are compared; 1 is the conditional model itself.
    pub guidance: Vec<f64>,
    /// Images drawn of each digit at each factor.
    #[schemars(range(min = 10))]
    pub per_digit: usize,
    /// The part of the images that is held out for judging.
    #[schemars(range(min = 0.1, max = 0.5))]
    pub test: f64,
    /// Decay of the moving average of parameters that generates; null generates with the last parameters.
    pub ema: Option<f64>,
    /// Steps between two checkpoints.
    #[schemars(range(min = 1))]
    pub checkpoint_every: u64,
}

impl Default for DigitsConfig {
    fn default() -> Self {
        let settings = json!({
            "kind": "flow_matching",
            "batch": 128,
            "net": {"architecture": "unet"},
            "coupling": {"kind": "independent"},
            "optim": {"lr": 2e-3, "clip": 1.0, "warmup": 100, "schedule": {"kind": "cosine", "floor": 0.05}},
            // Some pixels are never inked, so nothing has variance one everywhere.
            "standardise": false,
            "solver": {"rule": "midpoint", "steps": 20},
        });
        DigitsConfig {
            method: Choice::try_from(settings).expect("these settings exist"),
            steps: 1500,
            guidance: vec![1.0, 2.0, 4.0],
            per_digit: 45,
            test: 0.25,
            ema: Some(0.995),
            checkpoint_every: 250,
        }
    }
}

/// Relabellings of the memorisation check.
const RELABELLINGS: usize = 999;
/// Images of each digit on a sheet.
const SHOWN: usize = 10;
/// Neighbours of precision and recall.
const NEIGHBOURS: usize = 3;

/// Images as the network sees them, each pixel from −1 (paper) to 1 (ink).
struct Images {
    images: Points,
    labels: Vec<usize>,
}

impl Images {
    /// All there are.
    fn load() -> Result<Self> {
        let Digits { mut images, labels, .. } = Digits::load().map_err(Error::at(Path::new("digits")))?;
        images.as_mut_slice().iter_mut().for_each(|v| *v = 2.0 * *v - 1.0);
        Ok(Images { images, labels })
    }

    fn select(&self, rows: &[usize]) -> Self {
        Images { images: self.images.select(rows), labels: rows.iter().map(|&i| self.labels[i]).collect() }
    }
}

impl Experiment for DigitImages {
    const NAME: &'static str = "digits";
    const PAPER: &'static str = "section 4, real images";
    const ABOUT: &'static str =
        "handwritten digits drawn on demand: conditional, with guidance, judged by nearest neighbours";
    type Config = DigitsConfig;

    fn run(context: &mut Context<'_>, config: &DigitsConfig) -> Result<Report> {
        if config.guidance.is_empty() || config.guidance.iter().any(|g| !g.is_finite() || *g < 0.0) {
            return Err(Failure::Usage("guidance needs at least one number, finite and not negative".into()));
        }
        let seed = context.seed();
        let digits = Images::load()?;
        let order = shuffled(digits.images.len(), seed.named("split"));
        let held = (digits.images.len() as f64 * config.test).round() as usize;
        let (train, test) = (digits.select(&order[held..]), digits.select(&order[..held]));
        let target = Labelled::with_labels(train.images.clone(), &train.labels)?;
        let budget = Budget {
            steps: config.steps,
            ema: config.ema,
            precision: Precision::Single,
            checkpoint_every: config.checkpoint_every,
            ..Budget::default()
        };
        let trained = fit::fit(context, &config.method, &budget, &target)?;
        let mut report = Report::new(format!(
            "Can a map from noise draw the digit that is asked for? {} images of {side}×{side} pixels to train on, {} held out \
             (UCI Optical Recognition of Handwritten Digits, doi 10.24432/C50P49, CC BY 4.0).",
            train.images.len(),
            test.images.len(),
            side = Digits::SIDE,
        ));
        let given = Points::from_line(
            (0..Digits::CLASSES * config.per_digit).map(|k| (k / config.per_digit) as f64).collect(),
        );
        let mut drawn = Vec::new();
        for &guidance in &config.guidance {
            let started = std::time::Instant::now();
            let images = trained.model.generate_given(&given, Some(guidance), seed.named("samples"))?;
            let micros = started.elapsed().as_secs_f64() / images.len() as f64 * 1e6;
            context.check_stop()?;
            drawn.push(Drawn { guidance, images, micros });
        }
        judge(&mut report, config, &drawn, &train, &test, seed.named("judge"))?;
        figures(&mut report, config, &drawn, &train);
        fit::training(&mut report, &config.method, config.steps, &trained);
        fit::losses(&mut report, &trained);
        let chosen = &drawn[0];
        write_npy(&context.path("samples.npy"), &chosen.images)?;
        trained.model.save(&context.path("model.safetensors"))?;
        report.artifact("model.safetensors", "the model, for the experiment sample with class=0 to 9");
        report.artifact(
            "samples.npy",
            format!(
                "{} images drawn at guidance {}, {} of each digit in order, pixels from −1 to 1",
                chosen.images.len(),
                chosen.guidance,
                config.per_digit
            ),
        );
        Ok(report)
    }
}

/// Images drawn at one factor of guidance: `per_digit` of each digit, in order.
struct Drawn {
    guidance: f64,
    images: Points,
    micros: f64,
}

impl Drawn {
    fn labels(&self) -> Vec<usize> {
        let each = self.images.len() / Digits::CLASSES;
        (0..self.images.len()).map(|k| k / each).collect()
    }
}

/// Does a sample show what was asked for, how near is their law to that of held-out images, and are they copies?
fn judge(
    report: &mut Report,
    config: &DigitsConfig,
    drawn: &[Drawn],
    train: &Images,
    test: &Images,
    seed: Seed,
) -> Result<()> {
    let real = agreement(&test.images, &test.labels, &train.images, &train.labels);
    let columns = [
        "images",
        "guidance",
        "nearest training image shows the digit asked for",
        "W₂ to held-out images",
        "over the floor",
        "precision",
        "recall",
        "µs an image",
    ];
    let mut table = Table::new("quality", "Samples beside held-out images", &columns);
    let wasserstein = Wasserstein::new(2.0)?;
    // The floor: held-out images against as many of those trained on, which are of the same law.
    let rows = test.images.len().min(drawn[0].images.len());
    let head = |points: &Points, seed: Seed| -> Result<Empirical> {
        Ok(Empirical::uniform(points.select(&shuffled(points.len(), seed)[..rows]))?)
    };
    let reference = head(&test.images, seed.named("reference"))?;
    let own = head(&train.images, seed.named("floor"))?;
    let floor = wasserstein.value(&own, &reference)?;
    let quality = precision_recall(&own, &reference, NEIGHBOURS)?;
    table.push(vec![
        "training images (floor)".into(),
        "".into(),
        real.into(),
        floor.into(),
        1.0_f64.into(),
        quality.precision.value.into(),
        quality.recall.value.into(),
        "".into(),
    ]);
    let (mut plain, mut best): (Option<f64>, f64) = (None, 0.0);
    let mut nearest_law = f64::INFINITY;
    for one in drawn {
        let right = agreement(&one.images, &one.labels(), &train.images, &train.labels);
        let sample = head(&one.images, seed.named("sample"))?;
        let distance = wasserstein.value(&sample, &reference)?;
        let quality = precision_recall(&sample, &reference, NEIGHBOURS)?;
        plain = plain.or(Some(right).filter(|_| one.guidance == 1.0));
        best = best.max(right);
        nearest_law = nearest_law.min(distance / floor);
        table.push(vec![
            "samples".into(),
            one.guidance.into(),
            right.into(),
            distance.into(),
            (distance / floor).into(),
            quality.precision.value.into(),
            quality.recall.value.into(),
            one.micros.into(),
        ]);
    }
    report.table(table);
    if let Some(plain) = plain {
        let name = "samples without guidance whose nearest training image shows the digit asked for, as a share of the same for \
                    held-out images";
        report.claim(Claim::at_least(name, plain / real, 0.9));
        if config.guidance.len() > 1 {
            let name = "share of samples that show the digit asked for, best guidance less none";
            report.claim(Claim::at_least(name, best - plain, 0.0));
        }
    }
    let name = "W₂ from samples to held-out images over that from training images, best guidance";
    report.claim(Claim::at_most(name, nearest_law, 1.15));
    let first = &drawn[0].images;
    let found = memorisation(first, &train.images, &test.images, RELABELLINGS, seed.named("memorisation"))?;
    fit::memorisation(report, "images", &found);
    let name = "median distance of samples to their nearest training image over that of held-out images";
    let median = |points: &Points| {
        let mut distances: Vec<f64> =
            nearest(points, &train.images).iter().map(|(_, square)| square.sqrt()).collect();
        distances.sort_by(f64::total_cmp);
        distances[distances.len() / 2]
    };
    report.claim(Claim::at_least(name, median(first) / median(&test.images), 0.5));
    report.note(format!(
        "Floors are between {rows} held-out images and as many of the training images. The classifier is one nearest neighbour \
         among the training images; on held-out images it is right in {} of cases.",
        number(real, 3)
    ));
    Ok(())
}

fn figures(report: &mut Report, config: &DigitsConfig, drawn: &[Drawn], train: &Images) {
    let shown = SHOWN.min(config.per_digit);
    let mut sheets = Vec::new();
    let of_digit = |digit: usize| -> Vec<usize> {
        (0..train.labels.len()).filter(|&i| train.labels[i] == digit).take(shown).collect()
    };
    let real: Vec<usize> = (0..Digits::CLASSES).flat_map(of_digit).collect();
    sheets.push(("training images".to_owned(), train.images.select(&real)));
    let rows: Vec<usize> = (0..Digits::CLASSES)
        .flat_map(|digit| (0..shown).map(move |k| digit * config.per_digit + k))
        .collect();
    for one in drawn {
        let title = format!("samples, guidance {}", one.guidance);
        sheets.push((title, one.images.select(&rows)));
    }
    let caption = "A row a digit, from 0 to 9. All samples of one place begin at the same noise, whatever the guidance.";
    report.figure(draw::sheets("samples", "Digits on demand", caption, shown, &sheets));
    let mut pairs = Vec::new();
    for one in [drawn.first(), drawn.last().filter(|_| drawn.len() > 1)].into_iter().flatten() {
        let few: Vec<usize> = (0..Digits::CLASSES)
            .flat_map(|digit| (0..shown / 2).map(move |k| digit * config.per_digit + k))
            .collect();
        let samples = one.images.select(&few);
        let near = nearest(&samples, &train.images);
        let both = Points::from_fn(2 * samples.len(), samples.dim(), |k, out| {
            let image = if k % 2 == 0 { samples.row(k / 2) } else { train.images.row(near[k / 2].0) };
            out.copy_from_slice(image);
        });
        pairs.push((format!("guidance {}", one.guidance), both));
    }
    let caption = "In each pair a sample on the left and the training image nearest to it on the right: alike and not the same.";
    report.figure(draw::sheets(
        "nearest",
        "Samples and their nearest training images",
        caption,
        2 * (shown / 2),
        &pairs,
    ));
}
