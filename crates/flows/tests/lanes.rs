//! The fast path: the general solver to round-off, in company as alone, on every instruction set, and what goes wrong.

mod common;

use common::largest;
use flows::field::AffineField;
use flows::lanes::{
    BogackiShampine, Dop853, DormandPrince, Euler, Heun, InLanes, LaneField, LaneMethod, LaneOde, LanePace,
    LaneSde, LaneWidth, Midpoint, MixtureFlow, MixtureScore, Rk4, Tsitouras,
};
use flows::measures::lanes::{Isa, Real, force};
use flows::measures::zoo::{Gaussian, GaussianMixture};
use flows::measures::{Points, Sample, Score, Seed};
use flows::ode::{METHODS, Ode, Pid, Status};
use flows::path::{Linear, MixturePath, OrnsteinUhlenbeck, Trigonometric, VariancePreserving};
use flows::sde::{Additive, EulerMaruyama, Sde, WhiteNoise};
use flows::{Clock, Error, VelocityField};

fn cloud(n: usize, d: usize, seed: u64) -> Points {
    Gaussian::standard(d).sample(n, &mut Seed::new(seed).rng())
}

/// A turn whose rate depends on time and place: coupled, nonlinear and not autonomous.
#[derive(Clone, Copy)]
struct Turn;

impl LaneField<2> for Turn {
    #[inline(always)]
    fn velocity<R: Real>(&self, t: R, x: &[R; 2]) -> [R; 2] {
        let rate = x[0].mul_add(t.num(0.1), t.num(1.0));
        let drag = t * (t.num(0.4) - t * t.num(0.1));
        [x[1] * (rate + drag), drag - x[0] * rate]
    }
}

/// x′ = (−r x, 0): the rate r is the particle's own.
struct Rates;

impl LaneField<2> for Rates {
    #[inline(always)]
    fn velocity<R: Real>(&self, _: R, x: &[R; 2]) -> [R; 2] {
        [-(x[1] * x[0]), x[0].num(0.0)]
    }
}

fn ring() -> GaussianMixture {
    GaussianMixture::ring(8, 4.0, 0.5).unwrap()
}

/// Every method by the lanes and by the general solver.
fn each_method(check: impl Fn(usize, &dyn Fn(Mode, &Points, (f64, f64)) -> flows::Trajectory<Points>)) {
    fn of<M: LaneMethod>(method: M) -> impl Fn(Mode, &Points, (f64, f64)) -> flows::Trajectory<Points> {
        move |mode, x, (t0, t1)| {
            match mode {
                Mode::Fixed(count) => LaneOde::fixed(method, count).unwrap().solve(&Turn, x, t0, t1),
                Mode::Adaptive(tolerance, pid) => {
                    let ode = LaneOde::adaptive(method, tolerance, tolerance).unwrap().controller(pid);
                    ode.solve(&Turn, x, t0, t1)
                }
            }
            .unwrap()
        }
    }
    check(0, &of(Euler));
    check(1, &of(Midpoint));
    check(2, &of(Heun));
    check(3, &of(BogackiShampine));
    check(4, &of(Rk4));
    check(5, &of(DormandPrince));
    check(6, &of(Tsitouras));
    check(7, &of(Dop853));
}

#[derive(Clone, Copy)]
enum Mode {
    Fixed(usize),
    Adaptive(f64, Pid),
}

