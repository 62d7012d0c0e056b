//! Sorting numbers in linear time, in the total order of doubles.
//!
//! A number between two quantiles of a subsample is turned into an integer of 16 to 24 bits, linearly: two or three passes
//! of a radix sort by that integer leave only neighbours in the wrong order, which insertion exchanges. Numbers spread so
//! unevenly that it does not (many scales at once, or most of them tied to all the digits that are left) are sorted by
//! their bits.

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

/// What sorting writes on besides the items; kept from one list to the next it costs the system no new pages.
#[derive(Default)]
pub(crate) struct Scratch<T> {
    other: Vec<T>,
    places: Vec<u32>,
    counts: Vec<u32>,
}

impl<T: Copy + Default> Scratch<T> {
    /// As many items as there are, whatever they are.
    fn sized(&mut self, items: &[T]) {
        self.other.resize(items.len(), T::default());
    }
}

/// Stable sort by the key of every item, which is that of its value.
fn sort_by_key<T: Copy + Default>(
    items: &mut Vec<T>,
    scratch: &mut Scratch<T>,
    key: impl Fn(&T) -> u64,
    value: impl Fn(&T) -> f64,
) {
    if items.len() < SMALL {
        items.sort_by_key(key);
        return;
    }
    if let Some(scale) = Scale::new(items, &value) {
        if !scale.one_pass(items, scratch, &value) {
            scale.passes(items, scratch, &value);
        }
        if insert(items, &key) {
            return;
        }
    }
    passes(items, scratch, UPPER..DIGITS, &key);
    if !insert(items, &key) {
        passes(items, scratch, 0..DIGITS, &key);
    }
}

/// Numbers of a subsample, whose extremes are a range that all but a few numbers lie in.
const SUBSAMPLE: usize = 1024;

/// The largest number of buckets of a pass: as many places are written to in turn as the nearest cache has lines.
const LINEAR_DIGIT: u32 = 9;

/// Up to this many items one pass, with as many buckets as there are items, is quicker than two.
const ONE_PASS: usize = 1 << 16;

/// x ↦ the integer nearest to (x − low)·factor, between 0 and 2^bits − 1: it never decreases in x.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    factor: f64,
    top: f64,
    digit: u32,
    passes: u32,
}

impl Scale {
    fn new<T>(items: &[T], value: &impl Fn(&T) -> f64) -> Option<Self> {
        let sample = items.iter().step_by(items.len() / SUBSAMPLE + 1).map(value);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for x in sample {
            (low, high) = (low.min(x), high.max(x));
        }
        // Sixteen times as many places as items, of which an eighth share a place with another then.
        let bits = (items.len().ilog2() + 4).min(3 * LINEAR_DIGIT);
        let passes = bits.div_ceil(LINEAR_DIGIT);
        let digit = bits.div_ceil(passes);
        let top = ((1u32 << (digit * passes)) - 1) as f64;
        let factor = top / (high - low);
        // Finite: not all equal, and not so far apart that the difference overflows.
        (factor.is_finite() && factor > 0.0).then_some(Scale { low, factor, top, digit, passes })
    }

    /// The same range cut into 2^bits places, at most 2⁵¹.
    fn finer(self, bits: u32) -> Option<Self> {
        let top = ((1u64 << bits) - 1) as f64;
        let factor = self.factor * (top / self.top);
        factor.is_finite().then_some(Scale { factor, top, ..self })
    }

    #[inline]
    fn place(&self, x: f64) -> usize {
        self.fine_place(x) as u32 as usize
    }

    #[inline]
    fn fine_place(&self, x: f64) -> u64 {
        /// 2⁵²: a number below it added to it is rounded to an integer, which stands in the low bits of the sum.
        const MAGIC: f64 = 4_503_599_627_370_496.0;
        let place = (x - self.low) * self.factor;
        let place = if place > 0.0 { place } else { 0.0 };
        let place = if place < self.top { place } else { self.top };
        (place + MAGIC).to_bits() & ((1 << 52) - 1)
    }

    /// A stable sort by the highest bits of the place alone, twice as many places as items; false, and nothing done, where
    /// insertion would have to move more than one item an item, or so many places leave the cache.
    fn one_pass<T: Copy + Default>(
        &self,
        items: &mut Vec<T>,
        scratch: &mut Scratch<T>,
        value: &impl Fn(&T) -> f64,
    ) -> bool {
        let (bits, wanted) = (self.digit * self.passes, items.len().ilog2() + 1);
        if items.len() > ONE_PASS || wanted > bits {
            return false;
        }
        scratch.sized(items);
        let Scratch { other, places, counts } = scratch;
        places.clear();
        places.extend(items.iter().map(|x| self.place(value(x)) as u32 >> (bits - wanted)));
        counts.clear();
        counts.resize(1 << wanted, 0);
        places.iter().for_each(|place| counts[*place as usize] += 1);
        if starts_of(counts) > 4 * items.len() as u64 {
            return false;
        }
        for (item, place) in items.iter().zip(places.iter()) {
            let at = &mut counts[*place as usize];
            other[*at as usize] = *item;
            *at += 1;
        }
        std::mem::swap(items, other);
        true
    }

