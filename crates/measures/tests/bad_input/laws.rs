//! Laws: every method at every troublesome cloud, every constructor with every troublesome number, every name.

use crate::judge::{Judge, NUMBERS, clouds};
use measures::nalgebra::DMatrix;
use measures::zoo::{
    Banana, Checkerboard, CircleChart, Circles, Dirichlet, Funnel, Gaussian, GaussianMixture, Independent,
    Laplace, Mixture, Moons, NAMES, Noised, Pinwheel, Product, SCurve, SimplexChart, Spec, SphereChart,
    StudentT, SurfaceDensity, SwissRoll, Truncated, TruncatedGaussian, TwoSpirals, UniformBall, UniformBox,
    UniformSphere, VonMises, affine_image, named,
};
use measures::{
    Affine, Compose, Density, Diffeo, Empirical, Error, Injective, Map, Pad, Points, Pushforward, Sample,
    Score, Seed, SmoothDiffeo,
};

fn samples(judge: &mut Judge, what: &str, law: &impl Sample) {
    for n in [0, 1, 7] {
        judge.case(format!("{what}: sample {n}"), || {
            let x = law.sample(n, &mut Seed::new(1).rng());
            assert_eq!((x.len(), x.dim()), (n, law.dim()));
            x.check_finite("sample").map(|()| x)
        });
    }
}

fn densities(judge: &mut Judge, what: &str, law: &impl Density) {
    judge.case(format!("{what}: entropy"), || Ok(law.entropy()));
    for (name, x) in clouds(law.dim()) {
        judge.case(format!("{what}: density at {name}"), || law.log_density(&x));
        if x.dim() != law.dim() || x.check_finite("x").is_err() {
            judge.refused(format!("{what}: density at {name}"), || law.log_density(&x));
        }
    }
}

fn scores(judge: &mut Judge, what: &str, law: &impl Score) {
    let d = law.dim();
    for (name, x) in clouds(d) {
        judge.case(format!("{what}: score at {name}"), || law.score(&x));
        if x.dim() != d || x.check_finite("x").is_err() {
            judge.refused(format!("{what}: score at {name}"), || law.score(&x));
        }
        for (direction, v) in [
            ("ones", 1.0),
            ("zeros", 0.0),
            ("huge", 1e300),
            ("tiny", 1e-310),
            ("NaN", f64::NAN),
            ("inf", f64::INFINITY),
        ] {
            let v = Points::from_raw(d, vec![v; x.len() * d]);
            judge.case(format!("{what}: Hessian at {name} along {direction}"), || law.score_jvp(&x, &v));
        }
        judge.refused(format!("{what}: Hessian at {name}, one direction too many"), || {
            law.score_jvp(&x, &Points::zeros(x.len() + 1, d))
        });
        judge.refused(format!("{what}: Hessian at {name}, a direction elsewhere"), || {
            law.score_jvp(&x, &Points::zeros(x.len(), d + 1))
        });
    }
}

fn shape() -> DMatrix<f64> {
    DMatrix::from_row_slice(2, 2, &[2.0, -1.2, -1.2, 1.0])
}

fn full_mixture() -> GaussianMixture {
    let parts = [Gaussian::new(vec![0.0, 1.0], shape()).unwrap(), Gaussian::standard(2)];
    GaussianMixture::new(vec![1.0, 0.0], &parts).unwrap()
}

