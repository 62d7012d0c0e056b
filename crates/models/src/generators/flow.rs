//! A learned velocity and the map it integrates to.

use crate::bridge::regression;
use crate::checkpoint::{self, Array, Content, Header, Record};
use crate::condition::Condition;
use crate::error::{Error, Result, check_range};
use crate::generators::guide::{ConditionAbout, Guide};
use crate::generators::{Generator, SamplerConfig, SolverConfig, file_of, in_blocks, read_body, stored};
use crate::guard::guard;
use crate::method::{Moment, Setup};
use crate::methods::flow::latent::Latent;
use crate::methods::flow::{PathConfig, Prediction, path};
use crate::nets::{FieldConfig, FieldNet, Gradient, Layout, Mlp, Params, Pass};
use crate::persist::{Persist, Role, Visitor};
use crate::rows::Rows;
use crate::scaler::Scaler;
use crate::tensor::to_tensor;
use flows::ode::Trajectory;
use flows::path::Schedule;
use flows::{Clock, FieldError, State, VelocityField};
use measures::{Map, Points, Sample, Seed};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::path::Path;
use tch::{Device, Kind, Tensor, no_grad};

/// A network along a path of measures: what flow methods train, and what generates afterwards by solving eq. (7) from
/// noise at t = 0 to data at t = 1.
pub struct FlowModel {
    net: FieldNet,
    /// The network's parameters.
    pub params: Params,
    /// The parameters of the second network, which says the latent noise, where the path has some.
    pub(crate) denoiser: Option<Params>,
    schedule: Box<dyn Schedule + Send>,
    about: FlowAbout,
    /// Network evaluations a sample costs, counted on a small sample where steps are adaptive.
    evaluations: u64,
    /// What a conditional model is asked for at the moment.
    asked: RefCell<Option<Guide>>,
}

/// What a model along a path is, besides its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowAbout {
    /// The method that trained it.
    pub method: String,
    /// The network.
    pub net: FieldConfig,
    /// The path.
    pub path: PathConfig,
    /// What the network says.
    pub prediction: Prediction,
    /// The solver of generation.
    pub solver: SolverConfig,
    /// Distance kept from both ends of the path, where coefficients may be infinite.
    pub cut: f64,
    /// Between data and standard coordinates.
    pub scaler: Scaler,
    /// The same for the measure that paths start from, where it is not noise.
    pub start: Option<Scaler>,
    /// The amplitude a of latent noise a√(t(1 − t)) z on the path, where there is some. Times of the model then are those of
    /// the clock u with t = sin²(½πu), and a second network says E\[z | x\].
    #[serde(default)]
    pub latent: Option<f64>,
    /// How generation goes along the path.
    #[serde(default)]
    pub sampler: SamplerConfig,
    /// What the points were trained with, where they came with labels or vectors.
    #[serde(default)]
    pub condition: Option<ConditionAbout>,
}

impl FlowModel {
    /// The type of generator, as files name it.
    pub const NAME: &'static str = "flow";

