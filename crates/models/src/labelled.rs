//! Points in memory that come with a label or a vector each.

use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::source::{Data, Source};
use measures::Points;
use measures::rand::Rng;

/// Points with a label, or with a vector, each: what conditional models are trained on.
///
/// ```
/// use models::{Labelled, Source};
/// let points = measures::Points::from_rows(&[[0.0, 1.0], [2.0, 3.0], [4.0, 5.5]]);
/// let data = Labelled::with_labels(points, &[0, 1, 1])?;
/// assert_eq!(data.condition().and_then(|c| c.classes()), Some(2));
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug)]
pub struct Labelled {
    data: Data,
    given: Points,
    condition: Condition,
    fingerprint: String,
}

impl Labelled {
    /// Points with the labels 0, 1, …, one a row.
    ///
    /// # Errors
    /// As [`Data::new`]; the numbers of rows and labels differ; a label is no class.
    pub fn with_labels(points: Points, labels: &[usize]) -> Result<Self> {
        let condition = Condition::of_labels(labels)?;
        let given = Points::from_line(labels.iter().map(|&label| label as f64).collect());
        Labelled::new(points, given, condition)
    }

    /// Points with a vector each.
    ///
    /// # Errors
    /// As [`Data::new`]; the numbers of rows differ; a vector is not finite, or a column of them is constant.
    pub fn with_vectors(points: Points, vectors: Points) -> Result<Self> {
        vectors.check_finite("conditions")?;
        let condition = Condition::of_vectors(&vectors)?;
        Labelled::new(points, vectors, condition)
    }

    fn new(points: Points, given: Points, condition: Condition) -> Result<Self> {
        let (rows, conditions) = (points.len(), given.len());
        if rows != conditions {
            let must = format!("as many as there are rows of data, {rows}");
            return Err(Error::setting("conditions", conditions, must));
        }
        let data = Data::new(points)?;
        let mut hash = blake3::Hasher::new();
        for v in given.as_slice() {
            hash.update(&v.to_le_bytes());
        }
        let digest = hash.finalize().to_hex();
        let fingerprint =
            format!("{}, given {}×{} blake3 {}", data.fingerprint(), given.len(), given.dim(), &digest[..16]);
        Ok(Labelled { data, given, condition, fingerprint })
    }

    /// The conditions, one a row of [`Source::all`].
    pub fn given(&self) -> &Points {
        &self.given
    }
}

impl Source for Labelled {
    fn dim(&self) -> usize {
        self.data.dim()
    }

    fn len(&self) -> Option<usize> {
        self.data.len()
    }

    fn batch(&self, n: usize, rng: &mut dyn Rng) -> Result<Points> {
        self.data.batch(n, rng)
    }

    fn all(&self) -> Option<&Points> {
        self.data.all()
    }

    fn condition(&self) -> Option<&Condition> {
        Some(&self.condition)
    }

    fn batch_given(&self, n: usize, rng: &mut dyn Rng) -> Result<(Points, Option<Points>)> {
        let rows = self.data.pick(n, rng)?;
        Ok((self.data.rows(&rows), Some(self.given.select(&rows))))
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::Seed;

    #[test]
    fn conditions_stay_with_their_rows() {
        let points = Points::from_fn(40, 2, |i, row| row.copy_from_slice(&[i as f64, -(i as f64)]));
        let labels: Vec<usize> = (0..40).map(|i| i % 3).collect();
        let data = Labelled::with_labels(points.clone(), &labels).unwrap();
        let (x, given) = data.batch_given(25, &mut Seed::new(1).rng()).unwrap();
        let given = given.unwrap();
        assert!(x.rows().zip(given.rows()).all(|(x, c)| (x[0] as usize % 3) as f64 == c[0]));
        // The same points as without conditions.
        assert_eq!(data.batch(25, &mut Seed::new(1).rng()).unwrap(), x);
        let other = Labelled::with_labels(points.clone(), &vec![0; 40]).unwrap();
        assert_ne!(data.fingerprint(), other.fingerprint());
        let vectors = Labelled::with_vectors(points.clone(), points.clone()).unwrap();
        let (x, given) = vectors.batch_given(5, &mut Seed::new(2).rng()).unwrap();
        assert_eq!(Some(x), given);
        let error = Labelled::with_labels(points, &labels[1..]).unwrap_err().to_string();
        assert_eq!(error, "conditions = 39: must be as many as there are rows of data, 40");
    }
}