#[test]
fn every_law_at_every_cloud() {
    let mut judge = Judge::default();
    macro_rules! law {
        ($what:expr, $law:expr, $($check:ident),+) => {{
            let law = $law;
            $($check(&mut judge, $what, &law);)+
        }};
    }
    law!("gaussian", Gaussian::new(vec![1.0, -2.0], shape()).unwrap(), samples, densities, scores);
    law!("sharp gaussian", Gaussian::isotropic(&[0.0; 3], 1e-8).unwrap(), samples, densities, scores);
    law!("ring", GaussianMixture::ring(8, 5.0, 0.5).unwrap(), samples, densities, scores);
    law!("full mixture", full_mixture(), samples, densities, scores);
    law!("box", UniformBox::unit(2).unwrap(), samples, densities);
    law!("wide box", UniformBox::new(vec![-8e307], vec![8e307]).unwrap(), samples, densities);
    law!("checkerboard", Checkerboard::ffjord(), samples, densities);
    law!("pinwheel", Pinwheel::ffjord(), samples);
    law!("moons", Moons::ffjord(), samples, densities, scores);
    law!("circles", Circles::ffjord(), samples, densities, scores);
    law!("swiss roll", SwissRoll::ffjord(), samples, densities, scores);
    law!("s curve", SCurve::thin(), samples, densities, scores);
    law!("spirals", TwoSpirals::smooth(), samples, densities, scores);
    law!("student", StudentT::new(vec![0.5, 0.0], shape(), 2.5).unwrap(), samples, densities, scores);
    law!("extreme student", StudentT::standard(1, 1e-3).unwrap(), densities, scores);
    law!("laplace", Laplace::new(vec![0.0, 1.0], vec![1.0, 1e-3]).unwrap(), samples, densities, scores);
    law!("dirichlet", Dirichlet::new(vec![0.5, 2.0, 1e-3]).unwrap(), samples, densities);
    law!("banana", Banana::haario(), samples, densities, scores);
    law!("funnel", Funnel::neal(), samples, densities, scores);
    law!("von mises", VonMises::new(0.0, 2.0).unwrap(), samples, densities, scores);
    law!("ball", UniformBall::new(vec![0.0; 3], 2.0).unwrap(), samples, densities);
    law!("sphere", UniformSphere::new(vec![0.0; 3], 2.0).unwrap(), samples);
    law!(
        "noised circle",
        UniformSphere::new(vec![0.0; 2], 2.0).unwrap().noised(0.1).unwrap(),
        samples,
        densities,
        scores
    );
    law!(
        "noised sphere",
        UniformSphere::new(vec![0.0; 3], 2.0).unwrap().noised(1e-5).unwrap(),
        samples,
        densities,
        scores
    );
    law!(
        "noised pair",
        UniformSphere::new(vec![0.0], 2.0).unwrap().noised(3.0).unwrap(),
        samples,
        densities,
        scores
    );
    let mixed =
        vec![Gaussian::isotropic(&[0.0; 2], 0.1).unwrap(), Gaussian::new(vec![0.0; 2], shape()).unwrap()];
    law!("mixture", Mixture::new(vec![1.0, 2.0], mixed).unwrap(), samples, densities, scores);
    law!("product", Product::new(Gaussian::standard(1), full_mixture()), samples, densities, scores);
    law!(
        "copies",
        Independent::copies(StudentT::standard(1, 3.0).unwrap(), 3).unwrap(),
        samples,
        densities,
        scores
    );
    law!(
        "affine image",
        affine_image(full_mixture(), shape(), vec![1.0, 0.0]).unwrap(),
        samples,
        densities,
        scores
    );
    let tail =
        TruncatedGaussian::new(vec![0.0; 2], vec![1.0; 2], &[30.0, -1.0], &[f64::INFINITY, 1.0]).unwrap();
    law!("truncated gaussian", tail, samples, densities);
    let half = UniformBox::new(vec![0.0, 0.0], vec![9.0, 9.0]).unwrap();
    law!(
        "truncated",
        Truncated::new(Gaussian::standard(2), half, 1000, Seed::new(0)).unwrap(),
        samples,
        densities
    );
    let chart = CircleChart::new([0.0; 2], 1.0, 0.0).unwrap();
    let turn = UniformBox::new(vec![0.0], vec![std::f64::consts::TAU]).unwrap();
    let image = Pushforward::new(chart, turn).unwrap();
    let noised = Noised::by_quadrature(image, 0.5, &[0.0], &[std::f64::consts::TAU], 4).unwrap();
    law!("noised image", noised, samples, densities, scores);
    law!("empirical", Empirical::uniform(Points::zeros(2, 2)).unwrap(), samples);
    judge.verdict(5000);
}

