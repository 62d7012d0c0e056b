//! Gaussian mixtures with full covariances, boxes, products and affine images.

use crate::common::{assert_entropy, assert_jvp, assert_ks, assert_score, mass, phi};
use measures::nalgebra::{DMatrix, DVector};
use measures::zoo::{Gaussian, GaussianMixture, Independent, Product, UniformBox, affine_image};
use measures::{Affine, Density, Error, Measure, Points, Sample, Score, Seed};

fn full(dim: usize) -> GaussianMixture {
    let component = |k: usize| {
        let a = DMatrix::from_fn(dim, dim, |i, j| ((3 * i + 5 * j + 7 * k) as f64).sin());
        let covariance = &a * a.transpose() + DMatrix::identity(dim, dim) * 0.3;
        Gaussian::new((0..dim).map(|i| ((i + 2 * k) as f64).cos() * 2.0).collect(), covariance).unwrap()
    };
    GaussianMixture::new(vec![1.0, 2.0, 0.0, 3.0], &[component(0), component(1), component(2), component(3)])
        .unwrap()
}

#[test]
fn full_covariances() {
    let mixture = full(3);
    let x = mixture.sample(100_000, &mut Seed::new(1).rng());
    // Every projection ⟨a, X⟩ is a mixture on the line with a closed distribution function.
    for k in 0..4 {
        let a = DVector::from_fn(3, |i, _| ((k * 3 + i) as f64 * 1.3).cos());
        let projected = x.rows().map(|r| r.iter().zip(a.iter()).map(|(x, a)| x * a).sum()).collect();
        let parts: Vec<(f64, f64, f64)> = (0..4)
            .map(|c| {
                let mean = DVector::from_row_slice(mixture.means().row(c)).dot(&a);
                let variance = (a.transpose() * mixture.covariance(c).unwrap() * &a)[(0, 0)];
                (mixture.weights()[c], mean, variance.sqrt())
            })
            .collect();
        assert_ks("projection", projected, |t| parts.iter().map(|(w, m, s)| w * phi((t - m) / s)).sum());
    }
    let few = x.select(&(0..60).collect::<Vec<_>>());
    assert_score("full mixture", &mixture, &few, 1e-6);
    assert_jvp("full mixture", &mixture, &few, 1e-6);
    let total = mass(&full(2), &[-14.0; 2], &[14.0; 2], 24);
    assert!((total - 1.0).abs() < 1e-9, "{total}");
    let spread = mixture.total_covariance();
    let mean = mixture.mean();
    for i in 0..3 {
        let column = x.column(i);
        let seen = column.iter().map(|v| (v - mean[i]).powi(2)).sum::<f64>() / column.len() as f64;
        assert!((seen / spread[(i, i)] - 1.0).abs() < 0.05);
    }
}

#[test]
fn isotropic_and_full_agree_and_far_points_are_answered() {
    let (weights, means) = (vec![0.2, 0.8], Points::from_rows(&[[0.0, 1.0], [2.0, -1.0]]));
    let fast = GaussianMixture::isotropic(weights.clone(), means.clone(), &[0.5, 1.5]).unwrap();
    let parts =
        [Gaussian::isotropic(means.row(0), 0.5).unwrap(), Gaussian::isotropic(means.row(1), 1.5).unwrap()];
    let slow = GaussianMixture::new(weights, &parts).unwrap();
    let x = fast.sample(200, &mut Seed::new(2).rng());
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12 * (1.0 + a.abs()));
    assert!(close(&fast.log_density(&x).unwrap(), &slow.log_density(&x).unwrap()));
    assert!(close(fast.score(&x).unwrap().as_slice(), slow.score(&x).unwrap().as_slice()));
    assert!(close(fast.score_jvp(&x, &x).unwrap().as_slice(), slow.score_jvp(&x, &x).unwrap().as_slice()));
    // So far out that squares overflow the wide component still answers: −x/σ².
    let far = Points::from_rows(&[[1e200, 0.0], [-1e3, 1e3]]);
    for mixture in [&fast, &slow] {
        assert_eq!(mixture.log_density(&far).unwrap()[0], f64::NEG_INFINITY);
        let score = mixture.score(&far).unwrap();
        assert!((score.row(0)[0] / (-1e200 / 2.25) - 1.0).abs() < 1e-12);
        assert!((score.row(1)[0] / (1002.0 / 2.25) - 1.0).abs() < 1e-12);
    }
    assert_score("isotropic", &fast, &x, 1e-6);
    assert_jvp("isotropic", &fast, &x, 1e-6);
    assert_eq!(fast.classify(&means).unwrap(), [0, 1]);
}

