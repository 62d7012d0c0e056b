//! Property tests of the axioms a divergence declares (feature `proptest`): one line tests your own.
//!
//! ```
//! use divergences::{MeanIpm, Statistic, check::Checks, family::FourierLattice};
//! let mine = MeanIpm::new(FourierLattice::line(3).unwrap(), Statistic::Plugin);
//! Checks::new(1).run("mine", &mine); // panics with the smallest counterexample it finds
//! ```

use crate::axioms::Axioms;
use crate::divergence::Divergence;
use measures::{Empirical, Measure, Points};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// How the axioms of a divergence are tested: on pairs and triples of weighted samples of 2 to 7 atoms.
#[derive(Debug, Clone)]
#[must_use]
pub struct Checks {
    dim: usize,
    cases: u32,
    tolerance: f64,
    places: Places,
}

/// Where the atoms of the measures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Places {
    Anywhere,
    Grid,
    Common,
}

/// Whatever a check found wrong, as one line.
type Verdict = Result<(), TestCaseError>;

impl Checks {
    /// Checks in ℝ^`dim`, 48 random cases an axiom, to an accuracy of 1e-9.
    pub fn new(dim: usize) -> Self {
        Checks { dim, cases: 48, tolerance: 1e-9, places: Places::Anywhere }
    }

    /// Another number of random cases an axiom.
    pub fn cases(mut self, cases: u32) -> Self {
        self.cases = cases;
        self
    }

    /// Another accuracy, relative to the larger of one and the values compared: that of an iterative solver, say.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Points from a grid of three values a coordinate, so that measures share atoms.
    pub fn on_shared_atoms(mut self) -> Self {
        self.places = Places::Grid;
        self
    }

    /// All measures on the same five places, each of which has weight: for divergences that are infinite where a measure has
    /// an atom that the other lacks.
    pub fn on_common_atoms(mut self) -> Self {
        self.places = Places::Common;
        self
    }

