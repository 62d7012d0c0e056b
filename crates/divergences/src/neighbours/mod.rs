//! Exact nearest neighbours in the Euclidean distance: a k-d tree in few dimensions, a fused scan in many.
//!
//! Both answer with the same bytes. The squared distance is Σ_k (x_k − y_k)², summed over k in order without fused
//! multiply–adds, and ties go to the smaller index, so that the answer depends neither on the method, nor on the
//! instruction set, nor on the number of threads.

mod scan;
mod tree;

use measures::parallel::map_blocks;
use measures::{Error, Points, Result, check_dim, check_len};
use scan::Scan;
use tree::Tree;

/// Queries to a block of parallel work.
const BLOCK: usize = 64;

/// Up to this dimension the tree prunes enough to win over the scan (measured on Gaussian clouds of 10⁴ points).
const TREE_DIM: usize = 6;

/// Below this number of points a scan is as fast as any tree.
const TREE_POINTS: usize = 64;

/// How neighbours are looked for; the answers are the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// The tree in at most six dimensions, else the scan.
    #[default]
    Auto,
    /// A k-d tree: O(log n) a query in few dimensions.
    Tree,
    /// All pairs in cache-sized tiles, no n×m table.
    Scan,
}

/// A cloud of points prepared for nearest-neighbour queries.
///
/// ```
/// use divergences::neighbours::NearestNeighbours;
/// use measures::Points;
/// let cloud = NearestNeighbours::new(Points::from_line(vec![0.0, 1.0, 4.0]))?;
/// let found = cloud.query(&Points::from_line(vec![3.0]), 2)?;
/// assert_eq!(found.indices(0), &[2, 1]);
/// assert_eq!(found.squared(0), &[1.0, 4.0]);
/// # Ok::<(), measures::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct NearestNeighbours {
    dim: usize,
    len: usize,
    index: Index,
    /// The points themselves, for queries of the cloud against itself.
    points: Points,
}

#[derive(Debug, Clone)]
enum Index {
    Tree(Tree),
    Scan(Scan),
}

/// The k nearest neighbours of each query, nearest first.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Neighbours {
    k: usize,
    indices: Vec<usize>,
    squared: Vec<f64>,
}

impl Neighbours {
    /// k, the number of neighbours of each query.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The number of queries.
    pub fn len(&self) -> usize {
        self.indices.len() / self.k
    }

    /// Whether there was no query.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The rows of the neighbours of query i, nearest first, ties by the smaller row.
    ///
    /// # Panics
    /// When `i ≥ len()`.
    pub fn indices(&self, i: usize) -> &[usize] {
        &self.indices[i * self.k..(i + 1) * self.k]
    }

    /// The squared distances of query i to its neighbours, ascending.
    ///
    /// # Panics
    /// When `i ≥ len()`.
    pub fn squared(&self, i: usize) -> &[f64] {
        &self.squared[i * self.k..(i + 1) * self.k]
    }

    /// The squared distance of every query to the last of its k neighbours.
    pub fn last_squared(&self) -> Vec<f64> {
        self.squared.iter().skip(self.k - 1).step_by(self.k).copied().collect()
    }

    /// The distance of every query to the last of its k neighbours, n values.
    pub fn radii(&self) -> Vec<f64> {
        self.last_squared().into_iter().map(f64::sqrt).collect()
    }
}

impl NearestNeighbours {
    /// Prepares `points` by the method their number and dimension ask for.
    ///
    /// # Errors
    /// There is no point, or a coordinate is not finite.
    pub fn new(points: Points) -> Result<Self> {
        NearestNeighbours::with_method(points, Method::Auto)
    }

    /// Prepares `points` for the given method.
    ///
    /// # Errors
    /// As [`NearestNeighbours::new`].
    pub fn with_method(points: Points, method: Method) -> Result<Self> {
        if points.is_empty() {
            return Err(Error::TooFew { what: "points to search", at_least: 1, got: 0 });
        }
        points.check_finite("points to search")?;
        let tree = match method {
            Method::Auto => points.dim() <= TREE_DIM && points.len() >= TREE_POINTS,
            Method::Tree => true,
            Method::Scan => false,
        };
        let index = if tree { Index::Tree(Tree::new(&points)) } else { Index::Scan(Scan::new(&points)) };
        Ok(NearestNeighbours { dim: points.dim(), len: points.len(), index, points })
    }

