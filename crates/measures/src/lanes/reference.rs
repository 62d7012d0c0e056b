//! A reference of twice the precision for the tests: double-double arithmetic and power series.

/// An unevaluated sum high + low with |low| ≤ ½ ulp(high): about 106 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Double(pub(super) f64, pub(super) f64);

impl Double {
    fn quick(a: f64, b: f64) -> Self {
        let s = a + b;
        Double(s, b - (s - a))
    }

    pub(super) fn add(self, b: Double) -> Self {
        let s = self.0 + b.0;
        let v = s - self.0;
        let e = (self.0 - (s - v)) + (b.0 - v);
        Double::quick(s, e + self.1 + b.1)
    }

    pub(super) fn mul(self, b: Double) -> Self {
        let p = self.0 * b.0;
        let e = self.0.mul_add(b.0, -p);
        Double::quick(p, e + self.0 * b.1 + self.1 * b.0)
    }

    pub(super) fn div(self, b: f64) -> Self {
        let q = self.0 / b;
        let r = (-q).mul_add(b, self.0) + self.1;
        Double::quick(q, r / b)
    }

    fn neg(self) -> Self {
        Double(-self.0, -self.1)
    }
}

const LN_2: Double = Double(std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17);
const TURN: Double = Double(std::f64::consts::TAU, 2.449_293_598_294_706_4e-16);

/// eˣ as (y, k) with eˣ = y · 2ᵏ.
pub(super) fn exp(x: Double) -> (Double, i32) {
    let k = (x.0 / LN_2.0).round();
    let r = x.add(LN_2.mul(Double(-k, 0.0)));
    let mut term = Double(1.0, 0.0);
    let mut sum = term;
    for n in 1..30 {
        term = term.mul(r).div(f64::from(n));
        sum = sum.add(term);
    }
    (sum, k as i32)
}

/// (sin 2πt, cos 2πt).
pub(super) fn sin_cos_turns(t: f64) -> (Double, Double) {
    let j = (4.0 * t).round();
    let a = TURN.mul(Double(t - 0.25 * j, 0.0));
    let square = a.mul(a).neg();
    let series = |mut term: Double, first: i32| {
        let mut sum = term;
        for n in 0..18 {
            let k = f64::from(first + 2 * n);
            term = term.mul(square).div(k * (k + 1.0));
            sum = sum.add(term);
        }
        sum
    };
    let (s, c) = (series(a, 2), series(Double(1.0, 0.0), 1));
    match (j as i64).rem_euclid(4) {
        0 => (s, c),
        1 => (c, s.neg()),
        2 => (s.neg(), c.neg()),
        _ => (c.neg(), s),
    }
}

/// ln x: one Newton step y + x·e^{−y} − 1 from the library's value, whose error is then of the third order.
pub(super) fn ln(x: f64) -> Double {
    let y = x.ln();
    let (e, k) = exp(Double(-y, 0.0));
    // x·2ᵏ and e are both within a factor two of one
    let scaled = x * 2f64.powi(k / 2) * 2f64.powi(k - k / 2);
    let d = e.mul(Double(scaled, 0.0)).add(Double(-1.0, 0.0));
    // ln(1 + d) = d − d²/2 + …, d of the order of 1e-16
    Double(y, 0.0).add(d.add(d.mul(d).mul(Double(-0.5, 0.0))))
}
