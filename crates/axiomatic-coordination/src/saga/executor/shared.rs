//! What all that runs in an executor shares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap as FoldHashMap;
use tokio::sync::Notify;

use super::Plans;
use super::config::Config;
use super::counts::Counts;
use super::tenure::{Held, Tenures};
use crate::outbox::Wake;
use crate::saga::id::{ExecutorId, SagaId};
use crate::saga::mail::Mail;
use crate::saga::store::{Start, Store};

/// Who runs here. The ids are random for the most part, and each saga is looked
/// for twice: the standard hash took 2 % of a saga in memory.
type Running = FoldHashMap<SagaId, Arc<Mailbox>>;

pub(super) struct Shared<S: Store> {
    pub(super) store: S,
    pub(super) config: Config,
    pub(super) me: ExecutorId,
    pub(super) plans: Plans<S>,
    pub(super) tenures: Tenures,
    /// Sagas whose callers have gone away.
    pub(super) orphans: Orphans,
    pub(super) counts: Counts,
    running: Mutex<Running>,
}

impl<S: Store> Shared<S> {
    pub(super) fn new(store: S, config: Config, plans: Plans<S>) -> Self {
        Shared {
            me: ExecutorId::new(config.name.as_str()),
            counts: Counts::new(config.name),
            store,
            config,
            plans,
            tenures: Tenures::default(),
            orphans: Orphans::default(),
            running: Mutex::default(),
        }
    }

    /// Somebody here runs this saga from now on, unless somebody does already.
    pub(super) fn enter(&self, saga: SagaId) -> Option<Entry<'_, S>> {
        self.enter_in(&mut self.running(), saga)
    }

    /// As [`enter`](Self::enter), for a saga that was taken; or gives its mail
    /// to whoever runs it.
    pub(super) fn enter_or_tell(&self, saga: SagaId, mail: &[Mail]) -> Option<Entry<'_, S>> {
        let mut running = self.running();
        if let Some(mailbox) = running.get(&saga) {
            mailbox.put(mail);
            return None;
        }
        self.enter_in(&mut running, saga)
    }

    fn enter_in(&self, running: &mut Running, saga: SagaId) -> Option<Entry<'_, S>> {
        if running.contains_key(&saga) {
            return None;
        }
        let mailbox = Arc::<Mailbox>::default();
        running.insert(saga, Arc::clone(&mailbox));
        Some(Entry {
            shared: self,
            saga,
            mailbox,
        })
    }

    /// Gives mail to whoever runs this saga. False if nobody does.
    pub(super) fn deliver(&self, saga: SagaId, mail: &[Mail]) -> bool {
        let running = self.running();
        let Some(mailbox) = running.get(&saga) else {
            return false;
        };
        mailbox.put(mail);
        true
    }

    /// How many sagas run here.
    pub(super) fn in_memory(&self) -> usize {
        self.running().len()
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That somebody here runs a saga, while this lives.
pub(super) struct Entry<'a, S: Store> {
    shared: &'a Shared<S>,
    saga: SagaId,
    pub(super) mailbox: Arc<Mailbox>,
}

impl<S: Store> Drop for Entry<'_, S> {
    fn drop(&mut self) {
        self.shared.running().remove(&self.saga);
        // It was taken for somebody who had let go of it: nobody else looks
        // for it, since the store says that it is held.
        if self.mailbox.is_full() {
            let now = self.shared.config.clock.now();
            if let Some(held) = self.shared.tenures.of(self.saga.bucket(), now) {
                self.shared.orphans.put(Orphan {
                    saga: self.saga,
                    held,
                    start: None,
                });
            }
        }
    }
}

/// What was said to a saga that runs here.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    mail: Vec<Mail>,
    /// The saga was taken, with mail or without, and this was not heard.
    is_taken: bool,
}

impl Mailbox {
    fn put(&self, mail: &[Mail]) {
        let mut waiting = self.lock();
        waiting.mail.extend_from_slice(mail);
        waiting.is_taken = true;
        self.came.notify_one();
    }

    fn is_full(&self) -> bool {
        self.lock().is_taken
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for some.
    pub(super) async fn next(&self) -> Vec<Mail> {
        loop {
            self.came.notified().await;
            let waiting = std::mem::take(&mut *self.lock());
            if waiting.is_taken {
                return waiting.mail;
            }
        }
    }
}

/// Sagas which their callers have left.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    sagas: Mutex<Vec<Orphan>>,
    came: Wake,
}

/// A saga which its caller has left.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) saga: SagaId,
    pub(super) held: Held,
    /// What may be on its way to begin it.
    pub(super) start: Option<Start>,
}

impl Orphans {
    pub(super) fn put(&self, orphan: Orphan) {
        let mut sagas = self.sagas.lock().unwrap_or_else(PoisonError::into_inner);
        sagas.push(orphan);
        self.came.wake();
    }

    pub(super) fn take(&self) -> Vec<Orphan> {
        let mut sagas = self.sagas.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *sagas)
    }

    pub(super) fn is_empty(&self) -> bool {
        let sagas = self.sagas.lock().unwrap_or_else(PoisonError::into_inner);
        sagas.is_empty()
    }

    pub(super) fn wake_ups(&self) -> crate::outbox::WakeUps {
        self.came.wake_ups()
    }
}
