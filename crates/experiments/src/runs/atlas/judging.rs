//! Tests, and the quality of a sample.

use super::{Sheet, grid, style};
use crate::failure::Result;
use crate::figure::{Axis, Color, Dash, Figure, Panel};
use crate::report::{Claim, Report};
use divergences::kernel::{Gaussian, InverseMultiquadric};
use divergences::quality::{Frechet, density_coverage, precision_recall};
use divergences::test::{Signs, block_test, classifier_test, energy_test, mmd_test, stein_test};
use divergences::{BlockMmd, Divergence, KernelStein, Statistic};
use measures::parallel::map_blocks;
use measures::{Empirical, Points, Sample as _, Seed, zoo};

type PValue = fn(&Points, &Points, Seed) -> measures::Result<f64>;

const TESTS: [(&str, PValue); 5] = [
    ("MMD, relabelled", |x, y, seed| Ok(mmd_test(&Gaussian::new(1.5)?, x, y, 99, seed)?.p_value)),
    ("energy, relabelled", |x, y, seed| Ok(energy_test(x, y, 99, seed)?.p_value)),
    ("5-NN classifier, relabelled", |x, y, seed| Ok(classifier_test(x, y, 5, 99, seed)?.p_value)),
    ("MMD in blocks, normal law", |x, y, _| {
        let blocks = (x.len() as f64).sqrt() as usize;
        Ok(block_test(&BlockMmd::new(Gaussian::new(1.5)?, blocks)?, x, y)?.p_value)
    }),
    ("KSD against the score, bootstrapped", |x, _, seed| {
        let target = zoo::Gaussian::standard(x.dim());
        let ksd = KernelStein::new(target, InverseMultiquadric::new(1.0)?, Statistic::Unbiased);
        Ok(stein_test(&ksd, x, Signs::Independent, 99, seed)?.p_value)
    }),
];

/// p-values of pairs of samples, the first of N((shift, 0), I), the second of N(0, I).
fn p_values(test: PValue, shift: f64, n: usize, trials: usize, seed: Seed) -> Result<Vec<f64>> {
    let found = map_blocks(trials, 1, |range| {
        range
            .map(|trial| {
                let seed = seed.child(trial as u64);
                let moved = zoo::Gaussian::isotropic(&[shift, 0.0], 1.0)?;
                let x = moved.sample(n, &mut seed.stream(0));
                let y = zoo::Gaussian::standard(2).sample(n, &mut seed.stream(1));
                test(&x, &y, seed.named("labels"))
            })
            .collect::<measures::Result<Vec<f64>>>()
    });
    Ok(found.into_iter().collect::<measures::Result<Vec<_>>>()?.concat())
}

pub(super) fn tests(sheet: &mut Sheet<'_, '_>, report: &mut Report) -> Result<()> {
    let seed = sheet.seed.named("tests");
    let trials = 8 * sheet.config.repetitions;
    // One pair of samples, its statistic among those of its relabellings.
    let x = zoo::Gaussian::isotropic(&[0.9, 0.0], 1.0)?.sample(60, &mut seed.named("one").stream(0));
    let y = zoo::Gaussian::standard(2).sample(60, &mut seed.named("one").stream(1));
    let one = mmd_test(&Gaussian::new(1.5)?, &x, &y, 2000, seed)?;
    let (low, high) = one.null.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    let high = high.max(1.1 * one.statistic);
    let null = Panel::new("MMD² under 2000 relabellings", Axis::new("unbiased MMD²"), Axis::new("density"))
        .histogram("relabelled", Color::of_series(0), &one.null, (low, high), 40)
        .line(
            "as observed",
            Color::of_series(1),
            Dash::Solid,
            vec![(one.statistic, 0.0), (one.statistic, 20.0)],
        );
    let mut equal = Panel::new(
        "p-values of equal laws, n = 40",
        Axis::new("level α"),
        Axis::new("rejected").over(0.0, 1.0),
    )
    .line("α", Color::Grey, Dash::Dotted, vec![(0.0, 0.0), (1.0, 1.0)]);
    let mut power = Panel::new(
        "power at level .05 against a shift by .4",
        Axis::log("n"),
        Axis::new("rejected").over(0.0, 1.02),
    );
    let (mut worst, mut least) = (0.0f64, 1.0f64);
    for (k, (name, test)) in TESTS.into_iter().enumerate() {
        sheet.context.check_stop()?;
        let (color, dash) = style(k);
        let mut found = p_values(test, 0.0, 40, trials, seed.named("equal"))?;
        found.sort_by(f64::total_cmp);
        let rejected =
            |p: &[f64], alpha: f64| p.iter().filter(|p| **p <= alpha).count() as f64 / p.len() as f64;
        worst = worst.max(rejected(&found, 0.05));
        equal = equal.line(
            name,
            color,
            dash,
            grid(0.0, 1.0, 51).into_iter().map(|a| (a, rejected(&found, a))).collect(),
        );
        let mut xy = Vec::new();
        for &n in &sheet.config.sizes {
            let found = p_values(test, 0.4, n, trials / 2, seed.named("shift").child(n as u64))?;
            xy.push((n as f64, rejected(&found, 0.05)));
        }
        least = least.min(xy[xy.len() - 1].1 - xy[0].1);
        power = power.line(name, color, dash, xy);
    }
    // Six standard errors of a proportion of one in twenty.
    let bound = 0.05 + 6.0 * (0.05 * 0.95 / trials as f64).sqrt();
    report.claim(Claim::at_most("rejections of equal laws at level .05, most over the tests", worst, bound));
    report.claim(Claim::at_least(
        "power gained from the smallest to the largest sample, least over the tests",
        least,
        0.05,
    ));
    let caption = "Left: a statistic among its relabellings. Middle: under equal laws no curve may stay above the diagonal; relabelled \
        p-values hold at every n, those of blocks and of the bootstrap in the limit. Right: power.";
    report.figure(Figure::new("tests", "Tests", caption, vec![null, equal, power]));
    Ok(())
}

