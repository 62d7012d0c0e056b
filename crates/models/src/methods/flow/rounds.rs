//! Training in rounds, each of which learns from what the one before came to.

use crate::error::Result;
use crate::generators::FlowModel;
use crate::method::Moment;
use crate::nets::Params;
use crate::noise::{Law, Noise};
use crate::optim::{Adam, OptimConfig};
use crate::persist::{Persist, Role, Visitor};
use crate::source::Source;
use flows::path::Pairs;
use measures::rand::RngExt;
use measures::{Points, Sample, Seed};
use tch::{Tensor, no_grad_guard};

/// Where in its round a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// 0 is the first round, whose part of the run is set apart.
    pub(crate) round: u64,
    /// The step of the round, counted from 0.
    pub(crate) step: u64,
    /// The steps of the round.
    pub(crate) steps: u64,
}

impl Place {
    /// The place of a step in a run whose first round takes the part `first` and whose `rounds` further ones share the rest.
    pub(crate) fn of(at: &Moment, first: f64, rounds: usize) -> Self {
        let head = ((at.steps as f64 * first).round() as u64).min(at.steps);
        if at.step < head {
            return Place { round: 0, step: at.step, steps: head };
        }
        let (rest, n) = (at.steps - head, rounds.max(1) as u64);
        let start = |k: u64| head + rest * k / n;
        let k = (0..n).find(|&k| at.step < start(k + 1)).unwrap_or(n - 1);
        Place { round: 1 + k, step: at.step - start(k), steps: start(k + 1) - start(k) }
    }
}

/// What passes from round to round: the average of a round's parameters becomes the teacher of the next, which starts from it
/// with a fresh optimiser.
///
/// The average is the method's own, and not that of the training loop, which would mix the rounds.
#[derive(Debug)]
pub(crate) struct Rounds {
    adam: Adam,
    average: Params,
    teacher: Params,
    round: u64,
    updates: u64,
}

/// The decay of the average of a round, once it is long enough.
const DECAY: f64 = 0.999;

impl Rounds {
    /// Before the first round; these parameters are its teacher.
    pub(crate) fn new(optim: &OptimConfig, params: &Params) -> Result<Self> {
        let (adam, average, teacher) = (Adam::new(optim, params)?, params.duplicate()?, params.duplicate()?);
        Ok(Rounds { adam, average, teacher, round: 0, updates: 0 })
    }

    /// Enters the round of a place, and says whether that is another than the one at hand.
    pub(crate) fn enter(&mut self, place: &Place, optim: &OptimConfig, params: &mut Params) -> Result<bool> {
        if place.round == self.round {
            return Ok(false);
        }
        if self.updates > 0 {
            overwrite(&mut self.teacher, &self.average)?;
            overwrite(params, &self.average)?;
        }
        self.adam = Adam::new(optim, params)?;
        (self.round, self.updates) = (place.round, 0);
        Ok(true)
    }

    /// A step down the gradient of `loss`, and of the average after it: θ̄ ← θ̄ + (1 − d)(θ − θ̄), with d = (1 + k)/(10 + k) up to
    /// 0.999 at update k.
    pub(crate) fn step(&mut self, place: &Place, params: &mut Params, loss: &Tensor) -> Result<()> {
        self.adam.step(params, loss, place.step, place.steps)?;
        self.updates += 1;
        let k = self.updates as f64;
        let decay = DECAY.min((1.0 + k) / (10.0 + k));
        let _guard = no_grad_guard();
        let _ = self.average.flat_mut().f_lerp_(params.flat(), 1.0 - decay)?;
        Ok(())
    }

    /// The round at hand.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// What the round before came to.
    pub(crate) fn teacher(&self) -> &Params {
        &self.teacher
    }

    /// What this round has come to.
    pub(crate) fn average(&self) -> &Params {
        &self.average
    }
}

impl Persist for Rounds {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.part("adam", &mut self.adam)?;
        v.params("average", &mut self.average, Role::Auxiliary)?;
        v.params("teacher", &mut self.teacher, Role::Auxiliary)?;
        v.counter("round", &mut self.round)?;
        v.counter("updates", &mut self.updates)
    }
}

/// Writes `from` over `to`.
pub(crate) fn overwrite(to: &mut Params, from: &Params) -> Result<()> {
    let _guard = no_grad_guard();
    to.flat_mut().f_copy_(from.flat())?;
    Ok(())
}

