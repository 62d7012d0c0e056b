//! Where training data come from: anything that can be sampled, or points in memory.

use crate::condition::Condition;
use crate::error::{Error, Result};
use measures::rand::{Rng, RngExt};
use measures::{Points, Sample, Seed};
use std::sync::{Mutex, PoisonError};

/// The target of training, known by its samples.
///
/// Batches depend on the generator they are given alone, so that a step can be repeated.
pub trait Source {
    /// The dimension d.
    fn dim(&self) -> usize;

    /// The number of points there are; none when new ones can be drawn for ever.
    fn len(&self) -> Option<usize>;

    /// Whether there is no point at all.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// n points, n×d: independent draws, or rows drawn without replacement.
    ///
    /// # Errors
    /// There are fewer than n points.
    fn batch(&self, n: usize, rng: &mut dyn Rng) -> Result<Points>;

    /// All points, where there is a finite number of them in memory.
    fn all(&self) -> Option<&Points> {
        None
    }

    /// What kind of condition the points come with, where they do.
    fn condition(&self) -> Option<&Condition> {
        None
    }

    /// As [`Source::batch`], the same points for the same generator, with the condition of each where there are some.
    ///
    /// # Errors
    /// As [`Source::batch`].
    fn batch_given(&self, n: usize, rng: &mut dyn Rng) -> Result<(Points, Option<Points>)> {
        Ok((self.batch(n, rng)?, None))
    }

    /// The measure that paths start from, where it is not noise. Methods that carry one measure to another ask for it;
    /// what it has no use for, a method ignores.
    fn start(&self) -> Option<&dyn Source> {
        None
    }

    /// Words that tell this source from others: a checkpoint refuses to go on with other data.
    fn fingerprint(&self) -> String;
}

/// A measure that can be sampled, as a source of ever new points.
#[derive(Debug, Clone)]
pub struct Draws<S> {
    measure: S,
    name: String,
}

impl<S: Sample> Draws<S> {
    /// The source that draws from `measure`, called `name` in checkpoints.
    pub fn new(measure: S, name: impl Into<String>) -> Self {
        Draws { measure, name: name.into() }
    }

    /// The measure.
    pub fn measure(&self) -> &S {
        &self.measure
    }
}

impl<S: Sample> Source for Draws<S> {
    fn dim(&self) -> usize {
        self.measure.dim()
    }

    fn len(&self) -> Option<usize> {
        None
    }

    fn batch(&self, n: usize, rng: &mut dyn Rng) -> Result<Points> {
        Ok(self.measure.sample(n, rng))
    }

    fn fingerprint(&self) -> String {
        format!("{} in dimension {}", self.name, self.measure.dim())
    }
}

/// Points in memory, as a source: every batch is a simple random sample of rows without replacement.
#[derive(Debug)]
pub struct Data {
    points: Points,
    fingerprint: String,
    /// 0, 1, …, n−1 between calls: a batch shuffles its beginning and puts it back.
    indices: Mutex<Vec<u32>>,
}

impl Data {
    /// The source of these rows.
    ///
    /// # Errors
    /// There is no row, more than 2³² − 1, or a coordinate that is not finite (its row is named).
    pub fn new(points: Points) -> Result<Self> {
        points.check_finite("data")?;
        if points.is_empty() {
            return Err(measures::Error::TooFew { what: "rows of data", at_least: 1, got: 0 }.into());
        }
        let count = u32::try_from(points.len())
            .map_err(|_| Error::setting("rows of data", points.len(), "fewer than 2³²"))?;
        let mut hash = blake3::Hasher::new();
        for v in points.as_slice() {
            hash.update(&v.to_le_bytes());
        }
        let digest = hash.finalize().to_hex();
        let fingerprint = format!("{}×{} points, blake3 {}", points.len(), points.dim(), &digest[..16]);
        Ok(Data { points, fingerprint, indices: Mutex::new((0..count).collect()) })
    }

    /// The numbers of n different rows, drawn at random.
    pub(crate) fn pick(&self, n: usize, rng: &mut dyn Rng) -> Result<Vec<usize>> {
        let rows = self.points.len();
        if n > rows {
            return Err(Error::setting("batch", n, format!("at most {rows}, the number of rows of data")));
        }
        let mut indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
        // The first n steps of Fisher and Yates; undone in reverse, so that the next batch starts from the same order.
        let swaps: Vec<usize> = (0..n).map(|i| rng.random_range(i as u64..rows as u64) as usize).collect();
        swaps.iter().enumerate().for_each(|(i, &j)| indices.swap(i, j));
        let picked = indices[..n].iter().map(|&i| i as usize).collect();
        swaps.iter().enumerate().rev().for_each(|(i, &j)| indices.swap(i, j));
        Ok(picked)
    }

    /// These rows.
    pub(crate) fn rows(&self, rows: &[usize]) -> Points {
        self.points.select(rows)
    }
}

