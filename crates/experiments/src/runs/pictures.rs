//! Pictures that several experiments draw.

use crate::figure::{Axis, Color, Dash, Figure, Panel};
use measures::Points;

/// Points drawn of each cloud.
const MOST: usize = 4000;
/// Coordinates shown of clouds in more than two dimensions.
const COORDINATES: usize = 4;

/// Clouds beside one another and over one another: histograms on the line, scatter plots in the plane, all pairs of the
/// first coordinates in more dimensions. The first cloud is the reference.
pub(super) fn clouds(name: &str, title: &str, columns: &[String], clouds: &[(&str, &Points)]) -> Figure {
    let dim = clouds.first().map_or(1, |(_, points)| points.dim());
    let shown = clouds.iter().map(|(_, points)| points.len()).max().unwrap_or(0).min(MOST);
    match dim {
        1 => {
            let values: Vec<Vec<f64>> = clouds.iter().map(|(_, points)| points.column(0)).collect();
            Figure::new(name, title, "Densities by histogram.", vec![histogram(&columns[0], clouds, &values)])
        }
        2 => {
            let ranges = [0, 1].map(|k| range(clouds, k));
            let panel = |title: &str| {
                let axis = |k: usize| Axis::new(&columns[k]).over(ranges[k].0, ranges[k].1);
                Panel::new(title, axis(0), axis(1)).equal()
            };
            let mut panels: Vec<Panel> = Vec::new();
            for (k, (label, points)) in clouds.iter().enumerate() {
                panels.push(panel(label).dots(*label, Color::of_series(k), pairs(points, 0, 1)));
            }
            let both = clouds.iter().enumerate().fold(panel("together"), |panel, (k, (label, points))| {
                panel.dots(*label, Color::of_series(k), pairs(points, 0, 1))
            });
            panels.push(both);
            let caption = format!("At most {shown} points of each.");
            Figure::new(name, title, caption, panels)
        }
        _ => {
            let count = dim.min(COORDINATES);
            let mut panels = Vec::new();
            for row in 0..count {
                for column in 0..count {
                    panels.push(if row == column {
                        let values: Vec<Vec<f64>> =
                            clouds.iter().map(|(_, points)| points.column(row)).collect();
                        histogram(&columns[row], clouds, &values)
                    } else {
                        let axis = |k: usize| {
                            let (low, high) = range(clouds, k);
                            Axis::new(&columns[k]).over(low, high)
                        };
                        let panel = Panel::new("", axis(column), axis(row));
                        clouds.iter().enumerate().fold(panel, |panel, (k, (label, points))| {
                            panel.dots(*label, Color::of_series(k), pairs(points, column, row))
                        })
                    });
                }
            }
            let caption =
                format!("The first {count} of {dim} coordinates, each against each; at most {shown} points.");
            Figure::new(name, title, caption, panels).in_rows_of(count)
        }
    }
}

fn histogram(column: &str, clouds: &[(&str, &Points)], values: &[Vec<f64>]) -> Panel {
    let limits = spread(values.iter().flatten().copied().collect());
    let fewest = values.iter().map(Vec::len).min().unwrap_or(1);
    // About the cube root of the rows, twice over.
    let bins = (2.0 * (fewest as f64).cbrt()).clamp(8.0, 80.0) as usize;
    let panel = Panel::new("", Axis::new(column), Axis::new("density"));
    clouds.iter().zip(values).enumerate().fold(panel, |panel, (k, ((label, _), values))| {
        panel.histogram(*label, Color::of_series(k), values, limits, bins)
    })
}

/// The interval of a coordinate over all clouds.
fn range(clouds: &[(&str, &Points)], k: usize) -> (f64, f64) {
    spread(clouds.iter().flat_map(|(_, points)| points.column(k)).collect())
}

/// The interval that holds the data, without the outermost thousandths where those reach far out.
fn spread(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let (Some(&first), Some(&last)) = (values.first(), values.last()) else { return (0.0, 1.0) };
    let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
    let (low, high) = (at(0.001), at(0.999));
    let width = high - low;
    let (low, high) = ((low - 0.1 * width).max(first), (high + 0.1 * width).min(last));
    let room = if high > low { 0.03 * (high - low) } else { 0.5 };
    (low - room, high + room)
}

fn pairs(points: &Points, x: usize, y: usize) -> Vec<(f64, f64)> {
    points.rows().take(MOST).map(|row| (row[x], row[y])).collect()
}

/// The loss along training, with a reference where there is one. Losses that are not all positive get a linear axis.
pub(super) fn losses(
    name: &str,
    caption: impl Into<String>,
    curves: &[(&str, &[(u64, f64)])],
    floor: Option<(&str, f64)>,
) -> Figure {
    let positive = curves.iter().all(|(_, curve)| curve.iter().all(|(_, loss)| *loss > 0.0));
    let y = if positive { Axis::log("loss") } else { Axis::new("loss") };
    let panel =
        curves.iter().enumerate().fold(Panel::new("", Axis::new("step"), y), |panel, (k, (label, curve))| {
            let xy = curve.iter().map(|&(step, loss)| (step as f64, loss)).collect();
            panel.line(*label, Color::of_series(k), Dash::Solid, xy)
        });
    let panel = match floor {
        Some((label, value)) => panel.level(label, Color::Grey, Dash::Dotted, value),
        None => panel,
    };
    Figure::new(name, "Loss", caption, vec![panel])
}