    /// Tests every axiom that `divergence` declares.
    ///
    /// # Panics
    /// With the name, the axiom and a small counterexample, when one fails or the divergence returns an error.
    pub fn run(&self, name: &str, divergence: &(impl Divergence + ?Sized)) {
        let axioms = divergence.axioms();
        let Axioms { non_negative, identity, separation, symmetry, permutation, atom_splitting, .. } = axioms;
        let d = |mu: &Empirical, nu: &Empirical| -> Result<f64, TestCaseError> {
            let value = divergence.value(mu, nu).map_err(|e| TestCaseError::fail(e.to_string()))?;
            if value.is_finite() {
                Ok(value)
            } else {
                Err(TestCaseError::fail(format!("the value is {value}")))
            }
        };
        let tol = self.tolerance;
        let close = |a: f64, b: f64, what: &str| -> Verdict {
            prop_assert!((a - b).abs() <= tol * (1.0 + a.abs().max(b.abs())), "{}: {} and {}", what, a, b);
            Ok(())
        };
        let (dim, one) = (self.dim, || self.measure());
        let pair = || (one(), one());
        self.hold(name, "non-negativity", non_negative, pair(), |(mu, nu)| {
            let value = d(&mu, &nu)?;
            prop_assert!(value >= -tol, "value {}", value);
            Ok(())
        });
        self.hold(name, "identity", identity, one(), |mu| {
            close(d(&mu, &mu)?, 0.0, "value at equal measures")
        });
        self.hold(name, "separation", separation, (one(), moves(dim)), |(mu, step)| {
            let value = d(&mu, &self.different(&mu, &step))?;
            prop_assert!(value > 1e-10, "value {} at different measures", value);
            Ok(())
        });
        self.hold(name, "symmetry", symmetry, pair(), |(mu, nu)| close(d(&mu, &nu)?, d(&nu, &mu)?, "values"));
        let power = axioms.triangle_power;
        self.hold(name, "triangle", power.is_some(), (one(), one(), one()), |(mu, nu, rho)| {
            let p = power.unwrap_or(1.0);
            let root = |value: f64| value.max(0.0).powf(p);
            let (direct, first, second) = (root(d(&mu, &rho)?), root(d(&mu, &nu)?), root(d(&nu, &rho)?));
            let slack = tol.powf(p.min(1.0)) * (1.0 + direct);
            prop_assert!(direct <= first + second + slack, "{} > {} + {}", direct, first, second);
            Ok(())
        });
        self.hold(name, "permutation", permutation, pair(), |(mu, nu)| {
            let value = d(&mu, &nu)?;
            close(value, d(&reversed(&mu), &nu)?, "atoms of the first measure permuted")?;
            close(value, d(&mu, &reversed(&nu))?, "atoms of the second measure permuted")
        });
        self.hold(name, "atom splitting", atom_splitting, (pair(), 0.05..0.95), |((mu, nu), share)| {
            let value = d(&mu, &nu)?;
            close(value, d(&split(&mu, share), &nu)?, "an atom of the first measure split")?;
            close(value, d(&mu, &split(&nu, share))?, "an atom of the second measure split")
        });
        self.hold(name, "translation", axioms.translation, (pair(), moves(dim)), |((mu, nu), step)| {
            let shift = |m: &Empirical| mapped(m, |row| row.iter_mut().zip(&step).for_each(|(x, s)| *x += s));
            close(d(&mu, &nu)?, d(&shift(&mu), &shift(&nu))?, "values before and after")
        });
        self.hold(name, "rotation", axioms.rotation, (pair(), moves(dim)), |((mu, nu), normal)| {
            // the reflection in the hyperplane across `normal`: reflections generate the orthogonal group
            let square: f64 = normal.iter().map(|v| v * v).sum();
            let turn = |m: &Empirical| {
                mapped(m, |row| {
                    let along: f64 = row.iter().zip(&normal).map(|(x, v)| x * v).sum();
                    row.iter_mut().zip(&normal).for_each(|(x, v)| *x -= 2.0 * along / square * v);
                })
            };
            close(d(&mu, &nu)?, d(&turn(&mu), &turn(&nu))?, "values before and after")
        });
        let degree = axioms.scaling_degree;
        self.hold(name, "scaling", degree.is_some(), (pair(), 0.3..3.0), |((mu, nu), factor)| {
            let scale = |m: &Empirical| mapped(m, |row| row.iter_mut().for_each(|x| *x *= factor));
            let expected = f64::powf(factor, degree.unwrap_or(0.0)) * d(&mu, &nu)?;
            close(expected, d(&scale(&mu), &scale(&nu))?, "values expected and found")
        });
        self.hold(name, "convexity", axioms.convex, (pair(), one(), 0.0..=1.0), |((mu, other), nu, t)| {
            let (at_mu, at_other, between) =
                (d(&mu, &nu)?, d(&other, &nu)?, d(&mixture(&mu, &other, t), &nu)?);
            let chord = (1.0 - t) * at_mu + t * at_other;
            prop_assert!(between <= chord + tol * (1.0 + chord.abs()), "{} > {}", between, chord);
            Ok(())
        });
        self.hold(
            name,
            "continuity in the points",
            axioms.continuous_in_points,
            (pair(), moves(dim)),
            |((mu, nu), v)| {
                let near = mapped(&mu, |row| row.iter_mut().zip(&v).for_each(|(x, v)| *x += 1e-11 * v));
                let (at, beside) = (d(&mu, &nu)?, d(&near, &nu)?);
                prop_assert!((at - beside).abs() <= 1e-4 * (1.0 + at.abs()), "{} and {}", at, beside);
                Ok(())
            },
        );
        self.hold(
            name,
            "continuity in the weights",
            axioms.continuous_in_weights,
            (pair(), one()),
            |((mu, nu), other)| {
                let (at, beside) = (d(&mu, &nu)?, d(&mixture(&mu, &other, 1e-11), &nu)?);
                prop_assert!((at - beside).abs() <= 1e-4 * (1.0 + at.abs()), "{} and {}", at, beside);
                Ok(())
            },
        );
    }

    /// Weighted or uniform samples of 2 to 7 atoms in [−2, 2]^dim (or on a grid), all weights positive.
    fn measure(&self) -> BoxedStrategy<Empirical> {
        let dim = self.dim;
        let coordinate = match self.places {
            Places::Anywhere => (-2.0..2.0f64).boxed(),
            Places::Grid => (0..3u8).prop_map(|k| f64::from(k) - 1.0).boxed(),
            Places::Common => {
                let weights = prop::collection::vec(0.1..1.0f64, 5);
                return weights.prop_map(move |w| common(dim, w)).boxed();
            }
        };
        (2..=7usize)
            .prop_flat_map(move |n| {
                let uniform = prop::collection::vec(Just(1.0), n).boxed();
                let weights = prop_oneof![uniform, prop::collection::vec(0.1..1.0f64, n).boxed()];
                (prop::collection::vec(coordinate.clone(), n * dim), weights)
            })
            .prop_map(move |(coords, weights)| {
                let points = Points::new(dim, coords).expect("finite coordinates");
                Empirical::normalised(points, weights).expect("positive weights")
            })
            .boxed()
    }

