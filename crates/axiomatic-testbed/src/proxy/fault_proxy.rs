//! The proxy.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::counts::Counts;
use super::fault::{Ending, Fault, Whom};
use super::script::Script;
use super::shared::Shared;
use super::trigger::Trigger;

/// Forwards connections on loopback, on a thread of its own, until it is
/// dropped; and breaks them when it is told to.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// From a free port to the server at this port of this machine.
    ///
    /// # Panics
    ///
    /// If there is no port that is free.
    pub fn to(server: u16) -> FaultProxy {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let proxy = FaultProxy::between(loopback(0), loopback(server), 0);
        proxy.expect("there are ports")
    }

    /// From one address to another, with the chance of this seed.
    ///
    /// # Errors
    ///
    /// If one of them is not on loopback, or it cannot listen.
    pub fn between(listen: SocketAddr, server: SocketAddr, seed: u64) -> io::Result<FaultProxy> {
        for address in [listen, server] {
            if !address.ip().is_loopback() {
                let refused = format!("{address} is not on loopback");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, refused));
            }
        }
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Shared::new(server, seed);
        let (stop, stopped) = oneshot::channel::<()>();
        let accepting = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build()?;
        let thread = std::thread::Builder::new().name("fault proxy".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener);
                let listener = listener.expect("it does not block");
                tokio::select! {
                    () = accepting.accept(listener) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(FaultProxy {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// At which port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Lets something go wrong, until all is [healed](Self::heal). Faults of
    /// different kinds go together.
    pub fn inflict(&self, fault: &Fault, whom: Whom) {
        self.shared.inflict(fault, whom);
    }

    /// Cuts a connection when certain bytes pass. It waits for one thing at a
    /// time: the last that it was told.
    pub fn cut_when(&self, trigger: Trigger) {
        self.shared.arm(trigger);
    }

    /// Cuts all connections that there are.
    pub fn cut(&self) {
        self.inflict(&Fault::Cut(Ending::Close), Whom::Present);
    }

    /// Lets nothing go wrong any more. Connections that have lost bytes, or an
    /// end, are not mended by that: they stay silent for the end that is left,
    /// until it gives them up.
    pub fn heal(&self) {
        self.shared.heal();
    }

    /// What it has seen and done so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// How many connections there are now.
    pub fn present(&self) -> usize {
        self.shared.present()
    }

    /// When connections were made to it, refused ones too.
    pub fn attempts(&self) -> Vec<Instant> {
        self.shared.attempts()
    }

    /// Inflicts one fault of a script after the other, and heals each, until
    /// `over` is ready. Tells of each as it begins.
    pub async fn play(
        &self,
        script: Script,
        over: impl Future<Output = ()>,
        mut tell: impl FnMut(&Fault, Whom),
    ) {
        let mut over = std::pin::pin!(over);
        for step in script {
            tell(&step.fault, step.whom);
            self.inflict(&step.fault, step.whom);
            let lasting = async {
                sleep(step.lasting).await;
                self.heal();
                sleep(step.pause).await;
            };
            tokio::select! {
                () = lasting => {}
                () = &mut over => break,
            }
        }
        self.heal();
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy")
            .field("address", &self.address)
            .field("server", &self.shared.server)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
