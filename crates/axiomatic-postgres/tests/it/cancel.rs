//! Futures that are dropped at each of their awaits.
//!
//! A future can be dropped at once when it has been polled so often, while its
//! statement is on its way or at work; or when it was woken and not polled
//! again, so that the answer is not heard. Both are tried for every number of
//! polls until it completes; and it is dropped once more while another's lock
//! keeps the server from answering. What is done is done whole or not at all,
//! no session stays in a transaction, and the connections go on.

mod inboxes;
mod operations;
mod relaying;
mod stage;

use std::future::poll_fn;
use std::task::Poll;

/// When a future is dropped that has been polled as often as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    AtOnce,
    WhenWoken,
}

pub(crate) const BOTH: [Dropped; 2] = [Dropped::AtOnce, Dropped::WhenWoken];

/// Polls a future so often at most. Nothing if it was dropped before it was
/// complete.
pub(crate) async fn polled<F: Future>(
    future: F,
    mut polls: usize,
    dropped: Dropped,
) -> Option<F::Output> {
    let mut future = Box::pin(future);
    poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        match future.as_mut().poll(context) {
            Poll::Pending if polls == 0 && dropped == Dropped::AtOnce => Poll::Ready(None),
            polled => polled.map(Some),
        }
    })
    .await
}
