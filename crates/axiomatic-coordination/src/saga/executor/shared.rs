//! What all that runs in an executor shares.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::config::Config;
use super::tenure::{Held, Tenures};
use crate::outbox::Wake;
use crate::saga::definition::Plan;
use crate::saga::id::{ExecutorId, SagaId};
use crate::saga::mail::Mail;
use crate::saga::store::Store;

pub(super) struct Shared<S: Store> {
    pub(super) store: S,
    pub(super) config: Config,
    pub(super) me: ExecutorId,
    pub(super) plans: HashMap<Arc<str>, Arc<Plan<S>>>,
    pub(super) tenures: Tenures,
    /// Sagas whose callers have gone away.
    pub(super) orphans: Orphans,
    running: Mutex<HashMap<SagaId, Arc<Mailbox>>>,
}

impl<S: Store> Shared<S> {
    pub(super) fn new(store: S, config: Config, plans: HashMap<Arc<str>, Arc<Plan<S>>>) -> Self {
        Shared {
            me: ExecutorId::new(config.name.as_str()),
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
        let mut running = self.running();
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

    pub(super) fn is_idle(&self) -> bool {
        self.running().is_empty()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<SagaId, Arc<Mailbox>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That somebody here runs a saga, while this lives.
pub(super) struct Entry<'a, S: Store> {
    shared: &'a Shared<S>,
    saga: SagaId,
    pub(super) mailbox: Arc<Mailbox>,
}

impl<S: Store> Entry<'_, S> {
    /// Nobody here runs it any more. Returns whether it was taken meanwhile,
    /// for who ran it and did not hear of it: it is to be loaded again, since
    /// the store does not give it a second time.
    pub(super) fn leave(self) -> bool {
        let mailbox = Arc::clone(&self.mailbox);
        // What is delivered is delivered before this, or to somebody else.
        drop(self);
        mailbox.mail().is_unheard
    }
}

impl<S: Store> Drop for Entry<'_, S> {
    fn drop(&mut self) {
        self.shared.running().remove(&self.saga);
    }
}

/// What was said to a saga that runs here.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    mail: Mutex<Unread>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Unread {
    mail: Vec<Mail>,
    /// The saga was taken, with mail or without, and who runs it has not
    /// heard.
    is_unheard: bool,
}

impl Mailbox {
    fn put(&self, mail: &[Mail]) {
        let mut waiting = self.mail();
        waiting.mail.extend_from_slice(mail);
        waiting.is_unheard = true;
        drop(waiting);
        self.came.notify_one();
    }

    /// Waits for some.
    pub(super) async fn next(&self) -> Vec<Mail> {
        loop {
            self.came.notified().await;
            let mut waiting = self.mail();
            if !waiting.mail.is_empty() {
                waiting.is_unheard = false;
                return std::mem::take(&mut waiting.mail);
            }
        }
    }

    fn mail(&self) -> MutexGuard<'_, Unread> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sagas which their callers have left, each with the bucket's lease.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    sagas: Mutex<Vec<(SagaId, Held)>>,
    came: Wake,
}

impl Orphans {
    pub(super) fn put(&self, saga: SagaId, held: Held) {
        let mut sagas = self.sagas.lock().unwrap_or_else(PoisonError::into_inner);
        sagas.push((saga, held));
        self.came.wake();
    }

    pub(super) fn take(&self) -> Vec<(SagaId, Held)> {
        let mut sagas = self.sagas.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *sagas)
    }

    pub(super) fn wake_ups(&self) -> crate::outbox::WakeUps {
        self.came.wake_ups()
    }
}
