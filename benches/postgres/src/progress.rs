//! How far the workers of a queue are, without a poll that would compete with
//! them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::queue::{BoxError, Seen};

/// Nothing handled for so long is for ever.
const FOR_EVER: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Shared>);

#[derive(Default)]
struct Shared {
    counted: Mutex<Counted>,
    reached: Notify,
}

#[derive(Default)]
struct Counted {
    handled: usize,
    /// The handled messages that are waited for.
    goal: usize,
}

impl Progress {
    /// For the workers.
    pub(crate) fn seen(&self) -> Seen {
        let shared = self.0.clone();
        Arc::new(move |many| {
            let mut counted = shared.counted.lock().expect("nobody panics with it");
            let before = counted.handled;
            counted.handled += many;
            if before < counted.goal && counted.goal <= counted.handled {
                shared.reached.notify_one();
            }
        })
    }

    pub(crate) fn handled(&self) -> usize {
        self.0
            .counted
            .lock()
            .expect("nobody panics with it")
            .handled
    }

    /// Waits until so many were handled since the beginning.
    pub(crate) async fn reaches(&self, goal: usize) -> Result<(), BoxError> {
        {
            let mut counted = self.0.counted.lock().expect("nobody panics with it");
            counted.goal = goal;
            if counted.handled >= goal {
                return Ok(());
            }
        }
        loop {
            let before = self.handled();
            match tokio::time::timeout(FOR_EVER, self.0.reached.notified()).await {
                // A permit that an earlier goal left says nothing.
                Ok(()) if self.handled() >= goal => return Ok(()),
                Ok(()) => {}
                Err(_) if self.handled() > before => {}
                Err(_) => return Err(format!("stuck after {before} of {goal} messages").into()),
            }
        }
    }
}
