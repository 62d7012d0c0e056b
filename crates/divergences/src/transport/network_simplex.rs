//! The network simplex method for the transportation problem on a sparse set of arcs.
//!
//! A basis is a spanning tree of the n sources, the m sinks and a root; a pivot lets an arc of negative reduced cost
//! enter, pushes flow around the cycle it closes and drops an arc that the push empties. The tree is kept strongly
//! feasible (every arc without flow points to the root), which rules out cycling (Cunningham 1976). Masses are integers,
//! so that flows are exact. Arcs may be added between runs and the tree is kept: this is what column generation needs.
//! Sources: Ahuja, Magnanti and Orlin, *Network Flows* (1993), chapter 11; block search as in Kovács, *Minimum-cost flow
//! algorithms: an experimental evaluation* (2015), doi:10.1080/10556788.2014.895828.

/// No node, or no arc of the problem: the node hangs from the root by an artificial arc.
const NONE: u32 = u32::MAX;

/// A candidate for transport from a source to a sink.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Arc {
    /// The source, 0 ≤ from < n.
    pub(crate) from: u32,
    /// The sink, 0 ≤ to < m.
    pub(crate) to: u32,
    /// c(x_from, y_to).
    pub(crate) cost: f64,
}

/// A node of the tree, with the arc to its parent.
#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    child: u32,
    next: u32,
    previous: u32,
    /// The number of nodes in its subtree, itself included.
    size: u32,
    arc: u32,
    /// Whether the arc points from this node to its parent.
    up: bool,
    flow: i64,
    /// π: minus the potential of a source, the potential of a sink, so that a subtree moves by one number.
    price: f64,
}

/// Atoms with the mass that is left at them.
pub(crate) type Stranded = Vec<(usize, i64)>;

/// A transportation problem with a feasible tree.
#[derive(Debug, Clone)]
pub(crate) struct NetworkSimplex {
    nodes: Vec<Node>,
    sources: usize,
    arcs: Vec<Arc>,
    cursor: usize,
    /// The cost of shipping to or from the root: more than half of any real cost, so that it is never worth while.
    penalty: f64,
    /// Reduced costs above minus this count as zero.
    tolerance: f64,
    pivots: usize,
}

impl NetworkSimplex {
    /// The problem with these positive masses (of equal sum) and arcs, started from a greedy tree: `arcs` are used in the
    /// order given, so put the promising ones first. `penalty` must be more than half of the largest cost between any
    /// source and sink, listed or not.
    pub(crate) fn new(supply: &[i64], demand: &[i64], arcs: Vec<Arc>, penalty: f64, tolerance: f64) -> Self {
        let (n, m) = (supply.len(), demand.len());
        debug_assert_eq!(supply.iter().sum::<i64>(), demand.iter().sum::<i64>());
        let blank = Node {
            parent: NONE,
            child: NONE,
            next: NONE,
            previous: NONE,
            size: 1,
            arc: NONE,
            up: true,
            flow: 0,
            price: 0.0,
        };
        let mut simplex = NetworkSimplex {
            nodes: vec![blank; n + m + 1],
            sources: n,
            arcs,
            cursor: 0,
            penalty,
            tolerance,
            pivots: 0,
        };
        simplex.greedy(supply, demand);
        simplex.refresh();
        simplex
    }

    fn root(&self) -> u32 {
        (self.nodes.len() - 1) as u32
    }

    /// Ships as much as possible over each arc in turn. Each shipment closes one node, which hangs from the other from
    /// then on, so that the arcs used form a forest with one open node a tree; that one hangs from the root.
    fn greedy(&mut self, supply: &[i64], demand: &[i64]) {
        let mut left: Vec<i64> = supply.iter().chain(demand).copied().collect();
        let mut open = vec![true; left.len()];
        for e in 0..self.arcs.len() {
            let (i, j) = (self.arcs[e].from as usize, self.sources + self.arcs[e].to as usize);
            if !(open[i] && open[j]) {
                continue;
            }
            let flow = left[i].min(left[j]);
            left[i] -= flow;
            left[j] -= flow;
            let (closed, kept) = if left[i] == 0 { (i, j) } else { (j, i) };
            open[closed] = false;
            self.attach(closed as u32, kept as u32, e as u32, closed == i, flow);
        }
        let root = self.root();
        for u in (0..left.len()).filter(|&u| open[u]) {
            // A sink with nothing left to receive must point to the root like any arc without flow.
            self.attach(u as u32, root, NONE, u < self.sources || left[u] == 0, left[u]);
        }
    }

