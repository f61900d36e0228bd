use crate::sync::{AtomicU64, Ordering};

/// Tokens in stock, at most as many as its owner's cap.
///
/// Layout    the tokens, in the owner's unit.
/// Invariant what was taken was there: the word never passes below zero.
/// Writers   `take`, `add`, `lose`, `cut`. Readers `load`.
/// Orderings all Relaxed: the word is all there is, and every change of it is
///           one exchange, which fails on a stale value.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Stock(AtomicU64);

impl Stock {
    pub(super) fn new(tokens: u64) -> Self {
        Stock(AtomicU64::new(tokens))
    }

    #[inline(always)]
    pub(super) fn load(&self) -> u64 {
        // ORDERING: Relaxed: a number.
        self.0.load(Ordering::Relaxed)
    }

    /// Takes so many, if they are there.
    pub(super) fn take(&self, cost: u64) -> bool {
        self.change(|stock| stock.checked_sub(cost))
    }

    /// Adds so many, up to the cap. Where there is no room nothing is
    /// written, so that successes share the line: what is taken at that
    /// moment may be a deposit short.
    #[inline]
    pub(super) fn add(&self, tokens: u64, cap: u64) {
        if self.load() < cap {
            self.add_below(tokens, cap);
        }
    }

    #[cold]
    fn add_below(&self, tokens: u64, cap: u64) {
        self.change(|stock| (stock < cap).then(|| stock.saturating_add(tokens).min(cap)));
    }

    /// Takes so many, or what there is.
    pub(super) fn lose(&self, tokens: u64) {
        self.change(|stock| (stock > 0).then(|| stock.saturating_sub(tokens)));
    }

    /// Takes what is above a cap that was lowered.
    pub(super) fn cut(&self, cap: u64) {
        self.change(|stock| (stock > cap).then_some(cap));
    }

    /// Linearises at the exchange; a lost race means that another changed the
    /// stock: lock-free.
    fn change(&self, to: impl Fn(u64) -> Option<u64>) -> bool {
        let mut stock = self.load();
        loop {
            let Some(next) = to(stock) else {
                return false;
            };
            // ORDERING: Relaxed: the word is all there is.
            match self
                .0
                .compare_exchange_weak(stock, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(current) => stock = current,
            }
        }
    }
}
