pub(crate) mod oracle;

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use axiomatic_core::allowance::{Allowance, Announce, Heard, Heed, Policy};
use axiomatic_core::{BoxError, Pattern, Plain, Reason, Rejected};
use axiomatic_http::{Http, RejectionLayer, rate_limit};
use http::{HeaderMap, HeaderValue, Response};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

use oracle::{allowances, check_heard, check_read, check_written, headers, heed};

const SECOND: Duration = Duration::from_secs(1);

/// Anything at all, and things that are nearly right.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let anything = prop::collection::vec(any::<u8>(), 0..60);
    let member = r#"("[ab]"|a|[0-9]{1,3})(;(r|t|q|w|qu)(=([0-9]{1,2}|"requests"|-1|2\.5))?){0,3}"#;
    let list = prop::collection::vec(member, 1..4).prop_map(|members| members.join(", "));
    let lists = prop::collection::vec(("[lp]", list), 1..4).prop_map(|lines| {
        let lines = lines.into_iter().map(|(which, list)| which + &list);
        lines.collect::<Vec<_>>().join("\n").into_bytes()
    });
    let others = prop::collection::vec("[0-9lp][0-9.,;=a-z\" ]{0,16}", 0..6);
    let others = others.prop_map(|lines| lines.join("\n").into_bytes());
    prop_oneof![anything, lists, others]
}

proptest! {
    #[test]
    fn whatever_is_sent_is_heard_in_bounds_or_not_at_all(lines in lines()) {
        prop_assert_eq!(check_read(&headers(&lines)), Ok(()));
    }

    #[test]
    fn what_is_announced_is_heard(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(check_written(&allowances(&bytes)), Ok(()));
    }

    #[test]
    fn any_name_is_announced_and_heard(name in any::<String>(), remaining in 0..1_000_u64) {
        let Ok(name) = axiomatic_core::Name::intern(&name) else {
            return Ok(());
        };
        let policy = Policy::new(name, 1_000, SECOND);
        prop_assert_eq!(check_written(&[Allowance::new(policy, remaining, SECOND)]), Ok(()));
    }

    #[test]
    fn whatever_is_claimed_an_address_is_the_one_of_the_last_proxy(
        claimed in prop::collection::vec(any::<u8>(), 0..40),
        last in any::<[u8; 4]>(),
    ) {
        let address = std::net::IpAddr::from(last);
        let mut line = claimed;
        line.extend_from_slice(format!(", {address}").as_bytes());
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", value);
            prop_assert_eq!(rate_limit::forwarded_for(&headers, 1), Some(address));
            // No number of hops makes it fail in another way than by nothing.
            for hops in 0..9 {
                let _ = rate_limit::forwarded_for(&headers, hops);
            }
        }
    }
}

#[test]
fn what_the_fuzzer_found_or_began_with_is_as_it_should_be() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut replayed = 0;
    for place in ["corpus/http_rate_limit", "regressions/http_rate_limit"] {
        for file in std::fs::read_dir(fuzz.join(place)).into_iter().flatten() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(check_read(&headers(&bytes)), Ok(()), "{path:?}");
            assert_eq!(check_written(&allowances(&bytes)), Ok(()), "{path:?}");
            replayed += 1;
        }
    }
    assert!(replayed >= 5, "{replayed} files; is the corpus gone?");
}

