//! Ordinary differential equations: eq. (7), dχ_t = v_t(χ_t) dt, for clouds.
//!
//! A method is data ([`Tableau`]), the pace is a [`Controller`]'s or fixed, and [`Ode`] drives either over any
//! [`State`](crate::State). Particles of a pointwise field keep their own time and step; those that finish make room
//! for others, so that a few stiff particles cost their own steps and not those of the cloud.

mod bogacki_shampine;
mod check;
mod controller;
mod dense;
mod dop853;
mod dormand_prince;
mod drive;
mod euler;
mod event;
mod guard;
mod heun;
mod log;
mod midpoint;
mod observe;
mod rk4;
mod slots;
mod solve;
mod start;
mod stepper;
mod tableau;
mod trajectory;
mod tsitouras;

pub(crate) use check::{check_ends, check_mesh, check_start, check_tolerances, checked};
pub(crate) use controller::FLOOR;

pub use bogacki_shampine::BOGACKI_SHAMPINE;
pub use controller::{Controller, Decision, Memory, Pid};
pub use dense::Dense;
pub use dop853::DOP853;
pub use dormand_prince::DORMAND_PRINCE;
pub use euler::EULER;
pub use event::{Crossing, Event, Hit};
pub use heun::HEUN;
pub use midpoint::MIDPOINT;
pub use rk4::RK4;
pub use solve::Ode;
pub use stepper::{Stages, Stepper};
pub use tableau::{DenseRule, ErrorRule, Tableau};
pub use trajectory::{Counts, Status, Trajectory, Unfinished};
pub use tsitouras::TSITOURAS;

/// Every method of this module, for tables and tests that go through them all.
pub const METHODS: [Tableau; 8] =
    [EULER, MIDPOINT, HEUN, BOGACKI_SHAMPINE, RK4, DORMAND_PRINCE, TSITOURAS, DOP853];
