//! The assignment problem on a sparse set of arcs, by shortest augmenting paths.
//!
//! Potentials f, g stay feasible for the arcs (f_i + g_j ≤ c_ij), assigned pairs are tight. Rows bid for columns as in an
//! auction until few are left without one; each of these finds the shortest path of reduced costs to a free column, along
//! which the assignment is changed. g only falls, so that bounds on arcs that are not listed stay valid; arcs may be added
//! between runs. Sources: Jonker and Volgenant, *A shortest augmenting path algorithm for dense and sparse linear
//! assignment problems* (1987), doi:10.1007/BF02278710; Bertsekas (1988) for the bids.

use super::network_simplex::Arc;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No row, or no column.
const NONE: u32 = u32::MAX;

/// Rounds of bids, of as many bids as rows are free at most.
const ROUNDS: usize = 4;

/// An assignment, perhaps not yet of all rows, with its potentials.
pub(crate) struct Assignment {
    arcs: Vec<Vec<(u32, f64)>>,
    f: Vec<f64>,
    g: Vec<f64>,
    column_of: Vec<u32>,
    row_of: Vec<u32>,
    free: Vec<u32>,
    paths: Paths,
    steps: usize,
}

/// What the search for a path keeps; only what it touched is reset.
struct Paths {
    distance: Vec<f64>,
    previous: Vec<u32>,
    done: Vec<bool>,
    touched: Vec<u32>,
    finished: Vec<u32>,
    heap: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Assignment {
    /// n rows and n columns, any potential g of the columns, no arc yet.
    pub(crate) fn new(g: Vec<f64>) -> Self {
        let n = g.len();
        Assignment {
            arcs: vec![Vec::new(); n],
            f: vec![f64::INFINITY; n],
            g,
            column_of: vec![NONE; n],
            row_of: vec![NONE; n],
            free: (0..n as u32).collect(),
            paths: Paths {
                distance: vec![f64::INFINITY; n],
                previous: vec![NONE; n],
                done: vec![false; n],
                touched: Vec::new(),
                finished: Vec::new(),
                heap: BinaryHeap::new(),
            },
            steps: 0,
        }
    }

    /// Adds arcs; rows whose potential they do not allow give their column back.
    pub(crate) fn extend(&mut self, arcs: impl IntoIterator<Item = Arc>) {
        for arc in arcs {
            let row = arc.from as usize;
            self.arcs[row].push((arc.to, arc.cost));
            let column = self.column_of[row];
            if column != NONE && arc.cost - self.g[arc.to as usize] < self.f[row] {
                self.column_of[row] = NONE;
                self.row_of[column as usize] = NONE;
                self.free.push(arc.from);
            }
        }
    }

    /// Whether an arc is listed.
    pub(crate) fn has(&self, from: u32, to: u32) -> bool {
        self.arcs[from as usize].iter().any(|&(column, _)| column == to)
    }

    /// Assigns all rows at the least cost.
    ///
    /// # Errors
    /// Rows that compete for fewer columns than there are of them, ascending: the arcs do not allow an assignment.
    pub(crate) fn run(&mut self) -> Result<(), Vec<u32>> {
        self.bid();
        let free = std::mem::take(&mut self.free);
        let mut stuck = Vec::new();
        for row in free {
            if !self.augment(row) {
                self.free.push(row);
                stuck.push(row);
                stuck.extend(self.paths.finished.iter().map(|&column| self.row_of[column as usize]));
            }
        }
        stuck.sort_unstable();
        stuck.dedup();
        if stuck.is_empty() { Ok(()) } else { Err(stuck) }
    }

    /// Every free row takes its best column and lowers its potential until the second best is as good.
    fn bid(&mut self) {
        for _ in 0..ROUNDS {
            let mut queue = std::mem::take(&mut self.free);
            if queue.is_empty() {
                return;
            }
            queue.sort_unstable();
            let mut allowance = 2 * queue.len();
            let mut at = 0;
            while at < queue.len() {
                let row = queue[at];
                at += 1;
                let (mut first, mut second, mut column) = (f64::INFINITY, f64::INFINITY, NONE);
                for &(j, cost) in &self.arcs[row as usize] {
                    let value = cost - self.g[j as usize];
                    if value < first {
                        (second, first, column) = (first, value, j);
                    } else if value < second {
                        second = value;
                    }
                }
                if column == NONE {
                    self.free.push(row);
                    continue;
                }
                self.steps += 1;
                let lower = if second < f64::INFINITY { second - first } else { 0.0 };
                let owner = self.row_of[column as usize];
                if owner != NONE && lower == 0.0 {
                    // A tie: nothing is gained by taking it away.
                    self.free.push(row);
                    continue;
                }
                self.g[column as usize] -= lower;
                self.f[row as usize] = first + lower;
                self.column_of[row as usize] = column;
                self.row_of[column as usize] = row;
                if owner != NONE {
                    self.column_of[owner as usize] = NONE;
                    if allowance > 0 {
                        // The owner bids next.
                        allowance -= 1;
                        at -= 1;
                        queue[at] = owner;
                    } else {
                        self.free.push(owner);
                    }
                }
            }
        }
    }

    /// Assigns a free row along the shortest path to a free column; false when there is none.
    fn augment(&mut self, start: u32) -> bool {
        let Paths { distance, previous, done, touched, finished, heap } = &mut self.paths;
        let (f, g) = (&mut self.f, &mut self.g);
        let least = self.arcs[start as usize].iter().map(|&(j, cost)| cost - g[j as usize]);
        f[start as usize] = least.fold(f64::INFINITY, f64::min);
        heap.clear();
        finished.clear();
        let (mut row, mut base) = (start, 0.0);
        let mut goal = (f64::INFINITY, NONE);
        let found = loop {
            self.steps += 1;
            let own = f[row as usize];
            for &(column, cost) in &self.arcs[row as usize] {
                let j = column as usize;
                // Round-off may leave a tight arc slightly negative.
                let length = base + (cost - own - g[j]).max(0.0);
                if length < distance[j] && length < goal.0 {
                    if distance[j] == f64::INFINITY {
                        touched.push(column);
                    }
                    distance[j] = length;
                    previous[j] = row;
                    if self.row_of[j] == NONE {
                        goal = (length, column);
                    } else {
                        heap.push(Reverse((length.to_bits(), column)));
                    }
                }
            }
            let next = loop {
                match heap.pop() {
                    Some(Reverse((bits, _))) if f64::from_bits(bits) >= goal.0 => break None,
                    Some(Reverse((_, column))) if done[column as usize] => {}
                    other => break other,
                }
            };
            let Some(Reverse((bits, column))) = next else { break goal.1 };
            base = f64::from_bits(bits);
            done[column as usize] = true;
            finished.push(column);
            row = self.row_of[column as usize];
        };
        if found != NONE {
            f[start as usize] += goal.0;
            for &column in finished.iter() {
                let j = column as usize;
                let rest = goal.0 - distance[j];
                g[j] -= rest;
                f[self.row_of[j] as usize] += rest;
            }
            let mut column = found;
            loop {
                let row = previous[column as usize];
                self.row_of[column as usize] = row;
                let before = std::mem::replace(&mut self.column_of[row as usize], column);
                if row == start {
                    break;
                }
                column = before;
            }
        }
        for &column in touched.iter() {
            distance[column as usize] = f64::INFINITY;
            done[column as usize] = false;
        }
        touched.clear();
        found != NONE
    }

    /// Bids and rows on the way of paths so far.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// (f, g).
    pub(crate) fn potentials(&self) -> (&[f64], &[f64]) {
        (&self.f, &self.g)
    }

    /// The assigned pairs.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.column_of.iter().enumerate().filter(|(_, j)| **j != NONE).map(|(i, &j)| (i, j as usize))
    }

    /// The arcs, by rows.
    pub(crate) fn arcs(&self) -> impl Iterator<Item = Arc> + '_ {
        self.arcs
            .iter()
            .zip(0..)
            .flat_map(|(row, from)| row.iter().map(move |&(to, cost)| Arc { from, to, cost }))
    }
}
