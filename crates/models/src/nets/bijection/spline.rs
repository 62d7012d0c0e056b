//! Monotone rational-quadratic splines, entry by entry.

use tch::{Kind, Tensor};

/// Bins are at least this part of the interval, in width and in height.
const LEAST_BIN: f64 = 1e-3;
/// Slopes at the knots are at least this.
const LEAST_SLOPE: f64 = 1e-3;

/// The knots and slopes that free parameters make: all n×m×(K+1).
struct Knots {
    x: Tensor,
    y: Tensor,
    slope: Tensor,
}

/// What one bin says about each entry: n×m.
struct Bin {
    x: Tensor,
    width: Tensor,
    y: Tensor,
    height: Tensor,
    left: Tensor,
    right: Tensor,
}

/// Free parameters an entry has with K bins.
pub(super) fn parameters(bins: usize) -> usize {
    3 * bins - 1
}

impl Knots {
    /// From `raw`, n×m×(3K − 1): widths and heights by soft-max, slopes by softplus, slope 1 at both ends. At zero the
    /// spline is the identity.
    fn new(raw: &Tensor, bins: usize, tail: f64) -> Self {
        let k = bins as i64;
        let positions = |start: i64| {
            let share = raw.narrow(-1, start, k).softmax(-1, raw.kind());
            let size = share * (1.0 - LEAST_BIN * bins as f64) + LEAST_BIN;
            let inner = size.narrow(-1, 0, k - 1).cumsum(-1, raw.kind()) * (2.0 * tail) - tail;
            let end = inner.new_full(ends(&inner), tail, (raw.kind(), raw.device()));
            Tensor::cat(&[-&end, inner, end], -1)
        };
        let (x, y) = (positions(0), positions(k));
        // softplus(shift) = 1 − LEAST_SLOPE
        let shift = ((1.0 - LEAST_SLOPE).exp() - 1.0).ln();
        let inner = (raw.narrow(-1, 2 * k, k - 1) + shift).softplus() + LEAST_SLOPE;
        let one = inner.new_ones(ends(&inner), (raw.kind(), raw.device()));
        let slope = Tensor::cat(&[one.shallow_clone(), inner, one], -1);
        Knots { x, y, slope }
    }

    /// The bin of every entry of `v`, found among the positions `along`.
    fn find(&self, v: &Tensor, along: &Tensor, bins: usize) -> Bin {
        let inner = along.narrow(-1, 1, bins as i64 - 1);
        let index = v.unsqueeze(-1).ge_tensor(&inner).sum_dim_intlist(-1, true, Kind::Int64);
        let next = &index + 1;
        let at = |table: &Tensor, index: &Tensor| table.gather(-1, index, false).squeeze_dim(-1);
        let (x, y) = (at(&self.x, &index), at(&self.y, &index));
        Bin {
            width: at(&self.x, &next) - &x,
            height: at(&self.y, &next) - &y,
            left: at(&self.slope, &index),
            right: at(&self.slope, &next),
            x,
            y,
        }
    }
}

/// The shape of one more knot.
fn ends(inner: &Tensor) -> Vec<i64> {
    let mut shape = inner.size();
    if let Some(last) = shape.last_mut() {
        *last = 1;
    }
    shape
}

impl Bin {
    /// log g′ at the position ξ within the bin.
    fn log_slope(&self, xi: &Tensor) -> Tensor {
        let s = &self.height / &self.width;
        let rest = 1.0 - xi;
        let both = xi * &rest;
        let above = &self.right * xi.square() + &s * &both * 2.0 + &self.left * rest.square();
        let below = &s + (&self.right + &self.left - &s * 2.0) * both;
        s.log() * 2.0 + above.log() - below.log() * 2.0
    }
}