    fn attach(&mut self, node: u32, parent: u32, arc: u32, up: bool, flow: i64) {
        let first = self.nodes[parent as usize].child;
        if first != NONE {
            self.nodes[first as usize].previous = node;
        }
        self.nodes[parent as usize].child = node;
        let entry = &mut self.nodes[node as usize];
        (entry.parent, entry.next, entry.previous) = (parent, first, NONE);
        (entry.arc, entry.up, entry.flow) = (arc, up, flow);
    }

    fn detach(&mut self, node: u32) {
        let Node { parent, next, previous, .. } = self.nodes[node as usize];
        if previous == NONE {
            self.nodes[parent as usize].child = next;
        } else {
            self.nodes[previous as usize].next = next;
        }
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
    }

    /// The node after `u` in preorder within the subtree of `top`.
    fn after(&self, mut u: u32, top: u32) -> Option<u32> {
        let node = &self.nodes[u as usize];
        if node.child != NONE {
            return Some(node.child);
        }
        loop {
            if u == top {
                return None;
            }
            let node = &self.nodes[u as usize];
            if node.next != NONE {
                return Some(node.next);
            }
            u = node.parent;
        }
    }

    /// Computes prices and sizes from the tree alone: at the start, and again at the end against round-off.
    fn refresh(&mut self) {
        let root = self.root();
        let mut order = vec![root];
        while let Some(u) = self.after(order[order.len() - 1], root) {
            order.push(u);
        }
        for &u in &order[1..] {
            let node = self.nodes[u as usize];
            let cost = if node.arc == NONE { self.penalty } else { self.arcs[node.arc as usize].cost };
            let above = self.nodes[node.parent as usize].price;
            self.nodes[u as usize].price = if node.up { above - cost } else { above + cost };
            self.nodes[u as usize].size = 1;
        }
        self.nodes[root as usize].size = 1;
        for &u in order[1..].iter().rev() {
            let Node { parent, size, .. } = self.nodes[u as usize];
            self.nodes[parent as usize].size += size;
        }
    }

    /// c − f − g of an arc.
    fn reduced(&self, arc: &Arc) -> f64 {
        let from = self.nodes[arc.from as usize].price;
        let to = self.nodes[self.sources + arc.to as usize].price;
        arc.cost + from - to
    }

    /// The most negative arc of the first block that has one, from where the last search stopped.
    fn entering(&mut self) -> Option<u32> {
        let count = self.arcs.len();
        let block = ((count as f64).sqrt() as usize).clamp(32, 4096);
        let (mut best, mut least, mut in_block) = (NONE, -self.tolerance, 0);
        let mut e = self.cursor;
        for _ in 0..count {
            if e >= count {
                e = 0;
            }
            let reduced = self.reduced(&self.arcs[e]);
            if reduced < least {
                (best, least) = (e as u32, reduced);
            }
            e += 1;
            in_block += 1;
            if in_block == block {
                if best != NONE {
                    break;
                }
                in_block = 0;
            }
        }
        self.cursor = e;
        (best != NONE).then_some(best)
    }

    /// Lets arc `e` enter the tree.
    fn pivot(&mut self, e: u32) {
        let arc = self.arcs[e as usize];
        let (first, second) = (arc.from, self.sources as u32 + arc.to);
        let reduced = self.reduced(&arc);
        // The lowest common ancestor: the smaller subtree is never above.
        let (mut u, mut v) = (first, second);
        while u != v {
            if self.nodes[u as usize].size < self.nodes[v as usize].size {
                u = self.nodes[u as usize].parent;
            } else {
                v = self.nodes[v as usize].parent;
            }
        }
        let join = u;
        // Flow runs join → first → second → join. The last arc on that way that blocks leaves: strong feasibility stays.
        let (mut delta, mut out, mut on_first) = (i64::MAX, NONE, true);
        let mut u = first;
        while u != join {
            let node = &self.nodes[u as usize];
            if node.up && node.flow < delta {
                (delta, out) = (node.flow, u);
            }
            u = node.parent;
        }
        u = second;
        while u != join {
            let node = &self.nodes[u as usize];
            if !node.up && node.flow <= delta {
                (delta, out, on_first) = (node.flow, u, false);
            }
            u = node.parent;
        }
        debug_assert_ne!(out, NONE, "supplies bound every cycle");
        if delta > 0 {
            for (start, sign) in [(first, -1), (second, 1)] {
                let mut u = start;
                while u != join {
                    let node = &mut self.nodes[u as usize];
                    node.flow += if node.up { sign * delta } else { -sign * delta };
                    u = node.parent;
                }
            }
        }
        let (inside, outside) = if on_first { (first, second) } else { (second, first) };
        self.rehang(inside, outside, out, join, e, on_first, delta);
        // The arc that entered becomes tight: the subtree moves by its reduced cost.
        let shift = if on_first { -reduced } else { reduced };
        let mut at = Some(inside);
        while let Some(u) = at {
            self.nodes[u as usize].price += shift;
            at = self.after(u, inside);
        }
        self.pivots += 1;
    }

