//! Every registered divergence between every pair of odd measures.

use crate::answers::{Finite, extreme, odd_measures};
use crate::judge::Judge;
use divergences::measures::{Empirical, Points};
use divergences::{Divergence, estimate, registry};

/// What may be refused between measures that are not extreme, by the name of the divergence.
fn may_refuse(name: &str, mu: &str, nu: &str) -> bool {
    let pair = |what: &str| mu == what || nu == what;
    // Two atoms of positive weight, in every block.
    let needs_two = ["unbiased", "blocks", "linear time", "minibatch"].iter().any(|w| name.contains(w));
    needs_two && (pair("one point") || name.contains("linear") && pair("weightless atoms"))
        || needs_two && name.contains("blocks") && pair("weightless atoms")
        // Where the iteration cannot reach the tolerance, round-off is named.
        || name.starts_with("Sinkhorn")
        || name == "unbalanced transport"
}

#[test]
fn every_divergence_between_odd_measures() {
    let (mut judge, mut refused) = (Judge::default(), Vec::new());
    for dim in [1, 2] {
        let measures = odd_measures(dim);
        for entry in registry(dim, 1.0).unwrap() {
            let d: &dyn Divergence = &entry.divergence;
            for (of_mu, mu) in &measures {
                for (of_nu, nu) in &measures {
                    let what = format!("{} of {of_mu} and {of_nu} in dimension {dim}", entry.name);
                    // The densities of atoms may be infinitely apart; nothing else may be infinite.
                    let infinite = entry.name.contains("of atoms") || entry.name.contains("duality");
                    let mut answered = false;
                    judge.case(format!("value: {what}"), || {
                        let value = d.value(mu, nu)?;
                        answered = true;
                        Ok(Finite(vec![if infinite && value == f64::INFINITY { 0.0 } else { value }]))
                    });
                    let odd = extreme(of_mu) || extreme(of_nu) || may_refuse(&entry.name, of_mu, of_nu);
                    if !answered && !odd {
                        refused.push(what.clone());
                    }
                    judge.case(format!("variation: {what}"), || d.variation(mu, nu));
                    judge.case(format!("field: {what}"), || {
                        d.gradient_field(mu, nu).map(|f| Finite(f.into_vec()))
                    });
                }
            }
        }
    }
    assert!(
        refused.is_empty(),
        "{} calls refused without need: {:#?}",
        refused.len(),
        &refused[..refused.len().min(40)]
    );
    judge.verdict(20_000);
}

/// Zero where it is declared, up to round-off, and its root where a root is taken.
#[test]
fn identical_sets() {
    for dim in [1, 2, 3] {
        for entry in registry(dim, 1.0).unwrap() {
            for (of, mu) in odd_measures(dim).iter().filter(|m| !extreme(m.0)) {
                if entry.divergence.axioms().identity {
                    let value = entry.divergence.value(mu, mu).unwrap();
                    assert!(
                        value.abs() < 1e-7,
                        "{} of {of} with itself in dimension {dim} is {value}",
                        entry.name
                    );
                }
            }
        }
    }
}

#[test]
fn other_dimensions_and_odd_settings() {
    let mut judge = Judge::default();
    let (line, plane) = (Empirical::dirac(&[0.0]).unwrap(), Empirical::uniform(Points::zeros(3, 2)).unwrap());
    for dim in [1, 2] {
        for entry in registry(dim, 1.0).unwrap() {
            let d = &entry.divergence;
            judge.refused(format!("{}: line, plane", entry.name), || d.value(&line, &plane));
            judge.refused(format!("{}: plane, line", entry.name), || d.value(&plane, &line));
            judge.refused(format!("{}: variation", entry.name), || d.variation(&line, &plane));
            judge.refused(format!("{}: field", entry.name), || d.gradient_field(&plane, &line));
            // Either the target is refused or the first measure is.
            judge.refused(format!("{}: toward", entry.name), || d.toward(&plane)?.value(&line));
            judge.refused(format!("{}: estimate", entry.name), || estimate::by_variation(d, &line, &plane));
        }
    }
    for scale in crate::judge::NUMBERS {
        judge.case(format!("registry at scale {scale}"), || {
            let mu = Empirical::uniform(Points::from_line(vec![0.0, 1.0, 3.0]))?;
            let all = registry(1, scale)?;
            Ok(Finite(all.iter().take(4).filter_map(|e| e.divergence.value(&mu, &mu).ok()).collect()))
        });
    }
    judge.refused("registry in no dimension", || registry(0, 1.0));
    for (of, mu) in odd_measures(2) {
        for entry in registry(2, 1.0).unwrap().into_iter().filter(|e| e.divergence.axioms().symmetry) {
            let what = format!("{} of {of}, estimated", entry.name);
            let nu = Empirical::uniform(Points::from_rows(&[[0.0, 1.0], [0.3, 0.2], [1.0, -1.0]])).unwrap();
            judge.case(what, || estimate::by_variation(&entry.divergence, &mu, &nu));
        }
    }
    judge.verdict(900);
}
