//! Production patterns of distributed systems, each derived from the axiom it
//! answers, as tower middleware and as plain objects that need neither tower
//! nor a runtime.
//!
//! This crate holds no logic. It re-exports, by pattern, what the crates of
//! the workspace hold; a service that wants one pattern can depend on that
//! crate alone and finds the same types.
//!
//! | Pattern | Axiom | Feature | Crate |
//! |---|---|---|---|
//! | [`adaptive`] | capacity | `capacity` | `axiomatic-capacity` |
//! | [`bulkhead`] | capacity | `capacity` | `axiomatic-capacity` |
//! | [`circuit_breaker`] | failure | `failure` | `axiomatic-failure` |
//! | [`consistent_hash`] | capacity | `placement` | `axiomatic-placement` |
//! | [`bounded_load`] | capacity | `placement` | `axiomatic-placement` |
//! | [`router`] | capacity | `router` | `axiomatic-placement` |
//! | [`shuffle_shard`] | capacity | `placement` | `axiomatic-placement` |
//! | [`slot_map`] | capacity | `placement` | `axiomatic-placement` |
//! | [`bloom`] | economics | `sketch` | `axiomatic-sketch` |
//! | [`count_min`] | economics | `sketch` | `axiomatic-sketch` |
//! | [`hot_keys`] | economics | `sketch` | `axiomatic-sketch` |
//! | [`outbox`] | coordination | `coordination` | `axiomatic-coordination` |
//! | [`inbox`] | coordination | `coordination` | `axiomatic-coordination` |
//! | [`idempotency`] | coordination | `coordination` | `axiomatic-coordination` |
//! | [`saga`] | coordination | `coordination` | `axiomatic-coordination` |
//! | [`load_shed`] | capacity | `capacity` | `axiomatic-capacity` |
//! | [`rate_limit`] | capacity | `capacity` | `axiomatic-capacity` |
//! | [`retry`] | failure | `failure` | `axiomatic-failure` |
//! | [`hedge`] | latency | `latency` | `axiomatic-latency` |
//! | [`timeout`] | latency | `latency` | `axiomatic-latency` |
//! | `http`, a binding | | `http` | `axiomatic-http` |
//! | `sqlite`, all three in a file | | `sqlite` | `axiomatic-sqlite` |
//! | `postgres`, all three in a server | | `postgres` | `axiomatic-postgres` |
//! | `nats`, what takes messages to JetStream and from it | | `nats` | `axiomatic-nats` |
//! | `amqp`, what takes messages to RabbitMQ and from it | | `amqp` | `axiomatic-amqp` |
//! | `redis`, what processes share | | `redis` | `axiomatic-redis` |
//! | the vocabulary: [`Outcome`], [`Rejected`], [`Context`], [`Mode`], [`time`], … | | always | `axiomatic-core` |
//!
//! # Example
//!
//! A client of a payment service. The timeout is inside, so that a hang ends
//! as a failed attempt; the breaker is outside and counts such attempts.
//!
//! ```
//! use axiomatic::circuit_breaker::{Config, TripWhen, Window};
//! use axiomatic::timeout::Timeout;
//! use axiomatic::{BoxError, Outcome, Plain, Ratio};
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! #
//! # async fn charge(cents: u32) -> Result<u16, BoxError> {
//! #     Ok(if cents > 0 { 200 } else { 402 })
//! # }
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//!
//! let breaker = Config::new(Window::last(Duration::from_secs(10)))
//!     .named("payment")
//!     .trip_when(TripWhen::failure_rate(Ratio::percent(50), 20))
//!     .build()?;
//! let by_status = Plain.classified_by(|answer: Result<&u16, &BoxError>| match answer {
//!     Ok(500..) | Err(_) => Outcome::Transient,
//!     Ok(400..) => Outcome::Permanent, // the request is wrong, payment works
//!     Ok(_) => Outcome::Success,
//! });
//! let mut payment = ServiceBuilder::new()
//!     .layer(breaker.layer().with_binding(by_status))
//!     .layer(Timeout::after(Duration::from_millis(150)).layer())
//!     .service(service_fn(charge));
//! assert_eq!(payment.ready().await?.call(4200).await?, 200);
//! println!("{}", breaker.snapshot());
//! # assert_eq!(breaker.snapshot().counts().total(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Pages
//!
//! - [`axioms`]: each fact of life, the patterns that answer it, the type
//!   that carries the answer, the test that shows it.
//! - [`design`]: opinions, and what was rejected.
//! - [`compare`]: facts about neighbours.
//!
//! # Features
//!
//! - `capacity`, `coordination`, `failure`, `latency`, `placement`, `sketch` (default), `http`: the areas.
//! - `router`: requests to the nodes that own their keys, over tower.
//! - `ketama`, `nginx`, `redis-slots`: what others placed by MD5 and by CRCs.
//! - `serde`: slot maps as JSON.
//! - `parquet`: Bloom filters as Parquet files have them.
//! - `murmur`, `crc`, `md5`, `siphash`: hash algorithms that others agreed on.
//! - `sqlite`: the outbox, the inbox and idempotent requests in SQLite, which it builds.
//! - `postgres`: the outbox, the inbox and idempotent requests in PostgreSQL; `sqlx`: in transactions
//!   of sqlx too.
//! - `nats`: a publisher and a consumer for NATS JetStream.
//! - `amqp`: a publisher and a consumer for RabbitMQ.
//! - `idempotency-http`: the layer for idempotent requests, over tower.
//! - `saga-trial`: trials of the user's own sagas, for tests.
//! - `conformance`: suites for stores and publishers of one's own, and the
//!   checker of histories.
//! - `redis`: one quota for all processes, over Redis.
//! - `http-scope`, `axum`, `h2`: parts of http with dependencies of their own.
//! - `tokio` (default): the adapters that wait, over tokio's timers.
//! - `tracing` (default): events of the areas that are on.
//! - `subscribe` (default): subscriptions to the transitions of a breaker.
//! - `keyed` (default): mechanisms by key, in bounded memory.
//! - `metrics`: their counters and gauges, through the `metrics` facade.
//! - `test-util`: clocks follow tokio's paused time. It is the one feature
//!   that changes behaviour; enable it in dev-dependencies.
//!
//! Names and units of events and metrics stand in the project's TELEMETRY.md.
#![forbid(unsafe_code)]

