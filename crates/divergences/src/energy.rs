//! The energy distance, in one dimension by sorting.

use crate::axioms::Axioms;
use crate::divergence::{Divergence, Toward, finite};
use crate::kernel::Energy;
use crate::merge::{Mass, Merged, merge};
use crate::mmd::Mmd;
use crate::slices::AlongLine;
use crate::statistic::Statistic;
use crate::transport::Ranked;
use measures::{Empirical, Functional, Measure, Points, Result, Variation, check_dim, parallel};

/// E(μ, ν) = 2E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖ (Székely and Rizzo, 2013), the squared MMD of the kernel −‖x − y‖:
/// **squared**, its root is a metric.
///
/// In one dimension E = 2∫(F − G)² and everything, gradient included, takes O(n log n); in higher dimensions pairs are
/// summed in fused blocks. From 16 dimensions and a million pairs on, the value may take distances from inner products, each
/// to within 16(3d + 8)2⁻⁵³ of itself, and those of close points from differences.
///
/// Also D₂² with the stable weight |s|^{−(d+1)}/c_d over all frequencies
/// ([`RandomFrequencies::stable`](crate::family::RandomFrequencies::stable)).
///
/// [`Statistic::Plugin`] is the V-statistic, [`Statistic::Unbiased`] divides the sums within a sample by n(n−1) and may
/// be negative. SciPy's `energy_distance` is the root of the V-statistic, dcor's its square.
///
/// ```
/// use divergences::{Divergence, EnergyDistance, Statistic};
/// use divergences::measures::Empirical;
/// let energy = EnergyDistance::new(Statistic::Plugin);
/// assert_eq!(energy.value(&Empirical::dirac(&[0.0])?, &Empirical::dirac(&[3.0])?)?, 6.0);
/// # Ok::<(), divergences::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct EnergyDistance {
    /// What it is in two dimensions and more.
    pairwise: Mmd<Energy>,
}

impl EnergyDistance {
    /// The energy distance by one of the two estimates.
    pub fn new(statistic: Statistic) -> Self {
        EnergyDistance { pairwise: Mmd::new(Energy::distance(), statistic) }
    }

    fn line_value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        let statistic = self.pairwise.statistic();
        let scales = statistic.scales(mu, nu)?;
        let (x, y) =
            both(|| Ranked::values_of(mu, nu.is_uniform()), || Ranked::values_of(nu, mu.is_uniform()));
        finite(match (statistic, x.weights(), y.weights()) {
            (Statistic::Plugin, None, None) => 2.0 * squared_difference(x.values(), y.values()),
            _ => energy_of(&x, &y, scales),
        })
    }

    fn line_variation(&self, mu: &Empirical, nu: &Empirical) -> Result<(f64, Vec<f64>, Points)> {
        let statistic = self.pairwise.statistic();
        let scales = statistic.scales(mu, nu)?;
        let (x, y) = both(|| Ranked::of(mu), || Ranked::values_of(nu, mu.is_uniform()));
        let along = energy_along(&x, &y, scales, statistic == Statistic::Unbiased);
        let mut potential = vec![0.0; mu.len()];
        let mut gradients = Points::zeros(mu.len(), 1);
        for ((&i, h), slope) in x.order().iter().zip(along.potential).zip(along.slopes) {
            potential[i] = h;
            gradients.row_mut(i)[0] = slope;
        }
        Ok((finite(along.value)?, potential, gradients))
    }
}

/// 2∫(F − G)², with the mean distances within the two lists multiplied by `scales`.
pub(crate) fn energy_of(x: &Ranked, y: &Ranked, scales: [f64; 2]) -> f64 {
    value_of(&merge(x, y, |_, _| ()), scales)
}

fn value_of(merged: &Merged, [own, other]: [f64; 2]) -> f64 {
    2.0 * merged.difference + (1.0 - own) * merged.own + (1.0 - other) * merged.other
}

