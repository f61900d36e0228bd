//! Clients, which ask until they have an answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axiomatic_core::BoxError;
use axiomatic_sim::Random;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long a client waits before it asks elsewhere: longer than a server is
/// stopped, and than another's request is waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// Longer than anything takes: who waits so long waits for what does not come.
const FOR_EVER: Duration = Duration::from_secs(60);

/// A client with a connection to each server, which it keeps.
pub(crate) struct Client {
    servers: Vec<(SocketAddr, Option<SendRequest<Full<Bytes>>>)>,
    random: Random,
    tally: Tally,
}

/// What befell a client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Answers that are not the last word.
    pub(crate) refused: u64,
    /// Attempts without an answer.
    pub(crate) broken: u64,
    /// Answers that were given before.
    pub(crate) replayed: u64,
}

impl Tally {
    pub(crate) fn and(self, other: Tally) -> Tally {
        Tally {
            refused: self.refused + other.refused,
            broken: self.broken + other.broken,
            replayed: self.replayed + other.replayed,
        }
    }
}

impl Client {
    pub(crate) fn of(servers: &[SocketAddr], random: Random) -> Client {
        Client {
            servers: servers.iter().map(|server| (*server, None)).collect(),
            random,
            tally: Tally::default(),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Orders under a key until there is an answer that stays.
    pub(crate) async fn order(&mut self, key: &str, order: &str) -> (StatusCode, String) {
        let began = Instant::now();
        loop {
            let which = self.random.below(self.servers.len() as u64) as usize;
            let attempt = self.attempt(which, key, order);
            match tokio::time::timeout(PATIENCE, attempt).await {
                Ok(Ok((status, headers, body))) if stays(status) => {
                    let replayed = headers.contains_key("idempotent-replayed");
                    self.tally.replayed += u64::from(replayed);
                    return (status, body);
                }
                Ok(Ok(_)) => self.tally.refused += 1,
                Ok(Err(_)) | Err(_) => {
                    self.servers[which].1 = None;
                    self.tally.broken += 1;
                }
            }
            assert!(began.elapsed() < FOR_EVER, "{key}: {:?}", self.tally);
            let pause = Duration::from_millis(1 + self.random.below(20));
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(
        &mut self,
        which: usize,
        key: &str,
        order: &str,
    ) -> Result<(StatusCode, HeaderMap, String), BoxError> {
        let (address, kept) = &mut self.servers[which];
        // Not kept unless it is good to the end.
        let mut connection = match kept.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => connect(*address).await?,
        };
        connection.ready().await?;
        let request = Request::post("/charges")
            .header("host", address.to_string())
            .header("idempotency-key", format!("\"{key}\""))
            .body(Full::from(order.to_owned()))?;
        let (head, body) = connection.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        *kept = Some(connection);
        Ok((head.status, head.headers, String::from_utf8(body.to_vec())?))
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, BoxError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Whether a client that repeats would get another answer.
fn stays(status: StatusCode) -> bool {
    status != StatusCode::CONFLICT && !status.is_server_error()
}
