//! Columns of a file that are not data but what comes with them: a label, or a vector.

use crate::data::Table;
use crate::failure::{Failure, Result};
use measures::Points;
use models::{Data, Labelled, Source};

/// What comes with every row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// Nothing.
    Nothing,
    /// One of the labels 0, 1, …
    Labels(Vec<usize>),
    /// A vector.
    Vectors(Points),
}

impl Given {
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        match self {
            Given::Nothing => Given::Nothing,
            Given::Labels(labels) => Given::Labels(rows.iter().map(|&i| labels[i]).collect()),
            Given::Vectors(vectors) => Given::Vectors(vectors.select(rows)),
        }
    }

    /// As a model takes them, one a row.
    pub(super) fn points(&self) -> Option<Points> {
        match self {
            Given::Nothing => None,
            Given::Labels(labels) => Some(Points::from_line(labels.iter().map(|&l| l as f64).collect())),
            Given::Vectors(vectors) => Some(vectors.clone()),
        }
    }

    /// These points with what comes with them, as a source.
    pub(super) fn source(&self, points: Points) -> Result<Box<dyn Source>> {
        Ok(match self {
            Given::Nothing => Box::new(Data::new(points)?),
            Given::Labels(labels) => Box::new(Labelled::with_labels(points, labels)?),
            Given::Vectors(vectors) => Box::new(Labelled::with_vectors(points, vectors.clone())?),
        })
    }
}

/// Takes the columns of conditions out of a table.
pub(super) fn part(table: Table, label: Option<&str>, conditions: &[String]) -> Result<(Table, Given)> {
    let asked: Vec<(&'static str, &str)> = match (label, conditions) {
        (None, []) => return Ok((table, Given::Nothing)),
        (Some(label), []) => vec![("label", label)],
        (None, conditions) => conditions.iter().map(|name| ("conditions", name.as_str())).collect(),
        (Some(_), _) => {
            let why = "label and conditions: a model takes one or the other";
            return Err(Failure::Usage(why.into()));
        }
    };
    let mut taken = Vec::new();
    for (key, name) in asked {
        let by_name = table.columns.iter().position(|column| column == name);
        let by_number = || name.parse().ok().filter(|&k: &usize| k < table.columns.len());
        let Some(column) = by_name.or_else(by_number) else {
            let name = crate::data::printable(name);
            let hint = crate::spec::hint(&name, table.columns.iter().map(String::as_str));
            let last = table.columns.len() - 1;
            return Err(Failure::Usage(format!(
                "{key}: the data have no column '{name}'{hint}; there are 0 to {last}"
            )));
        };
        if !taken.contains(&column) {
            taken.push(column);
        }
    }
    let kept: Vec<usize> = (0..table.columns.len()).filter(|column| !taken.contains(column)).collect();
    if kept.is_empty() {
        return Err(Failure::Usage("label or conditions: no column of data is left".into()));
    }
    let pick = |columns: &[usize]| {
        Points::from_fn(table.points.len(), columns.len(), |i, out| {
            out.iter_mut().zip(columns).for_each(|(v, &column)| *v = table.points.row(i)[column]);
        })
    };
    let given = if label.is_some() {
        let column = pick(&taken);
        let whole = |v: f64| v >= 0.0 && v.fract() == 0.0 && v < models::MOST_LABELS as f64;
        if let Some(row) = column.rows().position(|row| !whole(row[0])) {
            let (name, value) = (&table.columns[taken[0]], column.row(row)[0]);
            let why = format!(
                "label: column {name} holds {value} in row {row}; labels are whole numbers counted from 0"
            );
            return Err(Failure::Usage(why));
        }
        Given::Labels(column.rows().map(|row| row[0] as usize).collect())
    } else {
        Given::Vectors(pick(&taken))
    };
    let points = pick(&kept);
    let columns = kept.iter().map(|&column| table.columns[column].clone()).collect();
    Ok((Table { points, columns }, given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Options, from_memory};

    fn table() -> Table {
        from_memory(b"x,kind,y\n1,0,2\n3,1,4\n5,1,6.5\n", &Options::default()).unwrap()
    }

    #[test]
    fn columns_are_taken_by_name_or_number() {
        let (data, given) = part(table(), Some("kind"), &[]).unwrap();
        assert_eq!(
            (data.columns.as_slice(), data.points.row(2)),
            (&["x".to_owned(), "y".into()][..], &[5.0, 6.5][..])
        );
        assert_eq!(given, Given::Labels(vec![0, 1, 1]));
        assert_eq!(part(table(), Some("1"), &[]).unwrap(), (data, given.clone()));
        assert_eq!(given.select(&[2, 0]), Given::Labels(vec![1, 0]));
        let (data, given) = part(table(), None, &["y".into(), "x".into()]).unwrap();
        assert_eq!((data.columns.len(), given.points().unwrap().row(1)), (1, &[4.0, 3.0][..]));
        assert_eq!(part(table(), None, &[]).unwrap().1, Given::Nothing);
    }

    #[test]
    fn slips_are_told() {
        let refuse = |label: Option<&str>, conditions: &[&str]| {
            let conditions: Vec<String> = conditions.iter().map(|&c| c.into()).collect();
            part(table(), label, &conditions).unwrap_err().to_string()
        };
        assert_eq!(
            refuse(Some("kid"), &[]),
            "label: the data have no column 'kid' (near: kind); there are 0 to 2"
        );
        assert!(refuse(Some("y"), &[]).starts_with("label: column y holds 6.5 in row 2"));
        assert!(refuse(Some("x"), &["y"]).contains("one or the other"));
        assert!(refuse(None, &["x", "y", "kind"]).contains("no column of data is left"));
    }
}
