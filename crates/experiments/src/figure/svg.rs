//! From charts to SVG.

use super::palette::style;
use super::scale::{Frame, extent};
use super::{Dash, Figure, Mark, Panel, Series};
use std::collections::HashSet;
use std::fmt::Write as _;

/// Sizes of one panel in pixels, margins and tick labels included.
#[derive(Debug, Clone, Copy)]
struct Size {
    width: f64,
    height: f64,
}

const ALONE: Size = Size { width: 640.0, height: 380.0 };
const BESIDE: Size = Size { width: 380.0, height: 300.0 };
const MANY: Size = Size { width: 320.0, height: 270.0 };
/// A panel with equal units is nearly square.
const SQUARE: Size = Size { width: 340.0, height: 350.0 };

/// One of many pictures without numbers.
const TINY: Size = Size { width: 170.0, height: 190.0 };

/// Between panels.
const GAP: f64 = 12.0;
/// Around the whole.
const PADDING: f64 = 14.0;
/// A line of text.
const LINE: f64 = 18.0;
/// More points than this in one cloud are not drawn: the file grows and nothing more is seen.
const MOST_DOTS: usize = 20_000;

fn size(panel: &Panel, count: usize) -> Size {
    match count {
        _ if panel.small => TINY,
        _ if panel.equal => SQUARE,
        1 => ALONE,
        2 => BESIDE,
        _ => MANY,
    }
}

/// The whole figure: title, legend, panels in rows.
pub(super) fn document(figure: &Figure) -> String {
    let count = figure.panels.len();
    let cell = figure.panels.iter().map(|p| size(p, count)).fold(Size { width: 0.0, height: 0.0 }, |a, b| {
        Size { width: a.width.max(b.width), height: a.height.max(b.height) }
    });
    let columns = figure.columns.min(count.max(1)) as f64;
    let rows = count.div_ceil(figure.columns) as f64;
    let width = 2.0 * PADDING + columns * cell.width + (columns - 1.0) * GAP;
    let (legend, legend_height) = legend_svg(figure, width - 2.0 * PADDING);
    let top = PADDING + LINE + legend_height + 6.0;
    let height = top + rows * cell.height + (rows - 1.0).max(0.0) * GAP + PADDING;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\">\
         <title>{}</title><desc>{}</desc><style>{}</style><rect class=\"ground\" width=\"100%\" height=\"100%\"/>",
        escape(&figure.title),
        escape(&figure.caption),
        style(""),
        w = width.ceil(),
        h = height.ceil(),
    );
    let _ = write!(
        out,
        "<text class=\"t\" x=\"{PADDING}\" y=\"{}\">{}</text>",
        PADDING + 12.0,
        escape(&figure.title)
    );
    let _ = write!(out, "<g transform=\"translate({PADDING} {})\">{legend}</g>", PADDING + LINE + 6.0);
    for (k, panel) in figure.panels.iter().enumerate() {
        let x = PADDING + (k % figure.columns) as f64 * (cell.width + GAP);
        let y = top + (k / figure.columns) as f64 * (cell.height + GAP);
        let _ = write!(out, "<g transform=\"translate({x} {y})\">");
        draw(panel, size(panel, count), &mut out);
        out.push_str("</g>");
    }
    out.push_str("</svg>\n");
    out
}

/// One panel for a page that has the style.
pub(super) fn fragment(panel: &Panel, count: usize) -> String {
    let Size { width, height } = size(panel, count);
    let mut out = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\" style=\"max-width:{}px\">",
        escape(&panel.title),
        width * 1.25
    );
    draw(panel, Size { width, height }, &mut out);
    out.push_str("</svg>");
    out
}

/// The paths of several clouds in the frame of one panel, which stands alone.
pub(super) fn frames<'a>(panel: &Panel, clouds: impl Iterator<Item = &'a [(f64, f64)]>) -> Vec<String> {
    let plot = layout(panel, size(panel, 1));
    clouds.map(|cloud| dots(cloud.iter().map(|&(x, y)| (plot.x.pixel(x), plot.y.pixel(y))))).collect()
}

