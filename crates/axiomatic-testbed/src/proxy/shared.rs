//! What the proxy and its connections share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::connection::forward;
use super::counts::Counts;
use super::fault::{Fault, Way, Whom};
use super::plan::Plan;
use super::trigger::{Armed, At, Seen, Trigger};
use crate::chance::Chance;

/// How many connections are remembered by their time.
const REMEMBERED: usize = 100_000;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) server: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    coming: Plan,
    is_refusing: bool,
    present: HashMap<u64, watch::Sender<Plan>>,
    trigger: Option<Armed>,
    /// Numbers for connections, cuts and triggers.
    last: u64,
    counts: Counts,
    attempts: Vec<Instant>,
    chance: Chance,
}

impl State {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl Shared {
    pub(super) fn new(server: SocketAddr, seed: u64) -> Arc<Shared> {
        Arc::new(Shared {
            server,
            state: Mutex::new(State {
                coming: Plan::default(),
                is_refusing: false,
                present: HashMap::new(),
                trigger: None,
                last: 0,
                counts: Counts::default(),
                attempts: Vec::new(),
                chance: Chance::of(seed),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((client, _)) => self.begin(client),
                // Too many files are open: some will be closed.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    }

    fn begin(self: &Arc<Self>, client: TcpStream) {
        let mut state = self.state();
        state.counts.connections += 1;
        if state.attempts.len() < REMEMBERED {
            state.attempts.push(Instant::now());
        }
        if state.is_refusing {
            state.counts.refused += 1;
            let _ = client.set_zero_linger();
            return;
        }
        let number = state.number();
        let (sender, plan) = watch::channel(state.coming);
        state.present.insert(number, sender);
        let chance = Chance::of(state.chance.next());
        drop(state);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            forward(&shared, client, plan, chance).await;
            shared.state().present.remove(&number);
        });
    }

    pub(super) fn inflict(&self, fault: &Fault, whom: Whom) {
        let mut state = self.state();
        let number = state.number();
        if *fault == Fault::Refuse {
            state.is_refusing = true;
            return;
        }
        if whom != Whom::Coming {
            for connection in state.present.values() {
                connection.send_modify(|plan| plan.add(fault, number));
            }
        }
        if whom != Whom::Present {
            state.coming.add(fault, number);
        }
    }

    pub(super) fn heal(&self) {
        let mut state = self.state();
        state.is_refusing = false;
        state.trigger = None;
        state.coming = Plan::default();
        for connection in state.present.values() {
            connection.send_modify(Plan::heal);
        }
    }

    pub(super) fn arm(&self, trigger: Trigger) {
        let mut state = self.state();
        let number = state.number();
        state.trigger = Some(Armed { trigger, number });
    }

    /// Whether a connection is cut within these bytes: how many of them arrive,
    /// and where it is cut.
    pub(super) fn look(&self, way: Way, seen: &mut Seen, bytes: &[u8]) -> Option<(usize, At)> {
        let mut state = self.state();
        let armed = state.trigger.as_mut()?;
        if armed.trigger.way != way {
            return None;
        }
        let arrive = armed.look(seen, bytes)?;
        let at = armed.trigger.at;
        state.trigger = None;
        state.counts.triggered += 1;
        Some((arrive, at))
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.state().counts);
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    pub(super) fn attempts(&self) -> Vec<Instant> {
        self.state().attempts.clone()
    }

    pub(super) fn present(&self) -> usize {
        self.state().present.len()
    }
}