#[test]
fn noising_and_affine_images_are_pushforwards() {
    let mixture = full(2);
    let map = Affine::new(DMatrix::from_row_slice(2, 2, &[1.0, 2.0, -0.5, 1.0]), vec![1.0, -1.0]).unwrap();
    let image = mixture.affine(&map).unwrap();
    let pushed = affine_image(mixture.clone(), map.matrix().clone(), map.offset().to_vec()).unwrap();
    let x = image.sample(50, &mut Seed::new(3).rng());
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-10 * (1.0 + a.abs()));
    assert!(close(&image.log_density(&x).unwrap(), &pushed.log_density(&x).unwrap()));
    assert!(close(image.score(&x).unwrap().as_slice(), pushed.score(&x).unwrap().as_slice()));
    assert!(close(image.score_jvp(&x, &x).unwrap().as_slice(), pushed.score_jvp(&x, &x).unwrap().as_slice()));
    let noised = mixture.noised(0.6, 0.8).unwrap();
    for k in 0..4 {
        let expected = mixture.covariance(k).unwrap() * 0.36 + DMatrix::identity(2, 2) * 0.64;
        assert!((noised.covariance(k).unwrap() - expected).amax() < 1e-12);
    }
    let ring = GaussianMixture::ring(8, 5.0, 1.0).unwrap().noised(0.0, 2.0).unwrap();
    assert!(close(
        &ring.log_density(&x).unwrap(),
        &Gaussian::isotropic(&[0.0; 2], 2.0).unwrap().log_density(&x).unwrap()
    ));
    assert!(mixture.noised(0.0, 0.0).is_err() && mixture.noised(1.0, -1.0).is_err());
}

#[test]
fn boxes_and_products() {
    let cube = UniformBox::new(vec![-1.0, 2.0], vec![1.0, 5.0]).unwrap();
    let x = cube.sample(50_000, &mut Seed::new(4).rng());
    assert_ks("first side", x.column(0), |v| f64::midpoint(v, 1.0));
    assert_ks("second side", x.column(1), |v| (v - 2.0) / 3.0);
    assert!((mass(&cube, &[-1.0, 2.0], &[1.0, 5.0], 1) - 1.0).abs() < 1e-12);
    assert_entropy("box", &cube, 100);
    let edges = Points::from_rows(&[[-1.0, 2.0], [1.0, 2.0], [0.0, 5.0]]);
    let inside: Vec<bool> = cube.log_density(&edges).unwrap().iter().map(|l| l.is_finite()).collect();
    assert_eq!(inside, [true, false, false]);

    let product = Product::new(full(2), Gaussian::isotropic(&[1.0], 2.0).unwrap());
    let x = product.sample(30_000, &mut Seed::new(5).rng());
    assert_ks("third coordinate", x.column(2), |v| phi((v - 1.0) / 2.0));
    let few = x.select(&(0..30).collect::<Vec<_>>());
    assert_score("product", &product, &few, 1e-6);
    assert_jvp("product", &product, &few, 1e-6);
    let copies = Independent::copies(Gaussian::isotropic(&[1.0, 0.0], 2.0).unwrap(), 3).unwrap();
    let single = Gaussian::isotropic(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0], 2.0).unwrap();
    let x = copies.sample(30, &mut Seed::new(6).rng());
    let (a, b) = (copies.log_density(&x).unwrap(), single.log_density(&x).unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(
        copies
            .score(&x)
            .unwrap()
            .as_slice()
            .iter()
            .zip(single.score(&x).unwrap().as_slice())
            .all(|(a, b)| (a - b).abs() < 1e-12)
    );
    assert!(
        copies
            .score_jvp(&x, &x)
            .unwrap()
            .as_slice()
            .iter()
            .zip(single.score_jvp(&x, &x).unwrap().as_slice())
            .all(|(a, b)| (a - b).abs() < 1e-12)
    );
    assert!((copies.entropy().unwrap() - single.entropy().unwrap()).abs() < 1e-12);
    assert_eq!(copies.dim(), 6);
    assert_entropy("gaussian", &single, 20_000);
}

