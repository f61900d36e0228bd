use crate::time::Instant;

/// What can say of itself that it is as good as new.
///
/// An idle value may be evicted, and the next lookup of its key makes a new
/// one. So a value is idle when nobody could tell: a breaker that is closed
/// with nothing in its window, a bulkhead with nothing in flight, a limiter
/// that is full again.
///
/// A value that is handed out as a clone, or whose permits outlive the lookup,
/// must count those as use: a bulkhead by its calls in flight, a handle by
/// the references to it (`Arc::strong_count`). The store sees to it that
/// whoever was handed a value has finished its lookup before the answer
/// decides, so what the lookup left behind is there to be seen.
///
/// The answer must be cheap: an insertion into a full store asks several
/// values. No lock is held that anybody waits for.
pub trait Idle {
    /// Whether the value is as good as new.
    fn is_idle(&self, now: Instant) -> bool;
}

/// What becomes of a new key when all places are taken by values that are not
/// idle.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// All further keys share one value, made with the store.
    Shared,
    /// The lookup says so, and the caller refuses.
    Refuse,
    /// The lookup says so, and the caller lets the call pass unrecorded.
    Admit,
}

/// What a lookup found.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Found<V> {
    /// The key's own value.
    Own(V),
    /// The value that all keys share for which there was no place.
    Shared(V),
    /// There was no place for the key.
    Full(Full),
}

/// What to do with a call whose key found no place: as the store was told
/// when it was made.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Full {
    /// Refuse it.
    Refuse,
    /// Let it pass, unrecorded.
    Admit,
}

impl<V> Found<V> {
    /// The value, be it the key's own or the shared one.
    pub fn value(self) -> Option<V> {
        match self {
            Found::Own(value) | Found::Shared(value) => Some(value),
            Found::Full(_) => None,
        }
    }
}

impl<V: Clone> Found<&V> {
    /// The same with a clone of the value.
    pub fn cloned(self) -> Found<V> {
        match self {
            Found::Own(value) => Found::Own(value.clone()),
            Found::Shared(value) => Found::Shared(value.clone()),
            Found::Full(full) => Found::Full(full),
        }
    }
}

/// Whom a value is made for.
#[derive(Debug)]
pub enum Owner<'a, K> {
    /// For a key of its own.
    Key(&'a K),
    /// For all keys for which there is no place.
    Shared,
}
