//! The two one-dimensional functions of a dual problem, with their derivatives and conjugates.

use super::Critic;
use crate::phi::{Order, Phi, sigmoid, softplus};
use std::f64::consts::LN_2;

/// maximise ⟨A(u)|μ⟩ − ⟨B(u)|ν⟩ over a linear space of functions u, A concave and B convex.
///
/// With [`Critic::Linear`] u is f itself, A(u) = u for u ≤ φ′(∞) and B = φ*; with [`Critic::LogRatio`] u is the logarithm
/// of the ratio, A(u) = φ′(eᵘ) and B(u) = φ*(φ′(eᵘ)). Ends of domains and the kink of total variation are replaced by
/// logarithmic barriers of height `barrier`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides {
    pub(super) phi: Phi,
    pub(super) critic: Critic,
    pub(super) barrier: f64,
}

/// A value with its first two derivatives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jet {
    pub(super) value: f64,
    pub(super) slope: f64,
    pub(super) bend: f64,
}

impl Sides {
    /// Whether a barrier is at work, so that it has to be lowered.
    pub(super) fn has_barrier(&self) -> bool {
        self.critic == Critic::Linear && self.phi.recession().is_finite()
    }

    /// A(u), −∞ outside its domain.
    pub(super) fn first(&self, u: f64) -> Jet {
        if self.critic == Critic::Linear {
            let end = self.phi.recession();
            if end == f64::INFINITY {
                return Jet { value: u, slope: 1.0, bend: 0.0 };
            }
            let room = end - u;
            if room <= 0.0 {
                return Jet { value: f64::NEG_INFINITY, slope: 0.0, bend: 0.0 };
            }
            let t = self.barrier;
            return Jet { value: u + t * room.ln(), slope: 1.0 - t / room, bend: -t / (room * room) };
        }
        if self.phi == Phi::JensenShannon {
            let s = sigmoid(-u);
            let value = 0.5 * (LN_2 - softplus(-u));
            return Jet { value, slope: 0.5 * s, bend: -0.5 * s * (1.0 - s) };
        }
        let (a, scale) = self.order();
        let rate = 1.0 - a;
        if rate == 0.0 {
            return Jet { value: scale * u, slope: scale, bend: 0.0 };
        }
        let e = (-rate * u).exp();
        Jet { value: -scale * (-rate * u).exp_m1() / rate, slope: scale * e, bend: -scale * rate * e }
    }

    /// B(v), +∞ outside its domain.
    pub(super) fn second(&self, v: f64) -> Jet {
        if self.critic == Critic::Linear {
            if self.phi == Phi::TotalVariation {
                return self.kink(v);
            }
            if v >= self.phi.recession() {
                return Jet { value: f64::INFINITY, slope: 0.0, bend: 0.0 };
            }
            return Jet {
                value: self.phi.conjugate(v),
                slope: self.phi.conjugate_slope(v),
                bend: self.phi.conjugate_curvature(v),
            };
        }
        if self.phi == Phi::JensenShannon {
            let s = sigmoid(v);
            return Jet { value: 0.5 * (softplus(v) - LN_2), slope: 0.5 * s, bend: 0.5 * s * (1.0 - s) };
        }
        let (a, scale) = self.order();
        if a == 0.0 {
            return Jet { value: scale * v, slope: scale, bend: 0.0 };
        }
        let e = (a * v).exp();
        Jet { value: scale * (a * v).exp_m1() / a, slope: scale * e, bend: scale * a * e }
    }

