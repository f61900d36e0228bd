use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use tokio::sync::watch;
use tokio::time::timeout;

/// The connection to Redis, which all calls share; made when it is first
/// needed, and anew when it is needed after it broke.
///
/// One call begins to connect, and all that need the connection wait for the
/// same attempt and have the same outcome. The attempt is a task of its own: it
/// goes on when those who wait have given up, or a connection that takes longer
/// to make than a call may take would never be made. When to try again is not
/// said here: nobody asks but whom the breaker lets through.
pub(super) struct Link {
    client: Client,
    config: AsyncConnectionConfig,
    longest: Duration,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug)]
enum State {
    Down,
    Connecting,
    Up(Connection),
    /// The last attempt failed, so.
    Failed(RedisError),
}

/// One connection, told from those before it by the identity of its mark.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) redis: MultiplexedConnection,
    mark: Arc<()>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address, which may have a password in it.
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(client: Client, longest: Duration) -> Arc<Self> {
        let config = AsyncConnectionConfig::new();
        Arc::new(Link {
            client,
            // Who waits for an answer has a timeout of its own, and needs it: a
            // question that is put into the client's queue while the driver of
            // its connection ends stays there (redis 1.2, five in a million
            // with a server that hangs up), and no error ever comes.
            config: config
                .set_response_timeout(None)
                .set_connection_timeout(None),
            longest,
            state: watch::Sender::new(State::Down),
        })
    }

    /// The connection, made if there is none.
    pub(super) async fn connection(self: &Arc<Self>) -> Result<Connection, RedisError> {
        // Before the attempt begins, so that its end is seen.
        let mut seen = self.state.subscribe();
        if let State::Up(connection) = &*seen.borrow_and_update() {
            return Ok(connection.clone());
        }
        self.begin(|state| matches!(state, State::Down | State::Failed(_)));
        loop {
            match &*seen.borrow_and_update() {
                State::Up(connection) => return Ok(connection.clone()),
                State::Failed(error) => return Err(error.clone()),
                State::Connecting | State::Down => {}
            }
            // One that was made meanwhile may have broken again.
            self.begin(|state| matches!(state, State::Down));
            // The sender is ours, so it is there.
            if seen.changed().await.is_err() {
                return Err(io::Error::from(io::ErrorKind::NotConnected).into());
            }
        }
    }

    /// Begins to connect from such a state.
    fn begin(self: &Arc<Self>, from: impl Fn(&State) -> bool) {
        let begins = self.state.send_if_modified(|state| {
            let begins = from(state);
            if begins {
                *state = State::Connecting;
            }
            begins
        });
        if begins {
            let attempt = Attempt {
                link: Arc::clone(self),
                has_ended: false,
            };
            tokio::spawn(attempt.run());
        }
    }

    /// The connection broke, or is not to be trusted: the next call makes
    /// another, unless that has happened already.
    pub(super) fn is_broken(&self, broken: &Connection) {
        self.state.send_if_modified(|state| {
            let is_this = matches!(state, State::Up(up) if Arc::ptr_eq(&up.mark, &broken.mark));
            if is_this {
                *state = State::Down;
            }
            is_this
        });
    }
}

/// An attempt to connect, which says how it ended, also if it is dropped with
/// its runtime.
struct Attempt {
    link: Arc<Link>,
    has_ended: bool,
}

impl Attempt {
    async fn run(mut self) {
        let client = &self.link.client;
        let connecting = client.get_multiplexed_async_connection_with_config(&self.link.config);
        let state = match timeout(self.link.longest, connecting).await {
            Ok(Ok(redis)) => State::Up(Connection {
                redis,
                mark: Arc::new(()),
            }),
            Ok(Err(error)) => State::Failed(error),
            Err(_) => State::Failed(io::Error::from(io::ErrorKind::TimedOut).into()),
        };
        self.has_ended = true;
        self.link.state.send_replace(state);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.has_ended {
            self.link.state.send_replace(State::Down);
        }
    }
}
