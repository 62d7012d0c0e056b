//! A cloud along ρ_t: by the probability flow of eq. (7), and by the reverse of eq. (5), with the same laws.

use super::IntegratorsConfig;
use super::ordinary::noise;
use crate::context::Context;
use crate::failure::Result;
use crate::figure::{Animation, Axis, Color, Dash, Figure, Panel};
use crate::report::{Claim, Report};
use divergences::Divergence;
use divergences::transport::Wasserstein;
use flows::ode::{Ode, TSITOURAS};
use flows::path::{MixturePath, VariancePreserving};
use flows::sde::{EulerMaruyama, Sde, WhiteNoise, reverse};
use measures::zoo::GaussianMixture;
use measures::{Density, Empirical, Points, Sample};

const FRAMES: usize = 48;
/// Trajectories drawn as lines.
const LINES: usize = 24;
const SPAN: (f64, f64) = (0.0, 0.999);

pub(super) fn study(report: &mut Report, context: &Context<'_>, config: &IntegratorsConfig) -> Result<()> {
    let target = GaussianMixture::ring(8, 2.0, 0.25)?;
    let schedule = VariancePreserving::default();
    let path = MixturePath::new(schedule, &target)?;
    let z = noise(config.cloud, context.seed().named("cloud"));
    let times: Vec<f64> =
        (0..=FRAMES).map(|k| SPAN.0 + (SPAN.1 - SPAN.0) * k as f64 / FRAMES as f64).collect();
    let run = Ode::adaptive(TSITOURAS, 1e-6, 1e-6)?.save_at(&times).solve(&path, &z, SPAN.0, SPAN.1)?;
    let flow = run.saved.iter().map(|(_, x)| x.clone()).collect::<Vec<_>>();
    run.finished()?;
    let steps = 20 * FRAMES;
    let back = reverse(&path, schedule);
    let white = WhiteNoise::new(context.seed().named("reverse"));
    let walk = Sde::fixed(EulerMaruyama, steps)?.save_every(steps / FRAMES)?;
    // At t = 0 there is nothing but noise, and nothing to reverse: begin a hair later.
    let run = walk.solve(&back, &white, &z, 1e-3, SPAN.1)?;
    let diffusion = run.saved.iter().map(|(_, x)| x.clone()).collect::<Vec<_>>();
    run.finished()?;

    let floor_seed = context.seed().named("floor");
    let fresh =
        |name: &str| Empirical::uniform(target.sample(config.cloud, &mut floor_seed.named(name).rng()));
    let w2 = Wasserstein::new(2.0)?;
    let floor = w2.value(&fresh("a")?, &fresh("b")?)?;
    for (what, cloud) in [("probability flow", &flow), ("reverse diffusion", &diffusion)] {
        let value = w2.value(&Empirical::uniform(cloud[cloud.len() - 1].clone())?, &fresh("b")?)?;
        report.claim(Claim::at_most(
            format!(
                "{what}: W₂ of {} particles at the end to draws of the data, over its floor",
                config.cloud
            ),
            value / floor,
            1.5,
        ));
    }
    // Along the way: the mean log-density of ρ_t over the cloud against that over draws of ρ_t.
    let mut worst: f64 = 0.0;
    for k in (0..=FRAMES).step_by(8) {
        let law = path.law(times[k])?;
        let mean = |x: &Points| -> Result<(f64, f64)> {
            let log = law.log_density(x)?;
            let (n, mean) = (log.len() as f64, log.iter().sum::<f64>() / log.len() as f64);
            Ok((mean, log.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / n / n))
        };
        let draws = law.sample(config.cloud, &mut floor_seed.child(k as u64).rng());
        let ((a, va), (b, vb)) = (mean(&flow[k])?, mean(&draws)?);
        worst = worst.max((a - b).abs() / (va + vb).sqrt());
    }
    report.claim(Claim::at_most(
        "the cloud has law ρ_t on the way: mean log ρ_t over it less that over draws, in standard errors, the worst of seven times",
        worst,
        5.0,
    ));

    let drawn = |x: &Points| x.rows().map(|r| (r[0], r[1])).collect::<Vec<_>>();
    let axes = || (Axis::new("x₁").over(-3.5, 3.5), Axis::new("x₂").over(-3.5, 3.5));
    let shown = [0, FRAMES / 2, 2 * FRAMES / 3, 5 * FRAMES / 6, 11 * FRAMES / 12, FRAMES];
    let panels = shown.map(|k| {
        let (x, y) = axes();
        Panel::new(format!("t = {:.2}", times[k]), x, y).equal().dots("", Color::Orange, drawn(&flow[k]))
    });
    let caption = "The probability flow of the variance preserving diffusion carries N(0, I), at t = 0, to eight Gaussians, at t = 1.";
    report.figure(Figure::new("cloud", "A cloud along its path", caption, panels.to_vec()));
    let lines = |title: &str, clouds: &[Points]| {
        let (x, y) = axes();
        let panel = Panel::new(title, x, y).equal();
        let panel = panel.dots("data", Color::Grey, drawn(&clouds[clouds.len() - 1]));
        (0..LINES.min(config.cloud)).fold(panel, |panel, i| {
            let xy = clouds.iter().map(|x| (x.row(i)[0], x.row(i)[1])).collect();
            panel.line("", Color::of_series(i), Dash::Solid, xy)
        })
    };
    let caption = "The same start, the same laws at every time, two ways: the flow of eq. (7) is smooth, the reverse of the diffusion of eq. (5) \
                   rough.";
    let panels = vec![lines("probability flow", &flow), lines("reverse diffusion", &diffusion)];
    report.figure(Figure::new("trajectories", "Trajectories", caption, panels));
    let frames = times.iter().zip(&flow).map(|(t, x)| (format!("t = {t:.2}"), drawn(x))).collect();
    let caption = "The cloud of the first picture, frame by frame.";
    let animation =
        Animation::new("along", "From noise to data", caption, (Axis::new("x₁"), Axis::new("x₂")), frames);
    report.animation(animation.behind(
        "data",
        Color::Grey,
        drawn(&target.sample(1500, &mut floor_seed.rng())),
    ));
    Ok(())
}
