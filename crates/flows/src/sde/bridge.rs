//! Brownian increments with their time integrals: joined, halved, and conditioned.

/// W over a span of time and the integral I = ∫ W_{start,r} dr, for a list of paths.
///
/// The space–time Lévy area is H = I/length − W/2.
#[derive(Debug, Clone)]
pub(crate) struct Increment {
    length: f64,
    w: Vec<f64>,
    integral: Vec<f64>,
}

impl Increment {
    /// Nothing yet, of n paths.
    pub(crate) fn zero(n: usize) -> Self {
        Increment { length: 0.0, w: vec![0.0; n], integral: vec![0.0; n] }
    }

    /// A fresh increment from pairs of standard normal numbers, W and H by turns.
    pub(crate) fn of_normals(length: f64, pairs: &[f64]) -> Self {
        let (a, b) = (length.sqrt(), (length / 12.0).sqrt());
        let (pairs, _) = pairs.as_chunks::<2>();
        let w: Vec<f64> = pairs.iter().map(|p| a * p[0]).collect();
        let integral = pairs.iter().zip(&w).map(|(p, w)| length * (b * p[1] + 0.5 * w)).collect();
        Increment { length, w, integral }
    }

    pub(crate) fn len(&self) -> usize {
        self.w.len()
    }

    pub(crate) fn w(&self) -> &[f64] {
        &self.w
    }

    /// H.
    pub(crate) fn write_area(&self, out: &mut [f64]) {
        for ((out, w), i) in out.iter_mut().zip(&self.w).zip(&self.integral) {
            *out = i / self.length - 0.5 * w;
        }
    }

    /// This span followed by `next`.
    pub(crate) fn chain(&mut self, next: &Increment) {
        let mine = self.w.iter_mut().zip(&mut self.integral);
        for ((w, i), (next_w, next_i)) in mine.zip(next.w.iter().zip(&next.integral)) {
            *i += next_i + next.length * *w;
            *w += next_w;
        }
        self.length += next.length;
    }

    /// What is left of this span after its beginning `first`.
    pub(crate) fn minus(&self, first: &Increment) -> Self {
        let length = self.length - first.length;
        let w: Vec<f64> = self.w.iter().zip(&first.w).map(|(w, a)| w - a).collect();
        let all = self.integral.iter().zip(&first.integral).zip(&first.w);
        let integral = all.map(|((i, a), w)| i - a - length * w).collect();
        Increment { length, w, integral }
    }
}

/// The two halves of a span, given pairs of standard normal numbers.
///
/// With z ~ N(0, h/16) and n ~ N(0, h/12): W_left = W/2 + 3H/2 + z, H_left = H/4 − z/2 + n/2, H_right = H/4 − z/2 − n/2.
/// J. Foster, T. Lyons and H. Oberhauser, *An optimal polynomial approximation of Brownian motion*, arXiv:1904.06998.
pub(crate) fn halve(whole: &Increment, pairs: &[f64]) -> (Increment, Increment) {
    let (h, half) = (whole.length, 0.5 * whole.length);
    let (a, b) = ((h / 16.0).sqrt(), (h / 12.0).sqrt());
    let (mut left, mut right) = (Increment::zero(whole.len()), Increment::zero(whole.len()));
    (left.length, right.length) = (half, half);
    let (pairs, _) = pairs.as_chunks::<2>();
    for (k, pair) in pairs.iter().enumerate() {
        let (w, area) = (whole.w[k], whole.integral[k] / h - 0.5 * whole.w[k]);
        let (z, n) = (a * pair[0], b * pair[1]);
        left.w[k] = 0.5 * w + 1.5 * area + z;
        right.w[k] = w - left.w[k];
        let (area_left, area_right) = (0.25 * area + 0.5 * (n - z), 0.25 * area - 0.5 * (n + z));
        left.integral[k] = half * (area_left + 0.5 * left.w[k]);
        right.integral[k] = half * (area_right + 0.5 * right.w[k]);
    }
    (left, right)
}

/// The beginning of length `length` of a span, from its conditional law given the whole and one pair of standard normal
/// numbers a path: as `length` goes from zero to the whole it draws a path, since the pair stays the same.
pub(crate) fn inside(whole: &Increment, length: f64, pairs: &[f64]) -> Increment {
    let (root, u) = (whole.length.sqrt(), length / whole.length);
    let cube = whole.length * root;
    // Covariances of (W_u, I_u) with (W_1, I_1) for a Brownian motion on [0, 1], whose precision is [[4, −6], [−6, 12]].
    let with = [[u, u - 0.5 * u * u], [0.5 * u * u, 0.5 * u * u - u.powi(3) / 6.0]];
    let gain = with.map(|c| [4.0 * c[0] - 6.0 * c[1], 12.0 * c[1] - 6.0 * c[0]]);
    let left = |i: usize, j: usize| gain[i][0] * with[j][0] + gain[i][1] * with[j][1];
    let (c00, c01, c11) = (u - left(0, 0), 0.5 * u * u - left(0, 1), u.powi(3) / 3.0 - left(1, 1));
    let l00 = c00.max(0.0).sqrt();
    let l10 = if l00 > 0.0 { c01 / l00 } else { 0.0 };
    let l11 = (c11 - l10 * l10).max(0.0).sqrt();
    let mut out = Increment::zero(whole.len());
    out.length = length;
    let (pairs, _) = pairs.as_chunks::<2>();
    for (k, pair) in pairs.iter().enumerate() {
        let (w, i) = (whole.w[k] / root, whole.integral[k] / cube);
        out.w[k] = root * (gain[0][0] * w + gain[0][1] * i + l00 * pair[0]);
        out.integral[k] = cube * (gain[1][0] * w + gain[1][1] * i + l10 * pair[0] + l11 * pair[1]);
    }
    out
}