/// The pixel frame of a panel's data.
struct Plot {
    x: Frame,
    y: Frame,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

fn draw(panel: &Panel, size: Size, out: &mut String) {
    let plot = layout(panel, size);
    let Plot { left, right, top, bottom, .. } = plot;
    if let Some((width, ink, color)) = panel.series.iter().find_map(|series| match &series.mark {
        Mark::Picture { width, ink } => Some((*width, ink, series.color)),
        _ => None,
    }) {
        picture(width, ink, color.name(), size, out);
        let _ = write!(out, "<text x=\"6\" y=\"13\">{}</text>", escape(&panel.title));
        return;
    }
    axes(panel, &plot, out);
    let clip = format!("c{:x}", fingerprint(panel));
    let _ = write!(
        out,
        "<clipPath id=\"{clip}\"><rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>\
         <g clip-path=\"url(#{clip})\">",
        right - left,
        bottom - top
    );
    for series in &panel.series {
        mark(series, &plot, out);
    }
    out.push_str("</g>");
    if !panel.title.is_empty() {
        let _ = write!(out, "<text x=\"{left:.1}\" y=\"13\">{}</text>", escape(&panel.title));
    }
}

fn layout(panel: &Panel, size: Size) -> Plot {
    let x_range = panel.x.range.unwrap_or_else(|| extent(panel.x.scale, xs(panel)));
    let y_range = panel.y.range.unwrap_or_else(|| {
        let (low, high) = extent(panel.y.scale, ys(panel));
        // Bars stand on zero.
        let bars = panel.series.iter().any(|s| matches!(s.mark, Mark::Bars { .. }));
        if bars { (0.0, high) } else { (low, high) }
    });
    let top = if panel.title.is_empty() { 6.0 } else { LINE + 4.0 };
    let below = match (panel.small, panel.x.label.is_empty()) {
        (true, _) => 4.0,
        (false, true) => 22.0,
        (false, false) => 40.0,
    };
    let bottom = size.height - below;
    // The width of the tick labels is not known before the ticks are, and those hang on the height alone.
    let y = Frame::new(panel.y.scale, y_range, (bottom, top));
    let ticks = if panel.y.bare { Vec::new() } else { y.ticks(46.0) };
    let widest = ticks.iter().map(|(_, label)| text_width(label)).fold(0.0, f64::max);
    let left = widest + 10.0 + if panel.y.label.is_empty() { 2.0 } else { LINE };
    let left = if panel.small { 3.0 } else { left };
    let right = if panel.small { size.width - 3.0 } else { size.width - 12.0 };
    let x = Frame::new(panel.x.scale, x_range, (left, right));
    let (x, y) = if panel.equal { equal(x, y, (left, right), (bottom, top)) } else { (x, y) };
    Plot { x, y, left, right, top, bottom }
}

/// Widens the interval of one axis until both have the same unit.
fn equal(x: Frame, y: Frame, across: (f64, f64), along: (f64, f64)) -> (Frame, Frame) {
    let unit = ((x.high - x.low) / (across.1 - across.0)).max((y.high - y.low) / (along.0 - along.1));
    let grown = |frame: Frame, pixels: f64| {
        let (middle, half) = (0.5 * (frame.low + frame.high), 0.5 * unit * pixels);
        (middle - half, middle + half)
    };
    let (wide, high) = (grown(x, across.1 - across.0), grown(y, along.0 - along.1));
    (Frame::new(super::Scale::Linear, wide, across), Frame::new(super::Scale::Linear, high, along))
}

fn axes(panel: &Panel, plot: &Plot, out: &mut String) {
    let Plot { left, right, top, bottom, .. } = *plot;
    if panel.small {
        let _ =
            write!(out, "<path class=\"g\" d=\"M{left:.1} {top:.1}H{right:.1}V{bottom:.1}H{left:.1}z\"/>");
        return;
    }
    let mut grid = String::new();
    let ticks = |axis: &super::Axis, frame: &Frame, spacing: f64| {
        if axis.bare { Vec::new() } else { frame.ticks(spacing) }
    };
    for (v, label) in ticks(&panel.x, &plot.x, 62.0) {
        let x = plot.x.pixel(v);
        let _ = write!(grid, "M{x:.1} {top:.1}V{bottom:.1}");
        let _ = write!(
            out,
            "<text class=\"m\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            bottom + 16.0
        );
    }
    for (v, label) in ticks(&panel.y, &plot.y, 46.0) {
        let y = plot.y.pixel(v);
        let _ = write!(grid, "M{left:.1} {y:.1}H{right:.1}");
        let _ = write!(
            out,
            "<text class=\"m\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            left - 6.0,
            y + 4.0
        );
    }
    let _ = write!(out, "<path class=\"g\" d=\"{grid}\"/>");
    let _ = write!(out, "<path class=\"g axis\" d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\"/>");
    if !panel.x.label.is_empty() {
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            0.5 * (left + right),
            bottom + 34.0,
            escape(&panel.x.label)
        );
    }
    if !panel.y.label.is_empty() {
        let middle = 0.5 * (top + bottom);
        let _ = write!(
            out,
            "<text transform=\"translate(11 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escape(&panel.y.label)
        );
    }
}

