//! The counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Without a destructor and with a constant start, so that reading it
    // neither allocates nor fails while a thread ends.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static ALLOCATED: Cell<u64> = const { Cell::new(0) };
    static FREED: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static GLOBAL: Counting = Counting;

fn count(bytes: usize) {
    COUNT.set(COUNT.get().wrapping_add(1));
    ALLOCATED.set(ALLOCATED.get().wrapping_add(bytes as u64));
}

fn count_freed(bytes: usize) {
    FREED.set(FREED.get().wrapping_add(bytes as u64));
}

// SAFETY: every call is passed on unchanged to the system's allocator, whose
// promises hold for us; counting touches thread-local integers only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        count_freed(layout.size());
        // SAFETY: the caller's promises about all three are passed on.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count_freed(layout.size());
        // SAFETY: the caller's promises about both are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

/// How often the calling thread has allocated.
pub(super) fn so_far() -> u64 {
    COUNT.get()
}

/// How often the calling thread allocates in it.
pub(crate) fn allocations_of<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = so_far();
    let done = work();
    (done, so_far() - before)
}

/// Bytes of the heap that the calling thread asked for.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Bytes {
    /// All of them; what is grown counts each time with its new size.
    pub(crate) allocated: u64,
    /// Those that were not freed again.
    pub(crate) kept: u64,
}

/// What something takes to make, and what it then takes.
pub(crate) fn bytes_of<T>(make: impl FnOnce() -> T) -> (T, Bytes) {
    let before = (ALLOCATED.get(), FREED.get());
    let made = make();
    let allocated = ALLOCATED.get() - before.0;
    let kept = allocated.saturating_sub(FREED.get() - before.1);
    (made, Bytes { allocated, kept })
}
