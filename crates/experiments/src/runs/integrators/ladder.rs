//! Errors at a ladder of costs, and the order that they show.

/// Costs and errors of one scheme.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    pub(super) name: &'static str,
    pub(super) order: f64,
    /// (evaluations or steps, error), costs ascending.
    pub(super) rungs: Vec<(f64, f64)>,
}

impl Ladder {
    /// The order seen between rungs where the leading term rules: the slope, by least squares in logarithms, of the last
    /// `count` errors below `ceiling` and above `floor`. NaN where there are not so many.
    pub(super) fn observed(&self, count: usize, ceiling: f64, floor: f64) -> f64 {
        let good: Vec<(f64, f64)> = self
            .rungs
            .iter()
            .filter(|(_, e)| (floor..ceiling).contains(e))
            .map(|(n, e)| (n.ln(), e.ln()))
            .collect();
        if good.len() < count {
            return f64::NAN;
        }
        let tail = &good[good.len() - count..];
        let n = tail.len() as f64;
        let (mx, my) = tail.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
        let covariance: f64 = tail.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
        -covariance / tail.iter().map(|(x, _)| (x - mx).powi(2)).sum::<f64>()
    }

    /// The cost at which the error first stays below `error`, between rungs along the line in logarithms.
    pub(super) fn cost_of(&self, error: f64) -> Option<f64> {
        let last_above = self.rungs.iter().rposition(|(_, e)| *e > error);
        match last_above {
            None => self.rungs.first().map(|rung| rung.0),
            Some(k) => {
                let ((n0, e0), (n1, e1)) = (self.rungs[k], *self.rungs.get(k + 1)?);
                let part = (e0 / error).ln() / (e0 / e1).ln();
                Some((n0.ln() + part * (n1 / n0).ln()).exp())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_costs_are_read_off() {
        let rungs = (1..8).map(|k| (2f64.powi(k), 4f64.powi(-k))).collect();
        let ladder = Ladder { name: "square", order: 2.0, rungs };
        assert!((ladder.observed(4, 0.1, 1e-4) - 2.0).abs() < 1e-12);
        assert!(ladder.observed(6, 0.1, 1e-2).is_nan());
        assert!((ladder.cost_of(4f64.powf(-2.5)).unwrap() - 2f64.powf(2.5)).abs() < 1e-9);
        assert_eq!(ladder.cost_of(1.0), Some(2.0));
        assert_eq!(ladder.cost_of(1e-9), None);
    }
}