#[test]
fn bad_parameters_are_named() {
    let line = |v: &[f64]| Points::from_line(v.to_vec());
    let bad =
        |w: Vec<f64>, m: Points, s: &[f64]| GaussianMixture::isotropic(w, m, s).map(|_| ()).unwrap_err();
    assert!(matches!(bad(vec![], line(&[]), &[]), Error::TooFew { .. }));
    assert!(matches!(bad(vec![1.0], line(&[0.0, 1.0]), &[1.0, 1.0]), Error::Length { .. }));
    assert!(matches!(bad(vec![1.0, -1.0], line(&[0.0, 1.0]), &[1.0, 1.0]), Error::Entry { index: 1, .. }));
    assert!(matches!(bad(vec![0.0, 0.0], line(&[0.0, 1.0]), &[1.0, 1.0]), Error::WeightSum { .. }));
    assert!(matches!(bad(vec![1.0, 1.0], line(&[0.0, f64::NAN]), &[1.0, 1.0]), Error::NonFinite { .. }));
    assert!(matches!(bad(vec![1.0, 1.0], line(&[0.0, 1.0]), &[1.0, 0.0]), Error::Entry { index: 1, .. }));
    assert!(matches!(UniformBox::new(vec![0.0], vec![0.0]), Err(Error::Entry { .. })));
    assert!(UniformBox::unit(0).is_err() && GaussianMixture::new(vec![], &[]).is_err());
    assert!(Independent::<Gaussian>::new(vec![]).is_err());
    assert!(full(2).score(&Points::from_raw(2, vec![f64::NAN, 0.0])).is_err());
    assert!(full(2).score(&Points::zeros(1, 3)).is_err());
}

#[test]
fn the_same_bytes_on_every_instruction_set_and_wherever_a_point_stands() {
    let ring = GaussianMixture::ring(8, 5.0, 0.5).unwrap();
    for mixture in [ring.clone(), full(3), full(1)] {
        let x = mixture.sample(2500, &mut Seed::new(7).rng());
        let run = || {
            let mut bits = mixture.score(&x).unwrap().into_vec();
            bits.extend(mixture.score_jvp(&x, &x).unwrap().into_vec());
            bits.extend(mixture.log_density(&x).unwrap());
            bits.iter().map(|v| v.to_bits()).collect::<Vec<u64>>()
        };
        let best = run();
        for isa in measures::lanes::Isa::available() {
            measures::lanes::force(Some(isa)).unwrap();
            assert!(run() == best, "{isa:?}");
        }
        measures::lanes::force(None).unwrap();
        // Alone or in company, a point has the same score.
        let all = mixture.score(&x).unwrap();
        for i in [0, 7, 1023, 1024, 2499] {
            assert_eq!(mixture.score(&x.select(&[i])).unwrap().row(0), all.row(i));
        }
    }
    assert_eq!(ring.score(&Points::zeros(0, 2)).unwrap().len(), 0);
}
