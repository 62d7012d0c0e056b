//! Constructors: kernels, families, grids, settings of solvers.

use crate::answers::Finite;
use crate::judge::{Judge, NUMBERS, clouds};
use divergences::family::{
    Activation, Bumps, Exponentials, FourierLattice, Functions, Hermite, Monomials, Nystrom,
    RandomFrequencies, Ridge, SteinImage,
};
use divergences::kernel::{
    Energy, Gaussian, InverseMultiquadric, Kernel, Laplace, Matern, Mixture, Pairs, Polynomial, Product,
    RandomFeatures, RationalQuadratic, Smoothness, Sum, Times, median_distance,
};
use divergences::measures::{Empirical, Family, Function, Points, Result, Seed, TestFunction, zoo};
use divergences::phi::{Critic, DualPhi, Phi};
use divergences::sup_ipm::{Conjugate, Kantorovich, RkhsBall, SupIpm, SupPairs};
use divergences::total_variation::{Grid, HistogramTotalVariation};
use divergences::transport::{
    Exact, MaxSliced, NormPower, Periodic, Sinkhorn, SinkhornDivergence, SlicedWasserstein, Unbalanced,
    Wasserstein, directions,
};
use divergences::{BlockMmd, Divergence, Mmd, Statistic};

type AnyKernel = Box<dyn Kernel>;

fn kernels(a: f64, b: f64) -> Vec<(&'static str, Result<AnyKernel>)> {
    fn boxed<K: Kernel + 'static>(kernel: Result<K>) -> Result<AnyKernel> {
        kernel.map(|k| Box::new(k) as AnyKernel)
    }
    let sum = || Sum::new(vec![(a, boxed(Gaussian::new(1.0))?), (b, boxed(Laplace::new(1.0))?)]);
    let product = || Product::new(vec![boxed(Gaussian::new(a))?, boxed(Laplace::new(b))?]);
    let times = || Times::new(Gaussian::new(a)?, RationalQuadratic::new(1.0, b)?);
    let mixed = || Mixture::new(vec![(a, Gaussian::new(1.0)?), (1.0, Gaussian::new(b)?)]);
    vec![
        ("Gaussian", boxed(Gaussian::new(a))),
        ("Laplace", boxed(Laplace::new(a))),
        ("Matérn", boxed(Smoothness::from_nu(b).and_then(|s| Matern::new(s, a)))),
        ("Matérn 5/2", boxed(Matern::new(Smoothness::FiveHalves, a))),
        ("IMQ", boxed(InverseMultiquadric::new(a))),
        ("RQ", boxed(RationalQuadratic::new(a, b))),
        ("energy", boxed(Energy::new(a))),
        ("polynomial", boxed(Polynomial::new(3, a, b))),
        ("bandwidths", boxed(Mixture::of_bandwidths(&[a, b]))),
        ("mixture", boxed(mixed())),
        ("sum", boxed(sum())),
        ("product", boxed(product())),
        ("times", boxed(times())),
    ]
}

