//! The rows of a tensor as a state of `flows`: its solvers run on any device, inside the graph of automatic
//! differentiation or outside it.

use crate::error::{Error, Result};
use crate::tensor::{to_points, to_tensor, values};
use flows::{Clock, FieldError, State, VelocityField};
use measures::Points;
use tch::{Device, Kind, Tensor, no_grad};

/// n rows of a tensor, n×d or n×…, as a [`State`]: what Euler to DOP853 of [`flows::ode`] move on any device.
///
/// Nothing is written in place. Every operation binds a new tensor, so a graph that still needs the old one keeps it, and
/// the end of a solve can be differentiated in its start and in whatever the velocity depends on: that is the derivative
/// of the discrete solution, steps held fixed. Memory then grows with the number of steps;
/// [`Checkpoints`](crate::Checkpoints) need its square root.
///
/// ```
/// use flows::ode::{DORMAND_PRINCE, Ode};
/// use models::{Rows, TensorField, tch::{Kind, Tensor}};
/// // x' = −a x, differentiated in a through fifty steps.
/// let a = Tensor::from_slice(&[0.7]).set_requires_grad(true);
/// let field = TensorField::new(|_, x| Ok(x * -&a));
/// let x0 = Rows::new(Tensor::from_slice(&[1.0, 2.0]).view([2, 1]))?;
/// let end = Ode::fixed(DORMAND_PRINCE, 50)?.solve_batch(&field, &x0, 0.0, 1.0)?.finished()?.into_tensor();
/// end.sum(Kind::Double).backward();
/// // d/da Σ x e^{−a} = −3 e^{−0.7}
/// assert!((a.grad().double_value(&[0]) + 3.0 * (-0.7f64).exp()).abs() < 1e-10);
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug)]
pub struct Rows(Tensor);

impl Rows {
    /// The rows of a tensor of single or double precision.
    ///
    /// # Errors
    /// The tensor has no rows to speak of (it is a scalar), an empty row, or is not of real numbers.
    pub fn new(x: Tensor) -> Result<Self> {
        let size = x.size();
        if size.is_empty() || size[1..].contains(&0) {
            return Err(Error::Shape { what: "rows", expected: "n×d with d ≥ 1".into(), got: size });
        }
        if !matches!(x.kind(), Kind::Float | Kind::Double) {
            let must = "Float or Double";
            return Err(Error::setting("kind of the rows", format!("{:?}", x.kind()), must));
        }
        Ok(Rows(x))
    }

    /// Points as rows of the given kind on the given device.
    ///
    /// # Errors
    /// libtorch refuses the memory or the device.
    pub fn of_points(x: &Points, kind: Kind, device: Device) -> Result<Self> {
        Rows::new(to_tensor(x, kind, device)?)
    }

    /// The rows of a matrix as points.
    ///
    /// # Errors
    /// The rows are not vectors.
    pub fn to_points(&self) -> Result<Points> {
        to_points(&self.0)
    }

    /// The tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// The tensor, handed over.
    pub fn into_tensor(self) -> Tensor {
        self.0
    }

    /// A clock's numbers as a factor on the rows: one number for all, or n×1×…
    ///
    /// # Panics
    /// When libtorch refuses; solves run under [`guard`](crate::guard()).
    pub fn clock(&self, t: Clock<'_>) -> Tensor {
        let mut shape = vec![1; self.0.dim()];
        shape[0] = -1;
        let column = match t {
            Clock::Shared(t) => Tensor::from_slice(&[t]),
            Clock::Each(times) => Tensor::from_slice(times),
        };
        column.view(&*shape).to_kind(self.0.kind()).to_device(self.0.device())
    }

    fn scaled(&self, a: Clock<'_>) -> Tensor {
        match a {
            Clock::Shared(a) => &self.0 * a,
            Clock::Each(_) => &self.0 * self.clock(a),
        }
    }

    fn index(&self, rows: &[usize]) -> Tensor {
        let rows: Vec<i64> = rows.iter().map(|&i| i as i64).collect();
        Tensor::from_slice(&rows).to_device(self.0.device())
    }

    /// Whether `rows` are all rows in their order: then nothing needs to be copied.
    fn is_whole(&self, rows: &[usize]) -> bool {
        rows.len() == State::rows(self) && rows.iter().enumerate().all(|(i, &row)| i == row)
    }
}

