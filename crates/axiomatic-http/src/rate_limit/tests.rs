use std::time::{Duration, SystemTime};

use axiomatic_core::allowance::{Allowance, Announce, Heard, Heed, Policy};
use axiomatic_core::{Name, Outcome, Rejected};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::*;
use crate::retry_after::LONGEST;
use crate::{Grpc, Http};

const SECOND: Duration = Duration::from_secs(1);

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let fields = fields.iter().map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
    });
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, value);
    }
    headers
}

fn no_clock() -> SystemTime {
    panic!("no clock is needed")
}

fn heard(fields: &[(&'static str, &str)]) -> Option<Heard> {
    heed(StatusCode::OK, &headers(fields), no_clock)
}

fn policy(name: &'static str, quota: u64, window: Duration) -> Policy {
    Policy::new(name.into(), quota, window)
}

// tower-governor cuts the fraction off, so that 300 ms are 0 s: come now.
#[test]
fn what_is_less_than_a_second_is_one_and_never_none() {
    for (wait, expected) in [
        (Duration::ZERO, r#""a";r=0;t=1"#),
        (Duration::from_nanos(1), r#""a";r=0;t=1"#),
        (Duration::from_millis(300), r#""a";r=0;t=1"#),
        (SECOND, r#""a";r=0;t=1"#),
        (SECOND + Duration::from_nanos(1), r#""a";r=0;t=2"#),
        (Duration::from_millis(59_900), r#""a";r=0;t=60"#),
        (Duration::MAX, r#""a";r=0;t=999999999999999"#),
    ] {
        assert_eq!(limit_value("a".into(), 0, Some(wait)), expected, "{wait:?}");
    }
    for (window, expected) in [
        (Duration::ZERO, r#""a";q=5;w=1"#),
        (Duration::from_millis(10), r#""a";q=5;w=1"#),
        (Duration::from_millis(6_200), r#""a";q=5;w=7"#),
        (60 * SECOND, r#""a";q=5;w=60"#),
    ] {
        assert_eq!(
            policy_value(&policy("a", 5, window)),
            expected,
            "{window:?}"
        );
    }
}

#[test]
fn a_name_is_a_string_of_structured_fields_whatever_is_in_it() {
    for (name, expected) in [
        ("", r#""";r=1"#),
        ("per minute", r#""per minute";r=1"#),
        (r#"say "when""#, r#""say \"when\"";r=1"#),
        (r"back\slash", r#""back\\slash";r=1"#),
        ("a,b;c=d", r#""a,b;c=d";r=1"#),
        ("größe\r\nx-evil: 1\u{7f}", r#""gr__e__x-evil: 1_";r=1"#),
    ] {
        let value = limit_value(Name::literal(name), 1, None);
        assert_eq!(value, expected);
        let headers = HeaderMap::from_iter([(LIMIT.clone(), value)]);
        let heard = heed(StatusCode::OK, &headers, no_clock).unwrap();
        assert_eq!(heard.remaining(), Some(1), "{name:?}");
    }
}

#[test]
fn limiters_around_one_another_make_one_list() {
    let mut response = Response::new(());
    let mut say = |name, remaining, wait| {
        let policy = policy(name, 100, 60 * SECOND);
        Http.announce(&mut response, || Allowance::new(policy, remaining, wait));
    };
    say("route", 50, SECOND);
    say("tenant", 7, 2 * SECOND);
    say("global", 900, SECOND);
    let headers = response.headers();
    assert_eq!(headers.len(), 2);
    assert_eq!(
        headers[&LIMIT],
        r#""route";r=50;t=1, "tenant";r=7;t=2, "global";r=900;t=1"#
    );
    assert_eq!(
        headers[&POLICY],
        r#""route";q=100;w=60, "tenant";q=100;w=60, "global";q=100;w=60"#
    );
    let expected = Heard::nothing()
        .with_quota(100)
        .with_window(60 * SECOND)
        .with_remaining(7)
        .with_more_after(2 * SECOND);
    assert_eq!(Http.heed(&response), Some(expected));
}

#[test]
fn lines_that_are_there_already_stay() {
    let mut headers = headers(&[("ratelimit", r#""a";r=1"#), ("ratelimit", r#""b";r=2"#)]);
    announce(
        &mut headers,
        &Allowance::new(policy("c", 9, SECOND), 3, SECOND),
    );
    let lines: Vec<_> = headers.get_all(&LIMIT).iter().collect();
    assert_eq!(lines, [r#""a";r=1"#, r#""b";r=2"#, r#""c";r=3;t=1"#]);
}

#[test]
fn the_current_draft_is_read() {
    let both = heard(&[
        (
            "ratelimit-policy",
            r#""burst";q=100;w=60,"daily";q=1000;w=86400"#,
        ),
        ("ratelimit", r#""burst";r=50;t=30, "daily";r=40;t=9000"#),
    ]);
    let daily = Heard::nothing()
        .with_quota(1000)
        .with_window(86_400 * SECOND);
    assert_eq!(
        both,
        Some(daily.with_remaining(40).with_more_after(9_000 * SECOND))
    );
    // Of what is left, the least; of as much, what is there for longest.
    let tie = heard(&[(
        "ratelimit",
        r#""a";r=0;t=5, "b";r=0;t=9, "c";r=0, "d";r=3;t=70"#,
    )]);
    assert_eq!(tie.unwrap().more_after(), Some(9 * SECOND));
    assert_eq!(tie.unwrap().wait(), 9 * SECOND);
    // A token for a name, as some have it; parameters that nobody knows, and a
    // partition; the last of two with one key.
    let odd = heard(&[(
        "ratelimit",
        "default;r=9;r=3;acme-x=?1;pk=:cHsdsRa894==:;t=2",
    )]);
    assert_eq!(odd.unwrap().remaining(), Some(3));
    assert_eq!(odd.unwrap().more_after(), Some(2 * SECOND));
    // A policy alone: the lowest rate.
    let alone = heard(&[(
        "ratelimit-policy",
        r#""minute";q=100;w=60, "hour";q=1000;w=3600, "open";q=5"#,
    )]);
    let hour = Heard::nothing()
        .with_quota(1000)
        .with_window(3_600 * SECOND);
    assert_eq!(alone, Some(hour));
}

#[test]
fn what_counts_no_requests_limits_none() {
    let fields = [
        (
            "ratelimit-policy",
            r#""bytes";q=65535;qu="content-bytes";w=10, "calls";q=9;qu="requests";w=1"#,
        ),
        ("ratelimit", r#""bytes";r=0;t=9, "calls";r=5;t=1"#),
    ];
    assert_eq!(heard(&fields).unwrap().remaining(), Some(5));
    assert_eq!(heard(&fields[..1]).unwrap().quota(), Some(9));
}

#[test]
fn earlier_drafts_are_read() {
    let expected = Heard::nothing()
        .with_quota(100)
        .with_window(60 * SECOND)
        .with_remaining(50)
        .with_more_after(5 * SECOND);
    for fields in [
        &[
            ("ratelimit", "limit=100, remaining=50, reset=5"),
            ("ratelimit-policy", "10;w=1, 100;w=60"),
        ][..],
        &[
            ("ratelimit-limit", "100"),
            ("ratelimit-policy", "10;w=1, 100;w=60"),
            ("ratelimit-remaining", "50"),
            ("ratelimit-reset", "5"),
        ],
        &[
            ("ratelimit-limit", "100, 100;w=60"),
            ("ratelimit-remaining", "50"),
            ("ratelimit-reset", "5"),
        ],
        &[
            ("x-ratelimit-limit", "100, 100;w=60"),
            ("x-ratelimit-remaining", "50"),
            ("x-ratelimit-reset", "5"),
        ],
        &[
            ("x-rate-limit-limit", "100, 10;w=1, 100;w=60"),
            ("x-rate-limit-remaining", "50"),
            ("x-rate-limit-reset", "5"),
        ],
    ] {
        assert_eq!(heard(fields), Some(expected), "{fields:?}");
    }
    // What is newer goes before what is older.
    let mixed = heard(&[
        ("x-ratelimit-remaining", "9"),
        ("ratelimit-remaining", "8"),
        ("ratelimit", r#""a";r=7"#),
    ]);
    assert_eq!(mixed.unwrap().remaining(), Some(7));
    // And a number goes before what is only promised.
    let promised = heard(&[
        ("ratelimit-policy", r#""a";q=5;w=1"#),
        ("x-ratelimit-remaining", "9"),
    ]);
    assert_eq!(promised.unwrap().remaining(), Some(9));
}

#[test]
fn a_reset_is_seconds_or_a_moment_by_its_size() {
    const DATE: (&str, &str) = ("date", "Sun, 09 Sep 2001 01:46:40 GMT");
    let reset = |value, date: Option<(&'static str, &'static str)>| {
        let mut fields = vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", value)];
        fields.extend(date);
        heard(&fields).unwrap().more_after()
    };
    for (value, expected) in [
        ("0", Duration::ZERO),
        ("37", 37 * SECOND),
        ("37.25", Duration::from_millis(37_250)),
        ("999999999", 999_999_999 * SECOND),
    ] {
        assert_eq!(reset(value, None), Some(expected), "{value}");
    }
    // That date is the 1 000 000 000th second.
    for (value, expected) in [
        ("1000000000", Duration::ZERO),
        ("1000000060", 60 * SECOND),
        ("1000000060.5", Duration::from_millis(60_500)),
        ("1000000060500", Duration::from_millis(60_500)),
        ("999999999999", LONGEST),
    ] {
        assert_eq!(reset(value, Some(DATE)), Some(expected), "{value}");
    }
    // Without a date, our clock.
    let fields = headers(&[
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1000000060"),
    ]);
    let at = SystemTime::UNIX_EPOCH + 1_000_000_050 * SECOND;
    let ours = heed(StatusCode::OK, &fields, || at).unwrap();
    assert_eq!(ours.more_after(), Some(10 * SECOND));
}

#[test]
fn what_is_malformed_is_ignored() {
    for (name, value) in [
        ("ratelimit", ""),
        ("ratelimit", "50"),
        ("ratelimit", r#""a""#),
        ("ratelimit", r#""a";r"#),
        ("ratelimit", r#""a";r=-1"#),
        ("ratelimit", r#""a";r=1.0"#),
        ("ratelimit", r#""a";r="1""#),
        ("ratelimit", r#""a";r=1;t=soon"#),
        ("ratelimit", r#""a";r=1;t=-1"#),
        ("ratelimit", r#""a";r=1000000000000000"#),
        ("ratelimit", r#""a";r=1,"#),
        ("ratelimit", r#""a;r=1"#),
        ("ratelimit", r#"("a" "b");r=1"#),
        ("ratelimit", r#""a";r=1, "ä";r=0"#),
        ("ratelimit", r#""a";r=1; T=0"#),
        ("ratelimit", "remaining=x"),
        ("ratelimit", "remaining=(1 2)"),
        ("ratelimit-policy", r#""a";w=60"#),
        ("ratelimit-policy", r#""a";q=1;w=0"#),
        ("ratelimit-policy", r#""a";q=x"#),
        ("ratelimit-policy", "100;w=60"),
        ("ratelimit-limit", "many"),
        ("ratelimit-remaining", "-1"),
        ("x-ratelimit-remaining", "1e3"),
        ("x-ratelimit-remaining", "1.5"),
        ("x-ratelimit-remaining", "5, 6"),
        ("x-ratelimit-reset", "5"),
        ("retry-after", "soon"),
    ] {
        let fields = headers(&[(name, value)]);
        let heard = heed(StatusCode::TOO_MANY_REQUESTS, &fields, no_clock);
        assert_eq!(heard, None, "{name}: {value}");
    }
    // One line that is no list, and what another says is ignored with it; a
    // member that says nothing leaves the others as they are.
    assert_eq!(
        heard(&[("ratelimit", r#""a";r=1"#), ("ratelimit", "?")]),
        None
    );
    let other = heard(&[("ratelimit", r#""a";t=9, "b";r=4"#)]);
    assert_eq!(other.unwrap().remaining(), Some(4));
}

#[test]
fn what_comes_out_of_a_cache_speaks_of_another_moment() {
    let left = |age| {
        let fields = [("ratelimit", r#""a";r=0;t=9"#), ("age", age)];
        heard(&fields).map(|heard| heard.wait())
    };
    assert_eq!(left("0"), Some(9 * SECOND));
    assert_eq!(left("1"), None);
    assert_eq!(left("3600"), None);
}

#[test]
fn no_more_than_a_few_limits_are_looked_at() {
    let mut list = vec![r#""a";r=9"#; 16].join(", ");
    list.push_str(r#", "a";r=1"#);
    assert_eq!(heard(&[("ratelimit", &list)]).unwrap().remaining(), Some(9));
}

#[test]
fn a_refusal_says_until_when_and_a_redirection_does_not() {
    let fields = headers(&[("retry-after", "7"), ("ratelimit", r#""a";r=5;t=60"#)]);
    let wait = |status| heed(status, &fields, no_clock).unwrap().wait();
    assert_eq!(wait(StatusCode::TOO_MANY_REQUESTS), 7 * SECOND);
    assert_eq!(wait(StatusCode::SERVICE_UNAVAILABLE), 7 * SECOND);
    assert_eq!(wait(StatusCode::FORBIDDEN), 7 * SECOND);
    assert_eq!(wait(StatusCode::SEE_OTHER), Duration::ZERO);
    let alone = headers(&[("retry-after", "7")]);
    assert_eq!(heed(StatusCode::SEE_OTHER, &alone, no_clock), None);
}

#[test]
fn bindings_around_http_hand_both_on_and_grpc_does_neither() {
    let allowance = Allowance::new(policy("a", 9, SECOND), 3, SECOND);
    let told = |announced: &Response<()>| announced.headers().contains_key(&LIMIT);

    let mut response = Response::new(());
    let to_end = Http.to_body_end();
    to_end.announce(&mut response, || allowance);
    assert!(told(&response));
    assert_eq!(to_end.heed(&response).unwrap().remaining(), Some(3));

    let classify = |_: Result<&Response<()>, &Rejected>| Outcome::Success;
    let classified = Http.to_body_end().classified_by(classify);
    let mut again = Response::new(());
    classified.announce(&mut again, || allowance);
    assert_eq!(again.headers(), response.headers());
    assert_eq!(classified.heed(&again), to_end.heed(&response));

    let mut silent = Response::new(());
    Grpc.announce(&mut silent, || panic!("nobody listens"));
    Grpc.at_head()
        .announce(&mut silent, || panic!("nobody listens"));
    assert!(silent.headers().is_empty());
    assert_eq!(Grpc.heed(&response), None);
    assert_eq!(Grpc.at_head().heed(&response), None);
}
