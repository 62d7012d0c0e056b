//! What is annealed, and by which loss: the settings of `annealed` that an arm and an objective stand for.

use crate::failure::{Failure, Result};
use crate::spec;
use serde_json::{Value, json};

/// What is annealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    /// Nothing: the loss against the data from the first step on.
    None,
    /// The target: ρ_t from noise to data, the paper's suggestion.
    Target,
    /// The kernel of the loss (ε for Sinkhorn), from wide to its own width. Learned critics have none.
    Kernel,
    /// Both.
    TargetAndKernel,
    /// The target, from data to noise and then the data: a control.
    Reversed,
    /// The target, in an order of chance: another.
    Shuffled,
    /// Noise on both sides: in expectation a smoothed kernel, and so a check of `Kernel`.
    BothSides,
}

impl Arm {
    pub(super) const ALL: [Arm; 7] = [
        Arm::None,
        Arm::Target,
        Arm::Kernel,
        Arm::TargetAndKernel,
        Arm::Reversed,
        Arm::Shuffled,
        Arm::BothSides,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Arm::None => "none",
            Arm::Target => "target",
            Arm::Kernel => "kernel",
            Arm::TargetAndKernel => "target_and_kernel",
            Arm::Reversed => "reversed",
            Arm::Shuffled => "shuffled",
            Arm::BothSides => "both_sides",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self> {
        let found = Arm::ALL.into_iter().find(|arm| arm.name() == name);
        found.ok_or_else(|| unknown("arms", name, Arm::ALL.iter().map(|arm| arm.name())))
    }

    fn widens(self) -> bool {
        matches!(self, Arm::Kernel | Arm::TargetAndKernel)
    }
}

/// A loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objective {
    D2,
    Mmd,
    Energy,
    Sinkhorn,
    WganGp,
    R3Gan,
}

impl Objective {
    pub(super) const ALL: [Objective; 6] = [
        Objective::D2,
        Objective::Mmd,
        Objective::Energy,
        Objective::Sinkhorn,
        Objective::WganGp,
        Objective::R3Gan,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Objective::D2 => "d2",
            Objective::Mmd => "mmd",
            Objective::Energy => "energy",
            Objective::Sinkhorn => "sinkhorn",
            Objective::WganGp => "wgan_gp",
            Objective::R3Gan => "r3gan",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self> {
        let found = Objective::ALL.into_iter().find(|objective| objective.name() == name);
        found.ok_or_else(|| unknown("objectives", name, Objective::ALL.iter().map(|o| o.name())))
    }

    /// Whether the loss has a kernel that can be widened.
    fn has_kernel(self) -> bool {
        !matches!(self, Objective::WganGp | Objective::R3Gan)
    }

    /// Whether the arm makes sense for the loss.
    pub(super) fn takes(self, arm: Arm) -> bool {
        self.has_kernel() || !arm.widens()
    }

    fn settings(self) -> Value {
        match self {
            Objective::WganGp => json!({ "kind": "wgan" }),
            Objective::R3Gan => json!({ "kind": "gan" }),
            other => json!({ "kind": "divergence", "loss": { "kind": other.name() } }),
        }
    }
}

fn unknown<'a>(key: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Failure {
    let list = known.clone().collect::<Vec<_>>().join(", ");
    let needs = format!("one of {list}{}", spec::hint(name, known));
    spec::Error::value(key, crate::data::printable(name), needs).into()
}

/// What all arms share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared {
    pub(super) batch: usize,
    pub(super) rounds: usize,
    pub(super) last_round: f64,
    pub(super) kernel: f64,
}

/// The settings of `annealed` laid over its defaults.
pub(super) fn settings(mut below: Value, objective: Objective, arm: Arm, shared: &Shared) -> Value {
    let (noise, order) = match arm {
        Arm::None | Arm::Kernel => ("none", "forward"),
        Arm::Target | Arm::TargetAndKernel => ("target", "forward"),
        Arm::Reversed => ("target", "reversed"),
        Arm::Shuffled => ("target", "shuffled"),
        Arm::BothSides => ("both", "forward"),
    };
    let above = json!({
        "objective": objective.settings(),
        "noise": noise,
        "order": order,
        "kernel": if arm.widens() { shared.kernel } else { 1.0 },
        "batch": shared.batch,
        "rounds": shared.rounds,
        "last_round": shared.last_round,
        "path": { "kind": "trigonometric" },
    });
    if let (Some(below), Value::Object(above)) = (below.as_object_mut(), above) {
        below.extend(above);
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::methods::by_name;

    #[test]
    fn every_arm_of_every_objective_is_a_setting_of_the_method() {
        let method = by_name("annealed").unwrap();
        let shared = Shared { batch: 16, rounds: 4, last_round: 0.5, kernel: 8.0 };
        let target = models::Draws::new(measures::zoo::Gaussian::standard(2), "plane");
        let mut count = 0;
        for objective in Objective::ALL {
            for arm in Arm::ALL.into_iter().filter(|arm| objective.takes(*arm)) {
                let settings = settings(method.default_config(), objective, arm, &shared);
                let train = models::TrainConfig { steps: 2, ..models::TrainConfig::default() };
                let mut run = method.start(&settings, train, &target).unwrap();
                let outcome = run.run(&mut models::Watch::default()).unwrap();
                assert_eq!(outcome.status, models::Status::Finished, "{objective:?} {arm:?}");
                count += 1;
            }
        }
        // Critics have no kernel to widen.
        assert_eq!(count, 6 * 7 - 2 * 2);
        let error = Arm::parse("targt").unwrap_err().to_string();
        assert!(error.contains("arms") && error.contains("near: target"), "{error}");
    }
}
