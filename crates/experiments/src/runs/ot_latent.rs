//! Footnote 8: is the map of the probability flow an optimal transport?

use crate::context::Context;
use crate::failure::Result;
use crate::figure::{Animation, Axis, Color, Dash, Figure, Panel};
use crate::registry::Experiment;
use crate::report::{Claim, Relation, Report, Table};
use divergences::Divergence;
use divergences::transport::{GaussianTransport, Wasserstein};
use flows::field::Pointwise;
use flows::ode::{DOP853, Ode};
use flows::path::{MixturePath, OrnsteinUhlenbeck};
use measures::nalgebra::{DMatrix, Matrix2};
use measures::zoo::{Gaussian, GaussianMixture};
use measures::{Empirical, Map, Measure as _, Points, Sample as _, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The cost of the probability-flow map against the optimal cost.
pub struct OtLatent;

/// Settings of [`OtLatent`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OtLatentConfig {
    /// Points drawn of each target and carried to noise.
    #[schemars(range(min = 20, max = 5000))]
    pub n: usize,
    /// The time s of the Ornstein–Uhlenbeck process at which e^{−s} counts as zero.
    #[schemars(range(min = 5.0, max = 30.0))]
    pub horizon: f64,
    /// Tolerance of the solver, relative and absolute.
    #[schemars(range(min = 1e-13, max = 1e-4))]
    pub tolerance: f64,
}

impl Default for OtLatentConfig {
    fn default() -> Self {
        OtLatentConfig { n: 1000, horizon: 15.0, tolerance: 1e-9 }
    }
}

/// What theory says of a target's gap.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    /// The flow's map is optimal.
    None,
    /// It is not.
    Some,
    /// It is not, by less than a sample of this size may show in the cost.
    Little,
}

impl Expected {
    fn words(self) -> &'static str {
        match self {
            Expected::None => "none",
            Expected::Some => "some",
            Expected::Little => "too little for the sample",
        }
    }
}

struct Target {
    name: &'static str,
    law: GaussianMixture,
    expected: Expected,
    why: &'static str,
}

/// The cost of the flow's map on a sample, the least cost between the same two clouds, and the clouds.
struct Found {
    flow: f64,
    optimal: f64,
    asymmetry: f64,
    from: Points,
    to: Points,
}

impl Found {
    /// By how much the flow's cost exceeds the optimal one, as a part of it.
    fn gap(&self) -> f64 {
        (self.flow - self.optimal) / self.optimal
    }
}

impl Experiment for OtLatent {
    const NAME: &'static str = "ot_latent";
    const PAPER: &'static str = "section 4, footnote 8";
    const ABOUT: &'static str = "transport cost of the probability-flow map against the optimal cost";
    type Config = OtLatentConfig;

