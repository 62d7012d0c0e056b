//! The noise cut into cells, one for each cluster of the data, so that a map may jump from one to the next.

use crate::error::{Error, Result, check_count};
use crate::noise::Noise;
use divergences::transport::{NormPower, solve};
use measures::rand::{Rng, RngExt};
use measures::{Empirical, Measure, Points, Sample, Seed, parallel};
use serde::{Deserialize, Serialize};

/// At most so many points of the data are clustered, and points of noise balance the cells.
pub(crate) const POINTS: usize = 20_000;

/// Points of the data a cluster at least, on average: clusters of one would make the map generate the data themselves, and
/// with half as many, samples of a few thousand points lie nearer to them than chance allows (docs/models.md).
const SIZE: usize = 48;

/// Numbers by which a network tells one cell from another.
const CODE: usize = 8;

/// The cells of the optimal plan, for the cost ½‖z − c‖², between noise and the centres c_k of clusters of the data, which
/// weigh what their clusters do: cell k is {z : ⟨z, c_k⟩ + b_k is largest}, a convex polytope, and the noise in it has the
/// cluster's mass.
///
/// Brenier's map to data in separate parts is discontinuous, and a continuous network leaves mass between them
/// wherever it is not steep enough. The plan between noise and a few centres is known exactly, and so is where it jumps; what
/// is left to a network is continuous. Figalli 2010 (*Regularity properties of optimal maps between nonconvex domains in
/// the plane*) for the jumps; Mérigot 2011 (*A multiscale approach to optimal transport*) for plans from coarse to fine;
/// An et al. 2020 (AE-OT, ICLR) for jumps in generators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cells {
    dim: usize,
    /// Numbers by which the network tells one cell from another.
    pub(crate) code: usize,
    /// The centres c_k of the clusters, K×d.
    pub(crate) centres: Vec<f64>,
    /// The numbers b_k.
    pub(crate) offsets: Vec<f64>,
    /// The root mean square of a coordinate within each cluster.
    pub(crate) radii: Vec<f64>,
    /// The mean of the noise in each cell, K×d.
    pub(crate) noise_centres: Vec<f64>,
    /// The root mean square of a coordinate of the noise within each cell.
    pub(crate) noise_radii: Vec<f64>,
}

/// Rounds of the clustering; it is a start for the plan, not a result.
const ROUNDS: usize = 30;

impl Cells {
    /// The cells of `noise` for `count` clusters of `data`; fewer where a cluster would hold fewer than 48 points on average,
    /// or the data have fewer different points.
    ///
    /// # Errors
    /// There is to be no cell, the noise has another dimension than the data, or the plan is not found.
    pub fn new(count: usize, data: &Points, noise: &Noise, seed: Seed) -> Result<Self> {
        check_count("map.cells", count)?;
        let dim = data.dim();
        if noise.dim() != dim {
            let must = format!("{dim}, the dimension of the data: cells are cut by a distance");
            return Err(Error::setting("map.latent_dim", noise.dim(), must));
        }
        let count = count.min(data.len() / SIZE).max(1);
        let centres = clusters(data, count, &mut seed.named("clusters").rng());
        let (centres, counts, radii) = summary(data, &nearest(&centres, data), centres.len());
        let weights: Vec<f64> = counts.iter().map(|&n| n as f64).collect();
        // More noise than data: the balance is then as good as the data know it.
        let points = (10 * data.len()).clamp(1000, POINTS);
        let z = noise.sample(points, &mut seed.named("balance").rng());
        let nu = Empirical::normalised(centres.clone(), weights)?;
        let solved = solve(&Empirical::uniform(z.clone())?, &nu, &NormPower::half_squared_euclidean())?;
        let square = |c: &[f64]| c.iter().map(|v| v * v).sum::<f64>();
        let offsets =
            solved.potentials.target.iter().zip(centres.rows()).map(|(g, c)| g - 0.5 * square(c)).collect();
        let mut cells = Cells {
            dim,
            code: CODE,
            centres: centres.into_vec(),
            offsets,
            radii,
            noise_centres: Vec::new(),
            noise_radii: Vec::new(),
        };
        let found = cells.of_noise(&z);
        let (means, counts, spreads) = summary_kept(&z, &found, cells.len());
        // A cell too small to have been met is left as it would be without scaling.
        cells.noise_radii =
            spreads.iter().zip(&counts).map(|(s, n)| if *n > 1 && *s > 0.0 { *s } else { 1.0 }).collect();
        cells.noise_centres = means.into_vec();
        Ok(cells)
    }