    /// max(v, −½) for v ≤ ½, smoothed: the minimum over w of w − t log(w − v) − t log(w + ½), plus the barrier at ½.
    /// Below the kink v is free to run away, so that a parabola of height t holds it.
    fn kink(&self, v: f64) -> Jet {
        let (t, rise, room) = (self.barrier, v + 0.5, 0.5 - v);
        if room <= 0.0 {
            return Jet { value: f64::INFINITY, slope: 0.0, bend: 0.0 };
        }
        let r = rise.hypot(2.0 * t);
        // d = w − v solves d² + (rise − 2t) d − t·rise = 0; written without cancellation on either side.
        let d = if rise > 0.0 { t + 2.0 * t * t / (r + rise) } else { t + 0.5 * (r - rise) };
        let e = if rise > 0.0 { d + rise } else { t + 2.0 * t * t / (r - rise) };
        let turn = if rise > 0.0 { 4.0 * t * t / (r * (r + rise)) } else { 1.0 - rise / r };
        let below = rise.min(0.0);
        Jet {
            value: v + d - t * (d.ln() + e.ln() + room.ln() - 0.5 * below * below),
            slope: t / d + t / room + t * below,
            bend: 0.5 * t * turn / (d * d) + t / (room * room) + if rise < 0.0 { t } else { 0.0 },
        }
    }

    /// p moved into the slopes of A, by round-off or it counts as a mismatch.
    pub(super) fn first_slope(&self, p: f64) -> f64 {
        match (self.critic, self.phi) {
            (Critic::Linear, phi) if phi.recession() == f64::INFINITY => 1.0,
            (Critic::Linear, _) => p.min(1.0),
            (Critic::LogRatio, Phi::JensenShannon) => p.clamp(0.0, 0.5),
            (Critic::LogRatio, Phi::Kl) => 1.0,
            (Critic::LogRatio, _) => p.max(0.0),
        }
    }

    /// r moved into the slopes of B.
    pub(super) fn second_slope(&self, r: f64) -> f64 {
        match (self.critic, self.phi) {
            (Critic::LogRatio, Phi::JensenShannon) => r.clamp(0.0, 0.5),
            (Critic::LogRatio, Phi::ReverseKl) => 1.0,
            _ => r.max(0.0),
        }
    }

    /// sup_u A(u) − p u without barriers: +∞ where p is no slope of A.
    pub(super) fn first_conjugate(&self, p: f64) -> f64 {
        if self.critic == Critic::Linear {
            let end = self.phi.recession();
            return if end == f64::INFINITY {
                0.0
            } else if p <= 1.0 {
                (1.0 - p) * end
            } else {
                f64::INFINITY
            };
        }
        if self.phi == Phi::JensenShannon {
            return half_entropy_gap(p);
        }
        let (a, scale) = self.order();
        if a == 1.0 { 0.0 } else { scale * entropy_gap(p / scale) / (1.0 - a) }
    }

    /// sup_v r v − B(v) without barriers: +∞ where r is no slope of B.
    pub(super) fn second_conjugate(&self, r: f64) -> f64 {
        if self.critic == Critic::Linear {
            return if r < 0.0 { f64::INFINITY } else { self.phi.value(r) };
        }
        if self.phi == Phi::JensenShannon {
            return half_entropy_gap(r);
        }
        let (a, scale) = self.order();
        if a == 0.0 { 0.0 } else { scale * entropy_gap(r / scale) / a }
    }

    /// Along a direction of values u on μ's atoms, (mean, least), and v on ν's, (mean, largest): the two numbers of
    /// which the first must exceed the second for the objective to keep growing, and whether it then grows to +∞.
    pub(super) fn recession(&self, u: (f64, f64), v: (f64, f64)) -> Option<(f64, f64, bool)> {
        match (self.critic, self.phi) {
            (Critic::Linear, phi) if phi.recession() == f64::INFINITY => Some((u.0, v.1, true)),
            (Critic::Linear, _) => None,
            (Critic::LogRatio, Phi::Kl) => Some((u.0, v.1, true)),
            (Critic::LogRatio, Phi::ReverseKl) => Some((u.1, v.0, true)),
            (Critic::LogRatio, _) => Some((u.1, v.1, false)),
        }
    }

