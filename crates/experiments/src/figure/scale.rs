//! Axes: from numbers to pixels, and where the ticks are.

/// How numbers are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal distances are equal differences.
    #[default]
    Linear,
    /// Equal distances are equal ratios; numbers that are not positive are left out.
    Log,
}

impl Scale {
    /// Whether a number has a place on the axis.
    pub(super) fn shows(self, v: f64) -> bool {
        // Beyond ±1e300 the room around the data would overflow.
        v.abs() < 1e300 && (self == Scale::Linear || v > 1e-300)
    }

    fn forward(self, v: f64) -> f64 {
        match self {
            Scale::Linear => v,
            Scale::Log => v.log10(),
        }
    }
}

/// An interval of numbers laid over an interval of pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
    from: f64,
    to: f64,
}

impl Frame {
    pub(super) fn new(scale: Scale, (low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Frame { scale, low, high, from, to }
    }

    /// The pixel of a number.
    pub(super) fn pixel(&self, v: f64) -> f64 {
        let (a, b) = (self.scale.forward(self.low), self.scale.forward(self.high));
        self.from + (self.scale.forward(v) - a) / (b - a) * (self.to - self.from)
    }

    /// Ticks with their labels, about one in `spacing` pixels.
    pub(super) fn ticks(&self, spacing: f64) -> Vec<(f64, String)> {
        let most = ((self.to - self.from).abs() / spacing).floor().max(2.0);
        match self.scale {
            Scale::Linear => linear_ticks(self.low, self.high, most),
            Scale::Log => log_ticks(self.low, self.high, most),
        }
    }
}

/// The interval that holds all numbers, with a little room, and never empty.
pub(super) fn extent(scale: Scale, values: impl Iterator<Item = f64>) -> (f64, f64) {
    let shown = values.filter(|v| scale.shows(*v)).map(|v| scale.forward(v));
    let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
    let width = high - low;
    // Below this the numbers are equal but for rounding.
    let room =
        if width > 1e-12 * low.abs().max(high.abs()) { 0.04 * width } else { 0.5 * low.abs().max(1.0) };
    let (low, high) = (low - room, high + room);
    match scale {
        Scale::Linear => (low, high),
        Scale::Log => (10f64.powf(low), 10f64.powf(high)),
    }
}

fn linear_ticks(low: f64, high: f64, most: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / most;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * magnitude).into_iter().find(|s| *s >= rough * 0.999);
    let step = step.unwrap_or(10.0 * magnitude);
    let first = (low / step - 1e-9).ceil();
    let count = ((high / step + 1e-9).floor() - first).max(0.0) as usize + 1;
    let values: Vec<f64> = (0..count).map(|k| (first + k as f64) * step).collect();
    let largest = values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    values.into_iter().map(|v| (v, label(v, step, largest))).collect()
}

fn log_ticks(low: f64, high: f64, most: f64) -> Vec<(f64, String)> {
    let (a, b) = (low.log10(), high.log10());
    if b - a < 2.2 {
        // Within a decade or two powers of ten are too few.
        let within = |v: &f64| *v >= low * 0.999 && *v <= high * 1.001;
        let decades = a.floor() as i32..=b.ceil() as i32;
        let values = decades.flat_map(|k| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(k))).filter(within);
        let ticks: Vec<_> = values.map(|v| (v, number(v, 2))).collect();
        if ticks.len() >= 2 {
            return ticks;
        }
        return linear_ticks(low, high, most);
    }
    let (first, last) = ((a - 1e-9).ceil() as i32, (b + 1e-9).floor() as i32);
    let every = (f64::from(last - first + 1) / most).ceil().max(1.0) as usize;
    (first..=last).step_by(every).map(|k| (10f64.powi(k), power(k))).collect()
}

