//! The divergences that `compare` reports: those that `divergences` registers, and the estimators of [`ESTIMATORS`], one
//! a line each.

use divergences::phi::{Phi, from_samples};
use divergences::quality::{Frechet, density_coverage, precision_recall};
use divergences::total_variation::{Grid, HistogramTotalVariation};
use divergences::transport::{MaxSliced, NormPower, SinkhornDivergence, SlicedWasserstein, Wasserstein};
use divergences::{Divergence, Result};
use measures::{Empirical, Measure, Seed};
use std::collections::HashSet;

/// One number that a comparison found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) settings: String,
    pub(super) value: f64,
    pub(super) standard_error: Option<f64>,
}

impl Found {
    fn plain(settings: impl Into<String>, value: f64) -> Vec<Self> {
        vec![Found { settings: settings.into(), value, standard_error: None }]
    }

    fn estimate(settings: impl Into<String>, estimate: measures::Estimate) -> Self {
        let standard_error = Some(estimate.standard_error).filter(|e| e.is_finite());
        Found { settings: settings.into(), value: estimate.value, standard_error }
    }
}

/// Two samples, with what several divergences need to know of them.
pub(super) struct Pair<'a> {
    pub(super) mu: &'a Empirical,
    pub(super) nu: &'a Empirical,
    pub(super) seed: Seed,
    /// The median distance between the pooled rows.
    pub(super) scale: f64,
}

type Compute = Box<dyn Fn(&Pair<'_>) -> Result<Vec<Found>>>;

/// A divergence, or a group of them that is computed at once.
pub(super) struct Entry {
    pub(super) name: String,
    /// More rows than this are drawn down to it, because time or memory grows with their square.
    pub(super) most: Option<usize>,
    pub(super) compute: Compute,
}

/// An estimator that is no `Divergence` between atoms, or that wants settings of its own.
struct Estimator {
    name: &'static str,
    most: Option<usize>,
    compute: fn(&Pair<'_>) -> Result<Vec<Found>>,
}

/// Everything that is compared, at the length scale of the pooled rows. An estimator stands in for a registered divergence
/// of the same name.
pub(super) fn all(dim: usize, scale: f64) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let registered = divergences::registry(dim, scale)?;
    let settings = format!("length scale {}", crate::figure::number(scale, 3));
    for one in registered {
        let (settings, shared) = (settings.clone(), one.shared_atoms);
        let compute = move |pair: &Pair<'_>| {
            if shared && !share_atoms(pair) {
                let (what, why) = ("a comparison of weights", "the samples have no point in common");
                return Err(measures::Error::Undefined { what, why });
            }
            Ok(Found::plain(settings.clone(), one.divergence.value(pair.mu, pair.nu)?))
        };
        entries.push(Entry { name: one.name, most: SQUARE, compute: Box::new(compute) });
    }
    for one in ESTIMATORS {
        entries.retain(|entry| entry.name != one.name);
        entries.push(Entry { name: one.name.into(), most: one.most, compute: Box::new(one.compute) });
    }
    Ok(entries)
}

/// Whether some point of one sample is one of the other's.
fn share_atoms(pair: &Pair<'_>) -> bool {
    let bits = |row: &[f64]| row.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
    let known: HashSet<Vec<u64>> = pair.mu.points().rows().map(bits).collect();
    pair.nu.points().rows().any(|row| known.contains(&bits(row)))
}

/// Rows for divergences that cost n² operations.
const SQUARE: Option<usize> = Some(10_000);
/// Rows for exact transport.
const PLAN: Option<usize> = Some(3_000);

