//! What a method with a density must satisfy: it integrates to one, its map is undone, and what it loses against the
//! entropy of the target is positive and small.

use measures::{Density, Diffeo, Points, Sample, Seed, zoo::GaussianMixture};
use models::methods::{self, density};
use models::nets::{FieldConfig, Transformer};
use models::{Draws, FlowModel, Generator, Method, NormalisingFlow, Status, TrainConfig, Trainer, Watch};
use serde_json::json;
use std::path::Path;

/// Three modes of which none can be had by an affine map.
fn target() -> GaussianMixture {
    let means = Points::from_rows(&[[-2.0, 0.0], [2.0, 0.5], [0.0, 2.0]]);
    GaussianMixture::isotropic(vec![0.3, 0.3, 0.4], means, &[0.5, 0.4, 0.6]).unwrap()
}

fn train(steps: u64) -> TrainConfig {
    TrainConfig { steps, ema: Some(0.99), ..TrainConfig::default() }
}

/// ∫ p over a box that holds all but a negligible part of the mass, by the midpoint rule.
fn integral(model: &dyn Generator, half_width: f64, cells: usize) -> f64 {
    let side = 2.0 * half_width / cells as f64;
    let at = |i: usize| -half_width + (i as f64 + 0.5) * side;
    let grid = Points::from_fn(cells * cells, 2, |k, row| {
        row.copy_from_slice(&[at(k / cells), at(k % cells)]);
    });
    model.log_density(&grid).unwrap().iter().map(|l| l.exp()).sum::<f64>() * side * side
}

/// E log(p*/p), the gap to the entropy in nats, with its standard error.
fn gap(model: &dyn Generator, target: &GaussianMixture) -> (f64, f64) {
    let n = 20_000;
    let x = target.sample(n, &mut Seed::new(77).rng());
    let (truth, ours) = (target.log_density(&x).unwrap(), model.log_density(&x).unwrap());
    let gaps: Vec<f64> = truth.iter().zip(ours).map(|(t, o)| t - o).collect();
    let mean = gaps.iter().sum::<f64>() / n as f64;
    let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n as f64;
    (mean, (variance / n as f64).sqrt())
}

#[test]
fn densities_integrate_to_one_and_come_near_the_entropy() {
    let draws = Draws::new(target(), "three modes");
    let methods = [
        ("realnvp", None, 0.15),
        ("spline", None, 0.1),
        ("autoregressive", None, 0.1),
        ("autoregressive", Some("affine"), 0.2),
        ("cnf", None, 0.6),
    ];
    for (name, transformer, most) in methods {
        let method = methods::by_name(name).unwrap();
        let mut config = method.default_config();
        if let Some(kind) = transformer {
            config["transformer"] = json!({"kind": kind});
            config["layers"] = json!(6);
        }
        let mut steps = 300;
        if name == "cnf" {
            config["net"]["widths"] = json!([32, 32]);
            config["train_solver"]["steps"] = json!(4);
            steps = 150;
        } else {
            config["widths"] = json!([32, 32]);
        }
        config["batch"] = json!(256);
        config["optim"]["lr"] = json!(3e-3);
        let mut run = method.start(&config, train(steps), &draws).unwrap();
        assert_eq!(run.run(&mut Watch::default()).unwrap().status, Status::Finished);
        let model = run.generator().unwrap();
        let cells = if name == "cnf" { 250 } else { 600 };
        let total = integral(&*model, 9.0, cells);
        assert!((total - 1.0).abs() < 1e-3, "{name}: {total}");
        let (gap, error) = gap(&*model, &target());
        assert!(gap > -5.0 * error && gap < most, "{name} {transformer:?}: {gap} ± {error}");
        // saved and loaded, it is the same law
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        model.save(&path).unwrap();
        let loaded = models::load(&path).unwrap();
        let x = model.generate(50, Seed::new(3)).unwrap();
        assert_eq!(loaded.generate(50, Seed::new(3)).unwrap(), x);
        assert_eq!(loaded.log_density(&x).unwrap(), model.log_density(&x).unwrap());
        assert!(loaded.log_density(&Points::zeros(1, 3)).is_err());
    }
}

/// After training, in single precision and in the coordinates of the data.
fn undone<M: Method, D: Diffeo>(config: M::Config, load: fn(&Path) -> models::Result<D>) -> D {
    let draws = Draws::new(target(), "three modes");
    let mut run = Trainer::<M>::new(config, train(120), &draws).unwrap();
    let _ = run.run(&mut Watch::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    run.generator().unwrap().save(&path).unwrap();
    let flow = load(&path).unwrap();
    let x = target().sample(3000, &mut Seed::new(8).rng());
    let (z, down) = flow.inverse_with_log_det(&x).unwrap();
    let (back, up) = flow.apply_with_log_det(&z).unwrap();
    let worst = back.as_slice().iter().zip(x.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-5, "{}: {worst}", M::NAME);
    let worst = up.iter().zip(down).map(|(a, b)| (a + b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-4, "{}: {worst}", M::NAME);
    assert_eq!(flow.dim_in(), 2);
    flow
}

fn score_is_the_gradient(flow: &NormalisingFlow) {
    let x = target().sample(3, &mut Seed::new(8).rng());
    let score = measures::Score::score(flow, &x).unwrap();
    for k in 0..2 {
        let moved = |h: f64| {
            let mut y = x.clone();
            y.rows_mut().for_each(|row| row[k] += h);
            Density::log_density(flow, &y).unwrap()
        };
        // Short, for the logarithm of a density of splines has corners at their knots.
        let (plus, minus) = (moved(1e-3), moved(-1e-3));
        for i in 0..3 {
            let difference = (plus[i] - minus[i]) / 2e-3;
            let exact = score.row(i)[k];
            assert!((difference - exact).abs() < 0.05 * (1.0 + exact.abs()), "{difference} {exact}");
        }
    }
}

#[test]
fn maps_are_undone_to_single_precision() {
    let load = NormalisingFlow::load;
    let splines = density::AutoregressiveConfig::default();
    let affine = density::AutoregressiveConfig { transformer: Transformer::affine(), ..splines.clone() };
    let flows = [
        undone::<density::RealNvp, _>(density::RealNvpConfig::default(), load),
        undone::<density::Spline, _>(density::SplineConfig::default(), load),
        undone::<density::Autoregressive, _>(splines, load),
        undone::<density::Autoregressive, _>(affine, load),
    ];
    flows.iter().for_each(score_is_the_gradient);
    let small = FieldConfig { widths: vec![32, 32], ..FieldConfig::default() };
    let config = density::CnfConfig { net: small, batch: 128, ..density::CnfConfig::default() };
    undone::<density::Cnf, _>(config, FlowModel::load);
}

#[test]
fn lines_are_for_splines() {
    let line = Draws::new(GaussianMixture::equal(Points::from_line(vec![-1.0, 1.0]), 0.3).unwrap(), "line");
    let start = |name: &str, transformer: Option<&str>| {
        let method = methods::by_name(name).unwrap();
        let mut config = method.default_config();
        if let Some(kind) = transformer {
            config["transformer"] = json!({"kind": kind});
        }
        method.start(&config, train(1), &line).err().map(|e| e.to_string())
    };
    assert!(start("realnvp", None).unwrap().contains("dimension of the data = 1"));
    assert!(start("autoregressive", Some("affine")).unwrap().contains("use the method spline"));
    assert_eq!(start("autoregressive", Some("spline")), None);
    assert_eq!(start("spline", None), None);
}
