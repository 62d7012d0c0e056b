//! The power of the suite: bugs are planted in small variants of what the library does, and the very checks that the
//! suite applies to the library must refuse each of them. Every test first shows the check to pass on the right thing.

mod common;

use common::checks::{
    Verdict, affine_log_density, entropy_rate, euler_recursion, flow_of_ou, hermite_decay, increments,
    law_of_ou, law_of_the_reverse, ode_order, samples_two_on_the_line, spiral, tilted_gaussian,
    two_on_the_line, velocity,
};
use common::strong::{
    Mirror, additive, arsinh, boxed, check_order, check_order_on, exact_arsinh, fine_additive, strong,
};
use flows::field::{AffineField, Current, JacobianTrace, Pointwise, TimeScore};
use flows::grid::Line;
use flows::langevin::{Energy, Mala, Ula};
use flows::measures::zoo::GaussianMixture;
use flows::measures::{Density, Points, Sample, Score, Seed};
use flows::ode::{BOGACKI_SHAMPINE, DOP853, DORMAND_PRINCE, HEUN, MIDPOINT, RK4, TSITOURAS, Tableau};
use flows::path::{MixturePath, OrnsteinUhlenbeck};
use flows::sde::{
    Additive, BrownianTree, Diagonal, Direction, EulerMaruyama, Ito, Milstein, Noise, Room, Scheme, Sde,
    Sra1, Step, Stratonovich, Walk, WhiteNoise, family, reverse,
};
use flows::{Clock, FieldError, State, VelocityField};
use std::ops::Range;

/// The check must have refused; prints what it saw.
fn caught(bug: &str, verdict: Verdict) {
    match verdict {
        Err(words) => println!("{bug}: {words}"),
        Ok(()) => panic!("not caught: {bug}"),
    }
}

fn ou() -> Additive<'static, AffineField> {
    Additive::constant(AffineField::contraction(1), 2f64.sqrt()).unwrap()
}

/// Noise of a source with a bug on top.
struct Faulty<N>(N, Fault);

#[derive(Clone, Copy)]
enum Fault {
    /// Every step reads the stream of the first.
    SameStep,
    /// Every particle reads the numbers of the first.
    SameParticle,
    /// The area is read from the stream of the increment.
    SameStream,
    /// The area is forgotten.
    NoArea,
    /// The increment has the variance h/2: a √2 is missing.
    HalfVariance,
}

struct FaultyWalk<'a> {
    inner: Box<dyn Walk<Points> + 'a>,
    fault: Fault,
    first: Option<(Points, f64)>,
}

impl<N: Noise<Points>> Noise<Points> for Faulty<N> {
    fn walk(&self, rows: Range<usize>, like: &Points) -> flows::Result<Box<dyn Walk<Points> + '_>> {
        Ok(Box::new(FaultyWalk { inner: self.0.walk(rows, like)?, fault: self.1, first: None }))
    }
}

impl Walk<Points> for FaultyWalk<'_> {
    fn next(&mut self, from: f64, to: f64, w: &mut Points, levy: Option<&mut Points>) -> flows::Result<()> {
        let mut area = w.clone();
        self.inner.next(from, to, w, Some(&mut area))?;
        let h = (to - from).abs();
        match self.fault {
            Fault::SameStep => {
                let (first, length) = self.first.get_or_insert_with(|| (w.clone(), h));
                let scale = (h / *length).sqrt();
                w.as_mut_slice().iter_mut().zip(first.as_slice()).for_each(|(w, f)| *w = scale * f);
            }
            Fault::SameParticle => {
                let first = w.row(0).to_vec();
                w.rows_mut().for_each(|row| row.copy_from_slice(&first));
            }
            Fault::SameStream => {
                area.as_mut_slice().iter_mut().zip(w.as_slice()).for_each(|(a, w)| *a = w / 12f64.sqrt());
            }
            Fault::NoArea => area.as_mut_slice().fill(0.0),
            Fault::HalfVariance => w.as_mut_slice().iter_mut().for_each(|w| *w /= 2f64.sqrt()),
        }
        if let Some(levy) = levy {
            *levy = area;
        }
        Ok(())
    }
}

