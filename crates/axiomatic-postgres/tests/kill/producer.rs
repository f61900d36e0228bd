//! Transactions of a business: an order, and its message.

use axiomatic_coordination::MessageId;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::Message;
use axiomatic_coordination::outbox::history::{Event, Log};
use axiomatic_postgres::outbox::Outbox;
use sqlx_core::connection::Connection;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use tokio_postgres::Transaction;

use super::child::Work;

/// Orders of unordered keys lock their account first, as a business does, so
/// that their commits have an order. For ordered keys it is the outbox that
/// makes one.
const OF_ACCOUNT: &str = "INSERT INTO {schema}.account (key, last) VALUES ('{key}', 1) \
    ON CONFLICT (key) DO UPDATE SET last = account.last + 1 RETURNING last";

/// Drawn behind the lock of the ordered key.
const NEXT: &str = "SELECT nextval('{schema}.number')";

const ORDER: &str =
    "INSERT INTO {schema}.orders (key, number, message) VALUES ({key}, {number}, '{id}')";

struct Order {
    message: Message,
    key: Option<&'static str>,
    is_ordered: bool,
}

impl Order {
    fn new(key: Option<&'static str>, body: &'static str) -> Order {
        let message = Message::new("orders", body);
        let message = match key {
            Some(key) => message.keyed(key),
            None => message,
        };
        let is_ordered = key == Some("a");
        Order {
            message: if is_ordered {
                message.ordered()
            } else {
                message
            },
            key,
            is_ordered,
        }
    }

    fn id(&self) -> MessageId {
        self.message.id()
    }

    /// Which statement numbers it.
    fn numbering(&self, schema: &str) -> String {
        let sql = match self.key {
            Some(key) if !self.is_ordered => OF_ACCOUNT.replace("{key}", key),
            _ => NEXT.to_owned(),
        };
        sql.replace("{schema}", schema)
    }

    fn inserting(&self, schema: &str, number: i64) -> String {
        let key = match self.key {
            Some(key) => format!("'{key}'"),
            None => "NULL".to_owned(),
        };
        let order = ORDER.replace("{schema}", schema).replace("{key}", &key);
        let order = order.replace("{number}", &number.to_string());
        order.replace("{id}", &self.id().to_string())
    }
}

/// One producer's transactions; some are rolled back. The last producer is a
/// program of sqlx.
pub(crate) async fn produce(work: &Work, producer: usize) {
    let history = Log::open(work.path.join("history")).unwrap();
    let mut by_sqlx = match producer {
        2 => Some(PgConnection::connect(&work.url).await.unwrap()),
        _ => None,
    };
    let mut client = crate::support::connect(&work.url).await.unwrap();
    for number in 0..8 {
        let key = ["a", "b", "c"][(producer + number) % 3];
        let body = match producer * 8 + number {
            3 | 17 => "unknown",
            5 | 20 => "late",
            13 => "never",
            _ => "fine",
        };
        let order = Order::new((number != 7).then_some(key), body);
        let refuses = number % 4 == 2;
        if refuses {
            let id = order.id();
            history.record(&Event::RolledBack { id }).unwrap();
        }
        match &mut by_sqlx {
            Some(connection) => commit_by_sqlx(work, connection, order, refuses).await,
            None => commit(work, client.transaction().await.unwrap(), order, refuses).await,
        }
        reach("producer.committed");
        tokio::task::yield_now().await;
    }
}

/// One order, for whoever does not want to say which.
pub(crate) async fn produce_one(work: &Work, client: &mut tokio_postgres::Client, number: usize) {
    let key = ["a", "b", "c"][number % 3];
    let tx = client.transaction().await.unwrap();
    commit(work, tx, Order::new(Some(key), "fine"), false).await;
}

async fn commit(work: &Work, mut tx: Transaction<'_>, order: Order, refuses: bool) {
    if order.is_ordered {
        enqueue(&work.outbox, &mut tx, &order).await;
    }
    let number = order.numbering(&work.schema);
    let number: i64 = tx.query_one(&number, &[]).await.unwrap().get(0);
    let insert = order.inserting(&work.schema, number);
    tx.batch_execute(&insert).await.unwrap();
    reach("producer.written");
    if !order.is_ordered {
        enqueue(&work.outbox, &mut tx, &order).await;
    }
    reach("producer.enqueued");
    if refuses {
        tx.rollback().await.unwrap();
        return;
    }
    tx.commit().await.unwrap();
    reach("producer.committed_alone");
    work.outbox.wake();
}

async fn enqueue(outbox: &Outbox, tx: &mut Transaction<'_>, order: &Order) {
    let messages = [order.message.clone()];
    outbox.enqueue(tx, messages).await.unwrap();
}

async fn commit_by_sqlx(work: &Work, connection: &mut PgConnection, order: Order, refuses: bool) {
    let mut tx = connection.begin().await.unwrap();
    let messages = [order.message.clone()];
    if order.is_ordered {
        work.outbox
            .enqueue(&mut *tx, messages.clone())
            .await
            .unwrap();
    }
    let number = AssertSqlSafe(order.numbering(&work.schema));
    let number: i64 = query_scalar(number).fetch_one(&mut *tx).await.unwrap();
    let insert = AssertSqlSafe(order.inserting(&work.schema, number));
    query(insert).execute(&mut *tx).await.unwrap();
    if !order.is_ordered {
        work.outbox.enqueue(&mut *tx, messages).await.unwrap();
    }
    reach("producer.sqlx_enqueued");
    if refuses {
        tx.rollback().await.unwrap();
        return;
    }
    tx.commit().await.unwrap();
    reach("producer.sqlx_committed");
    work.outbox.wake();
}