    fn run(context: &mut Context<'_>, config: &OtLatentConfig) -> Result<Report> {
        let mut report = Report::new(
            "The flow (7) of the Ornstein–Uhlenbeck process carries data to N(0, I). Does it move every point as cheaply as any map \
             between the two laws could, as the footnote suggests?",
        );
        let targets = targets()?;
        let columns = [
            "target",
            "d",
            "cost of the flow",
            "optimal cost",
            "excess, part",
            "asymmetry",
            "expected",
            "why",
        ];
        let mut table = Table::new("costs", "Mean squared distance moved", &columns);
        let (mut none, mut some) = ([0.0f64; 2], [f64::INFINITY; 2]);
        let mut shown = None;
        let mut stage = context.progress().stage("targets", targets.len() as u64);
        for (k, target) in targets.iter().enumerate() {
            context.check_stop()?;
            let found = carry(target, config, context.seed().named("points"))?;
            match target.expected {
                Expected::None => {
                    none = [none[0].max(found.gap().abs()), none[1].max(found.asymmetry)];
                }
                Expected::Some => some = [some[0].min(found.gap()), some[1].min(found.asymmetry)],
                Expected::Little => some[1] = some[1].min(found.asymmetry),
            }
            table.push(vec![
                target.name.into(),
                target.law.dim().into(),
                found.flow.into(),
                found.optimal.into(),
                found.gap().into(),
                found.asymmetry.into(),
                target.expected.words().into(),
                target.why.into(),
            ]);
            if target.name == SHOWN {
                shown = Some(found);
            }
            stage.at(k as u64 + 1, None);
        }
        drop(stage);
        let name = "Gaussians, one dimension and products: excess cost of the flow over the optimum, as a part, largest";
        report.claim(Claim::at_most(name, none[0], 1e-6));
        report.claim(Claim::at_least("mixtures without symmetry: the same, least", some[0], 1e-5));
        let name = "Gaussians, one dimension and products: asymmetry of the Jacobian, largest";
        report.claim(Claim::at_most(name, none[1], 1e-3));
        report.claim(Claim::at_least("mixtures in the plane: the same, least", some[1], 1e-2));
        report.claim(Claim::at_most(
            "Gaussians: the flow against the optimal map in closed form, largest distance at a point",
            closed_form(config, context.seed())?,
            1e-5,
        ));
        anisotropic(&mut report, config)?;
        report.table(table);
        if let (Some(found), Some(target)) = (shown, targets.iter().find(|t| t.name == SHOWN)) {
            report.figure(arrows(&found)?);
            report.animation(cloud(target, config, context.seed())?);
        }
        notes(&mut report);
        Ok(report)
    }
}

/// The target that is drawn.
const SHOWN: &str = "three Gaussians";

fn targets() -> Result<Vec<Target>> {
    let gaussian = |mean: &[f64], matrix: DMatrix<f64>| -> Result<GaussianMixture> {
        Ok(GaussianMixture::new(vec![1.0], &[Gaussian::new(mean.to_vec(), matrix)?])?)
    };
    let rotated = turned(0.7, [3.0, 0.1]);
    let chain =
        DMatrix::from_fn(8, 8, |i, j| 0.8f64.powi(i.abs_diff(j) as i32) * (1.0 + 0.2 * i.min(j) as f64));
    // Two independent coordinates, each a mixture of two.
    let product = Points::from_rows(&[[-2.0, -1.0], [-2.0, 1.5], [1.0, -1.0], [1.0, 1.5]]);
    let product = GaussianMixture::isotropic(vec![0.18, 0.12, 0.42, 0.28], product, &[0.4; 4])?;
    let line = GaussianMixture::isotropic(vec![0.3, 0.7], Points::from_line(vec![-2.0, 1.5]), &[0.3, 0.8])?;
    let three = Points::from_rows(&[[-2.0, 0.0], [1.5, 1.8], [2.0, -1.0]]);
    let three = GaussianMixture::isotropic(vec![0.5, 0.3, 0.2], three, &[0.3, 0.5, 0.2])?;
    let crossed = GaussianMixture::new(
        vec![0.5, 0.5],
        &[
            Gaussian::new(vec![-1.0, 0.0], to_dynamic(turned(0.6, [2.0, 0.05])))?,
            Gaussian::new(vec![1.0, 0.5], to_dynamic(turned(-0.8, [2.0, 0.05])))?,
        ],
    )?;
    let target = |name, law, expected, why| Target { name, law, expected, why };
    Ok(vec![
        target(
            "Gaussian, correlated",
            gaussian(&[1.0, -2.0], to_dynamic(rotated))?,
            Expected::None,
            "all covariances on the way commute",
        ),
        target("Gaussian in 8 dimensions", gaussian(&[0.5; 8], chain)?, Expected::None, "the same"),
        target("two modes on the line", line, Expected::None, "an increasing map is optimal"),
        target("product of two mixtures", product, Expected::None, "increasing in each coordinate"),
        target(SHOWN, three, Expected::Some, "the map is no gradient"),
        target("two crossed Gaussians", crossed, Expected::Some, "the map is no gradient"),
        target(
            "8 Gaussians on a ring",
            GaussianMixture::eight_gaussians(),
            Expected::Little,
            "the map is no gradient, but nearly one by symmetry",
        ),
    ])
}

