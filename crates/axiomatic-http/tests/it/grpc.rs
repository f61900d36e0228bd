//! What answers of gRPC mean, code by code, and where they say it.

use std::task::Poll;
use std::time::Duration;

use axiomatic_core::{
    BoxError, Carrier, Classify, Complete, Context, Outcome, Pattern, Reason, Rejected,
};
use axiomatic_http::body_end::PermitBody;
use axiomatic_http::grpc::{self, ByTrailers, Code, Pushback};
use axiomatic_http::{Grpc, Http};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;

use crate::scripted::{
    FAILED, GOOD, Knows, Permit, Scripted, Step, Verdict, Verdicts, poll, trailers,
};
const THROTTLED: Outcome = Outcome::Throttled { retry_after: None };

fn head(status: u16, fields: &HeaderMap, body: Scripted) -> Response<Scripted> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = fields.clone();
    response
}

/// Completes an answer, as a layer does.
fn answer(
    status: u16,
    fields: &HeaderMap,
    knows: Knows,
    steps: impl IntoIterator<Item = Step>,
) -> (Verdicts, PermitBody<Scripted, Permit, ByTrailers>) {
    let response = head(status, fields, Scripted::new(knows, steps));
    let outcome = Classify::classify(&Grpc, Ok::<_, &BoxError>(&response));
    let verdicts = Verdicts::default();
    let response = Grpc.complete(verdicts.permit(), outcome, response);
    (verdicts, response.into_body())
}

fn status(code: &'static str) -> HeaderMap {
    trailers("grpc-status", code)
}

#[test]
fn a_code_means_what_the_table_says() {
    let table = [
        (Code::Ok, "0", Outcome::Success),
        (Code::Cancelled, "1", Outcome::Ignored),
        (Code::Unknown, "2", Outcome::Transient),
        (Code::InvalidArgument, "3", Outcome::Permanent),
        (Code::DeadlineExceeded, "4", Outcome::Transient),
        (Code::NotFound, "5", Outcome::Permanent),
        (Code::AlreadyExists, "6", Outcome::Permanent),
        (Code::PermissionDenied, "7", Outcome::Permanent),
        (Code::ResourceExhausted, "8", THROTTLED),
        (Code::FailedPrecondition, "9", Outcome::Permanent),
        (Code::Aborted, "10", Outcome::Transient),
        (Code::OutOfRange, "11", Outcome::Permanent),
        (Code::Unimplemented, "12", Outcome::Permanent),
        (Code::Internal, "13", Outcome::Transient),
        (Code::Unavailable, "14", Outcome::Transient),
        (Code::DataLoss, "15", Outcome::Transient),
        (Code::Unauthenticated, "16", Outcome::Permanent),
    ];
    assert_eq!(table.map(|(code, ..)| code), Code::ALL);
    for (code, sent, outcome) in table {
        assert_eq!(Code::read(&status(sent)), Some(code));
        assert_eq!(code.outcome(), outcome, "{code:?}");
        assert_eq!(grpc::outcome(&status(sent)), Some(outcome));
    }
    for sent in ["17", "-1", "", "OK", "0x0", "99999999999999999999999"] {
        assert_eq!(Code::read(&status(sent)), Some(Code::Unknown), "{sent:?}");
    }
    assert_eq!(Code::read(&HeaderMap::new()), None);
    assert_eq!(grpc::outcome(&HeaderMap::new()), None);
}

