//! Gauss–Legendre quadrature on panels.

/// The positive nodes of the 16-point rule on (−1, 1) with their weights (Abramowitz and Stegun, table 25.4).
const NODES: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_6),
    (0.458_016_777_657_227_4, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_8, 0.149_595_988_816_576_73),
    (0.755_404_408_355_003, 0.124_628_971_255_533_87),
    (0.865_631_202_387_831_7, 0.095_158_511_682_492_78),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_89),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_095),
];

/// Nodes and weights of the composite 16-point Gauss–Legendre rule on `count` equal panels of (a, b): exact for
/// polynomials of degree 31 on each.
pub(crate) fn panels(a: f64, b: f64, count: usize) -> impl Iterator<Item = (f64, f64)> {
    let half = 0.5 * (b - a) / count as f64;
    (0..count).flat_map(move |i| {
        let middle = a + half * (2 * i + 1) as f64;
        let low = NODES.iter().rev().map(move |(x, w)| (middle - half * x, half * w));
        low.chain(NODES.iter().map(move |(x, w)| (middle + half * x, half * w)))
    })
}

#[cfg(test)]
mod tests {
    use super::panels;

    #[test]
    fn polynomials_of_degree_31_are_exact() {
        for degree in [0, 1, 2, 15, 30, 31] {
            let sum: f64 = panels(0.0, 2.0, 3).map(|(x, w)| w * x.powi(degree)).sum();
            let exact = 2f64.powi(degree + 1) / f64::from(degree + 1);
            assert!((sum / exact - 1.0).abs() < 1e-14, "degree {degree}");
        }
        let sum: f64 = panels(-1.0, 4.0, 2).map(|(x, w)| w * x.cos()).sum();
        assert!((sum - (4f64.sin() + 1f64.sin())).abs() < 1e-14);
    }
}