fn to_dynamic(m: Matrix2<f64>) -> DMatrix<f64> {
    DMatrix::from_column_slice(2, 2, m.as_slice())
}

/// R(angle) diag(variances) R(angle)ᵀ.
fn turned(angle: f64, variances: [f64; 2]) -> Matrix2<f64> {
    let (s, c) = angle.sin_cos();
    let r = Matrix2::new(c, -s, s, c);
    let m = r * Matrix2::new(variances[0], 0.0, 0.0, variances[1]) * r.transpose();
    (m + m.transpose()) * 0.5
}

fn solver(config: &OtLatentConfig) -> Result<Ode<'static>> {
    Ok(Ode::adaptive(DOP853, config.tolerance, config.tolerance)?)
}

fn carry(target: &Target, config: &OtLatentConfig, seed: Seed) -> Result<Found> {
    let from = target.law.sample(config.n, &mut seed.named(target.name).rng());
    let path = MixturePath::new(OrnsteinUhlenbeck, &target.law)?;
    let to = solver(config)?.solve(&path, &from, 0.0, config.horizon)?.finished()?;
    let flow = mean_squared(&from, &to);
    let (mu, nu) = (Empirical::uniform(from.clone())?, Empirical::uniform(to.clone())?);
    let optimal = Wasserstein::new(2.0)?.powered().value(&mu, &nu)?;
    Ok(Found { flow, optimal, asymmetry: asymmetry(&path, &from, config)?, from, to })
}

/// Of the first hundred points, the largest max |J_ij − J_ji| / max |J_ij| of the Jacobian of the map by central
/// differences: a map whose Jacobian is not symmetric is no gradient, hence not optimal.
fn asymmetry(path: &MixturePath<OrnsteinUhlenbeck>, x: &Points, config: &OtLatentConfig) -> Result<f64> {
    const STEP: f64 = 1e-4;
    let (d, n) = (x.dim(), x.len().min(100));
    let probe = |k: usize, sign: f64| {
        Points::from_fn(n, d, |i, out| {
            out.copy_from_slice(x.row(i));
            out[k] += sign * STEP;
        })
    };
    let ode = Ode::adaptive(DOP853, 1e-11, 1e-11)?;
    let mut columns = Vec::new();
    for k in 0..d {
        let end = |sign: f64| -> Result<Points> {
            Ok(ode.solve(path, &probe(k, sign), 0.0, config.horizon)?.finished()?)
        };
        columns.push((end(1.0)?, end(-1.0)?));
    }
    let entry =
        |p: usize, i: usize, k: usize| (columns[k].0.row(p)[i] - columns[k].1.row(p)[i]) / (2.0 * STEP);
    let mut worst = 0.0f64;
    for p in 0..n {
        let (mut off, mut largest) = (0.0f64, 0.0f64);
        for i in 0..d {
            for k in 0..d {
                largest = largest.max(entry(p, i, k).abs());
                off = off.max((entry(p, i, k) - entry(p, k, i)).abs());
            }
        }
        worst = worst.max(off / largest);
    }
    Ok(worst)
}

fn mean_squared(x: &Points, y: &Points) -> f64 {
    let square = |(a, b): (&f64, &f64)| (a - b).powi(2);
    x.as_slice().iter().zip(y.as_slice()).map(square).sum::<f64>() / x.len() as f64
}

