//! A server, and how a connection to it is kept.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::Name;
use axiomatic_core::backoff::{self, Backoff};
use lapin::uri::AMQPUri;

/// A RabbitMQ, and how a connection to it is kept.
///
/// ```
/// use axiomatic_amqp::Server;
/// use std::time::Duration;
///
/// let server = Server::new("amqp://shop:secret@127.0.0.1:5672/%2f")?
///     .named("orders")
///     .heartbeat(Duration::from_secs(5))
///     .checked()?;
/// // The password is nobody's business.
/// assert!(!format!("{server:?}").contains("secret"));
/// # Ok::<_, axiomatic_amqp::ServerError>(())
/// ```
#[derive(Clone)]
pub struct Server {
    pub(super) uri: AMQPUri,
    pub(super) name: Name,
    pub(super) heartbeat: Duration,
    pub(super) timeout: Duration,
    pub(super) backoff: Backoff,
}

impl Server {
    /// A server by its URI, `amqp://user:password@host:port/vhost`, in which
    /// the virtual host `/` is `%2f`.
    ///
    /// The rest has a default: a heartbeat of 10 s, 5 s to connect, and between
    /// two attempts a random wait of up to 100 ms, doubled each time up to 10 s.
    ///
    /// # Errors
    ///
    /// [`ServerError::Uri`] if it is none.
    pub fn new(uri: &str) -> Result<Self, ServerError> {
        let uri = uri
            .parse()
            .map_err(|why: String| ServerError::Uri(why.into()))?;
        Ok(Server {
            uri,
            name: Name::UNNAMED,
            heartbeat: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            backoff: Backoff::exponential(Duration::from_millis(100), Duration::from_secs(10)),
        })
    }

    /// What the connection is called in events, and on the server.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// In which time both sides say something, in whole seconds, or less if the
    /// server wants less. A connection by which nothing comes for twice as long
    /// has ended.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// How long connecting may take, from the first packet to the server's
    /// consent.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long is waited before a connection is attempted again. A server that
    /// takes connections and ends them at once is waited for the same way.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The same, if it makes sense.
    ///
    /// # Errors
    ///
    /// [`ServerError`] says what does not.
    pub fn checked(mut self) -> Result<Self, ServerError> {
        if self.timeout.is_zero() {
            return Err(ServerError::NoTime);
        }
        let seconds = u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX);
        if seconds == 0 {
            return Err(ServerError::NoHeartbeat);
        }
        self.backoff = self.backoff.checked().map_err(ServerError::Backoff)?;
        self.uri.query.heartbeat = Some(seconds);
        Ok(self)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri {
            authority, vhost, ..
        } = &self.uri;
        let address = format!("{}:{}/{vhost}", authority.host, authority.port);
        f.debug_struct("Server")
            .field("name", &self.name)
            .field("address", &address)
            .field("user", &authority.userinfo.username)
            .field("heartbeat", &self.heartbeat)
            .field("timeout", &self.timeout)
            .field("backoff", &self.backoff)
            .finish()
    }
}

/// Why nobody can connect so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerError {
    /// It is no URI of a RabbitMQ.
    Uri(Box<str>),
    /// There is no time to connect.
    NoTime,
    /// A heartbeat of less than a second: AMQP counts seconds, and none turns
    /// it off.
    NoHeartbeat,
    /// The backoff makes no sense.
    Backoff(backoff::ConfigError),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Uri(why) => write!(f, "no URI of a RabbitMQ: {why}"),
            ServerError::NoTime => f.write_str("no time to connect"),
            ServerError::NoHeartbeat => f.write_str("a heartbeat of less than a second"),
            ServerError::Backoff(error) => error.fmt(f),
        }
    }
}

impl Error for ServerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ServerError::Backoff(error) => Some(error),
            ServerError::Uri(_) | ServerError::NoTime | ServerError::NoHeartbeat => None,
        }
    }
}
