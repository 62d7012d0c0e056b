//! Colours that stay apart for the colour-blind, one set on white and one on dark ground.
//!
//! The hues follow M. Okabe and K. Ito, "Color Universal Design" (2008), darkened on white and lightened on dark until
//! lines of one pixel and a half keep a contrast of at least 3 to 1.

use std::fmt::Write as _;

/// The colour of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Color {
    /// Data and truth.
    Blue,
    /// What was learned.
    Orange,
    /// A third series.
    Green,
    /// A fourth.
    Pink,
    /// A fifth.
    Sky,
    /// A sixth.
    Brown,
    /// Floors, bounds and other references.
    Grey,
    /// The colour of text.
    Ink,
}

impl Color {
    /// The colours of series, in the order in which to use them.
    pub const SERIES: [Color; 6] =
        [Color::Blue, Color::Orange, Color::Green, Color::Pink, Color::Sky, Color::Brown];

    /// The colour of the k-th series; they repeat after six.
    pub fn of_series(k: usize) -> Self {
        Color::SERIES[k % Color::SERIES.len()]
    }

    /// The name in style sheets.
    pub(super) fn name(self) -> &'static str {
        match self {
            Color::Blue => "blue",
            Color::Orange => "orange",
            Color::Green => "green",
            Color::Pink => "pink",
            Color::Sky => "sky",
            Color::Brown => "brown",
            Color::Grey => "grey",
            Color::Ink => "ink",
        }
    }

    /// The colour on white and on dark ground.
    fn values(self) -> (&'static str, &'static str) {
        match self {
            Color::Blue => ("#0069b4", "#58aef0"),
            Color::Orange => ("#d95f02", "#ff9a3c"),
            Color::Green => ("#00855f", "#35c99b"),
            Color::Pink => ("#b03a85", "#ee8cc4"),
            Color::Sky => ("#2f93c9", "#a5dcff"),
            Color::Brown => ("#8a6400", "#d8b45a"),
            Color::Grey => ("#6b7280", "#9aa4b0"),
            Color::Ink => ("#1c2128", "#e4e8ec"),
        }
    }
}

const ALL: [Color; 8] = [
    Color::Blue,
    Color::Orange,
    Color::Green,
    Color::Pink,
    Color::Sky,
    Color::Brown,
    Color::Grey,
    Color::Ink,
];

const GROUND: (&str, &str) = ("#ffffff", "#15191e");
const GRID: (&str, &str) = ("#e5e8eb", "#2b323a");

/// The rules that drawings need, wherever they stand. `prefix` scopes them.
///
/// Colours are written out in every rule and not kept in variables: several programs that show SVG know no variables.
pub(crate) fn style(prefix: &str) -> String {
    let mut css = format!(
        "{prefix}text{{font-family:system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif;font-size:12px}}\
         {prefix}.t{{font-size:13px;font-weight:600}}{prefix}.w{{font-size:11px}}{prefix}.l{{fill:none;stroke-width:2;stroke-linejoin:round}}\
         {prefix}.d{{fill:none;stroke-linecap:round}}{prefix}.g{{fill:none;stroke-width:1}}\
         {prefix}.b{{stroke:none}}"
    );
    css.push_str(&colours(prefix, false));
    let _ = write!(css, "@media (prefers-color-scheme:dark){{{}}}", colours(prefix, true));
    css
}

fn colours(prefix: &str, dark: bool) -> String {
    let pick = |pair: (&'static str, &'static str)| if dark { pair.1 } else { pair.0 };
    let mut css = format!(
        "{prefix}.ground{{fill:{}}}{prefix}.g{{stroke:{}}}{prefix}.axis{{stroke:{}}}{prefix}text{{fill:{}}}{prefix}.m{{fill:{}}}",
        pick(GROUND),
        pick(GRID),
        pick(Color::Grey.values()),
        pick(Color::Ink.values()),
        pick(Color::Grey.values()),
    );
    for color in ALL {
        let (name, value) = (color.name(), pick(color.values()));
        let _ = write!(css, "{prefix}.s-{name}{{stroke:{value}}}{prefix}.f-{name}{{fill:{value}}}");
    }
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, WCAG 2.2.
    fn luminance(hex: &str) -> f64 {
        let channel = |k: usize| {
            let v = f64::from(u8::from_str_radix(&hex[1 + 2 * k..3 + 2 * k], 16).unwrap()) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_colour_is_seen_on_both_grounds() {
        for color in ALL {
            let (light, dark) = color.values();
            assert!(contrast(light, GROUND.0) >= 3.0, "{color:?} on white: {}", contrast(light, GROUND.0));
            assert!(contrast(dark, GROUND.1) >= 3.0, "{color:?} on dark: {}", contrast(dark, GROUND.1));
        }
        let text = [contrast(Color::Ink.values().0, GROUND.0), contrast(Color::Ink.values().1, GROUND.1)];
        assert!(text.into_iter().all(|c| c >= 7.0), "text: {text:?}");
    }
}
