//! The harness under every bench: all subjects of an operation in one run,
//! so that ours, the floors and the peers meet the same machine and the same
//! noise, and the ratios between them can be believed.
//!
//! # Adding a pattern
//!
//! One file beside `circuit_breaker.rs` and one `[[bench]]` entry:
//!
//! ```text
//! mod harness;
//! use harness::{Suite, FETCH_ADD, PARTS, peer, ratio, time};
//!
//! fn main() -> std::process::ExitCode {
//!     let mut suite = Suite::new("bulkhead");
//!     let admit = suite.operation("mechanism/admit");
//!     admit.fetch_add();
//!     admit.case("ours", || {                  // once a run: shared state
//!         let bulkhead = Bulkhead::new(64);
//!         move || {                            // once a thread: its handle
//!             let bulkhead = bulkhead.clone();
//!             move || bulkhead.admit(now)      // the operation, timed
//!         }
//!     });
//!     suite.goal("admit costs at most 2 fetch_adds",
//!         ratio(time("mechanism/admit", "ours"), time("mechanism/admit", FETCH_ADD)).at_most(2.0));
//!     suite.run()
//! }
//! ```
//!
//! A subject is `ours`, `floor:parts` (just the atomics, reference counts and
//! clock reads that the semantics need), another `floor:`, or
//! [`peer("name")`](peer), whose version comes from Cargo.lock. What
//! distinguishes two configurations of one subject follows after a comma:
//! `ours, 10 buckets`.
//!
//! # What is measured
//!
//! - **Time.** A *round* runs every case of an operation for about 1 ms (at
//!   two threads 2 ms), each time starting with another case; 101 rounds make
//!   a run, three runs a result. A figure is the median of the runs' medians.
//!   Ratios and differences are taken inside each round, and then their
//!   median, so a slow second hits both sides. A round in which a thread waited
//!   for a processor is left out, if others remain. At two threads the
//!   figure is the wall time per operation of one thread.
//! - **Allocations**, exactly, by a counting allocator, in the measured
//!   batches themselves. It counts what the measuring threads allocate, not
//!   what a runtime's workers do. A planted allocation, `check:planted`, is
//!   measured in every run: the bench fails if the harness does not see it.
//! - **Instructions**, by callgrind where valgrind is installed, one thread
//!   only: (I(2N) - I(N)) / N, so that set-up cancels. It does not know what
//!   an atomic costs, and it sees a system call instead of the vDSO's clock.
//!
//! It does not show tail latencies, cold caches, more than two threads, or
//! another machine's prices: compare ratios of one run, never two runs'
//! nanoseconds.
#![allow(
    dead_code,
    unused_imports,
    reason = "no single bench uses all of the harness"
)]

mod allocations;
mod goal;
mod instructions;
mod measure;
mod options;
mod report;
mod service;
mod slots;
mod suite;

pub(crate) use allocations::{allocations_of, bytes_of};
pub(crate) use goal::{allocations, instructions, ratio, time};
pub(crate) use service::{Bare, by_hand, enter_a_runtime, poll_by_hand, runtime};
pub(crate) use slots::{Busy, Kept, Slots, keep_ready, occupy};
pub(crate) use suite::{Case, Operation, Suite};

use std::sync::atomic::AtomicU64;

/// What we measure for.
pub(crate) const OURS: &str = "ours";
/// Just the atomics, reference counts and clock reads that the semantics of
/// an operation need.
pub(crate) const PARTS: &str = "floor:parts";
/// One relaxed `fetch_add` on a line that all threads share.
pub(crate) const FETCH_ADD: &str = "floor:fetch_add";
/// A ready no-op service with nothing around it.
pub(crate) const BARE: &str = "floor:bare";

/// The subject's name for a crate we compare with: `peer:NAME VERSION`, the
/// version being the one that Cargo.lock holds now.
pub(crate) fn peer(name: &str) -> String {
    const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    let lock = std::fs::read_to_string(LOCK).unwrap_or_default();
    // A name that stands twice in the lock is listed with its version among
    // our own dependencies.
    let ours = lock
        .split("[[package]]")
        .find(|package| package.contains("name = \"axiomatic-benches\""))
        .unwrap_or_default();
    let chosen = ours.lines().find_map(|line| {
        let entry = line.trim().trim_matches(['"', ',']);
        let (entry_name, version) = entry.split_once(' ')?;
        (entry_name == name).then(|| version.to_owned())
    });
    let version = chosen.or_else(|| {
        let mut lines = lock
            .lines()
            .skip_while(|line| *line != format!("name = \"{name}\""));
        let version = lines.nth(1)?.strip_prefix("version = \"")?;
        Some(version.trim_end_matches('"').to_owned())
    });
    format!("peer:{name} {}", version.as_deref().unwrap_or("?"))
}

/// A counter on a cache line of its own; 128 bytes, because processors fetch
/// lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Line(pub(crate) AtomicU64);

/// The kernel's tick, read as cheaply as it goes: the clock of the floors.
#[inline]
pub(crate) fn coarse_nanos() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::MonotonicCoarse);
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

/// The processor time that the calling thread has had.
pub(crate) fn thread_time() -> std::time::Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