#[test]
fn fixed_steps_are_those_of_the_general_solver() {
    let x = cloud(301, 2, 1);
    each_method(|m, lanes| {
        for (t0, t1) in [(0.0, 2.0), (1.5, -0.3)] {
            let general = Ode::fixed(METHODS[m], 17).unwrap().solve(&InLanes(Turn), &x, t0, t1).unwrap();
            let fast = lanes(Mode::Fixed(17), &x, (t0, t1));
            let gap = largest(&fast.end, &general.end);
            println!("{:<24} {gap:e}", METHODS[m].name);
            assert!(gap < 2e-14, "{}: {gap:e}", METHODS[m].name);
            assert_eq!((&fast.counts, &fast.status), (&general.counts, &general.status));
            assert_eq!(fast.times, general.times);
        }
    });
    let mesh = vec![0.0, 0.1, 0.7, 0.75, 2.0];
    let general =
        Ode::on_mesh(METHODS[4], mesh.clone()).unwrap().solve(&InLanes(Turn), &x, 0.0, 2.0).unwrap();
    let fast = LaneOde::on_mesh(Rk4, mesh).unwrap().solve(&Turn, &x, 0.0, 2.0).unwrap();
    assert!(largest(&fast.end, &general.end) < 2e-14);
}

#[test]
fn adaptive_steps_are_those_of_the_general_solver() {
    let x = cloud(301, 2, 2);
    each_method(|m, lanes| {
        let method = METHODS[m];
        if flows::Stepper::<Points>::error_order(&method).is_none() {
            return;
        }
        for pid in [Pid::I, Pid::PI, Pid::PID] {
            for (tolerance, t0, t1) in [(1e-5, 0.0, 3.0), (1e-8, 2.0, 0.5)] {
                if method.order < 4 && tolerance < 1e-6 {
                    continue;
                }
                let general = Ode::adaptive(method, tolerance, tolerance).unwrap().controller(pid);
                let general = general.solve(&InLanes(Turn), &x, t0, t1).unwrap();
                let fast = lanes(Mode::Adaptive(tolerance, pid), &x, (t0, t1));
                // A decision may fall the other way on a tie; with these starts none does.
                let gap = largest(&fast.end, &general.end);
                println!("{:<24} {tolerance:e} {gap:e}", method.name);
                assert!(gap < 1e-10, "{}: {gap:e}", method.name);
                assert!(fast.is_finished() && fast.times.iter().all(|t| *t == t1));
                for (a, b) in fast.counts.iter().zip(&general.counts) {
                    assert_eq!((a.accepted, a.rejected), (b.accepted, b.rejected), "{}", method.name);
                }
                if method.fsal {
                    assert_eq!(fast.counts, general.counts);
                }
            }
        }
    });
}

#[test]
fn single_precision_is_within_its_round_off() {
    fn check<P: LanePace>(fast: LaneOde<P>, exact: &LaneOde<P>) {
        let x = cloud(500, 2, 3);
        let single = fast.single().solve(&Turn, &x, 0.0, 3.0).unwrap();
        let gap = largest(&single.end, &exact.solve(&Turn, &x, 0.0, 3.0).unwrap().end);
        println!("single precision: {gap:e}");
        assert!(single.is_finished() && gap < 1e-4, "{gap:e}");
        assert!(single.times.iter().all(|t| *t == 3.0));
    }
    let fixed = LaneOde::fixed(Tsitouras, 40).unwrap();
    check(fixed.clone(), &fixed);
    let ode = |tolerance| LaneOde::adaptive(Tsitouras, tolerance, tolerance).unwrap();
    check(ode(1e-5), &ode(1e-10));
}

#[test]
fn a_particle_is_alone_in_any_company_and_on_any_instruction_set() {
    fn check<P: LanePace, S: LaneWidth>(ode: &LaneOde<P, S>) {
        let x = cloud(3_001, 2, 4);
        let field = MixtureScore::<2>::new(&ring(), 1.0).unwrap();
        let all = ode.solve(&field, &x, 0.0, 1.0).unwrap();
        for i in [0, 7, 8, 255, 256, 3_000] {
            let one = ode.solve(&field, &x.select(&[i]), 0.0, 1.0).unwrap();
            assert_eq!((one.end.row(0), one.counts[0]), (all.end.row(i), all.counts[i]));
        }
        for isa in Isa::available() {
            force(Some(isa)).unwrap();
            let here = ode.solve(&field, &x, 0.0, 1.0).unwrap();
            force(None).unwrap();
            assert_eq!((&here.end, &here.counts), (&all.end, &all.counts), "{isa:?}");
        }
    }
    let (fixed, adaptive) =
        (LaneOde::fixed(Tsitouras, 9).unwrap(), LaneOde::adaptive(Tsitouras, 1e-4, 1e-4).unwrap());
    check(&fixed);
    check(&adaptive);
    check(&fixed.single());
    check(&adaptive.single());
}

