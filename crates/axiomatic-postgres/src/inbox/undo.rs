//! A savepoint that is rolled back to unless all goes well.

use axiomatic_coordination::StoreError;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::inbox::Error;

use crate::connected::Session;

/// A transaction since a savepoint. When it is dropped, what was done since is
/// undone: a message that was seen and not handled would be lost. So that
/// holds also if the work panics, or if the future is dropped in which it
/// runs, and whoever called goes on with the transaction.
pub(super) struct Undo<'a, X: Session>(Option<&'a mut X>);

impl<'a, X: Session> Undo<'a, X> {
    /// Sets the savepoint.
    pub(super) async fn begin(tx: &'a mut X) -> Result<Self, StoreError> {
        tx.savepoint().await?;
        reach("postgres.inbox.saved");
        Ok(Undo(Some(tx)))
    }

    /// The transaction.
    pub(super) fn tx(&mut self) -> &mut X {
        self.0.as_mut().expect("it is there until it ends")
    }

    /// All of it stands if it went well, and nothing if not.
    pub(super) async fn end<T, E>(mut self, done: Result<T, Error<E>>) -> Result<T, Error<E>> {
        let done = done?;
        // From here on it is whole, whether or not the answer is waited for.
        if let Some(tx) = self.0.take() {
            tx.release().await?;
            reach("postgres.inbox.released");
        }
        Ok(done)
    }
}

impl<X: Session> Drop for Undo<'_, X> {
    fn drop(&mut self) {
        if let Some(tx) = self.0.take() {
            tx.start_roll_back();
            reach("postgres.inbox.rolled_back");
        }
    }
}
