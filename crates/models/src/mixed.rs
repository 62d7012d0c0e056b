//! Several sources as one.

use crate::error::{Error, Result, check_range};
use crate::source::Source;
use measures::Points;
use measures::rand::{Rng, RngExt};

/// The mixture Σ wₖ μₖ of sources of any kind: what can be sampled beside points in memory and rows of a file.
///
/// ```
/// use measures::{Points, Seed, zoo::Gaussian};
/// use models::{Data, Draws, Mixed, Source};
/// let known = Data::new(Points::zeros(500, 2))?;
/// let noise = Draws::new(Gaussian::standard(2), "noise");
/// let mixed = Mixed::new(vec![(3.0, Box::new(known)), (1.0, Box::new(noise))])?;
/// let x = mixed.batch(400, &mut Seed::new(1).rng())?;
/// let zeros = x.rows().filter(|x| x[0] == 0.0).count();
/// assert!((240..360).contains(&zeros));
/// # Ok::<(), models::Error>(())
/// ```
pub struct Mixed<'a> {
    /// Shares of sum one.
    parts: Vec<(f64, Box<dyn Source + 'a>)>,
}

impl<'a> Mixed<'a> {
    /// The mixture of these sources, with weights that need not sum to one.
    ///
    /// # Errors
    /// There is no source, one lives in another dimension or comes with conditions, or a weight is not positive.
    pub fn new(mut parts: Vec<(f64, Box<dyn Source + 'a>)>) -> Result<Self> {
        let Some(dim) = parts.first().map(|(_, source)| source.dim()) else {
            return Err(measures::Error::TooFew { what: "sources", at_least: 1, got: 0 }.into());
        };
        for (weight, source) in &parts {
            check_range("weight of a source", *weight, f64::MIN_POSITIVE.., "finite and positive")?;
            measures::check_dim("source", dim, source.dim())?;
            if source.condition().is_some() {
                let must = "without conditions: labels of two sources may not mean the same";
                return Err(Error::setting("source", source.fingerprint(), must));
            }
        }
        let sum: f64 = parts.iter().map(|(weight, _)| weight).sum();
        parts.iter_mut().for_each(|(weight, _)| *weight /= sum);
        Ok(Mixed { parts })
    }
}

impl Source for Mixed<'_> {
    fn dim(&self) -> usize {
        self.parts[0].1.dim()
    }

    /// None where one of the sources is endless, else all rows there are.
    fn len(&self) -> Option<usize> {
        self.parts.iter().map(|(_, source)| source.len()).sum()
    }

    fn batch(&self, n: usize, rng: &mut dyn Rng) -> Result<Points> {
        // Which source each row comes from, row by row, so that a batch is a sample of the mixture.
        let mut counts = vec![0; self.parts.len()];
        let from: Vec<usize> = (0..n)
            .map(|_| {
                let mut left = rng.random::<f64>();
                let found = self.parts.iter().position(|(share, _)| {
                    left -= share;
                    left < 0.0
                });
                let found = found.unwrap_or(self.parts.len() - 1);
                counts[found] += 1;
                found
            })
            .collect();
        let mut drawn = Vec::with_capacity(self.parts.len());
        for ((_, source), &count) in self.parts.iter().zip(&counts) {
            drawn.push((source.batch(count, rng)?, 0));
        }
        Ok(Points::from_fn(n, self.dim(), |i, out| {
            let (points, next) = &mut drawn[from[i]];
            out.copy_from_slice(points.row(*next));
            *next += 1;
        }))
    }

    fn fingerprint(&self) -> String {
        let part =
            |(share, source): &(f64, Box<dyn Source + '_>)| format!("{share} of {}", source.fingerprint());
        self.parts.iter().map(part).collect::<Vec<_>>().join(" + ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Data, Draws};
    use measures::{Seed, zoo::Gaussian};

    fn at(value: f64) -> Box<dyn Source> {
        Box::new(Data::new(Points::from_line(vec![value; 3000])).unwrap())
    }

    #[test]
    fn rows_come_as_often_as_their_weights_say() {
        let mixed = Mixed::new(vec![(2.0, at(0.0)), (6.0, at(1.0)), (2.0, at(2.0))]).unwrap();
        assert_eq!((mixed.dim(), mixed.len()), (1, Some(9000)));
        let x = mixed.batch(2000, &mut Seed::new(1).rng()).unwrap();
        assert_eq!(x, mixed.batch(2000, &mut Seed::new(1).rng()).unwrap());
        for (value, share) in [(0.0, 0.2), (1.0, 0.6), (2.0, 0.2)] {
            let found = x.rows().filter(|x| x[0] == value).count() as f64;
            let sd = (2000.0_f64 * share * (1.0 - share)).sqrt();
            assert!((found - 2000.0 * share).abs() < 5.0 * sd, "{value}: {found}");
        }
        // The first half is a sample as well: sources are not lined up.
        assert!(x.rows().take(100).any(|x| x[0] == 2.0));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let plane = || -> Box<dyn Source> { Box::new(Draws::new(Gaussian::standard(2), "plane")) };
        assert!(Mixed::new(vec![]).is_err());
        assert!(Mixed::new(vec![(1.0, at(0.0)), (1.0, plane())]).is_err());
        assert!(
            Mixed::new(vec![(0.0, plane())]).err().unwrap().to_string().starts_with("weight of a source = 0")
        );
        let labelled = crate::Labelled::with_labels(Points::zeros(2, 2), &[0, 1]).unwrap();
        let error = Mixed::new(vec![(1.0, plane()), (1.0, Box::new(labelled))]).err().unwrap().to_string();
        assert!(error.contains("without conditions"), "{error}");
        assert_eq!(Mixed::new(vec![(1.0, plane()), (1.0, plane())]).unwrap().len(), None);
    }
}
