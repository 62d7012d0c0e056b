//! The two players: alternating best responses, descent against the exact adversary, and gradient steps on both sides.

use super::landscape::Law;
use std::f64::consts::PI;

/// Where the generator's parameter lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// a ∈ [0, ½], as in the footnote: no μ_a is μ₁.
    Line,
    /// a ∈ ℝ/ℤ, arcs of the circle: μ_¾ is μ₁.
    Circle,
}

impl Ground {
    pub(super) fn words(self) -> &'static str {
        match self {
            Ground::Line => "footnote 3",
            Ground::Circle => "circle",
        }
    }

    fn keep(self, a: f64) -> f64 {
        match self {
            Ground::Line => a.clamp(0.0, 0.5),
            Ground::Circle => a.rem_euclid(1.0),
        }
    }

    /// How far a is from where descent should end: the ends of [0, ½], the solution ¾ of the circle.
    pub(super) fn distance_to_rest(self, a: f64) -> f64 {
        match self {
            Ground::Line => a.min(0.5 - a).abs(),
            Ground::Circle => round(a - 0.75).abs(),
        }
    }
}

/// The representative in [−½, ½).
fn round(a: f64) -> f64 {
    (a + 0.5).rem_euclid(1.0) - 0.5
}

/// f where μ_a and μ₁ have the same density: any value there is a best response.
pub(super) const TIES: [f64; 3] = [0.0, 0.5, 1.0];

/// One best response after another on `cells` cells, a multiple of four: the parameter after every round.
///
/// The adversary answers f = 1 where p_a > p₁, 0 where p_a < p₁, `tie` where they are equal and p_a > 0, and 0 where both
/// vanish; the generator answers a minimiser of a ↦ ⟨f|μ_a⟩, the nearest to where it is (the smaller of two).
pub(super) fn best_responses(
    ground: Ground,
    start: usize,
    tie: f64,
    cells: usize,
    rounds: usize,
) -> Vec<f64> {
    let (target, width) = (Law::target(), 1.0 / cells as f64);
    let at = |a: usize| a as f64 * width;
    let candidates = match ground {
        Ground::Line => cells / 2 + 1,
        Ground::Circle => cells,
    };
    let mut a = start % candidates;
    let mut path = vec![at(a)];
    for _ in 0..rounds {
        let law = Law::arc(at(a));
        // Cells are not cut by any a on the grid: a mass is 0 or that of a whole cell.
        let whole = |law: &Law, k: usize| law.mass(at(k), at(k + 1)) > width;
        let f = |k: usize| match (whole(&law, k), whole(&target, k)) {
            (true, false) => 1.0,
            (true, true) => tie,
            _ => 0.0,
        };
        let values: Vec<f64> = (0..cells).map(f).collect();
        // ⟨f|μ_a⟩ for every a by running sums of f, in whole cells so that ties are exact.
        let mut sums = vec![0.0];
        for k in 0..cells + cells / 2 {
            sums.push(sums[k] + values[k % cells]);
        }
        let loss = |b: usize| sums[b + cells / 2] - sums[b];
        let least = (0..candidates).map(loss).fold(f64::INFINITY, f64::min);
        let away = |b: usize| match ground {
            Ground::Line => a.abs_diff(b),
            Ground::Circle => a.abs_diff(b).min(cells - a.abs_diff(b)),
        };
        let minimisers = (0..candidates).filter(|&b| loss(b) <= least);
        a = minimisers.min_by_key(|&b| (away(b), b)).expect("a finite set has a minimum");
        path.push(at(a));
    }
    path
}

/// Subgradient descent on TV(μ_a, μ₁), the value against the exact adversary: the parameter after every step.
pub(super) fn descend(ground: Ground, start: f64, step: f64, steps: usize) -> Vec<f64> {
    let mut path = vec![start];
    let mut a = start;
    for _ in 0..steps {
        // TV grows at rate 2 towards ¼ and falls away from it; at a kink the subgradient 0.
        let z = round(a - 0.25);
        let inside = z != 0.0 && round(a - 0.75) != 0.0;
        let slope = if inside { -2.0 * z.signum() } else { 0.0 };
        a = ground.keep(a - step * slope);
        path.push(a);
    }
    path
}

/// What the adversary can be in gradient descent–ascent.
#[derive(Debug, Clone)]
pub(super) enum Critic {
    /// Any function into [0, 1], constant on each of as many cells: the family of total variation.
    Cells(Vec<f64>),
    /// w₁ cos 2πx + w₂ sin 2πx with ‖w‖ ≤ 1.
    Wave([f64; 2]),
    /// w sin 2πx with |w| ≤ 1, which cannot tell μ_a from μ_{½−a}: the game of one parameter against one.
    Sine(f64),
}