/// The oracle is worth something only if it sees what is wrong.
#[test]
fn the_oracle_of_rates_sees_planted_bugs() {
    let nothing = Heard::nothing();
    for (lines, careless) in [
        // The first of two, and the last.
        (r#"l"a";r=5, "b";r=2"#, nothing.with_remaining(5)),
        (r#"l"a";r=2, "b";r=5"#, nothing.with_remaining(5)),
        // A line that is no list, cut off at what is wrong.
        (r#"l"a";r=2,"#, nothing.with_remaining(2)),
        ("l\"a\";r=2\nl?", nothing.with_remaining(2)),
        // Signs, fractions and a number that is too long, taken for numbers.
        (r#"l"a";r=-2"#, nothing.with_remaining(2)),
        (r#"l"a";r=2.5"#, nothing.with_remaining(2)),
        (
            r#"l"a";r=1000000000000000"#,
            nothing.with_remaining(1_000_000_000_000_000),
        ),
        // The first of two parameters with one key.
        (r#"l"a";r=2;r=3"#, nothing.with_remaining(2)),
        // Bytes for requests, and a window of no length.
        (
            "l\"a\";r=0, \"b\";r=4\np\"a\";q=9;qu=\"content-bytes\"",
            nothing.with_remaining(0),
        ),
        (
            r#"p"a";q=9;w=0"#,
            nothing.with_quota(9).with_window(Duration::ZERO),
        ),
        // Of a policy what belongs to another.
        (
            "l\"b\";r=4\np\"a\";q=9, \"b\";q=5",
            nothing.with_quota(9).with_remaining(4),
        ),
        // As long as is said, which is longer than anybody waits.
        (
            r#"l"a";r=0;t=999999999999999"#,
            nothing
                .with_remaining(0)
                .with_more_after(Duration::from_secs(999_999_999_999_999)),
        ),
    ] {
        let headers = headers(lines.as_bytes());
        assert!(check_heard(&headers, Some(careless)).is_err(), "{lines}");
        assert_eq!(check_heard(&headers, heed(&headers)), Ok(()), "{lines}");
    }
    let said = headers(br#"l"a";r=2"#);
    assert!(check_heard(&said, None).is_err());
    assert!(check_heard(&HeaderMap::new(), Some(nothing)).is_err());
}

#[test]
fn nobody_is_asked_what_is_left_where_nobody_listens() {
    let mut response = Response::new(());
    Plain.announce(&mut response, || unreachable!());
    assert_eq!(response.headers().capacity(), 0);
    assert_eq!(Heed::heed(&Plain, &response), None);
}

fn limited() -> Rejected {
    Rejected::new(Pattern::RateLimiter, Reason::Limited).with_name("search".into())
}

async fn refused(layer: &RejectionLayer, rejected: Rejected) -> HeaderMap {
    let inner = service_fn(move |(): ()| {
        std::future::ready(Err::<Response<String>, BoxError>(rejected.into()))
    });
    let answer: Result<_, Infallible> = layer.layer(inner).oneshot(()).await;
    let Ok(response) = answer;
    response.headers().clone()
}

fn announcing() -> RejectionLayer {
    let policies = [("global", 1_000), ("search", 100)];
    let policies = policies.map(|(name, quota)| Policy::new(name.into(), quota, 60 * SECOND));
    RejectionLayer::new().announcing(policies)
}

#[tokio::test]
async fn a_refusal_names_the_policy_that_may_be_named() {
    let layer = announcing();
    for millis in [1, 300, 1_000, 1_001, 7_000] {
        let wait = Duration::from_millis(millis);
        let headers = refused(&layer, limited().with_retry_after(wait)).await;
        assert_eq!(headers["ratelimit-policy"], r#""search";q=100;w=60"#);
        let seconds = millis.div_ceil(1_000);
        let limit = format!(r#""search";r=0;t={seconds}"#);
        assert_eq!(headers["ratelimit"], limit);
        // No earlier than what it says there.
        let later: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(
            (seconds..=seconds + 3).contains(&later),
            "{millis}: {later}"
        );
    }
    let exact = announcing().exact();
    let headers = refused(&exact, limited().with_retry_after(2 * SECOND)).await;
    assert_eq!(headers["retry-after"], "2");
    assert_eq!(headers["ratelimit"], r#""search";r=0;t=2"#);
}

#[tokio::test]
async fn a_refusal_for_ever_says_no_time() {
    let headers = refused(&announcing(), limited()).await;
    assert_eq!(headers["ratelimit"], r#""search";r=0"#);
    assert!(!headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_policy_that_nobody_announced_is_not_named() {
    let silent = refused(&RejectionLayer::new(), limited()).await;
    let other = limited().with_name("secret".into());
    let unnamed = Rejected::new(Pattern::RateLimiter, Reason::Limited);
    let shed = Rejected::new(Pattern::LoadShedder, Reason::Shed).with_name("search".into());
    let mut answers = vec![silent];
    for rejected in [other, unnamed, shed] {
        answers.push(refused(&announcing(), rejected).await);
    }
    for headers in answers {
        assert!(!headers.contains_key("ratelimit"), "{headers:?}");
        assert!(!headers.contains_key("ratelimit-policy"), "{headers:?}");
        assert!(!format!("{headers:?}").contains("secret"));
    }
}

#[tokio::test]
async fn what_was_refused_there_is_heard_here() {
    let rejected = limited().with_retry_after(Duration::from_millis(300));
    let inner = service_fn(move |(): ()| {
        std::future::ready(Err::<Response<String>, BoxError>(rejected.into()))
    });
    let layer = announcing().exact();
    // Handed on by another layer, it is announced as before.
    let Ok(response) = layer.layer(inner).oneshot(()).await;
    let heard = Http.heed(&response).unwrap();
    let expected = Heard::nothing()
        .with_quota(100)
        .with_window(60 * SECOND)
        .with_remaining(0)
        .with_more_after(SECOND)
        .with_retry_after(SECOND);
    assert_eq!(heard, expected);
    assert_eq!(heard.wait(), SECOND);
}
