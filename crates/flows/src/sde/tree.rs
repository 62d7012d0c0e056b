//! Brownian paths that are the same for every step size, block and thread.

use super::bridge::{Increment, halve, inside};
use super::noise::{Noise, Walk};
use super::normal::block_normals;
use crate::error::{Error, Result};
use measures::{Points, Seed, check_dim, check_len};
use std::ops::Range;

/// The most levels below a cell.
const MAX_DEPTH: u32 = 32;
/// The most cells.
const MAX_CELLS: usize = 1 << 30;

/// A Brownian motion with its space–time Lévy areas on an interval, for every particle and coordinate, known by a seed.
///
/// The interval is cut in cells, each the root of a binary tree; a node holds W and H over its span, and its two children
/// follow from it and from two normal numbers that belong to it by counter. So the path is a function of the seed alone:
/// a run with half the step sees the same path, and so do a re-run, another block and another thread. Times on the grid
/// of the cells and its halvings are exact; others are exact down to `depth` halvings, and within such a leaf W and H
/// have their conditional law given the leaf, from one pair of numbers: only an increment with both ends in one leaf
/// is not Brownian (a leaf is 2⁻²⁴ of its cell unless told).
///
/// P. Kidger, *On neural differential equations*, arXiv:2202.02435; A. Jelinčič, J. Foster and P. Kidger, *Single-seed
/// generation of Brownian paths and integrals for adaptive and high order SDE solvers*, arXiv:2405.06464.
///
/// ```
/// use flows::sde::BrownianTree;
/// use measures::Seed;
/// let tree = BrownianTree::new(Seed::new(1), 0.0, 1.0, 1)?;
/// let whole = tree.increment(0..3, 0.0, 1.0)?;
/// let (left, right) = (tree.increment(0..3, 0.0, 0.3)?, tree.increment(0..3, 0.3, 1.0)?);
/// assert!((left.0.row(2)[0] + right.0.row(2)[0] - whole.0.row(2)[0]).abs() < 1e-12);
/// # Ok::<(), flows::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BrownianTree {
    seed: Seed,
    t0: f64,
    t1: f64,
    dim: usize,
    cells: usize,
    depth: u32,
}

impl BrownianTree {
    /// The path from `t0` to `t1`, which may be the earlier time, in ℝ^`dim`.
    ///
    /// # Errors
    /// A time is not finite, both are equal, or the dimension is zero.
    pub fn new(seed: Seed, t0: f64, t1: f64, dim: usize) -> Result<Self> {
        for (what, value) in [("t0", t0), ("t1", t1)] {
            if !value.is_finite() {
                return Err(measures::Error::Parameter { what, value, must: "finite" }.into());
            }
        }
        if t0 == t1 {
            return Err(Error::EmptyInterval { t: t0 });
        }
        if dim == 0 {
            return Err(measures::Error::TooFew { what: "dim", at_least: 1, got: 0 }.into());
        }
        Ok(BrownianTree { seed: seed.named("Brownian tree"), t0, t1, dim, cells: 1, depth: 24 })
    }

    /// Cut in this many equal cells: runs of `cells`·2ᵏ equal steps read nodes alone, which is fast. Another number of
    /// cells is another path.
    ///
    /// # Errors
    /// No cell, or more than 2³⁰.
    pub fn cells(self, cells: usize) -> Result<Self> {
        if cells == 0 {
            return Err(measures::Error::TooFew { what: "cells", at_least: 1, got: 0 }.into());
        }
        if cells > MAX_CELLS {
            return Err(measures::Error::TooMany { what: "cells", limit: MAX_CELLS, requested: cells }.into());
        }
        Ok(BrownianTree { cells, ..self })
    }

    /// Halve cells at most so often.
    ///
    /// # Errors
    /// More than 32 times.
    pub fn depth(self, depth: u32) -> Result<Self> {
        if depth > MAX_DEPTH {
            let (limit, requested) = (MAX_DEPTH as usize, depth as usize);
            return Err(measures::Error::TooMany { what: "depth", limit, requested }.into());
        }
        Ok(BrownianTree { depth, ..self })
    }

    /// The increment W and the space–time Lévy area H of the particles `rows` over (from, to), each n×d.
    ///
    /// # Errors
    /// The times are not in order inside the interval.
    pub fn increment(&self, rows: Range<usize>, from: f64, to: f64) -> Result<(Points, Points)> {
        let mut walker = Walker::new(self, rows.clone());
        let (mut w, mut h) = (Points::zeros(rows.len(), self.dim), Points::zeros(rows.len(), self.dim));
        if from != self.t0 {
            walker.next(self.t0, from, &mut w, None)?;
        }
        walker.next(from, to, &mut w, Some(&mut h))?;
        Ok((w, h))
    }

    /// The way from t0 to t.
    fn position(&self, t: f64) -> f64 {
        (t - self.t0) * (self.t1 - self.t0).signum()
    }

    fn length(&self) -> f64 {
        (self.t1 - self.t0).abs()
    }
}