impl Source for Data {
    fn dim(&self) -> usize {
        self.points.dim()
    }

    fn len(&self) -> Option<usize> {
        Some(self.points.len())
    }

    fn batch(&self, n: usize, rng: &mut dyn Rng) -> Result<Points> {
        Ok(self.points.select(&self.pick(n, rng)?))
    }

    fn all(&self) -> Option<&Points> {
        Some(&self.points)
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

/// A target together with the measure that paths to it start from.
#[derive(Debug, Clone, Copy)]
pub struct Between<A, B> {
    start: A,
    target: B,
}

impl<A: Source, B: Source> Between<A, B> {
    /// Paths from `start` to `target`.
    ///
    /// # Errors
    /// They live in different dimensions.
    pub fn new(start: A, target: B) -> Result<Self> {
        measures::check_dim("start", target.dim(), start.dim())?;
        Ok(Between { start, target })
    }
}

impl<A: Source, B: Source> Source for Between<A, B> {
    fn dim(&self) -> usize {
        self.target.dim()
    }
    fn len(&self) -> Option<usize> {
        self.target.len()
    }
    fn batch(&self, n: usize, rng: &mut dyn Rng) -> Result<Points> {
        self.target.batch(n, rng)
    }
    fn all(&self) -> Option<&Points> {
        self.target.all()
    }
    fn condition(&self) -> Option<&Condition> {
        self.target.condition()
    }
    fn batch_given(&self, n: usize, rng: &mut dyn Rng) -> Result<(Points, Option<Points>)> {
        self.target.batch_given(n, rng)
    }
    fn start(&self) -> Option<&dyn Source> {
        Some(&self.start)
    }
    fn fingerprint(&self) -> String {
        format!("{} from {}", self.target.fingerprint(), self.start.fingerprint())
    }
}

/// Up to `n` points that stand for the whole source: all of them in memory, or draws from `seed`.
///
/// # Errors
/// As [`Source::batch`].
pub fn overview(source: &dyn Source, n: usize, seed: Seed) -> Result<Points> {
    let n = source.len().map_or(n, |rows| rows.min(n));
    match source.all() {
        Some(all) if all.len() <= n => Ok(all.clone()),
        _ => source.batch(n, &mut seed.rng()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::zoo::Gaussian;

    #[test]
    fn batches_are_without_replacement_and_repeatable() {
        let data = Data::new(Points::from_line((0..50).map(f64::from).collect())).unwrap();
        let seed = Seed::new(1);
        let first = data.batch(50, &mut seed.stream(0)).unwrap();
        let mut sorted = first.column(0);
        sorted.sort_by(f64::total_cmp);
        assert_eq!(sorted, data.all().unwrap().column(0));
        assert_ne!(first, *data.all().unwrap());
        // other batches in between change nothing
        data.batch(7, &mut seed.stream(1)).unwrap();
        assert_eq!(data.batch(50, &mut seed.stream(0)).unwrap(), first);
        let error = data.batch(51, &mut seed.stream(0)).unwrap_err().to_string();
        assert_eq!(error, "batch = 51: must be at most 50, the number of rows of data");
    }

    #[test]
    fn every_row_is_drawn_equally_often() {
        let data = Data::new(Points::from_line((0..10).map(f64::from).collect())).unwrap();
        let (rounds, mut counts) = (20_000, [0.0f64; 10]);
        let mut rng = Seed::new(2).rng();
        for _ in 0..rounds {
            data.batch(3, &mut rng).unwrap().column(0).iter().for_each(|&v| counts[v as usize] += 1.0);
        }
        let expected = 0.3 * f64::from(rounds);
        let sd = (f64::from(rounds) * 0.3 * 0.7).sqrt();
        assert!(counts.iter().all(|c| (c - expected).abs() < 5.5 * sd), "{counts:?}");
    }

    #[test]
    fn fingerprints_tell_data_apart() {
        let a = Data::new(Points::from_line(vec![1.0, 2.0])).unwrap().fingerprint();
        assert_ne!(a, Data::new(Points::from_line(vec![1.0, 2.5])).unwrap().fingerprint());
        assert!(a.starts_with("2×1 points"));
        assert_eq!(Draws::new(Gaussian::standard(3), "noise").fingerprint(), "noise in dimension 3");
        assert!(Data::new(Points::zeros(0, 2)).is_err());
        assert!(Data::new(Points::from_raw(1, vec![f64::NAN])).is_err());
    }

    #[test]
    fn overviews_take_all_there_is() {
        let data = Data::new(Points::from_line((0..10).map(f64::from).collect())).unwrap();
        assert_eq!(overview(&data, 100, Seed::new(0)).unwrap(), *data.all().unwrap());
        assert_eq!(overview(&data, 4, Seed::new(0)).unwrap().len(), 4);
        let draws = Draws::new(Gaussian::standard(2), "noise");
        assert_eq!(overview(&draws, 7, Seed::new(0)).unwrap().len(), 7);
    }
}