    /// A model with first parameters drawn from `setup.seed`.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn new(about: FlowAbout, setup: &Setup) -> Result<Self> {
        let (net, layout) = network(&about)?;
        let draw = |layout, name| Params::init(layout, setup.seed.named(name), setup.kind, setup.device);
        let denoiser = about.latent.map(|_| draw(layout.clone(), "denoiser")).transpose()?;
        let params = draw(layout, "field")?;
        FlowModel::assemble(net, params, denoiser, about)
    }

    fn assemble(net: FieldNet, params: Params, denoiser: Option<Params>, about: FlowAbout) -> Result<Self> {
        path::check_cut(about.cut)?;
        if let Some(amplitude) = about.latent {
            check_range("latent", amplitude, f64::MIN_POSITIVE.., "finite and positive")?;
        }
        about.solver.ode::<Rows>()?;
        about.condition.as_ref().map_or(Ok(()), ConditionAbout::check)?;
        let schedule = about.path.schedule()?;
        let asked = RefCell::new(None);
        let model = FlowModel { net, params, denoiser, schedule, about, evaluations: 0, asked };
        model.check_sampler()?;
        Ok(model)
    }

    /// d.
    pub fn dim(&self) -> usize {
        self.about.scaler.dim()
    }

    /// Loads a model that a flow method saved.
    ///
    /// # Errors
    /// As [`load`](crate::load()); the file holds a model of another type.
    pub fn load(path: &Path) -> Result<Self> {
        let (header, record) = checkpoint::read(path)?;
        header.expect(path, Content::Generator, Some(FlowModel::NAME))?;
        FlowModel::from_file(&header, &record, path)
    }

    /// What the model is, besides its parameters.
    pub fn about(&self) -> &FlowAbout {
        &self.about
    }

    /// α and σ.
    pub fn schedule(&self) -> &dyn Schedule {
        &*self.schedule
    }

    /// The network's answer at the times `t` and the rows of `x` (n×d), within the graph of automatic differentiation.
    ///
    /// Where the variance explodes the network sees x/√(1 + σ²), whose scale does not depend on the time. A conditional model
    /// is told nothing, except while [`Generator::generate_given`] asks for something.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn forward(&self, t: &[f64], x: &Tensor) -> Result<Tensor> {
        self.forward_with(&self.params, t, x)
    }

    /// The size of what the network is asked for, n×1, where it is far from one: there the network's own answer is in units of it.
    fn size(&self, t: &[f64]) -> Result<Option<Tensor>> {
        let PathConfig::VarianceExploding { .. } = self.about.path else { return Ok(None) };
        if self.about.prediction != Prediction::Velocity {
            return Ok(None);
        }
        let (kind, device) = self.params.options();
        let sizes = t.iter().map(|&t| Ok(self.schedule.d_sigma(t)?.abs())).collect::<Result<Vec<f64>>>()?;
        Ok(Some(to_tensor(&Points::from_line(sizes), kind, device)?))
    }

    /// The mean squared distance of the network's answers from the right ones, n×d, in units in which they are of size one.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub fn residual(&self, t: &[f64], x: &Tensor, answer: &Tensor) -> Result<Tensor> {
        let said = self.forward(t, x)?;
        match self.size(t)? {
            Some(size) => regression(&(said / &size), &(answer / size)),
            None => regression(&said, answer),
        }
    }

    /// The value of [`FlowModel::residual`] for a network that is `told` of conditions; its gradient in the parameters is
    /// written over `gradient`, unless the value is not finite.
    ///
    /// # Errors
    /// libtorch refuses the shapes.
    pub fn regress(
        &self,
        t: &[f64],
        (x, told): (&Tensor, Option<&Tensor>),
        answer: &Tensor,
        pass: &mut Pass,
        gradient: &mut Gradient,
    ) -> Result<f64> {
        let (times, x) = self.seen(t, x)?;
        let sized = self.size(t)?.map(|size| answer / size);
        let answer = sized.as_ref().unwrap_or(answer);
        self.net.regress(&self.params, (&times, &x, told), answer, pass, gradient)
    }

    /// The perceptron, where the network is one and its answer is the velocity itself, a function of time and point alone.
    pub(crate) fn perceptron(&self) -> Option<&Mlp> {
        let plain = self.about.prediction == Prediction::Velocity
            && self.about.condition.is_none()
            && self.denoiser.is_none()
            && !matches!(self.about.path, PathConfig::VarianceExploding { .. });
        self.net.perceptron().filter(|_| plain)
    }

    /// What that perceptron sees at the times `t` (n×1) and the rows of `x`.
    pub(crate) fn field_input(&self, t: &Tensor, x: &Tensor) -> Tensor {
        self.net.input(t, x, None)
    }

    /// What the network is told in a step of training about points with these conditions.
    ///
    /// # Errors
    /// libtorch refuses the memory.
    pub(crate) fn lesson(&self, given: Option<&Points>, at: &Moment) -> Result<Option<Tensor>> {
        let (Some(about), Some(given)) = (&self.about.condition, given) else { return Ok(None) };
        about.lesson(given, &mut at.rng("hidden"), self.params.options()).map(Some)
    }

    /// E[z | x], z the latent noise: the second network's answer.
    ///
    /// # Errors
    /// The path has none, or libtorch refuses the memory.
    pub(crate) fn latent_noise(&self, t: &[f64], x: &Tensor) -> Result<Tensor> {
        let why = "the path of this model has no latent noise";
        let params = self.denoiser.as_ref().ok_or(Error::Undefined { what: "latent noise", why })?;
        self.forward_with(params, t, x)
    }

    /// The latent noise of the path.
    pub(crate) fn latent(&self) -> Option<Latent> {
        self.about.latent.map(Latent::new)
    }

    fn forward_with(&self, params: &Params, t: &[f64], x: &Tensor) -> Result<Tensor> {
        let said = self.said(params, t, x)?;
        Ok(match self.size(t)? {
            Some(size) => said * size,
            None => said,
        })
    }

    /// The network's own answer: guided toward what is asked for at the moment, by a conditional model.
    fn said(&self, params: &Params, t: &[f64], x: &Tensor) -> Result<Tensor> {
        let (times, x) = self.seen(t, x)?;
        let answer = |told: Option<&Tensor>| Ok(self.net.forward(params, &times, &x, told));
        let Some(about) = &self.about.condition else { return answer(None) };
        let nothing = || about.nothing(t.len(), self.params.options());
        match &*self.asked.borrow() {
            None => answer(Some(&nothing()?)),
            Some(guide) => guide.follow(nothing, |told, twice| {
                if twice {
                    let (t, x) = (Tensor::f_cat(&[&times, &times], 0)?, Tensor::f_cat(&[&x, &x], 0)?);
                    return Ok(self.net.forward(params, &t, &x, Some(told)));
                }
                answer(Some(told))
            }),
        }
    }

    /// Times (n×1) and points as the network sees them.
    fn seen(&self, t: &[f64], x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (kind, device) = self.params.options();
        let column = |values: Vec<f64>| to_tensor(&Points::from_line(values), kind, device);
        let times = column(t.to_vec())?;
        if let PathConfig::VarianceExploding { .. } = self.about.path {
            let scale =
                column(t.iter().map(|&t| (1.0 + self.schedule.variance(t)).sqrt().recip()).collect())?;
            return Ok((times, x * scale));
        }
        Ok((times, x.shallow_clone()))
    }

    /// The times of noise and data, less what is cut off.
    pub fn span(&self) -> (f64, f64) {
        (self.about.cut, 1.0 - self.about.cut)
    }

    /// v_t at the rows of `x` (n×d), by what the network predicts.
    ///
    /// # Errors
    /// A coefficient is infinite at one of the times, or libtorch refuses.
    pub fn velocity(&self, t: &[f64], x: &Tensor) -> Result<Tensor> {
        let (kind, device) = self.params.options();
        let said = self.forward(t, x)?;
        if let Some(latent) = self.latent() {
            return Ok(said + self.latent_noise(t, x)? * latent.column(t, kind, device, Latent::d_gamma)?);
        }
        if self.about.prediction == Prediction::Velocity {
            return Ok(said);
        }
        let c = path::Coefficients::at(&*self.schedule, t, kind, device)?;
        Ok(c.velocity(self.about.prediction, x, &said))
    }

    /// A copy with parameters of its own, on the CPU, ready to generate.
    ///
    /// # Errors
    /// libtorch refuses, or the solver cannot follow the velocity.
    pub fn duplicate(&self) -> Result<Self> {
        self.copy()?.counted()
    }

    /// The same model, whose network now has learned to take the factor of guidance, where that is an input of it.
    pub(crate) fn guided_inside(mut self) -> Self {
        if let Some(inside) = self.about.condition.as_mut().and_then(|about| about.inside.as_mut()) {
            inside.learned = true;
        }
        self
    }

    /// Asks for something while what it returns lives.
    pub(crate) fn asking(&self, guide: Guide) -> Asked<'_> {
        Asked::new(&self.asked, guide)
    }

    /// As [`FlowModel::duplicate`], for what needs no count of evaluations.
    pub(crate) fn copy(&self) -> Result<Self> {
        let duplicate = |params: &Params| -> Result<Params> {
            let mut params = params.duplicate()?;
            params.to_device(Device::Cpu)?;
            Ok(params)
        };
        let denoiser = self.denoiser.as_ref().map(duplicate).transpose()?;
        FlowModel::assemble(self.net.clone(), duplicate(&self.params)?, denoiser, self.about.clone())
    }

    /// A copy that generates another way.
    ///
    /// # Errors
    /// A setting is out of range, or the path has no coefficients for it.
    pub fn with_sampler(&self, sampler: SamplerConfig) -> Result<Self> {
        let mut model = self.copy()?;
        model.about.sampler = sampler;
        model.check_sampler()?;
        model.counted()
    }

    /// A copy whose flow is followed by another solver.
    ///
    /// # Errors
    /// A setting of the solver is out of range.
    pub fn with_solver(&self, solver: SolverConfig) -> Result<Self> {
        solver.ode::<Points>()?;
        let mut model = self.copy()?;
        model.about.solver = solver;
        model.counted()
    }

    fn counted(mut self) -> Result<Self> {
        let networks = 1 + u64::from(self.denoiser.is_some());
        self.evaluations = if let Some(count) = self.about.sampler.evaluations(networks) {
            count
        } else if let Some(count) = self.about.solver.evaluations() {
            networks * count
        } else {
            let (z, (from, to)) = (standard(self.dim(), 256, Seed::new(0)), self.span());
            let run = self.solve(&z, from, to)?;
            networks * run.counts.iter().map(|c| c.evaluations as u64).max().unwrap_or(0)
        };
        Ok(self)
    }

    pub(crate) fn from_file(header: &Header, record: &Record, path: &Path) -> Result<Self> {
        let about: FlowAbout = read_body(header, path)?;
        about.scaler.check(about.scaler.dim())?;
        let (net, layout) = network(&about)?;
        let denoiser = about.latent.map(|_| stored(record, "denoiser", layout.clone(), path)).transpose()?;
        let params = stored(record, "params", layout, path)?;
        FlowModel::assemble(net, params, denoiser, about)?.counted()
    }

    /// Carries points of standard coordinates from noise to data, or back.
    pub(crate) fn carry(&self, x: &Points, backward: bool) -> Result<Points> {
        let (from, to) = self.span();
        let (from, to) = if backward { (to, from) } else { (from, to) };
        guard(|| self.solve(x, from, to)?.finished()?.to_points())
    }

    /// Follows the velocity on the device of the network. The state is of double precision, whatever the network is of:
    /// rounding then comes from the velocity alone.
    fn solve(&self, x: &Points, from: f64, to: f64) -> Result<Trajectory<Rows>> {
        let start = Rows::of_points(x, Kind::Double, self.params.options().1)?;
        no_grad(|| Ok(self.about.solver.ode()?.solve_batch(&Field(self), &start, from, to)?))
    }

    /// Points of the starting measure (its own coordinates), or of noise (standard coordinates), carried to data as the sampler
    /// says: with fresh noise on the way where that is a diffusion.
    ///
    /// # Errors
    /// The points live in another dimension, or the solver cannot follow the model.
    pub fn sample_from(&self, z: &Points, seed: Seed) -> Result<Points> {
        measures::check_dim("points", self.dim(), z.dim())?;
        let z = match &self.about.start {
            Some(scaler) => scaler.standardise(z.clone()),
            None => z.clone(),
        };
        Ok(self.about.scaler.restore(self.sampled(&z, seed)?))
    }

    /// Points of one block, in the coordinates of the data.
    fn made(&self, rows: usize, seed: Seed) -> Result<Points> {
        Ok(self.about.scaler.restore(self.sampled(&self.noise(rows, seed), seed)?))
    }

    /// Points told nothing, which is all there is to tell where there are no conditions.
    fn generate_freely(&self, n: usize, seed: Seed) -> Result<Points> {
        self.check_free()?;
        in_blocks(n, self.dim(), seed, |rows, seed| self.made(rows, seed))
    }

    /// Refuses to do without a condition what was never learned so.
    pub(crate) fn check_free(&self) -> Result<()> {
        match &self.about.condition {
            Some(about) if about.guidance.hidden == 0.0 => {
                let why =
                    "this model never learned to go without its condition (guidance.hidden = 0): ask for one";
                Err(Error::Undefined { what: "generation without a condition", why })
            }
            _ => Ok(()),
        }
    }

    /// Noise as the path has it at its first time.
    fn noise(&self, n: usize, seed: Seed) -> Points {
        let mut z = standard(self.dim(), n, seed);
        // σ is 1 there for most paths, and σ_max where variance explodes.
        let sigma = self.schedule.sigma(self.span().0);
        if (sigma - 1.0).abs() > 0.01 {
            z.as_mut_slice().iter_mut().for_each(|v| *v *= sigma);
        }
        z
    }
}

