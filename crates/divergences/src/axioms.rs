//! The axioms a divergence may satisfy, declared by itself and property-tested.

/// What holds for a divergence D on discrete measures. `Default` claims nothing.
///
/// Declarations are about the number the implementation returns: a V-statistic or an exact value. A U-statistic may be
/// negative and is not zero on equal samples, so it declares neither non-negativity, identity nor atom splitting.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
#[must_use]
pub struct Axioms {
    /// D ≥ 0.
    pub non_negative: bool,
    /// D(μ, μ) = 0.
    pub identity: bool,
    /// D(μ, ν) = 0 only if μ = ν.
    pub separation: bool,
    /// D(μ, ν) = D(ν, μ).
    pub symmetry: bool,
    /// p such that D^p satisfies the triangle inequality: 1 for a metric, ½ for a squared one.
    pub triangle_power: Option<f64>,
    /// The order of the atoms does not matter.
    pub permutation: bool,
    /// Replacing an atom by two at the same place with the same total weight changes nothing.
    pub atom_splitting: bool,
    /// D is unchanged when both measures are translated by the same vector.
    pub translation: bool,
    /// D is unchanged when both measures are rotated by the same orthogonal matrix.
    pub rotation: bool,
    /// k such that D(s·μ, s·ν) = sᵏ D(μ, ν) for s > 0.
    pub scaling_degree: Option<f64>,
    /// μ ↦ D(μ, ν) is convex along mixtures.
    pub convex: bool,
    /// D is continuous in the positions of the atoms.
    pub continuous_in_points: bool,
    /// D is continuous in the weights.
    pub continuous_in_weights: bool,
}
