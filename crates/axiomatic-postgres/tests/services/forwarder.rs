//! Something between clients and a server that breaks connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// What happens to what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It arrives.
    Pass,
    /// The server hears everything, and is heard by nobody: what it says is
    /// lost. Such connections are of no use after that: cut them.
    Mute,
    /// It arrives when the mode is another.
    Hold,
}

/// At which end of a commit a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server does not hear of it.
    Before,
    /// The server has committed, and the client does not hear of it.
    Behind,
}

/// Forwards from a port on loopback to a server, on a thread of its own.
pub(crate) struct Forwarder {
    port: u16,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

struct Shared {
    server: SocketAddr,
    state: watch::Sender<State>,
    /// How many commits pass yet, before one is cut.
    commits: AtomicI64,
    cuts_behind: AtomicBool,
    cut: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Connections of older generations are cut.
    generation: u64,
}

impl Forwarder {
    /// To the server at this port of this machine.
    pub(crate) fn to(server: u16) -> Forwarder {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
        listener.set_nonblocking(true).expect("it can be");
        let port = listener.local_addr().expect("it is bound").port();
        let state = State {
            mode: Mode::Pass,
            generation: 0,
        };
        let shared = Arc::new(Shared {
            server: ([127, 0, 0, 1], server).into(),
            state: watch::Sender::new(state),
            commits: AtomicI64::new(i64::MAX),
            cuts_behind: AtomicBool::new(false),
            cut: AtomicU64::new(0),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("it listens");
                let accept = async {
                    while let Ok((client, _)) = listener.accept().await {
                        tokio::spawn(Arc::clone(&accepting).forward(client));
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        });
        Forwarder {
            port,
            shared,
            _stop: stop,
        }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What happens to all that is sent from now on.
    pub(crate) fn set(&self, mode: Mode) {
        self.shared.state.send_modify(|state| state.mode = mode);
    }

    /// Cuts all connections that there are.
    pub(crate) fn cut(&self) {
        self.shared.state.send_modify(|state| state.generation += 1);
    }

    /// Lets so many commits pass, and cuts the connection of the next.
    pub(crate) fn cut_a_commit(&self, after: u32, cut: Cut) {
        let behind = cut == Cut::Behind;
        self.shared.cuts_behind.store(behind, Ordering::SeqCst);
        self.shared.commits.store(after.into(), Ordering::SeqCst);
    }

    /// How many connections were cut at a commit.
    pub(crate) fn commits_cut(&self) -> u64 {
        self.shared.cut.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn forward(self: Arc<Self>, client: TcpStream) {
        let mut state = self.state.subscribe();
        let generation = state.borrow().generation;
        let Ok(server) = TcpStream::connect(self.server).await else {
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let is_cut = AtomicBool::new(false);
        // Whatever ends first ends the connection, in both directions.
        tokio::select! {
            () = self.ask(from_client, to_server, &is_cut) => {}
            () = self.answer(from_server, to_client, &is_cut) => {}
            _ = state.wait_for(|state| state.generation != generation) => {}
        }
    }

    /// From the client to the server.
    async fn ask(
        &self,
        mut client: OwnedReadHalf,
        mut server: OwnedWriteHalf,
        is_cut: &AtomicBool,
    ) {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(length @ 1..) = client.read(&mut bytes).await {
            self.until_it_moves().await;
            let said = &bytes[..length];
            if commits(said) && self.commits.fetch_sub(1, Ordering::SeqCst) == 0 {
                self.cut.fetch_add(1, Ordering::SeqCst);
                if !self.cuts_behind.load(Ordering::SeqCst) {
                    return;
                }
                is_cut.store(true, Ordering::SeqCst);
            }
            if server.write_all(said).await.is_err() {
                return;
            }
        }
        if is_cut.load(Ordering::SeqCst) {
            // The client gave up first: the server is to be heard all the same.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// From the server to the client.
    async fn answer(
        &self,
        mut server: OwnedReadHalf,
        mut client: OwnedWriteHalf,
        is_cut: &AtomicBool,
    ) {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(length @ 1..) = server.read(&mut bytes).await {
            self.until_it_moves().await;
            if is_cut.load(Ordering::SeqCst) {
                // It has answered, so it has committed.
                return;
            }
            if self.state.borrow().mode == Mode::Mute {
                continue;
            }
            if client.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    }

    async fn until_it_moves(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| state.mode != Mode::Hold).await;
    }
}

/// Whether a client of PostgreSQL says that a transaction commits: as drivers
/// do, in a simple query.
fn commits(said: &[u8]) -> bool {
    let commit = b"Q\0\0\0\x0bCOMMIT\0";
    said.windows(commit.len()).any(|message| message == commit)
}
