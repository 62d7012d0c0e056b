//! `report.html`: one page that needs nothing else, readable on a phone, on paper, on white and on dark ground.

use super::write::{animation_csv, figure_csv, svg_path, table_csv};
use super::{Cell, Circumstances, Report};
use crate::figure::{Animation, number, style};
use minijinja::{Environment, value::Serde};
use serde::Serialize;

const TEMPLATE: &str = include_str!("page.html");
/// What every page has around it.
const BASE: &str = include_str!("base.html");
/// Pieces that pages share.
const PARTS: &str = include_str!("parts.html");
/// The look of every page.
const LOOK: &str = include_str!("page.css");
/// Tables that sort by a click on a head.
const SORTING: &str = include_str!("sorting.js");
/// Animations with slider and button.
const PLAYER: &str = include_str!("player.js");

/// Fills a page whose template extends the base.
pub(super) fn render(template: &str, page: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Whole<'a, P> {
        #[serde(flatten)]
        page: &'a P,
        look: &'static str,
        style: String,
        script: String,
    }
    let whole = Whole { page, look: LOOK, style: style(".chart "), script: format!("{SORTING}{PLAYER}") };
    let mut environment = Environment::new();
    for (name, source) in [("base.html", BASE), ("parts.html", PARTS), ("page.html", template)] {
        environment.add_template(name, source).expect("the template is sound");
    }
    let html = environment.get_template("page.html").and_then(|template| template.render(Serde(&whole)));
    html.expect("the template knows what it is given")
}

/// What the template is given.
#[derive(Serialize)]
struct Page<'a> {
    about: &'a Circumstances,
    question: &'a str,
    notes: &'a [String],
    claims: Vec<PageClaim<'a>>,
    held: usize,
    figures: Vec<PageFigure<'a>>,
    animations: Vec<PageAnimation<'a>>,
    /// What is to be read first.
    leading: Vec<PageTable<'a>>,
    tables: Vec<PageTable<'a>>,
    artifacts: Vec<(String, &'a str)>,
    config: String,
    wall: String,
    json: String,
}

#[derive(Serialize)]
struct PageFigure<'a> {
    title: &'a str,
    caption: &'a str,
    legend: String,
    panels: Vec<String>,
    small: bool,
    svg: String,
    file: String,
    csv: String,
}

#[derive(Serialize)]
struct PageAnimation<'a> {
    title: &'a str,
    caption: &'a str,
    panel: String,
    /// Labels and paths of the frames, as JSON that may stand in a script element.
    frames: String,
    last: usize,
    last_label: String,
    file: String,
    csv: String,
}

#[derive(Serialize)]
struct PageTable<'a> {
    title: &'a str,
    file: String,
    columns: &'a [String],
    rows: Vec<Vec<PageCell>>,
    csv: String,
}

/// A cell: what is shown, what it sorts by, and its class, `n` for a number, which stands to the right.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PageCell {
    pub(super) text: String,
    pub(super) key: String,
    pub(super) class: &'static str,
}

impl PageCell {
    /// A word.
    pub(super) fn word(text: impl Into<String>) -> Self {
        let text = text.into();
        PageCell { key: text.clone(), text, class: "" }
    }

    /// A number.
    pub(super) fn number(v: f64) -> Self {
        PageCell { text: number(v, 4), key: format!("{v:?}"), class: "n" }
    }

    /// A mean with its standard deviation.
    pub(super) fn spread(mean: f64, sd: f64) -> Self {
        PageCell { text: spread(mean, sd), key: format!("{mean:?}"), class: "n" }
    }

    /// Nothing.
    pub(super) fn missing() -> Self {
        PageCell { text: "–".into(), key: String::new(), class: "n" }
    }
}

#[derive(Serialize)]
struct PageClaim<'a> {
    name: &'a str,
    value: String,
    bound: String,
    holds: bool,
}

/// The page.
pub(super) fn page(report: &Report, about: &Circumstances, json: &str) -> String {
    let figures: Vec<PageFigure<'_>> = report
        .figures
        .iter()
        .map(|figure| {
            let (panels, legend) = figure.to_fragments();
            PageFigure {
                title: &figure.title,
                caption: &figure.caption,
                legend,
                panels,
                small: figure.is_small(),
                svg: link(&svg_path(&figure.name)),
                file: format!("{}.csv", figure.name),
                csv: data_uri("text/csv", &figure_csv(figure)),
            }
        })
        .collect();
    let tables = |leading: bool| -> Vec<PageTable<'_>> {
        let chosen = report.tables.iter().filter(|table| table.leading == leading);
        chosen
            .map(|table| PageTable {
                title: &table.title,
                file: format!("{}.csv", table.name),
                columns: &table.columns,
                rows: table.rows.iter().map(|row| row.iter().map(cell).collect()).collect(),
                csv: data_uri("text/csv", &table_csv(table)),
            })
            .collect()
    };
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
        animations: report.animations.iter().map(animation).collect(),
        leading: tables(true),
        tables: tables(false),
        artifacts: report.artifacts.iter().map(|a| (link(&a.path), a.about.as_str())).collect(),
        config: serde_json::to_string_pretty(&about.config).unwrap_or_default(),
        wall: duration(about.wall_seconds),
        json: data_uri("application/json", json.as_bytes()),
    };
    render(TEMPLATE, &page)
}

fn cell(cell: &Cell) -> PageCell {
    match cell {
        Cell::Number(v) => PageCell::number(*v),
        Cell::Spread { mean, sd } => PageCell::spread(*mean, *sd),
        Cell::Text(text) => PageCell::word(text.clone()),
        Cell::Empty(()) => PageCell::missing(),
    }
}

/// A mean with as many digits as its standard deviation warrants.
fn spread(mean: f64, sd: f64) -> String {
    format!("{} ± {}", number(mean, 3), number(sd, 2))
}

fn animation(animation: &Animation) -> PageAnimation<'_> {
    let (panel, paths) = animation.to_fragment();
    let labels = animation.labels();
    let frames = serde_json::json!({ "labels": labels, "paths": paths });
    PageAnimation {
        title: &animation.title,
        caption: &animation.caption,
        panel,
        // Nothing in it may end the script element.
        frames: frames.to_string().replace('<', "\\u003c"),
        last: labels.len().saturating_sub(1),
        last_label: labels.last().copied().unwrap_or_default().to_owned(),
        file: format!("{}.csv", animation.name),
        csv: data_uri("text/csv", &animation_csv(animation)),
    }
}

/// The bytes themselves as a link, so that the page can be moved alone (RFC 2397, base 64 of RFC 4648).
pub(super) fn data_uri(mime: &str, bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = format!("data:{mime};charset=utf-8;base64,");
    for three in bytes.chunks(3) {
        let byte = |k: usize| u32::from(three.get(k).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for k in 0..4 {
            let digit = char::from(DIGITS[(word >> (18 - 6 * k) & 63) as usize]);
            out.push(if k <= three.len() { digit } else { '=' });
        }
    }
    out
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
    fn bytes_become_links() {
        // RFC 4648, section 10.
        let base =
            |text: &str| data_uri("a/b", text.as_bytes()).split_off("data:a/b;charset=utf-8;base64,".len());
        let found = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(base);
        assert_eq!(found, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }

    #[test]
    fn links_and_times() {
        assert_eq!(link(std::path::Path::new("a b/c%.npy")), "a%20b/c%25.npy");
        assert_eq!([3.21, 61.0, 7325.0].map(duration), ["3.2 s", "1 min 1 s", "2 h 2 min"]);
    }
}