/// The flow's map of Gaussian data against the map of Monge between the two Gaussians.
fn closed_form(config: &OtLatentConfig, seed: Seed) -> Result<f64> {
    let mut worst = 0.0f64;
    for (k, angle) in [0.0, 0.7, 1.3].into_iter().enumerate() {
        let data = Gaussian::new(vec![1.0, -2.0], to_dynamic(turned(angle, [3.0, 0.1])))?;
        let x = data.sample(200, &mut seed.named("closed form").stream(k as u64));
        let path = MixturePath::to_gaussian(OrnsteinUhlenbeck, &data)?;
        let flow = solver(config)?.solve(&path, &x, 0.0, config.horizon)?.finished()?;
        let best = GaussianTransport::new(&data, &Gaussian::standard(2))?.map.apply(&x)?;
        let far = flow.rows().zip(best.rows()).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]));
        worst = far.fold(worst, f64::max);
    }
    Ok(worst)
}

/// dX = −AX ds + √2 dB with A = diag(1, 4): the map of a Gaussian is linear, but not symmetric, hence not optimal.
fn anisotropic(report: &mut Report, config: &OtLatentConfig) -> Result<()> {
    let rates = [1.0, 4.0];
    let sigma = turned(0.7, [3.0, 0.1]);
    let covariance = move |s: f64| {
        // Σ_s = A⁻¹ + e^{−As}(Σ − A⁻¹)e^{−As}.
        let entry = |i: usize, j: usize| {
            let rest = if i == j { 1.0 / rates[i] } else { 0.0 };
            rest + (-(rates[i] + rates[j]) * s).exp() * (sigma[(i, j)] - rest)
        };
        Matrix2::new(entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1))
    };
    let field = Pointwise::new(2, move |s: f64, x: &[f64], v: &mut [f64]| {
        // v = −Ax + Σ_s⁻¹x: the drift less the gradient of the logarithm of the density.
        let c = covariance(s);
        let det = c.determinant();
        v[0] = -rates[0] * x[0] + (c[(1, 1)] * x[0] - c[(0, 1)] * x[1]) / det;
        v[1] = -rates[1] * x[1] + (c[(0, 0)] * x[1] - c[(1, 0)] * x[0]) / det;
    });
    let axes = Points::from_rows(&[[1.0, 0.0], [0.0, 1.0]]);
    let columns =
        Ode::adaptive(DOP853, 1e-12, 1e-12)?.solve(&field, &axes, 0.0, config.horizon)?.finished()?;
    let map = Matrix2::from_columns(&[
        measures::nalgebra::Vector2::from_row_slice(columns.row(0)),
        measures::nalgebra::Vector2::from_row_slice(columns.row(1)),
    ]);
    let moved = Matrix2::identity() - map;
    let cost = (moved * sigma * moved.transpose()).trace();
    let data = Gaussian::new(vec![0.0; 2], to_dynamic(sigma))?;
    let rest = Gaussian::diagonal(&[0.0; 2], &[1.0, 0.5])?;
    let optimal = GaussianTransport::new(&data, &rest)?.value;
    let carried = map * sigma * map.transpose();
    let misses = (carried - Matrix2::new(1.0, 0.0, 0.0, 0.25)).norm();
    report.claim(Claim::at_most("anisotropic process: the map carries Σ to A⁻¹, error", misses, 1e-8));
    report.claim(Claim::new(
        "anisotropic process: asymmetry of the linear map, |M₁₂ − M₂₁|",
        (map[(0, 1)] - map[(1, 0)]).abs(),
        Relation::Above,
        1e-3,
    ));
    report.claim(Claim::at_most(
        "anisotropic process: the cost is 1.0841, difference",
        (cost - 1.0841).abs(),
        5e-5,
    ));
    report.claim(Claim::at_most(
        "anisotropic process: the optimal cost is 1.0819, difference",
        (optimal - 1.0819).abs(),
        5e-5,
    ));
    Ok(())
}

