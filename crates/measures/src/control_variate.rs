//! Control variates: functions whose brackets are known take their share of the noise out of one that is not.

use crate::bracket::TestFunction;
use crate::error::{Error, Result, check_dim, check_finite, check_len};
use crate::estimate::Estimate;
use crate::measure::Sample;
use crate::points::Points;
use nalgebra::{DMatrix, DVector};
use rand::Rng;

/// How the coefficients β of f − Σ β_j (g_j − E g_j) are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fit {
    /// Least squares on the same draws. The estimate, the intercept of the regression, is biased by O(1/n), because β depends on the
    /// draws it corrects; the standard error is of the residuals with n − p − 1 degrees of freedom.
    #[default]
    SameDraws,
    /// Two halves, each corrected with the coefficients of the other: unbiased, at the price of slightly noisier β.
    Split,
}

/// A bracket with its noise reduced.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Controlled {
    /// The estimate with its standard error.
    pub estimate: Estimate,
    /// β_j, averaged over the halves when split.
    pub coefficients: Vec<f64>,
    /// The variance of the corrected values over that of f: what is left of the noise.
    pub remaining_variance: f64,
}

/// ⟨f|μ⟩ from `n` draws, with control variates g_j whose brackets `known` = ⟨g_j|μ⟩ are exact.
///
/// Controls that are linearly dependent, or constant, do no harm: the smallest coefficients that fit are taken. Source: Owen
/// (2013), Monte Carlo theory, methods and examples, chapter 8; Glasserman (2003), DOI 10.1007/978-0-387-21617-1, chapter 4.
///
/// ```
/// use measures::{Function, Seed, TestFunction, bracket_controlled, Fit, zoo::UniformBox};
/// let f = Function::new(1, |x| x[0].exp(), |x, g| g[0] = x[0].exp());
/// let g = Function::new(1, |x| x[0], |_, g| g[0] = 1.0);
/// let controls: [(&dyn TestFunction, f64); 1] = [(&g, 0.5)];
/// let e = bracket_controlled(&f, &controls, &UniformBox::unit(1)?, 10_000, Fit::Split, &mut Seed::new(0).rng())?;
/// assert!((e.estimate.value - 1f64.exp_m1()).abs() < 5.0 * e.estimate.standard_error);
/// assert!(e.remaining_variance < 0.02);
/// # Ok::<(), measures::Error>(())
/// ```
///
/// # Errors
/// Fewer than p + 2 draws (twice that when split) for p controls, a function of another dimension, a known bracket that is not finite, or a
/// value of f or g that is not finite at a draw.
pub fn bracket_controlled(
    f: &(impl TestFunction + ?Sized),
    controls: &[(&dyn TestFunction, f64)],
    mu: &(impl Sample + ?Sized),
    n: usize,
    fit: Fit,
    rng: &mut dyn Rng,
) -> Result<Controlled> {
    check_dim("test function", mu.dim(), f.dim())?;
    for (g, known) in controls {
        check_dim("control variate", mu.dim(), g.dim())?;
        if !known.is_finite() {
            return Err(Error::Parameter { what: "known bracket", value: *known, must: "finite" });
        }
    }
    let fewest = (controls.len() + 2) * if fit == Fit::Split { 2 } else { 1 };
    if n < fewest {
        return Err(Error::TooFew { what: "draws", at_least: fewest, got: n });
    }
    let x = mu.sample(n, rng);
    let values = checked("f(x)", &x, f)?;
    // Column j of the table is g_j − E g_j.
    let mut table = DMatrix::zeros(n, controls.len());
    for (mut column, (g, known)) in table.column_iter_mut().zip(controls) {
        let g = checked("control variate", &x, *g)?;
        column.iter_mut().zip(g).for_each(|(t, g)| *t = g - known);
    }
    let raw = Estimate::of_mean(&values)?;
    if !raw.standard_error.is_finite() {
        let value = values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
        return Err(Error::Parameter {
            what: "f(x), in size",
            value,
            must: "small enough to be squared and summed",
        });
    }
    let raw_variance = raw.standard_error.powi(2) * n as f64;
    let mut corrected = values.clone();
    let coefficients = match fit {
        Fit::SameDraws => {
            let beta = regress(&values, &table);
            correct(&mut corrected, &table, &beta);
            beta
        }
        Fit::Split => {
            let half = n / 2;
            let rest = n - half;
            let (head, tail) = (table.rows(0, half).into_owned(), table.rows(half, rest).into_owned());
            let (first, second) = (regress(&values[..half], &head), regress(&values[half..], &tail));
            correct(&mut corrected[..half], &head, &second);
            correct(&mut corrected[half..], &tail, &first);
            (first + second) * 0.5
        }
    };
    check_finite("corrected values", &corrected)?;
    let mut estimate = Estimate::of_mean(&corrected)?;
    if fit == Fit::SameDraws {
        // The regression has spent one degree of freedom on each control.
        let spent = (n - 1) as f64 / (n - 1 - controls.len()) as f64;
        estimate.standard_error *= spent.sqrt();
    }
    let left = estimate.standard_error.powi(2) * n as f64;
    let remaining_variance = if raw_variance > 0.0 { left / raw_variance } else { 1.0 };
    Ok(Controlled { estimate, coefficients: coefficients.as_slice().to_vec(), remaining_variance })
}