fn label(v: f64, step: f64, largest: f64) -> String {
    if v.abs() < step * 1e-6 {
        return "0".into();
    }
    if !(1e-4..1e5).contains(&largest) {
        return number(v, 3);
    }
    let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
    // Steps of 2.5 need one digit more.
    let digits = step / 10f64.powf(step.log10().floor());
    let decimals = decimals + usize::from((digits - 2.5).abs() < 1e-6);
    minus(&format!("{v:.decimals$}"))
}

/// A number in few significant digits, as people write it: 0.013, −2.5, 3.2×10⁻⁶.
pub(crate) fn number(v: f64, digits: usize) -> String {
    if !v.is_finite() {
        return if v.is_nan() { "none".into() } else { minus(if v > 0.0 { "∞" } else { "-∞" }) };
    }
    if v == 0.0 {
        return "0".into();
    }
    let rounded: f64 = format!("{v:.*e}", digits.max(1) - 1).parse().unwrap_or(v);
    let exponent = rounded.abs().log10().floor() as i32;
    if (-4..6).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        let text = format!("{rounded:.decimals$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        return minus(text);
    }
    let mantissa = rounded / 10f64.powi(exponent);
    let mantissa = format!("{mantissa:.*}", digits.max(1) - 1);
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { &mantissa };
    if mantissa == "1" { power(exponent) } else { format!("{}×{}", minus(mantissa), power(exponent)) }
}

fn power(k: i32) -> String {
    match k {
        0 => "1".into(),
        1 => "10".into(),
        2 => "100".into(),
        -1 => "0.1".into(),
        _ => format!("10{}", superscript(k)),
    }
}

fn superscript(k: i32) -> String {
    let digit = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => char::from_u32('⁰' as u32 + c.to_digit(10).unwrap_or(0)).unwrap_or(c),
    };
    k.to_string().chars().map(digit).collect()
}

fn minus(text: &str) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: Vec<(f64, String)>) -> Vec<String> {
        ticks.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(linear_ticks(-2.5, 2.5, 6.0)), ["−2", "−1", "0", "1", "2"]);
        assert_eq!(labels(linear_ticks(0.0, 1.0, 5.0)), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(linear_ticks(0.0, 0.1, 4.0)), ["0", "0.025", "0.050", "0.075", "0.100"]);
        assert_eq!(labels(linear_ticks(0.0, 3e6, 3.0)), ["0", "10⁶", "2×10⁶", "3×10⁶"]);
        assert_eq!(labels(log_ticks(1e-7, 1.0, 4.0)), ["10⁻⁷", "10⁻⁵", "10⁻³", "0.1"]);
        assert_eq!(labels(log_ticks(1.5, 30.0, 4.0)), ["2", "5", "10", "20"]);
        assert_eq!(labels(log_ticks(1.5e-3, 0.12, 6.0)), ["0.002", "0.005", "0.01", "0.02", "0.05", "0.1"]);
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        let shown = [0.0, -2.5, 0.012_34, 1234.0, 1e-5, -3.25e-7, 99_999.6, 123_456_789.0, f64::NAN];
        let expected = ["0", "−2.5", "0.0123", "1234", "10⁻⁵", "−3.25×10⁻⁷", "100000", "1.23×10⁸", "none"];
        for (v, text) in shown.into_iter().zip(expected) {
            let digits = if v.abs() > 1000.0 && v < 2000.0 { 4 } else { 3 };
            assert_eq!(number(v, digits), text);
        }
    }

    #[test]
    fn no_data_still_makes_an_axis() {
        for scale in [Scale::Linear, Scale::Log] {
            for data in [vec![], vec![f64::NAN], vec![3.0, 3.0], vec![0.0], vec![-1.0], vec![1e300, 1e-300]] {
                let (low, high) = extent(scale, data.iter().copied());
                assert!(low < high && low.is_finite() && high.is_finite(), "{scale:?} {data:?}");
                let frame = Frame::new(scale, (low, high), (0.0, 300.0));
                assert!(!frame.ticks(60.0).is_empty(), "{scale:?} {data:?} {low} {high}");
            }
        }
    }
}