pub(super) fn quality(sheet: &mut Sheet<'_, '_>, report: &mut Report) -> Result<()> {
    let seed = sheet.seed.named("quality");
    let n = sheet.config.sizes[sheet.config.sizes.len() - 1];
    let data = Empirical::uniform(zoo::Gaussian::standard(2).sample(n, &mut seed.stream(0)))?;
    let noise = zoo::Gaussian::standard(2).sample(n, &mut seed.stream(1));
    let generated = |scale: f64| {
        let points = Points::from_fn(n, 2, |i, row| {
            row.iter_mut().zip(noise.row(i)).for_each(|(g, z)| *g = scale * z)
        });
        Empirical::uniform(points)
    };
    let names = ["precision", "recall", "density", "coverage"];
    let mut curves = vec![Vec::new(); 4];
    let mut distance = Vec::new();
    for e in grid(-1.8, 1.4, 33) {
        sheet.context.check_stop()?;
        let sample = generated(e.exp())?;
        let (pr, dc) = (precision_recall(&sample, &data, 3)?, density_coverage(&sample, &data, 5)?);
        let found = [pr.precision.value, pr.recall.value, dc.density.value, dc.coverage.value];
        curves.iter_mut().zip(found).for_each(|(curve, v)| curve.push((e.exp(), v)));
        distance.push((e.exp(), Frechet.value(&sample, &data)?));
    }
    let at = |curve: &[(f64, f64)], scale: f64| {
        let near = curve.iter().min_by(|a, b| (a.0 / scale).ln().abs().total_cmp(&(b.0 / scale).ln().abs()));
        near.map_or(f64::NAN, |p| p.1)
    };
    report.claim(Claim::at_least(
        "precision of a sample with a fifth of the spread",
        at(&curves[0], 0.2),
        0.9,
    ));
    report.claim(Claim::at_most("recall of the same sample", at(&curves[1], 0.2), 0.3));
    report.claim(Claim::at_most(
        "precision of a sample with four times the spread",
        at(&curves[0], 4.0),
        0.6,
    ));
    report.claim(Claim::at_least("recall of that one", at(&curves[1], 4.0), 0.5));
    let mut panel = Panel::new(
        "a sample of N(0, s²I) for data of N(0, I)",
        Axis::log("s"),
        Axis::new("share").over(0.0, 1.6),
    );
    for (k, (name, curve)) in names.into_iter().zip(curves).enumerate() {
        panel = panel.line(name, style(k).0, style(k).1, curve);
    }
    let frechet = Panel::new("Fréchet distance", Axis::log("s"), Axis::log("squared")).line(
        "Fréchet",
        style(4).0,
        style(4).1,
        distance,
    );
    let dots = |m: &Empirical| m.points().rows().map(|r| (r[0], r[1])).collect::<Vec<_>>();
    let clouds = Panel::new("s = ⅕ and s = 4", Axis::new("").over(-6.0, 6.0), Axis::new("").over(-6.0, 6.0))
        .equal()
        .dots("s = 4", Color::of_series(1), dots(&generated(4.0)?))
        .dots("data", Color::of_series(0), dots(&data))
        .dots("s = ⅕", Color::of_series(2), dots(&generated(0.2)?));
    let caption = "Precision and density reward a sample that stays inside the data, recall and coverage one that reaches all of it: read \
        them together. Density passes 1 for a collapsed sample.";
    report.figure(Figure::new("quality", "Quality of a sample", caption, vec![clouds, panel, frechet]));
    Ok(())
}
