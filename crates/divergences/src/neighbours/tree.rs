//! The k-d tree: boxes halved at the median of their longest side (Bentley 1975, doi:10.1145/361002.361007).
//!
//! A box is left out when its distance comes after the bar. That distance is computed with the operations of a
//! point's distance in the same order, each of which rounds monotonically, so it never exceeds the computed distance
//! of a point inside: pruning is exact in floating point too.

use super::{Best, squared_distance};
use measures::Points;

/// Points to a leaf.
const LEAF: usize = 12;

#[derive(Debug, Clone)]
pub(super) struct Tree {
    dim: usize,
    nodes: Vec<Node>,
    /// Lower then upper corner of each node's box, 2d numbers a node.
    boxes: Vec<f64>,
    /// Rows of the cloud in the order of the leaves, and their coordinates in that order.
    rows: Vec<usize>,
    coords: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    start: usize,
    end: usize,
    /// The two children, or none for a leaf (the root is nobody's child).
    children: [usize; 2],
    /// The smallest row inside, which decides ties between boxes.
    first_row: usize,
}

impl Tree {
    pub(super) fn new(points: &Points) -> Self {
        let dim = points.dim();
        let mut rows: Vec<usize> = (0..points.len()).collect();
        let mut tree = Tree { dim, nodes: vec![], boxes: vec![], rows: vec![], coords: vec![] };
        tree.split(points, &mut rows, 0);
        tree.coords = rows.iter().flat_map(|&i| points.row(i)).copied().collect();
        tree.rows = rows;
        tree
    }

    /// Builds the node of `rows`, which start at position `start` of the final order; returns its number.
    fn split(&mut self, points: &Points, rows: &mut [usize], start: usize) -> usize {
        let (mut low, mut high) = (points.row(rows[0]).to_vec(), points.row(rows[0]).to_vec());
        for &i in rows.iter() {
            for (k, &v) in points.row(i).iter().enumerate() {
                low[k] = low[k].min(v);
                high[k] = high[k].max(v);
            }
        }
        let number = self.nodes.len();
        let first_row = rows.iter().copied().min().unwrap_or(0);
        self.nodes.push(Node { start, end: start + rows.len(), children: [0, 0], first_row });
        let side = |k: usize| high[k] - low[k];
        let longest = (0..self.dim).fold(0, |best, k| if side(k) > side(best) { k } else { best });
        self.boxes.extend_from_slice(&low);
        self.boxes.extend_from_slice(&high);
        if rows.len() > LEAF {
            let middle = rows.len() / 2;
            rows.select_nth_unstable_by(middle, |&a, &b| {
                points.row(a)[longest].total_cmp(&points.row(b)[longest]).then(a.cmp(&b))
            });
            let (left, right) = rows.split_at_mut(middle);
            let left = self.split(points, left, start);
            let right = self.split(points, right, start + middle);
            self.nodes[number].children = [left, right];
        }
        number
    }

    /// The squared distance of x to the box of a node.
    fn to_box(&self, node: usize, x: &[f64]) -> f64 {
        let (low, high) = self.boxes[2 * self.dim * node..][..2 * self.dim].split_at(self.dim);
        x.iter().zip(low).zip(high).fold(0.0, |sum, ((&x, &low), &high)| {
            let gap = if x < low {
                low - x
            } else if x > high {
                x - high
            } else {
                0.0
            };
            sum + gap * gap
        })
    }

    pub(super) fn search(&self, x: &[f64], best: &mut Best) {
        let to_root = self.to_box(0, x);
        self.descend(0, to_root, x, best);
    }

    fn descend(&self, node: usize, to_box: f64, x: &[f64], best: &mut Best) {
        let Node { start, end, children: [left, right], first_row } = self.nodes[node];
        if !super::before((to_box, first_row), best.bar()) {
            return;
        }
        if left == 0 {
            let coords = self.coords[start * self.dim..end * self.dim].chunks_exact(self.dim);
            coords.zip(&self.rows[start..end]).for_each(|(y, &row)| best.offer(squared_distance(x, y), row));
            return;
        }
        let (to_left, to_right) = (self.to_box(left, x), self.to_box(right, x));
        let left_first =
            super::before((to_left, self.nodes[left].first_row), (to_right, self.nodes[right].first_row));
        let (near, far) = if left_first {
            ((left, to_left), (right, to_right))
        } else {
            ((right, to_right), (left, to_left))
        };
        self.descend(near.0, near.1, x, best);
        self.descend(far.0, far.1, x, best);
    }

    /// The largest squared radius in each node.
    pub(super) fn reach(&self, squared_radii: &[f64]) -> Vec<f64> {
        let mut reach = vec![0.0_f64; self.nodes.len()];
        // Children have larger numbers than their parent.
        for (number, node) in self.nodes.iter().enumerate().rev() {
            reach[number] = match node.children {
                [0, 0] => self.rows[node.start..node.end]
                    .iter()
                    .fold(0.0, |most, &row| most.max(squared_radii[row])),
                [left, right] => reach[left].max(reach[right]),
            };
        }
        reach
    }

    pub(super) fn count_balls(&self, x: &[f64], squared_radii: &[f64], reach: &[f64]) -> usize {
        let (mut stack, mut count) = (vec![0], 0);
        while let Some(node) = stack.pop() {
            if self.to_box(node, x) > reach[node] {
                continue;
            }
            let Node { start, end, children: [left, right], .. } = self.nodes[node];
            if left == 0 {
                let coords = self.coords[start * self.dim..end * self.dim].chunks_exact(self.dim);
                count += coords
                    .zip(&self.rows[start..end])
                    .filter(|(y, row)| squared_distance(x, y) <= squared_radii[**row])
                    .count();
            } else {
                stack.extend([right, left]);
            }
        }
        count
    }
}
