//! What a point may come with: a label or a vector, and how a network is told.

use crate::error::{Error, Result};
use crate::scaler::Scaler;
use measures::Points;
use serde::{Deserialize, Serialize};

/// The kind of condition that the points of a source come with, as a model remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Condition {
    /// One of the labels 0, 1, …, with the share of the data that each has.
    Label {
        /// One number a label, of sum one.
        shares: Vec<f64>,
    },
    /// A vector, standardised before a network sees it.
    Vector {
        /// Between the vectors and their standard coordinates.
        scaler: Scaler,
    },
}

/// More labels than this are an identifier and not a class.
pub const MOST_LABELS: usize = 10_000;

impl Condition {
    /// The condition of these labels, 0 to the largest that occurs.
    ///
    /// # Errors
    /// There is no label, or one of them is beyond [`MOST_LABELS`] (its row is named).
    pub fn of_labels(labels: &[usize]) -> Result<Self> {
        let classes = labels.iter().max().map_or(0, |most| most.saturating_add(1));
        if classes == 0 {
            return Err(measures::Error::TooFew { what: "labels", at_least: 1, got: 0 }.into());
        }
        if let Some(row) = labels.iter().position(|&label| label >= MOST_LABELS) {
            let must = format!("less than {MOST_LABELS} (row {row}): labels count classes from 0");
            return Err(Error::setting("label", labels[row], must));
        }
        let mut shares = vec![0.0; classes];
        labels.iter().for_each(|&label| shares[label] += 1.0 / labels.len() as f64);
        Ok(Condition::Label { shares })
    }

    /// The condition of these vectors.
    ///
    /// # Errors
    /// A column is constant, or there are fewer than two rows.
    pub fn of_vectors(vectors: &Points) -> Result<Self> {
        Ok(Condition::Vector { scaler: Scaler::fit(vectors)? })
    }

    /// The number of labels, where there are some.
    pub fn classes(&self) -> Option<usize> {
        match self {
            Condition::Label { shares } => Some(shares.len()),
            Condition::Vector { .. } => None,
        }
    }

    /// The dimension of what is given: one for a label.
    pub fn dim(&self) -> usize {
        match self {
            Condition::Label { .. } => 1,
            Condition::Vector { scaler } => scaler.dim(),
        }
    }

    /// The dimension of what a network is told: one entry a label, or the vector, and one that says that nothing is.
    pub fn encoded_dim(&self) -> usize {
        1 + match self {
            Condition::Label { shares } => shares.len(),
            Condition::Vector { scaler } => scaler.dim(),
        }
    }

    /// Refuses what is no condition of this kind.
    ///
    /// # Errors
    /// Another dimension, a label that is not among those there are, a number that is not finite.
    pub fn check(&self, given: &Points) -> Result<()> {
        measures::check_dim("conditions", self.dim(), given.dim())?;
        given.check_finite("conditions")?;
        if let Some(classes) = self.classes() {
            let known = |v: f64| v >= 0.0 && v < classes as f64 && v.fract() == 0.0;
            if let Some(row) = given.rows().find(|row| !known(row[0])) {
                let must =
                    format!("a whole number from 0 to {}: the model knows {classes} labels", classes - 1);
                return Err(Error::setting("label", row[0], must));
            }
        }
        Ok(())
    }

    /// What a network is told about n rows, n×[`encoded_dim`](Condition::encoded_dim); rows for which `hidden` says so, and all
    /// where nothing is given, are told that nothing is known.
    pub(crate) fn encode(&self, given: Option<&Points>, n: usize, hidden: impl Fn(usize) -> bool) -> Points {
        let last = self.encoded_dim() - 1;
        let standard = match (self, given) {
            (Condition::Vector { scaler }, Some(given)) => Some(scaler.standardise(given.clone())),
            _ => None,
        };
        Points::from_fn(n, last + 1, |i, out| {
            out.fill(0.0);
            match given {
                Some(given) if !hidden(i) => match &standard {
                    Some(vectors) => out[..last].copy_from_slice(vectors.row(i)),
                    None => out[given.row(i)[0] as usize] = 1.0,
                },
                _ => out[last] = 1.0,
            }
        })
    }

    /// Refuses a condition that no data could give: it came from a file.
    pub(crate) fn check_shape(&self) -> Result<()> {
        match self {
            Condition::Label { shares } => {
                let sum: f64 = shares.iter().sum();
                if shares.iter().all(|&s| (0.0..=1.0).contains(&s)) && (sum - 1.0).abs() < 1e-6 {
                    Ok(())
                } else {
                    Err(Error::Config { what: "labels", why: "their shares must be of sum one".to_owned() })
                }
            }
            Condition::Vector { scaler } => scaler.check(scaler.dim()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_vectors_are_encoded_and_hidden() {
        let labels = Condition::of_labels(&[0, 2, 2, 1]).unwrap();
        assert_eq!(labels, Condition::Label { shares: vec![0.25, 0.25, 0.5] });
        let given = Points::from_line(vec![2.0, 0.0]);
        let told = labels.encode(Some(&given), 2, |i| i == 1);
        assert_eq!(told.row(0), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(told.row(1), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(labels.encode(None, 1, |_| false).row(0), [0.0, 0.0, 0.0, 1.0]);
        let data = Points::from_rows(&[[0.0, 10.0], [2.0, 30.0]]);
        let vectors = Condition::of_vectors(&data).unwrap();
        assert_eq!(vectors.encode(Some(&data), 2, |_| false).row(1), [1.0, 1.0, 0.0]);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let labels = Condition::of_labels(&[0, 1]).unwrap();
        let refuse = |v: f64| labels.check(&Points::from_line(vec![0.0, v])).unwrap_err().to_string();
        assert_eq!(refuse(2.0), "label = 2: must be a whole number from 0 to 1: the model knows 2 labels");
        assert!(refuse(-1.0).starts_with("label = -1") && refuse(0.5).starts_with("label = 0.5"));
        assert!(labels.check(&Points::from_raw(1, vec![f64::NAN])).is_err());
        assert!(labels.check(&Points::zeros(1, 2)).is_err());
        let far = Condition::of_labels(&[3, 20_000]).unwrap_err().to_string();
        assert!(far.starts_with("label = 20000: must be less than 10000 (row 1)"), "{far}");
        assert!(Condition::of_labels(&[]).is_err());
        let constant = Condition::of_vectors(&Points::zeros(3, 1)).unwrap_err();
        assert!(matches!(constant, Error::ConstantColumn { .. }));
    }
}