    /// A stable sort by the place, from its lowest digit.
    fn passes<T: Copy + Default>(
        &self,
        items: &mut Vec<T>,
        scratch: &mut Scratch<T>,
        value: &impl Fn(&T) -> f64,
    ) {
        let mut counts = self.counts(items, value);
        scratch.sized(items);
        for (pass, counts) in (0..).zip(&mut counts) {
            self.pass(pass, items, &mut scratch.other, counts, value);
            std::mem::swap(items, &mut scratch.other);
        }
    }

    /// As [`Scale::passes`], from a list that stays as it is.
    fn passes_from<T: Copy + Default>(&self, from: &[T], value: &impl Fn(&T) -> f64) -> Vec<T> {
        let mut counts = self.counts(from, value);
        let mut items = vec![T::default(); from.len()];
        self.pass(0, from, &mut items, &mut counts[0], value);
        let mut other = vec![T::default(); from.len()];
        for (pass, counts) in (1..).zip(&mut counts[1..]) {
            self.pass(pass, &items, &mut other, counts, value);
            std::mem::swap(&mut items, &mut other);
        }
        items
    }

    /// Where each value of each digit starts.
    fn counts<T>(&self, items: &[T], value: &impl Fn(&T) -> f64) -> Vec<[u32; 1 << LINEAR_DIGIT]> {
        let mask = (1 << self.digit) - 1;
        let mut counts = vec![[0u32; 1 << LINEAR_DIGIT]; self.passes as usize];
        for item in items {
            let mut place = self.place(value(item));
            for counts in &mut counts {
                counts[place & mask] += 1;
                place >>= self.digit;
            }
        }
        for counts in &mut counts {
            let mut start = 0;
            for count in counts {
                start += std::mem::replace(count, start);
            }
        }
        counts
    }

    fn pass<T: Copy>(
        &self,
        pass: u32,
        from: &[T],
        to: &mut [T],
        starts: &mut [u32; 1 << LINEAR_DIGIT],
        value: &impl Fn(&T) -> f64,
    ) {
        let (shift, mask) = (pass * self.digit, (1 << self.digit) - 1);
        for item in from {
            let at = &mut starts[self.place(value(item)) >> shift & mask];
            to[*at as usize] = *item;
            *at += 1;
        }
    }
}

/// A stable sort by some digits, from the lowest; those in which all agree are left out.
fn passes<T: Copy + Default>(
    items: &mut Vec<T>,
    scratch: &mut Scratch<T>,
    digits: std::ops::Range<usize>,
    key: &impl Fn(&T) -> u64,
) {
    let first = digits.start;
    let mut counts = vec![[0u32; BUCKETS]; digits.len()];
    for item in items.iter() {
        let key = key(item);
        for (k, counts) in counts.iter_mut().enumerate() {
            counts[digit(key, first + k)] += 1;
        }
    }
    scratch.sized(items);
    let other = &mut scratch.other;
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
        std::mem::swap(items, other);
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
    if values.len() > ONE_PASS
        && u32::try_from(values.len()).is_ok()
        && let Some(scale) = Scale::new(values, &|v| *v)
    {
        let mut sorted = scale.passes_from(values, &|v| *v);
        if insert(&mut sorted, &|v| key(*v)) {
            return sorted;
        }
    }
    sort(values.to_vec(), &mut Scratch::default())
}

/// As [`sorted`], in the place of the values.
pub(crate) fn sort(mut values: Vec<f64>, scratch: &mut Scratch<f64>) -> Vec<f64> {
    if u32::try_from(values.len()).is_err() {
        values.sort_unstable_by(f64::total_cmp);
    } else {
        sort_by_key(&mut values, scratch, |v| key(*v), |v| *v);
    }
    values
}

/// The indices that put the values in ascending order; ties by index.
pub(crate) fn order(values: &[f64]) -> Vec<usize> {
    let Ok(n) = u32::try_from(values.len()) else {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        return order;
    };
    let mut items: Vec<(u64, u32)> = values.iter().map(|v| key(*v)).zip(0..n).collect();
    sort_by_key(&mut items, &mut Scratch::default(), |item| item.0, |item| number(item.0));
    items.into_iter().map(|(_, i)| i as usize).collect()
}