#[test]
fn a_status_of_http_counts_only_without_one_of_grpc() {
    for (http, outcome) in [
        (400, Outcome::Transient),
        (401, Outcome::Permanent),
        (403, Outcome::Permanent),
        (404, Outcome::Permanent),
        (408, Outcome::Transient),
        (429, THROTTLED),
        (204, Outcome::Transient),
        (302, Outcome::Transient),
        (500, Outcome::Transient),
        (502, Outcome::Transient),
        (503, THROTTLED),
        (504, Outcome::Transient),
    ] {
        // At once: the body is a page of a proxy.
        let steps = [Step::Data("<html>"), Step::Data("</html>")];
        let (verdicts, _body) = answer(http, &HeaderMap::new(), Knows::Nothing, steps);
        assert_eq!(verdicts.all(), [Verdict::Settled(outcome)], "{http}");
        let (verdicts, _body) = answer(http, &status("0"), Knows::Nothing, []);
        assert_eq!(verdicts.all(), [GOOD], "{http}");
    }
    for (status, code) in [
        (400, Code::Internal),
        (404, Code::Unimplemented),
        (429, Code::Unavailable),
    ] {
        assert_eq!(Code::of_http(StatusCode::from_u16(status).unwrap()), code);
    }
    let (verdicts, _body) = answer(503, &trailers("retry-after", "7"), Knows::Nothing, []);
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(
        verdicts.all(),
        [Verdict::Settled(Outcome::Throttled { retry_after })]
    );
}

#[test]
fn the_trailers_decide() {
    for (code, outcome) in [
        ("0", Outcome::Success),
        ("5", Outcome::Permanent),
        ("14", Outcome::Transient),
        ("8", THROTTLED),
        ("1", Outcome::Ignored),
    ] {
        for knows in [Knows::Nothing, Knows::ItsEnd, Knows::ItsLength] {
            let steps = [
                Step::Data("message"),
                Step::Pending,
                Step::Trailers(status(code)),
            ];
            let (verdicts, mut body) = answer(200, &HeaderMap::new(), knows, steps);
            assert!(poll(&mut body).is_ready());
            assert!(poll(&mut body).is_pending());
            assert_eq!(verdicts.all(), [], "a message is no verdict");
            assert!(poll(&mut body).is_ready());
            assert_eq!(verdicts.all(), [Verdict::Settled(outcome)], "{code}");
            assert!(matches!(poll(&mut body), Poll::Ready(None)));
            drop(body);
            assert_eq!(verdicts.all().len(), 1);
        }
    }
}

#[test]
fn an_answer_without_a_status_is_transient() {
    let without = [
        vec![Step::Data("message")],
        vec![Step::Data("message"), Step::Break],
        vec![Step::Trailers(trailers("x-other", "1"))],
        vec![],
    ];
    for steps in without {
        for knows in [Knows::Nothing, Knows::ItsEnd] {
            let (verdicts, mut body) = answer(200, &HeaderMap::new(), knows, steps.clone());
            while !matches!(poll(&mut body), Poll::Ready(None | Some(Err(_)))) {}
            assert_eq!(verdicts.all(), [FAILED], "{steps:?}");
        }
    }
}

#[test]
fn dropped_before_its_trailers_is_cancelled() {
    // Also if all of the messages have come, and the body knows that.
    let steps = || [Step::Data("message"), Step::Trailers(status("14"))];
    for knows in [Knows::Nothing, Knows::ItsEnd, Knows::ItsLength] {
        for polls in 0..=1 {
            let (verdicts, mut body) = answer(200, &HeaderMap::new(), knows, steps());
            (0..polls).for_each(|_| assert!(poll(&mut body).is_ready()));
            drop(body);
            assert_eq!(verdicts.all(), [Verdict::Cancelled], "{knows:?} {polls}");
        }
    }
}

#[test]
fn trailers_only_is_settled_at_once() {
    for (code, outcome) in [
        ("0", Outcome::Success),
        ("5", Outcome::Permanent),
        ("14", Outcome::Transient),
    ] {
        let (verdicts, mut body) = answer(200, &status(code), Knows::Nothing, []);
        assert_eq!(verdicts.all(), [Verdict::Settled(outcome)]);
        assert!(poll(&mut body).is_ready());
        drop(body);
        assert_eq!(verdicts.all().len(), 1);
    }
}

