//! The pinwheel: Gaussian arms bent by a rotation that grows with the distance from the centre.

use crate::error::{Error, Result, check_positive};
use crate::measure::{Measure, Sample};
use crate::points::Points;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// X = `scale` · R(−θ) f with f ~ N((1, 0), diag(`radial`², `tangential`²)), θ = 2πk/`arms` + `rate` e^{f₁} and k uniform
/// on the arms; R(θ) is the rotation by θ.
///
/// The density has caustics where 1 = `rate` e^{f₁} f₂, and no closed form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pinwheel {
    arms: usize,
    radial: f64,
    tangential: f64,
    rate: f64,
    scale: f64,
}

impl Pinwheel {
    /// A pinwheel from its number of arms, the standard deviations along and across an arm, the rate of bending and the scale.
    ///
    /// # Errors
    /// There is no arm, a standard deviation or the scale is not finite and positive, the rate is beyond ±1e6, or `radial`
    /// is above 16.
    pub fn new(arms: usize, radial: f64, tangential: f64, rate: f64, scale: f64) -> Result<Self> {
        if arms == 0 {
            return Err(Error::TooFew { what: "arms", at_least: 1, got: 0 });
        }
        check_positive("radial", radial)?;
        check_positive("tangential", tangential)?;
        check_positive("scale", scale)?;
        // rate · e^{f₁} must be finite for every draw of f₁, and normal draws stay within 40 standard deviations.
        if rate.is_nan() || rate.abs() > 1e6 {
            return Err(Error::Parameter { what: "rate", value: rate, must: "between −1e6 and 1e6" });
        }
        if radial > 16.0 {
            return Err(Error::Parameter { what: "radial", value: radial, must: "at most 16" });
        }
        Ok(Pinwheel { arms, radial, tangential, rate, scale })
    }

    /// FFJORD's pinwheel: 5 arms, .3 along, .1 across, rate .25, scale 2. Source: Grathwohl et al. (2019),
    /// arXiv:1810.01367, `toy_data.inf_train_gen("pinwheel")`, after Johnson et al. (2016), arXiv:1603.06277.
    pub fn ffjord() -> Self {
        Pinwheel { arms: 5, radial: 0.3, tangential: 0.1, rate: 0.25, scale: 2.0 }
    }

    /// The number of arms.
    pub fn arms(&self) -> usize {
        self.arms
    }

    fn draw(&self, rng: &mut dyn Rng) -> (usize, [f64; 2]) {
        let arm = rng.random_range(0..self.arms);
        let along: f64 = StandardNormal.sample(rng);
        let across: f64 = StandardNormal.sample(rng);
        (arm, [1.0 + self.radial * along, self.tangential * across])
    }
}

impl Measure for Pinwheel {
    fn dim(&self) -> usize {
        2
    }
}

impl Sample for Pinwheel {
    fn sample(&self, n: usize, rng: &mut dyn Rng) -> Points {
        Points::from_fn(n, 2, |_, row| {
            let (arm, f) = self.draw(rng);
            let (sin, cos) = (TAU * arm as f64 / self.arms as f64 + self.rate * f[0].exp()).sin_cos();
            row[0] = self.scale * (f[0] * cos + f[1] * sin);
            row[1] = self.scale * (f[1] * cos - f[0] * sin);
        })
    }
}
