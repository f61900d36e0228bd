//! Sessions outside of the pool, for what lasts as long as a session does.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::{StoreError, Why};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use tokio::task::JoinHandle;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Error, Socket};

use crate::error::store_error;

/// What the server says on its own. The session makes progress while somebody
/// polls this, and ends with it.
pub(crate) type Messages = Pin<Box<dyn Stream<Item = Result<AsyncMessage, Error>> + Send>>;

/// Makes sessions like those of the pool, over the same TLS.
#[derive(Clone)]
pub(crate) struct Connector(Arc<dyn Connect>);

trait Connect: Send + Sync {
    fn connect(&self) -> BoxFuture<'_, Result<(Client, Messages), Error>>;
}

struct Over<T> {
    config: Config,
    tls: T,
}

impl Connector {
    pub(crate) fn new<T>(config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
        T::Stream: Sync + Send,
        T::TlsConnect: Sync + Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        Connector(Arc::new(Over { config, tls }))
    }

    /// A session of its own.
    pub(crate) async fn connect(&self) -> Result<(Client, Messages), Error> {
        self.0.connect().await
    }
}

impl<T> Connect for Over<T>
where
    T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
    T::Stream: Sync + Send,
    T::TlsConnect: Sync + Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn connect(&self) -> BoxFuture<'_, Result<(Client, Messages), Error>> {
        Box::pin(async {
            let (client, mut session) = self.config.connect(self.tls.clone()).await?;
            let messages = futures::stream::poll_fn(move |cx| session.poll_message(cx));
            Ok((client, Box::pin(messages) as Messages))
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// A session that makes progress by itself, until it is dropped.
#[derive(Debug)]
pub(crate) struct Driven {
    client: Client,
    driver: JoinHandle<()>,
}

impl Driven {
    /// To be called on a runtime.
    pub(crate) fn new(client: Client, mut messages: Messages) -> Self {
        let driver = tokio::spawn(async move { while let Some(Ok(_)) = messages.next().await {} });
        Driven { client, driver }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // It would wait for an answer that may never come.
        self.driver.abort();
    }
}

/// What a session is asked, unless it takes longer than this.
pub(crate) async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, asked).await {
        Ok(answer) => answer.map_err(store_error),
        Err(_) => Err(unanswered(patience)),
    }
}

/// The server does not answer.
pub(crate) fn unanswered(patience: Duration) -> StoreError {
    StoreError::new(Why::Unavailable).because(format!("no answer within {patience:?}"))
}