#[test]
fn kernels_of_any_parameters() {
    let mut judge = Judge::default();
    let x = Points::from_rows(&[[0.0, 1.0], [2.0, -1.0], [2.0, -1.0], [1e9, 0.0]]);
    let (mu, nu) = (Empirical::uniform(x.clone()).unwrap(), Empirical::dirac(&[0.5, 0.5]).unwrap());
    for a in NUMBERS {
        for b in NUMBERS {
            for (name, kernel) in kernels(a, b) {
                let Ok(kernel) = kernel else {
                    judge.case(format!("{name} {a} {b}"), || kernel.map(|_| ()));
                    continue;
                };
                let mmd = Mmd::new(kernel, Statistic::Plugin);
                judge.case(format!("MMD {name} {a} {b}"), || Ok(Finite(vec![mmd.value(&mu, &nu)?])));
                judge.case(format!("variation {name} {a} {b}"), || mmd.variation(&mu, &nu));
                judge.case(format!("matrix {name} {a} {b}"), || mmd.kernel().matrix(&x, &x));
                judge.case(format!("ball {name} {a} {b}"), || {
                    let ball = RkhsBall::new(kernels(a, b).into_iter().find(|k| k.0 == name).unwrap().1?);
                    ball.map(|_| ())
                });
            }
        }
        judge.case(format!("features of energy {a}"), || {
            Energy::new(a)?.frequencies(2, 5, Seed::new(0)).map(|f| f.frequencies().clone())
        });
        judge.case(format!("features of Laplace {a}"), || {
            Laplace::new(a)?.frequencies(2, 500, Seed::new(0)).map(|f| f.frequencies().clone())
        });
        judge.case(format!("features of RQ {a}"), || {
            RationalQuadratic::new(a, 1.0)?.frequencies(2, 500, Seed::new(0)).map(|f| f.frequencies().clone())
        });
        judge.case(format!("features of IMQ {a}"), || {
            let mmd = Mmd::new(InverseMultiquadric::new(a)?, Statistic::Unbiased);
            mmd.random_features(2, 50, Seed::new(0))?.over_frequencies(&mu, &mu)
        });
        judge.case(format!("median of {a}"), || {
            median_distance(&Points::from_line(vec![a, 0.0]), &Points::from_line(vec![1.0]), Pairs::All)
        });
    }
    for count in [0, 1, usize::MAX] {
        judge.case(format!("median among {count}"), || median_distance(&x, &x, Pairs::Among(count)));
        judge.case(format!("{count} blocks"), || {
            BlockMmd::new(Gaussian::new(1.0)?, count)?.estimate(&mu, &mu)
        });
        for dim in [0, 1] {
            judge.case(format!("{count} frequencies in {dim}"), || {
                if count == usize::MAX {
                    return Ok(());
                }
                Gaussian::new(1.0)?.frequencies(dim, count, Seed::new(0)).map(|_| ())
            });
        }
    }
    judge.refused("no kernels", || Sum::new(vec![]));
    judge.refused("no factors", || Product::new(vec![]));
    judge.refused("no bandwidths", || Mixture::of_bandwidths(&[]));
    judge.refused("degree 0", || Polynomial::new(0, 1.0, 1.0));
    for (name, x) in clouds(2) {
        judge.case(format!("landmarks {name}"), || {
            Nystrom::new(Gaussian::new(1.0)?, x.clone())?.brackets(&mu)
        });
        judge.case(format!("Nyström MMD {name}"), || {
            Mmd::new(Laplace::new(1.0)?, Statistic::Plugin).nystrom(x.clone())?.value(&mu, &nu)
        });
        judge.case(format!("median of {name}"), || median_distance(&x, &x, Pairs::All));
    }
    judge.verdict(2500);
}

/// Brackets, values, pullback and diagonal of a family at any cloud.
fn ask(judge: &mut Judge, name: &str, family: &dyn Family, cloud: &str, x: &Points) {
    let c = vec![0.5; family.tau().len()];
    judge.case(format!("brackets of {name} at {cloud}"), || {
        family.brackets(&Empirical::uniform(x.clone())?).map(Finite)
    });
    judge.case(format!("values of {name} at {cloud}"), || {
        x.check_finite("x")?;
        family.values(x)
    });
    judge.case(format!("pullback of {name} at {cloud}"), || {
        x.check_finite("x")?;
        family.pullback(x, &c).map(|p| (p.values, p.gradients))
    });
    judge.case(format!("diagonal of {name} at {cloud}"), || {
        x.check_finite("x")?;
        family.diagonal(x).map(|p| (p.values, p.gradients))
    });
    judge.refused(format!("few coefficients of {name}"), || family.pullback(x, &c[1..]));
}

