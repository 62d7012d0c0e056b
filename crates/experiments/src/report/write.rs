//! The files of a report.

use super::{Artifact, Cell, Circumstances, Claim, Report, Table, html};
use crate::figure::{Animation, Figure};
use crate::files::{WriteError, write_atomic};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// `report.json`, in the order of its keys.
#[derive(Serialize)]
struct Document<'a> {
    experiment: &'a str,
    paper: &'a str,
    question: &'a str,
    holds: bool,
    claims: &'a [Claim],
    notes: &'a [String],
    tables: &'a [Table],
    figures: Vec<FigureEntry<'a>>,
    animations: Vec<AnimationEntry<'a>>,
    artifacts: &'a [Artifact],
    command: &'a str,
    config: &'a serde_json::Value,
    seed: u64,
    device: &'a str,
    threads: usize,
    wall_seconds: f64,
    versions: &'a super::Versions,
    machine: &'a super::Machine,
}

#[derive(Serialize)]
struct FigureEntry<'a> {
    name: &'a str,
    title: &'a str,
    caption: &'a str,
    svg: PathBuf,
    csv: PathBuf,
}

#[derive(Serialize)]
struct AnimationEntry<'a> {
    name: &'a str,
    title: &'a str,
    caption: &'a str,
    frames: usize,
    csv: PathBuf,
}

/// Writes `report.json`, `report.html`, `figures/*.svg` and `series/*.csv` into `dir`, each file whole or not at all;
/// `report.json` comes last, so that where it is, all is. Returns the path of `report.html`.
///
/// # Errors
/// The folder cannot be written, or the disk is full.
pub fn write(dir: &Path, report: &Report, about: &Circumstances) -> Result<PathBuf, WriteError> {
    let make = |name: &str| {
        let folder = dir.join(name);
        std::fs::create_dir_all(&folder).map_err(WriteError::at(&folder))
    };
    if !report.figures.is_empty() {
        make("figures")?;
    }
    if !(report.figures.is_empty() && report.tables.is_empty() && report.animations.is_empty()) {
        make("series")?;
    }
    for figure in &report.figures {
        let svg = figure.to_svg();
        write_atomic(&dir.join(svg_path(&figure.name)), |out| out.write_all(svg.as_bytes()))?;
        let csv = figure_csv(figure);
        write_atomic(&dir.join(csv_path(&figure.name)), |out| out.write_all(&csv))?;
    }
    for animation in &report.animations {
        let csv = animation_csv(animation);
        write_atomic(&dir.join(csv_path(&animation.name)), |out| out.write_all(&csv))?;
    }
    for table in &report.tables {
        let csv = table_csv(table);
        write_atomic(&dir.join(csv_path(&table.name)), |out| out.write_all(&csv))?;
    }
    let json = to_json(report, about);
    let page = html::page(report, about, &json);
    let page_path = dir.join("report.html");
    write_atomic(&page_path, |out| out.write_all(page.as_bytes()))?;
    write_atomic(&dir.join("report.json"), |out| out.write_all(json.as_bytes()))?;
    Ok(page_path)
}

fn to_json(report: &Report, about: &Circumstances) -> String {
    let document = Document {
        experiment: &about.experiment,
        paper: &about.paper,
        question: &report.question,
        holds: report.holds(),
        claims: &report.claims,
        notes: &report.notes,
        tables: &report.tables,
        figures: report
            .figures
            .iter()
            .map(|f| FigureEntry {
                name: &f.name,
                title: &f.title,
                caption: &f.caption,
                svg: svg_path(&f.name),
                csv: csv_path(&f.name),
            })
            .collect(),
        animations: report
            .animations
            .iter()
            .map(|a| AnimationEntry {
                name: &a.name,
                title: &a.title,
                caption: &a.caption,
                frames: a.labels().len(),
                csv: csv_path(&a.name),
            })
            .collect(),
        artifacts: &report.artifacts,
        command: &about.command,
        config: &about.config,
        seed: about.seed,
        device: &about.device,
        threads: about.threads,
        wall_seconds: about.wall_seconds,
        versions: &about.versions,
        machine: &about.machine,
    };
    let mut text = serde_json::to_string_pretty(&document).expect("a report is JSON");
    text.push('\n');
    text
}

pub(super) fn svg_path(name: &str) -> PathBuf {
    Path::new("figures").join(format!("{name}.svg"))
}

pub(super) fn csv_path(name: &str) -> PathBuf {
    Path::new("series").join(format!("{name}.csv"))
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Number(v) if v.is_finite() => format!("{v:?}"),
        Cell::Spread { mean, sd } => format!("{mean:?} ± {sd:?}"),
        Cell::Text(text) => text.clone(),
        Cell::Number(_) | Cell::Empty(()) => String::new(),
    }
}

/// Every number drawn.
pub(super) fn figure_csv(figure: &Figure) -> Vec<u8> {
    let head = ["panel", "series", "x", "y", "x2", "y2"].map(String::from);
    rows(std::iter::once(head).chain(figure.to_csv()))
}

/// Every point of every frame.
pub(super) fn animation_csv(animation: &Animation) -> Vec<u8> {
    let head = ["frame", "x", "y"].map(String::from);
    rows(std::iter::once(head).chain(animation.to_csv()))
}

/// The table as it is, with all digits.
pub(super) fn table_csv(table: &Table) -> Vec<u8> {
    let body = table.rows.iter().map(|row| row.iter().map(cell_text).collect());
    rows(std::iter::once(table.columns.clone()).chain(body))
}

fn rows<R, S>(rows: impl Iterator<Item = R>) -> Vec<u8>
where
    R: IntoIterator<Item = S>,
    S: AsRef<[u8]>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("rows of one length go into memory");
    }
    writer.into_inner().expect("memory takes what is written")
}