    /// The number of points searched.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Always false: there is at least one point to search.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The points searched.
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// The `k` nearest points of the cloud for every row of `queries`.
    ///
    /// # Errors
    /// The queries live in another dimension or are not finite; `k` is zero or exceeds the number of points.
    pub fn query(&self, queries: &Points, k: usize) -> Result<Neighbours> {
        check_dim("queries", self.dim, queries.dim())?;
        queries.check_finite("queries")?;
        check_k(k, self.len)?;
        Ok(self.search(queries, k, false))
    }

    /// The `k` nearest *other* points for every point of the cloud: the point itself is left out by its row, so that a
    /// duplicate counts as a neighbour at distance zero.
    ///
    /// # Errors
    /// `k` is zero or exceeds the number of points less one.
    pub fn query_self(&self, k: usize) -> Result<Neighbours> {
        check_k(k, self.len - 1)?;
        Ok(self.search(&self.points, k, true))
    }

    /// For every query the number of points yᵢ with ‖x − yᵢ‖² ≤ `squared_radii`ᵢ: in how many of the balls it lies.
    ///
    /// # Errors
    /// The queries live in another dimension or are not finite; the radii are not one a point, or one is negative or
    /// NaN.
    pub fn balls_containing(&self, queries: &Points, squared_radii: &[f64]) -> Result<Vec<usize>> {
        check_dim("queries", self.dim, queries.dim())?;
        queries.check_finite("queries")?;
        check_len("squared radii", self.len, squared_radii.len())?;
        if let Some(index) = squared_radii.iter().position(|r| r.is_nan() || *r < 0.0) {
            return Err(Error::Entry {
                what: "squared radii",
                index,
                value: squared_radii[index],
                must: "not negative",
            });
        }
        let blocks = match &self.index {
            Index::Tree(tree) => {
                let reach = tree.reach(squared_radii);
                map_blocks(queries.len(), BLOCK, |rows| {
                    rows.map(|i| tree.count_balls(queries.row(i), squared_radii, &reach)).collect::<Vec<_>>()
                })
            }
            Index::Scan(scan) => {
                map_blocks(queries.len(), BLOCK, |rows| scan.count_balls(queries, rows, squared_radii))
            }
        };
        Ok(blocks.concat())
    }

    fn search(&self, queries: &Points, k: usize, skip_self: bool) -> Neighbours {
        let blocks = map_blocks(queries.len(), BLOCK, |rows| {
            let mut best: Vec<Best> = rows.clone().map(|i| Best::new(k, skip_self.then_some(i))).collect();
            match &self.index {
                Index::Tree(tree) => {
                    best.iter_mut().zip(rows).for_each(|(best, i)| tree.search(queries.row(i), best));
                }
                Index::Scan(scan) => scan.search(queries, rows, &mut best),
            }
            best
        });
        let n = queries.len() * k;
        let (mut indices, mut squared) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for (distance, index) in blocks.iter().flatten().flat_map(|best| &best.found) {
            squared.push(*distance);
            indices.push(*index);
        }
        Neighbours { k, indices, squared }
    }
}

fn check_k(k: usize, most: usize) -> Result<()> {
    if k == 0 {
        Err(Error::TooFew { what: "neighbours k", at_least: 1, got: 0 })
    } else if k > most {
        Err(Error::TooMany { what: "neighbours k", limit: most, requested: k })
    } else {
        Ok(())
    }
}

/// The k best candidates so far, ordered by (squared distance, index).
#[derive(Debug, Clone)]
struct Best {
    k: usize,
    skip: usize,
    found: Vec<(f64, usize)>,
}

impl Best {
    fn new(k: usize, skip: Option<usize>) -> Self {
        Best { k, skip: skip.unwrap_or(usize::MAX), found: Vec::with_capacity(k) }
    }

    /// What a candidate must come before, in the order of (squared distance, index), to be taken.
    fn bar(&self) -> (f64, usize) {
        if self.found.len() < self.k { (f64::INFINITY, usize::MAX) } else { self.found[self.k - 1] }
    }

    fn offer(&mut self, squared: f64, index: usize) {
        if index == self.skip || !before((squared, index), self.bar()) {
            return;
        }
        if self.found.len() == self.k {
            self.found.pop();
        }
        let at = self.found.partition_point(|&held| before(held, (squared, index)));
        self.found.insert(at, (squared, index));
    }
}

fn before(a: (f64, usize), b: (f64, usize)) -> bool {
    a.0 < b.0 || (a.0 == b.0 && a.1 < b.1)
}