#[test]
fn families_of_any_parameters() {
    let mut judge = Judge::default();
    let seed = Seed::new(0);
    let norm = || Function::new(2, |x| x[0], |_, g| g.copy_from_slice(&[1.0, 0.0]));
    let families: Vec<(&str, Box<dyn Family>)> = vec![
        ("frequencies", Box::new(RandomFrequencies::gaussian(2, 1.0, 3, seed).unwrap())),
        ("lattice", Box::new(FourierLattice::cube(2, 2).unwrap())),
        ("bumps", Box::new(Bumps::new(Points::zeros(1, 2), 1.0, &[1.0]).unwrap())),
        ("tanh", Box::new(Ridge::random(Activation::Tanh, 2, 1.0, 3, seed).unwrap())),
        ("cosine", Box::new(Ridge::random(Activation::Cosine, 2, 1.0, 3, seed).unwrap())),
        ("Nyström", Box::new(Nystrom::new(Gaussian::new(1.0).unwrap(), Points::zeros(1, 2)).unwrap())),
        ("functions", Box::new(Functions::new(vec![norm()], &[1.0]).unwrap())),
    ];
    // At a frequency times 1e308 there is no phase to tell: these are asked near the points only.
    for (name, family) in &families {
        for (cloud, x) in clouds(2).into_iter().filter(|(c, _)| !c.contains("e308") && !c.contains("e200")) {
            if cloud == "alternating" || cloud.contains("1.7976931348623157e308") {
                continue;
            }
            ask(&mut judge, name, family, &cloud, &x);
        }
    }
    for a in NUMBERS {
        let one = Points::from_line(vec![a]);
        judge.case(format!("frequency {a}"), || RandomFrequencies::new(one.clone(), &[1.0]).map(|_| ()));
        judge.case(format!("weight {a}"), || RandomFrequencies::new(Points::zeros(1, 1), &[a]).map(|_| ()));
        judge.case(format!("bandwidth {a}"), || RandomFrequencies::gaussian(1, a, 3, seed).map(|_| ()));
        judge.case(format!("stable {a}"), || RandomFrequencies::stable(1, a, 3, seed).map(|_| ()));
        judge.case(format!("period {a}"), || FourierLattice::line(2)?.with_periods(&[a]).map(|_| ()));
        judge.case(format!("lattice τ {a}"), || FourierLattice::line(1)?.with_tau(&[a]).map(|_| ()));
        judge.case(format!("exponentials {a}"), || {
            Exponentials::new(one.clone(), one.clone(), &[1.0]).map(|_| ())
        });
        judge.case(format!("bump at {a}"), || Bumps::new(one.clone(), 1.0, &[1.0]).map(|_| ()));
        judge.case(format!("bump of {a}"), || Bumps::new(Points::zeros(1, 1), a, &[1.0]).map(|_| ()));
        judge.case(format!("neurons {a}"), || Ridge::random(Activation::Relu, 1, a, 3, seed).map(|_| ()));
        judge.case(format!("neuron {a}"), || {
            Ridge::new(Activation::Softplus, one.clone(), vec![a], &[1.0])?
                .brackets(&Empirical::dirac(&[1.0])?)
        });
        judge.case(format!("Hermite τ {a}"), || Hermite::new(1, 1)?.with_tau(&[a]).map(|_| ()));
        judge.case(format!("monomial τ {a}"), || Monomials::new(1, 1)?.with_tau(&[a]).map(|_| ()));
        judge.case(format!("functions τ {a}"), || Functions::new(vec![norm()], &[a]).map(|_| ()));
        judge.case(format!("landmark {a}"), || Nystrom::new(Gaussian::new(1.0)?, one.clone()).map(|_| ()));
        for b in NUMBERS {
            judge.case(format!("student {a} {b}"), || {
                RandomFrequencies::student(1, a, b, 30, seed).map(|f| f.frequencies().clone())
            });
            judge.case(format!("grid {a} {b}"), || {
                let grid = Grid::new(vec![a], vec![b])?;
                let cells = grid.cells(&Points::from_line(vec![0.0, 1.0]))?;
                HistogramTotalVariation::new(grid)
                    .value(&Empirical::dirac(&[0.0])?, &Empirical::dirac(&[1.0])?)?;
                Ok(cells)
            });
            for moment in [Phi::Kl, Phi::ChiSquared, Phi::JensenShannon, Phi::TotalVariation] {
                judge.case(format!("{moment:?} of masses {a} {b}"), || {
                    if a.is_nan() || b.is_nan() || a.is_infinite() || b.is_infinite() {
                        return Ok(0.0);
                    }
                    Ok(moment.perspective(a, b))
                });
            }
        }
        judge.case(format!("α = {a}"), || Phi::alpha(a).map(|phi| (phi.value(0.5), phi.conjugate(-0.5))));
    }
    for (dim, count) in [(0, 1), (1, 0), (0, 0)] {
        judge.refused("gaussian", || RandomFrequencies::gaussian(dim, 1.0, count, seed));
        judge.refused("student", || RandomFrequencies::student(dim, 1.0, 3.0, count, seed));
        judge.refused("stable", || RandomFrequencies::stable(dim, 1.0, count, seed));
        judge.refused("ridge", || Ridge::random(Activation::Tanh, dim, 1.0, count, seed));
        judge.refused("monomials", || Monomials::new(dim, count as u32));
        judge.refused("Hermite", || Hermite::new(dim, count as u32));
        judge.refused("lattice", || FourierLattice::cube(dim, count as u32));
    }
    for degree in [50, 10_000, u32::MAX] {
        judge.case(format!("degree {degree} in 500 dimensions"), || Monomials::new(500, degree).map(|_| ()));
        judge.case(format!("Hermite {degree} in 500 dimensions"), || Hermite::new(500, degree).map(|_| ()));
        judge.case(format!("lattice {degree} in 500 dimensions"), || {
            FourierLattice::cube(500, degree).map(|_| ())
        });
    }
    judge.refused("no vectors", || FourierLattice::new(&[]));
    judge.refused("ragged vectors", || FourierLattice::new(&[vec![1], vec![1, 2]]));
    judge.refused("empty vectors", || FourierLattice::new(&[vec![], vec![]]));
    judge.refused("functions of two spaces", || {
        let other = Function::new(3, |x| x[0], |_, _| {});
        let both: Vec<Box<dyn TestFunction>> = vec![Box::new(norm()), Box::new(other)];
        Functions::new(both, &[1.0, 1.0])
    });
    judge.refused("grid of nothing", || Grid::cubes(0, 1.0));
    judge.refused("Stein image elsewhere", || {
        SteinImage::new(zoo::Gaussian::standard(1), RandomFrequencies::gaussian(2, 1.0, 3, seed)?)
    });
    judge.refused("no functions with τ", || SupIpm::new(Functions::new(vec![norm()], &[0.0])?));
    judge.refused("pairs of two lengths", || {
        SupPairs::new(FourierLattice::line(1)?, FourierLattice::line(2)?)
    });
    judge.refused("pairs of two spaces", || {
        SupPairs::new(FourierLattice::line(1)?, FourierLattice::cube(2, 1)?)
    });
    judge.refused("Kantorovich without functions", || {
        Kantorovich::new(NormPower::euclidean(), Functions::new(vec![norm()], &[0.0])?)
    });
    judge.refused("a critic beyond the domain", || {
        let steep = Function::new(1, |x| 9.0 * x[0], |_, g| g[0] = 9.0);
        Conjugate::new(Phi::SquaredHellinger, Functions::new(vec![steep], &[1.0])?)
            .values(&Points::from_line(vec![1.0]))
    });
    judge.verdict(1500);
}