    /// Cuts the subtree of `out` off, roots it at `inside` and hangs it from `outside` by arc `e`.
    #[allow(clippy::too_many_arguments)] // the parts of one pivot, all needed at once
    fn rehang(&mut self, inside: u32, outside: u32, out: u32, join: u32, e: u32, up: bool, flow: i64) {
        let moved = self.nodes[out as usize].size;
        let mut u = self.nodes[out as usize].parent;
        while u != join {
            self.nodes[u as usize].size -= moved;
            u = self.nodes[u as usize].parent;
        }
        u = outside;
        while u != join {
            self.nodes[u as usize].size += moved;
            u = self.nodes[u as usize].parent;
        }
        // Reverse the stem from `inside` up to `out`: each node hangs from the one that was its child.
        let (mut node, mut parent, mut arc, mut points_up, mut carried) = (inside, outside, e, up, flow);
        let mut below = 0;
        loop {
            let old = self.nodes[node as usize];
            self.detach(node);
            self.attach(node, parent, arc, points_up, carried);
            // Everything of the moved part that was not under the stem below this node is under it now.
            self.nodes[node as usize].size = moved - below;
            if node == out {
                return;
            }
            below = old.size;
            (parent, node) = (node, old.parent);
            (arc, points_up, carried) = (old.arc, !old.up, old.flow);
        }
    }

    /// Pivots until no arc has a negative reduced cost, or `limit` pivots are done; true when optimal over the arcs.
    pub(crate) fn run(&mut self, limit: usize) -> bool {
        let mut refreshed = false;
        loop {
            match self.entering() {
                Some(_) if self.pivots >= limit => return false,
                Some(e) => self.pivot(e),
                None if refreshed => return true,
                None => {
                    self.refresh();
                    refreshed = true;
                }
            }
        }
    }

    /// Adds arcs; the tree stays as it is.
    pub(crate) fn extend(&mut self, arcs: impl IntoIterator<Item = Arc>) {
        // New arcs are looked at first.
        self.cursor = self.arcs.len();
        self.arcs.extend(arcs);
    }

    /// Pivots done so far.
    pub(crate) fn pivots(&self) -> usize {
        self.pivots
    }

    /// f at the sources.
    pub(crate) fn source_potentials(&self) -> Vec<f64> {
        self.nodes[..self.sources].iter().map(|node| -node.price).collect()
    }

    /// g at the sinks.
    pub(crate) fn target_potentials(&self) -> Vec<f64> {
        self.nodes[self.sources..self.nodes.len() - 1].iter().map(|node| node.price).collect()
    }

    /// The sources and the sinks whose mass has found no arc and goes through the root, with that mass.
    pub(crate) fn stranded(&self) -> (Stranded, Stranded) {
        let at_root = |range: std::ops::Range<usize>| {
            let nodes = self.nodes[range].iter().enumerate();
            let left = nodes.filter(|(_, node)| node.arc == NONE && node.flow > 0);
            left.map(|(k, node)| (k, node.flow)).collect::<Vec<_>>()
        };
        (at_root(0..self.sources), at_root(self.sources..self.nodes.len() - 1))
    }

    /// The arcs that carry mass.
    pub(crate) fn flows(&self) -> impl Iterator<Item = (Arc, i64)> + '_ {
        let loaded = self.nodes.iter().filter(|node| node.arc != NONE && node.flow > 0);
        loaded.map(|node| (self.arcs[node.arc as usize], node.flow))
    }
}
