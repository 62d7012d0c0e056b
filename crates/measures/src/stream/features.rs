//! The brackets of a whole family over a stream: all that the mean formulation needs to know of a data set.

use super::bracket::check_count;
use super::double::Double;
use super::{check_sizes, check_totals, check_weights, doubles};
use crate::empirical::Empirical;
use crate::error::{Error, Result, check_dim, check_len};
use crate::family::Family;
use crate::points::Points;

/// ⟨f_k|μ⟩ for every f_k of a family, over all chunks seen.
///
/// Two accumulators of the same family give D₂ between their data (eq. 3), Σ τ_k (⟨f_k|μ⟩ − ⟨f_k|ν⟩)², in the plug-in and the
/// unbiased form, without either data set having been in memory. It keeps the weights τ of its family and refuses to
/// meet others; that the functions are the same too is the caller's word.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamFeatures {
    dim: usize,
    tau: Vec<f64>,
    count: u64,
    total: Double,
    squares: Double,
    /// Σ w² κ(x, x) with κ(x, x) = Σ τ_k f_k(x)².
    diagonal: Double,
    /// Σ w f_k(x).
    sums: Vec<Double>,
}

impl StreamFeatures {
    /// Nothing seen yet, for brackets with `family`.
    ///
    /// # Errors
    /// The family has no function.
    pub fn new(family: &(impl Family + ?Sized)) -> Result<Self> {
        let tau = family.tau().to_vec();
        if tau.is_empty() {
            return Err(Error::TooFew { what: "functions of the family", at_least: 1, got: 0 });
        }
        let zero = Double::default();
        let sums = vec![zero; tau.len()];
        Ok(StreamFeatures {
            dim: family.dim(),
            tau,
            count: 0,
            total: zero,
            squares: zero,
            diagonal: zero,
            sums,
        })
    }

    /// Adds a chunk of points, of weight one each or of the weights given. The values of the family are fused with the
    /// sum, so no table of them is made.
    ///
    /// # Errors
    /// The points live in another dimension or are not finite, a weight is negative or not finite (or beyond 1e40), or the family is
    /// not the one this was made for, or has a bracket that is not finite (or beyond 1e100). Then nothing is added.
    pub fn add(
        &mut self,
        family: &(impl Family + ?Sized),
        x: &Points,
        weights: Option<&[f64]>,
    ) -> Result<()> {
        check_dim("family", self.dim, family.dim())?;
        self.check_tau(family.tau())?;
        check_dim("points", self.dim, x.dim())?;
        x.check_finite("points")?;
        check_weights(x.len(), weights)?;
        if x.is_empty() {
            return Ok(());
        }
        let (mut total, mut squares) = (Double::default(), Double::default());
        for i in 0..x.len() {
            let w = weights.map_or(1.0, |w| w[i]);
            total.add(w);
            squares = squares.plus(Double::product(w, w));
        }
        if total.value() > 0.0 {
            let chunk = match weights {
                None => Empirical::uniform(x.clone())?,
                Some(w) => Empirical::normalised(x.clone(), w.to_vec())?,
            };
            let brackets = family.brackets(&chunk)?;
            check_len("brackets of the family", self.tau.len(), brackets.len())?;
            check_sizes("brackets of the family", &brackets)?;
            let diagonal = family.diagonal(x)?.values;
            check_len("diagonal of the family", x.len(), diagonal.len())?;
            check_sizes("diagonal of the family", &diagonal)?;
            for (i, k) in diagonal.iter().enumerate() {
                let w = weights.map_or(1.0, |w| w[i]);
                self.diagonal = self.diagonal.plus(Double::product(w, w).times(Double::new(*k)));
            }
            for (s, b) in self.sums.iter_mut().zip(&brackets) {
                *s = s.plus(total.times(Double::new(*b)));
            }
        }
        self.count += x.len() as u64;
        self.total = self.total.plus(total);
        self.squares = self.squares.plus(squares);
        Ok(())
    }

    fn check_tau(&self, tau: &[f64]) -> Result<()> {
        check_len("tau", self.tau.len(), tau.len())?;
        match (0..tau.len()).find(|&k| tau[k].to_bits() != self.tau[k].to_bits()) {
            None => Ok(()),
            Some(index) => {
                Err(Error::Entry { what: "tau", index, value: tau[index], must: "that of the same family" })
            }
        }
    }

