//! A report in a few lines of plain text.

use super::{Claim, Report};
use crate::figure::number;
use std::fmt::Write as _;

/// The claims as a small table, and the verdict.
pub fn summary(report: &Report) -> String {
    let lines: Vec<[String; 4]> = report.claims.iter().map(cells).collect();
    let width = |k: usize| lines.iter().map(|line| line[k].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    let mut text = String::new();
    for line in &lines {
        // Words to the left, numbers to the right.
        let _ = writeln!(
            text,
            "  {}  {:<w1$}  {:>w2$}  {}",
            line[0],
            line[1],
            line[2],
            line[3],
            w1 = widths[1],
            w2 = widths[2]
        );
    }
    let (held, all) = (report.claims.iter().filter(|c| c.holds).count(), report.claims.len());
    let _ = match all {
        0 => writeln!(text, "  nothing is claimed"),
        _ if held == all => writeln!(text, "  every claim holds ({held} of {all})"),
        _ => writeln!(text, "  {} of {all} claims FAIL", all - held),
    };
    text
}

fn cells(claim: &Claim) -> [String; 4] {
    let verdict = if claim.holds { "holds" } else { "FAILS" };
    let value = claim.value.map_or_else(|| "none".into(), |v| number(v, 3));
    [
        verdict.into(),
        claim.name.clone(),
        value,
        format!("{} {}", claim.relation.sign(), number(claim.bound, 3)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut report = Report::new("q");
        report.claim(Claim::at_most("distance to the distribution function", 0.001_34, 0.01));
        report.claim(Claim::at_most("W₁", f64::NAN, 0.005));
        let text = summary(&report);
        let expected = "  holds  distance to the distribution function  0.00134  ≤ 0.01\n  \
                        FAILS  W₁                                        none  ≤ 0.005\n  \
                        1 of 2 claims FAIL\n";
        assert_eq!(text, expected);
    }
}