    /// α and the factor by which the divergence is the α-divergence, for the log-ratio critic.
    fn order(&self) -> (f64, f64) {
        match self.phi {
            Phi::ReverseKl => (0.0, 1.0),
            Phi::SquaredHellinger => (0.5, 0.25),
            Phi::Alpha(Order(a)) => (a, 1.0),
            _ => (1.0, 1.0),
        }
    }

    /// The objective without barriers at one atom of each side.
    pub(super) fn exact_first(&self, u: f64) -> f64 {
        if self.critic == Critic::Linear { u } else { self.first(u).value }
    }

    /// A′(u) without barriers.
    pub(super) fn exact_slope(&self, u: f64) -> f64 {
        match self.critic {
            Critic::Linear => f64::from(u8::from(u < self.phi.recession())),
            Critic::LogRatio => self.first(u).slope,
        }
    }

    /// As [`Sides::exact_first`] for the second side.
    pub(super) fn exact_second(&self, v: f64) -> f64 {
        if self.critic == Critic::Linear { self.phi.conjugate(v) } else { self.second(v).value }
    }
}

/// r log r − r + 1, +∞ for negative r.
fn entropy_gap(r: f64) -> f64 {
    if r < 0.0 {
        f64::INFINITY
    } else if r == 0.0 {
        1.0
    } else {
        r * r.ln() - (r - 1.0)
    }
}

/// ½ (log 2 − h(2p)), h the entropy of a coin.
fn half_entropy_gap(p: f64) -> f64 {
    let q = 2.0 * p;
    if !(0.0..=1.0).contains(&q) {
        return f64::INFINITY;
    }
    let term = |q: f64| if q == 0.0 { 0.0 } else { q * q.ln() };
    0.5 * (LN_2 + term(q) + term(1.0 - q))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<Sides> {
        let linear = crate::phi::tests::all().into_iter().map(|phi| (phi, Critic::Linear));
        let log = crate::phi::tests::all()
            .into_iter()
            .filter(|phi| Critic::LogRatio.suits(*phi))
            .map(|phi| (phi, Critic::LogRatio));
        linear.chain(log).map(|(phi, critic)| Sides { phi, critic, barrier: 0.02 }).collect()
    }

    #[test]
    fn derivatives() {
        for sides in cases() {
            for f in [Sides::first, Sides::second] {
                for u in [-1.3, -0.505, -0.495, -0.2, 0.1, 0.25] {
                    let h = 1e-5;
                    let (left, at, right) = (f(&sides, u - h), f(&sides, u), f(&sides, u + h));
                    let slope = (right.value - left.value) / (2.0 * h);
                    assert!((slope - at.slope).abs() < 1e-6 * (1.0 + slope.abs()), "{sides:?} {u} {slope}");
                    let bend = (right.slope - left.slope) / (2.0 * h);
                    assert!((bend - at.bend).abs() < 1e-4 * (1.0 + bend.abs()), "{sides:?} {u} {bend}");
                }
            }
        }
    }

    #[test]
    fn conjugates() {
        for mut sides in cases() {
            sides.barrier = 1e-12;
            for u in [-1.2, -0.3, 0.0, 0.2] {
                let (a, b) = (sides.first(u), sides.second(u));
                if sides.phi == Phi::TotalVariation {
                    continue;
                }
                let first = sides.exact_first(u) - a.slope * u;
                assert!((sides.first_conjugate(a.slope) - first).abs() < 1e-9, "{sides:?} {u}");
                // Below −2 the conjugate of χ² is flat, and so on: only where B is strictly convex or linear.
                if b.slope > 0.0 {
                    let second = b.slope * u - sides.exact_second(u);
                    assert!((sides.second_conjugate(b.slope) - second).abs() < 1e-9, "{sides:?} {u}");
                }
            }
            // The smoothed kink tends to the kink.
            if sides.phi == Phi::TotalVariation {
                for v in [-0.9, -0.5, -0.1, 0.3] {
                    assert!((sides.second(v).value - v.max(-0.5)).abs() < 1e-10);
                }
            }
        }
    }
}