/// Where points of the shown target go, by the flow and by the optimal plan between the same clouds.
fn arrows(found: &Found) -> Result<Figure> {
    let n = found.from.len().min(150);
    let some: Vec<usize> = (0..n).map(|k| k * found.from.len() / n).collect();
    let (from, to) = (found.from.select(&some), found.to.select(&some));
    let plan =
        Wasserstein::new(2.0)?.solve(&Empirical::uniform(from.clone())?, &Empirical::uniform(to.clone())?)?;
    let lines = |pairs: Vec<(usize, usize)>| -> Vec<(f64, f64)> {
        // A point that is not finite lifts the pen.
        let line = |(i, j): (usize, usize)| {
            [(from.row(i)[0], from.row(i)[1]), (to.row(j)[0], to.row(j)[1]), (f64::NAN, f64::NAN)]
        };
        pairs.into_iter().flat_map(line).collect()
    };
    let cloud = |x: &Points| x.rows().map(|r| (r[0], r[1])).collect::<Vec<_>>();
    let panel = |title: &str, pairs| {
        Panel::new(title, Axis::new("x₁"), Axis::new("x₂"))
            .equal()
            .with(
                "moved",
                Color::Grey,
                crate::figure::Mark::Line { xy: lines(pairs), dash: Dash::Solid, width: 0.8 },
            )
            .dots("data", Color::Blue, cloud(&from))
            .dots("noise", Color::Orange, cloud(&to))
    };
    let best = plan.plan.entries().map(|(i, j, _)| (i, j)).collect();
    let caption = format!(
        "{n} points of {SHOWN} and where the flow carries them; beside it, the cheapest assignment of the same points."
    );
    Ok(Figure::new(
        "arrows",
        "The flow and the optimal plan",
        caption,
        vec![panel("the flow", (0..n).map(|i| (i, i)).collect()), panel("optimal", best)],
    ))
}

/// The cloud on its way from noise to data.
fn cloud(target: &Target, config: &OtLatentConfig, seed: Seed) -> Result<Animation> {
    let z = Gaussian::standard(target.law.dim()).sample(600, &mut seed.named("cloud").rng());
    let path = MixturePath::new(OrnsteinUhlenbeck, &target.law)?;
    let times: Vec<f64> = (0..=40).map(|k| f64::from(k) / 40.0).collect();
    let (mut x, mut frames) = (z, Vec::new());
    let clock = |t: f64| if t > 0.0 { (-t.ln()).min(config.horizon) } else { config.horizon };
    for (k, &t) in times.iter().enumerate() {
        if k > 0 {
            x = solver(config)?.solve(&path, &x, clock(times[k - 1]), clock(t))?.finished()?;
        }
        frames.push((format!("t = {t:.3}"), x.rows().map(|r| (r[0], r[1])).collect()));
    }
    Ok(Animation::new(
        "cloud",
        "The cloud on its way",
        format!(
            "600 points of N(0, I) carried by the flow to {SHOWN}; t = e^(−s) runs from noise at 0 to data at 1."
        ),
        (Axis::new("x₁"), Axis::new("x₂")),
        frames,
    ))
}

fn notes(report: &mut Report) {
    report.note(
        "Both costs are taken between the same two clouds, the sample x and its image χ(x): their difference is zero exactly when no \
         other assignment of the images is cheaper, and is not blurred by comparing two samples.",
    );
    report.note(
        "An optimal map is the gradient of a convex function, so its Jacobian is symmetric: the asymmetry shows departures that no \
         exchange of a thousand points can turn into a lower cost.",
    );
    report.note(
        "For Gaussian data under the isotropic Ornstein–Uhlenbeck process the covariances on the way commute, the map \
         e^{−s}m + Σ_s^½ Σ^{−½}(x − m) is symmetric, and so optimal. In one dimension every flow is increasing, hence optimal; so are \
         products. A general mixture has neither property, and the excess is small but not zero. With an anisotropic drift \
         A = diag(1, 4) already a Gaussian is enough: its map is linear and not symmetric.",
    );
}
