//! The catalogue of named measures: names, defaults and how each is built.

use super::named::{Named, boxed};
use super::{
    Banana, Checkerboard, Circles, Dirichlet, Funnel, GaussianMixture, Laplace, Moons, Pinwheel, SCurve,
    StudentT, SwissRoll, TwoSpirals, UniformBall, UniformBox, UniformSphere, VonMises,
};
use crate::points::Points;

const SCALE: (&str, f64, &str) = ("scale", 1.0, "both coordinates are multiplied by it");
const SIGMA: &str = "standard deviation of every mode";
const NOISE: &str = "standard deviation of the Gaussian noise, before scaling";

/// Everything [`named`](super::named) knows.
pub const NAMES: &[Named] = &[
    Named {
        name: "gaussian",
        aliases: &["normal"],
        about: "N(mean·1, sigma² I)",
        parameters: &[
            ("dim", 2.0, "dimension"),
            ("mean", 0.0, "mean of every coordinate"),
            ("sigma", 1.0, "standard deviation of every coordinate"),
        ],
        build: |a| {
            let dim = a.count("dim")?;
            // One isotropic component: no d×d matrix, whatever d is.
            let mean = Points::new(dim, vec![a.get("mean"); dim])?;
            boxed(GaussianMixture::equal(mean, a.get("sigma")))
        },
    },
    Named {
        name: "uniform",
        aliases: &["box"],
        about: "uniform on the cube [low, high)^dim",
        parameters: &[("dim", 2.0, "dimension"), ("low", 0.0, "lower corner"), ("high", 1.0, "upper corner")],
        build: |a| {
            let dim = a.count("dim")?;
            boxed(UniformBox::new(vec![a.get("low"); dim], vec![a.get("high"); dim]))
        },
    },
    Named {
        name: "eight_gaussians",
        aliases: &["8gaussians"],
        about: "eight Gaussians on a circle, as in torchcfm",
        parameters: &[
            ("radius", 5.0, "distance of the modes from the origin"),
            ("sigma", 0.562_341_325_190_349_1, SIGMA),
        ],
        build: |a| boxed(GaussianMixture::ring(8, a.get("radius"), a.get("sigma"))),
    },
    Named {
        name: "grid_gaussians",
        aliases: &["25gaussians"],
        about: "Gaussians on a square grid, as in PacGAN",
        parameters: &[
            ("side", 5.0, "modes along a side"),
            ("spacing", 2.0, "distance of neighbours"),
            ("sigma", 0.05, SIGMA),
        ],
        build: |a| boxed(GaussianMixture::grid(a.count("side")?, a.get("spacing"), a.get("sigma"))),
    },
    Named {
        name: "ring_gaussians",
        aliases: &["ring"],
        about: "any number of Gaussians on a circle, by default PacGAN's ring",
        parameters: &[
            ("modes", 8.0, "number of modes"),
            ("radius", 1.0, "distance of the modes from the origin"),
            ("sigma", 0.01, SIGMA),
        ],
        build: |a| boxed(GaussianMixture::ring(a.count("modes")?, a.get("radius"), a.get("sigma"))),
    },
    Named {
        name: "cross_polytope",
        aliases: &["mixture"],
        about: "2·dim Gaussians at ±radius along the axes",
        parameters: &[
            ("dim", 16.0, "dimension"),
            ("radius", 4.0, "distance of the modes from the origin"),
            ("sigma", 0.5, SIGMA),
        ],
        build: |a| boxed(GaussianMixture::cross_polytope(a.count("dim")?, a.get("radius"), a.get("sigma"))),
    },
    Named {
        name: "moons",
        aliases: &["two_moons"],
        about: "two interleaving half circles, as in scikit-learn",
        parameters: &[
            ("noise", 0.1, NOISE),
            (
                "standardised",
                0.0,
                "1: mean 0 and variance 1 in both coordinates before scaling; 0: as they are",
            ),
            SCALE,
            ("shift_x", 0.0, "added to the first coordinate, after scaling"),
            ("shift_y", 0.0, "added to the second coordinate, after scaling"),
        ],
        build: |a| {
            let moons = Moons::new(a.get("noise"))?;
            let moons = if a.flag("standardised")? { moons.standardised()? } else { moons };
            boxed(moons.placed([a.get("scale"); 2], [a.get("shift_x"), a.get("shift_y")]))
        },
    },
    Named {
        name: "circles",
        aliases: &["two_circles"],
        about: "two concentric circles, as in FFJORD",
        parameters: &[
            ("factor", 0.5, "radius of the inner circle, the outer one having 1"),
            ("noise", 0.08, NOISE),
            ("scale", 3.0, SCALE.2),
        ],
        build: |a| {
            boxed(Circles::new(a.get("factor"), a.get("noise"))?.placed([a.get("scale"); 2], [0.0; 2]))
        },
    },
    Named {
        name: "swiss_roll",
        aliases: &["swissroll"],
        about: "one and a half turns of a spiral, as in FFJORD",
        parameters: &[("noise", 1.0, NOISE), ("scale", 0.2, SCALE.2)],
        build: |a| boxed(SwissRoll::new(a.get("noise"))?.placed([a.get("scale"); 2], [0.0; 2])),
    },
    Named {
        name: "s_curve",
        aliases: &["scurve"],
        about: "an S of two three-quarter circles, as in scikit-learn",
        parameters: &[("noise", 0.05, NOISE), SCALE],
        build: |a| boxed(SCurve::new(a.get("noise"))?.placed([a.get("scale"); 2], [0.0; 2])),
    },
    Named {
        name: "checkerboard",
        aliases: &[],
        about: "every other cell of a square board, as in FFJORD",
        parameters: &[
            ("cells", 4.0, "cells along a side"),
            ("half_width", 4.0, "the board is [−half_width, half_width)²"),
        ],
        build: |a| boxed(Checkerboard::new(a.count("cells")?, a.get("half_width"))),
    },
    Named {
        name: "pinwheel",
        aliases: &[],
        about: "Gaussian arms bent into a wheel, as in FFJORD",
        parameters: &[
            ("arms", 5.0, "number of arms"),
            ("radial", 0.3, "standard deviation along an arm"),
            ("tangential", 0.1, "standard deviation across an arm"),
            ("rate", 0.25, "how fast an arm bends"),
            ("scale", 2.0, SCALE.2),
        ],
        build: |a| {
            boxed(Pinwheel::new(
                a.count("arms")?,
                a.get("radial"),
                a.get("tangential"),
                a.get("rate"),
                a.get("scale"),
            ))
        },
    },
    Named {
        name: "two_spirals",
        aliases: &["2spirals"],
        about: "two spirals that wind about each other, as in FFJORD (whose jitter is 0.5)",
        parameters: &[
            ("turns", 1.5, "turns of each spiral"),
            ("noise", 0.3, NOISE),
            ("jitter", 0.0, "side of the box of uniform jitter, before scaling; above 0 there is no density"),
            ("scale", 1.0 / 3.0, SCALE.2),
        ],
        build: |a| {
            let spirals = TwoSpirals::new(a.get("turns"), a.get("noise"))?.jittered(a.get("jitter"))?;
            boxed(spirals.placed([a.get("scale"); 2], [0.0; 2]))
        },
    },
    Named {
        name: "student_t",
        aliases: &["student"],
        about: "the standard Student law, heavy in its tails",
        parameters: &[("dim", 2.0, "dimension"), ("freedom", 3.0, "degrees of freedom")],
        build: |a| boxed(StudentT::standard(a.size("dim", 4096)?, a.get("freedom"))),
    },
    Named {
        name: "laplace",
        aliases: &[],
        about: "independent Laplace coordinates",
        parameters: &[("dim", 2.0, "dimension"), ("scale", 1.0, "scale b of every coordinate")],
        build: |a| {
            let dim = a.count("dim")?;
            boxed(Laplace::new(vec![0.0; dim], vec![a.get("scale"); dim]))
        },
    },
    Named {
        name: "dirichlet",
        aliases: &[],
        about: "symmetric Dirichlet proportions, all but the last of them",
        parameters: &[
            ("corners", 3.0, "number of proportions; the dimension is one less"),
            ("alpha", 1.0, "concentration; 1 is uniform on the simplex"),
        ],
        build: |a| boxed(Dirichlet::new(vec![a.get("alpha"); a.count("corners")?])),
    },
    Named {
        name: "banana",
        aliases: &["rosenbrock"],
        about: "a Gaussian bent along a parabola, as in Haario et al.",
        parameters: &[
            ("dim", 2.0, "dimension"),
            ("bend", 0.1, "how strongly it bends"),
            ("deviation", 10.0, "standard deviation of the first coordinate"),
        ],
        build: |a| boxed(Banana::new(a.count("dim")?, a.get("bend"), a.get("deviation"))),
    },
    Named {
        name: "funnel",
        aliases: &["neal"],
        about: "Neal's funnel",
        parameters: &[
            ("dim", 10.0, "dimension"),
            (
                "deviation",
                3.0,
                "standard deviation of the first coordinate, the logarithm of the others' variance",
            ),
        ],
        build: |a| boxed(Funnel::new(a.count("dim")?, a.get("deviation"))),
    },
    Named {
        name: "von_mises",
        aliases: &[],
        about: "the von Mises law of an angle",
        parameters: &[("mean", 0.0, "mean angle"), ("concentration", 2.0, "κ, 0 being uniform")],
        build: |a| boxed(VonMises::new(a.get("mean"), a.get("concentration"))),
    },
    Named {
        name: "ball",
        aliases: &[],
        about: "uniform on a ball",
        parameters: &[("dim", 2.0, "dimension"), ("radius", 1.0, "radius")],
        build: |a| boxed(UniformBall::new(vec![0.0; a.count("dim")?], a.get("radius"))),
    },
    Named {
        name: "sphere",
        aliases: &["circle"],
        about: "uniform on a sphere, by default a circle in the plane: a target without density",
        parameters: &[("dim", 2.0, "dimension of the space around it"), ("radius", 1.0, "radius")],
        build: |a| boxed(UniformSphere::new(vec![0.0; a.count("dim")?], a.get("radius"))),
    },
    Named {
        name: "noised_sphere",
        aliases: &["noised_circle"],
        about: "uniform on a sphere plus Gaussian noise, with density and score in closed form",
        parameters: &[
            ("dim", 2.0, "dimension of the space around it"),
            ("radius", 1.0, "radius"),
            ("sigma", 0.1, "standard deviation of the noise"),
        ],
        build: |a| {
            boxed(UniformSphere::new(vec![0.0; a.count("dim")?], a.get("radius"))?.noised(a.get("sigma")))
        },
    },
];
