//! The field of a [`Drift`]: every atom of a discrete measure moves where the drift of that measure says.

use super::{VelocityField, check};
use crate::error::{FieldError, Result};
use crate::state::Clock;
use measures::{Drift, Empirical, Points, check_len};

/// The field v(xᵢ) = drift(Σ wᵢ δ(xᵢ))ᵢ of particles that see one another.
#[derive(Debug, Clone)]
pub struct AlongDrift<D> {
    drift: D,
    weights: Option<Vec<f64>>,
}

impl<D: Drift> AlongDrift<D> {
    /// Particles of equal weight.
    pub fn new(drift: D) -> Self {
        AlongDrift { drift, weights: None }
    }

    /// Particles with the given weights, in the order of the cloud.
    ///
    /// # Errors
    /// A weight is negative or not finite, or they do not sum to one.
    pub fn weighted(drift: D, weights: Vec<f64>) -> Result<Self> {
        let n = weights.len();
        let mu = Empirical::weighted(Points::zeros(n, 1), weights)?;
        Ok(AlongDrift { drift, weights: Some(mu.weights().to_vec()) })
    }

    /// The drift.
    pub fn drift(&self) -> &D {
        &self.drift
    }

    /// The measure Σ wᵢ δ(xᵢ) of a cloud.
    ///
    /// # Errors
    /// Another number of points than weights, no point at all, or one that is not finite.
    pub fn measure(&self, x: &Points) -> Result<Empirical> {
        match &self.weights {
            None => Ok(Empirical::uniform(x.clone())?),
            Some(weights) => {
                check_len("particles", weights.len(), x.len())?;
                Ok(Empirical::normalised(x.clone(), weights.clone())?)
            }
        }
    }
}

impl<D: Drift> VelocityField for AlongDrift<D> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        check(x.dim(), t, x, out)?;
        t.shared("drift of a measure")?;
        let drift = self.drift.drift(&self.measure(x)?)?;
        check(x.dim(), t, x, &drift)?;
        *out = drift;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything moves to the mean of the measure.
    struct Consensus;

    impl Drift for Consensus {
        fn drift(&self, mu: &Empirical) -> measures::Result<Points> {
            let mean = mu.mean();
            Ok(Points::from_fn(mu.len(), mean.len(), |i, v| {
                v.iter_mut().zip(&mean).zip(mu.points().row(i)).for_each(|((v, m), x)| *v = m - x);
            }))
        }
    }

    #[test]
    fn weights_reach_the_drift() {
        let x = Points::from_line(vec![0.0, 4.0]);
        let mut v = Points::zeros(2, 1);
        AlongDrift::new(Consensus).velocity(Clock::Shared(0.0), &x, &mut v).unwrap();
        assert_eq!(v.as_slice(), [2.0, -2.0]);
        let weighted = AlongDrift::weighted(Consensus, vec![0.75, 0.25]).unwrap();
        weighted.velocity(Clock::Shared(0.0), &x, &mut v).unwrap();
        assert_eq!(v.as_slice(), [1.0, -3.0]);
        assert!(AlongDrift::weighted(Consensus, vec![0.75, 0.5]).is_err());
        assert!(
            weighted.velocity(Clock::Shared(0.0), &Points::zeros(3, 1), &mut Points::zeros(3, 1)).is_err()
        );
        assert!(weighted.velocity(Clock::Each(&[0.0, 0.0]), &x, &mut v).is_err());
    }
}