fn checked(what: &'static str, x: &Points, f: &(impl TestFunction + ?Sized)) -> Result<Vec<f64>> {
    let values = f.values(x)?;
    check_len(what, x.len(), values.len())?;
    check_finite(what, &values)?;
    Ok(values)
}

fn correct(values: &mut [f64], table: &DMatrix<f64>, beta: &DVector<f64>) {
    let shift = table * beta;
    values.iter_mut().zip(shift.iter()).for_each(|(v, s)| *v -= s);
}

/// The least-squares slopes of `values` on the columns of `table`, both about their means, columns scaled to unit length; of all
/// minimisers the smallest, so that dependent columns are no obstacle.
fn regress(values: &[f64], table: &DMatrix<f64>) -> DVector<f64> {
    if table.ncols() == 0 {
        return DVector::zeros(0);
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let y = DVector::from_iterator(values.len(), values.iter().map(|v| v - mean));
    let mut centred = table.clone();
    let mut scales = vec![0.0; table.ncols()];
    for (mut column, scale) in centred.column_iter_mut().zip(&mut scales) {
        let before = column.amax();
        let mean = column.sum() / n;
        column.iter_mut().for_each(|v| *v -= mean);
        let norm = column.norm();
        // A constant column leaves only rounding behind: it explains nothing.
        if norm > 1e-12 * before * n.sqrt() && norm.is_finite() {
            *scale = 1.0 / norm;
        }
        column *= *scale;
    }
    // The Gram matrix of the scaled columns has a unit diagonal, so its small eigenvalues are dependence and nothing else.
    let eigen = (centred.transpose() * &centred).symmetric_eigen();
    let right = eigen.eigenvectors.transpose() * (centred.transpose() * y);
    let top = eigen.eigenvalues.amax().max(f64::MIN_POSITIVE);
    let solved = DVector::from_iterator(
        right.len(),
        right.iter().zip(eigen.eigenvalues.iter()).map(|(r, l)| if *l > 1e-12 * top { r / l } else { 0.0 }),
    );
    let mut beta = eigen.eigenvectors * solved;
    beta.iter_mut().zip(&scales).for_each(|(b, s)| *b *= s);
    beta
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bracket::Function;
    use crate::seed::Seed;
    use crate::zoo::{Gaussian, UniformBox};

    fn power(p: i32) -> impl TestFunction {
        Function::new(1, move |x| x[0].powi(p), move |x, g| g[0] = f64::from(p) * x[0].powi(p - 1))
    }

    #[test]
    fn intervals_cover_and_variance_falls_as_theory_says() {
        // f = x² on U(0,1) with the control x: the correlation is √(15/16), so 1/16 of the variance is left.
        let (f, g, law) = (power(2), power(1), UniformBox::unit(1).unwrap());
        for fit in [Fit::SameDraws, Fit::Split] {
            let (mut covered, mut left) = (0, 0.0);
            let mut mean = 0.0;
            for run in 0..400 {
                let e =
                    bracket_controlled(&f, &[(&g, 0.5)], &law, 200, fit, &mut Seed::new(run).rng()).unwrap();
                let (low, high) = e.estimate.interval(0.9).unwrap();
                covered += usize::from(low < 1.0 / 3.0 && 1.0 / 3.0 < high);
                left += e.remaining_variance / 400.0;
                mean += e.estimate.value / 400.0;
            }
            assert!((328..=390).contains(&covered), "{fit:?}: {covered} of 400");
            assert!((left * 16.0 - 1.0).abs() < 0.1, "{fit:?}: {left}");
            // σ(f)/4/√(200·400) = 2.6e-4; the bias of the fit on the same draws is O(1/n) and far below.
            assert!((mean - 1.0 / 3.0).abs() < 5.0 * 2.7e-4, "{fit:?}: {mean}");
        }
    }

    #[test]
    fn dependent_and_constant_controls_do_no_harm() {
        let law = Gaussian::standard(1);
        let (f, g) = (power(3), power(1));
        let constant = Function::new(1, |_| 7.0, |_, g| g[0] = 0.0);
        let double = Function::new(1, |x| 2.0 * x[0], |_, g| g[0] = 2.0);
        let run = |controls: &[(&dyn TestFunction, f64)]| {
            bracket_controlled(&f, controls, &law, 1000, Fit::SameDraws, &mut Seed::new(3).rng()).unwrap()
        };
        let (one, many) = (run(&[(&g, 0.0)]), run(&[(&g, 0.0), (&constant, 7.0), (&double, 0.0)]));
        assert!((one.estimate.value - many.estimate.value).abs() < 1e-12);
        let slope = many.coefficients[0] + 2.0 * many.coefficients[2];
        assert!((slope - one.coefficients[0]).abs() < 1e-10 && many.coefficients[1] == 0.0);
        // A control that is f itself leaves nothing.
        let all = run(&[(&f, 0.0)]);
        assert!(all.estimate.value.abs() < 1e-12 && all.remaining_variance < 1e-20);
        let none = run(&[]);
        assert_eq!(none.remaining_variance, 1.0);
    }

    #[test]
    fn bad_calls_are_named() {
        let law = Gaussian::standard(1);
        let (f, g) = (power(2), power(1));
        let rng = &mut Seed::new(0).rng();
        assert!(matches!(
            bracket_controlled(&f, &[(&g, 0.0)], &law, 2, Fit::SameDraws, rng),
            Err(Error::TooFew { at_least: 3, .. })
        ));
        assert!(matches!(
            bracket_controlled(&f, &[(&g, 0.0)], &law, 5, Fit::Split, rng),
            Err(Error::TooFew { at_least: 6, .. })
        ));
        assert!(bracket_controlled(&f, &[(&g, f64::NAN)], &law, 9, Fit::Split, rng).is_err());
        let nan = Function::new(1, |_| f64::NAN, |_, _| {});
        assert!(matches!(
            bracket_controlled(&f, &[(&nan, 0.0)], &law, 9, Fit::Split, rng),
            Err(Error::Entry { .. })
        ));
        assert!(bracket_controlled(&nan, &[], &law, 9, Fit::SameDraws, rng).is_err());
        let plane = Function::new(2, |_| 0.0, |_, _| {});
        assert!(matches!(
            bracket_controlled(&plane, &[], &law, 9, Fit::Split, rng),
            Err(Error::Dimension { .. })
        ));
    }
}
