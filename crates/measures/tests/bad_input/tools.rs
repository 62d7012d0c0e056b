//! Quasi-random points, importance weights, control variates, accumulators.

use crate::judge::{Judge, NUMBERS, clouds};
use measures::quasi::{Halton, QuasiRandom, Sobol, normal, rqmc};
use measures::stream::{StreamBracket, StreamFeatures, StreamMoments};
use measures::zoo::{Gaussian, UniformBox};
use measures::{
    Empirical, Family, Fit, Function, Points, Pullback, Result, Seed, TestFunction, Weighting,
    bracket_controlled, check_pullback, importance_bracket, importance_estimate, importance_sample, parallel,
};

#[test]
fn sequences() {
    let mut judge = Judge::default();
    for dim in [0, 1, 5, 256, 257, 1024, 1025, usize::MAX] {
        for start in [0, 1, (1 << 32) - 2, 1 << 32, u64::MAX] {
            for n in [0, 1, 3] {
                judge.case(format!("sobol {dim} {start} {n}"), || Sobol::new(dim)?.points(start, n));
                judge.case(format!("halton {dim} {start} {n}"), || Halton::new(dim)?.points(start, n));
                judge.case(format!("scrambled {dim} {start} {n}"), || {
                    let a = Sobol::new(dim)?.scrambled(Seed::new(1)).points(start, n)?;
                    normal(&a)
                });
            }
        }
        judge.case(format!("rqmc {dim}"), || rqmc(dim, 4, 2, Seed::new(0), |u| Ok(vec![1.0; u.len()])));
    }
    for value in NUMBERS {
        judge.case(format!("normal {value}"), || normal(&Points::from_raw(1, vec![0.5, value])));
        judge.case(format!("rqmc of {value}"), || rqmc(1, 4, 2, Seed::new(0), |u| Ok(vec![value; u.len()])));
    }
    for (n, replicates) in [(0, 2), (1, 0), (1, 1), (usize::MAX, 2)] {
        judge.refused(format!("rqmc {n} {replicates}"), || {
            rqmc(1, n, replicates, Seed::new(0), |_| Ok(vec![]))
        });
    }
    judge.refused("too few values", || rqmc(1, 4, 2, Seed::new(0), |_| Ok(vec![0.0])));
    judge.verdict(300);
}

#[test]
fn importance_and_control() {
    let mut judge = Judge::default();
    let law = Gaussian::standard(1);
    for weighting in [Weighting::Plain, Weighting::SelfNormalised] {
        for a in NUMBERS {
            for b in NUMBERS {
                judge.case(format!("value {a}, log-weight {b}"), || {
                    importance_estimate(&[a, 1.0, 0.5], &[b, 0.0, -1.0], weighting)
                        .map(|w| (w.estimate, (w.effective_sample_size, w.log_normaliser)))
                });
            }
            judge.case(format!("all log-weights {a}"), || {
                importance_estimate(&[1.0, 2.0], &[a, a], weighting)
                    .map(|w| (w.estimate, (w.effective_sample_size, w.largest_share)))
            });
            judge.case(format!("target {a}"), || {
                let f = Function::new(1, |x| x[0], |_, _| {});
                let rng = &mut Seed::new(0).rng();
                importance_bracket(&f, |x| Ok(vec![a; x.len()]), &law, 5, weighting, rng).map(|w| w.estimate)
            });
        }
    }
    for a in NUMBERS {
        judge.case(format!("cloud of {a}"), || {
            let (mu, log) = importance_sample(|x| Ok(vec![a; x.len()]), &law, 5, &mut Seed::new(0).rng())?;
            Ok((mu.weights().to_vec(), log))
        });
        for fit in [Fit::SameDraws, Fit::Split] {
            for n in [0, 2, 3, 6, 20] {
                judge.case(format!("control {a}, {n} draws"), || {
                    let (f, g) = (
                        Function::new(1, |x| x[0], |_, _| {}),
                        Function::new(1, move |x| a * x[0], |_, _| {}),
                    );
                    let known: [(&dyn TestFunction, f64); 1] = [(&g, 0.0)];
                    let c = bracket_controlled(&f, &known, &law, n, fit, &mut Seed::new(0).rng())?;
                    Ok(((c.estimate, c.coefficients), c.remaining_variance))
                });
                judge.case(format!("controlled {a}, {n} draws"), || {
                    let (f, g) = (
                        Function::new(1, move |x| a * x[0], |_, _| {}),
                        Function::new(1, |x| x[0], |_, _| {}),
                    );
                    let known: [(&dyn TestFunction, f64); 1] = [(&g, a)];
                    let c = bracket_controlled(&f, &known, &law, n, fit, &mut Seed::new(0).rng())?;
                    Ok(((c.estimate, c.coefficients), c.remaining_variance))
                });
            }
        }
    }
    judge.refused("no draws", || {
        importance_sample(|x| Ok(vec![0.0; x.len()]), &law, 0, &mut Seed::new(0).rng())
    });
    judge.refused("few log-densities", || {
        importance_sample(|_| Ok(vec![0.0]), &law, 5, &mut Seed::new(0).rng())
    });
    let away = UniformBox::new(vec![50.0], vec![51.0]).unwrap();
    judge.refused("a target elsewhere", || {
        use measures::Density;
        importance_sample(|x| away.log_density(x), &law, 5, &mut Seed::new(0).rng())
    });
    judge.verdict(500);
}

