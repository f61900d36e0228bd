//! The layer.

use std::sync::Arc;

use tower_layer::Layer;

use super::completer::Completer;
use super::config::Config;
use super::counts::{Counts, Snapshot};
use super::service::IdempotencyService;
use super::shared::Shared;
use crate::idempotency::Store;

/// Makes services idempotent: [`Config::layer`] makes it. All clones count
/// together.
#[derive(Debug)]
pub struct IdempotencyLayer<S> {
    shared: Arc<Shared<S>>,
}

impl<S: Store> IdempotencyLayer<S> {
    pub(super) fn new(store: S, config: Config) -> Self {
        let counts = Counts::new();
        IdempotencyLayer {
            shared: Arc::new(Shared {
                store,
                config,
                counts,
            }),
        }
    }

    /// What runs requests whose clients do not come back, with this service:
    /// the same that the layer is around. `B` is the type of its requests'
    /// bodies.
    pub fn completer<T, B>(&self, inner: T) -> Completer<T, S, B> {
        Completer::new(Arc::clone(&self.shared), inner)
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.counts.snapshot()
    }
}

impl<S> Clone for IdempotencyLayer<S> {
    fn clone(&self) -> Self {
        IdempotencyLayer {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, T> Layer<T> for IdempotencyLayer<S> {
    type Service = IdempotencyService<T, S>;

    fn layer(&self, inner: T) -> Self::Service {
        IdempotencyService::new(Arc::clone(&self.shared), inner)
    }
}