/// What is asked for while this lives, also when something goes wrong meanwhile.
pub(crate) struct Asked<'a>(&'a RefCell<Option<Guide>>);

impl<'a> Asked<'a> {
    fn new(place: &'a RefCell<Option<Guide>>, guide: Guide) -> Self {
        place.replace(Some(guide));
        Asked(place)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.replace(None);
    }
}

fn standard(dim: usize, n: usize, seed: Seed) -> Points {
    measures::zoo::Gaussian::standard(dim).sample(n, &mut seed.rng())
}

fn network(about: &FlowAbout) -> Result<(FieldNet, Layout)> {
    let (mut layout, d) = (Layout::default(), about.scaler.dim());
    let told = about.condition.as_ref().map_or(0, ConditionAbout::told_dim);
    let net = FieldNet::new(&about.net, d, told, d, &mut layout)?;
    Ok((net, layout))
}

/// The velocity as a solver asks for it.
struct Field<'a>(&'a FlowModel);

impl VelocityField<Rows> for Field<'_> {
    fn velocity(&self, t: Clock<'_>, x: &Rows, out: &mut Rows) -> Result<(), FieldError> {
        let times: Vec<f64> = (0..x.rows()).map(|i| t.at(i)).collect();
        let x = x.tensor();
        let v = self.0.velocity(&times, &x.f_to_kind(self.0.params.options().0)?)?;
        *out = Rows::new(v.f_to_kind(x.kind())?)?;
        Ok(())
    }
}

