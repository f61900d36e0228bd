//! The server, and databases on it that are gone afterwards.

use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::queue::{BoxError, Queue, Step, Subject};
use crate::rounds::median;

const USUAL: &str = "postgres://root@127.0.0.1:5432/test";

/// Under `AXIOMATIC_POSTGRES_URL`, or on loopback at the usual port.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    url: String,
}

/// A database that only one row of a round uses.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn find() -> Server {
        let url = std::env::var("AXIOMATIC_POSTGRES_URL").unwrap_or_else(|_| USUAL.to_owned());
        Server { url }
    }

    /// Drops the database whether the work returned, failed, panicked or was
    /// told to end by a signal.
    pub(crate) async fn in_fresh_database<T, F>(
        &self,
        work: impl FnOnce(Database) -> F,
    ) -> Result<T, BoxError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let name = format!("axiomatic_bench_{}", uuid::Uuid::now_v7().simple());
        let owner = connect(&self.url).await?;
        owner
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await?;
        let url = with_database(&self.url, &name);
        let mut working = tokio::spawn(work(Database { url }));
        let mut ended = signal(SignalKind::terminate())?;
        let interrupted = async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = ended.recv() => {}
            }
        };
        let done = tokio::select! {
            done = &mut working => done,
            () = interrupted => {
                working.abort();
                working.await
            }
        };
        owner
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await?;
        done?
    }

    /// One turn of a queue: what `work` measures with it in a database of its
    /// own.
    pub(crate) fn turn<F>(
        &self,
        subject: Subject,
        work: impl FnOnce(Database, Box<dyn Queue>) -> F + Send + 'static,
    ) -> Step<'static, Vec<f64>>
    where
        F: Future<Output = Result<Vec<f64>, BoxError>> + Send + 'static,
    {
        let server = self.clone();
        Box::pin(async move {
            server
                .in_fresh_database(|database| async move {
                    let queue = (subject.open)(database.clone()).await?;
                    work(database, queue).await
                })
                .await
        })
    }

    /// What commits depend on.
    pub(crate) async fn print_settings(&self) -> Result<(), BoxError> {
        let client = connect(&self.url).await?;
        let mut said = Vec::new();
        for setting in [
            "server_version",
            "fsync",
            "synchronous_commit",
            "wal_sync_method",
            "full_page_writes",
            "shared_buffers",
            "max_wal_size",
            "autovacuum",
        ] {
            let row = client.query_one(&format!("SHOW {setting}"), &[]).await?;
            said.push(format!("{setting} {}", row.get::<_, String>(0)));
        }
        println!("PostgreSQL: {}", said.join(", "));
        Ok(())
    }
}

impl Database {
    pub(crate) async fn connect(&self) -> Result<Client, BoxError> {
        connect(&self.url).await
    }

    /// Hands out each notification of that channel.
    pub(crate) async fn listen(
        &self,
        channel: &str,
    ) -> Result<(Client, mpsc::UnboundedReceiver<()>), BoxError> {
        let (client, mut connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        let (notify, notified) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let next = |cx: &mut std::task::Context<'_>| connection.poll_message(cx);
            let mut messages = futures::stream::poll_fn(next);
            while let Some(Ok(message)) = futures::StreamExt::next(&mut messages).await {
                if matches!(message, AsyncMessage::Notification(_)) && notify.send(()).is_err() {
                    break;
                }
            }
        });
        client.batch_execute(&format!("LISTEN {channel}")).await?;
        Ok((client, notified))
    }

    /// Statistics as autovacuum would have made them, and the pages of what was
    /// written before on the disk, not in the way of what is measured.
    pub(crate) async fn settle(&self) -> Result<(), BoxError> {
        let client = self.connect().await?;
        client.batch_execute("ANALYZE").await?;
        client.batch_execute("CHECKPOINT").await?;
        Ok(())
    }

    /// The median time of a commit of one row.
    pub(crate) async fn one_commit(&self, commits: usize) -> Result<Duration, BoxError> {
        let client = self.connect().await?;
        client
            .batch_execute("CREATE TABLE business (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)")
            .await?;
        let insert = client
            .prepare("INSERT INTO business (body) VALUES ($1)")
            .await?;
        let body = [b'x'; crate::queue::BODY];
        let mut took = Vec::with_capacity(commits);
        for _ in 0..commits {
            let began = Instant::now();
            client.execute(&insert, &[&body.as_slice()]).await?;
            took.push(began.elapsed().as_secs_f64());
        }
        Ok(Duration::from_secs_f64(median(took)))
    }
}

async fn connect(url: &str) -> Result<Client, BoxError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Ends with the client, or with its database.
    tokio::spawn(connection);
    Ok(client)
}

/// The same URL, of another database.
fn with_database(url: &str, name: &str) -> String {
    let (rest, parameters) = match url.split_once('?') {
        Some((rest, parameters)) => (rest, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let host = rest.find("://").map_or(0, |at| at + 3);
    let end = rest[host..].find('/').map_or(rest.len(), |at| host + at);
    format!("{}/{name}{parameters}", &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn another_database_is_another_path() {
        for (url, expected) in [
            ("postgres://root@h:5432/test", "postgres://root@h:5432/new"),
            ("postgres://h", "postgres://h/new"),
            (
                "postgres://h/test?sslmode=disable",
                "postgres://h/new?sslmode=disable",
            ),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}