/// x and x², of the coordinates' sum.
struct Two;

impl Family for Two {
    fn dim(&self) -> usize {
        2
    }
    fn tau(&self) -> &[f64] {
        &[1.0, 0.5]
    }
    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        let values = self.values(mu.points())?;
        let mut out = vec![0.0; 2];
        for (pair, w) in values.chunks_exact(2).zip(mu.weights()) {
            out.iter_mut().zip(pair).for_each(|(o, v)| *o += w * v);
        }
        Ok(out)
    }
    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        let values = self.values(x)?.chunks_exact(2).map(|p| p[0] * c[0] + p[1] * c[1]).collect();
        Ok(Pullback { values, gradients: Points::zeros(x.len(), 2) })
    }
    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        Ok(x.rows().flat_map(|r| [r[0] + r[1], (r[0] + r[1]).powi(2)]).collect())
    }
}

#[test]
fn accumulators() {
    let mut judge = Judge::default();
    for dim in [0, 1, 16_385, usize::MAX] {
        judge.case(format!("moments of dimension {dim}"), || StreamMoments::new(dim)?.mean());
    }
    for a in NUMBERS {
        for w in NUMBERS {
            judge.case(format!("bracket of {a} weighing {w}"), || {
                let mut s = StreamBracket::new();
                s.add_values(&[a, 1.0], Some(&[w, 1.0]))?;
                s.merge(&s.clone());
                s.estimate()
            });
            judge.case(format!("moments of {a} weighing {w}"), || {
                let mut s = StreamMoments::new(2)?;
                s.add(&Points::from_raw(2, vec![a, 0.0, 1.0, 2.0]), Some(&[w, w]))?;
                s.merge(&s.clone())?;
                Ok(((s.mean()?, s.covariance()?.as_slice().to_vec()), s.effective_sample_size()))
            });
            judge.case(format!("features of {a} weighing {w}"), || {
                let mut s = StreamFeatures::new(&Two)?;
                s.add(&Two, &Points::from_raw(2, vec![a, 0.0, 1.0, 2.0]), Some(&[w, w]))?;
                Ok((s.brackets()?, (s.squared_distance(&s)?, s.squared_distance_unbiased(&s)?)))
            });
        }
        let mut state = StreamMoments::new(1).unwrap().state();
        for k in 0..state.len() {
            let kept = std::mem::replace(&mut state[k], a);
            judge.case(format!("state with {a} at {k}"), || StreamMoments::from_state(1, &state)?.mean());
            judge.case(format!("bracket state with {a} at {k}"), || {
                let mut words = StreamBracket::new().state();
                words[k] = a;
                StreamBracket::from_state(&words)?.estimate()
            });
            judge.case(format!("feature state with {a} at {k}"), || {
                let mut words = StreamFeatures::new(&Two)?.state();
                words[k] = a;
                StreamFeatures::from_state(&Two, &words)?.brackets()
            });
            state[k] = kept;
        }
    }
    for (name, x) in clouds(2) {
        judge.case(format!("moments of {name}"), || {
            let mut s = StreamMoments::new(2)?;
            s.add(&x, None)?;
            Ok((s.mean()?, s.covariance()?.as_slice().to_vec()))
        });
        judge.case(format!("features of {name}"), || {
            let mut s = StreamFeatures::new(&Two)?;
            s.add(&Two, &x, None)?;
            Ok((s.brackets()?, s.squared_distance_unbiased(&s)?))
        });
    }
    judge.refused("no state", || StreamFeatures::from_state(&Two, &[]));
    judge.refused("a short state", || StreamBracket::from_state(&[0.0; 10]));
    judge.refused("other dimensions", || StreamMoments::new(2)?.merge(&StreamMoments::new(3)?));
    for n in [0, 1, 10] {
        for block in [0, 1, 3, usize::MAX] {
            judge.case(format!("blocks {n} {block}"), || {
                let sum = parallel::sum_blocks(n, block, |r| r.len() as f64);
                assert_eq!(sum, n as f64);
                let list = parallel::accumulate_blocks(n, block, 1, |r, out| out[0] += r.len() as f64);
                Ok((sum, list))
            });
        }
    }
    judge.verdict(500);
}
