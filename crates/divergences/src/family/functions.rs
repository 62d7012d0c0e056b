//! Any list of a user's own functions.

use super::check_tau;
use measures::{
    Empirical, Error, Family, Measure, Points, Pullback, Result, TestFunction, bracket, check_dim, check_len,
    check_pullback,
};

/// A list of [`TestFunction`]s with weights τ.
///
/// ```
/// use divergences::{Divergence, MeanIpm, Statistic, family::Functions};
/// use divergences::measures::{Empirical, Function, TestFunction};
/// let square = Function::new(1, |x| x[0] * x[0], |x, g| g[0] = 2.0 * x[0]);
/// let family = Functions::new(vec![Box::new(square) as Box<dyn TestFunction>], &[1.0])?;
/// let d2 = MeanIpm::new(family, Statistic::Plugin);
/// assert_eq!(d2.value(&Empirical::dirac(&[2.0])?, &Empirical::dirac(&[1.0])?)?, 9.0);
/// # Ok::<(), divergences::Error>(())
/// ```
pub struct Functions<F = Box<dyn TestFunction>> {
    functions: Vec<F>,
    tau: Vec<f64>,
}

impl<F: TestFunction> Functions<F> {
    /// The family of the given functions, with one weight each.
    ///
    /// # Errors
    /// No function, functions of different dimensions, or weights that are negative, not finite or not as many.
    pub fn new(functions: Vec<F>, tau: &[f64]) -> Result<Self> {
        let Some(first) = functions.first() else {
            return Err(Error::TooFew { what: "functions", at_least: 1, got: 0 });
        };
        for f in &functions {
            check_dim("test function", first.dim(), f.dim())?;
        }
        check_tau(functions.len(), tau)?;
        Ok(Functions { functions, tau: tau.to_vec() })
    }
}

impl<F: TestFunction> Family for Functions<F> {
    fn dim(&self) -> usize {
        self.functions[0].dim()
    }

    fn tau(&self) -> &[f64] {
        &self.tau
    }

    fn brackets(&self, mu: &Empirical) -> Result<Vec<f64>> {
        check_dim("measure", self.dim(), mu.dim())?;
        self.functions.iter().map(|f| bracket(f, mu)).collect()
    }

    fn pullback(&self, x: &Points, c: &[f64]) -> Result<Pullback> {
        check_pullback(self, x, c)?;
        let mut out = Pullback { values: vec![0.0; x.len()], gradients: Points::zeros(x.len(), x.dim()) };
        for (f, c) in self.functions.iter().zip(c) {
            let (values, gradients) = (f.values(x)?, f.gradients(x)?);
            check_len("values of a test function", x.len(), values.len())?;
            out.values.iter_mut().zip(values).for_each(|(out, v)| *out += c * v);
            let rows = out.gradients.as_mut_slice().iter_mut();
            rows.zip(gradients.as_slice()).for_each(|(out, g)| *out += c * g);
        }
        Ok(out)
    }

    fn values(&self, x: &Points) -> Result<Vec<f64>> {
        check_dim("points", self.dim(), x.dim())?;
        let count = self.functions.len();
        let mut out = vec![0.0; x.len() * count];
        for (k, f) in self.functions.iter().enumerate() {
            let values = f.values(x)?;
            check_len("values of a test function", x.len(), values.len())?;
            out.iter_mut().skip(k).step_by(count).zip(values).for_each(|(out, v)| *out = v);
        }
        Ok(out)
    }
}
