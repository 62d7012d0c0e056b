//! Measures on surfaces (footnote 5) and what noise makes of them.

use crate::common::{ALPHA, assert_jvp, assert_ks, assert_plane_fit, assert_score, line_rule, mass};
use measures::zoo::{
    CircleChart, Dirichlet, Noised, SimplexChart, SphereChart, SurfaceDensity, UniformBox, UniformSphere,
    VonMises,
};
use measures::{
    Density, Error, Estimate, Injective, Measure, Pad, Points, Pushforward, Result, Sample, Score, Seed,
};
use std::f64::consts::{PI, TAU};

/// The volume factor against finite differences of the map.
fn assert_volume(map: &impl Injective, z: &Points) {
    let (x, volume) = map.apply_with_log_volume(z).unwrap();
    let back = map.preimage(&x).unwrap();
    let h = 1e-6;
    for i in 0..z.len() {
        assert!(
            back.row(i).iter().zip(z.row(i)).all(|(a, b)| (a - b).abs() < 1e-9),
            "preimage of {:?}",
            x.row(i)
        );
        let columns: Vec<Vec<f64>> = (0..z.dim())
            .map(|k| {
                let at = |sign: f64| {
                    let mut row = z.row(i).to_vec();
                    row[k] += sign * h;
                    map.apply(&Points::new(row.len(), row).unwrap()).unwrap().into_vec()
                };
                at(1.0).iter().zip(at(-1.0)).map(|(a, b)| (a - b) / (2.0 * h)).collect()
            })
            .collect();
        let gram = measures::nalgebra::DMatrix::from_fn(z.dim(), z.dim(), |a, b| {
            columns[a].iter().zip(&columns[b]).map(|(x, y)| x * y).sum::<f64>()
        });
        assert!((0.5 * gram.determinant().ln() - volume[i]).abs() < 1e-7);
    }
}

#[test]
fn charts_know_their_volume() {
    assert_volume(
        &CircleChart::new([1.0, -2.0], 3.0, -PI).unwrap(),
        &Points::from_line(vec![-3.0, -1.0, 0.0, 2.5]),
    );
    let angles = Points::from_rows(&[[0.3, 0.1], [1.5, 3.0], [3.0, 6.0]]);
    assert_volume(&SphereChart::new([1.0, -2.0, 0.5], 3.0).unwrap(), &angles);
    assert_volume(&SimplexChart::new(4).unwrap(), &Points::from_rows(&[[0.2, 0.3, 0.1]]));
    assert_volume(&Pad::new(2, 5).unwrap(), &angles);
}

/// The polar angle θ with density ½ sin θ and a uniform longitude: the uniform law on the sphere in its chart.
struct Angles;

impl Measure for Angles {
    fn dim(&self) -> usize {
        2
    }
}

impl Density for Angles {
    fn log_density(&self, x: &Points) -> Result<Vec<f64>> {
        let inside = |r: &[f64]| (0.0..PI).contains(&r[0]) && (0.0..TAU).contains(&r[1]);
        Ok(x.rows()
            .map(|r| if inside(r) { (r[0].sin() / (2.0 * TAU)).ln() } else { f64::NEG_INFINITY })
            .collect())
    }
}

