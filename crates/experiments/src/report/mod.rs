//! What an experiment found: claims with verdicts, tables, figures, files. Written as `report.json`, `report.html` and
//! a few lines on the terminal.

mod html;
mod side;
mod terminal;
mod versions;
mod write;

pub use side::side_by_side;
pub use terminal::summary;
pub use versions::{Machine, Versions};
pub use write::write;

use crate::figure::{Animation, Figure};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// How a value must stand to its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Relation {
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
    /// Less than.
    #[serde(rename = "<")]
    Below,
    /// More than.
    #[serde(rename = ">")]
    Above,
}

impl Relation {
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Relation::AtMost => value <= bound,
            Relation::AtLeast => value >= bound,
            Relation::Below => value < bound,
            Relation::Above => value > bound,
        }
    }

    /// The sign, as people write it.
    pub fn sign(self) -> &'static str {
        match self {
            Relation::AtMost => "≤",
            Relation::AtLeast => "≥",
            Relation::Below => "<",
            Relation::Above => ">",
        }
    }
}

/// A statement that a run can refute.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
#[must_use]
pub struct Claim {
    /// What is claimed, in words.
    pub name: String,
    /// The value found; none where it is not finite, and then the claim fails.
    pub value: Option<f64>,
    /// The bound.
    pub bound: f64,
    /// How the value must stand to the bound.
    pub relation: Relation,
    /// The verdict.
    pub holds: bool,
}

impl Claim {
    /// The claim that `value` stands to `bound` as `relation` says. NaN and infinities fail.
    pub fn new(name: impl Into<String>, value: f64, relation: Relation, bound: f64) -> Self {
        let holds = value.is_finite() && relation.holds(value, bound);
        Claim { name: name.into(), value: Some(value).filter(|v| v.is_finite()), bound, relation, holds }
    }

    /// The claim that `value` is at most `bound`.
    pub fn at_most(name: impl Into<String>, value: f64, bound: f64) -> Self {
        Claim::new(name, value, Relation::AtMost, bound)
    }

    /// The claim that `value` is at least `bound`.
    pub fn at_least(name: impl Into<String>, value: f64, bound: f64) -> Self {
        Claim::new(name, value, Relation::AtLeast, bound)
    }
}

/// One cell of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// A number; null in JSON where it is not finite.
    Number(f64),
    /// The mean of several numbers with their standard deviation.
    Spread {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        sd: f64,
    },
    /// Words.
    Text(String),
    /// Nothing: not computed, or not defined.
    Empty(()),
}

impl Cell {
    /// The mean of one figure over several runs, with its standard deviation where there are several and they differ.
    pub fn over_runs(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let sd = || (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        match values.len() {
            0 => Cell::Empty(()),
            1 => Cell::Number(mean),
            // What is the same in every run has no spread, whatever rounding makes of it.
            _ => Some(sd())
                .filter(|sd| *sd > 1e-12 * mean.abs())
                .map_or(Cell::Number(mean), |sd| Cell::Spread { mean, sd }),
        }
    }
}

impl From<f64> for Cell {
    fn from(v: f64) -> Self {
        Cell::Number(v)
    }
}

impl From<usize> for Cell {
    fn from(v: usize) -> Self {
        Cell::Number(v as f64)
    }
}

impl From<u64> for Cell {
    fn from(v: u64) -> Self {
        Cell::Number(v as f64)
    }
}

impl From<&str> for Cell {
    fn from(v: &str) -> Self {
        Cell::Text(v.into())
    }
}

impl From<String> for Cell {
    fn from(v: String) -> Self {
        Cell::Text(v)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(v: Option<T>) -> Self {
        v.map_or(Cell::Empty(()), Into::into)
    }
}

/// A table of results.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Table {
    /// Its name, a word.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The columns' heads.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
    /// Whether it stands before the figures.
    #[serde(skip)]
    pub leading: bool,
}

impl Table {
    /// An empty table.
    pub fn new(name: &str, title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|c| (*c).to_owned()).collect();
        Table { name: name.into(), title: title.into(), columns, rows: Vec::new(), leading: false }
    }

    /// Has it stand before the figures.
    #[must_use]
    pub fn leading(mut self) -> Self {
        self.leading = true;
        self
    }

