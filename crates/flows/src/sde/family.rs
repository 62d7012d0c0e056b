//! The stochastic equations that share the marginals of a path: from its probability flow to its reverse diffusion.

use super::equation::Additive;
use crate::error::{FieldError, Result};
use crate::field::{TimeScore, VelocityField, check};
use crate::path::Schedule;
use crate::state::{Clock, State};
use measures::Points;

/// The drift v_t + ε(t) ∇log r_t (in the direction of the run) of the family below.
pub struct FamilyDrift<'a, P> {
    path: P,
    epsilon: Box<dyn Fn(f64) -> f64 + Sync + 'a>,
    sign: f64,
}

/// The direction of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To later times.
    Forward,
    /// To earlier times.
    Backward,
}

impl<P: VelocityField + TimeScore> VelocityField for FamilyDrift<'_, P> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(self.path.dim(), t, x, out)?;
        let mut score = Points::zeros(x.len(), x.dim());
        self.path.score(t, x, &mut score)?;
        self.path.velocity(t, x, out)?;
        match t {
            Clock::Shared(t) => out.axpy(Clock::Shared(self.sign * (self.epsilon)(t)), &score),
            Clock::Each(times) => {
                let scale: Vec<f64> = times.iter().map(|&t| self.sign * (self.epsilon)(t)).collect();
                out.axpy(Clock::Each(&scale), &score);
            }
        }
        Ok(())
    }

    fn is_pointwise(&self) -> bool {
        VelocityField::is_pointwise(&self.path) && TimeScore::is_pointwise(&self.path)
    }
}

/// dX = (v_t + ε(t) ∇log r_t)(X) dt + √(2ε(t)) dB for any ε ≥ 0: all have the laws ρ_t, because
/// ∇·(ερ∇log ρ) = εΔρ. ε = 0 is the probability flow of eq. (7); ε = ½g² is the reverse of the diffusion of level g that
/// noises along the path. In a run [`Direction::Backward`] the score changes its sign, since dt does.
///
/// Y. Song et al., arXiv:2011.13456, appendix D; Albergo, Boffi and Vanden-Eijnden, arXiv:2303.08797.
pub fn family<'a, P: VelocityField + TimeScore>(
    path: P,
    direction: Direction,
    epsilon: impl Fn(f64) -> f64 + Sync + Clone + 'a,
) -> Additive<'a, FamilyDrift<'a, P>> {
    let sign = if direction == Direction::Forward { 1.0 } else { -1.0 };
    let level = epsilon.clone();
    Additive::new(FamilyDrift { path, epsilon: Box::new(epsilon), sign }, move |t| (2.0 * level(t)).sqrt())
}

/// The reverse-time equation of the diffusion that noises data along this path, to be run from noise to data: the member
/// ε = ½g² of the [`family`]. For the Ornstein–Uhlenbeck path ε = 1.
///
/// B. D. O. Anderson, *Reverse-time diffusion equation models*, Stoch. Proc. Appl. 12 (1982),
/// doi:10.1016/0304-4149(82)90051-5.
pub fn reverse<'a, S, P>(path: P, schedule: S) -> Additive<'a, FamilyDrift<'a, P>>
where
    S: Schedule + Clone + 'a,
    P: VelocityField + TimeScore,
{
    let (noise, data) = schedule.span();
    let direction = if data > noise { Direction::Forward } else { Direction::Backward };
    // Where α vanishes there is no diffusion to reverse: NaN stops the run there with a status.
    family(path, direction, move |t| schedule.noising(t).map_or(f64::NAN, |(_, square)| 0.5 * square))
}
