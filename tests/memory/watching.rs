//! The allocator of this test program. It counts for all threads: what a store keeps, its own threads
//! have allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU8, AtomicUsize, Ordering::SeqCst};

/// Bytes that are allocated now.
static ALIVE: AtomicIsize = AtomicIsize::new(0);

const LENGTH: usize = 64;

/// The largest block that is looked at: the others are of tests that do not look for anything.
const LARGEST: usize = 64 * 1024;

/// The text that is looked for in what is given back.
static MARK: [AtomicU8; LENGTH] = [const { AtomicU8::new(0) }; LENGTH];
static LOOKS: AtomicBool = AtomicBool::new(false);
static SEEN: AtomicUsize = AtomicUsize::new(0);

struct Watching;

#[global_allocator]
static ALLOCATOR: Watching = Watching;

// SAFETY: All memory is the system's. It is only looked at while it is still allocated; blocks are
// filled when they are made, so that there is something to look at in all of them. `realloc` is the
// trait's own, which makes a block, copies, and gives the old one back through here.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALIVE.fetch_add(layout.size() as isize, SeqCst);
        // SAFETY: The caller's promise is the system's condition.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        ALIVE.fetch_sub(layout.size() as isize, SeqCst);
        if layout.size() <= LARGEST && LOOKS.load(SeqCst) {
            // SAFETY: The block is the caller's to give back, has this size, and was filled.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            look(bytes);
        }
        // SAFETY: As above.
        unsafe { System.dealloc(block, layout) }
    }
}

fn look(bytes: &[u8]) {
    let is_it = |window: &[u8]| {
        let mut both = window.iter().zip(&MARK);
        both.all(|(byte, mark)| *byte == mark.load(SeqCst))
    };
    SEEN.fetch_add(bytes.windows(LENGTH).filter(|w| is_it(w)).count(), SeqCst);
}

/// Bytes that are allocated now, in all threads.
pub(crate) fn alive() -> isize {
    ALIVE.load(SeqCst)
}

/// Looks for a text of 64 bytes from now on.
pub(crate) fn look_for(text: &str) {
    assert_eq!(text.len(), LENGTH);
    LOOKS.store(false, SeqCst);
    for (place, byte) in MARK.iter().zip(text.bytes()) {
        place.store(byte, SeqCst);
    }
    SEEN.store(0, SeqCst);
    LOOKS.store(true, SeqCst);
}

/// How often it was given back.
pub(crate) fn seen() -> usize {
    SEEN.load(SeqCst)
}