#[test]
fn surfaces_maps_and_charts() {
    let mut judge = Judge::default();
    let circle = CircleChart::new([1.0, 0.0], 2.0, 0.0).unwrap();
    let bent = Pushforward::new(circle, VonMises::new(3.0, 1.0).unwrap()).unwrap();
    let sphere = UniformSphere::new(vec![0.0; 3], 1.0).unwrap();
    let simplex = Dirichlet::uniform(3).unwrap().on_simplex();
    for tolerance in NUMBERS {
        for (name, x) in clouds(2) {
            judge.case(format!("circle, {tolerance}, {name}"), || bent.log_surface_density(&x, tolerance));
        }
        for (name, x) in clouds(3) {
            judge.case(format!("sphere, {tolerance}, {name}"), || sphere.log_surface_density(&x, tolerance));
            judge
                .case(format!("simplex, {tolerance}, {name}"), || simplex.log_surface_density(&x, tolerance));
        }
    }
    let maps: Vec<(&str, Box<dyn Injective>)> = vec![
        ("circle", Box::new(circle)),
        ("sphere", Box::new(SphereChart::new([0.0; 3], 1.0).unwrap())),
        ("simplex", Box::new(SimplexChart::new(3).unwrap())),
        ("pad", Box::new(Pad::new(1, 3).unwrap())),
        ("affine", Box::new(Affine::new(shape(), vec![0.0; 2]).unwrap())),
    ];
    for (what, map) in &maps {
        for (name, z) in clouds(map.dim_in()) {
            judge.case(format!("{what}: values at {name}"), || refuse_nan(&z, || map.apply(&z)));
            judge.case(format!("{what}: volume at {name}"), || {
                refuse_nan(&z, || map.apply_with_log_volume(&z))
            });
        }
        for (name, x) in clouds(map.dim_out()) {
            judge.case(format!("{what}: preimage of {name}"), || refuse_nan(&x, || map.preimage(&x)));
        }
    }
    let affine = Affine::new(shape(), vec![1.0, 2.0]).unwrap();
    let twice = Compose::new(affine.clone(), affine.clone()).unwrap();
    let base = Gaussian::standard(2);
    for (name, x) in clouds(2) {
        judge.case(format!("affine forth {name}"), || refuse_nan(&x, || affine.apply_with_log_det(&x)));
        judge.case(format!("affine back {name}"), || refuse_nan(&x, || affine.inverse_with_log_det(&x)));
        judge.case(format!("twice forth {name}"), || refuse_nan(&x, || twice.apply_with_log_det(&x)));
        judge.case(format!("twice back {name}"), || refuse_nan(&x, || twice.inverse_with_log_det(&x)));
        judge.case(format!("pulled score {name}"), || refuse_nan(&x, || affine.pull_score(&x, &x, &x)));
        judge.case(format!("pulled Hessian {name}"), || {
            refuse_nan(&x, || affine.pull_score_jvp(&x, &x, &x, &base))
        });
    }
    judge.verdict(1000);
}

/// Maps take any points, as solvers leave them: what is not finite, or overflows in a sum of two products, may come out as NaN.
fn refuse_nan<T>(x: &Points, call: impl FnOnce() -> measures::Result<T>) -> measures::Result<T> {
    let out = call();
    x.check_finite("points")?;
    match x.as_slice().iter().position(|v| v.abs() > 1e300) {
        None => out,
        Some(index) => {
            Err(Error::Entry { what: "points", index, value: x.as_slice()[index], must: "below 1e300" })
        }
    }
}

