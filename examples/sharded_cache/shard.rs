use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A map behind a socket. A line is a request: `get KEY` is answered with
/// `hit VALUE` or `miss`, and `set KEY VALUE` with `kept`.
pub(crate) struct Shard {
    id: String,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

type Map = Arc<Mutex<HashMap<String, String>>>;

impl Shard {
    /// Starts one, on a port that the system chooses.
    pub(crate) async fn start(id: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Ok(Shard {
            id: id.to_owned(),
            address: listener.local_addr()?,
            serving: tokio::spawn(serve(listener)),
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes its socket and all connections, in the middle of whatever it
    /// does.
    pub(crate) async fn kill(self) {
        self.serving.abort();
        // It ends by having been cancelled, which is no news.
        drop(self.serving.await);
    }
}

async fn serve(listener: TcpListener) {
    let map = Map::default();
    // Dropped with this task, and with it all connections.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(converse(socket, Arc::clone(&map)));
    }
}

async fn converse(socket: TcpStream, map: Map) {
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    while matches!(socket.read_line(&mut line).await, Ok(1..)) {
        let answer = answer(line.trim_end(), &map);
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}

fn answer(request: &str, map: &Map) -> String {
    let mut words = request.splitn(3, ' ');
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    match (words.next(), words.next(), words.next()) {
        (Some("get"), Some(key), None) => match map.get(key) {
            Some(value) => format!("hit {value}\n"),
            None => "miss\n".to_owned(),
        },
        (Some("set"), Some(key), Some(value)) => {
            map.insert(key.to_owned(), value.to_owned());
            "kept\n".to_owned()
        }
        _ => "what?\n".to_owned(),
    }
}
