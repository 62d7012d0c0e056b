//! `report.html`: one page that needs nothing else, readable on a phone, on paper, on white and on dark ground.

use super::write::{csv_path, svg_path};
use super::{Cell, Circumstances, Report};
use crate::figure::{number, style};
use minijinja::{Environment, value::Serde};
use serde::Serialize;

const TEMPLATE: &str = include_str!("page.html");

/// What the template is given.
#[derive(Serialize)]
struct Page<'a> {
    about: &'a Circumstances,
    question: &'a str,
    notes: &'a [String],
    claims: Vec<PageClaim<'a>>,
    held: usize,
    figures: Vec<PageFigure<'a>>,
    tables: Vec<PageTable<'a>>,
    artifacts: Vec<(String, &'a str)>,
    style: String,
    config: String,
    wall: String,
}

#[derive(Serialize)]
struct PageFigure<'a> {
    title: &'a str,
    caption: &'a str,
    legend: String,
    panels: Vec<String>,
    svg: String,
    csv: String,
}

#[derive(Serialize)]
struct PageTable<'a> {
    title: &'a str,
    columns: &'a [String],
    rows: Vec<Vec<PageCell>>,
    csv: String,
}

/// A cell: what is shown, what it sorts by, whether it stands to the right.
#[derive(Serialize)]
struct PageCell {
    text: String,
    key: String,
    numeric: bool,
}

#[derive(Serialize)]
struct PageClaim<'a> {
    name: &'a str,
    value: String,
    bound: String,
    holds: bool,
}

/// The page.
pub(super) fn page(report: &Report, about: &Circumstances) -> String {
    let figures: Vec<PageFigure<'_>> = report
        .figures
        .iter()
        .map(|figure| {
            let (panels, legend) = figure.to_fragments();
            let (svg, csv) = (link(&svg_path(&figure.name)), link(&csv_path(&figure.name)));
            PageFigure { title: &figure.title, caption: &figure.caption, legend, panels, svg, csv }
        })
        .collect();
    let tables: Vec<PageTable<'_>> = report
        .tables
        .iter()
        .map(|table| PageTable {
            title: &table.title,
            columns: &table.columns,
            rows: table.rows.iter().map(|row| row.iter().map(cell).collect()).collect(),
            csv: link(&csv_path(&table.name)),
        })
        .collect();
    let claims: Vec<PageClaim<'_>> = report
        .claims
        .iter()
        .map(|claim| PageClaim {
            name: &claim.name,
            value: claim.value.map_or_else(|| "none".into(), |v| number(v, 3)),
            bound: format!("{} {}", claim.relation.sign(), number(claim.bound, 3)),
            holds: claim.holds,
        })
        .collect();
    let page = Page {
        about,
        question: &report.question,
        notes: &report.notes,
        claims,
        held: report.claims.iter().filter(|claim| claim.holds).count(),
        figures,
        tables,
        artifacts: report.artifacts.iter().map(|a| (link(&a.path), a.about.as_str())).collect(),
        style: style(".chart "),
        config: serde_json::to_string_pretty(&about.config).unwrap_or_default(),
        wall: duration(about.wall_seconds),
    };
    let mut environment = Environment::new();
    environment.add_template("page.html", TEMPLATE).expect("the template is sound");
    let html = environment.get_template("page.html").and_then(|template| template.render(Serde(&page)));
    html.expect("the template knows what it is given")
}

fn cell(cell: &Cell) -> PageCell {
    match cell {
        Cell::Number(v) => PageCell { text: number(*v, 4), key: format!("{v:?}"), numeric: true },
        Cell::Text(text) => PageCell { text: text.clone(), key: text.clone(), numeric: false },
        Cell::Empty(()) => PageCell { text: "–".into(), key: String::new(), numeric: true },
    }
}

/// A path inside the report's folder as a link: separators of the web, special characters encoded.
fn link(path: &std::path::Path) -> String {
    use std::fmt::Write as _;
    let parts: Vec<String> = path
        .components()
        .map(|part| {
            let mut out = String::new();
            for byte in part.as_os_str().to_string_lossy().bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                    out.push(char::from(byte));
                } else {
                    let _ = write!(out, "%{byte:02X}");
                }
            }
            out
        })
        .collect();
    parts.join("/")
}

/// Seconds as people read them.
fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours} h {minutes} min") } else { format!("{minutes} min {rest} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_times() {
        assert_eq!(link(std::path::Path::new("a b/c%.npy")), "a%20b/c%25.npy");
        assert_eq!([3.21, 61.0, 7325.0].map(duration), ["3.2 s", "1 min 1 s", "2 h 2 min"]);
    }
}
