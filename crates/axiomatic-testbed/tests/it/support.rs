//! A server that hears and speaks, and clients of it behind a proxy.

use std::io;
use std::time::Duration;

use axiomatic_testbed::proxy::FaultProxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longer than anything takes: who waits so long waits for something that does
/// not come.
const FOR_EVER: Duration = Duration::from_secs(30);

/// So long is waited for what must not come.
const A_WHILE: Duration = Duration::from_millis(60);

/// A server without a mind of its own, and a proxy before it.
pub(crate) struct Scene {
    listener: TcpListener,
    pub(crate) proxy: FaultProxy,
}

impl Scene {
    pub(crate) async fn new() -> Scene {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        Scene {
            listener,
            proxy: FaultProxy::to(port),
        }
    }

    /// A connection: the client's end, and the server's.
    pub(crate) async fn connect(&self) -> (End, End) {
        let client = self.client().await;
        (client, self.accept().await)
    }

    pub(crate) async fn client(&self) -> End {
        self.try_to_connect().await.expect("it listens")
    }

    pub(crate) async fn try_to_connect(&self) -> io::Result<End> {
        TcpStream::connect(self.proxy.address()).await.map(End)
    }

    pub(crate) async fn accept(&self) -> End {
        let accepted = tokio::time::timeout(FOR_EVER, self.listener.accept()).await;
        End(accepted.expect("it connects").expect("a connection").0)
    }
}

/// An end of a connection.
pub(crate) struct End(pub(crate) TcpStream);

/// How a connection ended for one end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed,
    Reset,
}

impl End {
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("it is open");
    }

    /// Says what may not arrive.
    pub(crate) async fn try_to_say(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Hears exactly these bytes next.
    pub(crate) async fn hears(&mut self, bytes: &[u8]) {
        let mut heard = vec![0; bytes.len()];
        let hear = tokio::time::timeout(FOR_EVER, self.0.read_exact(&mut heard));
        hear.await.expect("it hears").expect("it is open");
        assert!(heard == bytes, "something else arrived");
    }

    /// Hears nothing, and of no end, for as long as it is looked.
    pub(crate) async fn hears_nothing(&mut self) {
        let mut heard = [0; 64];
        let hear = tokio::time::timeout(A_WHILE, self.0.read(&mut heard)).await;
        assert!(hear.is_err(), "{hear:?}: {heard:?}");
    }

    /// All that it hears until the end.
    pub(crate) async fn hears_all(&mut self) -> (Vec<u8>, Ended) {
        let mut heard = Vec::new();
        let hear = tokio::time::timeout(FOR_EVER, self.0.read_to_end(&mut heard));
        let ended = match hear.await.expect("it ends") {
            Ok(_) => Ended::Closed,
            Err(_) => Ended::Reset,
        };
        (heard, ended)
    }
}

/// Bytes of which no part looks like another.
pub(crate) fn text(length: usize) -> Vec<u8> {
    let words = (0_u32..).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes());
    words.take(length).collect()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(FOR_EVER, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited for ever: {what}");
}