pub(crate) fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).fold(0.0, |sum, (x, y)| sum + (x - y) * (x - y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::{Sample, Seed, zoo::Gaussian};
    use rand::RngExt;

    /// All pairs, sorted: the definition itself.
    fn by_sorting(cloud: &Points, x: &[f64], k: usize, skip: Option<usize>) -> Vec<(f64, usize)> {
        let mut all: Vec<_> = (0..cloud.len())
            .filter(|&j| Some(j) != skip)
            .map(|j| (squared_distance(x, cloud.row(j)), j))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.truncate(k);
        all
    }

    fn same(found: &Neighbours, i: usize, expected: &[(f64, usize)]) {
        assert_eq!(found.indices(i), expected.iter().map(|e| e.1).collect::<Vec<_>>());
        assert_eq!(found.squared(i), expected.iter().map(|e| e.0).collect::<Vec<_>>());
    }

    #[test]
    fn both_methods_are_the_definition_ties_and_duplicates_included() {
        for (seed, dim) in [(0, 1), (1, 2), (2, 3), (3, 7), (4, 20)] {
            let mut rng = Seed::new(seed).rng();
            let smooth = Gaussian::standard(dim).sample(300, &mut rng);
            // Points on a coarse lattice: many exact ties and duplicates.
            let coarse =
                Points::from_fn(300, dim, |_, row| row.fill_with(|| f64::from(rng.random_range(0..3_i32))));
            for cloud in [smooth, coarse] {
                let queries = Gaussian::standard(dim).sample(40, &mut rng);
                let tree = NearestNeighbours::with_method(cloud.clone(), Method::Tree).unwrap();
                let scan = NearestNeighbours::with_method(cloud.clone(), Method::Scan).unwrap();
                for k in [1, 3, 40, 299] {
                    let (a, b) = (tree.query(&queries, k).unwrap(), scan.query(&queries, k).unwrap());
                    assert_eq!(a, b);
                    (0..queries.len())
                        .for_each(|i| same(&a, i, &by_sorting(&cloud, queries.row(i), k, None)));
                    let (a, b) = (tree.query_self(k).unwrap(), scan.query_self(k).unwrap());
                    assert_eq!(a, b);
                    (0..cloud.len()).for_each(|i| same(&a, i, &by_sorting(&cloud, cloud.row(i), k, Some(i))));
                }
                let radii = tree.query_self(3).unwrap().last_squared();
                let counts: Vec<usize> = queries
                    .rows()
                    .map(|x| {
                        (0..cloud.len()).filter(|&j| squared_distance(x, cloud.row(j)) <= radii[j]).count()
                    })
                    .collect();
                assert_eq!(tree.balls_containing(&queries, &radii).unwrap(), counts);
                assert_eq!(scan.balls_containing(&queries, &radii).unwrap(), counts);
            }
        }
    }

    #[test]
    fn one_place_held_by_every_point() {
        let cloud = Points::zeros(5000, 2);
        let tree = NearestNeighbours::new(cloud).unwrap();
        let found = tree.query_self(2).unwrap();
        assert_eq!(
            (found.indices(0), found.indices(1), found.indices(4999)),
            (&[1, 2][..], &[0, 2][..], &[0, 1][..])
        );
        assert!(found.radii().iter().all(|&r| r == 0.0));
    }

    #[test]
    fn distances_that_overflow_are_still_ordered() {
        let cloud = Points::from_line(vec![-1e200, 0.0, 1e200]);
        for method in [Method::Tree, Method::Scan] {
            let search = NearestNeighbours::with_method(cloud.clone(), method).unwrap();
            let found = search.query(&Points::from_line(vec![1e200]), 3).unwrap();
            assert_eq!(found.indices(0), &[2, 0, 1]);
        }
    }

    #[test]
    fn bad_queries_are_named() {
        let cloud = NearestNeighbours::new(Points::zeros(3, 2)).unwrap();
        assert!(matches!(cloud.query(&Points::zeros(1, 3), 1), Err(Error::Dimension { .. })));
        assert!(matches!(cloud.query(&Points::zeros(1, 2), 0), Err(Error::TooFew { .. })));
        assert!(matches!(cloud.query(&Points::zeros(1, 2), 4), Err(Error::TooMany { limit: 3, .. })));
        assert!(matches!(cloud.query_self(3), Err(Error::TooMany { limit: 2, .. })));
        let nan = Points::from_raw(2, vec![0.0, f64::NAN]);
        assert!(matches!(cloud.query(&nan, 1), Err(Error::NonFinite { column: 1, .. })));
        assert!(NearestNeighbours::new(nan).is_err());
        assert!(matches!(
            cloud.balls_containing(&Points::zeros(1, 2), &[0.0, -1.0, 0.0]),
            Err(Error::Entry { index: 1, .. })
        ));
        assert!(cloud.query(&Points::new(2, vec![]).unwrap(), 1).unwrap().is_empty());
    }
}
