//! Every registered divergence is held to the axioms it declares.
#![cfg(feature = "proptest")]

use divergences::check::Checks;
use divergences::measures::{Empirical, Functional, Result, Variation};
use divergences::{Axioms, Divergence, Toward, registry};

#[test]
fn registered_divergences_keep_their_axioms() {
    for dim in [1, 2, 3] {
        for entry in registry(dim, 1.0).unwrap() {
            let checks = Checks::new(dim);
            let checks = match (entry.shared_atoms, entry.common_atoms) {
                (_, true) => checks.on_common_atoms(),
                (true, _) => checks.on_shared_atoms(),
                _ => checks,
            };
            checks.run(&format!("{} in dimension {dim}", entry.name), &entry.divergence);
        }
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<String> = registry(2, 1.0).unwrap().into_iter().map(|entry| entry.name).collect();
    let before = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), before);
}

/// The squared difference of means, which declares too much.
struct Boastful(Axioms);

impl Divergence for Boastful {
    fn axioms(&self) -> Axioms {
        self.0
    }
    fn value(&self, mu: &Empirical, nu: &Empirical) -> Result<f64> {
        Ok(mu.mean().iter().zip(nu.mean()).map(|(a, b)| (a - b).powi(2)).sum())
    }
    fn variation(&self, _: &Empirical, _: &Empirical) -> Result<Variation> {
        unreachable!("the axioms need values only")
    }
    fn toward<'a>(&'a self, target: &'a Empirical) -> Result<Box<dyn Functional + 'a>> {
        Ok(Box::new(Toward::new(self, target)))
    }
}

fn claim(set: impl Fn(&mut Axioms)) -> Boastful {
    let mut axioms = Axioms::default();
    set(&mut axioms);
    Boastful(axioms)
}

#[test]
fn what_is_true_passes() {
    let honest = claim(|a| {
        a.non_negative = true;
        a.identity = true;
        a.symmetry = true;
        a.triangle_power = Some(0.5);
        a.permutation = true;
        a.atom_splitting = true;
        a.translation = true;
        a.rotation = true;
        a.scaling_degree = Some(2.0);
        a.convex = true;
        a.continuous_in_points = true;
        a.continuous_in_weights = true;
    });
    Checks::new(2).run("difference of means", &honest);
}

#[test]
#[should_panic(expected = "declares triangle")]
fn a_square_is_no_metric() {
    Checks::new(2).run("difference of means", &claim(|a| a.triangle_power = Some(1.0)));
}

#[test]
#[should_panic(expected = "declares scaling")]
fn the_degree_is_checked() {
    Checks::new(2).run("difference of means", &claim(|a| a.scaling_degree = Some(1.0)));
}