impl Persist for FlowModel {
    fn visit(&mut self, v: &mut dyn Visitor) -> Result<()> {
        v.params("params", &mut self.params, Role::Map)?;
        match &mut self.denoiser {
            Some(denoiser) => v.params("denoiser", denoiser, Role::Map),
            None => Ok(()),
        }
    }
}

impl Map for FlowModel {
    fn dim_in(&self) -> usize {
        self.dim()
    }

    fn dim_out(&self) -> usize {
        self.dim()
    }

    /// Points of noise (standard coordinates), or of the starting measure (its own coordinates), to data, along the probability
    /// flow where the sampler is a diffusion.
    fn apply(&self, z: &Points) -> measures::Result<Points> {
        measures::check_dim("points", self.dim(), z.dim())?;
        let z = match &self.about.start {
            Some(scaler) => scaler.standardise(z.clone()),
            None => z.clone(),
        };
        let why = "the solver could not follow the learned velocity";
        let x = match self.about.sampler {
            SamplerConfig::Sde { .. } => self.carry(&z, false),
            _ => self.sampled(&z, Seed::new(0)),
        };
        let x = x.map_err(|_| measures::Error::Undefined { what: "the map", why })?;
        Ok(self.about.scaler.restore(x))
    }
}

impl Generator for FlowModel {
    fn dim(&self) -> usize {
        self.about.scaler.dim()
    }

