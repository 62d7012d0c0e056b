use super::*;
use crate::lanes::{Isa, LaneOp, dispatch, force};
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

struct Apply<'a>(F, &'a [[f32; SINGLE_WIDTH]], &'a mut [[f32; SINGLE_WIDTH]]);

impl LaneOp for Apply<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for (x, y) in self.1.iter().zip(self.2) {
            let x = F32s::load(lanes, x);
            let value = match self.0 {
                F::Exp => x.exp(),
                F::ExpNonpositive => x.exp_nonpositive(),
                F::Exp2 => x.exp2_nonpositive(),
                F::Sin => x.sin_cos_turns().0,
                F::Cos => x.sin_cos_turns().1,
                F::Ln => x.ln(),
                F::Others => {
                    let one = F32s::splat(lanes, 1.0);
                    let root = (x.abs() / (one + x.abs())).sqrt();
                    let clipped = x.min(one).max(-one) * x.round();
                    root.neg_mul_add(clipped, x - root)
                }
            };
            value.store(y);
        }
    }
}

fn apply(f: F, x: &[f32]) -> Vec<f32> {
    let mut padded = x.to_vec();
    padded.resize(x.len().next_multiple_of(SINGLE_WIDTH), 0.0);
    let mut out = vec![0.0; padded.len()];
    dispatch(Apply(f, padded.as_chunks().0, out.as_chunks_mut().0));
    out.truncate(x.len());
    out
}

/// |got − exact| in units in the last place of single precision.
fn ulp(got: f32, exact: f64) -> f64 {
    let near = (exact as f32).abs();
    let unit = f64::from(f32::from_bits(near.to_bits() + 1)) - f64::from(near);
    (f64::from(got) - exact).abs() / unit
}

fn draws(n: usize, low: f64, high: f64) -> Vec<f32> {
    let mut rng = Seed::new(6).rng();
    (0..n).map(|_| (low + (high - low) * rng.random::<f64>()) as f32).collect()
}

fn worst(f: F, x: &[f32], exact: impl Fn(f64) -> f64) -> f64 {
    x.iter().zip(apply(f, x)).map(|(x, y)| ulp(y, exact(f64::from(*x)))).fold(0.0, f64::max)
}

#[test]
fn functions_are_within_an_ulp_or_two() {
    let mut x = draws(60_000, -87.3, 88.3);
    x.extend(draws(60_000, -2.0, 2.0));
    for f in [F::Exp, F::ExpNonpositive] {
        let found = worst(f, &x, f64::exp);
        assert!(found < 1.5, "exp: {found} ulp");
    }
    let mut x = draws(60_000, -126.0, 0.0);
    x.extend(draws(60_000, -2.0, 0.0));
    let found = worst(F::Exp2, &x, f64::exp2);
    assert!(found < 1.5, "2^x: {found} ulp");
    let mut x: Vec<f32> = draws(60_000, -87.0, 88.0).into_iter().map(f32::exp).collect();
    x.extend(draws(60_000, 0.5, 2.0));
    x.retain(|x| *x != 1.0);
    let found = worst(F::Ln, &x, f64::ln);
    assert!(found < 2.0, "ln: {found} ulp");
    let mut t = draws(60_000, -1.0, 1.0);
    t.extend(draws(20_000, -1e3, 1e3));
    // The reference reduces turns exactly, in double precision, before it multiplies by 2π.
    let reduced = |t: f64| (t - t.round()) * std::f64::consts::TAU;
    t.retain(|t| reduced(f64::from(*t)).sin().abs() > 1e-3 && reduced(f64::from(*t)).cos().abs() > 1e-3);
    let found = (worst(F::Sin, &t, |t| reduced(t).sin()), worst(F::Cos, &t, |t| reduced(t).cos()));
    assert!(found.0 < 1.5 && found.1 < 1.5, "sine and cosine: {found:?} ulp");
}

#[test]
fn the_ends_of_the_range_are_as_documented() {
    let y = apply(F::Exp, &[-88.0, f32::NEG_INFINITY, 88.5, f32::INFINITY, 0.0, f32::NAN]);
    assert_eq!(y[..5], [0.0, 0.0, f32::INFINITY, f32::INFINITY, 1.0]);
    assert!(y[5].is_nan());
    assert_eq!(apply(F::ExpNonpositive, &[f32::NEG_INFINITY, -1e30, 0.0]), [0.0, 0.0, 1.0]);
    let y = apply(F::Exp2, &[0.0, -1.0, -126.0, -127.0, f32::NEG_INFINITY]);
    assert_eq!(y, [1.0, 0.5, f32::MIN_POSITIVE, 0.0, 0.0]);
    assert_eq!(apply(F::Ln, &[0.0, f32::INFINITY, 1.0]), [f32::NEG_INFINITY, f32::INFINITY, 0.0]);
    assert!(apply(F::Ln, &[-1.0, f32::NAN]).iter().all(|v| v.is_nan()));
    let t = [0.0, 0.25, 0.5, 0.75, 1.0, -0.25, 1000.25];
    assert_eq!(apply(F::Sin, &t), [0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 1.0]);
    assert_eq!(apply(F::Cos, &t), [1.0, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(apply(F::Cos, &[1e18, -f32::MAX]), [1.0; 2]);
    assert!(apply(F::Sin, &[f32::NAN, f32::INFINITY]).iter().all(|v| v.is_nan()));
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let mut x = draws(4000, -100.0, 100.0);
    x.extend(draws(4000, -1.0, 1.0));
    x.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, 1e-40, f32::MAX, f32::MIN, 0.125]);
    let all = [F::Exp, F::ExpNonpositive, F::Exp2, F::Sin, F::Cos, F::Ln, F::Others];
    let run = || -> Vec<u32> {
        all.iter()
            .flat_map(|f| apply(*f, &x))
            .map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() })
            .collect()
    };
    let best = run();
    for isa in Isa::available() {
        force(Some(isa)).unwrap();
        assert!(run() == best, "{isa:?} differs");
    }
    force(None).unwrap();
}
