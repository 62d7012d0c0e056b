//! A cloud that moves: one frame a time, one path for all points.

use super::{Axis, Color, Panel, svg};

/// Points of one frame of an animation.
type Cloud = Vec<(f64, f64)>;

/// A cloud of points in the plane along time, training or temperature.
#[derive(Debug, Clone)]
pub struct Animation {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) caption: String,
    panel: Panel,
    frames: Vec<(String, Cloud)>,
}

impl Animation {
    /// An animation whose data are called `name`.csv. Every frame has a label and its points; the axes hold them all.
    pub fn new(
        name: impl Into<String>,
        title: impl Into<String>,
        caption: impl Into<String>,
        (x, y): (Axis, Axis),
        frames: Vec<(String, Cloud)>,
    ) -> Self {
        let span = |k: usize| {
            let values =
                frames.iter().flat_map(|(_, cloud)| cloud).map(move |p| if k == 0 { p.0 } else { p.1 });
            let finite = values.filter(|v| v.is_finite());
            let (low, high) =
                finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            let room = 0.03 * (high - low).max(1e-9);
            (low - room, high + room)
        };
        let (across, along) = (span(0), span(1));
        let panel = Panel::new("", x.over(across.0, across.1), y.over(along.0, along.1)).equal();
        Animation { name: name.into(), title: title.into(), caption: caption.into(), panel, frames }
    }

    /// Adds dots that do not move, drawn under those that do.
    pub fn behind(mut self, label: impl Into<String>, color: Color, xy: Cloud) -> Self {
        self.panel = self.panel.dots(label, color, xy);
        self
    }

    /// The labels of the frames.
    pub(crate) fn labels(&self) -> Vec<&str> {
        self.frames.iter().map(|(label, _)| label.as_str()).collect()
    }

    /// The panel with the last frame drawn as its last path, and the path of every frame.
    pub(crate) fn to_fragment(&self) -> (String, Vec<String>) {
        let last = self.frames.last().map(|(_, cloud)| cloud.clone()).unwrap_or_default();
        let panel = self.panel.clone().dots("", Color::Orange, last);
        let clouds = self.frames.iter().map(|(_, cloud)| cloud.as_slice());
        (svg::fragment(&panel, 1), svg::frames(&panel, clouds))
    }

    /// Every point: frame, x, y.
    pub(crate) fn to_csv(&self) -> Vec<[String; 3]> {
        let row = |label: &str, &(x, y): &(f64, f64)| [label.to_owned(), format!("{x:?}"), format!("{y:?}")];
        self.frames.iter().flat_map(|(label, cloud)| cloud.iter().map(move |p| row(label, p))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_paths_of_the_same_axes() {
        let frames = vec![("a".to_owned(), vec![(0.0, 0.0), (1.0, 1.0)]), ("b".to_owned(), vec![(1.0, 1.0)])];
        let animation = Animation::new("n", "t", "c", (Axis::new("x"), Axis::new("y")), frames);
        let (fragment, paths) = animation.to_fragment();
        assert_eq!(animation.labels(), ["a", "b"]);
        // The last frame is what a page without scripts, or on paper, shows.
        assert!(fragment.contains(&format!("d=\"{}\"", paths[1])) && paths[0] != paths[1]);
        assert_eq!(animation.to_csv().len(), 3);
        // No frames, no panic.
        let empty = Animation::new("n", "t", "c", (Axis::new("x"), Axis::new("y")), Vec::new());
        assert!(empty.to_fragment().1.is_empty());
    }
}