fn mark(series: &Series, plot: &Plot, out: &mut String) {
    let color = series.color.name();
    let place = |x: f64, y: f64| (plot.x.pixel(x), plot.y.pixel(y));
    match &series.mark {
        Mark::Line { xy, dash, width } => {
            let path = polyline(xy.iter().map(|&(x, y)| place(x, y)));
            let look = look(*dash, *width);
            let _ = write!(out, "<path class=\"l s-{color}\"{look} d=\"{path}\"/>");
        }
        Mark::Dots { xy, radius } => {
            let inside = |&(x, y): &(f64, f64)| {
                x >= plot.left - 5.0 && x <= plot.right + 5.0 && y >= plot.top - 5.0 && y <= plot.bottom + 5.0
            };
            let path = dots(xy.iter().map(|&(x, y)| place(x, y)).filter(inside));
            let opacity = if xy.len() > 300 { 0.6 } else { 0.85 };
            let _ = write!(
                out,
                "<path class=\"d s-{color}\" stroke-width=\"{:.1}\" opacity=\"{opacity}\" d=\"{path}\"/>",
                2.0 * radius
            );
        }
        Mark::Bars { edges, heights } => {
            // The area under a staircase, and the staircase itself, so that two histograms can lie over one another.
            let floor = plot.y.pixel(plot.y.low.max(0.0));
            let steps =
                edges.windows(2).zip(heights).flat_map(|(pair, &h)| [place(pair[0], h), place(pair[1], h)]);
            let stairs = polyline(steps);
            if let (Some(first), Some(last)) = (edges.first(), edges.last()) {
                let (a, b) = (plot.x.pixel(*first), plot.x.pixel(*last));
                let area = stairs.replacen('M', "L", 1);
                let _ = write!(
                    out,
                    "<path class=\"b f-{color}\" opacity=\"0.25\" d=\"M{a:.1} {floor:.1}{area}L{b:.1} {floor:.1}z\"/>\
                     <path class=\"l s-{color}\" style=\"stroke-width:1.5\" d=\"{stairs}\"/>"
                );
            }
        }
        Mark::Band { xyz } => {
            let finite = xyz.iter().filter(|(x, a, b)| x.is_finite() && a.is_finite() && b.is_finite());
            let low = finite.clone().map(|&(x, a, _)| place(x, a));
            let high = finite.rev().map(|&(x, _, b)| place(x, b));
            let path = polyline(low.chain(high));
            let _ = write!(out, "<path class=\"b f-{color}\" opacity=\"0.2\" d=\"{path}z\"/>");
        }
        Mark::Labels { at } => words(at, plot, out),
        // Drawn without a frame, before marks come to be placed in one.
        Mark::Picture { .. } => {}
        Mark::Level { y, dash } => {
            let y = plot.y.pixel(*y);
            if y.is_finite() {
                let (left, right) = (plot.left, plot.right);
                let path = format!("M{left:.1} {y:.1}H{right:.1}");
                let _ = write!(
                    out,
                    "<path class=\"l s-{color}\" style=\"stroke-width:1.5\"{} d=\"{path}\"/>",
                    pattern(*dash)
                );
            }
        }
    }
}

