//! The shop's server: how it is started and killed, and what it does.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axiomatic_coordination::idempotency::http::{Config, InProgress, Tenants};
use axiomatic_coordination::idempotency::{PhaseError, Phases};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use http::StatusCode;

use crate::provider::Payments;
use crate::shop::Shop;
use crate::{Failure, Places};

/// How long the orders of a server that died wait.
const LEASE: Duration = Duration::from_secs(1);

/// A server in a process of its own. Its listening socket is this process's:
/// while it is dead, connections wait for the next one.
pub(crate) struct Server {
    listener: TcpListener,
    places: Places,
    provider: SocketAddr,
    child: Child,
}

impl Server {
    pub(crate) fn start(places: &Places, provider: SocketAddr) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let child = spawn(&listener, places, provider)?;
        Ok(Server {
            listener,
            places: places.clone(),
            provider,
            child,
        })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.listener.local_addr()?)
    }

    /// Kills it (SIGKILL), and starts another. Returns which process it was.
    pub(crate) fn kill(&mut self) -> Result<u32, Failure> {
        let killed = self.child.id();
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(&self.listener, &self.places, self.provider)?;
        Ok(killed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts this program again, with the socket as its standard input.
fn spawn(listener: &TcpListener, places: &Places, provider: SocketAddr) -> Result<Child, Failure> {
    let mut server = Command::new(std::env::current_exe()?);
    if let Some(url) = &places.postgres {
        server.args(["--postgres", url]);
    }
    if let Some(directory) = &places.directory {
        server.arg("--directory").arg(directory);
    }
    server.args(["serve", &provider.to_string()]);
    server.stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)));
    Ok(server.spawn()?)
}

/// What the process does.
pub(crate) async fn serve<S: Shop>(shop: S, provider: SocketAddr) -> Result<(), Failure> {
    let layer = Config::new(Tenants::single())
        .lease(LEASE)
        // Who clicks twice gets one answer twice.
        .in_progress(InProgress::Wait(Duration::from_secs(2)))
        .resumable(true)
        .layer(shop.store())?;
    let payments = Payments::of(provider);
    let routes = Router::new().route("/charges", post(charge::<S>));
    let routes = routes.with_state((shop, payments));
    // Runs what was begun, and nobody asks for any more.
    let completer = layer
        .completer::<_, Body>(routes.clone())
        .abandoned_for(Duration::from_secs(1))
        .pause(Duration::from_millis(200));
    tokio::spawn(async move { completer.run(std::future::pending::<()>()).await });
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let serving = async { axum::serve(listener, routes.layer(layer)).await };
    tokio::select! {
        served = serving => Ok(served?),
        () = orphaned() => Ok(()),
    }
}

/// Ready when the process that started this one is gone.
async fn orphaned() {
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Charges for an order and books it.
async fn charge<S: Shop>(
    State((shop, payments)): State<(S, Payments)>,
    Extension(phases): Extension<Phases<S::Store>>,
    order: String,
) -> Response {
    match charge_and_book(&shop, &payments, &phases, &order).await {
        Ok(answer) => (StatusCode::CREATED, answer).into_response(),
        // Nothing is answered for good: who repeats goes on from here.
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn charge_and_book<S: Shop>(
    shop: &S,
    payments: &Payments,
    phases: &Phases<S::Store>,
    order: &str,
) -> Result<String, PhaseError<Failure>> {
    // Once, because the provider knows its key again.
    let charge = phases.phase("charge");
    let charge = charge.foreign(|key| payments.charge(key, order)).await?;
    // Once, because it commits with the note that it is done.
    let entry = shop.book(phases, order, &charge).await?;
    let process = std::process::id();
    Ok(format!("{order}: {charge}, entry {entry}, says {process}"))
}
