//! A connection that is opened again whenever it ends. The publisher and the
//! consumer have one each: RabbitMQ stops reading from connections that publish
//! when it is short of memory, and acknowledgements come by the same way.

mod telemetry;

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axiomatic_core::backoff::{self, Backoff};
use axiomatic_core::{BoxError, Name};
use futures::{FutureExt, StreamExt};
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, Event};
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

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
    uri: AMQPUri,
    name: Name,
    heartbeat: Duration,
    timeout: Duration,
    backoff: Backoff,
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

    /// Connects, in the time that there is for it.
    async fn connect(&self) -> Result<Live, BoxError> {
        let runtime = lapin::runtime::default_runtime()?;
        let properties =
            ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let line = Line::default();
        let opened = line.clone();
        let opening = Connection::connector(
            self.uri.clone(),
            runtime,
            async move |uri, runtime| {
                let host = uri.authority.host.as_str();
                let addresses = lookup_host((host, uri.authority.port)).await?;
                let addresses: Vec<_> = addresses.collect();
                let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                #[allow(irrefutable_let_patterns, reason = "without TLS there is no other")]
                if let AsyncTcpStream::Plain(plain) = &stream {
                    opened.keep(plain.get_ref())?;
                }
                match uri.scheme {
                    AMQPScheme::AMQP => Ok(stream),
                    AMQPScheme::AMQPS => {
                        let config = OwnedTLSConfig::default();
                        Ok(stream.into_tls(host, config.as_ref()).await?)
                    }
                }
            },
            properties,
        );
        match timeout(self.timeout, opening).await {
            Ok(Ok(connection)) => Ok(Live { connection, line }),
            Ok(Err(error)) => {
                line.cut();
                Err(error.into())
            }
            Err(_) => {
                // The client would wait for ever, with a thread.
                line.cut();
                Err(format!("no connection in {:?}", self.timeout).into())
            }
        }
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

/// How a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionSnapshot {
    /// What can be done with it.
    pub state: ConnectionState,
    /// How often it was opened.
    pub opened: u64,
    /// Why it last ended, or could not be opened.
    pub error: Option<Box<str>>,
}

/// What can be done with a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// There is none: it is attempted again and again.
    Away,
    /// It can be used.
    Open,
    /// The server does not read what is published by it: it is short of memory
    /// or of disk. It says when that is over.
    Blocked,
}

/// A connection that is opened again whenever it ends, until this is dropped.
pub(crate) struct Link {
    status: watch::Receiver<Status>,
    keeping: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Status {
    live: Option<Arc<Live>>,
    opened: u64,
    error: Option<Box<str>>,
}

impl Link {
    /// How long a connection must have lasted for the waits to begin anew, once
    /// it ends.
    const STEADY: Duration = Duration::from_secs(10);

    /// How often is looked whether a connection is there still. Its end is an
    /// event, except for one that the server closes without an error.
    const LOOK: Duration = Duration::from_secs(1);

    /// Begins to connect.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub(crate) fn start(server: Server) -> Self {
        let (sender, status) = watch::channel(Status::default());
        let keeping = tokio::spawn(keep(server, sender));
        Link { status, keeping }
    }

    /// The connection, if there is one now.
    pub(crate) fn now(&self) -> Option<Arc<Live>> {
        let live = self.status.borrow().live.clone();
        live.filter(|live| live.is_open())
    }

    /// The connection, as soon as there is one.
    pub(crate) async fn live(&self) -> Arc<Live> {
        let mut status = self.status.clone();
        loop {
            if let Some(live) = self.now() {
                return live;
            }
            if status.changed().await.is_err() {
                // It is kept until this is dropped, which ends this wait too.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(crate) fn snapshot(&self) -> ConnectionSnapshot {
        let state = match self.now() {
            None => ConnectionState::Away,
            Some(live) if live.is_blocked() => ConnectionState::Blocked,
            Some(_) => ConnectionState::Open,
        };
        let status = self.status.borrow();
        ConnectionSnapshot {
            state,
            opened: status.opened,
            error: status.error.clone(),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

async fn keep(server: Server, status: watch::Sender<Status>) {
    let mut waits = server.backoff.start();
    loop {
        let error = match server.connect().await {
            Ok(live) => {
                let live = Arc::new(live);
                let since = Instant::now();
                status.send_modify(|status| {
                    status.live = Some(live.clone());
                    status.opened += 1;
                });
                telemetry::opened(server.name);
                let error = live.ended(server.name).await;
                if since.elapsed() >= Link::STEADY {
                    waits = server.backoff.start();
                }
                live.line.cut();
                error
            }
            Err(error) => error,
        };
        telemetry::away(server.name, &error);
        status.send_modify(|status| {
            status.live = None;
            status.error = Some(error.to_string().into());
        });
        sleep(waits.next_after(None)).await;
    }
}

/// A connection that was opened.
pub(crate) struct Live {
    connection: Connection,
    line: Line,
}

impl Live {
    /// How long a server may take to consent to the end of a connection.
    const FAREWELL: Duration = Duration::from_secs(5);

    /// A channel of its own.
    pub(crate) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection.create_channel().await
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.status().connected()
    }

    /// Whether the server does not read what is published by it.
    pub(crate) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// The longest frame, in bytes, that both sides agreed upon.
    pub(crate) fn longest_frame(&self) -> usize {
        match self.connection.configuration().frame_max() {
            0 => usize::MAX,
            agreed => agreed as usize,
        }
    }

    /// Ends it, since nothing comes by it any more.
    pub(crate) fn cut(&self) {
        self.line.cut();
    }

    /// Waits until it has ended, and says why.
    async fn ended(&self, name: Name) -> BoxError {
        let mut events = Box::pin(self.connection.events_listener());
        while self.is_open() {
            match timeout(Link::LOOK, events.next()).await {
                // That of a channel is told here too.
                Ok(Some(Event::Error(error))) if !self.is_open() => return error.into(),
                Ok(Some(Event::ConnectionBlocked(why))) => telemetry::blocked(name, &why),
                Ok(Some(Event::ConnectionUnblocked)) => telemetry::unblocked(name),
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => break,
            }
        }
        // The error may have come before anybody listened, or while it was
        // looked.
        match events.next().now_or_never().flatten() {
            Some(Event::Error(error)) => error.into(),
            _ => "the server closed it".into(),
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let line = self.line.clone();
        match tokio::runtime::Handle::try_current() {
            // The client says goodbye, and waits for the answer with a thread.
            Ok(runtime) if self.is_open() => {
                runtime.spawn(async move {
                    sleep(Live::FAREWELL).await;
                    line.cut();
                });
            }
            _ => line.cut(),
        }
    }
}

/// The socket of a connection, by a handle of our own. The client waits for a
/// server that says nothing, while it connects and when it has asked for the
/// end; it has no time limit there, and its thread would stay.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<Option<TcpStream>>>);

impl Line {
    fn keep(&self, stream: &tokio::net::TcpStream) -> io::Result<()> {
        #[cfg(unix)]
        let handle = std::os::fd::AsFd::as_fd(stream).try_clone_to_owned()?;
        #[cfg(windows)]
        let handle = std::os::windows::io::AsSocket::as_socket(stream).try_clone_to_owned()?;
        *self.lock() = Some(TcpStream::from(handle));
        Ok(())
    }

    fn cut(&self) {
        if let Some(socket) = self.lock().take() {
            // It may have ended already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
