//! What an answer, or an error, says of making its call again: by hand, and
//! in what real clients make of real sockets.

use axiomatic_core::context::Endpoint;
use axiomatic_core::{Advice, Advise, BoxError};
use axiomatic_http::{Grpc, Http, fields};
use axum::body::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

fn answer(fields: &[(&str, &str)]) -> Response<()> {
    let response = fields.iter().fold(
        Response::builder().status(503),
        |response, (name, value)| response.header(*name, *value),
    );
    response.body(()).unwrap()
}

fn advice<B: Advise<Response<()>, BoxError>>(binding: &B, fields: &[(&str, &str)]) -> Advice {
    binding.advice(Ok(&answer(fields)))
}

#[test]
fn an_answer_says_that_it_is_final() {
    let never = [("axiomatic-retry", "never")];
    assert_eq!(advice(&Http, &never), Advice::Never);
    assert_eq!(advice(&Http.to_body_end(), &never), Advice::Never);
    assert_eq!(advice(&Grpc, &never), Advice::Never);
    assert_eq!(advice(&Grpc.at_head(), &never), Advice::Never);
    assert_eq!(advice(&Http, &[("retry-after", "7")]), Advice::ByOutcome);
    assert_eq!(
        advice(&Http, &[("axiomatic-retry", "always")]),
        Advice::ByOutcome
    );
}

#[test]
fn a_pushback_below_zero_is_final_for_grpc_alone() {
    for (pushback, expected) in [
        ("-1", Advice::Never),
        ("soon", Advice::Never),
        ("7", Advice::ByOutcome),
    ] {
        // Trailers only: the status is in the head, and so is the pushback.
        let fields = [("grpc-status", "14"), ("grpc-retry-pushback-ms", pushback)];
        assert_eq!(advice(&Grpc, &fields), expected, "{pushback}");
        assert_eq!(advice(&Grpc.at_head(), &fields), expected, "{pushback}");
        assert_eq!(advice(&Http, &fields), Advice::ByOutcome, "{pushback}");
    }
}

#[test]
fn an_endpoint_in_the_extensions_is_the_one_that_answered() {
    fn endpoint<B: Advise<Response<()>, BoxError>>(
        binding: &B,
        endpoint: Option<Endpoint>,
    ) -> Option<Endpoint> {
        let mut response = answer(&[]);
        if let Some(endpoint) = endpoint {
            response.extensions_mut().insert(endpoint);
        }
        binding.endpoint(Ok(&response))
    }
    let seventh = Some(Endpoint::from_bytes(b"10.0.0.7:443"));
    for of in [None, seventh] {
        assert_eq!(endpoint(&Http, of), of);
        assert_eq!(endpoint(&Http.to_body_end(), of), of);
        assert_eq!(endpoint(&Grpc, of), of);
        assert_eq!(endpoint(&Grpc.at_head(), of), of);
    }
    let failed: Result<&Response<()>, &BoxError> = Err(&"broken".into());
    assert_eq!(Http.endpoint(failed), None);
}

#[test]
fn whoever_gives_up_marks_the_answer() {
    let mut given_up: Result<_, BoxError> = Ok(answer(&[]));
    Http.given_up(&mut given_up);
    let response = given_up.unwrap();
    assert!(fields::forbids_retry(response.headers()));
    assert_eq!(response.headers().len(), 1);
    assert_eq!(Http.advice(Ok::<_, &BoxError>(&response)), Advice::Never);

    let mut to_body_end: Result<_, BoxError> = Ok(answer(&[]));
    Http.to_body_end().given_up(&mut to_body_end);
    assert!(fields::forbids_retry(to_body_end.unwrap().headers()));

    for mark in [
        |answer: &mut _| Advise::<Response<()>, BoxError>::given_up(&Grpc, answer),
        |answer: &mut _| Advise::<Response<()>, BoxError>::given_up(&Grpc.at_head(), answer),
    ] {
        let mut given_up = Ok(answer(&[("grpc-retry-pushback-ms", "70")]));
        mark(&mut given_up);
        let response = given_up.unwrap();
        assert!(fields::forbids_retry(response.headers()));
        // For a client that knows gRPC and not us.
        assert_eq!(response.headers()["grpc-retry-pushback-ms"], "-1");
        assert_eq!(response.headers().len(), 2);
    }
    // An error has no place for it.
    let mut failed: Result<Response<()>, BoxError> = Err("broken".into());
    Http.given_up(&mut failed);
    assert_eq!(failed.unwrap_err().to_string(), "broken");
}

#[tokio::test]
async fn a_connection_that_was_refused_was_not_used() {
    // A port that was ours a moment ago, and that nobody listens on.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request = Request::get(format!("http://{address}/")).body(Empty::new());
    let error: BoxError = client.request(request.unwrap()).await.unwrap_err().into();
    let advice = |binding: &dyn Advise<Response<()>, BoxError>| binding.advice(Err(&error));
    assert_eq!(advice(&Http), Advice::Unsent, "{error:?}");
    assert_eq!(advice(&Http.to_body_end()), Advice::Unsent);
    assert_eq!(advice(&Grpc), Advice::Unsent);
    assert_eq!(advice(&Grpc.at_head()), Advice::Unsent);
}

