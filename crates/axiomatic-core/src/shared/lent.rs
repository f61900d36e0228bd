use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::{PLACES, Shared, Spot, count, let_go, place_of};

/// A [`Held`](super::Held) reference to a value whose type has parameters, and
/// so cannot have a `thread_local!` of its own: threads keep it in a stash of
/// all types, which costs a look at the type for each call.
pub struct Lent<T: Send + Sync + 'static>(Option<Arc<Spot<T>>>);

thread_local! {
    static STASH: [Cell<Option<Arc<dyn Any + Send + Sync>>>; PLACES] =
        const { [const { Cell::new(None) }; PLACES] };
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// A reference for the time of a call, of a type with parameters.
    #[inline(always)]
    pub fn lend(&self) -> Lent<T> {
        let spot = self.own_spot();
        Lent(Some(match take(spot) {
            Some(kept) => kept,
            None => count(spot),
        }))
    }
}

#[inline(never)]
fn drop_other(other: Arc<dyn Any + Send + Sync>) {
    drop(other);
}

#[inline(always)]
fn take<T: Send + Sync + 'static>(spot: &Arc<Spot<T>>) -> Option<Arc<Spot<T>>> {
    // Loom's threads share the locals of the thread that runs them all.
    if cfg!(axiomatic_loom) {
        return None;
    }
    STASH
        .try_with(|stash| {
            let place = &stash[place_of(spot)];
            let kept = place.take()?;
            // One address, so one value, and its type is the right one.
            if Arc::as_ptr(&kept).addr() == Arc::as_ptr(spot).addr() {
                return kept.downcast().ok();
            }
            place.set(Some(kept));
            None
        })
        .ok()?
}

impl<T: Send + Sync + 'static> Drop for Lent<T> {
    #[inline(always)]
    fn drop(&mut self) {
        let Some(spot) = self.0.take() else {
            return;
        };
        if cfg!(axiomatic_loom) || !spot.is_kept {
            return let_go(spot);
        }
        // In a thread that is ending there is no stash: then it is dropped.
        let replaced = STASH.try_with(|stash| stash[place_of(&spot)].replace(Some(spot)));
        // Outside, so that whatever its drop does finds the stash free; and
        // mostly the place was empty.
        if let Ok(Some(other)) = replaced {
            drop_other(other);
        }
    }
}

impl<T: Send + Sync + 'static> Deref for Lent<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        match &self.0 {
            Some(spot) => &spot.value,
            None => unreachable!("emptied only by its drop"),
        }
    }
}

impl<T: fmt::Debug + Send + Sync + 'static> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    struct Holder<T> {
        held: T,
    }

    #[test]
    fn values_of_all_types_share_a_stash_and_do_not_mix() {
        let numbers: Vec<_> = (0..16_u64)
            .map(|n| Shared::new(Holder { held: n }))
            .collect();
        let texts = numbers.iter().map(|n| {
            Shared::new(Holder {
                held: n.held.to_string(),
            })
        });
        let texts: Vec<_> = texts.collect();
        for _ in 0..3 {
            for (number, text) in numbers.iter().zip(&texts) {
                assert_eq!(number.lend().held, number.held);
                assert_eq!(text.lend().held, number.held.to_string());
            }
        }
    }

    #[test]
    fn a_thread_keeps_a_value_until_it_needs_the_place() {
        let witness = Arc::new(());
        let shared = Shared::new(Holder {
            held: Arc::clone(&witness),
        });
        drop((shared.lend(), shared.lend()));
        drop(shared);
        assert_eq!(Arc::strong_count(&witness), 2);
        // Enough others that one of them comes to lie in the same place.
        let others: Vec<_> = (0..64_u64)
            .map(|n| Shared::new(Holder { held: n }))
            .collect();
        others.iter().for_each(|other| drop(other.lend()));
        assert_eq!(Arc::strong_count(&witness), 1);
    }
}
