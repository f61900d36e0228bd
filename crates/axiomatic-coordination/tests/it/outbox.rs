//! The relay over the store in memory.

mod conformance;
mod crashes;
mod leasing;
mod relaying;
mod trouble;
mod watched;

use std::time::Duration;

/// Waits for a condition over numbers, of which nobody tells: where there is
/// something to await, tests await it.
async fn until(condition: impl AsyncFn() -> bool) {
    while !condition().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
