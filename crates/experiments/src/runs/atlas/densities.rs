//! Total variation and φ-divergences: of densities, and estimated from samples.

use super::{Sheet, grid, style};
use crate::failure::Result;
use crate::figure::{Axis, Figure, Panel};
use crate::report::{Claim, Report};
use divergences::family::Monomials;
use divergences::phi::{DualPhi, Phi, between_densities, between_gaussians, from_samples};
use measures::{Empirical, Sample as _, zoo};

const PHIS: [(&str, Phi); 6] = [
    ("KL", Phi::Kl),
    ("reverse KL", Phi::ReverseKl),
    ("χ²", Phi::ChiSquared),
    ("Jensen–Shannon", Phi::JensenShannon),
    ("squared Hellinger", Phi::SquaredHellinger),
    ("total variation", Phi::TotalVariation),
];

/// An estimate's relative error.
type Estimator<'a> = Box<dyn Fn(&Empirical, &Empirical) -> Result<f64> + 'a>;

pub(super) fn figure(sheet: &mut Sheet<'_, '_>, report: &mut Report) -> Result<()> {
    let mut generators = Panel::new("generators φ", Axis::new("t = dμ/dν"), Axis::new("φ(t)").over(0.0, 2.0));
    let mut parting =
        Panel::new("N(0, 1) and N(t, 1), exactly", Axis::new("t"), Axis::log("divergence").over(1e-3, 1e2));
    let standard = zoo::Gaussian::standard(1);
    for (k, (name, phi)) in PHIS.into_iter().enumerate() {
        let (color, dash) = style(k);
        generators = generators.line(
            name,
            color,
            dash,
            grid(0.02, 3.0, 120).iter().map(|&t| (t, phi.value(t))).collect(),
        );
        let at = |t: f64| -> Result<(f64, f64)> {
            let moved = zoo::Gaussian::isotropic(&[t], 1.0)?;
            let value = match phi {
                Phi::JensenShannon => {
                    let rng = &mut sheet.seed.named("Jensen–Shannon").rng();
                    between_densities(phi, &standard, &moved, 20_000, rng)?.value
                }
                _ => between_gaussians(phi, &standard, &moved)?,
            };
            Ok((t, value))
        };
        parting = parting.line(
            name,
            color,
            dash,
            grid(0.1, 4.0, 40).into_iter().map(at).collect::<Result<Vec<_>>>()?,
        );
    }
    // N(0, I) and N((1, 0), I): KL = ½, squared Hellinger = 1 − e^{−1/8}, TV = 2Φ(½) − 1.
    let (p, q) = (zoo::Gaussian::standard(2), zoo::Gaussian::isotropic(&[1.0, 0.0], 1.0)?);
    let exact = |phi| between_gaussians(phi, &p, &q);
    let (kl, hellinger, tv) = (exact(Phi::Kl)?, exact(Phi::SquaredHellinger)?, exact(Phi::TotalVariation)?);
    let dual = DualPhi::new(Phi::Kl, Monomials::new(2, 2)?);
    let by_neighbours = |phi: Phi, k: usize, exact: f64| -> Estimator<'_> {
        Box::new(move |x, y| Ok(from_samples(phi, x.points(), y.points(), k)?.value / exact - 1.0))
    };
    let estimators: Vec<(&str, Estimator<'_>)> = vec![
        ("KL, 5 neighbours", by_neighbours(Phi::Kl, 5, kl)),
        ("KL, dual over parabolas", Box::new(|x, y| Ok(dual.maximise(x, y)?.value / kl - 1.0))),
        ("squared Hellinger, 5 neighbours", by_neighbours(Phi::SquaredHellinger, 5, hellinger)),
        ("total variation, counts of 12", by_neighbours(Phi::TotalVariation, 12, tv)),
    ];
    let mut errors = Panel::new(
        "estimates from samples in the plane",
        Axis::log("n"),
        Axis::log("root mean square error, relative"),
    );
    let mut last = Vec::new();
    for (k, (name, estimator)) in estimators.iter().enumerate() {
        let mut xy = Vec::new();
        for &n in &sheet.config.sizes {
            sheet.context.check_stop()?;
            let mut sum = 0.0;
            for r in 0..sheet.config.repetitions {
                let seed = sheet.seed.named("estimates").child(n as u64).child(r as u64);
                let draw =
                    |law: &zoo::Gaussian, stream| Empirical::uniform(law.sample(n, &mut seed.stream(stream)));
                sum += estimator(&draw(&p, 0)?, &draw(&q, 1)?)?.powi(2);
            }
            xy.push((n as f64, (sum / sheet.config.repetitions as f64).sqrt()));
        }
        last.push((xy[0].1, xy[xy.len() - 1].1));
        let (color, dash) = style(k);
        errors = errors.line(*name, color, dash, xy);
    }
    let ratio = last.iter().map(|(first, last)| last / first).fold(0.0, f64::max);
    report.claim(Claim::at_most(
        "estimates of φ-divergences improve with n: largest error at the largest n over that at the smallest",
        ratio,
        0.9,
    ));
    let caption = "Left: the generators. Middle: KL and χ² grow without end as the laws part, the bounded ones saturate, and no gradient \
        is left. Right: errors of estimators from samples of N(0, I) and N((1, 0), I); the dual knows that the logarithm of the ratio is \
        a parabola, the others do not.";
    report.figure(Figure::new(
        "densities",
        "Total variation and φ-divergences",
        caption,
        vec![generators, parting, errors],
    ));
    Ok(())
}
