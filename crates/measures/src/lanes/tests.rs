use super::reference::{Double, exp, ln, sin_cos_turns};
use super::*;
use crate::seed::Seed;
use rand::RngExt;

#[derive(Clone, Copy)]
enum F {
    Exp,
    ExpNonpositive,
    Exp2,
    Sin,
    Cos,
    Ln,
    Others,
}

struct Apply<'a>(F, &'a [[f64; WIDTH]], &'a mut [[f64; WIDTH]]);

impl LaneOp for Apply<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for (x, y) in self.1.iter().zip(self.2) {
            let x = F64s::load(lanes, x);
            let value = match self.0 {
                F::Exp => x.exp(),
                F::ExpNonpositive => x.exp_nonpositive(),
                F::Exp2 => x.exp2_nonpositive(),
                F::Sin => x.sin_cos_turns().0,
                F::Cos => x.sin_cos_turns().1,
                F::Ln => x.ln(),
                F::Others => {
                    let one = F64s::splat(lanes, 1.0);
                    let root = (x.abs() / (one + x.abs())).sqrt();
                    let clipped = x.min(one).max(-one) * x.round();
                    root.neg_mul_add(clipped, x - root) + F64s::splat(lanes, x.sum())
                }
            };
            value.store(y);
        }
    }
}

fn apply(f: F, x: &[f64]) -> Vec<f64> {
    let mut padded = x.to_vec();
    padded.resize(x.len().next_multiple_of(WIDTH), 0.0);
    let mut out = vec![0.0; padded.len()];
    dispatch(Apply(f, chunks(&padded).0, chunks_mut(&mut out).0));
    out.truncate(x.len());
    out
}

/// |got − exact| in units in the last place of the exact value.
fn ulp(got: f64, exact: Double) -> f64 {
    let unit = f64::from_bits(exact.0.abs().to_bits() + 1) - exact.0.abs();
    (((got - exact.0) - exact.1) / unit).abs()
}

fn draws(n: usize, low: f64, high: f64) -> Vec<f64> {
    let mut rng = Seed::new(5).rng();
    (0..n).map(|_| low + (high - low) * rng.random::<f64>()).collect()
}

#[test]
fn exp_is_within_an_ulp_or_so() {
    let mut x = draws(40_000, -708.3, 709.7);
    x.extend(draws(40_000, -2.0, 2.0));
    x.extend([0.0, -0.0, 1.0, -708.396_418_532_264, 709.782_712_893_384, 1e-300, -1e-17]);
    let reference = |x: f64, y: f64| {
        let (m, k) = exp(Double(x, 0.0));
        // halve the power of two so that neither factor overflows
        let (a, b) = (2f64.powi(-(k / 2)), 2f64.powi(-(k - k / 2)));
        ulp(y * a * b, m)
    };
    for f in [F::Exp, F::ExpNonpositive] {
        let worst = x.iter().zip(apply(f, &x)).map(|(x, y)| reference(*x, y)).fold(0.0, f64::max);
        assert!(worst < 1.2, "{worst} ulp");
    }
    let y = apply(F::Exp, &[-709.0, f64::NEG_INFINITY, 709.8, f64::INFINITY, f64::NAN]);
    assert_eq!(y[..4], [0.0, 0.0, f64::INFINITY, f64::INFINITY]);
    assert!(y[4].is_nan());
    assert_eq!(apply(F::ExpNonpositive, &[f64::NEG_INFINITY, -1e300, 0.0]), [0.0, 0.0, 1.0]);
}

#[test]
fn exp2_is_within_an_ulp_or_so() {
    let mut x = draws(40_000, -1022.0, 0.0);
    x.extend(draws(40_000, -3.0, 0.0));
    for (x, y) in x.iter().zip(apply(F::Exp2, &x)) {
        let k = x.round();
        let ln2 = Double(std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17);
        let (m, shift) = exp(ln2.mul(Double(x - k, 0.0)));
        assert_eq!(shift, 0);
        let (a, b) = (2f64.powi(-(k as i32 / 2)), 2f64.powi(-(k as i32 - k as i32 / 2)));
        assert!(ulp(y * a * b, m) < 1.2, "2^{x} = {y}: {} ulp", ulp(y * a * b, m));
    }
    assert_eq!(
        apply(F::Exp2, &[0.0, -1.0, -1022.0, -1023.0, f64::NEG_INFINITY]),
        [1.0, 0.5, f64::MIN_POSITIVE, 0.0, 0.0]
    );
}

#[test]
fn sine_and_cosine_of_turns_are_within_an_ulp_or_so() {
    let mut t = draws(40_000, -1.0, 1.0);
    t.extend(draws(20_000, -1e6, 1e6));
    t.extend(draws(5_000, -1e14, 1e14));
    t.extend([1e-300, 1e-9, 0.25 + 1e-12, 0.125, 0.375, -0.625]);
    for ((t, s), c) in t.iter().zip(apply(F::Sin, &t)).zip(apply(F::Cos, &t)) {
        let (sin, cos) = sin_cos_turns(*t);
        assert!(ulp(s, sin) < 1.2, "sin of {t} turns: {} ulp", ulp(s, sin));
        assert!(ulp(c, cos) < 1.2, "cos of {t} turns: {} ulp", ulp(c, cos));
    }
    let t = [0.0, 0.25, 0.5, 0.75, 1.0, -0.25, 1e9 + 0.25];
    assert_eq!(apply(F::Sin, &t), [0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 1.0]);
    assert_eq!(apply(F::Cos, &t), [1.0, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(apply(F::Cos, &[1e18, 1e300, -f64::MAX]), [1.0; 3]);
    assert!(apply(F::Sin, &[f64::NAN, f64::INFINITY]).iter().all(|v| v.is_nan()));
}

#[test]
fn the_logarithm_is_within_two_ulp() {
    let mut x: Vec<f64> = draws(40_000, -708.0, 709.0).iter().map(|v| v.exp()).collect();
    x.extend(draws(40_000, 0.5, 2.0));
    x.extend([1.0, f64::MIN_POSITIVE, f64::MAX, 1.0 + f64::EPSILON, 1.0 - f64::EPSILON]);
    for (x, y) in x.iter().zip(apply(F::Ln, &x)) {
        if *x == 1.0 {
            assert_eq!(y, 0.0);
        } else {
            assert!(ulp(y, ln(*x)) < 2.0, "ln {x} = {y}: {} ulp", ulp(y, ln(*x)));
        }
    }
    assert_eq!(apply(F::Ln, &[0.0, f64::INFINITY]), [f64::NEG_INFINITY, f64::INFINITY]);
    assert!(apply(F::Ln, &[-1.0, f64::NAN]).iter().all(|v| v.is_nan()));
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let mut x = draws(4000, -800.0, 800.0);
    x.extend(draws(4000, -1.0, 1.0));
    x.extend([0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e-310, f64::MAX, f64::MIN, 0.125]);
    let all = [F::Exp, F::ExpNonpositive, F::Exp2, F::Sin, F::Cos, F::Ln, F::Others];
    let run = || -> Vec<u64> {
        all.iter()
            .flat_map(|f| apply(*f, &x))
            .map(|v| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() })
            .collect()
    };
    let best = run();
    for isa in Isa::available() {
        force(Some(isa)).unwrap();
        assert_eq!(Isa::current(), isa);
        assert!(run() == best, "{isa:?} differs");
    }
    force(None).unwrap();
    assert!(Isa::available().contains(&Isa::Portable));
}
