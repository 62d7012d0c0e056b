//! The tasks that the peers are asked too, by the same names.

use crate::Arguments;
use crate::measure::bench;
use crate::npy;
use divergences::family::RandomFrequencies;
use divergences::kernel::{Gaussian, InverseMultiquadric};
use divergences::transport::{self, NormPower, Sinkhorn, SinkhornDivergence, SlicedWasserstein};
use divergences::{Divergence, EnergyDistance, KernelStein, MeanIpm, Mmd, SpectralMmd, Statistic, test};
use measures::{Empirical, Functional, Points, Seed, zoo};
use serde_json::{Value, json};

/// The ℓ¹ marginal error to which entropic problems are solved.
const MARGINAL_ERROR: f64 = 1e-4;
/// ε, in mean costs.
const TEMPERATURE: f64 = 0.05;

type Row = Result<Value, String>;

/// The inputs of a task.
struct Case<'a> {
    arguments: &'a Arguments,
    x: Empirical,
    y: Empirical,
}

/// Runs the task that is named.
pub(crate) fn run(arguments: &Arguments) -> Row {
    let case = Case::load(arguments)?;
    match arguments.task.as_str() {
        "exact_ot" => case.exact(),
        "entropic" => case.entropic(),
        "sinkhorn_divergence" => case.sinkhorn_divergence(),
        "mmd" => case.value(&case.mmd()?),
        "mmd_gradient" => case.gradient(&case.mmd()?),
        "mmd_quadrature" => case.mmd_quadrature(),
        "mmd_quadrature_gradient" => case.gradient(&case.spectral()?),
        "energy" => case.value(&EnergyDistance::new(Statistic::Plugin)),
        "w1" => case.bench_value(|| transport::line::distance(&case.x, &case.y, 1.0)),
        "sliced" => case.value(&case.sliced()?),
        "sliced_gradient" => case.gradient(&case.sliced()?),
        "d2" => case.value(&case.d2()?),
        "d2_gradient" => case.gradient(&case.d2()?),
        "ksd" => case.ksd(),
        "mmd_test" => case.mmd_test(),
        other => Err(format!("no task {other}")),
    }
}

/// An error as its text.
fn told<T>(result: measures::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl<'a> Case<'a> {
    fn load(arguments: &'a Arguments) -> Result<Self, String> {
        let sample = |name: &str| {
            let path = arguments.inputs.join(format!("{name}_n{}_d{}.npy", arguments.n, arguments.d));
            told(Empirical::uniform(npy::read(&path)?))
        };
        Ok(Case { arguments, x: sample("x")?, y: sample("y")? })
    }

    fn rows(&self, name: &str) -> Result<Points, String> {
        npy::read(&self.arguments.inputs.join(format!("{name}_d{}.npy", self.arguments.d)))
    }

    fn bench_value(&self, call: impl FnMut() -> measures::Result<f64>) -> Row {
        bench(self.arguments, call, |value| Ok(vec![("value", json!(value))]))
    }

    fn value(&self, divergence: &dyn Divergence) -> Row {
        self.bench_value(|| divergence.value(&self.x, &self.y))
    }

    fn gradient(&self, divergence: &dyn Divergence) -> Row {
        bench(
            self.arguments,
            || divergence.variation(&self.x, &self.y),
            |found| {
                let norm = found.d_points.as_slice().iter().map(|g| g * g).sum::<f64>().sqrt();
                Ok(vec![("value", json!(found.value)), ("gradient_norm", json!(norm))])
            },
        )
    }

    fn exact(&self) -> Row {
        let cost = NormPower::squared_euclidean();
        bench(
            self.arguments,
            || transport::solve(&self.x, &self.y, &cost),
            |found| {
                let certified = json!(found.status.is_converged());
                Ok(vec![
                    ("value", json!(found.value)),
                    ("gap", json!(found.gap())),
                    ("certified", certified),
                    ("iterations", json!(found.iterations)),
                ])
            },
        )
    }

    fn temperature(&self) -> Result<Sinkhorn, String> {
        let mean = told(transport::mean_cost(&self.x, &self.y, &NormPower::squared_euclidean()))?;
        Ok(told(Sinkhorn::new(TEMPERATURE * mean))?.tolerance(MARGINAL_ERROR))
    }

    fn entropic(&self) -> Row {
        let (cost, settings) = (NormPower::squared_euclidean(), self.temperature()?);
        bench(
            self.arguments,
            || settings.solve(&self.x, &self.y, &cost),
            |found| {
                Ok(vec![
                    ("value", json!(found.transport_cost(&self.x, &self.y, &cost)?)),
                    ("l1", json!(found.marginal_error)),
                    ("iterations", json!(found.iterations)),
                ])
            },
        )
    }

    fn sinkhorn_divergence(&self) -> Row {
        let settings = self.temperature()?;
        self.gradient(&SinkhornDivergence::with_settings(settings, NormPower::squared_euclidean()))
    }

    /// √d, at which the Gaussian kernel of points of the standard normal law is neither 0 nor 1.
    fn bandwidth(&self) -> f64 {
        (self.arguments.d as f64).sqrt()
    }

    fn mmd(&self) -> Result<Mmd<Gaussian>, String> {
        Ok(Mmd::new(told(Gaussian::new(self.bandwidth()))?, Statistic::Unbiased))
    }

    fn spectral(&self) -> Result<SpectralMmd<Gaussian>, String> {
        Ok(SpectralMmd::new(told(Gaussian::new(self.bandwidth()))?, Statistic::Unbiased))
    }

    fn mmd_quadrature(&self) -> Row {
        let mmd = self.spectral()?;
        bench(
            self.arguments,
            || mmd.estimate(&self.x, &self.y),
            |found| {
                let (bound, functions) = (json!(found.bound), json!(found.functions));
                Ok(vec![("value", json!(found.value)), ("bound", bound), ("functions", functions)])
            },
        )
    }

    fn sliced(&self) -> Result<SlicedWasserstein, String> {
        Ok(told(SlicedWasserstein::along(2.0, self.rows("directions")?))?.powered())
    }

    fn d2(&self) -> Result<MeanIpm<RandomFrequencies>, String> {
        let frequencies = self.rows("frequencies")?;
        let tau = vec![1.0 / frequencies.len() as f64; frequencies.len()];
        Ok(MeanIpm::new(told(RandomFrequencies::new(frequencies, &tau))?, Statistic::Plugin))
    }

    fn ksd(&self) -> Row {
        let kernel = told(InverseMultiquadric::new(self.bandwidth()))?;
        let target = zoo::Gaussian::standard(self.arguments.d);
        let ksd = KernelStein::new(target, kernel, Statistic::Unbiased);
        self.bench_value(|| ksd.value(&self.x))
    }

    fn mmd_test(&self) -> Row {
        let kernel = told(Gaussian::new(self.bandwidth()))?;
        bench(
            self.arguments,
            || test::mmd_test(&kernel, self.x.points(), self.y.points(), 1000, Seed::new(0)),
            |found| Ok(vec![("value", json!(found.statistic)), ("p_value", json!(found.p_value))]),
        )
    }
}
