//! The divergences that `compare` reports: those that `divergences` registers, and the estimators and tests of
//! [`ESTIMATORS`], one a line each.

use divergences::family::RandomFrequencies;
use divergences::kernel::Gaussian;
use divergences::phi::{Critic, DualPhi, Phi, from_samples};
use divergences::quality::{Frechet, density_coverage, precision_recall};
use divergences::test::{
    Relabelled, block_test, classifier_test, energy_test, mmd_test, neighbour_test, sinkhorn_test,
};
use divergences::total_variation::{Grid, HistogramTotalVariation};
use divergences::transport::{MaxSliced, NormPower, SinkhornDivergence, SlicedWasserstein, Wasserstein};
use divergences::{BlockMmd, Divergence, Result, estimate};
use measures::{Empirical, Estimate, Measure, Points, Seed};
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
type ErrorOf = Box<dyn Fn(&Pair<'_>) -> Option<f64>>;

/// A divergence, or a group of them that is computed at once.
pub(super) struct Entry {
    pub(super) name: String,
    /// More rows than this are drawn down to it, because time or memory grows with their square.
    pub(super) most: Option<usize>,
    /// Whether its value for relabelled rows says anything: that of a p-value does not.
    pub(super) floor: bool,
    pub(super) compute: Compute,
    /// The standard error where it takes work of its own, which is not timed.
    pub(super) error: Option<ErrorOf>,
}

/// An estimator that is no `Divergence` between atoms, or that wants settings of its own.
struct Estimator {
    name: &'static str,
    most: Option<usize>,
    floor: bool,
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
        let most = rows_of(&one.name);
        let name = one.name;
        let divergence = std::rc::Rc::new(one.divergence);
        let again = divergence.clone();
        let compute = move |pair: &Pair<'_>| {
            if shared && !share_atoms(pair) {
                let (what, why) = ("a comparison of weights", "the samples have no point in common");
                return Err(measures::Error::Undefined { what, why });
            }
            Ok(Found::plain(settings.clone(), divergence.value(pair.mu, pair.nu)?))
        };
        let error = move |pair: &Pair<'_>| {
            let found = estimate::by_variation(&*again, pair.mu, pair.nu).ok()?;
            Some(found.standard_error).filter(|e| e.is_finite())
        };
        entries.push(Entry {
            name,
            most,
            floor: true,
            compute: Box::new(compute),
            error: Some(Box::new(error)),
        });
    }
    for one in ESTIMATORS {
        entries.retain(|entry| entry.name != one.name);
        let compute = Box::new(one.compute);
        entries.push(Entry { name: one.name.into(), most: one.most, floor: one.floor, compute, error: None });
    }
    Ok(entries)
}

/// The rows that a registered divergence of this name is given at most.
fn rows_of(name: &str) -> Option<usize> {
    let slow = ["Sinkhorn", "unbalanced", "D∞ Kantorovich", "max-sliced", "MMD Laplace ×"];
    if slow.iter().any(|start| name.starts_with(start)) {
        SLOW
    } else if name.starts_with('W') {
        PLAN
    } else {
        SQUARE
    }
}

/// Whether some point of one sample is one of the other's.
fn share_atoms(pair: &Pair<'_>) -> bool {
    let bits = |row: &[f64]| row.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
    let known: HashSet<Vec<u64>> = pair.mu.points().rows().map(bits).collect();
    pair.nu.points().rows().any(|row| known.contains(&bits(row)))
}

/// Rows for divergences that cost n² operations.
const SQUARE: Option<usize> = Some(5_000);
/// Rows for exact transport.
const PLAN: Option<usize> = Some(3_000);
/// Rows for what passes over all pairs hundreds of times.
const SLOW: Option<usize> = Some(1_000);
/// Rows for tests that solve a transport problem a relabelling.
const TINY: Option<usize> = Some(150);

