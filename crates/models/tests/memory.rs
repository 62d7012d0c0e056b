//! The memory of gradients through a solve. Alone in its process, because the peak of a process is what is measured.

use models::nets::{FieldConfig, FieldNet, Layout, Params};
use models::tch::{Device, Kind, Tensor};
use models::{Checkpoints, Result, Rows, Rule, SolverConfig, TensorField, guard, set_threads};

/// The largest memory this process has had, in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn gradient(steps: usize, checkpoints: bool) -> Result<Tensor> {
    let mut layout = Layout::default();
    let config = FieldConfig { widths: vec![64, 64], ..FieldConfig::default() };
    let net = FieldNet::new(&config, 2, 0, 2, &mut layout)?;
    let params = Params::init(layout, measures::Seed::new(1), Kind::Float, Device::Cpu)?;
    let x = Tensor::linspace(-1.0, 1.0, 1024, (Kind::Float, Device::Cpu)).view([512, 2]);
    let field = TensorField::new(|t, x: &Tensor| {
        let t = Rows::new(x.shallow_clone())?.clock(t).expand([512, 1], false);
        Ok(net.forward(&params, &t, x, None))
    });
    let solver = SolverConfig { rule: Rule::Rk4, steps: Some(steps), ..SolverConfig::default() };
    let loss = if checkpoints {
        let leaves: Vec<&Tensor> = params.leaves().iter().collect();
        let run = Checkpoints::solve(&solver, &field, &x, 0.0, 1.0)?;
        run.loss(&x, &leaves, |end| Ok(end.square().mean(Kind::Float)))?
    } else {
        let run = solver.ode()?.solve_batch(&field, &Rows::new(x)?, 0.0, 1.0)?;
        run.finished()?.into_tensor().square().mean(Kind::Float)
    };
    params.gradient(&loss, false)
}

/// With sixteen times the steps, checkpoints need four times the memory, give or take what an allocator keeps; the whole
/// graph of a quarter of the steps needs more.
#[test]
fn checkpoints_need_the_square_root() {
    set_threads(1).unwrap();
    let small = guard(|| gradient(2, true)).unwrap();
    let base = peak();
    // In ascending order, so that each peak is its own.
    let runs = [(16, true), (64, true), (256, true), (64, false), (256, false)];
    let mut used = Vec::new();
    let mut gradients = Vec::new();
    for (steps, checkpoints) in runs {
        gradients.push(guard(|| gradient(steps, checkpoints)).unwrap());
        used.push(peak() - base);
        println!("{steps:>4} steps, checkpoints {checkpoints:<5}: {:>7.1} MiB", used[used.len() - 1]);
    }
    assert!(used[2] < 6.0 * used[0].max(1.0), "{used:?}");
    assert!(used[4] > 3.0 * used[3] && used[4] > 6.0 * used[2], "{used:?}");
    // the same gradient, in single precision
    let off = (&gradients[2] - &gradients[4]).norm() / gradients[4].norm();
    assert!(off.double_value(&[]) < 1e-5 && small.norm().double_value(&[]) > 0.0);
}