/// The same with δE/δμ(z) = 2∫|z − y| dν − 2∫|z − x| dμ at the atoms z of x, piecewise linear; `by_weight` where the
/// scale depends on the weights too.
pub(crate) fn energy_along(x: &Ranked, y: &Ranked, scales: [f64; 2], by_weight: bool) -> AlongLine {
    let n = x.values().len();
    let own = scales[0];
    let (mut potential, mut slopes) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let merged = merge(x, y, |from_x, from_y| {
        potential.push(2.0 * (from_y.distance - own * from_x.distance));
        slopes.push(2.0 * (from_y.slope - own * from_x.slope));
    });
    if by_weight {
        let normalisation = 2.0 * merged.own * own * own;
        let mass = Mass::of(x);
        potential.iter_mut().enumerate().for_each(|(i, h)| *h -= normalisation * mass.at(i));
    }
    AlongLine { value: value_of(&merged, scales), potential, slopes }
}

/// Both results, at once where there are threads.
fn both<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    #[cfg(feature = "rayon")]
    return rayon::join(a, b);
    #[cfg(not(feature = "rayon"))]
    (a(), b())
}

/// Atoms of one measure between two cuts of the line.
const BETWEEN_CUTS: usize = 16384;

/// ∫(F − G)² of atoms of equal weight. The line is cut at atoms of x; what stands before a cut is counted, so that the parts do not
/// wait for each other.
fn squared_difference(x: &[f64], y: &[f64]) -> f64 {
    let count = x.len().div_ceil(BETWEEN_CUTS);
    let cut = |k: usize| {
        if k == 0 {
            return (0, 0, x[0].min(y[0]));
        }
        if k == count {
            return (x.len(), y.len(), x[x.len() - 1].max(y[y.len() - 1]));
        }
        let at = x[k * x.len() / count];
        (x.partition_point(|x| *x < at), y.partition_point(|y| *y < at), at)
    };
    let (share_x, share_y) = (1.0 / x.len() as f64, 1.0 / y.len() as f64);
    parallel::sum_blocks(count, 1, |part| {
        let ((from_x, from_y, mut last), (to_x, to_y, end)) = (cut(part.start), cut(part.end));
        let (x, y) = (&x[from_x..to_x], &y[from_y..to_y]);
        let mut difference = from_x as f64 * share_x - from_y as f64 * share_y;
        let (mut i, mut j, mut sum) = (0, 0, 0.0);
        // No branch: which side comes next is as good as random.
        let steps = [-share_y, share_x];
        while i < x.len() && j < y.len() {
            let is_x = usize::from(x[i] <= y[j]);
            let at = if x[i] < y[j] { x[i] } else { y[j] };
            sum += difference * difference * (at - last);
            last = at;
            difference += steps[is_x];
            i += is_x;
            j += 1 - is_x;
        }
        let rest = x[i..].iter().map(|x| (x, share_x)).chain(y[j..].iter().map(|y| (y, -share_y)));
        for (at, step) in rest {
            sum += difference * difference * (at - last);
            last = *at;
            difference += step;
        }
        sum + difference * difference * (end - last)
    })
}

impl Divergence for EnergyDistance {
    fn axioms(&self) -> Axioms {
        self.pairwise.axioms()
    }

    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        if mu.dim() == 1 { self.line_value(mu, nu) } else { self.pairwise.value(mu, nu) }
    }

    /// The gradient in the points takes the pull of a coinciding point as zero.
    fn variation(&self, mu: &Empirical, nu: &Empirical) -> Result<Variation> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        if mu.dim() > 1 {
            return self.pairwise.variation(mu, nu);
        }
        let (value, potential, gradients) = self.line_variation(mu, nu)?;
        Ok(Variation::from_potential(mu, value, potential, gradients))
    }

    fn gradient_field(&self, mu: &Empirical, nu: &Empirical) -> Result<Points> {
        check_dim("second measure", mu.dim(), nu.dim())?;
        if mu.dim() > 1 { self.pairwise.gradient_field(mu, nu) } else { Ok(self.line_variation(mu, nu)?.2) }
    }

    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        if target.dim() == 1 { Ok(Box::new(Toward::new(self, target))) } else { self.pairwise.toward(target) }
    }
}