#[test]
fn stiff_particles_cost_their_own_steps() {
    let n = 2_000;
    let x =
        Points::from_fn(n, 2, |i, row| row.copy_from_slice(&[1.0, if i % 100 == 0 { 100.0 } else { 1.0 }]));
    let ode = LaneOde::adaptive(Tsitouras, 1e-6, 1e-6).unwrap();
    let run = ode.solve(&Rates, &x, 0.0, 1.0).unwrap();
    assert!(run.is_finished() && run.counts[0].accepted > 4 * run.counts[1].accepted);
    assert!((1..n).all(|i| run.counts[i] == run.counts[usize::from(i % 100 != 0)]));
    for (end, x) in run.end.rows().zip(x.rows()) {
        assert!((end[0] - (-x[1]).exp()).abs() < 1e-5);
    }
    // A budget of steps is too little for them alone, and what they had reached is kept.
    let most = run.counts[1].accepted + 2;
    let short = ode.max_steps(most).unwrap().solve(&Rates, &x, 0.0, 1.0).unwrap();
    for i in 0..n {
        let stiff = i % 100 == 0;
        assert_eq!(short.status[i], if stiff { Status::MaxSteps } else { Status::Finished });
        if stiff {
            assert_eq!(short.counts[i].accepted + short.counts[i].rejected, most);
            assert!(short.times[i] > 0.0 && short.times[i] < 1.0);
            assert!((short.end.row(i)[0] - (-100.0 * short.times[i]).exp()).abs() < 1e-5);
        } else {
            assert_eq!(short.end.row(i), run.end.row(i));
        }
    }
}

/// x′ = x, NaN beyond 2.
struct Cliff;

impl LaneField<1> for Cliff {
    #[inline(always)]
    fn velocity<R: Real>(&self, _: R, x: &[R; 1]) -> [R; 1] {
        [x[0].num(2.0).if_less(x[0], x[0].num(f64::NAN), x[0])]
    }
}

/// x′ = x², which leaves the line at t = 1/x₀.
struct Explosion;

impl LaneField<1> for Explosion {
    #[inline(always)]
    fn velocity<R: Real>(&self, _: R, x: &[R; 1]) -> [R; 1] {
        [x[0] * x[0]]
    }
}