    /// Adds what another has seen.
    ///
    /// # Errors
    /// It was made for another family.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.check_same(other)?;
        self.count += other.count;
        self.total = self.total.plus(other.total);
        self.squares = self.squares.plus(other.squares);
        self.diagonal = self.diagonal.plus(other.diagonal);
        self.sums.iter_mut().zip(&other.sums).for_each(|(s, o)| *s = s.plus(*o));
        Ok(())
    }

    fn check_same(&self, other: &Self) -> Result<()> {
        check_dim("features", self.dim, other.dim)?;
        self.check_tau(&other.tau)
    }

    /// How many points were seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Σ w.
    pub fn total_weight(&self) -> f64 {
        self.total.value()
    }

    fn means(&self) -> Result<Vec<Double>> {
        if self.total.value() > 0.0 {
            return Ok(self.sums.iter().map(|s| s.over(self.total)).collect());
        }
        Err(Error::WeightSum { what: "weights seen", sum: self.total.value() })
    }

    /// ⟨f_k|μ⟩ for all k.
    ///
    /// # Errors
    /// Nothing of positive weight was seen.
    pub fn brackets(&self) -> Result<Vec<f64>> {
        Ok(self.means()?.into_iter().map(Double::value).collect())
    }

    /// D₂² in the plug-in form, Σ τ_k (⟨f_k|μ⟩ − ⟨f_k|ν⟩)² ≥ 0: biased upwards by the noise of both samples.
    ///
    /// # Errors
    /// Another family, or one of the two has seen nothing of positive weight.
    pub fn squared_distance(&self, other: &Self) -> Result<f64> {
        self.check_same(other)?;
        let (a, b) = (self.means()?, other.means()?);
        let terms = a.iter().zip(&b).zip(&self.tau);
        Ok(terms.map(|((a, b), tau)| tau * a.minus(*b).value().powi(2)).sum())
    }

    /// D₂² in the unbiased form: pairs of a point with itself are left out of both squares. It may be negative.
    ///
    /// # Errors
    /// As [`StreamFeatures::squared_distance`], or one of the two has seen fewer than two points of positive weight.
    pub fn squared_distance_unbiased(&self, other: &Self) -> Result<f64> {
        self.check_same(other)?;
        let (a, b) = (self.means()?, other.means()?);
        let cross: f64 = a.iter().zip(&b).zip(&self.tau).map(|((a, b), t)| t * a.value() * b.value()).sum();
        Ok(self.pairs()? + other.pairs()? - 2.0 * cross)
    }

    /// Σ_{i≠j} wᵢ wⱼ κ(xᵢ, xⱼ)/Σ_{i≠j} wᵢ wⱼ.
    fn pairs(&self) -> Result<f64> {
        let distinct = self.total.times(self.total).minus(self.squares);
        if distinct.value() <= 1e-12 * self.squares.value() {
            return Err(Error::TooFew { what: "points of positive weight seen", at_least: 2, got: 1 });
        }
        let mut all = Double::default();
        for (s, tau) in self.sums.iter().zip(&self.tau) {
            all = all.plus(s.times(*s).times(Double::new(*tau)));
        }
        Ok(all.minus(self.diagonal).over(distinct).value())
    }

    /// Everything it has summed, as numbers: 1 + 2 (3 + K) of them.
    pub fn state(&self) -> Vec<f64> {
        let sums = [self.total, self.squares, self.diagonal].into_iter().chain(self.sums.iter().copied());
        std::iter::once(self.count as f64).chain(sums.flat_map(Double::words)).collect()
    }

    /// The accumulator for `family` with that state.
    ///
    /// # Errors
    /// As [`StreamFeatures::new`], or the numbers are no state.
    pub fn from_state(family: &(impl Family + ?Sized), state: &[f64]) -> Result<Self> {
        let mut out = StreamFeatures::new(family)?;
        check_len("state", 1 + 2 * (3 + out.tau.len()), state.len())?;
        out.count = check_count(state[0])?;
        let sums = doubles("state", &state[1..])?;
        check_totals("state", sums[0], sums[1])?;
        (out.total, out.squares, out.diagonal) = (sums[0], sums[1], sums[2]);
        out.sums.copy_from_slice(&sums[3..]);
        Ok(out)
    }
}
