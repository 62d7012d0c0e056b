//! Sheets of small images as pictures.

use crate::data::Digits;
use crate::figure::{Figure, Panel};
use measures::Points;

/// Pixels in a row of an image, and in a column.
const SIDE: usize = Digits::SIDE;
/// Between two images, in pixels.
const GAP: usize = 1;

/// Images side by side, `columns` in a row, as the ink of one picture.
fn sheet(images: &Points, columns: usize) -> (usize, Vec<f64>) {
    let rows = images.len().div_ceil(columns);
    let width = columns * (SIDE + GAP) + GAP;
    let mut ink = vec![0.0; width * (rows * (SIDE + GAP) + GAP)];
    for (k, image) in images.rows().enumerate() {
        let (left, top) = (k % columns * (SIDE + GAP) + GAP, k / columns * (SIDE + GAP) + GAP);
        for (p, v) in image.iter().take(Digits::PIXELS).enumerate() {
            ink[(top + p / SIDE) * width + left + p % SIDE] = (0.5 * (v + 1.0)).clamp(0.0, 1.0);
        }
    }
    (width, ink)
}

/// One sheet a panel.
pub(super) fn sheets(
    name: &str,
    title: &str,
    caption: &str,
    columns: usize,
    sheets: &[(String, Points)],
) -> Figure {
    let panels = sheets.iter().map(|(title, images)| {
        let (width, ink) = sheet(images, columns);
        Panel::picture(title.clone(), width, ink)
    });
    Figure::new(name, title, caption, panels.collect()).in_rows_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_stand_where_they_belong() {
        let images = Points::from_fn(3, Digits::PIXELS, |i, out| {
            out.fill(-1.0);
            out[0] = i as f64 - 1.0;
        });
        let (width, ink) = sheet(&images, 2);
        assert_eq!((width, ink.len()), (19, 19 * 19));
        assert_eq!((ink[19 + 1], ink[19 + 10], ink[10 * 19 + 1]), (0.0, 0.5, 1.0));
        assert_eq!(ink.iter().sum::<f64>(), 1.5);
        let svg = sheets("a", "b", "c", 2, &[("one".into(), images)]).to_svg();
        assert!(
            svg.contains("fill-opacity=\"1\" d=\"M1 10h1v1h-1z\"") && !svg.contains("class=\"g\""),
            "{svg}"
        );
    }
}