impl Critic {
    pub(super) fn words(&self) -> &'static str {
        match self {
            Critic::Cells(_) => "all functions",
            Critic::Wave(_) => "cosine and sine, ‖w‖ ≤ 1",
            Critic::Sine(_) => "sine alone, |w| ≤ 1",
        }
    }

    fn value(&self, x: f64) -> f64 {
        match self {
            Critic::Cells(f) => {
                // The mean of both sides where x lies on an edge.
                let n = f.len();
                let s = x.rem_euclid(1.0) * n as f64;
                let k = (s as usize).min(n - 1);
                if s == k as f64 { 0.5 * (f[k] + f[(k + n - 1) % n]) } else { f[k] }
            }
            Critic::Wave(w) => w[0] * (2.0 * PI * x).cos() + w[1] * (2.0 * PI * x).sin(),
            Critic::Sine(w) => w * (2.0 * PI * x).sin(),
        }
    }

    /// d⟨f|μ_a⟩/da = 2 (f(a + ½) − f(a)).
    fn slope(&self, a: f64) -> f64 {
        2.0 * (self.value(a + 0.5) - self.value(a))
    }

    /// A step of projected ascent of ⟨f|μ_a − μ₁⟩.
    fn ascend(&mut self, mu: &Law, target: &Law, step: f64) {
        match self {
            Critic::Cells(f) => {
                let n = f.len() as f64;
                for (k, f) in f.iter_mut().enumerate() {
                    let (low, high) = (k as f64 / n, (k as f64 + 1.0) / n);
                    *f = (*f + step * n * (mu.mass(low, high) - target.mass(low, high))).clamp(0.0, 1.0);
                }
            }
            Critic::Wave(w) => {
                let (p, q) = (mu.bracket(1), target.bracket(1));
                w.iter_mut().zip(p.iter().zip(q)).for_each(|(w, (p, q))| *w += step * (p - q));
                let norm = w[0].hypot(w[1]);
                if norm > 1.0 {
                    w.iter_mut().for_each(|w| *w /= norm);
                }
            }
            Critic::Sine(w) => *w = (*w + step * (mu.bracket(1)[1] - target.bracket(1)[1])).clamp(-1.0, 1.0),
        }
    }
}

/// Simultaneous gradient descent of a and ascent of f with one step size: the parameter after every step.
pub(super) fn descend_ascend(
    ground: Ground,
    mut critic: Critic,
    start: f64,
    step: f64,
    steps: usize,
) -> Vec<f64> {
    let target = Law::target();
    let mut a = start;
    let mut path = vec![a];
    for _ in 0..steps {
        let slope = critic.slope(a);
        critic.ascend(&Law::arc(a), &target, step);
        a = ground.keep(a - step * slope);
        path.push(a);
    }
    path
}

/// The distance between the outermost parameters of a path, seen from ¾.
pub(super) fn swing(path: &[f64]) -> f64 {
    let seen = path.iter().map(|&a| round(a - 0.75));
    let (low, high) = seen.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), z| (l.min(z), h.max(z)));
    high - low
}

/// By how much the distance to the solution of the circle grows in one step of descent–ascent against the sine, near it:
/// there ε̇ = −4w and ẇ = 4ε turn round each other, and an explicit step η lengthens by √(1 + 16η²).
pub(super) fn growth(step: f64) -> f64 {
    (1.0 + 16.0 * step * step).sqrt()
}

/// The same, measured: the geometric mean of the growth of √(ε² + w²) until it should be a thousandfold.
pub(super) fn measured_growth(step: f64) -> f64 {
    let steps = (1e3f64.ln() / growth(step).ln()).ceil();
    let target = Law::target();
    let (mut a, mut critic, first) = (0.75 + 1e-6, Critic::Sine(0.0), 1e-6);
    for _ in 0..steps as usize {
        let slope = critic.slope(a);
        critic.ascend(&Law::arc(a), &target, step);
        a -= step * slope;
    }
    let Critic::Sine(w) = critic else { return f64::NAN };
    ((a - 0.75).hypot(w) / first).powf(1.0 / steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_bracket() {
        let critic = Critic::Wave([0.3, -0.8]);
        let against = |a: f64| {
            let b = Law::arc(a).bracket(1);
            0.3 * b[0] - 0.8 * b[1]
        };
        for a in [0.05, 0.2, 0.45, 0.62, 0.95] {
            let h = 1e-5;
            assert!((critic.slope(a) - (against(a + h) - against(a - h)) / (2.0 * h)).abs() < 1e-8);
        }
    }

    #[test]
    fn one_round_by_hand() {
        // At a = 0 the adversary is 1 on (¼, ½) and, by the tie, on (0, ¼): the generator flees to ½, and back.
        for tie in TIES {
            assert_eq!(best_responses(Ground::Line, 0, tie, 80, 3), [0.0, 0.5, 0.0, 0.5]);
        }
        assert_eq!(descend(Ground::Line, 0.2, 0.03, 10)[10], 0.0);
        assert_eq!(descend(Ground::Line, 0.25, 0.03, 10)[10], 0.25);
    }
}