    fn evaluations(&self) -> u64 {
        self.evaluations
    }

    fn generate(&self, n: usize, seed: Seed) -> Result<Points> {
        if self.about.start.is_some() {
            let why = "this model starts from data, not from noise: give starting points to its map";
            return Err(Error::Undefined { what: "generate", why });
        }
        if let Some(about) = &self.about.condition {
            // The whole law is that of points given labels, with labels as often as the data had them.
            return match about.draw(n, seed.named("labels")) {
                Some(labels) => self.generate_given(&labels, None, seed),
                None => self.generate_freely(n, seed),
            };
        }
        self.generate_freely(n, seed)
    }

    fn condition(&self) -> Option<&Condition> {
        self.about.condition.as_ref().map(|about| &about.condition)
    }

    fn generate_given(&self, given: &Points, guidance: Option<f64>, seed: Seed) -> Result<Points> {
        let Some(about) = &self.about.condition else {
            let why = "this model was trained without labels or conditions";
            return Err(Error::Undefined { what: "generation given a condition", why });
        };
        // Refused before anything is generated, wherever it stands.
        about.guide(given, guidance, self.params.options())?;
        let mut start = 0;
        in_blocks(given.len(), self.dim(), seed, |rows, seed| {
            let block: Vec<usize> = (start..start + rows).collect();
            start += rows;
            let guide = about.guide(&given.select(&block), guidance, self.params.options())?;
            let asked = self.asking(guide);
            let points = self.made(rows, seed);
            drop(asked);
            points
        })
    }

    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        self.check_free()?;
        if let SamplerConfig::Jumps { .. } = self.about.sampler {
            let why = "a model distilled to a few jumps generates but has no tractable density";
            return Err(Error::Undefined { what: "log_density", why });
        }
        self.log_density_of(x)
    }

    fn map(&self) -> Option<&dyn Map> {
        self.check_free().is_ok().then_some(self as &dyn Map)
    }

    fn to_file(&self) -> Result<(Header, Record)> {
        let (header, mut record) = file_of(FlowModel::NAME, &self.about, &self.params)?;
        if let Some(denoiser) = &self.denoiser {
            record.insert("denoiser", Array::of_tensor(denoiser.flat())?);
        }
        Ok((header, record))
    }
}