#[test]
fn one_bad_particle_changes_no_other_bit() {
    fn with(bad: &[f64]) -> Points {
        let good: Vec<f64> = (0..40).map(|i| 0.018 * f64::from(i)).collect();
        Points::from_line([&good[..5], bad, &good[5..]].concat())
    }
    fn check<P: LanePace, S: LaneWidth>(ode: &LaneOde<P, S>) {
        let alone = ode.solve(&Cliff, &with(&[]), 0.0, 1.0).unwrap();
        let run = ode.solve(&Cliff, &with(&[1.5, 2.5]), 0.0, 1.0).unwrap();
        assert!(alone.is_finished());
        for i in 0..40 {
            let j = if i < 5 { i } else { i + 2 };
            assert_eq!((run.end.row(j), run.status[j]), (alone.end.row(i), Status::Finished));
            assert_eq!(run.counts[j], alone.counts[i]);
        }
        assert_eq!((run.status[5], run.status[6]), (Status::NonFinite, Status::NonFinite));
        assert_eq!((run.times[6], run.end.row(6)[0], run.counts[6].accepted), (0.0, 2.5, 0));
        // ln(4/3) = 0.288 is where the other meets the cliff.
        assert!(run.times[5] > 0.2 && run.times[5] < 0.2878 && run.end.row(5)[0] <= 2.001);
        let first = run.first_unfinished().unwrap();
        assert_eq!((first.row, first.of), (5, 2));
    }
    let (fixed, adaptive) =
        (LaneOde::fixed(Tsitouras, 20).unwrap(), LaneOde::adaptive(Tsitouras, 1e-5, 1e-5).unwrap());
    check(&fixed);
    check(&adaptive);
    check(&fixed.single());
    check(&adaptive.single());
    // The general solver says the same of the same particles.
    let general = Ode::fixed(flows::ode::TSITOURAS, 20).unwrap();
    let general = general.solve(&InLanes(Cliff), &with(&[1.5, 2.5]), 0.0, 1.0).unwrap();
    let fast = LaneOde::fixed(Tsitouras, 20).unwrap().solve(&Cliff, &with(&[1.5, 2.5]), 0.0, 1.0).unwrap();
    assert_eq!((fast.status, fast.times), (general.status, general.times));
    assert!(largest(&fast.end, &general.end) < 1e-13);

    let x = Points::from_line(vec![0.25, 1.0, 0.1]);
    let run = LaneOde::adaptive(DormandPrince, 1e-8, 1e-8).unwrap().solve(&Explosion, &x, 0.0, 2.0).unwrap();
    assert!(matches!(run.status[1], Status::StepUnderflow | Status::NonFinite), "{:?}", run.status);
    assert!((run.times[1] - 1.0).abs() < 1e-6 && run.end.row(1)[0] > 1e6 && run.end.row(1)[0].is_finite());
    assert!((run.end.row(0)[0] - 0.5).abs() < 1e-7 && (run.end.row(2)[0] - 0.125).abs() < 1e-7);
}

#[test]
fn mixtures_on_lanes_are_those_of_the_zoo() {
    let x = cloud(77, 2, 5);
    let parts = Points::from_rows(&[[1.0, 0.5], [-2.0, 1.0], [0.0, -1.5]]);
    let uneven = GaussianMixture::isotropic(vec![0.2, 0.5, 0.3], parts, &[0.4, 0.9, 0.6]).unwrap();
    for mixture in [ring(), uneven] {
        let mut v = x.clone();
        InLanes(MixtureScore::<2>::new(&mixture, -0.5).unwrap())
            .velocity(Clock::Shared(0.0), &x, &mut v)
            .unwrap();
        let score = mixture.score(&x).unwrap();
        let exact = Points::from_fn(77, 2, |i, row| (0..2).for_each(|c| row[c] = -0.5 * score.row(i)[c]));
        assert!(largest(&v, &exact) < 1e-12, "{:e}", largest(&v, &exact));

        let times: Vec<f64> = (0..77).map(|i| 0.05 + 0.9 * f64::from(i) / 77.0).collect();
        let same = |name: &str, fast: &dyn VelocityField, path: &dyn VelocityField| {
            let (mut a, mut b) = (x.clone(), x.clone());
            fast.velocity(Clock::Each(&times), &x, &mut a).unwrap();
            path.velocity(Clock::Each(&times), &x, &mut b).unwrap();
            let gap = a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).abs() / (1.0 + b.abs()));
            let gap = gap.fold(0.0, f64::max);
            assert!(gap < 1e-11, "{name}: {gap:e}");
        };
        macro_rules! schedules {
            ($($schedule:expr),+) => {$(
                let fast = InLanes(MixtureFlow::<2, _>::new($schedule, &mixture).unwrap());
                let path = MixturePath::new($schedule, &mixture).unwrap();
                same(flows::path::Schedule::name(&$schedule), &fast, &path);
            )+};
        }
        schedules!(Linear, OrnsteinUhlenbeck, Trigonometric, VariancePreserving::default());
    }
    // Outside the span there is no path: its particles stop at the edge.
    let flow = MixtureFlow::<2, _>::new(Linear, &ring()).unwrap();
    let run = LaneOde::adaptive(Tsitouras, 1e-6, 1e-6).unwrap().solve(&flow, &x, 0.5, 1.5).unwrap();
    assert!(run.status.iter().all(|s| *s == Status::NonFinite));
    assert!(run.times.iter().all(|t| *t <= 1.0 && *t > 0.98), "{:?}", &run.times[..5]);
    let skewed = Gaussian::diagonal(&[0.0, 0.0], &[1.0, 2.0]).unwrap();
    let skewed = GaussianMixture::new(vec![1.0], &[skewed]).unwrap();
    assert!(
        MixtureScore::<2>::new(&skewed, 1.0).is_err() && MixtureFlow::<2, _>::new(Linear, &skewed).is_err()
    );
    assert!(
        MixtureScore::<3>::new(&ring(), 1.0).is_err() && MixtureScore::<2>::new(&ring(), f64::NAN).is_err()
    );
}

