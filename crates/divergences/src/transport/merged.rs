//! Atoms in one place counted as one: many copies of a point would have the same candidates, and compete for them in vain.

use measures::Points;

/// No place.
const NONE: usize = usize::MAX;

/// Multiplication carries every bit to the highest, which count.
fn hash(row: &[f64]) -> u64 {
    row.iter().fold(0u64, |h, v| (h.rotate_left(5) ^ v.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Whether all bits agree.
fn is_same(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// The places of a cloud with the mass at each.
pub(crate) struct Merged {
    pub(crate) points: Points,
    pub(crate) masses: Vec<i64>,
    /// The place of every atom, and what the atom weighs.
    place_of: Vec<usize>,
    atoms: Vec<i64>,
}

impl Merged {
    pub(crate) fn new(points: &Points, masses: Vec<i64>) -> Self {
        // Open addressing: the first atom in every place, at the slot that its hash asks for or at the next one free.
        let bits = (2 * points.len()).max(2).next_power_of_two().ilog2();
        let mut slots = vec![NONE; 1 << bits];
        let mut firsts = Vec::with_capacity(points.len());
        let place_of: Vec<usize> = points
            .rows()
            .enumerate()
            .map(|(i, row)| {
                let mut slot = (hash(row) >> (u64::BITS - bits)) as usize;
                loop {
                    let place = slots[slot];
                    if place == NONE {
                        slots[slot] = firsts.len();
                        firsts.push(i);
                        return firsts.len() - 1;
                    }
                    if is_same(row, points.row(firsts[place])) {
                        return place;
                    }
                    slot = (slot + 1) & ((1 << bits) - 1);
                }
            })
            .collect();
        let mut total = vec![0; firsts.len()];
        place_of.iter().zip(&masses).for_each(|(&place, mass)| total[place] += mass);
        Merged { points: points.select(&firsts), masses: total, place_of, atoms: masses }
    }

    /// A number of every atom from one of every place.
    pub(crate) fn spread(&self, values: &[f64]) -> Vec<f64> {
        self.place_of.iter().map(|&place| values[place]).collect()
    }

    /// The atoms of every place with their masses, the first at the end.
    fn members(&self) -> Vec<Vec<(usize, i64)>> {
        let mut members = vec![Vec::new(); self.masses.len()];
        for (i, (&place, &mass)) in self.place_of.iter().zip(&self.atoms).enumerate().rev() {
            members[place].push((i, mass));
        }
        members
    }
}

/// Flows between atoms from flows between places: at most as many more as there are more atoms.
pub(crate) fn split(x: &Merged, y: &Merged, flows: &[(usize, usize, i64)]) -> Vec<(usize, usize, i64)> {
    let (mut sources, mut sinks) = (x.members(), y.members());
    let mut out = Vec::with_capacity(x.atoms.len() + y.atoms.len());
    for &(from, to, units) in flows {
        let mut rest = units;
        while rest > 0 {
            let (Some((i, left_i)), Some((j, left_j))) = (sources[from].last_mut(), sinks[to].last_mut())
            else {
                debug_assert!(false, "flows have the masses as marginals");
                break;
            };
            let moved = rest.min(*left_i).min(*left_j);
            out.push((*i, *j, moved));
            rest -= moved;
            *left_i -= moved;
            *left_j -= moved;
            let (empty_i, empty_j) = (*left_i == 0, *left_j == 0);
            if empty_i {
                sources[from].pop();
            }
            if empty_j {
                sinks[to].pop();
            }
        }
    }
    out
}
