//! What is held to the laws, and the work that it is given.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::saga::{Change, Fault, SagaId, Store};

/// A store, and in its database a list to which work appends.
pub trait Subject: Send + Sync + Sized {
    /// The store.
    type Store: Store;

    /// One whose database is empty.
    fn fresh() -> impl Future<Output = Self> + Send;

    /// A handle of the store.
    fn store(&self) -> Self::Store;

    /// Returns when so much time has passed by the database's clock.
    fn elapse(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Work that appends the script's effect to the list, passes the gate if
    /// there is one, and returns what the script says.
    fn work(&self, script: Script) -> <Self::Store as Store>::Work;

    /// The list, in the order in which work appended to it.
    fn effects(&self) -> impl Future<Output = Vec<String>> + Send;

    /// Makes a saga one that cannot be read, as when somebody wrote into the
    /// tables by hand; `false` if nothing in this engine can be so.
    fn damage(&self, saga: SagaId) -> impl Future<Output = bool> + Send;
}

/// What work does.
#[derive(Debug)]
pub struct Script {
    /// What it appends to the list.
    pub effect: &'static str,
    /// Where it waits then.
    pub gate: Option<Gate>,
    /// What it returns.
    pub returns: Result<Change, Fault>,
}

/// Where work waits until a law lets it go on.
#[derive(Debug)]
pub struct Gate {
    arrived: oneshot::Sender<()>,
    opened: oneshot::Receiver<()>,
}

impl Gate {
    /// A gate, what hears that work has come to it, and what opens it.
    pub(super) fn new() -> (Gate, oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (arrived, arrives) = oneshot::channel();
        let (open, opened) = oneshot::channel();
        (Gate { arrived, opened }, arrives, open)
    }

    /// Returns when the law lets the work go on.
    pub async fn pass(self) {
        // A law that has failed hears nothing and says nothing.
        let _ = self.arrived.send(());
        let _ = self.opened.await;
    }

    /// The same, for work that is no future: it blocks the thread.
    pub fn pass_blocking(self) {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let mut passed = pin!(self.pass());
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        while passed.as_mut().poll(&mut context) == Poll::Pending {
            std::thread::park();
        }
    }
}