#[tokio::test]
async fn a_connection_that_broke_may_have_been_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::post(format!("http://{address}/")).body(Full::from("sent"));
    let error: BoxError = client.request(request.unwrap()).await.unwrap_err().into();
    let advice = Http.advice(Err::<&Response<()>, _>(&error));
    assert_eq!(advice, Advice::ByOutcome, "{error:?}");
}

/// A server of HTTP/2 that is written in bytes, since no library lets one
/// choose what it has not processed.
#[cfg(feature = "h2")]
mod streams {
    use std::future::Future;

    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, duplex, split};

    use super::*;

    type Io = tokio::io::DuplexStream;

    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const SETTINGS_ACK: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    const NO_ERROR: u8 = 0;
    const INTERNAL_ERROR: u8 = 2;
    const REFUSED_STREAM: u8 = 7;
    const CANCEL: u8 = 8;
    const ENHANCE_YOUR_CALM: u8 = 11;

    fn reset(stream: u8, reason: u8) -> Vec<u8> {
        vec![0, 0, 4, 3, 0, 0, 0, 0, stream, 0, 0, 0, reason]
    }

    fn go_away(last_stream: u8, reason: u8) -> Vec<u8> {
        vec![
            0,
            0,
            8,
            7,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            last_stream,
            0,
            0,
            0,
            reason,
        ]
    }

    struct Server {
        from: ReadHalf<Io>,
        to: WriteHalf<Io>,
    }

    impl Server {
        /// Waits for the head of so many requests.
        async fn requests(&mut self, mut count: usize) {
            while count > 0 {
                let mut head = [0; 9];
                self.from.read_exact(&mut head).await.unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; length as usize];
                self.from.read_exact(&mut payload).await.unwrap();
                count -= usize::from(head[3] == 1);
            }
        }

        async fn send(&mut self, frame: &[u8]) {
            self.to.write_all(frame).await.unwrap();
        }
    }

    type Sender = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

    async fn connect() -> (Sender, Server) {
        let (ours, theirs) = duplex(1 << 16);
        let (mut from, mut to) = split(theirs);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(ours))
                .await
                .unwrap();
        tokio::spawn(connection);
        let mut preface = [0; 24];
        from.read_exact(&mut preface).await.unwrap();
        to.write_all(&SETTINGS).await.unwrap();
        to.write_all(&SETTINGS_ACK).await.unwrap();
        (sender, Server { from, to })
    }

    /// What becomes of a call, as a retry around hyper's client sees it.
    fn call(sender: &mut Sender) -> impl Future<Output = Advice> + use<> {
        let request = Request::get("http://server/").body(Empty::new());
        let answer = sender.send_request(request.unwrap());
        async move {
            let error: BoxError = answer.await.unwrap_err().into();
            Http.advice(Err::<&Response<()>, _>(&error))
        }
    }

    #[tokio::test]
    async fn a_stream_that_was_refused_was_not_processed() {
        for (reason, expected) in [
            (REFUSED_STREAM, Advice::Unsent),
            (CANCEL, Advice::ByOutcome),
            (INTERNAL_ERROR, Advice::ByOutcome),
            (NO_ERROR, Advice::ByOutcome),
            (ENHANCE_YOUR_CALM, Advice::ByOutcome),
        ] {
            let (mut sender, mut server) = connect().await;
            let serve = async {
                server.requests(1).await;
                server.send(&reset(1, reason)).await;
            };
            let (advice, ()) = tokio::join!(call(&mut sender), serve);
            assert_eq!(advice, expected, "{reason}");
        }
    }

    #[tokio::test]
    async fn a_stream_that_a_goaway_leaves_out_was_not_processed() {
        for (reason, expected) in [
            (NO_ERROR, Advice::Unsent),
            // It was not processed either, but is no reason to ask at once.
            (ENHANCE_YOUR_CALM, Advice::ByOutcome),
            (INTERNAL_ERROR, Advice::ByOutcome),
            (REFUSED_STREAM, Advice::ByOutcome),
        ] {
            let (mut sender, mut server) = connect().await;
            let (first, second) = (call(&mut sender), call(&mut sender));
            let serve = async {
                server.requests(2).await;
                server.send(&go_away(1, reason)).await;
            };
            // The first stream is 1, and is still being worked on.
            let (second, ()) = tokio::join!(second, serve);
            assert_eq!(second, expected, "{reason}");
            // Until the connection breaks, which is no promise.
            drop(server);
            assert_eq!(first.await, Advice::ByOutcome, "{reason}");
        }
    }

    /// It is our word then, and not that of the other side.
    #[tokio::test]
    async fn a_stream_that_we_reset_may_have_been_processed() {
        let (ours, theirs) = duplex(1 << 16);
        let server = tokio::spawn(async move {
            let (mut from, mut to) = split(theirs);
            let mut preface = [0; 24];
            from.read_exact(&mut preface).await.unwrap();
            to.write_all(&SETTINGS).await.unwrap();
            let mut server = Server { from, to };
            server.requests(1).await;
            server
        });
        let (mut client, connection) = h2::client::handshake(ours).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::post("http://server/").body(()).unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        let _server = server.await.unwrap();
        body.send_reset(h2::Reason::REFUSED_STREAM);
        let error = answer.await.unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::REFUSED_STREAM));
        let error: BoxError = error.into();
        let advice = Http.advice(Err::<&Response<()>, _>(&error));
        assert_eq!(advice, Advice::ByOutcome);
        connection.abort();
    }
}