/// What [`ranked`] writes on, kept from one list to the next.
#[derive(Default)]
pub(crate) struct RankScratch {
    words: Vec<u64>,
    sorted: Vec<u64>,
    counts: Vec<u32>,
}

/// The values in ascending order and their [`order`].
pub(crate) fn ranked(values: &[f64], scratch: &mut RankScratch) -> (Vec<f64>, Vec<usize>) {
    ranked_by_place(values, scratch).unwrap_or_else(|| {
        let order = order(values);
        (order.iter().map(|&i| values[i]).collect(), order)
    })
}

/// Bits of an index that stands below the place of its value in one word.
const INDEX: u32 = 16;

/// Bits of the place that stands above it.
const PLACE: u32 = 47;

/// As [`ranked`], by sorting words that hold a place and an index; none for few or many values, and where insertion would
/// have to move too many.
fn ranked_by_place(values: &[f64], scratch: &mut RankScratch) -> Option<(Vec<f64>, Vec<usize>)> {
    let n = values.len();
    if !(SMALL..=1 << INDEX).contains(&n) {
        return None;
    }
    let scale = Scale::new(values, &|v| *v)?.finer(PLACE)?;
    let shift = INDEX + PLACE - (n.ilog2() + 1);
    let RankScratch { words, sorted, counts } = scratch;
    words.clear();
    words.extend(values.iter().zip(0u64..).map(|(v, i)| scale.fine_place(*v) << INDEX | i));
    counts.clear();
    counts.resize(2 << n.ilog2(), 0);
    words.iter().for_each(|word| counts[(word >> shift) as usize] += 1);
    if starts_of(counts) > 4 * n as u64 {
        return None;
    }
    sorted.resize(n, 0);
    for word in words.iter() {
        let at = &mut counts[(word >> shift) as usize];
        sorted[*at as usize] = *word;
        *at += 1;
    }
    if !insert(sorted, &|word| *word) {
        return None;
    }
    let mut order: Vec<usize> = sorted.iter().map(|word| (word & ((1 << INDEX) - 1)) as usize).collect();
    let mut values: Vec<f64> = order.iter().map(|&i| values[i]).collect();
    // Different values may share a place: those beyond the subsample do.
    let mut allowance = MOVES * n;
    let mut last = key(values[0]);
    for i in 1..n {
        let own = key(values[i]);
        if own >= last {
            last = own;
            continue;
        }
        let mut at = i;
        while at > 0 && key(values[at - 1]) > own {
            at -= 1;
        }
        allowance = allowance.checked_sub(i - at)?;
        values[at..=i].rotate_right(1);
        order[at..=i].rotate_right(1);
    }
    Some((values, order))
}

/// Turns counts into where each of them starts; returns twice the number of pairs that share a count.
fn starts_of(counts: &mut [u32]) -> u64 {
    let (mut start, mut pairs) = (0, 0);
    for count in counts {
        let here = std::mem::replace(count, start);
        start += here;
        pairs += u64::from(here) * u64::from(here.saturating_sub(1));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use measures::Seed;
    use rand::RngExt;

    #[test]
    fn it_is_the_total_order() {
        let mut rng = Seed::new(3).rng();
        for n in [0, 1, 2, 100, SMALL, 3 * SMALL, 40_000, (1 << INDEX) - 7, 70_000] {
            // The last: all upper digits agree, and the order is reversed within them or there are many ties; many scales
            // at once; a tail beyond the subsample; almost all equal; differences that overflow.
            for kind in 0..9 {
                let mut draw = |i: usize| match kind {
                    0 => 1e-300 * (rng.random::<f64>() - 0.5),
                    1 => rng.random::<f64>() - 0.5,
                    2 => 1e300 * (rng.random::<f64>() - 0.5),
                    3 => 1.0 + 1e-12 * (n - i) as f64,
                    5 => (600.0 * (rng.random::<f64>() - 0.5)).exp(),
                    6 => (rng.random::<f64>() - 0.5) / rng.random::<f64>().powi(3),
                    7 => {
                        if i % 5000 == 7 {
                            rng.random::<f64>()
                        } else {
                            0.25
                        }
                    }
                    8 => f64::MAX * (2.0 * rng.random::<f64>() - 1.0),
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
                let (ranks, by_rank) = ranked(&values, &mut RankScratch::default());
                assert_eq!((bits(&ranks), by_rank), (bits(&expected), indices));
            }
        }
    }
}
