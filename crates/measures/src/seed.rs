//! Seeds that can be split by name or number, and counter-based streams: what runs in parallel, or must be run again,
//! takes a [`Seed`] and not a generator, so that no result depends on the order in which threads come by.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// A 256-bit key from which independent generators are made.
///
/// A child seed is the first output block of ChaCha8 under the parent's key, on a stream numbered by the child:
/// children of different numbers, or of different parents, have unrelated keys. Values are stable: the same seed gives
/// the same numbers in every release with the same major version.
///
/// ```
/// use measures::Seed;
/// use rand::RngExt;
/// let seed = Seed::new(7);
/// let a: f64 = seed.named("latent").stream(3).random();
/// let b: f64 = seed.named("latent").stream(3).random();
/// assert_eq!(a, b);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed {
    key: [u8; 32],
}

impl Seed {
    /// The seed of a number.
    pub fn new(number: u64) -> Self {
        let mut key = [0; 32];
        ChaCha8Rng::seed_from_u64(number).fill_bytes(&mut key);
        Seed { key }
    }

    /// The seed with this key, as written by [`Seed::key`].
    pub fn from_key(key: [u8; 32]) -> Self {
        Seed { key }
    }

    /// The 256-bit key, to be stored in a checkpoint.
    pub fn key(&self) -> [u8; 32] {
        self.key
    }

    /// The child of the given number.
    pub fn child(&self, number: u64) -> Self {
        self.derive(number, NUMBERED)
    }

    /// The child of the given name: use one name for one purpose.
    pub fn named(&self, name: &str) -> Self {
        // Absorb the name eight bytes at a time, its length first, so that no name is a prefix of another.
        name.as_bytes().chunks(8).fold(self.derive(name.len() as u64, NAMED), |seed, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            seed.derive(u64::from_le_bytes(word), NAMED)
        })
    }

    fn derive(&self, stream: u64, word: u128) -> Self {
        let mut rng = self.stream(stream);
        rng.set_word_pos(word);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Seed { key }
    }

    /// The generator of this seed, at its start.
    pub fn rng(&self) -> ChaCha8Rng {
        self.stream(0)
    }

    /// Stream number `i` of this seed: 2⁶⁴ generators that never overlap, reached without drawing from one another.
    pub fn stream(&self, i: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::from_seed(self.key);
        rng.set_stream(i);
        rng
    }
}

/// Word positions that no sampler will reach (a stream has 2⁶⁸ words), where the keys of children are read.
const NUMBERED: u128 = 1 << 67;
const NAMED: u128 = NUMBERED + 64;

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seed({:02x}{:02x}{:02x}{:02x}…)", self.key[0], self.key[1], self.key[2], self.key[3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use std::collections::HashSet;

    #[test]
    fn children_streams_and_names_are_apart() {
        let seed = Seed::new(0);
        let mut seen = HashSet::new();
        for i in 0..200 {
            assert!(seen.insert(seed.stream(i).random::<u64>()));
            assert!(seen.insert(seed.child(i).rng().random::<u64>()));
            assert!(seen.insert(Seed::new(i + 1).rng().random::<u64>()));
        }
        for name in ["", "a", "a\0", "aa", "noise", "noise-and-more", "noise-and-mor"] {
            assert!(seen.insert(seed.named(name).rng().random::<u64>()), "{name:?}");
        }
    }

    #[test]
    fn values_are_stable() {
        let seed = Seed::new(42);
        assert_eq!(Seed::from_key(seed.key()), seed);
        assert_eq!(seed.named("latent").child(3).stream(5).random::<u64>(), 10_737_003_364_533_707_342);
    }
}