#[test]
fn solvers_of_any_settings() {
    let mut judge = Judge::default();
    let seed = Seed::new(0);
    let (mu, nu) = (
        Empirical::uniform(Points::from_line(vec![0.0, 1.0, 4.0])).unwrap(),
        Empirical::uniform(Points::from_line(vec![0.5, 2.0])).unwrap(),
    );
    let finite = |v: f64| Finite(vec![v]);
    for a in NUMBERS {
        judge.case(format!("W{a}"), || Wasserstein::new(a)?.value(&mu, &nu).map(finite));
        judge.case(format!("sliced {a}"), || SlicedWasserstein::new(a, 3, seed)?.value(&mu, &nu).map(finite));
        judge.case(format!("averaged in {a}"), || {
            SlicedWasserstein::new(2.0, 3, seed)?.averaged_in(a)?.value(&mu, &nu).map(finite)
        });
        judge.case(format!("along {a}"), || {
            SlicedWasserstein::along(2.0, Points::from_line(vec![a]))?.value(&mu, &nu).map(finite)
        });
        judge.case(format!("max-sliced {a}"), || MaxSliced::new(a, 2, seed)?.value(&mu, &nu).map(finite));
        judge.case(format!("ε = {a}"), || {
            Sinkhorn::new(a)?.max_iterations(100).solve(&mu, &nu, &NormPower::squared_euclidean())
        });
        judge.case(format!("Sinkhorn divergence, ε = {a}"), || {
            let s = Sinkhorn::new(a)?.max_iterations(100);
            SinkhornDivergence::with_settings(s, NormPower::euclidean()).value(&mu, &nu).map(finite)
        });
        judge.case(format!("tolerance {a}"), || {
            Sinkhorn::new(1.0)?.tolerance(a).max_iterations(50).solve(&mu, &nu, &NormPower::euclidean())
        });
        judge.case(format!("unbalanced tolerance {a}"), || {
            Unbalanced::new(1.0, 1.0, NormPower::euclidean())?.with_limits(a, 50).solve(&mu, &nu)
        });
        judge.case(format!("scaled {a}"), || {
            let cost = NormPower::euclidean().scaled(a)?;
            divergences::transport::solve(&mu, &nu, &cost)
        });
        judge.case(format!("ridge {a}"), || {
            DualPhi::new(Phi::Kl, FourierLattice::line(2)?).with_ridge(a)?.value(&mu, &mu)
        });
        judge.case(format!("accuracy {a}"), || {
            DualPhi::new(Phi::Kl, FourierLattice::line(2)?).with_accuracy(a, 10)?.value(&mu, &mu)
        });
        for b in NUMBERS {
            judge.case(format!("norm {a}, power {b}"), || {
                divergences::transport::solve(&mu, &nu, &NormPower::new(a, b)?)
            });
            judge.case(format!("W with norm {a} {b}"), || {
                Wasserstein::with_norm(a, b)?.value(&mu, &nu).map(finite)
            });
            judge.case(format!("periodic {a} {b}"), || {
                divergences::transport::solve(&mu, &nu, &Periodic::new(a, b)?)
            });
            judge.case(format!("circle {a} {b}"), || {
                divergences::transport::circle::distance(&mu, &nu, a, b).map(finite)
            });
            judge.case(format!("W on the circle {a} {b}"), || {
                Wasserstein::on_circle(a, b)?.value(&mu, &nu).map(finite)
            });
            judge.case(format!("unbalanced {a} {b}"), || {
                let u = Unbalanced::new(a, b, NormPower::squared_euclidean())?.with_limits(1e-6, 100);
                u.solve(&mu, &nu)
            });
        }
        judge.case(format!("line {a}"), || divergences::transport::line::distance(&mu, &nu, a).map(finite));
        judge.case(format!("line plan {a}"), || divergences::transport::line::solve(&mu, &nu, a));
    }
    for n in [0, 1, 2] {
        judge.case(format!("{n} pivots"), || {
            let plane = |x: [f64; 4]| Empirical::uniform(Points::from_rows(&[[x[0], x[1]], [x[2], x[3]]]));
            Exact { max_pivots: n }.solve(
                &plane([0.0, 1.0, 2.0, 0.5])?,
                &plane([1.0, 1.0, 0.0, 3.0])?,
                &NormPower::euclidean(),
            )
        });
        judge.case(format!("{n} iterations"), || {
            Sinkhorn::new(1.0)?.max_iterations(n).solve(&mu, &nu, &NormPower::euclidean())
        });
        judge.case(format!("unbalanced, {n} iterations"), || {
            Unbalanced::new(1.0, 1.0, NormPower::euclidean())?.with_limits(1e-6, n).solve(&mu, &nu)
        });
        judge.case(format!("{n} directions"), || SlicedWasserstein::new(2.0, n, seed)?.value(&mu, &nu));
        judge.case(format!("{n} starts"), || MaxSliced::new(2.0, n, seed)?.value(&mu, &nu));
        judge.case(format!("directions in {n}"), || directions(n, 2, seed));
        judge.case(format!("{n} drawn"), || directions(2, n, seed));
        judge.case(format!("dual, {n} steps"), || {
            DualPhi::new(Phi::Kl, FourierLattice::line(2)?).with_accuracy(1e-9, n)?.value(&mu, &mu)
        });
    }
    for phi in [Phi::ChiSquared, Phi::TotalVariation] {
        judge.refused("a log-ratio critic", || {
            DualPhi::new(phi, FourierLattice::line(1)?).with_critic(Critic::LogRatio)
        });
    }
    judge.refused("no direction", || SlicedWasserstein::along(2.0, Points::zeros(0, 2)));
    judge.refused("a zero direction", || SlicedWasserstein::along(2.0, Points::zeros(1, 2)));
    judge.verdict(1000);
}