/// −x on ℝᴰ; NaN beyond 5.
struct Home;

impl<const D: usize> LaneField<D> for Home {
    #[inline(always)]
    fn velocity<R: Real>(&self, t: R, x: &[R; D]) -> [R; D] {
        let mut v = *x;
        for c in 0..D {
            v[c] = t.num(5.0).if_less(x[c], t.num(f64::NAN), -x[c]);
        }
        v
    }
}

#[test]
fn euler_maruyama_walks_the_same_path() {
    fn check<const D: usize>() {
        let noise = WhiteNoise::new(Seed::new(6));
        let mut x = cloud(1_500, D, 7);
        let level = |t: f64| 1.0 + 0.3 * t;
        let general = Additive::new(AffineField::contraction(D), level);
        let fast = Additive::new(Home, level);
        let sde = LaneSde::euler_maruyama(23).unwrap();
        let a = Sde::fixed(EulerMaruyama, 23).unwrap().solve(&general, &noise, &x, 0.0, 1.0).unwrap();
        let b = sde.solve::<D, _>(&fast, &noise, &x, 0.0, 1.0).unwrap();
        assert!(a.is_finished() && b.is_finished());
        assert!(largest(&a.end, &b.end) < 1e-13, "{:e}", largest(&a.end, &b.end));
        assert_eq!(a.counts, b.counts);
        // One that starts beyond the edge stops there, and nobody else notices.
        x.row_mut(777)[0] = 6.0;
        let c = sde.solve::<D, _>(&fast, &noise, &x, 0.0, 1.0).unwrap();
        assert_eq!((c.status[777], c.times[777], c.end.row(777)[0]), (Status::NonFinite, 0.0, 6.0));
        assert!(
            (0..1_500).all(|i| i == 777 || (c.end.row(i) == b.end.row(i) && c.status[i] == Status::Finished))
        );
        // Backwards, and on a mesh.
        let near = Points::from_fn(1_500, D, |i, v| (0..D).for_each(|c| v[c] = 0.2 * a.end.row(i)[c]));
        let back = LaneSde::on_mesh(vec![1.0, 0.4, 0.1]).unwrap();
        let b = back.solve::<D, _>(&fast, &noise, &near, 1.0, 0.1).unwrap();
        let a = Sde::on_mesh(EulerMaruyama, vec![1.0, 0.4, 0.1])
            .unwrap()
            .solve(&general, &noise, &near, 1.0, 0.1);
        assert!(largest(&a.unwrap().end, &b.end) < 1e-13);
        for isa in Isa::available() {
            force(Some(isa)).unwrap();
            let here = sde.solve::<D, _>(&fast, &noise, &x, 0.0, 1.0).unwrap();
            force(None).unwrap();
            assert_eq!(here.end, c.end, "{isa:?}");
        }
    }
    check::<1>();
    check::<2>();
    check::<3>();
}