#[test]
fn every_constructor_with_every_number() {
    let mut judge = Judge::default();
    for a in NUMBERS {
        judge.case(format!("isotropic {a}"), || Gaussian::isotropic(&[0.0, a], 1.0).map(|_| ()));
        judge.case(format!("isotropic σ {a}"), || Gaussian::isotropic(&[0.0], a).map(|_| ()));
        judge.case(format!("diagonal {a}"), || Gaussian::diagonal(&[0.0, 0.0], &[1.0, a]).map(|_| ()));
        judge.case(format!("covariance {a}"), || {
            Gaussian::new(vec![0.0; 2], DMatrix::from_row_slice(2, 2, &[1.0, a, a, 1.0])).map(|_| ())
        });
        judge.case(format!("laplace {a}"), || {
            Laplace::new(vec![a], vec![1.0])?.log_density(&Points::zeros(1, 1))
        });
        judge.case(format!("laplace b {a}"), || {
            Laplace::new(vec![0.0], vec![a])?.log_density(&Points::from_line(vec![1.0]))
        });
        judge.case(format!("dirichlet {a}"), || {
            Dirichlet::new(vec![a, 1.0])?.log_density(&Points::from_line(vec![0.5]))
        });
        judge.case(format!("von mises m {a}"), || {
            VonMises::new(a, 1.0)?.log_density(&Points::from_line(vec![0.5]))
        });
        judge.case(format!("mixture weight {a}"), || {
            Mixture::new(vec![a, 1.0], vec![Gaussian::standard(1); 2])?.log_density(&Points::zeros(1, 1))
        });
        judge.case(format!("circle chart {a}"), || {
            CircleChart::new([0.0, a], 1.0, 0.0)?.apply(&Points::zeros(1, 1))
        });
        judge.case(format!("circle start {a}"), || {
            CircleChart::new([0.0; 2], 1.0, a)?.preimage(&Points::zeros(1, 2))
        });
        judge
            .case(format!("sphere chart {a}"), || SphereChart::new([0.0; 3], a)?.apply(&Points::zeros(1, 2)));
        judge.case(format!("affine {a}"), || {
            Affine::diagonal(&[1.0, a], vec![0.0; 2])?.apply(&Points::zeros(1, 2))
        });
        judge
            .case(format!("affine b {a}"), || Affine::diagonal(&[1.0], vec![a])?.apply(&Points::zeros(1, 1)));
        for b in NUMBERS {
            judge.case(format!("box {a} {b}"), || {
                UniformBox::new(vec![a], vec![b])?.log_density(&Points::zeros(1, 1))
            });
            judge.case(format!("mixture of σ {a} at {b}"), || {
                let means = Points::from_raw(1, vec![b]);
                GaussianMixture::isotropic(vec![1.0], means, &[a])?.score(&Points::zeros(1, 1))
            });
            judge.case(format!("noised {a} {b}"), || {
                GaussianMixture::ring(3, 1.0, 1.0)?.noised(a, b)?.score(&Points::from_rows(&[[0.5, 0.1]]))
            });
            judge.case(format!("truncated to {a} {b}"), || {
                let law = TruncatedGaussian::new(vec![0.0], vec![1.0], &[a], &[b])?;
                Ok((law.log_mass(), law.sample(3, &mut Seed::new(0).rng())))
            });
            judge.case(format!("truncated about {a} {b}"), || {
                let law = TruncatedGaussian::new(vec![a], vec![b], &[-1.0], &[1.0])?;
                Ok((law.log_density(&Points::zeros(1, 1))?, law.sample(3, &mut Seed::new(0).rng())))
            });
            judge.case(format!("moons placed {a} {b}"), || {
                let moons = Moons::new(0.1)?.placed([a, 1.0], [b, 0.0])?;
                Ok((moons.sample(2, &mut Seed::new(0).rng()), moons.log_density(&Points::zeros(1, 2))?))
            });
            judge.case(format!("sphere of {a} with {b}"), || {
                let law = UniformSphere::new(vec![0.0; 3], a)?.noised(b)?;
                law.score(&Points::from_rows(&[[0.5, 0.1, 0.0]]))
            });
        }
    }
    judge.refused("no components", || GaussianMixture::new(vec![], &[]));
    judge.refused("no components", || Mixture::<Gaussian>::new(vec![], vec![]));
    judge.refused("no factors", || Independent::<Gaussian>::new(vec![]));
    judge.refused("no copies", || Independent::copies(Gaussian::standard(1), 0));
    judge.refused("no centre", || UniformBall::new(vec![], 1.0));
    judge.refused("no mean", || Gaussian::new(vec![], DMatrix::zeros(0, 0)));
    judge.refused("no corner", || UniformBox::new(vec![], vec![]));
    judge.refused("no bounds", || TruncatedGaussian::new(vec![], vec![], &[], &[]));
    judge.refused("no shape", || Affine::new(DMatrix::zeros(0, 0), vec![]));
    judge.refused("not square", || Gaussian::new(vec![0.0; 2], DMatrix::zeros(2, 3)));
    judge.refused("not symmetric", || {
        Gaussian::new(vec![0.0; 2], DMatrix::from_row_slice(2, 2, &[1.0, 0.5, 0.0, 1.0]))
    });
    judge.refused("elsewhere", || affine_image(Gaussian::standard(1), shape(), vec![0.0; 2]));
    judge.refused("component 3", || full_mixture().covariance(3));
    for n in [0, 1, usize::MAX] {
        judge.case(format!("simplex {n}"), || SimplexChart::new(n).map(|_| ()));
        judge.case(format!("pad {n}"), || Pad::new(n, 3).map(|_| ()));
        judge.case(format!("ring {n}"), || GaussianMixture::ring(n.min(100), 1.0, 1.0).map(|_| ()));
        judge.case(format!("grid {n}"), || GaussianMixture::grid(n, 1.0, 1.0).map(|_| ()));
        judge.case(format!("polytope {n}"), || GaussianMixture::cross_polytope(n, 1.0, 1.0).map(|_| ()));
        judge.case(format!("board {n}"), || Checkerboard::new(n, 1.0).map(|_| ()));
    }
    judge.verdict(1000);
}

#[test]
fn every_name_with_every_number() {
    let mut judge = Judge::default();
    for entry in NAMES {
        for (parameter, _, _) in entry.parameters {
            for value in NUMBERS.into_iter().chain([1e7, 2.0, 1e-12, 1e12, -3.5]) {
                judge.case(format!("{} with {parameter} = {value:e}", entry.name), || {
                    let target = named(entry.name, &[(parameter, value)])?;
                    let x = target.sample(3, &mut Seed::new(0).rng());
                    x.check_finite("sample")?;
                    let log = target.as_density().map(|p| p.log_density(&x)).transpose()?;
                    let score = target.as_score().map(|s| s.score(&x)).transpose()?;
                    Ok((log, score))
                });
            }
        }
        judge.refused(format!("{} with a parameter it has not", entry.name), || {
            Spec::new(entry.name).with("colour", 1.0).build()
        });
    }
    for name in ["", " ", "moon", "MOONS", "8", "\0", "λ"] {
        judge.refused(format!("name {name:?}"), || named(name, &[]));
    }
    judge.verdict(800);
}
