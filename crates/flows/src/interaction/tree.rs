//! Repulsion in O(n log n): far groups of particles act as one.

use super::riesz::Riesz;
use crate::error::Result;
use measures::{Drift, Empirical, Points, parallel};

/// [`Riesz`] repulsion by the tree code of Barnes and Hut: a cell of side ℓ at distance r acts from its centre of mass when
/// ℓ < θ r. θ = 0 is the direct sum; θ = ½ is within a few percent of it. The cells that hold a particle are always opened
/// for it, so that nothing pushes itself.
///
/// It pays from some thousands of particles on in two or three dimensions, and is refused above: a cell has 2ᵈ children. J.
/// Barnes and P. Hut, *A hierarchical O(N log N) force-calculation algorithm*, Nature 324 (1986), doi:10.1038/324446a0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RieszTree {
    law: Riesz,
    opening: f64,
}

impl RieszTree {
    /// This repulsion with the opening parameter θ.
    ///
    /// # Errors
    /// θ is outside [0, 1].
    pub fn new(law: Riesz, opening: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&opening) {
            let must = "in [0, 1]";
            return Err(measures::Error::Parameter { what: "opening", value: opening, must }.into());
        }
        Ok(RieszTree { law, opening })
    }
}

/// Particles in a cell that is not cut further.
const LEAF: usize = 16;
/// Cells are halved at most so often: particles in one place cannot be told apart by cutting.
const MAX_LEVEL: u32 = 48;

struct Cell {
    side: f64,
    mass: f64,
    centre: [f64; 3],
    /// The particles of the cell, a run of `Tree::order`.
    members: std::ops::Range<usize>,
    /// Its children, a run of `Tree::cells`; none for a leaf.
    children: std::ops::Range<usize>,
}

struct Tree<'a> {
    mu: &'a Empirical,
    order: Vec<usize>,
    /// The place of every particle in `order`.
    rank: Vec<usize>,
    cells: Vec<Cell>,
}

impl<'a> Tree<'a> {
    fn new(mu: &'a Empirical) -> Self {
        let (x, d) = (mu.points(), mu.points().dim());
        let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        for row in x.rows() {
            for (c, v) in row.iter().enumerate() {
                (low[c], high[c]) = (low[c].min(*v), high[c].max(*v));
            }
        }
        let side = (0..d).map(|c| high[c] - low[c]).fold(0.0, f64::max);
        let mut tree = Tree { mu, order: (0..x.len()).collect(), rank: vec![0; x.len()], cells: Vec::new() };
        let root = tree.cell(side, 0..x.len());
        tree.cells.push(root);
        tree.split(0, low, 0);
        tree.order.iter().enumerate().for_each(|(place, &i)| tree.rank[i] = place);
        tree
    }

    fn cell(&self, side: f64, members: std::ops::Range<usize>) -> Cell {
        let (mut mass, mut centre) = (0.0, [0.0; 3]);
        for &i in &self.order[members.clone()] {
            let w = self.mu.weights()[i];
            mass += w;
            self.mu.points().row(i).iter().zip(&mut centre).for_each(|(x, m)| *m += w * x);
        }
        if mass > 0.0 {
            centre.iter_mut().for_each(|m| *m /= mass);
        }
        Cell { side, mass, centre, members, children: 0..0 }
    }

    fn split(&mut self, at: usize, low: [f64; 3], level: u32) {
        let (members, d) = (self.cells[at].members.clone(), self.mu.points().dim());
        let half = 0.5 * self.cells[at].side;
        if members.len() <= LEAF || level == MAX_LEVEL || half == 0.0 {
            return;
        }
        let x = self.mu.points();
        let octant = |i: usize| -> usize {
            x.row(i).iter().enumerate().map(|(c, v)| usize::from(*v >= low[c] + half) << c).sum()
        };
        self.order[members.clone()].sort_by_key(|&i| octant(i));
        let first = self.cells.len();
        let mut corners = Vec::new();
        let mut start = members.start;
        for k in 0..1 << d {
            let len = self.order[start..members.end].partition_point(|&i| octant(i) == k);
            if len > 0 {
                let child = self.cell(half, start..start + len);
                self.cells.push(child);
                let mut corner = low;
                (0..d).filter(|c| k >> c & 1 == 1).for_each(|c| corner[c] += half);
                corners.push(corner);
            }
            start += len;
        }
        self.cells[at].children = first..self.cells.len();
        for (k, corner) in corners.into_iter().enumerate() {
            self.split(first + k, corner, level + 1);
        }
    }

    /// Adds the push of everything on particle i to `out`.
    fn push(&self, law: &RieszTree, i: usize, stack: &mut Vec<usize>, out: &mut [f64]) {
        let (x, weights) = (self.mu.points(), self.mu.weights());
        let here = x.row(i);
        stack.clear();
        stack.push(0);
        while let Some(at) = stack.pop() {
            let cell = &self.cells[at];
            let square = |y: &[f64]| -> f64 { here.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum() };
            let r2 = square(&cell.centre);
            // Beyond θ = 1/√d a particle can be far from the centre of mass of a cell that it is in.
            let apart = !cell.members.contains(&self.rank[i]);
            if apart && cell.side * cell.side < law.opening * law.opening * r2 {
                let force = cell.mass * law.law.force(r2);
                out.iter_mut().zip(here).zip(&cell.centre).for_each(|((v, a), b)| *v += force * (a - b));
            } else if cell.children.is_empty() {
                for &j in &self.order[cell.members.clone()] {
                    let r2 = square(x.row(j));
                    if j == i || r2 == 0.0 {
                        continue;
                    }
                    let force = weights[j] * law.law.force(r2);
                    out.iter_mut().zip(here).zip(x.row(j)).for_each(|((v, a), b)| *v += force * (a - b));
                }
            } else {
                stack.extend(cell.children.clone());
            }
        }
    }
}

impl Drift for RieszTree {
    fn drift(&self, mu: &Empirical) -> measures::Result<Points> {
        let d = mu.points().dim();
        if d > 3 {
            return Err(measures::Error::TooMany {
                what: "dimension of the tree code",
                limit: 3,
                requested: d,
            });
        }
        let tree = Tree::new(mu);
        let mut out = Points::zeros(mu.len(), d);
        parallel::fill_blocks(out.as_mut_slice(), d, 256, |rows, chunk| {
            let mut stack = Vec::new();
            rows.zip(chunk.chunks_exact_mut(d)).for_each(|(i, out)| tree.push(self, i, &mut stack, out));
        });
        Ok(out)
    }
}
