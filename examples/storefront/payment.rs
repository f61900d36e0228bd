use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::post;
use clap::ValueEnum;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::server::Server;

/// How long a payment takes when nothing is wrong.
const WORK: Duration = Duration::from_millis(20);

/// How long it takes when it is slow: longer than any buyer will call good.
const SLOW: Duration = Duration::from_millis(600);

/// Also while nothing is wrong, every so manieth charge fails.
const BLIP: u64 = 25;

/// What is wrong with the payment service.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Nothing
    #[value(skip)]
    None,
    /// It answers at once, with 500
    Errors,
    /// It answers, after 600 ms
    Slow,
    /// It takes calls and does not answer them
    Hang,
}

/// Sets what is wrong with the payment service, and counts what that costs.
#[derive(Clone)]
pub(crate) struct Switch {
    fault: watch::Sender<Fault>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    /// Charges that arrived while nothing was wrong.
    well: u64,
    /// And while something was.
    wasted: u64,
}

/// What a charge meets.
enum Meets {
    Fault(Fault),
    Blip,
}

impl Switch {
    fn new() -> Self {
        Switch {
            fault: watch::Sender::new(Fault::None),
            counts: Arc::default(),
        }
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// The calls that arrived while something was wrong.
    pub(crate) fn wasted(&self) -> u64 {
        self.counts().wasted
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong for the call that arrives now.
    fn meet(&self) -> Meets {
        let fault = *self.fault.borrow();
        let mut counts = self.counts();
        if fault != Fault::None {
            counts.wasted += 1;
            return Meets::Fault(fault);
        }
        counts.well += 1;
        if counts.well.is_multiple_of(BLIP) {
            Meets::Blip
        } else {
            Meets::Fault(fault)
        }
    }

    async fn repaired(&self) {
        let mut fault = self.fault.subscribe();
        // The only error is that the sender is gone, and it is in our hands.
        let _ = fault.wait_for(|now| *now == Fault::None).await;
    }
}

/// The payment service.
pub(crate) struct Payment {
    pub(crate) switch: Switch,
    server: Server,
}

impl Payment {
    pub(crate) async fn start() -> io::Result<Self> {
        let switch = Switch::new();
        let router = Router::new()
            .route("/charge", post(charge))
            .with_state(switch.clone());
        Ok(Payment {
            switch,
            server: Server::start(router).await?,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where to send a charge.
    pub(crate) fn charge(&self) -> Uri {
        let uri = format!("http://{}/charge", self.address());
        uri.parse().expect("an address and a path make a URI")
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

async fn charge(State(switch): State<Switch>) -> StatusCode {
    match switch.meet() {
        Meets::Blip => return StatusCode::SERVICE_UNAVAILABLE,
        Meets::Fault(Fault::None) => sleep(WORK).await,
        Meets::Fault(Fault::Errors) => return StatusCode::INTERNAL_SERVER_ERROR,
        Meets::Fault(Fault::Slow) => sleep(SLOW).await,
        Meets::Fault(Fault::Hang) => switch.repaired().await,
    }
    StatusCode::OK
}