/// Words to the right of their points, or to the left where there is no room; what would cover an earlier word is left out.
fn words(at: &[(f64, f64, String)], plot: &Plot, out: &mut String) {
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    for (x, y, word) in at {
        let (x, y, width) = (plot.x.pixel(*x), plot.y.pixel(*y), 0.92 * text_width(word));
        if !(x.is_finite() && y.is_finite()) {
            continue;
        }
        let free = |left: f64| {
            let inside = left >= plot.left && left + width <= plot.right + 8.0;
            inside && taken.iter().all(|&(l, r, h)| left > r || left + width < l || (y - h).abs() > 11.0)
        };
        let Some(left) = [x + 6.0, x - 6.0 - width].into_iter().find(|left| free(*left)) else { continue };
        taken.push((left, left + width, y));
        let _ = write!(out, "<text class=\"w\" x=\"{left:.1}\" y=\"{:.1}\">{}</text>", y + 4.0, escape(word));
    }
}

/// Shades that are told apart.
const SHADES: usize = 16;

/// One path a shade, of the squares that have it; runs of one shade in a row are one rectangle.
fn picture(width: usize, ink: &[f64], color: &str, size: Size, out: &mut String) {
    let height = ink.len().div_ceil(width).max(1);
    let (left, top) = (6.0, LINE + 4.0);
    let side = ((size.width - 2.0 * left) / width as f64).min((size.height - top - 6.0) / height as f64);
    let shade = |v: f64| (v.clamp(0.0, 1.0) * SHADES as f64).round() as usize;
    let mut paths = vec![String::new(); SHADES + 1];
    for (y, row) in ink.chunks(width).enumerate() {
        let mut x = 0;
        while x < row.len() {
            let here = shade(row[x]);
            let run = row[x..].iter().take_while(|v| shade(**v) == here).count();
            if here > 0 {
                let _ = write!(paths[here], "M{x} {y}h{run}v1h-{run}z");
            }
            x += run;
        }
    }
    let _ = write!(
        out,
        "<g transform=\"translate({left:.1} {top:.1}) scale({side:.3})\" shape-rendering=\"crispEdges\">\
         <path class=\"b f-{color}\" fill-opacity=\".04\" d=\"M0 0h{width}v{height}H0z\"/>"
    );
    for (shade, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let opacity = shade as f64 / SHADES as f64;
        let _ = write!(out, "<path class=\"b f-{color}\" fill-opacity=\"{opacity}\" d=\"{path}\"/>");
    }
    out.push_str("</g>");
}

/// The attributes in which a line differs from a solid one of usual width. A wide line lets what it lies under be seen.
fn look(dash: Dash, width: f64) -> String {
    let wide = match width {
        w if w > 2.0 => format!(" style=\"stroke-width:{w};opacity:.6\""),
        w if w < 2.0 => format!(" style=\"stroke-width:{w}\""),
        _ => String::new(),
    };
    format!("{}{wide}", pattern(dash))
}

fn pattern(dash: Dash) -> &'static str {
    match dash {
        Dash::Solid => "",
        Dash::Dashed => " stroke-dasharray=\"8 5\"",
        Dash::Dotted => " stroke-dasharray=\"2 4\"",
    }
}

/// A path through pixels, to a tenth of one; points that fall on the last are dropped, gaps break the line.
fn polyline(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    let mut last = None;
    for (x, y) in points {
        if !(x.is_finite() && y.is_finite()) {
            last = None;
            continue;
        }
        // Far outside the clip the exact place does not matter, but numbers must stay short.
        let here = (tenths(x.clamp(-9e3, 9e3)), tenths(y.clamp(-9e3, 9e3)));
        if last == Some(here) {
            continue;
        }
        path.push(if last.is_none() { 'M' } else { 'L' });
        push_pair(&mut path, here);
        last = Some(here);
    }
    path
}

