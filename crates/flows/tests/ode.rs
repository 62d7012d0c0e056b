//! The solver of eq. (7): accuracy, both directions, particles on their own, events, and what goes wrong.

use flows::field::{AffineField, Cloud, Pointwise};
use flows::measures::nalgebra::DMatrix;
use flows::measures::{Map, Points, Sample, Seed, zoo::Gaussian};
use flows::ode::{
    BOGACKI_SHAMPINE, Crossing, DOP853, DORMAND_PRINCE, EULER, Event, HEUN, METHODS, MIDPOINT, Ode, Pid, RK4,
    Status, TSITOURAS,
};
use flows::{Clock, Error, VelocityField};

fn cloud(n: usize, d: usize, seed: u64) -> Points {
    Gaussian::standard(d).sample(n, &mut Seed::new(seed).rng())
}

fn gap(a: &Points, b: &Points) -> f64 {
    assert_eq!((a.len(), a.dim()), (b.len(), b.dim()));
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn spiral() -> AffineField {
    AffineField::new(&DMatrix::from_row_slice(2, 2, &[-0.3, 2.0, -1.5, -0.1]), vec![0.5, -1.0]).unwrap()
}

#[test]
fn affine_flows_are_met_to_tolerance_in_both_directions() {
    let (field, x) = (spiral(), cloud(700, 2, 1));
    let exact = field.flow(2.5).unwrap().apply(&x).unwrap();
    for method in [MIDPOINT, HEUN, BOGACKI_SHAMPINE, DORMAND_PRINCE, TSITOURAS, DOP853] {
        let tolerance = if method.order == 2 { 1e-6 } else { 1e-9 };
        let ode = Ode::adaptive(method, tolerance, tolerance).unwrap();
        let end = ode.solve(&field, &x, 0.0, 2.5).unwrap().finished().unwrap();
        let back = ode.solve(&field, &end, 2.5, 0.0).unwrap().finished().unwrap();
        let (error, round) = (gap(&end, &exact), gap(&back, &x));
        assert!(error < 200.0 * tolerance, "{}: {error:e}", method.name);
        assert!(round < 1000.0 * tolerance, "{}: {round:e} on the way back", method.name);
    }
}

#[test]
fn controllers_keep_the_tolerance_shared_or_not() {
    let (field, x) = (spiral(), cloud(300, 2, 2));
    let exact = field.flow(4.0).unwrap().apply(&x).unwrap();
    for controller in [Pid::I, Pid::PI, Pid::PID] {
        for shared in [false, true] {
            let ode = Ode::adaptive(TSITOURAS, 1e-8, 1e-8).unwrap().controller(controller);
            let ode = if shared { ode.shared() } else { ode };
            let run = ode.solve(&field, &x, 0.0, 4.0).unwrap();
            let total = run.total();
            assert!(run.is_finished() && total.accepted < 300 * 160, "{total:?}");
            // First-same-as-last: six evaluations an attempt, one for the start and one for the first step.
            assert_eq!(total.evaluations, 300 * 2 + 6 * (total.accepted + total.rejected));
            assert!(gap(&run.end, &exact) < 3e-6);
        }
    }
}

#[test]
fn fixed_steps_count_their_evaluations_and_end_exactly() {
    let x = cloud(10, 2, 3);
    for method in METHODS {
        let run = Ode::fixed(method, 7).unwrap().solve(&spiral(), &x, 0.1, 0.8).unwrap();
        let stages = method.stages() - usize::from(method.fsal);
        assert_eq!(run.counts[3].evaluations, 7 * stages + usize::from(method.fsal), "{}", method.name);
        assert!(run.times.iter().all(|t| *t == 0.8) && run.is_finished());
    }
    let mesh = vec![1.0, 0.9, 0.5, 0.0];
    let ode = Ode::on_mesh(RK4, mesh.clone()).unwrap();
    let by_mesh = ode.solve(&spiral(), &x, 1.0, 0.0).unwrap();
    let by_hand = mesh.windows(2).fold(x.clone(), |x, w| {
        Ode::fixed(RK4, 1).unwrap().solve(&spiral(), &x, w[0], w[1]).unwrap().finished().unwrap()
    });
    assert_eq!(by_mesh.end, by_hand);
    assert!(matches!(ode.solve(&spiral(), &x, 1.0, 0.1), Err(Error::Time { what: "t1", .. })));
}

#[test]
fn bytes_depend_on_the_particle_alone() {
    // A particle's steps and bits are the same in any company: alone, in a crowd, among the stiff.
    let field = Pointwise::new(2, |t, x: &[f64], v: &mut [f64]| {
        v[0] = x[1] * (1.0 + t).cos();
        v[1] = -x[0].sin() * (1.0 + 50.0 * x[0] * x[0]);
    });
    let x = cloud(9_000, 2, 4);
    let ode = Ode::adaptive(TSITOURAS, 1e-6, 1e-6).unwrap().save_at(&[0.0, 0.31, 1.0]);
    let all = ode.solve(&field, &x, 0.0, 1.0).unwrap();
    let batch = ode.solve_batch(&field, &x, 0.0, 1.0).unwrap();
    assert_eq!(all.end, batch.end);
    assert_eq!(all.counts, batch.counts);
    for i in [0, 255, 256, 4_095, 4_096, 8_999] {
        let one = ode.solve(&field, &x.select(&[i]), 0.0, 1.0).unwrap();
        assert_eq!(one.end.row(0), all.end.row(i));
        assert_eq!(one.counts[0], all.counts[i]);
        (0..3).for_each(|k| assert_eq!(one.saved[k].1.row(0), all.saved[k].1.row(i)));
    }
    assert_eq!(all.saved[0].1, x);
    assert_eq!(all.saved[2].1, all.end);
}

#[test]
fn one_bad_particle_changes_no_other_bit() {
    // NaN beyond x = 2, an error beyond x = 3: particles that get there stop there, the others do not notice.
    struct Cliff;
    impl VelocityField for Cliff {
        fn velocity(&self, t: Clock<'_>, x: &Points, out: &mut Points) -> Result<(), flows::FieldError> {
            t.check(x.len())?;
            for (v, x) in out.rows_mut().zip(x.rows()) {
                if x[0] > 3.0 {
                    return Err("over the cliff".into());
                }
                v[0] = if x[0] > 2.0 { f64::NAN } else { x[0] };
            }
            Ok(())
        }
        fn is_pointwise(&self) -> bool {
            true
        }
    }
    let good = [0.1, 0.2, 0.3, -5.0, 0.4];
    let with = |extra: &[f64]| Points::from_line([&good[..2], extra, &good[2..]].concat());
    for ode in [
        Ode::adaptive(TSITOURAS, 1e-7, 1e-9).unwrap(),
        Ode::adaptive(BOGACKI_SHAMPINE, 1e-5, 1e-7).unwrap().save_at(&[0.5, 1.0]),
        Ode::fixed(RK4, 20).unwrap().dense(),
        Ode::fixed(DOP853, 5).unwrap(),
        Ode::adaptive(DOP853, 1e-9, 1e-9).unwrap(),
    ] {
        let alone = ode.solve(&Cliff, &with(&[]), 0.0, 1.0).unwrap();
        assert!(alone.is_finished());
        let run = ode.solve(&Cliff, &with(&[1.5, 2.5, 3.5]), 0.0, 1.0).unwrap();
        let others = [0, 1, 5, 6, 7];
        assert_eq!(run.end.select(&others), alone.end);
        assert!(others.iter().all(|&i| run.status[i] == Status::Finished));
        assert!(matches!(run.status[2], Status::NonFinite | Status::Field), "{:?}", run.status[2]);
        assert_eq!((run.status[3], run.times[3], run.end.row(3)[0]), (Status::NonFinite, 0.0, 2.5));
        assert_eq!((run.status[4], run.times[4], run.end.row(4)[0]), (Status::Field, 0.0, 3.5));
        assert!(run.times[2] > 0.0 && run.times[2] < 0.3 && run.end.row(2)[0] <= 2.0 + 1e-9);
        assert_eq!(run.failures.iter().map(|f| f.0).filter(|r| *r == 4).count(), 1);
        assert!(run.failures.iter().any(|f| f.1.to_string() == "over the cliff"));
        let unfinished = run.finished().unwrap_err();
        assert_eq!((unfinished.row, unfinished.of), (2, 3));
    }
    // Adaptive steps come as near to the cliff as they can.
    let run = Ode::adaptive(TSITOURAS, 1e-7, 1e-9).unwrap().solve(&Cliff, &with(&[1.5]), 0.0, 1.0).unwrap();
    assert!((run.times[2] - (2.0f64 / 1.5).ln()).abs() < 1e-6, "{}", run.times[2]);
    // So do shared steps, and the others still finish.
    let run = Ode::adaptive(TSITOURAS, 1e-7, 1e-9)
        .unwrap()
        .shared()
        .solve(&Cliff, &with(&[1.5]), 0.0, 1.0)
        .unwrap();
    assert_eq!(run.status[2], Status::NonFinite);
    assert!((0..6).all(|i| i == 2 || run.status[i] == Status::Finished));
    assert!((run.end.row(0)[0] - 0.1 * 1f64.exp()).abs() < 1e-5);
}

#[test]
fn singularities_and_limits_end_with_a_status() {
    // x' = x² blows up at t = 1/x₀.
    let explosion = Pointwise::autonomous(1, |x, v| v[0] = x[0] * x[0]);
    let x = Points::from_line(vec![1.0, 0.25]);
    let run = Ode::adaptive(DORMAND_PRINCE, 1e-8, 1e-8).unwrap().solve(&explosion, &x, 0.0, 2.0).unwrap();
    assert!(matches!(run.status[0], Status::StepUnderflow | Status::NonFinite), "{:?}", run.status);
    assert!((run.times[0] - 1.0).abs() < 1e-6 && run.end.row(0)[0] > 1e6 && run.end.row(0)[0].is_finite());
    assert_eq!(run.status[1], Status::Finished);
    assert!((run.end.row(1)[0] - 0.5).abs() < 1e-7);

    // A stiff particle is too much for a budget of steps, not for another particle.
    let stiff = Pointwise::autonomous(2, |x, v| (v[0], v[1]) = (-x[1] * (x[0] - 1.0), 0.0));
    let x = Points::from_rows(&[[0.0, 1.0], [0.0, 1e6]]);
    let ode = Ode::adaptive(TSITOURAS, 1e-6, 1e-6).unwrap().max_steps(200).unwrap();
    let run = ode.solve(&stiff, &x, 0.0, 1.0).unwrap();
    assert_eq!(run.status, [Status::Finished, Status::MaxSteps]);
    assert_eq!(run.counts[1].accepted + run.counts[1].rejected, 200);
    assert!(run.times[1] > 0.0 && run.times[1] < 1.0);

    // A velocity that is singular at the end: the last stage of a pair is evaluated there, Euler's never.
    let schedule = Pointwise::new(1, |t, x: &[f64], v: &mut [f64]| v[0] = -x[0] / (1.0 - t).powi(2));
    let x = Points::from_line(vec![1.0]);
    let run = Ode::adaptive(TSITOURAS, 1e-6, 1e-6).unwrap().solve(&schedule, &x, 0.0, 1.0).unwrap();
    assert!(!run.is_finished() && run.times[0] > 0.9 && run.end.row(0)[0].is_finite());
    assert!(Ode::fixed(EULER, 9).unwrap().solve(&schedule, &x, 0.0, 1.0).unwrap().is_finished());

    // A field without a bound on its stiffness: time itself has no room for the steps.
    let jagged =
        Pointwise::new(1, |t, _: &[f64], v: &mut [f64]| v[0] = if t < 0.5 { 0.0 } else { (t - 0.5).recip() });
    let run = Ode::adaptive(TSITOURAS, 1e-9, 1e-9).unwrap().solve(&jagged, &x, 0.0, 1.0).unwrap();
    assert!(matches!(run.status[0], Status::StepUnderflow | Status::NonFinite));
    assert!((run.times[0] - 0.5).abs() < 1e-9);
}

#[test]
fn bad_input_is_one_clear_line() {
    let (x, ode) = (cloud(3, 2, 5), Ode::adaptive(TSITOURAS, 1e-6, 1e-6).unwrap());
    let line = |r: flows::Result<flows::Trajectory<Points>>| r.unwrap_err().to_string();
    assert_eq!(
        line(ode.solve(&spiral(), &x, 1.0, 1.0)),
        "t0 = t1 = 1: the interval of time must have a length"
    );
    assert_eq!(line(ode.solve(&spiral(), &x, 0.0, f64::NAN)), "t1 = NaN: must be finite");
    assert_eq!(
        line(ode.solve(&spiral(), &Points::zeros(0, 2), 0.0, 1.0)),
        "particles: 0 given, at least 1 needed"
    );
    let wrong = line(ode.solve(&spiral(), &cloud(3, 5, 0), 0.0, 1.0));
    assert_eq!(
        wrong,
        "the field cannot be evaluated at the start, t = 0: points: dimension 5 where 2 is needed"
    );
    let mut bad = x.clone();
    bad.row_mut(1)[0] = f64::INFINITY;
    let start = "initial state: row 1 is not finite; every particle must start from finite coordinates";
    assert_eq!(line(ode.solve(&spiral(), &bad, 0.0, 1.0)), start);
    for (rtol, atol) in [(0.0, 0.0), (-1e-3, 1e-3), (1e-3, f64::NAN)] {
        assert!(Ode::<Points>::adaptive(TSITOURAS, rtol, atol).is_err());
    }
    let none = Ode::<Points>::adaptive(RK4, 1e-3, 1e-3).err().unwrap().to_string();
    assert_eq!(none, "RK4 has no embedded error estimate: take fixed steps, or a method with a pair");
    assert!(
        Ode::<Points>::fixed(RK4, 0).is_err() && Ode::<Points>::on_mesh(RK4, vec![0.0, 1.0, 1.0]).is_err()
    );
    let late = Ode::fixed(RK4, 3).unwrap().save_at(&[0.5, 2.0]);
    assert!(matches!(late.solve(&spiral(), &x, 0.0, 1.0), Err(Error::Time { what: "save_at", .. })));
    let unordered = Ode::fixed(RK4, 3).unwrap().save_at(&[0.5, 0.2]);
    assert!(unordered.solve(&spiral(), &x, 0.0, 1.0).is_err());
    let meeting = Cloud::new(2, |_, x: &Points, v: &mut Points| {
        v.as_mut_slice().copy_from_slice(x.as_slice());
        Ok(())
    });
    let stop = Ode::fixed(RK4, 3).unwrap().event(Event::new(|_, x| x[0]).terminal());
    assert!(matches!(stop.solve(&meeting, &x, 0.0, 1.0), Err(Error::SharedClock { .. })));
    assert!(ode.solve(&meeting, &x, 0.0, 1.0).unwrap().is_finished());
}

#[test]
fn the_continuous_solution_agrees_with_the_flow() {
    let (field, x) = (spiral(), cloud(400, 2, 6));
    for (t0, t1) in [(0.0, 2.0), (2.0, -0.5)] {
        let times: Vec<f64> = (0..=8).map(|k| t0 + (t1 - t0) * f64::from(k) / 8.0).collect();
        let ode = Ode::adaptive(DOP853, 1e-10, 1e-10).unwrap().dense().save_at(&times);
        let run = ode.solve(&field, &x, t0, t1).unwrap();
        let dense = run.dense.as_ref().unwrap();
        for (k, t) in times.iter().enumerate() {
            let exact = field.flow(t - t0).unwrap().apply(&x).unwrap();
            assert!(gap(&dense.at(Clock::Shared(*t)).unwrap(), &exact) < 1e-7);
            assert_eq!(dense.at(Clock::Shared(*t)).unwrap(), run.saved[k].1);
        }
        let own: Vec<f64> = (0..400).map(|i| t0 + (t1 - t0) * f64::from(i) / 399.0).collect();
        let at = dense.at(Clock::Each(&own)).unwrap();
        let exact = field.flow(own[137] - t0).unwrap().apply(&x.select(&[137])).unwrap();
        assert!(gap(&at.select(&[137]), &exact) < 1e-7);
        assert_eq!(dense.span(17), (t0, t1));
        assert!(matches!(dense.at(Clock::Shared(t1 + 0.1 * (t1 - t0))), Err(Error::Time { .. })));
    }
}

#[test]
fn events_are_found_where_they_are() {
    // Projectiles: x' = v, v' = −1. They land at 2v₀, and are highest at v₀.
    let throw = Pointwise::autonomous(2, |x, v| (v[0], v[1]) = (x[1], -1.0));
    let speeds = [0.5, 1.0, 3.0, 40.0];
    let x = Points::from_fn(4, 2, |i, row| row.copy_from_slice(&[0.0, speeds[i]]));
    let ode = Ode::adaptive(DORMAND_PRINCE, 1e-9, 1e-9)
        .unwrap()
        .event(Event::new(|_, x| x[1]))
        .event(Event::new(|_, x| x[0]).crossing(Crossing::Falling).terminal())
        .event(Event::new(|_, x| x[0]).crossing(Crossing::Rising))
        .dense()
        .save_at(&[1.5, 5.0]);
    let run = ode.solve(&throw, &x, 0.0, 10.0).unwrap();
    for i in 0..4 {
        let of: Vec<_> = run.events.iter().filter(|hit| hit.row == i).collect();
        let top = of.iter().find(|hit| hit.event == 0);
        if i == 3 {
            assert!(top.is_none() && of.is_empty() && run.status[i] == Status::Finished);
            continue;
        }
        let top = top.unwrap();
        assert!(
            (top.t - speeds[i]).abs() < 1e-9 && (top.state.row(0)[0] - 0.5 * speeds[i].powi(2)).abs() < 1e-8
        );
        assert_eq!(run.status[i], Status::Event(1));
        assert!((run.times[i] - 2.0 * speeds[i]).abs() < 1e-9);
        assert!(run.end.row(i)[0].abs() < 1e-9 && (run.end.row(i)[1] + speeds[i]).abs() < 1e-8);
        assert_eq!(run.dense.as_ref().unwrap().span(i).1, run.times[i]);
    }
    // Times beyond the landing keep the state of the landing.
    assert_eq!(run.saved[0].1.row(0), run.end.row(0));
    assert!((run.saved[0].1.row(2)[0] - (3.0 * 1.5 - 0.5 * 2.25)).abs() < 1e-8);
    // Backwards in time a rise is a fall.
    let back = Ode::adaptive(DORMAND_PRINCE, 1e-9, 1e-9)
        .unwrap()
        .event(Event::new(|_, x| x[0]).crossing(Crossing::Falling));
    let run = back.solve(&throw, &Points::from_rows(&[[0.5, 0.0]]), 0.0, -3.0).unwrap();
    assert!(run.events.len() == 1 && (run.events[0].t + 1.0).abs() < 1e-9);
}

#[test]
fn stiff_particles_cost_their_own_steps() {
    let field = Pointwise::autonomous(2, |x, v| (v[0], v[1]) = (-x[1] * x[0], 0.0));
    let n = 2_000;
    let x =
        Points::from_fn(n, 2, |i, row| row.copy_from_slice(&[1.0, if i % 100 == 0 { 500.0 } else { 1.0 }]));
    let run = Ode::adaptive(TSITOURAS, 1e-6, 1e-6).unwrap().solve(&field, &x, 0.0, 1.0).unwrap();
    let (stiff, soft) = (run.counts[0].evaluations, run.counts[1].evaluations);
    assert!(stiff > 10 * soft);
    assert_eq!(run.total().evaluations, n / 100 * stiff + (n - n / 100) * soft);
}
