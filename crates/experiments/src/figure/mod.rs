//! Charts as SVG that reads well on white and on dark ground, on paper and on a phone.
//!
//! A figure is a set of panels with one legend. It is written here and not by a plotting library because of three needs
//! together: colours that follow the reader's theme (style classes in place of fixed colours), clouds of many thousand
//! points in few bytes (one path, not one element a point), and panels that a page may lay out anew on a narrow screen.

mod animation;
mod palette;
mod scale;
pub(crate) mod svg;

pub use animation::Animation;
pub use palette::Color;
pub(crate) use palette::style;
pub use scale::Scale;
pub(crate) use scale::number;

/// The pattern of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dash {
    /// Unbroken.
    #[default]
    Solid,
    /// Long strokes.
    Dashed,
    /// Dots.
    Dotted,
}

/// One axis of a panel.
#[derive(Debug, Clone, Default)]
pub struct Axis {
    label: String,
    scale: Scale,
    range: Option<(f64, f64)>,
    /// Whether it has no numbers, as one along which names stand.
    bare: bool,
}

impl Axis {
    /// A linear axis that shows all of the data.
    pub fn new(label: impl Into<String>) -> Self {
        Axis { label: label.into(), ..Axis::default() }
    }

    /// A logarithmic axis that shows all positive data.
    pub fn log(label: impl Into<String>) -> Self {
        Axis { label: label.into(), scale: Scale::Log, ..Axis::default() }
    }

    /// The same axis without numbers: what stands along it has names.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// The same axis over a given interval; an empty or infinite one is ignored.
    pub fn over(mut self, low: f64, high: f64) -> Self {
        self.range =
            Some((low, high)).filter(|_| self.scale.shows(low) && self.scale.shows(high) && low < high);
        self
    }
}

/// What is drawn in a panel.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Mark {
    /// A line through points; a point that is not finite interrupts it.
    Line {
        /// The vertices.
        xy: Vec<(f64, f64)>,
        /// The pattern.
        dash: Dash,
        /// Its width in pixels.
        width: f64,
    },
    /// A cloud of points.
    Dots {
        /// The points.
        xy: Vec<(f64, f64)>,
        /// The radius in pixels.
        radius: f64,
    },
    /// Bars between edges, as of a histogram: one edge more than heights.
    Bars {
        /// The edges, ascending.
        edges: Vec<f64>,
        /// The heights.
        heights: Vec<f64>,
    },
    /// The area between two curves over the same abscissae: (x, low, high).
    Band {
        /// The abscissae with both ordinates.
        xyz: Vec<(f64, f64, f64)>,
    },
    /// Words beside points; one that would lie over an earlier one is left out.
    Labels {
        /// The points with their words.
        at: Vec<(f64, f64, String)>,
    },
    /// A picture in shades of the series' colour, which fills the panel and goes without axes.
    Picture {
        /// Pixels in a row.
        width: usize,
        /// How dark each pixel is, from 0 to 1, row after row from the top.
        ink: Vec<f64>,
    },
    /// A horizontal line across the panel.
    Level {
        /// Its ordinate.
        y: f64,
        /// The pattern.
        dash: Dash,
    },
}

/// A mark with its name in the legend and its colour.
#[derive(Debug, Clone)]
pub struct Series {
    label: String,
    color: Color,
    mark: Mark,
}

/// One chart.
#[derive(Debug, Clone, Default)]
pub struct Panel {
    title: String,
    x: Axis,
    y: Axis,
    equal: bool,
    small: bool,
    series: Vec<Series>,
}