/// Dots as strokes of length zero with round caps: about ten bytes each. Dots on the same tenth of a pixel are one.
fn dots(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    let mut seen = HashSet::new();
    let mut last: Option<(i64, i64)> = None;
    for (x, y) in points.filter(|(x, y)| x.is_finite() && y.is_finite()).take(MOST_DOTS) {
        let here = (tenths(x), tenths(y));
        if !seen.insert(here) {
            continue;
        }
        match last {
            None => {
                path.push('M');
                push_pair(&mut path, here);
            }
            Some((a, b)) => {
                path.push('m');
                push_pair(&mut path, (here.0 - a, here.1 - b));
            }
        }
        path.push_str("h0");
        last = Some(here);
    }
    path
}

fn tenths(v: f64) -> i64 {
    (v * 10.0).round() as i64
}

/// Two numbers given in tenths, with no more characters than needed.
fn push_pair(path: &mut String, (x, y): (i64, i64)) {
    let start = path.len();
    push_tenths(path, x);
    let fraction = path[start..].contains('.');
    let before = path.len();
    push_tenths(path, y);
    let next = path.as_bytes()[before];
    // A sign, or a second decimal point, parts two numbers by itself.
    if next != b'-' && !(fraction && next == b'.') {
        path.insert(before, ' ');
    }
}

fn push_tenths(path: &mut String, v: i64) {
    let (whole, tenth) = (v.unsigned_abs() / 10, v.unsigned_abs() % 10);
    if v < 0 {
        path.push('-');
    }
    if whole > 0 || tenth == 0 {
        let _ = write!(path, "{whole}");
    }
    if tenth > 0 {
        let _ = write!(path, ".{tenth}");
    }
}

/// The lines of the legend: labels in the order in which they first come.
fn entries(figure: &Figure) -> Vec<&Series> {
    let mut seen = HashSet::new();
    let all = figure.panels.iter().flat_map(|panel| &panel.series);
    all.filter(|s| !s.label.is_empty() && seen.insert(s.label.as_str())).collect()
}

fn swatch(series: &Series) -> String {
    let color = series.color.name();
    match &series.mark {
        Mark::Line { dash, width, .. } => {
            format!("<path class=\"l s-{color}\"{} d=\"M0 0H24\"/>", look(*dash, *width))
        }
        Mark::Level { dash, .. } => format!("<path class=\"l s-{color}\"{} d=\"M0 0H24\"/>", pattern(*dash)),
        Mark::Dots { .. } => format!("<path class=\"d s-{color}\" stroke-width=\"7\" d=\"M12 0h0\"/>"),
        Mark::Bars { .. } => format!(
            "<path class=\"b f-{color}\" opacity=\"0.25\" d=\"M4 5V-5H20V5z\"/><path class=\"l s-{color}\" d=\"M4 5V-5H20V5\"/>"
        ),
        Mark::Labels { .. } => String::new(),
        Mark::Band { .. } => format!("<path class=\"b f-{color}\" opacity=\"0.2\" d=\"M0 5V-5H24V5z\"/>"),
        Mark::Picture { .. } => format!("<path class=\"b f-{color}\" d=\"M7 5V-5H17V5z\"/>"),
    }
}

fn legend_svg(figure: &Figure, width: f64) -> (String, f64) {
    let (mut out, mut x, mut y) = (String::new(), 0.0, 0.0);
    let entries = entries(figure);
    for series in &entries {
        let needed = 30.0 + text_width(&series.label) + 18.0;
        if x > 0.0 && x + needed > width {
            (x, y) = (0.0, y + LINE);
        }
        let _ = write!(
            out,
            "<g transform=\"translate({x:.1} {:.1})\">{}<text x=\"30\" y=\"4\">{}</text></g>",
            y + 8.0,
            swatch(series),
            escape(&series.label)
        );
        x += needed;
    }
    let height = if entries.is_empty() { 0.0 } else { y + LINE };
    (out, height)
}

pub(super) fn legend_html(figure: &Figure) -> String {
    let mut out = String::new();
    for series in entries(figure) {
        let _ = write!(
            out,
            "<span class=\"key\"><svg class=\"chart\" viewBox=\"0 -8 24 16\" width=\"24\" height=\"16\" aria-hidden=\"true\">{}</svg>{}</span>",
            swatch(series),
            escape(&series.label)
        );
    }
    out
}