#[test]
fn surface_densities_of_circle_sphere_and_simplex() {
    let chart = CircleChart::new([1.0, 0.0], 2.0, -PI).unwrap();
    let bent = Pushforward::new(chart, VonMises::new(0.0, 1.5).unwrap()).unwrap();
    let x = bent.sample(20_000, &mut Seed::new(1).rng());
    assert!(x.rows().all(|r| ((r[0] - 1.0).hypot(r[1]) - 2.0).abs() < 1e-12));
    // It integrates to one over the arc length, and is the von Mises density over the radius.
    let arc: f64 = line_rule(-PI, PI, 20)
        .iter()
        .map(|(a, w)| {
            let point = Points::from_rows(&[[1.0 + 2.0 * a.cos(), 2.0 * a.sin()]]);
            2.0 * w * bent.log_surface_density(&point, 1e-9).unwrap()[0].exp()
        })
        .sum();
    assert!((arc - 1.0).abs() < 1e-12, "{arc}");
    let off = Points::from_rows(&[[1.0, 0.0], [3.1, 0.0]]);
    assert_eq!(bent.log_surface_density(&off, 1e-9).unwrap(), [f64::NEG_INFINITY; 2]);
    assert!(bent.log_surface_density(&off, f64::NAN).is_err());

    let round = Pushforward::new(
        CircleChart::new([0.0; 2], 2.0, 0.0).unwrap(),
        UniformBox::new(vec![0.0], vec![TAU]).unwrap(),
    )
    .unwrap();
    let sphere = Pushforward::new(SphereChart::new([0.0, 1.0, 0.0], 2.0).unwrap(), Angles).unwrap();
    let flat = [(2usize, -(2.0 * TAU).ln()), (3, -(16.0 * PI).ln())];
    for (dim, expected) in flat {
        let centre = if dim == 2 { vec![0.0; 2] } else { vec![0.0, 1.0, 0.0] };
        let uniform = UniformSphere::new(centre, 2.0).unwrap();
        let x = uniform.sample(50, &mut Seed::new(2).rng());
        let direct = uniform.log_surface_density(&x, 1e-9).unwrap();
        let charted =
            if dim == 2 { round.log_surface_density(&x, 1e-9) } else { sphere.log_surface_density(&x, 1e-9) };
        for (a, b) in direct.iter().zip(charted.unwrap()) {
            assert!((a - expected).abs() < 1e-12 && (b - expected).abs() < 1e-9, "{a} {b} {expected}");
        }
        assert_eq!(uniform.surface_dim(), dim - 1);
    }
    // Archimedes: each coordinate of the sphere in ℝ³ is uniform.
    let x = UniformSphere::new(vec![0.0; 3], 1.0).unwrap().sample(40_000, &mut Seed::new(3).rng());
    (0..3).for_each(|k| assert_ks("archimedes", x.column(k), |v| 0.5 * (v + 1.0)));

    let simplex = Dirichlet::uniform(3).unwrap().on_simplex();
    let x = simplex.sample(1000, &mut Seed::new(4).rng());
    assert!(x.rows().all(|r| (r.iter().sum::<f64>() - 1.0).abs() < 1e-12));
    // An equilateral triangle of side √2 has the area √3/2.
    let log = simplex.log_surface_density(&x, 1e-9).unwrap();
    assert!(log.iter().all(|l| (l + (3f64.sqrt() / 2.0).ln()).abs() < 1e-9));
}

#[test]
fn noised_spheres_are_known_in_closed_form() {
    let circle = UniformSphere::new(vec![0.5, -0.5], 2.0).unwrap();
    let wide = circle.noised(0.4).unwrap();
    let total = assert_plane_fit("noised circle", &wide, [-4.5, -5.5], [5.5, 4.5], 24);
    assert!((total - 1.0).abs() < 1e-9, "{total}");
    for dim in [1, 2, 3, 4, 7] {
        for sigma in [0.1, 0.7, 3.0] {
            let law = UniformSphere::new(vec![0.3; dim], 1.5).unwrap().noised(sigma).unwrap();
            let x = law.sample(40, &mut Seed::new(5).rng());
            assert_score("noised sphere", &law, &x, 1e-5);
            assert_jvp("noised sphere", &law, &x, 1e-5);
            let centre = Points::new(dim, vec![0.3; dim]).unwrap();
            assert!(law.score(&centre).unwrap().as_slice().iter().all(|s| s.abs() < 1e-12));
            assert!(law.score_jvp(&centre, &centre).unwrap().as_slice().iter().all(|s| s.is_finite()));
            // log p is the logarithm of the mean of Gaussians over draws from the sphere.
            // Where a Gaussian is narrow against the sphere few draws count and the interval means nothing.
            if sigma < 0.5 && dim > 2 {
                continue;
            }
            let probe = x.select(&[0]);
            let y = law.sphere().sample(100_000, &mut Seed::new(6).rng());
            let terms: Vec<f64> = y
                .rows()
                .map(|y| {
                    let q: f64 = y.iter().zip(probe.row(0)).map(|(y, x)| (x - y).powi(2)).sum();
                    (-0.5 * q / (sigma * sigma)).exp() * (TAU * sigma * sigma).powf(-0.5 * dim as f64)
                })
                .collect();
            let estimate = Estimate::of_mean(&terms).unwrap();
            let exact = law.log_density(&probe).unwrap()[0].exp();
            assert!((estimate.value - exact).abs() <= 5.0 * estimate.standard_error + 1e-12 * exact);
        }
    }
    let space = UniformSphere::new(vec![0.0; 3], 1.0).unwrap().noised(0.5).unwrap();
    assert!((mass(&space, &[-4.5; 3], &[4.5; 3], 6) - 1.0).abs() < 1e-6);
    let far = Points::from_rows(&[[1e200, 0.0, 0.0]]);
    assert_eq!(space.log_density(&far).unwrap(), [f64::NEG_INFINITY]);
    assert!((space.score(&far).unwrap().row(0)[0] / -4e200 - 1.0).abs() < 1e-12);
    assert!(space.score_jvp(&far, &far).unwrap().as_slice().iter().all(|v| !v.is_nan()));
    assert!(circle.noised(1e-20).is_err());
}