/// A copy of a model with other parameters.
pub(crate) fn with_params(model: &FlowModel, params: &Params) -> Result<FlowModel> {
    let mut other = model.copy()?;
    overwrite(&mut other.params, params)?;
    Ok(other)
}

/// Points where a model's flow starts, each with the point it ends in, in standard coordinates. It is made once a round and never
/// stored: after a resume it is made again, to the last bit, from the teacher and the seed.
#[derive(Debug)]
pub(crate) struct Pool {
    round: u64,
    pairs: Pairs,
}

impl Pool {
    /// `n` pairs along the flow of `teacher` (as many as there are starting points, if these are fewer).
    pub(crate) fn new(
        teacher: &FlowModel,
        round: u64,
        n: usize,
        target: &dyn Source,
        seed: Seed,
    ) -> Result<Self> {
        let mut rng = seed.named("pool").stream(round);
        let x0 = match (target.start(), &teacher.about().start) {
            (Some(start), Some(scaler)) => {
                scaler.standardise(start.batch(n.min(start.len().unwrap_or(n)), &mut rng)?)
            }
            _ => Noise::new(Law::Gaussian, teacher.dim())?.sample(n, &mut rng),
        };
        let mut x1 = Vec::with_capacity(x0.as_slice().len());
        let rows: Vec<usize> = (0..x0.len()).collect();
        for block in rows.chunks(BLOCK) {
            x1.extend(teacher.carry(&x0.select(block), false)?.into_vec());
        }
        let pairs = Pairs::aligned(x0, Points::from_raw(teacher.dim(), x1))?;
        Ok(Pool { round, pairs })
    }

    pub(crate) fn is_of(&self, round: u64) -> bool {
        self.round == round
    }

    /// `n` pairs of the pool, drawn with replacement.
    pub(crate) fn draw(&self, n: usize, at: &Moment) -> (Points, Points) {
        let mut rng = at.rng("pool rows");
        let most = self.pairs.x0.len() as u64;
        let rows: Vec<usize> = (0..n).map(|_| rng.random_range(0..most) as usize).collect();
        (self.pairs.x0.select(&rows), self.pairs.x1.select(&rows))
    }
}

/// Rows solved at a time.
const BLOCK: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::{Init, Layout};
    use crate::tensor::values;
    use tch::{Device, Kind};

    #[test]
    fn rounds_part_the_run() {
        let place = |step| Place::of(&Moment::new(step, 10, Seed::new(0)), 0.4, 3);
        assert_eq!(place(0), Place { round: 0, step: 0, steps: 4 });
        assert_eq!(place(3), Place { round: 0, step: 3, steps: 4 });
        assert_eq!([4, 5, 6, 7, 8, 9].map(|s| place(s).round), [1, 1, 2, 2, 3, 3]);
        assert_eq!(place(7), Place { round: 2, step: 1, steps: 2 });
        // Without a first round of its own, and with more rounds than steps.
        assert_eq!(Place::of(&Moment::new(0, 10, Seed::new(0)), 0.0, 2).round, 1);
        assert_eq!(Place::of(&Moment::new(1, 2, Seed::new(0)), 0.0, 5).round, 5);
    }

    #[test]
    fn the_average_of_a_round_teaches_the_next() {
        let mut layout = Layout::default();
        layout.push("x", &[1], Init::Constant(1.0));
        let mut x = Params::init(layout, Seed::new(0), Kind::Double, Device::Cpu).unwrap();
        let optim = OptimConfig { lr: 0.1, ..OptimConfig::default() };
        let mut rounds = Rounds::new(&optim, &x).unwrap();
        let mut average = 1.0;
        for step in 0..20 {
            let place = Place { round: 0, step, steps: 20 };
            rounds.enter(&place, &optim, &mut x).unwrap();
            let loss = x.leaf(0).square().sum(Kind::Double);
            rounds.step(&place, &mut x, &loss).unwrap();
            let k = step as f64 + 1.0;
            average += (1.0 - (1.0 + k) / (10.0 + k)) * (values(x.flat()).unwrap()[0] - average);
        }
        assert_eq!(values(rounds.teacher().flat()).unwrap(), [1.0]);
        rounds.enter(&Place { round: 1, step: 0, steps: 5 }, &optim, &mut x).unwrap();
        for params in [&x, rounds.teacher(), rounds.average()] {
            assert!((values(params.flat()).unwrap()[0] - average).abs() < 1e-12);
        }
        assert_eq!(rounds.round(), 1);
    }
}