fn xs(panel: &Panel) -> impl Iterator<Item = f64> {
    panel.series.iter().flat_map(|series| -> Vec<f64> {
        match &series.mark {
            Mark::Line { xy, .. } | Mark::Dots { xy, .. } => xy.iter().map(|p| p.0).collect(),
            Mark::Bars { edges, .. } => edges.clone(),
            Mark::Band { xyz } => xyz.iter().map(|p| p.0).collect(),
            Mark::Labels { .. } | Mark::Level { .. } | Mark::Picture { .. } => Vec::new(),
        }
    })
}

fn ys(panel: &Panel) -> impl Iterator<Item = f64> {
    panel.series.iter().flat_map(|series| -> Vec<f64> {
        match &series.mark {
            Mark::Line { xy, .. } | Mark::Dots { xy, .. } => xy.iter().map(|p| p.1).collect(),
            Mark::Bars { heights, .. } => heights.clone(),
            Mark::Band { xyz } => xyz.iter().flat_map(|p| [p.1, p.2]).collect(),
            Mark::Level { y, .. } => vec![*y],
            Mark::Labels { .. } | Mark::Picture { .. } => Vec::new(),
        }
    })
}

/// The width of a text in pixels, near enough to lay out margins: fonts differ.
fn text_width(text: &str) -> f64 {
    let unit = |c: char| match c {
        '.' | ',' | 'i' | 'l' | 'j' | '\'' | '|' => 3.6,
        'm' | 'w' | 'M' | 'W' => 10.0,
        c if c.is_uppercase() => 8.4,
        '⁰'..='⁹' | '⁻' | '¹' | '²' | '³' => 5.0,
        _ => 6.9,
    };
    text.chars().map(unit).sum()
}

/// A name for the clip path that no other panel of the page has.
fn fingerprint(panel: &Panel) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    format!("{panel:?}").hash(&mut hasher);
    hasher.finish()
}

pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Control characters have no place in XML.
            c if c.is_control() && !matches!(c, '\n' | '\t') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Axis, Color};
    use super::*;

    #[test]
    fn numbers_in_paths_are_short_and_parted() {
        let mut path = String::new();
        for pair in [(0, 0), (5, 5), (-12, 7), (10, -30), (123, 4), (100, 1)] {
            path.push('m');
            push_pair(&mut path, pair);
        }
        assert_eq!(path, "m0 0m.5.5m-1.2.7m1-3m12.3.4m10 .1");
    }

    #[test]
    fn a_cloud_is_light() {
        let xy: Vec<(f64, f64)> =
            (0..5000).map(|k| f64::from(k) * 0.618_034).map(|a| (a.cos() * a, a.sin() * a)).collect();
        let panel =
            Panel::new("cloud", Axis::new("x"), Axis::new("y")).equal().dots("points", Color::Blue, xy);
        let svg = Figure::new("f", "t", "c", vec![panel]).to_svg();
        assert!(svg.len() < 70_000, "{} bytes for 5,000 points", svg.len());
    }

    #[test]
    fn hostile_text_and_numbers_make_sound_xml() {
        let odd = vec![(f64::NAN, 1.0), (1.0, f64::INFINITY), (1e308, -1e308), (0.0, 0.0)];
        let panel = Panel::new("<b>&\"\u{1b}", Axis::log("x"), Axis::new("y"))
            .line("a<b", Color::Blue, Dash::Dashed, odd.clone())
            .dots("c", Color::Orange, odd.clone())
            .level("l", Color::Grey, Dash::Dotted, f64::NAN)
            .with("band", Color::Green, Mark::Band { xyz: vec![(f64::NAN, 0.0, 1.0)] });
        let svg = Figure::new("f", "t", "c", vec![panel]).to_svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.contains("&lt;b&gt;&amp;&quot;") && !svg.contains('\u{1b}'));
        let open = svg.matches("<g").count() - svg.matches("<g/>").count();
        assert_eq!(open, svg.matches("</g>").count());
    }
}