pub mod axioms;

#[doc = include_str!("../docs/COMPARE.md")]
pub mod compare {}

#[doc = include_str!("../docs/DESIGN.md")]
pub mod design {}

#[doc(inline)]
pub use axiomatic_core::*;

#[cfg(feature = "amqp")]
#[doc(inline)]
pub use axiomatic_amqp as amqp;

#[cfg(feature = "capacity")]
#[doc(inline)]
pub use axiomatic_capacity::adaptive;

#[cfg(feature = "capacity")]
#[doc(inline)]
pub use axiomatic_capacity::bulkhead;

#[cfg(feature = "capacity")]
#[doc(inline)]
pub use axiomatic_capacity::load_shed;

#[cfg(feature = "capacity")]
#[doc(inline)]
pub use axiomatic_capacity::rate_limit;

#[cfg(feature = "coordination")]
#[doc(inline)]
pub use axiomatic_coordination::idempotency;

#[cfg(feature = "coordination")]
#[doc(inline)]
pub use axiomatic_coordination::inbox;

#[cfg(feature = "coordination")]
#[doc(inline)]
pub use axiomatic_coordination::saga;

#[cfg(feature = "coordination")]
#[doc(inline)]
pub use axiomatic_coordination::outbox;

#[cfg(feature = "coordination")]
#[doc(inline)]
pub use axiomatic_coordination::{
    Memory, MemoryTransaction, MessageId, StoreError, Timestamp, TransactError, Why,
};

#[cfg(feature = "failure")]
#[doc(inline)]
pub use axiomatic_failure::circuit_breaker;

#[cfg(feature = "failure")]
#[doc(inline)]
pub use axiomatic_failure::retry;

#[cfg(feature = "http")]
#[doc(inline)]
pub use axiomatic_http as http;

#[cfg(feature = "latency")]
#[doc(inline)]
pub use axiomatic_latency::hedge;

#[cfg(feature = "latency")]
#[doc(inline)]
pub use axiomatic_latency::timeout;

#[cfg(feature = "placement")]
#[doc(inline)]
pub use axiomatic_placement::bounded_load;

#[cfg(feature = "placement")]
#[doc(inline)]
pub use axiomatic_placement::consistent_hash;

#[cfg(feature = "router")]
#[doc(inline)]
pub use axiomatic_placement::router;

#[cfg(feature = "placement")]
#[doc(inline)]
pub use axiomatic_placement::shuffle_shard;

#[cfg(feature = "placement")]
#[doc(inline)]
pub use axiomatic_placement::slot_map;

#[cfg(feature = "nats")]
#[doc(inline)]
pub use axiomatic_nats as nats;

#[cfg(feature = "postgres")]
#[doc(inline)]
pub use axiomatic_postgres as postgres;

#[cfg(feature = "redis")]
#[doc(inline)]
pub use axiomatic_redis as redis;

#[cfg(feature = "sketch")]
#[doc(inline)]
pub use axiomatic_sketch::bloom;

#[cfg(feature = "sketch")]
#[doc(inline)]
pub use axiomatic_sketch::count_min;

#[cfg(feature = "sketch")]
#[doc(inline)]
pub use axiomatic_sketch::hot_keys;

#[cfg(feature = "sqlite")]
#[doc(inline)]
pub use axiomatic_sqlite as sqlite;