    /// Another measure: the heaviest atom moved, by `step` or on the grid by one along the first axis; on common atoms half
    /// of its weight given to the next.
    fn different(&self, mu: &Empirical, step: &[f64]) -> Empirical {
        let heaviest =
            (0..mu.len()).max_by(|a, b| mu.weights()[*a].total_cmp(&mu.weights()[*b])).unwrap_or(0);
        if self.places == Places::Common {
            let mut weights = mu.weights().to_vec();
            let half = 0.5 * weights[heaviest];
            weights[heaviest] -= half;
            weights[(heaviest + 1) % mu.len()] += half;
            return Empirical::weighted(mu.points().clone(), weights).expect("weights of the same sum");
        }
        let mut points = mu.points().clone();
        let row = points.row_mut(heaviest);
        if self.places == Places::Grid {
            row[0] = if row[0] > 0.0 { row[0] - 1.0 } else { row[0] + 1.0 };
        } else {
            row.iter_mut().zip(step).for_each(|(x, s)| *x += s);
        }
        mu.with_points(points).expect("finite coordinates")
    }

    fn hold<S: Strategy>(
        &self,
        name: &str,
        axiom: &str,
        declared: bool,
        strategy: S,
        test: impl Fn(S::Value) -> Verdict,
    ) {
        if !declared {
            return;
        }
        let config = Config { cases: self.cases, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        match runner.run(&strategy, test) {
            Ok(()) => {}
            Err(TestError::Fail(reason, case)) => {
                panic!("{name} declares {axiom}, but: {reason}\nsmallest case: {case:#?}")
            }
            Err(TestError::Abort(reason)) => panic!("{name}: {axiom} could not be tested: {reason}"),
        }
    }
}

/// Vectors of length between ½ and 2.
fn moves(dim: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1.0..1.0f64, dim).prop_map(|mut v| {
        v[0] = if v[0] < 0.0 { v[0] - 0.5 } else { v[0] + 0.5 };
        v
    })
}

fn mapped(mu: &Empirical, map: impl Fn(&mut [f64])) -> Empirical {
    let mut points = mu.points().clone();
    points.rows_mut().for_each(map);
    mu.with_points(points).expect("finite coordinates")
}

/// Weights on five places of a parabola.
fn common(dim: usize, weights: Vec<f64>) -> Empirical {
    let points = Points::from_fn(weights.len(), dim, |i, row| {
        let at = i as f64 - 2.0;
        row.iter_mut().enumerate().for_each(|(k, x)| *x = if k % 2 == 0 { at } else { 0.5 * at * at });
    });
    Empirical::normalised(points, weights).expect("positive weights")
}

fn reversed(mu: &Empirical) -> Empirical {
    let order: Vec<usize> = (0..mu.len()).rev().collect();
    let weights = order.iter().map(|i| mu.weights()[*i]).collect();
    Empirical::weighted(mu.points().select(&order), weights).expect("the same weights")
}

/// The first atom as two, with `share` and the rest of its weight.
fn split(mu: &Empirical, share: f64) -> Empirical {
    let order: Vec<usize> = (0..mu.len()).chain([0]).collect();
    let mut weights = mu.weights().to_vec();
    weights.push(mu.weights()[0] * (1.0 - share));
    weights[0] *= share;
    Empirical::weighted(mu.points().select(&order), weights).expect("weights of the same sum")
}

/// (1 − t)·μ + t·ν.
fn mixture(mu: &Empirical, nu: &Empirical, t: f64) -> Empirical {
    let points = mu.points().concat(nu.points()).expect("one dimension");
    let weights =
        mu.weights().iter().map(|w| (1.0 - t) * w).chain(nu.weights().iter().map(|w| t * w)).collect();
    debug_assert_eq!(mu.dim(), nu.dim());
    Empirical::weighted(points, weights).expect("weights of sum one")
}