    /// The number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is no cell, which is never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The dimension of noise and data.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The cell of every row of noise.
    #[must_use]
    pub fn of_noise(&self, z: &Points) -> Vec<usize> {
        let score = |z: &[f64], k: usize| {
            let c = &self.centres[k * self.dim..(k + 1) * self.dim];
            -(z.iter().zip(c).map(|(a, b)| a * b).sum::<f64>() + self.offsets[k])
        };
        least(z, self.len(), &score)
    }

    /// The cluster of every row of data, in the coordinates the cells were made in: the nearest centre.
    #[must_use]
    pub fn of_data(&self, y: &Points) -> Vec<usize> {
        nearest(&Points::from_raw(self.dim, self.centres.clone()), y)
    }

    /// The centre of a cluster, as one row.
    pub(crate) fn centre(&self, k: usize) -> Points {
        Points::from_raw(self.dim, self.centres[k * self.dim..(k + 1) * self.dim].to_vec())
    }

    /// Refuses what a damaged file may hold.
    pub(crate) fn check(&self, dim: usize) -> Result<()> {
        let (n, d) = (self.offsets.len(), self.dim);
        let lists = [
            (&self.centres, n * d),
            (&self.radii, n),
            (&self.noise_centres, n * d),
            (&self.noise_radii, n),
            (&self.offsets, n),
        ];
        let whole = lists.iter().all(|(list, len)| list.len() == *len && list.iter().all(|v| v.is_finite()));
        if whole && n > 0 && d == dim && self.noise_radii.iter().all(|r| *r > 0.0) {
            return Ok(());
        }
        Err(Error::Config { what: "the model", why: "its cells do not fit together".into() })
    }
}