/// g(x) and log g′(x), entry by entry, for x of n×m and free parameters `raw` of n×m×(3K − 1): on [−B, B] the
/// rational-quadratic spline of Durkan et al. 2019 (arXiv 1906.04032, eqs. 4 and 5), outside the identity.
pub(super) fn forward(x: &Tensor, raw: &Tensor, bins: usize, tail: f64) -> (Tensor, Tensor) {
    let knots = Knots::new(raw, bins, tail);
    let inside = x.abs().le(tail);
    let v = x.clamp(-tail, tail);
    let bin = knots.find(&v, &knots.x, bins);
    let xi = (&v - &bin.x) / &bin.width;
    let s = &bin.height / &bin.width;
    let both = &xi * (1.0 - &xi);
    let above = &bin.height * (&s * xi.square() + &bin.left * &both);
    let below = &s + (&bin.right + &bin.left - &s * 2.0) * &both;
    let y = &bin.y + above / below;
    let slope = bin.log_slope(&xi);
    (y.where_self(&inside, x), slope.where_self(&inside, &slope.zeros_like()))
}

/// g⁻¹(y) and log (g⁻¹)′(y): the root in [0, 1] of a quadratic equation, in the form that does not cancel (eqs. 6 to 8).
pub(super) fn inverse(y: &Tensor, raw: &Tensor, bins: usize, tail: f64) -> (Tensor, Tensor) {
    let knots = Knots::new(raw, bins, tail);
    let inside = y.abs().le(tail);
    let v = y.clamp(-tail, tail);
    let bin = knots.find(&v, &knots.y, bins);
    let s = &bin.height / &bin.width;
    let rise = &v - &bin.y;
    let bend = &rise * (&bin.right + &bin.left - &s * 2.0);
    let a = &bin.height * (&s - &bin.left) + &bend;
    let b = &bin.height * &bin.left - bend;
    let c = -(s * rise);
    let root = (b.square() - a * &c * 4.0).clamp_min(0.0).sqrt();
    let xi = (c * 2.0 / (-b - root)).clamp(0.0, 1.0);
    let x = &xi * &bin.width + &bin.x;
    let slope = -bin.log_slope(&xi);
    (x.where_self(&inside, y), slope.where_self(&inside, &slope.zeros_like()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::values;
    use measures::rand::RngExt;

    fn raw(n: usize, bins: usize, scale: f64) -> Tensor {
        let mut rng = measures::Seed::new(5).rng();
        let entries: Vec<f64> =
            (0..n * parameters(bins)).map(|_| scale * (2.0 * rng.random::<f64>() - 1.0)).collect();
        Tensor::from_slice(&entries).view([n as i64, 1, parameters(bins) as i64])
    }

    #[test]
    fn splines_are_inverted_and_their_slopes_are_those_of_differences() {
        let n = 400;
        let x: Vec<f64> = (0..n).map(|i| -4.0 + 8.0 * f64::from(i) / f64::from(n - 1)).collect();
        let x = Tensor::from_slice(&x).view([-1, 1]);
        for (bins, scale) in [(2, 1.0), (5, 3.0), (8, 2.0)] {
            let raw = raw(n as usize, bins, scale);
            let (y, slope) = forward(&x, &raw, bins, 3.0);
            let (back, down) = inverse(&y, &raw, bins, 3.0);
            let worst = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
            // where the slope is small, the inverse magnifies round-off
            assert!(worst(&back, &x) < 1e-10, "{}", worst(&back, &x));
            assert!(worst(&slope, &-down) < 1e-8);
            let h = 1e-6;
            let up = forward(&(&x + h), &raw, bins, 3.0).0 - forward(&(&x - h), &raw, bins, 3.0).0;
            assert!(worst(&(up / (2.0 * h)).log(), &slope) < 1e-5);
            // outside it is the identity
            assert_eq!(values(&y.narrow(0, 0, 3)).unwrap(), values(&x.narrow(0, 0, 3)).unwrap());
        }
    }

    #[test]
    fn at_zero_it_is_the_identity() {
        let x = Tensor::from_slice(&[-3.0, -1.3, 0.0, 0.7, 2.999, 3.0]).view([-1, 1]);
        let zero = Tensor::zeros([6, 1, parameters(6) as i64], (Kind::Double, tch::Device::Cpu));
        let (y, slope) = forward(&x, &zero, 6, 3.0);
        assert!((y - &x).abs().max().double_value(&[]) < 1e-14);
        assert!(slope.abs().max().double_value(&[]) < 1e-13);
    }
}
