//! Inventory, payment and shipping: three servers that are not ours.

use std::net::{Ipv4Addr, SocketAddr};

use axiomatic_sim::Random;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Failure;
use crate::books::{Books, Call, Reply, Trouble};
use crate::client::Addresses;

/// Inventory, payment and shipping.
pub(crate) struct Town {
    pub(crate) inventory: Server,
    pub(crate) payment: Server,
    pub(crate) shipping: Server,
}

impl Town {
    pub(crate) async fn start(random: &Random) -> Result<Self, Failure> {
        Ok(Town {
            inventory: Server::start("inventory", random.fork(1)).await?,
            payment: Server::start("payment", random.fork(2)).await?,
            shipping: Server::start("shipping", random.fork(3)).await?,
        })
    }

    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            inventory: self.inventory.address,
            payment: self.payment.address,
            shipping: self.shipping.address,
        }
    }

    pub(crate) fn all(&self) -> [&Server; 3] {
        [&self.inventory, &self.payment, &self.shipping]
    }
}

/// A service that knows a key again, and refuses whoever was followed.
#[derive(Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    pub(crate) books: watch::Sender<Books>,
}

impl Server {
    async fn start(name: &'static str, random: Random) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = Server {
            address: listener.local_addr()?,
            books: watch::Sender::new(Books::new(name, random)),
        };
        let routes = Router::new().route("/{key}", any(serve));
        let routes = routes.with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(server)
    }

    pub(crate) fn trouble(&self, number: u32, trouble: Trouble) {
        self.books
            .send_modify(|books| books.trouble(number, trouble));
    }

    /// Ready when the books are so.
    pub(crate) async fn until(&self, are: impl FnMut(&Books) -> bool) {
        // The only error is that the sender is gone, and it is in our hands.
        let _ = self.books.subscribe().wait_for(are).await;
    }

    /// What was sent arrives, though who has sent it may be dead by then.
    async fn deliver(self, call: Call) -> Option<Reply> {
        let (mut takes, mut is_held) = Default::default();
        self.books
            .send_modify(|books| (takes, is_held) = books.send(&call));
        if is_held {
            self.until(|books| books.fence(&call.saga) > call.fence)
                .await;
        }
        tokio::time::sleep(takes).await;
        let mut reply = None;
        self.books.send_modify(|books| {
            books.late += u64::from(is_held);
            reply = books.arrive(&call);
        });
        reply
    }
}

async fn serve(
    State(server): State<Server>,
    method: Method,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Reply {
    let field = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let number = |name| field(name).and_then(|value| value.parse::<u64>().ok());
    let of = (field("saga"), number("fencing-token"), number("executor"));
    let (Some(saga), Some(fence), Some(executor)) = of else {
        return (StatusCode::BAD_REQUEST, "a field is missing".to_owned());
    };
    let call = Call {
        method,
        key,
        saga: saga.to_owned(),
        fence,
        executor: executor as u32,
        body,
    };
    // A task of its own, since a handler ends when its caller hangs up.
    match tokio::spawn(server.deliver(call)).await {
        Ok(Some(reply)) => reply,
        Ok(None) => std::future::pending().await,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
