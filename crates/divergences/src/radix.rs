//! Sorting numbers by their bits: a radix sort, linear in n, in the total order of doubles.

/// The bits of a number as an unsigned integer of the same order (−0 before +0).
fn key(v: f64) -> u64 {
    let bits = v.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn number(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

const DIGIT: u32 = 11;
const BUCKETS: usize = 1 << DIGIT;
/// Digits of a key, and the first of those that hold its sign, its exponent and nineteen bits of its fraction.
const DIGITS: usize = 6;
const UPPER: usize = 3;
/// Below this a comparison sort is faster.
const SMALL: usize = 512;
/// Items that insertion may move past others, as a multiple of their number, before the other digits are sorted too.
const MOVES: usize = 4;

/// Stable sort by the key of every item, eleven bits a pass: by the upper half of the digits, which puts numbers of no
/// special kind into order but for a few neighbours that insertion exchanges; if that is not so, by all of them.
fn sort_by_key<T: Copy + Default>(items: &mut Vec<T>, key: impl Fn(&T) -> u64) {
    if items.len() < SMALL {
        items.sort_by_key(key);
        return;
    }
    passes(items, UPPER..DIGITS, &key);
    if !insert(items, &key) {
        passes(items, 0..DIGITS, &key);
    }
}

/// A stable sort by some digits, from the lowest; those in which all agree are left out.
fn passes<T: Copy + Default>(items: &mut Vec<T>, digits: std::ops::Range<usize>, key: &impl Fn(&T) -> u64) {
    let first = digits.start;
    let mut counts = vec![[0u32; BUCKETS]; digits.len()];
    for item in items.iter() {
        let key = key(item);
        for (k, counts) in counts.iter_mut().enumerate() {
            counts[digit(key, first + k)] += 1;
        }
    }
    let mut other = vec![T::default(); items.len()];
    for (pass, counts) in digits.zip(&mut counts) {
        if counts[digit(key(&items[0]), pass)] as usize == items.len() {
            continue;
        }
        let mut start = 0;
        for count in counts.iter_mut() {
            start += std::mem::replace(count, start);
        }
        for item in items.iter() {
            let at = &mut counts[digit(key(item), pass)];
            other[*at as usize] = *item;
            *at += 1;
        }
        std::mem::swap(items, &mut other);
    }
}

/// A stable insertion sort; false, and unfinished, when it has to move too much.
fn insert<T: Copy>(items: &mut [T], key: &impl Fn(&T) -> u64) -> bool {
    let mut allowance = MOVES * items.len();
    let mut last = key(&items[0]);
    for i in 1..items.len() {
        let item = items[i];
        let own = key(&item);
        if own >= last {
            last = own;
            continue;
        }
        let mut at = i;
        while at > 0 && key(&items[at - 1]) > own {
            items[at] = items[at - 1];
            at -= 1;
        }
        items[at] = item;
        let moved = i - at;
        if moved > allowance {
            return false;
        }
        allowance -= moved;
    }
    true
}

fn digit(key: u64, pass: usize) -> usize {
    (key >> (pass as u32 * DIGIT)) as usize & (BUCKETS - 1)
}

/// The values in ascending order.
pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    if u32::try_from(values.len()).is_err() {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        return values;
    }
    let mut keys: Vec<u64> = values.iter().map(|v| key(*v)).collect();
    sort_by_key(&mut keys, |k| *k);
    keys.into_iter().map(number).collect()
}

/// The indices that put the values in ascending order; ties by index.
pub(crate) fn order(values: &[f64]) -> Vec<usize> {
    let Ok(n) = u32::try_from(values.len()) else {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        return order;
    };
    let mut items: Vec<(u64, u32)> = values.iter().map(|v| key(*v)).zip(0..n).collect();
    sort_by_key(&mut items, |item| item.0);
    items.into_iter().map(|(_, i)| i as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::Seed;
    use rand::RngExt;

    #[test]
    fn it_is_the_total_order() {
        let mut rng = Seed::new(3).rng();
        for n in [0, 1, 2, 100, SMALL, 3 * SMALL] {
            // The last two: all upper digits agree, and the order is reversed within them or there are many ties.
            for kind in 0..5 {
                let mut draw = |i: usize| match kind {
                    0 => 1e-300 * (rng.random::<f64>() - 0.5),
                    1 => rng.random::<f64>() - 0.5,
                    2 => 1e300 * (rng.random::<f64>() - 0.5),
                    3 => 1.0 + 1e-12 * (n - i) as f64,
                    _ => 1.0 + 1e-12 * (rng.random::<f64>() * 9.0).floor(),
                };
                let mut values: Vec<f64> = (0..n).map(&mut draw).collect();
                values.extend([0.0, -0.0, 1.0, 1.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE]);
                let mut expected = values.clone();
                expected.sort_by(f64::total_cmp);
                let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&sorted(&values)), bits(&expected));
                let mut indices: Vec<usize> = (0..values.len()).collect();
                indices.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
                assert_eq!(order(&values), indices);
            }
        }
    }
}
