//! Families of test functions, and the maxima over them.

use super::{Sheet, grid, quantiles, style};
use crate::failure::Result;
use crate::figure::{Axis, Figure, Panel};
use divergences::family::{
    Activation, Bumps, FourierLattice, Hermite, Monomials, RandomFrequencies, Ridge, SteinImage,
};
use divergences::kernel::Gaussian;
use divergences::phi::{DualPhi, Phi};
use divergences::sup_ipm::{RkhsBall, SupIpm};
use measures::{Family, Points, zoo};

/// Function k of a family on the line.
fn curve(family: &dyn Family, k: usize, x: &[f64]) -> Result<Vec<(f64, f64)>> {
    let count = family.tau().len();
    let values = family.values(&Points::from_line(x.to_vec()))?;
    Ok(x.iter().zip(values.iter().skip(k).step_by(count)).map(|(x, f)| (*x, *f)).collect())
}

pub(super) fn families(sheet: &mut Sheet<'_, '_>) -> Result<Figure> {
    let x = grid(-4.0, 4.0, 161);
    let seed = sheet.seed.named("families");
    let base = || RandomFrequencies::gaussian(1, 1.0, 4, seed);
    let shown: Vec<(&str, Box<dyn Family>, usize)> = vec![
        ("Fourier lattice", Box::new(FourierLattice::line(2)?.with_periods(&[4.0])?), 0),
        ("random frequency", Box::new(base()?), 1),
        ("Hermite polynomial", Box::new(Hermite::new(1, 3)?), 2),
        ("random neuron", Box::new(Ridge::random(Activation::Tanh, 1, 1.0, 3, seed)?), 1),
        ("bump", Box::new(Bumps::new(Points::from_line(vec![0.5]), 2.0, &[1.0])?), 0),
        ("Stein image", Box::new(SteinImage::new(zoo::Gaussian::standard(1), base()?)?), 0),
    ];
    let mut panel =
        Panel::new("one function of a family each", Axis::new("x"), Axis::new("f(x)").over(-3.0, 3.0));
    for (k, (name, family, index)) in shown.iter().enumerate() {
        let (color, dash) = style(k);
        panel = panel.line(*name, color, dash, curve(family, *index, &x)?);
    }
    let names = [
        "D2 Fourier lattice",
        "D2 Gaussian frequencies",
        "D2 stable frequencies",
        "D2 Hermite polynomials to degree 4",
        "D2 random neurons",
        "D2 bumps",
    ];
    let noise = names.map(|name| (name, 2));
    let panels =
        vec![panel, sheet.parting(&names)?, sheet.noise("two samples of N(0, I) in the plane", &noise)?];
    let caption = "Test functions (left), and D₂ over families of them: bounded functions saturate as the laws part, polynomials and \
        the stable weight do not; a lattice starts again after a turn. All fall as 1/n at equal laws, whatever the dimension.";
    Ok(Figure::new("families", "Families of test functions and D₂", caption, panels))
}

pub(super) fn duality(sheet: &mut Sheet<'_, '_>) -> Result<Figure> {
    let n = sheet.config.atoms;
    let (mu, nu) = (quantiles(n, 1.0, 1.0)?, quantiles(n, -0.5, 0.8)?);
    let x = grid(-3.0, 3.5, 131);
    let points = Points::from_line(x.clone());
    let with = |values: Vec<f64>| x.iter().copied().zip(values).collect::<Vec<_>>();
    // Each about its mean and over its largest size, so that shapes are compared.
    let scaled = |values: Vec<f64>| {
        let middle = values.iter().sum::<f64>() / values.len() as f64;
        let most = values.iter().fold(0.0f64, |most, v| most.max((v - middle).abs()));
        values.into_iter().map(|v| (v - middle) / most).collect::<Vec<_>>()
    };
    let witness = RkhsBall::new(Gaussian::new(1.0)?)?.witness(&mu, &nu, &points)?.values;
    let lattice = FourierLattice::line(3)?.with_periods(&[8.0])?;
    let best = SupIpm::symmetric(lattice.clone())?.maximise(&mu, &nu)?;
    let sine = curve(&lattice, best.index, &x)?.into_iter().map(|(_, f)| best.sign * f).collect();
    let dual = DualPhi::new(Phi::Kl, Monomials::new(1, 2)?);
    let critic = dual.maximise(&mu, &nu)?.critic(&points)?;
    let log = |x: f64, m: f64, s: f64| -0.5 * ((x - m) / s).powi(2) - s.ln();
    let truth = x.iter().map(|&x| log(x, 1.0, 1.0) - log(x, -0.5, 0.8)).collect();
    let mut panel = Panel::new(
        "what attains the maximum between N(1, 1) and N(−½, .8²)",
        Axis::new("x"),
        Axis::new("maximiser, centred and scaled"),
    );
    for (k, (name, values)) in [
        ("ball of an RKHS: the witness", scaled(witness)),
        ("best of a Fourier lattice", scaled(sine)),
        ("KL by duality: the critic", scaled(critic)),
        ("log of the true ratio", scaled(truth)),
    ]
    .into_iter()
    .enumerate()
    {
        let (color, _) = style(k);
        let dash = if k == 3 { crate::figure::Dash::Dotted } else { crate::figure::Dash::Solid };
        panel = panel.line(name, color, dash, with(values));
    }
    let names = [
        "D∞ Fourier lattice, both signs",
        "D∞ ball of an RKHS",
        "D∞ pairs of KL, 32 neurons",
        "KL by duality, ridge 1",
        "Jensen–Shannon by logistic regression, ridge 1",
    ];
    // The best of a list may be negative at equal laws.
    let noise: Vec<(&str, usize)> =
        names.into_iter().filter(|name| !name.contains("pairs")).map(|name| (name, 2)).collect();
    let panels =
        vec![panel, sheet.parting(&names)?, sheet.noise("two samples of N(0, I) in the plane", &noise)?];
    let caption = "Maximisers (left): the witness of an RKHS is the smoothed difference of densities, the critic of KL over parabolas is \
        the logarithm of the ratio. Middle: as the laws part. Right: a maximum over a family is biased by what it overfits.";
    Ok(Figure::new("duality", "The maximum formulation D∞", caption, panels))
}