#[test]
fn noise_on_any_image_by_quadrature_agrees_with_the_closed_forms() {
    let flat = UniformBox::new(vec![0.0], vec![TAU]).unwrap();
    let image = Pushforward::new(CircleChart::new([0.5, -0.5], 2.0, 0.0).unwrap(), flat).unwrap();
    let law = Noised::by_quadrature(image.clone(), 0.4, &[0.0], &[TAU], 12).unwrap();
    let exact = UniformSphere::new(vec![0.5, -0.5], 2.0).unwrap().noised(0.4).unwrap();
    let x = law.sample(100, &mut Seed::new(7).rng());
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9 * (1.0 + b.abs()));
    assert!(close(&law.log_density(&x).unwrap(), &exact.log_density(&x).unwrap()));
    assert!(close(law.score(&x).unwrap().as_slice(), exact.score(&x).unwrap().as_slice()));
    assert!(close(law.score_jvp(&x, &x).unwrap().as_slice(), exact.score_jvp(&x, &x).unwrap().as_slice()));
    assert_plane_fit("noised by quadrature", &law, [-4.5, -5.5], [5.5, 4.5], 24);

    let ball = Pushforward::new(SphereChart::new([0.0; 3], 1.0).unwrap(), Angles).unwrap();
    let law = Noised::by_quadrature(ball, 0.5, &[0.0, 0.0], &[PI, TAU], 4).unwrap();
    let exact = UniformSphere::new(vec![0.0; 3], 1.0).unwrap().noised(0.5).unwrap();
    let x = exact.sample(50, &mut Seed::new(8).rng());
    assert!(close(&law.log_density(&x).unwrap(), &exact.log_density(&x).unwrap()));
    assert!(close(law.score(&x).unwrap().as_slice(), exact.score(&x).unwrap().as_slice()));

    // A von Mises law on the circle, with noise: no closed form, but differences agree.
    let bent =
        Pushforward::new(CircleChart::new([0.0; 2], 2.0, -PI).unwrap(), VonMises::new(0.0, 1.5).unwrap())
            .unwrap();
    let law = Noised::by_quadrature(bent.clone(), 0.3, &[-PI], &[PI], 16).unwrap();
    let finer = Noised::by_quadrature(bent, 0.3, &[-PI], &[PI], 40).unwrap();
    let x = law.sample(50, &mut Seed::new(9).rng());
    assert!(close(&law.log_density(&x).unwrap(), &finer.log_density(&x).unwrap()));
    assert_score("noised von mises", &law, &x, 1e-6);
    let missed = Noised::by_quadrature(image.clone(), 0.4, &[0.0], &[PI], 8).map(|_| ()).unwrap_err();
    assert!(matches!(missed, Error::Parameter { .. }) && ALPHA > 0.0);
    assert!(Noised::by_quadrature(image, 0.4, &[0.0], &[TAU], usize::MAX).is_err());
}
