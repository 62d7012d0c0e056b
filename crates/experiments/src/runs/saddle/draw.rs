//! The pictures.

use super::landscape::Landscape;
use super::play::{self, Ground};
use super::{Played, SaddleConfig, parameters};
use crate::figure::{Axis, Color, Dash, Figure, Panel};

/// Every landscape as a part of its largest value.
pub(super) fn landscapes(config: &SaddleConfig, landscapes: &[Landscape]) -> Figure {
    let grid = parameters(config);
    let panel = |title: &str| {
        Panel::new(
            title,
            Axis::new("a").over(0.0, 0.5),
            Axis::new("part of the largest value").over(0.0, 1.05),
        )
    };
    let (mut high, mut low) = (panel("largest in the middle"), panel("smallest in the middle, or flat"));
    let (mut highs, mut lows) = (0, 0);
    for landscape in landscapes {
        let values: Vec<f64> = grid.iter().map(|&a| (landscape.value)(a)).collect();
        let largest = values.iter().copied().fold(0.0, f64::max);
        let xy = grid.iter().zip(&values).map(|(a, v)| (*a, v / largest)).collect();
        // Jensen–Shannon lies on total variation.
        let dash = if landscape.name == "Jensen–Shannon" { Dash::Dashed } else { Dash::Solid };
        if landscape.largest_at.is_some() {
            high = high.line(&landscape.name, Color::of_series(highs), dash, xy);
            highs += 1;
        } else {
            low = low.line(&landscape.name, Color::of_series(lows), dash, xy);
            lows += 1;
        }
    }
    let caption = "D(μ_a, μ₁) over a, each as a part of its largest value. Descent runs to the ends on the left and to the middle on \
                   the right, on W₁ it does not move; no curve reaches zero.";
    Figure::new("landscapes", "What each divergence prefers", caption, vec![high, low])
}

/// Best responses in turns: where they cycle and where they end.
pub(super) fn turns(config: &SaddleConfig) -> Figure {
    let rounds = config.rounds.min(12);
    let panel = |ground: Ground| {
        let axes = (
            Axis::new("round"),
            Axis::new("a").over(-0.05, if ground == Ground::Line { 0.55 } else { 1.05 }),
        );
        let mut panel = Panel::new(ground.words(), axes.0, axes.1);
        for (k, (tie, label)) in [(1.0, "f = 1 on ties"), (0.0, "f = 0 on ties")].into_iter().enumerate() {
            let path = play::best_responses(ground, config.cells / 8, tie, config.cells, rounds);
            let xy = path.iter().enumerate().map(|(k, a)| (k as f64, *a)).collect();
            panel =
                panel.line(label, Color::of_series(k), if k == 0 { Dash::Solid } else { Dash::Dashed }, xy);
        }
        panel
    };
    let caption = "The generator's parameter when each side in turn answers the other as well as it can. Without a solution it jumps from \
                   end to end whatever the tie-break; with one, the tie-break decides.";
    Figure::new("turns", "Best responses in turns", caption, vec![panel(Ground::Line), panel(Ground::Circle)])
}

/// Descent–ascent over time.
pub(super) fn paths(config: &SaddleConfig, runs: &[Played]) -> Figure {
    let mut panels = Vec::new();
    for first in (0..runs.len()).step_by(config.steps.len()) {
        let group = &runs[first..first + config.steps.len()];
        let title = format!("{}; {}", group[0].ground.words(), group[0].critic);
        let mut panel = Panel::new(title, Axis::new("time (steps times their size)"), Axis::new("a"));
        // The largest, the middle and the smallest step.
        let last = group.len() - 1;
        let mut shown = vec![0, last / 2, last];
        shown.dedup();
        for (k, &run) in shown.iter().enumerate() {
            let run = &group[run];
            let stride = run.path.len().div_ceil(1500);
            let xy =
                run.path.iter().enumerate().step_by(stride).map(|(k, a)| (k as f64 * run.step, *a)).collect();
            panel = panel.line(format!("step {}", run.step), Color::of_series(k), Dash::Solid, xy);
        }
        panels.push(panel);
    }
    let caption = "Simultaneous gradient steps of both sides. Without a solution they run to an end of [0, ½] and rest there. With \
                   one, at a = ¾, a sine circles it for ever; a sine with a cosine, or all functions, come to rest.";
    Figure::new("paths", "Gradient descent–ascent", caption, panels).in_rows_of(3)
}
