//! When the database crashes.

use crate::{StoreError, Why};

/// The steps since it was told, and at which it crashes.
#[derive(Default)]
pub(super) struct Crash {
    steps: u64,
    at: Option<u64>,
    is_down: bool,
}

impl Crash {
    /// It crashes at this step, the next one being 0.
    pub(super) fn set(&mut self, step: u64) {
        self.steps = 0;
        self.at = Some(step);
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_down
    }

    pub(super) fn answers(&self) -> Result<(), StoreError> {
        if self.is_down {
            return Err(StoreError::new(Why::Closed).because("the database has crashed"));
        }
        Ok(())
    }

    pub(super) fn step(&mut self) -> Result<(), StoreError> {
        self.is_down |= self.at == Some(self.steps);
        self.steps += 1;
        self.answers()
    }
}