impl Panel {
    /// An empty chart.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Panel { title: title.into(), x, y, equal: false, small: false, series: Vec::new() }
    }

    /// Gives both axes the same unit, as for clouds in the plane.
    pub fn equal(mut self) -> Self {
        self.equal = true;
        self
    }

    /// Makes a small picture of it, without numbers at the axes, as one of many.
    pub fn small(mut self) -> Self {
        self.small = true;
        self
    }

    /// Adds any mark. Marks of one label share a line of the legend; an empty label has none.
    pub fn with(mut self, label: impl Into<String>, color: Color, mark: Mark) -> Self {
        self.series.push(Series { label: label.into(), color, mark });
        self
    }

    /// A panel that is a picture; see [`Mark::Picture`].
    pub fn picture(title: impl Into<String>, width: usize, ink: Vec<f64>) -> Self {
        let panel = Panel::new(title, Axis::default(), Axis::default()).equal();
        panel.with("", Color::Ink, Mark::Picture { width: width.max(1), ink })
    }

    /// Adds a line.
    pub fn line(self, label: impl Into<String>, color: Color, dash: Dash, xy: Vec<(f64, f64)>) -> Self {
        self.with(label, color, Mark::Line { xy, dash, width: 2.0 })
    }

    /// Adds a wide line, for what a thinner one is to be compared with.
    pub fn wide_line(self, label: impl Into<String>, color: Color, xy: Vec<(f64, f64)>) -> Self {
        self.with(label, color, Mark::Line { xy, dash: Dash::Solid, width: 5.0 })
    }

    /// Adds a cloud of points, smaller the more there are.
    pub fn dots(self, label: impl Into<String>, color: Color, xy: Vec<(f64, f64)>) -> Self {
        let radius = (45.0 / (xy.len().max(1) as f64).sqrt()).clamp(0.8, 2.5);
        self.with(label, color, Mark::Dots { xy, radius })
    }

    /// Adds a histogram of values as a density: areas sum to the part of the values inside the interval.
    pub fn histogram(
        self,
        label: impl Into<String>,
        color: Color,
        values: &[f64],
        (low, high): (f64, f64),
        bins: usize,
    ) -> Self {
        let bins = bins.max(1);
        let width = (high - low) / bins as f64;
        let mut counts = vec![0.0; bins];
        for v in values.iter().filter(|v| (low..=high).contains(v)) {
            counts[(((v - low) / width) as usize).min(bins - 1)] += 1.0;
        }
        let heights = counts.iter().map(|c| c / (values.len().max(1) as f64 * width)).collect();
        let edges = (0..=bins).map(|k| low + width * k as f64).collect();
        self.with(label, color, Mark::Bars { edges, heights })
    }

    /// Adds words beside points, the most important first.
    pub fn labels(self, at: Vec<(f64, f64, String)>) -> Self {
        self.with("", Color::Ink, Mark::Labels { at })
    }

    /// Adds a horizontal reference.
    pub fn level(self, label: impl Into<String>, color: Color, dash: Dash, y: f64) -> Self {
        self.with(label, color, Mark::Level { y, dash })
    }
}

/// Charts under one title, with one legend and a caption.
#[derive(Debug, Clone)]
pub struct Figure {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) caption: String,
    columns: usize,
    panels: Vec<Panel>,
}

impl Figure {
    /// A figure whose files are called `name`.svg and `name`.csv. Panels stand in rows of at most three.
    pub fn new(
        name: impl Into<String>,
        title: impl Into<String>,
        caption: impl Into<String>,
        panels: Vec<Panel>,
    ) -> Self {
        let columns = match panels.len() {
            0..=3 => panels.len().max(1),
            4 => 2,
            _ => 3,
        };
        Figure { name: name.into(), title: title.into(), caption: caption.into(), columns, panels }
    }

    /// The same figure in rows of another length.
    pub fn in_rows_of(mut self, columns: usize) -> Self {
        self.columns = columns.max(1);
        self
    }

    /// Whether it is made of small pictures.
    pub(crate) fn is_small(&self) -> bool {
        !self.panels.is_empty() && self.panels.iter().all(|panel| panel.small)
    }

    /// The whole figure as a file of its own.
    pub fn to_svg(&self) -> String {
        svg::document(self)
    }

    /// The panels one by one for a page that has the style of [`style`] and lays them out itself, and the legend.
    pub(crate) fn to_fragments(&self) -> (Vec<String>, String) {
        (
            self.panels.iter().map(|panel| svg::fragment(panel, self.panels.len())).collect(),
            svg::legend_html(self),
        )
    }

    /// Every number drawn, one row a point: panel, series, x, y, and x2, y2 for bars and bands.
    pub fn to_csv(&self) -> Vec<[String; 6]> {
        let cell = |v: f64| format!("{v:?}");
        let mut rows = Vec::new();
        for panel in &self.panels {
            for series in &panel.series {
                let mut row = |x: f64, y: f64, x2: Option<f64>, y2: Option<f64>| {
                    let (x2, y2) = (x2.map(cell).unwrap_or_default(), y2.map(cell).unwrap_or_default());
                    rows.push([panel.title.clone(), series.label.clone(), cell(x), cell(y), x2, y2]);
                };
                match &series.mark {
                    Mark::Line { xy, .. } | Mark::Dots { xy, .. } => {
                        xy.iter().for_each(|&(x, y)| row(x, y, None, None));
                    }
                    Mark::Bars { edges, heights } => edges
                        .windows(2)
                        .zip(heights)
                        .for_each(|(pair, &y)| row(pair[0], y, Some(pair[1]), None)),
                    Mark::Band { xyz } => xyz.iter().for_each(|&(x, y, y2)| row(x, y, None, Some(y2))),
                    Mark::Labels { at } => {
                        for (x, y, word) in at {
                            rows.push([
                                panel.title.clone(),
                                word.clone(),
                                cell(*x),
                                cell(*y),
                                String::new(),
                                String::new(),
                            ]);
                        }
                    }
                    Mark::Level { y, .. } => row(f64::NAN, *y, None, None),
                    // Column, row, ink.
                    Mark::Picture { width, ink } => ink.iter().enumerate().for_each(|(k, &v)| {
                        row((k % width) as f64, (k / width) as f64, Some(v), None);
                    }),
                }
            }
        }
        rows
    }
}