/// A handle on the same storage, which nobody writes to.
impl Clone for Rows {
    fn clone(&self) -> Self {
        Rows(self.0.shallow_clone())
    }
}

impl State for Rows {
    fn rows(&self) -> usize {
        self.0.size()[0] as usize
    }

    fn axpy(&mut self, a: Clock<'_>, x: &Self) {
        self.0 = &self.0 + x.scaled(a);
    }

    fn select(&self, rows: &[usize]) -> Self {
        if self.is_whole(rows) { self.clone() } else { Rows(self.0.index_select(0, &self.index(rows))) }
    }

    fn scatter(&mut self, rows: &[usize], from: &Self) {
        self.0 = if self.is_whole(rows) {
            from.0.shallow_clone()
        } else {
            self.0.index_copy(0, &self.index(rows), &from.0)
        };
    }

    fn error_rows(&self, y0: &Self, y1: &Self, rtol: f64, atol: f64) -> Vec<f64> {
        let scaled = no_grad(|| {
            let scale = y0.0.abs().maximum(&y1.0.abs()) * rtol + atol;
            // An infinite state would hide its error; 0·x is NaN for it.
            let error = (&self.0 / scale + &y1.0 * 0.0).to_kind(Kind::Double).flatten(1, -1);
            values(&error.square().mean_dim(1, false, Kind::Double).sqrt())
        });
        let finite = |e: f64| if e.is_finite() { e } else { f64::NAN };
        scaled.map_or_else(|_| vec![f64::NAN; self.rows()], |v| v.into_iter().map(finite).collect())
    }

    fn finite_rows(&self) -> Vec<bool> {
        let finite = no_grad(|| self.0.isfinite().flatten(1, -1).all_dim(1, false).to_kind(Kind::Double));
        values(&finite)
            .map_or_else(|_| vec![false; self.rows()], |v| v.into_iter().map(|f| f > 0.0).collect())
    }

    fn all_finite(&self) -> bool {
        no_grad(|| self.0.isfinite().all()).int64_value(&[]) != 0
    }

    fn combine(&mut self, y: Option<&Self>, h: Clock<'_>, terms: &[(f64, &Self)]) {
        let mut sum: Option<Tensor> = None;
        for &(a, x) in terms.iter().filter(|(a, _)| *a != 0.0) {
            let term = &x.0 * a;
            sum = Some(match sum {
                Some(sum) => sum + term,
                None => term,
            });
        }
        let sum = sum.unwrap_or_else(|| y.unwrap_or_else(|| terms[0].1).0.zeros_like());
        let step = Rows(sum).scaled(h);
        self.0 = match y {
            Some(y) => &y.0 + step,
            None => step,
        };
    }
}

/// A velocity of [`Rows`] given as a function v(t, x) of tensors, n×d ↦ n×d.
///
/// A refusal of the function is a refusal of the field: the run ends with [`Status::Field`](flows::ode::Status::Field).
#[derive(Debug, Clone, Copy)]
pub struct TensorField<F> {
    velocity: F,
    pointwise: bool,
}

impl<F: Fn(Clock<'_>, &Tensor) -> Result<Tensor>> TensorField<F> {
    /// The field of `velocity`, whose rows may look at one another.
    pub fn new(velocity: F) -> Self {
        TensorField { velocity, pointwise: false }
    }

    /// The field of a `velocity` each row of which depends, to the bit, on that row and its time alone, so that rows may
    /// keep their own time and step. Elementwise operations do; matrix products of libtorch do not, whose rounding depends
    /// on the number of rows.
    pub fn pointwise(velocity: F) -> Self {
        TensorField { velocity, pointwise: true }
    }
}

