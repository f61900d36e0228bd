//! What keeps sagas out of each other's way, beside [locks](super::Lock):
//! values that are read again before they are changed, and changes whose order
//! does not matter.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::Fault;

/// What a saga does while another has what it [asks for](super::Builder::lock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// It stands in line for so long at most, and turns if that is over.
    Wait(Duration),
    /// It turns.
    Fail,
    /// It is put aside until its turn has come, however long that takes, and
    /// costs no memory meanwhile: what it was given is stored, and those who
    /// want the same go on in the order in which they came.
    Stash,
}

/// A value that one step has read, with its version, for a later one to look
/// whether it is the same still.
///
/// The later step reads again, compares and writes as one: a
/// [local step](super::Builder::local_step) in its transaction, another by what
/// the other side has for it, as `If-Match`. If the value has changed, the saga
/// turns.
///
/// ```
/// use axiomatic_coordination::saga::{Fault, Versioned};
///
/// // What a step found, some time ago.
/// let read = Versioned { value: 250, version: 7 };
/// // What the table says now.
/// assert_eq!(*read.still(7)?, 250);
/// assert!(matches!(read.still(8), Err(Fault::Failed(_))));
/// # Ok::<_, Fault>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// A number that is another after each change.
    pub version: u64,
}

impl<T> Versioned<T> {
    /// The value, if it has this version still.
    ///
    /// # Errors
    ///
    /// [`Fault::Failed`] if it has another.
    pub fn still(&self, version: u64) -> Result<&T, Fault> {
        if version == self.version {
            return Ok(&self.value);
        }
        let read = self.version;
        Err(Fault::failed(format!(
            "read as version {read}, and is version {version} now"
        )))
    }
}

/// A change of a number by so much, and not to so much: changes of several
/// sagas come to the same in whatever order they are done and undone.
///
/// An undo puts back what was taken and not what was there, so it takes
/// nothing from who came in between. That the number stays within bounds is
/// looked at when it is changed, never when that is undone.
///
/// ```
/// use axiomatic_coordination::saga::{Delta, Fault};
///
/// let booked = Delta::of(-70);
/// let balance = booked.apply(100, 0..=i64::MAX)?;
/// assert_eq!(balance, 30);
/// let refused = Delta::of(-40).apply(balance, 0..=i64::MAX);
/// assert!(matches!(refused, Err(Fault::Failed(_))));
/// // Somebody pays 5 in between.
/// assert_eq!(booked.undo(balance + 5)?, 105);
/// # Ok::<_, Fault>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Delta(i64);

impl Delta {
    /// By so much.
    pub const fn of(by: i64) -> Self {
        Delta(by)
    }

    /// By how much.
    pub const fn by(self) -> i64 {
        self.0
    }

    /// The number, changed.
    ///
    /// # Errors
    ///
    /// [`Fault::Failed`] if it would leave the bounds.
    pub fn apply(self, number: i64, bounds: RangeInclusive<i64>) -> Result<i64, Fault> {
        let changed = number.checked_add(self.0);
        let changed = changed.filter(|changed| bounds.contains(changed));
        changed.ok_or_else(|| {
            let (by, from, to) = (self.0, bounds.start(), bounds.end());
            Fault::failed(format!("{number} changed by {by} is not in {from}..={to}"))
        })
    }

    /// The number, as if it had not been changed by this.
    ///
    /// # Errors
    ///
    /// [`Fault::Unknown`] if it is then none of 64 bits, so that an operator
    /// hears of it.
    pub fn undo(self, number: i64) -> Result<i64, Fault> {
        let (by, undone) = (self.0, number.checked_sub(self.0));
        undone.ok_or_else(|| Fault::unknown(format!("{number} without {by} is too large")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_change_that_leaves_the_bounds_is_refused() {
        assert_eq!(Delta::of(-5).apply(5, 0..=9).unwrap(), 0);
        assert_eq!(Delta::of(4).apply(5, 0..=9).unwrap(), 9);
        for delta in [-6, 5, i64::MAX] {
            let refused = Delta::of(delta).apply(5, 0..=9);
            assert!(matches!(refused, Err(Fault::Failed(_))), "{delta}");
        }
    }

    #[test]
    fn an_undo_looks_at_no_bounds_but_those_of_the_number() {
        assert_eq!(Delta::of(10).undo(3).unwrap(), -7);
        assert!(matches!(
            Delta::of(1).undo(i64::MIN),
            Err(Fault::Unknown(_))
        ));
    }

    proptest! {
        /// Each change is done, and some are undone later, in any order.
        #[test]
        fn what_is_left_are_the_changes_that_were_not_undone(
            changes in prop::collection::vec((-1000_i64..1000, any::<bool>(), any::<u32>(), any::<u32>()), 0..40)
        ) {
            let mut events = Vec::new();
            for (by, is_undone, done_at, later) in &changes {
                let done_at = u64::from(*done_at);
                events.push((done_at, *by, false));
                if *is_undone {
                    events.push((done_at + 1 + u64::from(*later), *by, true));
                }
            }
            events.sort_unstable();
            let mut number = 0;
            for (_, by, undoes) in events {
                number = match undoes {
                    false => Delta::of(by).apply(number, i64::MIN..=i64::MAX).unwrap(),
                    true => Delta::of(by).undo(number).unwrap(),
                };
            }
            let left: i64 = changes.iter().filter(|change| !change.1).map(|change| change.0).sum();
            prop_assert_eq!(number, left);
        }
    }
}
