use axiomatic_core::Context;
use axiomatic_core::context::{Priority, Repeatability};
use axiomatic_core::repeat::Repeat;
use axiomatic_http::WhenIdempotent;
use http::{Method, Request};

fn is_repeated(context: &Context, method: Method, key: Option<&str>) -> bool {
    let mut request = Request::builder().method(method);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body("body").unwrap();
    let again = WhenIdempotent.repeat(context, &request);
    assert!(again.iter().all(|again| WhenIdempotent.is_intact(again)));
    again.is_some()
}

#[test]
fn a_method_or_a_key_says_what_may_be_sent_twice() {
    let context = Context::default();
    for method in [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
    ] {
        assert!(is_repeated(&context, method.clone(), None), "{method}");
    }
    let others = [Method::POST, Method::PATCH, Method::CONNECT];
    let own = Method::from_bytes(b"CHARGE").unwrap();
    for method in others.into_iter().chain([own]) {
        assert!(!is_repeated(&context, method.clone(), None), "{method}");
        let with_key = |key| is_repeated(&context, method.clone(), Some(key));
        assert!(with_key("\"8e03978e\""), "{method}");
        assert!(!with_key(""), "{method}: no key is in it");
    }
}

#[test]
fn what_the_context_declares_goes_first() {
    let declared = |as_| Context::default().with_repeatability(as_);
    let once = declared(Repeatability::Once);
    assert!(!is_repeated(&once, Method::GET, Some("\"8e03978e\"")));
    let repeatable = declared(Repeatability::Repeatable);
    assert!(is_repeated(&repeatable, Method::POST, None));
}

#[test]
fn the_second_request_is_the_first_once_more() {
    let context = Context::default().with_priority(Priority::SHEDDABLE);
    let request = Request::put("http://dependency/report?day=7")
        .version(http::Version::HTTP_2)
        .header("x-kept", "yes")
        .extension(context.clone())
        .body(String::from("body"))
        .unwrap();
    let again = WhenIdempotent.repeat(&context, &request).unwrap();
    assert_eq!(format!("{again:?}"), format!("{request:?}"));
    assert_eq!(again.extensions().get(), Some(&context));

    let request = request.map(|body| axiomatic_http::ReplayBody::new(body, 100));
    let again = WhenIdempotent.repeat(&context, &request).unwrap();
    assert_eq!(format!("{again:?}"), format!("{request:?}"));
    assert_eq!(again.extensions().get(), Some(&context));
}
