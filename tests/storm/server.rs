//! What a server does.

use std::os::fd::AsFd;
use std::time::Duration;

use axiomatic_coordination::idempotency::http::{Config, InProgress, Tenants};
use axiomatic_coordination::idempotency::{PhaseError, Phases};
use axiomatic_core::BoxError;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use http::StatusCode;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::place::{self, InPostgres, InSqlite, Shop};
use super::provider::Payments;

/// Where the provider is.
pub(crate) const PROVIDER: &str = "AXIOMATIC_STORM_PROVIDER";

/// Shorter than a server is stopped.
const LEASE: Duration = Duration::from_secs(1);

/// Nothing, unless a parent says where.
#[test]
fn child() {
    let Ok(provider) = std::env::var(PROVIDER) else {
        return;
    };
    let payments = Payments::of(provider.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match std::env::var(place::SQLITE) {
            Ok(path) => serve(InSqlite::open(path.as_ref()).await, payments).await,
            Err(_) => serve(InPostgres::open().await, payments).await,
        }
    });
}

#[derive(Clone)]
struct App<S> {
    shop: S,
    payments: Payments,
}

async fn serve<S: Shop>(shop: S, payments: Payments) {
    let layer = Config::new(Tenants::single())
        .lease(LEASE)
        .in_progress(InProgress::Wait(Duration::from_secs(1)))
        .resumable(true)
        .layer(shop.store())
        .unwrap();
    let routes = Router::new().route("/charges", post(charge::<S>));
    let routes = routes.with_state(App { shop, payments });
    // It competes with the clients.
    let completer = layer
        .completer::<_, Body>(routes.clone())
        .abandoned_for(Duration::ZERO)
        .attempts(1_000)
        .pause(Duration::from_millis(50));
    tokio::spawn(async move { completer.run(std::future::pending::<()>()).await });
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let socket = std::net::TcpListener::from(socket);
    socket.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(socket).unwrap();
    let served = axum::serve(listener, routes.layer(layer));
    tokio::select! {
        ended = served => panic!("{ended:?}"),
        () = orphaned() => {}
    }
}

/// Ready when the parent is gone, which may have had no time to end this.
async fn orphaned() {
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn charge<S: Shop>(
    State(app): State<App<S>>,
    Extension(phases): Extension<Phases<S::Store>>,
    order: String,
) -> Response {
    // In a task of its own, which goes on when the lease is lost and the layer
    // drops this future: nothing but the fence holds it back.
    let running = tokio::spawn(async move { run(&app, &phases, &order).await });
    match running.await.expect("it does not panic") {
        Ok(answer) => (StatusCode::CREATED, answer).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn run<S: Shop>(
    app: &App<S>,
    phases: &Phases<S::Store>,
    order: &str,
) -> Result<String, PhaseError<BoxError>> {
    let charged = phases.phase("charge");
    let charged = charged.foreign(|key| app.payments.charge(key, order));
    let charge: String = charged.await?;
    // Who is stopped here, as many are, finds the lease lost in what comes next.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let number = app.shop.book(phases, order, &charge).await?;
    // No two runs answer alike: who gives away an answer that is not stored is
    // found out.
    let run = Uuid::now_v7();
    Ok(format!("{order} {charge} {number} {run}"))
}