const ESTIMATORS: &[Estimator] = &[
    Estimator { name: "W₁ (exact)", most: PLAN, compute: |p| wasserstein(p, 1.0) },
    Estimator { name: "W₂ (exact)", most: PLAN, compute: |p| wasserstein(p, 2.0) },
    Estimator {
        name: "Sinkhorn divergence",
        most: PLAN,
        compute: |p| {
            let epsilon = 0.05 * p.scale * p.scale;
            let d = SinkhornDivergence::new(epsilon, NormPower::squared_euclidean())?;
            let settings = format!("squared Euclidean cost, ε = {}", crate::figure::number(epsilon, 3));
            Ok(Found::plain(settings, d.value(p.mu, p.nu)?))
        },
    },
    Estimator {
        name: "sliced W₂",
        most: None,
        compute: |p| {
            let d = SlicedWasserstein::new(2.0, 500, p.seed)?;
            Ok(Found::plain("500 directions", d.value(p.mu, p.nu)?))
        },
    },
    Estimator {
        name: "max-sliced W₂",
        most: SQUARE,
        compute: |p| {
            let d = MaxSliced::new(2.0, 100, p.seed)?;
            Ok(Found::plain("from the best of 100 directions; a lower bound", d.value(p.mu, p.nu)?))
        },
    },
    Estimator {
        name: "Fréchet distance",
        most: None,
        compute: |p| Ok(Found::plain("squared; mean and covariance alone", Frechet.value(p.mu, p.nu)?)),
    },
    Estimator { name: "total variation of histograms", most: None, compute: histogram },
    Estimator { name: "Kullback–Leibler", most: None, compute: |p| nearest(p, Phi::Kl, 5) },
    Estimator { name: "reverse Kullback–Leibler", most: None, compute: |p| nearest(p, Phi::ReverseKl, 5) },
    Estimator { name: "squared Hellinger", most: None, compute: |p| nearest(p, Phi::SquaredHellinger, 5) },
    Estimator { name: "χ²", most: None, compute: |p| nearest(p, Phi::ChiSquared, 5) },
    Estimator {
        name: "Jensen–Shannon", most: None, compute: |p| nearest(p, Phi::JensenShannon, counts(p))
    },
    Estimator { name: "precision and recall", most: SQUARE, compute: precision },
    Estimator { name: "density and coverage", most: SQUARE, compute: coverage },
];

fn wasserstein(pair: &Pair<'_>, p: f64) -> Result<Vec<Found>> {
    let value = Wasserstein::new(p)?.value(pair.mu, pair.nu)?;
    Ok(Found::plain("Euclidean cost", value))
}

/// On cubes whose side is the rule of Freedman and Diaconis along the widest coordinate, doubled in each dimension more:
/// finer cells hold no two points and the value is 1 whatever the laws.
fn histogram(pair: &Pair<'_>) -> Result<Vec<Found>> {
    let n = pair.mu.len().min(pair.nu.len()) as f64;
    let spread = (0..pair.nu.dim()).map(|k| interquartile(pair.nu.points().column(k))).fold(0.0, f64::max);
    let side = 2.0 * spread * n.powf(-1.0 / (2.0 + pair.nu.dim() as f64));
    if side <= 0.0 {
        return Err(measures::Error::Undefined {
            what: "a histogram",
            why: "half of the second sample lies on one point",
        });
    }
    let d = HistogramTotalVariation::new(Grid::cubes(pair.nu.dim(), side)?);
    Ok(Found::plain(format!("cubes of side {}", crate::figure::number(side, 3)), d.value(pair.mu, pair.nu)?))
}

fn interquartile(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |q: f64| values[((values.len() - 1) as f64 * q) as usize];
    at(0.75) - at(0.25)
}

fn nearest(pair: &Pair<'_>, phi: Phi, k: usize) -> Result<Vec<Found>> {
    let estimate = from_samples(phi, pair.mu.points(), pair.nu.points(), k)?;
    Ok(vec![Found::estimate(format!("{k} nearest neighbours"), estimate)])
}

/// √(n + m), as the estimator by counts asks for.
fn counts(pair: &Pair<'_>) -> usize {
    let n = (pair.mu.len() + pair.nu.len()) as f64;
    (n.sqrt() as usize).clamp(1, pair.mu.len().min(pair.nu.len()).saturating_sub(1).max(1))
}

fn precision(pair: &Pair<'_>) -> Result<Vec<Found>> {
    let found = precision_recall(pair.mu, pair.nu, 3)?;
    Ok(vec![
        Found::estimate("precision, 3 neighbours", found.precision),
        Found::estimate("recall, 3 neighbours", found.recall),
    ])
}

fn coverage(pair: &Pair<'_>) -> Result<Vec<Found>> {
    let found = density_coverage(pair.mu, pair.nu, 5)?;
    Ok(vec![
        Found::estimate("density, 5 neighbours", found.density),
        Found::estimate("coverage, 5 neighbours", found.coverage),
    ])
}