#[test]
fn a_pushback_throttles() {
    let with = |code, pushback: &'static str| {
        let mut fields = status(code);
        fields.insert("grpc-retry-pushback-ms", pushback.parse().unwrap());
        fields
    };
    let wait = Duration::from_millis(1500);
    let until = Outcome::Throttled {
        retry_after: Some(wait),
    };
    for (code, outcome) in [
        ("8", until),
        ("14", until),
        ("0", Outcome::Success),
        ("5", Outcome::Permanent),
    ] {
        assert_eq!(grpc::outcome(&with(code, "1500")), Some(outcome), "{code}");
    }
    assert_eq!(
        Pushback::read(&with("14", "1500")),
        Some(Pushback::Wait(wait))
    );
    // "Do not try again": the code stands, and whoever retries has to look.
    for never in ["-1", "soon", "", "1.5", "99999999999"] {
        assert_eq!(
            Pushback::read(&with("14", never)),
            Some(Pushback::Never),
            "{never:?}"
        );
        assert_eq!(grpc::outcome(&with("14", never)), Some(Outcome::Transient));
        assert_eq!(grpc::outcome(&with("8", never)), Some(THROTTLED));
    }
    assert_eq!(Pushback::read(&status("14")), None);
    let steps = [Step::Trailers(with("14", "1500"))];
    let (verdicts, mut body) = answer(200, &HeaderMap::new(), Knows::Nothing, steps);
    assert!(poll(&mut body).is_ready());
    assert_eq!(verdicts.all(), [Verdict::Settled(until)]);
}

#[test]
fn at_head_a_stream_holds_no_permit() {
    let binding = Grpc.at_head();
    for (http, fields, verdict) in [
        (200, HeaderMap::new(), GOOD),
        (200, status("14"), FAILED),
        (502, HeaderMap::new(), FAILED),
    ] {
        let steps = [Step::Pending, Step::Trailers(status("14"))];
        let response = head(http, &fields, Scripted::new(Knows::Nothing, steps));
        let outcome = Classify::classify(&binding, Ok::<_, &BoxError>(&response));
        let verdicts = Verdicts::default();
        let response: Response<Scripted> = binding.complete(verdicts.permit(), outcome, response);
        assert_eq!(verdicts.all(), [verdict]);
        assert!(!response.body().is_end_stream());
    }
}

#[test]
fn what_is_reclassified_at_the_head_is_confirmed_by_the_trailers() {
    let binding = Grpc.classified_by(
        |result: Result<&Response<Scripted>, &BoxError>| match result {
            Ok(response) if response.headers().contains_key("x-stale") => Outcome::Transient,
            other => Classify::classify(&Grpc, other),
        },
    );
    for (fields, code, verdict) in [
        (trailers("x-stale", "1"), "0", FAILED),
        (HeaderMap::new(), "13", FAILED),
        (HeaderMap::new(), "0", GOOD),
    ] {
        let steps = [Step::Trailers(status(code))];
        let response = head(200, &fields, Scripted::new(Knows::Nothing, steps));
        let outcome = Classify::classify(&binding, Ok::<_, &BoxError>(&response));
        let verdicts = Verdicts::default();
        let mut body = binding
            .complete(verdicts.permit(), outcome, response)
            .into_body();
        assert!(poll(&mut body).is_ready());
        assert_eq!(verdicts.all(), [verdict]);
    }
}

#[test]
fn errors_and_context_are_those_of_http() {
    let refused: BoxError = Rejected::new(Pattern::Bulkhead, Reason::Full).into();
    let classify = |error: &BoxError| Classify::<Response<()>, _>::classify(&Grpc, Err(error));
    assert_eq!(classify(&refused), Outcome::Ignored);
    assert_eq!(classify(&"reset".into()), Outcome::Transient);

    let context = Context::default().with_priority(axiomatic_core::context::Priority::SHEDDABLE);
    let mut request = Request::new(());
    Grpc.set_context(&mut request, context.clone());
    assert_eq!(Http.context(&request), context);
    assert_eq!(Grpc.at_head().context(&request), context);
}