#[test]
fn a_missing_root_of_two() {
    let white = WhiteNoise::new(Seed::new(9));
    let euler = Sde::fixed(EulerMaruyama, 100).unwrap();
    law_of_ou("right", &euler, &ou(), &white).unwrap();
    let level_one = Additive::constant(AffineField::contraction(1), 1.0).unwrap();
    caught("noise of level 1 instead of √2", law_of_ou("Euler", &euler, &level_one, &white));
    let sra1 = Sde::fixed(Sra1, 20).unwrap();
    caught("noise of level 1, SRA1", law_of_ou("SRA1", &sra1, &level_one, &white));
    caught("W of variance h/2", increments("noise", &Faulty(white, Fault::HalfVariance)));
    caught(
        "W of variance h/2, its law",
        law_of_ou("Euler", &euler, &ou(), &Faulty(white, Fault::HalfVariance)),
    );
    // A reverse diffusion with the drift of level √2 and the noise of level 1.
    let path = MixturePath::new(OrnsteinUhlenbeck, &two_on_the_line().0).unwrap();
    let right = reverse(&path, OrnsteinUhlenbeck);
    law_of_the_reverse("right", &right, &white).unwrap();
    let drift = |t: f64, x: &Points| velocity(right.drift(), t, x);
    let quiet = Additive::constant(Batch(drift), 1.0).unwrap();
    caught("reverse noise of level 1", law_of_the_reverse("reverse", &quiet, &white));
    // Half of the noise in the Fokker–Planck equation is the current with ½∇log r.
    let data = tilted_gaussian().0;
    let gauss = MixturePath::to_gaussian(OrnsteinUhlenbeck, &data).unwrap();
    flow_of_ou("right", &Current::new(AffineField::contraction(2), &gauss, 1.0).unwrap()).unwrap();
    let half = Current::new(AffineField::contraction(2), &gauss, 0.5).unwrap();
    caught("diffusion ½ in the current", flow_of_ou("current", &half));
}

/// A field from a closure on whole batches at one time; rows do not look at one another.
struct Batch<F>(F);

impl<F: Fn(f64, &Points) -> Points + Sync> VelocityField for Batch<F> {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        match t {
            Clock::Shared(t) => *out = (self.0)(t, x),
            Clock::Each(times) => {
                for (i, &t) in times.iter().enumerate() {
                    out.scatter(&[i], &(self.0)(t, &x.select(&[i])));
                }
            }
        }
        Ok(())
    }
    fn is_pointwise(&self) -> bool {
        true
    }
}

/// −x + c ∇log r for OU from a mixture: c = −1 is right.
fn current(data: &GaussianMixture, c: f64) -> impl VelocityField + Sync {
    let path = MixturePath::new(OrnsteinUhlenbeck, data).unwrap();
    Batch(move |t: f64, x: &Points| {
        let mut out = x.clone();
        path.score(Clock::Shared(t), x, &mut out).unwrap();
        out.as_mut_slice().iter_mut().zip(x.as_slice()).for_each(|(s, x)| *s = c * *s - x);
        out
    })
}

/// The divergence of a field with its sign changed.
struct Backwards(AffineField);

impl VelocityField for Backwards {
    fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), FieldError> {
        self.0.velocity(t, x, out)
    }
    fn is_pointwise(&self) -> bool {
        true
    }
}

impl JacobianTrace for Backwards {
    fn trace(&self, t: Clock<'_>, x: &Points, ids: &[u64], out: &mut [f64]) -> Result<(), FieldError> {
        self.0.trace(t, x, ids, out)?;
        out.iter_mut().for_each(|d| *d = -*d);
        Ok(())
    }
}