    /// Appends a row.
    ///
    /// # Panics
    /// When it has another length than the head.
    pub fn push(&mut self, row: Vec<Cell>) {
        assert_eq!(row.len(), self.columns.len(), "a row of table {} has another length", self.name);
        self.rows.push(row);
    }
}

/// A file that the run left beside its report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Artifact {
    /// The file, relative to the report.
    pub path: PathBuf,
    /// What it holds.
    pub about: String,
}

/// What an experiment itself has to say; the rest (configuration, seed, versions, time) is added when it is written.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Report {
    pub(crate) question: String,
    pub(crate) notes: Vec<String>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) tables: Vec<Table>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) animations: Vec<Animation>,
    pub(crate) artifacts: Vec<Artifact>,
}

impl Report {
    /// An empty report on a question.
    pub fn new(question: impl Into<String>) -> Self {
        Report { question: question.into(), ..Report::default() }
    }

    /// Adds a paragraph.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Self {
        self.notes.push(text.into());
        self
    }

    /// Adds a claim.
    pub fn claim(&mut self, claim: Claim) -> &mut Self {
        self.claims.push(claim);
        self
    }

    /// Adds a table.
    pub fn table(&mut self, table: Table) -> &mut Self {
        self.tables.push(table);
        self
    }

    /// Adds a figure.
    pub fn figure(&mut self, figure: Figure) -> &mut Self {
        self.figures.push(figure);
        self
    }

    /// Adds an animation.
    pub fn animation(&mut self, animation: Animation) -> &mut Self {
        self.animations.push(animation);
        self
    }

    /// Adds a file that is already in the run's folder.
    pub fn artifact(&mut self, path: impl Into<PathBuf>, about: impl Into<String>) -> &mut Self {
        self.artifacts.push(Artifact { path: path.into(), about: about.into() });
        self
    }

    /// The claims made so far.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// Whether every claim holds.
    pub fn holds(&self) -> bool {
        self.claims.iter().all(|claim| claim.holds)
    }
}

/// The circumstances of a run, which belong into its report.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Circumstances {
    /// The experiment's name.
    pub experiment: String,
    /// The part of the paper it is about.
    pub paper: String,
    /// The whole configuration.
    pub config: Value,
    /// The seed.
    pub seed: u64,
    /// Versions of this program and what it stands on.
    pub versions: Versions,
    /// The machine.
    pub machine: Machine,
    /// The device that trained.
    pub device: String,
    /// Threads of libtorch.
    pub threads: usize,
    /// Seconds in all, resumed parts included.
    pub wall_seconds: f64,
    /// The command that runs it again.
    pub command: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_fails_and_is_null() {
        let claim = Claim::at_most("distance", f64::NAN, 0.01);
        assert!(!claim.holds);
        let json = serde_json::to_string(&claim).unwrap();
        assert_eq!(json, r#"{"name":"distance","value":null,"bound":0.01,"relation":"<=","holds":false}"#);
        assert!(!Claim::at_least("x", f64::INFINITY, 0.0).holds);
        assert!(Claim::at_least("x", 1.0, 1.0).holds && !Claim::new("x", 1.0, Relation::Above, 1.0).holds);
        assert!(Claim::new("x", 0.5, Relation::Below, 1.0).holds);
        let cells = [Cell::from(1.5), Cell::from("a"), Cell::from(None::<f64>), Cell::from(f64::NAN)];
        assert_eq!(serde_json::to_string(&cells).unwrap(), r#"[1.5,"a",null,null]"#);
    }

    #[test]
    fn runs_have_a_mean_and_a_spread_where_they_differ() {
        assert_eq!(Cell::over_runs(&[]), Cell::Empty(()));
        assert_eq!(Cell::over_runs(&[2.5]), Cell::Number(2.5));
        assert_eq!(Cell::over_runs(&[1.0, 3.0]), Cell::Spread { mean: 2.0, sd: 2f64.sqrt() });
        assert_eq!(Cell::over_runs(&[0.1; 3]), Cell::Number([0.1; 3].iter().sum::<f64>() / 3.0));
    }

    #[test]
    fn a_report_holds_when_every_claim_does() {
        let mut report = Report::new("q");
        assert!(report.holds());
        report.claim(Claim::at_most("a", 0.0, 1.0));
        assert!(report.holds());
        report.claim(Claim::at_most("b", 2.0, 1.0));
        assert!(!report.holds());
    }
}
