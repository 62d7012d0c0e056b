//! One walk through two sorted lists of atoms, and the sums that it gives.

use crate::transport::Ranked;

/// The mass of the first atoms of a sorted list, and of each.
pub(crate) enum Mass {
    Equal(f64),
    Below(Vec<f64>),
}

impl Mass {
    pub(crate) fn of(x: &Ranked) -> Self {
        let Some(weights) = x.weights() else { return Mass::Equal(x.values().len() as f64) };
        let mut below = Vec::with_capacity(weights.len() + 1);
        below.push(0.0);
        below.extend(weights.iter().scan(0.0, |sum, w| {
            *sum += w;
            Some(*sum)
        }));
        Mass::Below(below)
    }

    fn below(&self, rank: usize) -> f64 {
        match self {
            Mass::Equal(n) => rank as f64 / n,
            Mass::Below(below) => below[rank],
        }
    }

    pub(crate) fn at(&self, rank: usize) -> f64 {
        self.below(rank + 1) - self.below(rank)
    }
}

/// ∫|z − x| dμ and its derivative in z, at an atom the mean of both sides: coinciding points do not pull.
#[derive(Clone, Copy)]
pub(crate) struct Pull {
    pub(crate) distance: f64,
    pub(crate) slope: f64,
}

/// Sums over two sorted lists.
pub(crate) struct Merged {
    /// ∫(F − G)².
    pub(crate) difference: f64,
    /// ΣΣ wᵢwⱼ|xᵢ − xⱼ| within each.
    pub(crate) own: f64,
    pub(crate) other: f64,
}

/// Walks through both lists in order and visits the atoms of x, with the pull of both measures there.
pub(crate) fn merge(x: &Ranked, y: &Ranked, visit: impl FnMut(Pull, Pull)) -> Merged {
    match (Mass::of(x), Mass::of(y)) {
        // Two divisions an atom would be most of the work.
        (Mass::Equal(n), Mass::Equal(m)) => {
            let (n, m) = (1.0 / n, 1.0 / m);
            walk(x.values(), y.values(), |i| i as f64 * n, |j| j as f64 * m, visit)
        }
        (of_x, of_y) => walk(x.values(), y.values(), |i| of_x.below(i), |j| of_y.below(j), visit),
    }
}

/// ∫(x − at) dμ.
fn mean_distance(x: &[f64], below: impl Fn(usize) -> f64, at: f64) -> f64 {
    x.iter().enumerate().map(|(i, x)| (below(i + 1) - below(i)) * (x - at)).sum()
}

fn walk(
    x: &[f64],
    y: &[f64],
    below_x: impl Fn(usize) -> f64,
    below_y: impl Fn(usize) -> f64,
    mut visit: impl FnMut(Pull, Pull),
) -> Merged {
    let mut at = x[0].min(y[0]);
    let (mut from_x, mut from_y) = (mean_distance(x, &below_x, at), mean_distance(y, &below_y, at));
    let (mut i, mut j, mut f, mut g) = (0, 0, 0.0, 0.0);
    let mut merged = Merged { difference: 0.0, own: 0.0, other: 0.0 };
    while i < x.len() || j < y.len() {
        let next_x = if i < x.len() { x[i] } else { f64::INFINITY };
        let next_y = if j < y.len() { y[j] } else { f64::INFINITY };
        let next = next_x.min(next_y);
        let step = next - at;
        at = next;
        from_x += (2.0 * f - 1.0) * step;
        from_y += (2.0 * g - 1.0) * step;
        merged.difference += (f - g) * (f - g) * step;
        let start = i;
        while i < x.len() && x[i] == at {
            i += 1;
        }
        while j < y.len() && y[j] == at {
            j += 1;
        }
        let (f_after, g_after) = (below_x(i), below_y(j));
        let pulls = (
            Pull { distance: from_x, slope: f + f_after - 1.0 },
            Pull { distance: from_y, slope: g + g_after - 1.0 },
        );
        for _ in start..i {
            visit(pulls.0, pulls.1);
        }
        merged.own += (f_after - f) * from_x;
        merged.other += (g_after - g) * from_y;
        (f, g) = (f_after, g_after);
    }
    merged
}