#[test]
fn bad_input_is_one_clear_line() {
    let x = cloud(3, 2, 8);
    let ode = LaneOde::adaptive(Tsitouras, 1e-6, 1e-6).unwrap();
    assert!(matches!(ode.solve(&Turn, &x, 1.0, 1.0), Err(Error::EmptyInterval { .. })));
    let line = |r: flows::Result<flows::Trajectory<Points>>| r.unwrap_err().to_string();
    assert_eq!(
        line(ode.solve(&Turn, &cloud(3, 5, 0), 0.0, 1.0)),
        "initial state: dimension 5 where 2 is needed"
    );
    assert_eq!(
        line(ode.solve(&Turn, &Points::zeros(0, 2), 0.0, 1.0)),
        "particles: 0 given, at least 1 needed"
    );
    assert_eq!(line(ode.solve(&Turn, &x, 0.0, f64::INFINITY)), "t1 = inf: must be finite");
    let mut bad = x.clone();
    bad.row_mut(2)[1] = f64::NAN;
    assert!(matches!(ode.solve(&Turn, &bad, 0.0, 1.0), Err(Error::Start { row: 2 })));
    bad.row_mut(2)[1] = 1e39;
    let single = ode.clone().single();
    assert_eq!(
        line(single.solve(&Turn, &bad, 0.0, 1.0)),
        "initial state[5] = 1000000000000000000000000000000000000000: must be finite in single precision, below 3.4e38"
    );
    assert!(matches!(single.solve(&Turn, &x, 1.0, 1.0 + 1e-12), Err(Error::EmptyInterval { .. })));
    assert!(
        LaneOde::adaptive(Tsitouras, 0.0, 0.0).is_err() && LaneOde::adaptive(Tsitouras, -1.0, 1.0).is_err()
    );
    assert!(matches!(LaneOde::adaptive(Rk4, 1e-3, 1e-3), Err(Error::NoErrorEstimate { method: "RK4" })));
    assert!(LaneOde::fixed(Rk4, 0).is_err() && LaneOde::on_mesh(Rk4, vec![0.0, 1.0, 1.0]).is_err());
    let mesh = LaneOde::on_mesh(Rk4, vec![0.0, 1.0]).unwrap();
    assert!(matches!(mesh.solve(&Turn, &x, 0.0, 2.0), Err(Error::Time { what: "t1", .. })));
    assert!(ode.clone().max_steps(0).is_err() && ode.clone().first_step(0.0).is_err());
    assert!(ode.clone().longest_step(f64::NAN).is_err());
    assert!(LaneSde::euler_maruyama(0).is_err() && LaneSde::on_mesh(vec![1.0]).is_err());
    let ou = Additive::constant(Home, 1.0).unwrap();
    let sde = LaneSde::euler_maruyama(3).unwrap();
    let noise = WhiteNoise::new(Seed::new(0));
    assert!(sde.solve::<3, _>(&ou, &noise, &x, 0.0, 1.0).is_err());
    assert!(sde.solve::<2, _>(&ou, &noise, &x, 0.0, 0.0).is_err());
}

#[test]
fn steps_keep_to_what_they_are_told() {
    let x = cloud(20, 2, 9);
    let ode = LaneOde::adaptive(Tsitouras, 1e-3, 1e-3).unwrap().longest_step(0.01).unwrap();
    let run = ode.solve(&Turn, &x, 0.0, 1.0).unwrap();
    assert!(run.counts.iter().all(|c| c.accepted >= 100));
    let first = LaneOde::adaptive(Tsitouras, 1e-6, 1e-6).unwrap().first_step(0.05).unwrap();
    let a = first.solve(&Turn, &x, 0.0, 1.0).unwrap();
    let general = Ode::adaptive(flows::ode::TSITOURAS, 1e-6, 1e-6).unwrap().first_step(0.05).unwrap();
    let b = general.solve(&InLanes(Turn), &x, 0.0, 1.0).unwrap();
    assert_eq!(a.counts, b.counts);
    assert!(largest(&a.end, &b.end) < 1e-10);
}