#[test]
fn a_flipped_sign() {
    let white = WhiteNoise::new(Seed::new(9));
    let (data, _) = two_on_the_line();
    let away = Additive::constant(Pointwise::autonomous(1, |x, v| v[0] = x[0]), 2f64.sqrt()).unwrap();
    caught("drift +x", law_of_ou("Euler", &Sde::fixed(EulerMaruyama, 100).unwrap(), &away, &white));
    hermite_decay("right", &current(&data, -1.0)).unwrap();
    caught("v = −x + ∇log r", hermite_decay("current", &current(&data, 1.0)));
    caught("v = −x − ½∇log r", hermite_decay("current", &current(&data, -0.5)));
    let path = MixturePath::new(OrnsteinUhlenbeck, &data).unwrap();
    caught(
        "the score of a reverse run with the sign of a forward one",
        law_of_the_reverse("reverse", &family(&path, Direction::Forward, |_| 1.0), &white),
    );
    let (a, b) = spiral();
    let field = AffineField::new(&a, b).unwrap();
    affine_log_density("right", &field).unwrap();
    caught("dℓ/dt = +∇·v", affine_log_density("density", &Backwards(field)));
    // On the grid: diffusion that gathers, drift that climbs.
    let line = Line::new((-3.5, 3.5), 120, |x| 0.25 * x.powi(4) - x * x + 0.3 * x).unwrap();
    let rho = line.project(|x| (-3.0 * (x + 0.8).powi(2)).exp() + 0.05).unwrap();
    let rate = line.rate(&rho).unwrap();
    entropy_rate("right", &line, &rho, &rate).unwrap();
    let flipped: Vec<f64> = rate.iter().map(|r| -r).collect();
    caught("flux of the other sign", entropy_rate("grid", &line, &rho, &flipped));
    let uphill = Line::new((-3.5, 3.5), 120, |x| -(0.25 * x.powi(4) - x * x + 0.3 * x)).unwrap();
    caught("drift of the other sign", entropy_rate("grid", &line, &rho, &uphill.rate(&rho).unwrap()));
    // Chains that climb the energy, and chains that accept everything.
    let x0 = data.sample(10_000, &mut Seed::new(1).rng());
    let chains = |score: f64| {
        let value = |x: &[f64]| -data.log_density(&Points::from_line(x.to_vec())).unwrap()[0];
        let slope = |x: &[f64], g: &mut [f64]| {
            g[0] = -score * data.score(&Points::from_line(x.to_vec())).unwrap().row(0)[0];
        };
        Mala::new(0.4).unwrap().run(&Energy::new(1, value, slope), &x0, 60, Seed::new(2)).unwrap()
    };
    samples_two_on_the_line("right", &chains(1.0)).unwrap();
    caught("proposals against the score", samples_two_on_the_line("MALA", &chains(-1.0)));
    let ula = Ula::new(0.4).unwrap().run(&data, &x0, 60, Seed::new(2)).unwrap();
    caught("no rejection", samples_two_on_the_line("ULA", &ula));
}

/// Milstein's scheme with a factor on its correction: ½ is right.
struct MilsteinTimes(f64);

impl<A, B> Scheme<Ito<Diagonal<A, B>>, Points> for MilsteinTimes
where
    A: VelocityField + Sync,
    B: Fn(f64, &[f64], &mut [f64], &mut [f64]) + Sync,
{
    fn name(&self) -> &'static str {
        "Milstein with another correction"
    }
    fn strong_order(&self) -> f64 {
        1.0
    }
    fn evaluations(&self) -> usize {
        1
    }
    fn step(
        &self,
        equation: &Ito<Diagonal<A, B>>,
        step: Step<'_, Points>,
        x: &mut Points,
        room: &mut Room<Points>,
    ) -> Result<(), FieldError> {
        // The library's step, and the difference of the corrections at the old point.
        let old = x.clone();
        Milstein.step(equation, step, x, room)?;
        for ((x, old), w) in x.as_mut_slice().iter_mut().zip(old.as_slice()).zip(step.w.as_slice()) {
            // b ∂b = x for b = √(x² + 1).
            *x += (self.0 - 0.5) * old * (w * w - step.h);
        }
        Ok(())
    }
}

#[test]
fn a_flipped_sign_between_the_calculi() {
    let steps = [64, 128, 256, 512];
    let r = exact_arsinh;
    let ito = Ito(arsinh(0.5));
    let milstein = |factor: f64| {
        check_order("Milstein", 1.0, &steps, 120, |s| boxed(MilsteinTimes(factor), s), &ito, r, strong)
    };
    milstein(0.5).unwrap();
    caught("correction −½ b ∂b (W² − h)", milstein(-0.5));
    caught("no correction", milstein(0.0));
    let wrong = Stratonovich(arsinh(0.5));
    let taken = check_order("Milstein", 1.0, &steps, 120, |s| boxed(Milstein, s), &wrong, r, strong);
    caught("an Itô equation solved as a Stratonovich one", taken);
    let twice = Stratonovich(arsinh(0.5)).to_ito();
    let taken = check_order("Milstein", 1.0, &steps, 120, |s| boxed(Milstein, s), &twice, r, strong);
    caught("½ b ∂b added to an Itô drift", taken);
}

/// A scheme that reads its drift one step late.
struct Late<C>(C);

