//! Buffers that a thread keeps between calls: a training step needs the same ones anew each time, and the operating system
//! takes longer to map fresh pages than the transform takes to use them.

use super::window::Group;
use measures::lanes::WIDTH;
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Buffers a thread keeps at most, and groups of one that is kept at most: 1 MiB.
const KEPT: usize = 24;
const LARGEST: usize = 1 << 14;

thread_local! {
    static SPARE: RefCell<Vec<Vec<Group>>> = const { RefCell::new(Vec::new()) };
}

/// Groups of eight that go back to the thread's spare buffers.
#[derive(Debug)]
pub(super) struct Scratch(Vec<Group>);

/// `groups` groups of zeros, in the smallest spare buffer that has room for them.
pub(super) fn zeroed(groups: usize) -> Scratch {
    let spare = SPARE.try_with(|spare| {
        let spare = &mut *spare.borrow_mut();
        let fits = spare.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= groups);
        let best = fits.min_by_key(|(_, buffer)| buffer.capacity()).map(|(i, _)| i);
        best.map(|i| spare.swap_remove(i))
    });
    match spare {
        Ok(Some(mut buffer)) => {
            buffer.clear();
            buffer.resize(groups, [0.0; WIDTH]);
            Scratch(buffer)
        }
        _ => Scratch(vec![[0.0; WIDTH]; groups]),
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if (1..=LARGEST).contains(&buffer.capacity()) {
            // without a pool while the thread ends
            let _ = SPARE.try_with(|spare| {
                let spare = &mut *spare.borrow_mut();
                if spare.len() == KEPT {
                    spare.remove(0);
                }
                spare.push(buffer);
            });
        }
    }
}

impl Deref for Scratch {
    type Target = [Group];
    #[inline(always)]
    fn deref(&self) -> &[Group] {
        &self.0
    }
}

impl DerefMut for Scratch {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [Group] {
        &mut self.0
    }
}
