use crate::sync::{AtomicU64, Ordering};

/// Makes a word of a ring the empty one of a new tag, as long as `is_due`:
/// once the head has passed it, someone else did.
///
/// The order matters: the word is read before the head, so a word that was
/// cleared and filled meanwhile differs from what was read, and the exchange
/// fails. It is emptied even if it has the tag already, which after a whole
/// period of tags means that it is ancient. Lock-free: a lost race means that
/// another cleared it, or filled it for the last time.
pub(super) fn clear(word: &AtomicU64, empty: u64, is_due: impl Fn() -> bool) {
    loop {
        // ORDERING: Acquire: observes the head that whoever filled the word
        // had seen, so that `is_due` does not judge by an older one; pairs
        // with the Release of `append` and of `add`.
        let found = word.load(Ordering::Acquire);
        if found == empty || !is_due() {
            return;
        }
        // ORDERING: Relaxed: published by the head, which moves afterwards
        // with a Release. Relaxed on failure: read again.
        if word
            .compare_exchange(found, empty, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            return;
        }
    }
}