impl Noise<Points> for BrownianTree {
    fn walk(&self, rows: Range<usize>, like: &Points) -> Result<Box<dyn Walk<Points> + '_>> {
        check_dim("state", self.dim, like.dim())?;
        check_len("particles", rows.len(), like.len())?;
        Ok(Box::new(Walker::new(self, rows)))
    }
}

/// A node: number `index` of its level, counted over all cells, with W and H over its span.
struct Node {
    level: u32,
    index: u64,
    value: Increment,
}

/// A reading of the tree from left to right: the nodes still to come, the next one last.
struct Walker<'a> {
    tree: &'a BrownianTree,
    rows: Range<usize>,
    at: f64,
    next_cell: u64,
    pending: Vec<Node>,
    /// The leaf that has been entered, and what has been read of it.
    entered: Option<(Node, Increment)>,
    room: Vec<f64>,
}

impl<'a> Walker<'a> {
    fn new(tree: &'a BrownianTree, rows: Range<usize>) -> Self {
        Walker { tree, rows, at: 0.0, next_cell: 0, pending: Vec::new(), entered: None, room: Vec::new() }
    }

    /// The place of boundary `index` at `level`. The quotient is rounded once, so that a boundary has one place at all
    /// levels, the one a solver gives to step k of n.
    fn boundary(&self, level: u32, index: u64) -> f64 {
        self.tree.length() * (index as f64 / ((self.tree.cells as u64) << level) as f64)
    }

    /// The pair of numbers of a node for every particle and coordinate: firsts, then seconds, by particle.
    fn draw(&mut self, level: u32, index: u64) {
        // The heap number of the node in its cell, and the cell: one stream for each.
        let cell = index >> level;
        let heap = (1 << level) | (index & ((1 << level) - 1));
        block_normals(
            self.tree.seed,
            (cell << (MAX_DEPTH + 1)) | heap,
            &self.rows,
            2 * self.tree.dim,
            &mut self.room,
        );
    }

    fn cell(&mut self) -> Node {
        let index = self.next_cell;
        self.next_cell += 1;
        // The root of the cell draws from heap number 0, which no node has.
        let stream = index << (MAX_DEPTH + 1);
        block_normals(self.tree.seed, stream, &self.rows, 2 * self.tree.dim, &mut self.room);
        let length = self.boundary(0, index + 1) - self.boundary(0, index);
        Node { level: 0, index, value: Increment::of_normals(length, &self.room) }
    }

    /// Reads on to the place `to`, adding to `sum`.
    fn advance(&mut self, to: f64, sum: &mut Increment) {
        let slack = 8.0 * f64::EPSILON * self.tree.length().max(self.tree.t0.abs()).max(self.tree.t1.abs());
        while self.at < to - slack {
            if let Some((leaf, read)) = self.entered.take() {
                let (start, end) =
                    (self.boundary(leaf.level, leaf.index), self.boundary(leaf.level, leaf.index + 1));
                if end <= to + slack {
                    sum.chain(&leaf.value.minus(&read));
                    self.at = end;
                } else {
                    self.draw(leaf.level, leaf.index);
                    let left = inside(&leaf.value, to - start, &self.room);
                    sum.chain(&left.minus(&read));
                    self.at = to;
                    self.entered = Some((leaf, left));
                }
                continue;
            }
            let node = self.pending.pop().unwrap_or_else(|| self.cell());
            let end = self.boundary(node.level, node.index + 1);
            if end <= to + slack {
                sum.chain(&node.value);
                self.at = end;
            } else if node.level < self.tree.depth {
                self.draw(node.level, node.index);
                let (left, right) = halve(&node.value, &self.room);
                let (level, index) = (node.level + 1, 2 * node.index);
                self.pending.push(Node { level, index: index + 1, value: right });
                self.pending.push(Node { level, index, value: left });
            } else {
                let nothing = Increment::zero(node.value.len());
                self.entered = Some((node, nothing));
            }
        }
    }
}

impl Walk<Points> for Walker<'_> {
    fn next(&mut self, from: f64, to: f64, w: &mut Points, levy: Option<&mut Points>) -> Result<()> {
        let (low, high) = (self.tree.t0.min(self.tree.t1), self.tree.t0.max(self.tree.t1));
        let slack = 8.0 * f64::EPSILON * self.tree.length().max(low.abs()).max(high.abs());
        let start = self.tree.position(from);
        if (start - self.at).abs() > slack {
            return Err(Error::Time { what: "start of the increment", t: from, low, high });
        }
        let end = self.tree.position(to);
        if !(end > start && end <= self.tree.length() + slack) {
            return Err(Error::Time { what: "end of the increment", t: to, low, high });
        }
        let mut sum = Increment::zero(w.as_slice().len());
        self.advance(end, &mut sum);
        w.as_mut_slice().copy_from_slice(sum.w());
        if let Some(levy) = levy {
            sum.write_area(levy.as_mut_slice());
        }
        Ok(())
    }
}