/// The index in 0..k with the least score, for every row.
fn least(x: &Points, k: usize, score: &(dyn Fn(&[f64], usize) -> f64 + Sync)) -> Vec<usize> {
    let one = |row: &[f64]| {
        let better = |best: (usize, f64), k: usize| {
            let s = score(row, k);
            if s < best.1 { (k, s) } else { best }
        };
        (0..k).fold((0, f64::INFINITY), better).0
    };
    let blocks = parallel::map_blocks(x.len(), 256, |rows| rows.map(|i| one(x.row(i))).collect::<Vec<_>>());
    blocks.concat()
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn nearest(centres: &Points, x: &Points) -> Vec<usize> {
    least(x, centres.len(), &|row, k| squared(row, centres.row(k)))
}

/// At most `count` centres: drawn far from each other (k-means++, Arthur and Vassilvitskii 2007), then moved to the means
/// of what is nearest to them until nothing changes.
fn clusters(x: &Points, count: usize, rng: &mut dyn Rng) -> Points {
    let mut picks = vec![rng.random_range(0..x.len())];
    let mut distance = vec![f64::INFINITY; x.len()];
    while picks.len() < count {
        let last = x.row(picks[picks.len() - 1]);
        distance.iter_mut().zip(x.rows()).for_each(|(d, x)| *d = d.min(squared(x, last)));
        let total: f64 = distance.iter().sum();
        if total <= 0.0 {
            break;
        }
        let mut rest = rng.random::<f64>() * total;
        let drawn = distance.iter().position(|d| {
            rest -= d;
            rest < 0.0 && *d > 0.0
        });
        // Round-off may leave a hair of the sum: then the farthest point is as good.
        let farthest = || (0..x.len()).max_by(|&a, &b| distance[a].total_cmp(&distance[b])).unwrap_or(0);
        picks.push(drawn.unwrap_or_else(farthest));
    }
    let mut centres = x.select(&picks);
    for _ in 0..ROUNDS {
        let (means, _, _) = summary(x, &nearest(&centres, x), centres.len());
        if means == centres {
            break;
        }
        centres = means;
    }
    centres
}

/// Mean, count and root mean square of a coordinate about the mean, for each label in 0..k.
fn summary_kept(x: &Points, labels: &[usize], k: usize) -> (Points, Vec<usize>, Vec<f64>) {
    let (mut means, mut counts, mut squares) = (Points::zeros(k, x.dim()), vec![0usize; k], vec![0.0; k]);
    for (row, &l) in x.rows().zip(labels) {
        counts[l] += 1;
        means.row_mut(l).iter_mut().zip(row).for_each(|(m, v)| *m += v);
    }
    for (l, &n) in counts.iter().enumerate() {
        means.row_mut(l).iter_mut().for_each(|m| *m /= n.max(1) as f64);
    }
    for (row, &l) in x.rows().zip(labels) {
        squares[l] += squared(row, means.row(l));
    }
    let spreads =
        squares.iter().zip(&counts).map(|(s, &n)| (s / (n.max(1) * x.dim()) as f64).sqrt()).collect();
    (means, counts, spreads)
}

/// As [`summary_kept`], without the labels that nobody has.
fn summary(x: &Points, labels: &[usize], k: usize) -> (Points, Vec<usize>, Vec<f64>) {
    let (means, counts, spreads) = summary_kept(x, labels, k);
    let kept: Vec<usize> = (0..k).filter(|&l| counts[l] > 0).collect();
    let (counts, spreads) =
        (kept.iter().map(|&l| counts[l]).collect(), kept.iter().map(|&l| spreads[l]).collect());
    (means.select(&kept), counts, spreads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Law;
    use measures::zoo::GaussianMixture;

    fn cells(count: usize) -> (Cells, Points, Noise) {
        let data = GaussianMixture::eight_gaussians().sample(4000, &mut Seed::new(2).rng());
        let noise = Noise::new(Law::Gaussian, 2).unwrap();
        (Cells::new(count, &data, &noise, Seed::new(3)).unwrap(), data, noise)
    }

    /// Noise falls into a cell as often as data into its cluster, and with three times as many clusters as modes every mode
    /// has clusters of its own. (With just as many k-means may end with one across two modes.)
    #[test]
    fn cells_weigh_what_their_clusters_do() {
        for count in [8, 24] {
            let (cells, data, noise) = cells(count);
            let n = 20_000;
            let z = noise.sample(n, &mut Seed::new(4).rng());
            let share = |labels: Vec<usize>| -> Vec<f64> {
                let mut counts = vec![0.0; cells.len()];
                labels.iter().for_each(|&l| counts[l] += 1.0 / labels.len() as f64);
                counts
            };
            let (mass, weight) = (share(cells.of_noise(&z)), share(cells.of_data(&data)));
            for (m, w) in mass.iter().zip(&weight) {
                // Six standard deviations of the sample here and of the one the cells were balanced on.
                let sd = (w * (1.0 - w) * (1.0 / n as f64 + 1.0 / POINTS as f64)).sqrt();
                assert!((m - w).abs() < 6.0 * sd, "{m} {w}");
            }
            assert!(
                count == 8 || cells.radii.iter().all(|r| *r < 0.7),
                "a cluster that lies across modes: {:?}",
                cells.radii
            );
        }
    }

    /// A cell is where its centre pays best, and so is the plan's: translating all data moves no cell.
    #[test]
    fn cells_do_not_depend_on_where_the_data_lie() {
        let (here, data, noise) = cells(8);
        let moved = Points::from_fn(data.len(), 2, |i, row| {
            row.copy_from_slice(&[data.row(i)[0] + 3.0, data.row(i)[1] - 1.0]);
        });
        let there = Cells::new(8, &moved, &noise, Seed::new(3)).unwrap();
        let z = noise.sample(5000, &mut Seed::new(9).rng());
        let (a, b) = (here.of_noise(&z), there.of_noise(&z));
        let differ = a.iter().zip(&b).filter(|(a, b)| a != b).count();
        assert!(differ < 10, "{differ}");
    }

    /// A map with a cell for every row would know nothing but the rows.
    #[test]
    fn no_row_has_a_cell_of_its_own() {
        let (_, data, noise) = cells(8);
        let few = data.select(&(0..270).collect::<Vec<_>>());
        let cells = Cells::new(256, &few, &noise, Seed::new(1)).unwrap();
        assert_eq!(cells.len(), 270 / SIZE);
        let (_, counts, _) = summary(&few, &cells.of_data(&few), cells.len());
        assert!(counts.iter().all(|n| *n > 1), "{counts:?}");
        assert_eq!(Cells::new(256, &few.select(&[0, 1, 2]), &noise, Seed::new(1)).unwrap().len(), 1);
    }

    #[test]
    fn few_points_make_few_cells() {
        let data = Points::from_fn(240, 2, |i, row| row.copy_from_slice(&[(i % 3) as f64, 1.0]));
        let noise = Noise::new(Law::Gaussian, 2).unwrap();
        let cells = Cells::new(5, &data, &noise, Seed::new(1)).unwrap();
        assert_eq!((cells.len(), cells.radii.clone()), (3, vec![0.0; 3]));
        cells.check(2).unwrap();
        assert!(cells.check(3).is_err());
        assert!(Cells::new(0, &data, &noise, Seed::new(1)).unwrap_err().to_string().contains("map.cells"));
        let line = Noise::new(Law::Gaussian, 1).unwrap();
        assert!(Cells::new(16, &data, &line, Seed::new(1)).unwrap_err().to_string().contains("latent_dim"));
    }
}