const ESTIMATORS: &[Estimator] = &[
    value("W1", PLAN, |p| wasserstein(p, 1.0)),
    value("W2", PLAN, |p| wasserstein(p, 2.0)),
    value("Sinkhorn divergence", PLAN, |p| {
        let epsilon = 0.05 * p.scale * p.scale;
        let d = SinkhornDivergence::new(epsilon, NormPower::squared_euclidean())?;
        let settings = format!("squared Euclidean cost, ε = {}", crate::figure::number(epsilon, 3));
        symmetric(settings, &d, p)
    }),
    value("sliced W2", None, |p| symmetric("500 directions", &SlicedWasserstein::new(2.0, 500, p.seed)?, p)),
    value("max-sliced W2", SQUARE, |p| {
        let d = MaxSliced::new(2.0, 100, p.seed)?;
        Ok(Found::plain("from the best of 100 directions; a lower bound", d.value(p.mu, p.nu)?))
    }),
    value("MMD Gaussian, 20 blocks", SQUARE, |p| blocks(&BlockMmd::new(Gaussian::new(p.scale)?, 20)?, p)),
    value("MMD Gaussian, linear time", None, |p| blocks(&BlockMmd::linear(Gaussian::new(p.scale)?), p)),
    value("Fréchet distance", None, |p| symmetric("squared; mean and covariance alone", &Frechet, p)),
    value("total variation of histograms", None, histogram),
    value("Kullback–Leibler", None, |p| nearest(p, Phi::Kl, 5)),
    value("reverse Kullback–Leibler", None, |p| nearest(p, Phi::ReverseKl, 5)),
    value("squared Hellinger", None, |p| nearest(p, Phi::SquaredHellinger, 5)),
    value("χ²", None, |p| nearest(p, Phi::ChiSquared, 5)),
    value("α-divergence, α = 0.6", None, |p| nearest(p, Phi::alpha(0.6)?, 5)),
    value("Jensen–Shannon", None, |p| nearest(p, Phi::JensenShannon, counts(p))),
    value("total variation", None, |p| nearest(p, Phi::TotalVariation, counts(p))),
    value("Kullback–Leibler, held out", SQUARE, |p| held_out(p, Phi::Kl)),
    value("Jensen–Shannon, held out", SQUARE, |p| held_out(p, Phi::JensenShannon)),
    value("precision and recall", SQUARE, precision),
    value("density and coverage", SQUARE, coverage),
    test("test by MMD", PLAN, |p| {
        relabelled(p, 199, |x, y, b, seed| mmd_test(&Gaussian::new(p.scale)?, x, y, b, seed))
    }),
    test("test by energy distance", PLAN, |p| relabelled(p, 199, energy_test)),
    test("test by nearest neighbours", SQUARE, |p| {
        relabelled(p, 199, |x, y, b, seed| neighbour_test(x, y, 5, b, seed))
    }),
    test("test by classifier", SQUARE, |p| {
        relabelled(p, 199, |x, y, b, seed| classifier_test(x, y, 5, b, seed))
    }),
    test("test by Sinkhorn divergence", TINY, |p| {
        relabelled(p, 99, |x, y, b, seed| sinkhorn_test(0.1 * p.scale * p.scale, x, y, b, seed))
    }),
    test("test by blocks", None, |p| {
        let blocks = (p.mu.len().min(p.nu.len()) as f64).sqrt() as usize;
        let statistic = BlockMmd::new(Gaussian::new(p.scale)?, blocks)?;
        let found = block_test(&statistic, p.mu.points(), p.nu.points())?;
        Ok(Found::plain(format!("p-value by Student's law; {} blocks", found.statistic.n), found.p_value))
    }),
];

const fn value(
    name: &'static str,
    most: Option<usize>,
    compute: fn(&Pair<'_>) -> Result<Vec<Found>>,
) -> Estimator {
    Estimator { name, most, floor: true, compute }
}

const fn test(
    name: &'static str,
    most: Option<usize>,
    compute: fn(&Pair<'_>) -> Result<Vec<Found>>,
) -> Estimator {
    Estimator { name, most, floor: false, compute }
}

/// A value with the standard error that its first variations tell, where they do.
fn symmetric(settings: impl Into<String>, d: &impl Divergence, pair: &Pair<'_>) -> Result<Vec<Found>> {
    match estimate::by_variation(d, pair.mu, pair.nu) {
        Ok(found) => Ok(vec![Found::estimate(settings, found)]),
        // A distance at zero has a cone.
        Err(_) => Ok(Found::plain(settings, d.value(pair.mu, pair.nu)?)),
    }
}

fn blocks(d: &BlockMmd<Gaussian>, pair: &Pair<'_>) -> Result<Vec<Found>> {
    let found = d.estimate(pair.mu, pair.nu)?;
    Ok(vec![Found::estimate(
        format!("{} blocks; bandwidth {}", found.n, crate::figure::number(pair.scale, 3)),
        found,
    )])
}

/// A p-value, with the error that comes of drawing so many relabellings and not all.
fn relabelled(
    pair: &Pair<'_>,
    count: usize,
    run: impl Fn(&Points, &Points, usize, Seed) -> Result<Relabelled>,
) -> Result<Vec<Found>> {
    let found = run(pair.mu.points(), pair.nu.points(), count, pair.seed.named("relabellings"))?;
    let error = found.exceedance()?.standard_error;
    let settings =
        format!("p-value; {count} relabellings; statistic {}", crate::figure::number(found.statistic, 3));
    Ok(vec![Found::estimate(settings, Estimate::new(found.p_value, error, count))])
}

/// The dual over 32 random frequencies, maximised on one half of the rows and evaluated on the other: a lower bound.
fn held_out(pair: &Pair<'_>, phi: Phi) -> Result<Vec<Found>> {
    let halves = |of: &Empirical| {
        let part = |odd: usize| {
            let rows: Vec<usize> = (0..of.len()).filter(|i| i % 2 == odd).collect();
            Empirical::uniform(of.points().select(&rows))
        };
        Ok((part(0)?, part(1)?))
    };
    let ((mu, mu_held), (nu, nu_held)) = (halves(pair.mu)?, halves(pair.nu)?);
    let family = RandomFrequencies::gaussian(mu.dim(), pair.scale, 32, pair.seed)?;
    let ridge = 1.0 / (mu.len().min(nu.len()) as f64).sqrt();
    let dual = DualPhi::new(phi, family).with_critic(Critic::LogRatio)?.with_ridge(ridge)?;
    let found = dual.maximise(&mu, &nu)?.evaluate(&mu_held, &nu_held)?;
    Ok(vec![Found::estimate("dual over 32 frequencies on half of the rows; a lower bound", found)])
}

fn wasserstein(pair: &Pair<'_>, p: f64) -> Result<Vec<Found>> {
    symmetric("Euclidean cost, exact", &Wasserstein::new(p)?, pair)
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