impl<F: Fn(Clock<'_>, &Tensor) -> Result<Tensor>> VelocityField<Rows> for TensorField<F> {
    fn velocity(&self, t: Clock<'_>, x: &Rows, out: &mut Rows) -> Result<(), FieldError> {
        t.check(x.rows())?;
        let v = (self.velocity)(t, &x.0)?;
        if v.size() != x.0.size() {
            let expected = format!("{:?}", x.0.size());
            return Err(Error::Shape { what: "velocity", expected, got: v.size() }.into());
        }
        *out = Rows(v);
        Ok(())
    }

    fn is_pointwise(&self) -> bool {
        self.pointwise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud() -> Points {
        Points::from_fn(5, 3, |i, row| {
            row.iter_mut().enumerate().for_each(|(k, v)| *v = (1.3 * (3 * i + k) as f64).sin());
        })
    }

    fn rows(x: &Points) -> Rows {
        Rows::of_points(x, Kind::Double, Device::Cpu).unwrap()
    }

    /// Every operation of a state is that of native points.
    #[test]
    fn rows_do_what_points_do() {
        let (a, b, h) = (cloud(), cloud().map_rows(), [0.3, -1.0, 0.0, 2.0, 1e-3]);
        for clock in [Clock::Shared(0.7), Clock::Each(&h)] {
            let (mut native, mut tensor) = (a.clone(), rows(&a));
            native.axpy(clock, &b);
            tensor.axpy(clock, &rows(&b));
            assert_close(&tensor, &native);
            native.combine(Some(&a), clock, &[(0.5, &b), (0.0, &a), (-2.0, &a)]);
            tensor.combine(Some(&rows(&a)), clock, &[(0.5, &rows(&b)), (0.0, &rows(&a)), (-2.0, &rows(&a))]);
            assert_close(&tensor, &native);
            native.combine(None, clock, &[(0.5, &b), (-2.0, &a)]);
            tensor.combine(None, clock, &[(0.5, &rows(&b)), (-2.0, &rows(&a))]);
            assert_close(&tensor, &native);
        }
        for at in [vec![4, 0, 2], vec![0, 1, 2, 3, 4]] {
            assert_close(&rows(&a).select(&at), &State::select(&a, &at));
            let (mut native, mut tensor) = (a.clone(), rows(&a));
            let from = State::select(&b, &at);
            native.scatter(&at, &from);
            tensor.scatter(&at, &rows(&from));
            assert_close(&tensor, &native);
        }
        let (native, tensor) =
            (a.error_rows(&b, &a, 1e-3, 1e-6), rows(&a).error_rows(&rows(&b), &rows(&a), 1e-3, 1e-6));
        assert!(native.iter().zip(tensor).all(|(a, b)| (a - b).abs() < 1e-10 * a));
    }

    #[test]
    fn rows_that_are_not_finite_are_told() {
        let mut x = cloud();
        (x.row_mut(1)[2], x.row_mut(3)[0]) = (f64::NAN, f64::INFINITY);
        let (bad, good) = (rows(&x), rows(&cloud()));
        assert_eq!(bad.finite_rows(), [true, false, true, false, true]);
        assert!(good.all_finite() && !bad.all_finite());
        // an infinite end makes its error NaN, as an infinite error does
        for (e, end) in [(&good, &bad), (&bad, &good)] {
            let errors = e.error_rows(&good, end, 1e-3, 1e-6);
            assert!(errors[1].is_nan() && errors[3].is_nan() && errors[0].is_finite(), "{errors:?}");
        }
    }

    #[test]
    fn what_has_no_rows_is_refused() {
        let refused = |x: Tensor| Rows::new(x).err().map(|e| e.to_string());
        assert!(refused(Tensor::from(1.0)).unwrap().contains("rows"));
        assert!(refused(Tensor::zeros([3, 0], (Kind::Float, Device::Cpu))).unwrap().contains("d ≥ 1"));
        assert!(refused(Tensor::zeros([3, 1], (Kind::Int64, Device::Cpu))).unwrap().contains("Int64"));
        assert!(refused(Tensor::zeros([3, 1, 8, 8], (Kind::Float, Device::Cpu))).is_none());
        let field = TensorField::new(|_, x| Ok(x.sum(Kind::Double)));
        let x = rows(&cloud());
        let error = field.velocity(Clock::Shared(0.0), &x, &mut x.clone()).unwrap_err();
        assert!(error.to_string().contains("velocity"), "{error}");
        assert!(field.velocity(Clock::Each(&[0.0]), &x, &mut x.clone()).is_err());
    }

    fn assert_close(tensor: &Rows, native: &Points) {
        let found = tensor.to_points().unwrap();
        let gap = found.as_slice().iter().zip(native.as_slice()).map(|(a, b)| (a - b).abs());
        assert!(found.len() == native.len() && gap.fold(0.0, f64::max) < 1e-14);
    }

    trait MapRows {
        fn map_rows(self) -> Self;
    }

    impl MapRows for Points {
        fn map_rows(mut self) -> Self {
            self.as_mut_slice().iter_mut().for_each(|v| *v = v.cos() * 3.0);
            self
        }
    }
}