impl<A, C> Scheme<Additive<'static, A>, Points> for Late<C>
where
    A: VelocityField + Sync + 'static,
    C: Scheme<Additive<'static, A>, Points>,
{
    fn name(&self) -> &'static str {
        "late"
    }
    fn strong_order(&self) -> f64 {
        self.0.strong_order()
    }
    fn evaluations(&self) -> usize {
        self.0.evaluations()
    }
    fn uses_area(&self) -> bool {
        self.0.uses_area()
    }
    fn step(
        &self,
        equation: &Additive<'static, A>,
        step: Step<'_, Points>,
        x: &mut Points,
        room: &mut Room<Points>,
    ) -> Result<(), FieldError> {
        self.0.step(equation, Step { t: step.t + step.h, ..step }, x, room)
    }
}

/// Euler–Maruyama that forgets its first step.
struct SkipsOne;

impl Scheme<Additive<'static, AffineField>, Points> for SkipsOne {
    fn name(&self) -> &'static str {
        "one step short"
    }
    fn strong_order(&self) -> f64 {
        1.0
    }
    fn evaluations(&self) -> usize {
        1
    }
    fn step(
        &self,
        equation: &Additive<'static, AffineField>,
        step: Step<'_, Points>,
        x: &mut Points,
        room: &mut Room<Points>,
    ) -> Result<(), FieldError> {
        if step.t > 0.0 { EulerMaruyama.step(equation, step, x, room) } else { Ok(()) }
    }
}

/// The nodes of stages that do not know what time it is.
const NOW: [f64; 7] = [0.0; 7];

#[test]
fn a_step_off_by_one() {
    // A mesh that ends a step early or late: every method but Euler's falls to order one.
    for method in [MIDPOINT, HEUN, BOGACKI_SHAMPINE, RK4, DORMAND_PRINCE, TSITOURAS, DOP853] {
        let h = |n: usize| 3.0 / n as f64;
        caught(&format!("{}, one step short", method.name), ode_order(method, |n| 3.0 - h(n)));
        caught(&format!("{}, one step too many", method.name), ode_order(method, |n| 3.0 + h(n)));
    }
    // Stages that all read the time of the first.
    for method in [MIDPOINT, HEUN, BOGACKI_SHAMPINE, RK4, DORMAND_PRINCE, TSITOURAS] {
        let late = Tableau { c: &NOW[..method.c.len()], ..method };
        caught(&format!("{}, c = 0", method.name), ode_order(late, |_| 3.0));
    }
    let steps = [16, 32, 64, 128];
    let late = |s| boxed(Late(Sra1), s);
    caught(
        "SRA1 that reads its drift a step late",
        check_order("SRA1", 1.5, &steps, 120, late, &additive(), fine_additive, strong),
    );
    euler_recursion("right", EulerMaruyama).unwrap();
    caught("Euler–Maruyama, one step short", euler_recursion("Euler", SkipsOne));
}

#[test]
fn a_stream_used_twice() {
    let white = WhiteNoise::new(Seed::new(31));
    increments("right", &white).unwrap();
    for (bug, fault) in [
        ("every step reads the stream of the first", Fault::SameStep),
        ("every particle reads the numbers of the first", Fault::SameParticle),
        ("the area reads the stream of the increment", Fault::SameStream),
    ] {
        caught(bug, increments("white noise", &Faulty(white, fault)));
        let tree = BrownianTree::new(Seed::new(32), 0.0, 1.0, 1).unwrap();
        caught(bug, increments("tree", &Faulty(tree, fault)));
    }
    // And by what it does to a law.
    let euler = Sde::fixed(EulerMaruyama, 100).unwrap();
    for fault in [Fault::SameStep, Fault::SameParticle] {
        caught("reused streams, their law", law_of_ou("Euler", &euler, &ou(), &Faulty(white, fault)));
    }
    // A scheme of order 1.5 without its areas, or with those of another stream, is of order one.
    let steps = [16, 32, 64, 128];
    let by = |fault: Fault| {
        let (make, through) = (|s| boxed(Sra1, s), |mirror: Mirror| Faulty(mirror, fault));
        check_order_on("SRA1", 1.5, &steps, 120, make, &additive(), fine_additive, strong, through)
    };
    caught("areas forgotten", by(Fault::NoArea));
    caught("areas of the wrong stream", by(Fault::SameStream));
}
