use axiomatic_core::context::{AdmissionLevel, Deadline, Priority};
use axiomatic_core::time::Instant;
use axiomatic_core::{Context, Name};
use http::HeaderMap;

use super::*;

fn headers(name: &'static HeaderName, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name.clone(), HeaderValue::from_str(value).unwrap())])
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_timeout_is_read_in_both_its_forms() {
    for (value, expected) in [
        ("0", millis(0)),
        ("1500", millis(1500)),
        ("007", millis(7)),
        ("86400001", LONGEST_TIMEOUT),
        ("999999999999999", LONGEST_TIMEOUT),
    ] {
        assert_eq!(timeout(&headers(&TIMEOUT, value)), Some(expected));
    }
    for (value, expected) in [
        ("0n", millis(0)),
        ("1n", Duration::from_nanos(1)),
        ("100u", Duration::from_micros(100)),
        ("1500m", millis(1500)),
        ("2S", millis(2_000)),
        ("3M", millis(180_000)),
        ("1H", millis(3_600_000)),
        ("99999999H", LONGEST_TIMEOUT),
    ] {
        assert_eq!(timeout(&headers(&GRPC_TIMEOUT, value)), Some(expected));
    }
}

#[test]
fn of_two_timeouts_the_shorter_counts() {
    for (ours, theirs, expected) in [("5", "7m", 5), ("9", "7m", 7), ("no", "7m", 7)] {
        let mut headers = headers(&TIMEOUT, ours);
        headers.insert(&GRPC_TIMEOUT, theirs.parse().unwrap());
        assert_eq!(timeout(&headers), Some(millis(expected)));
    }
}

#[test]
fn what_is_not_exactly_of_its_form_is_nothing() {
    for value in [
        "",
        "-1",
        "+1",
        "1.5",
        "1 ",
        "1e3",
        "0x10",
        "soon",
        "1,2",
        "1m",
        "1;a=1",
        "1000000000000000",
    ] {
        assert_eq!(timeout(&headers(&TIMEOUT, value)), None, "{value:?}");
        assert_eq!(attempt(&headers(&ATTEMPT, value)), None, "{value:?}");
        assert_eq!(priority(&headers(&PRIORITY, value)), None, "{value:?}");
    }
    for value in [
        "",
        "1",
        "m",
        "1 m",
        "-1m",
        "1.5S",
        "1s",
        "1h",
        "123456789n",
        "1mm",
        "S1",
    ] {
        assert_eq!(timeout(&headers(&GRPC_TIMEOUT, value)), None, "{value:?}");
    }
    for value in ["", "1", "?0", "?1 ", "true", "yes"] {
        assert!(!is_retried(&headers(&RETRIED, value)), "{value:?}");
    }
    for value in ["", "Never", "no", "never, never"] {
        assert!(!forbids_retry(&headers(&RETRY, value)), "{value:?}");
    }
    assert_eq!(attempt(&headers(&ATTEMPT, "0")), None);
    assert_eq!(priority(&headers(&PRIORITY, "256")), None);
    let not_ascii = HeaderValue::from_bytes(b"\xb2").unwrap();
    let headers = HeaderMap::from_iter([(TIMEOUT.clone(), not_ascii)]);
    assert_eq!(timeout(&headers), None);
}

#[test]
fn a_field_that_is_there_twice_says_nothing() {
    let twice = |name: &'static HeaderName, value: &'static str| {
        let mut headers = headers(name, value);
        headers.append(name, HeaderValue::from_static(value));
        headers
    };
    assert_eq!(timeout(&twice(&TIMEOUT, "5")), None);
    assert_eq!(timeout(&twice(&GRPC_TIMEOUT, "5m")), None);
    assert_eq!(attempt(&twice(&ATTEMPT, "2")), None);
    assert_eq!(priority(&twice(&PRIORITY, "2")), None);
    assert_eq!(priority(&twice(&PRIORITY, "sheddable")), None);
    assert_eq!(admission_level(&twice(&ADMISSION_LEVEL, "2")), None);
    assert!(!is_retried(&twice(&RETRIED, "?1")));
    assert!(!forbids_retry(&twice(&RETRY, "never")));
}

#[test]
fn numbers_of_strangers_are_capped() {
    assert_eq!(attempt(&headers(&ATTEMPT, "3")), Some(3));
    for value in ["100", "101", "4294967297", "999999999999999"] {
        assert_eq!(attempt(&headers(&ATTEMPT, value)), Some(HIGHEST_ATTEMPT));
    }
    let highest = Some(Priority::from_u8(255));
    assert_eq!(priority(&headers(&PRIORITY, "255")), highest);
}

#[test]
fn a_class_is_read_as_its_number() {
    for (class, number) in [
        ("sheddable", 0),
        ("sheddable-plus", 64),
        ("critical", 128),
        ("critical-plus", 192),
    ] {
        let expected = Some(Priority::from_u8(number));
        assert_eq!(priority(&headers(&PRIORITY, class)), expected);
        for level in 0..64 {
            let text = format!("{class};level={level}");
            let expected = Some(Priority::from_u8(number + level));
            assert_eq!(priority(&headers(&PRIORITY, &text)), expected, "{text}");
        }
    }
}

#[test]
fn what_is_nearly_a_class_is_no_priority() {
    for value in [
        "critical plus",
        "Critical",
        "CRITICAL",
        "criticality",
        "crit",
        "\"critical\"",
        "critical ",
        " critical",
        "critical;",
        "critical;level",
        "critical;level=",
        "critical;level=64",
        "critical;level=256",
        "critical;level=003",
        "critical;level=-1",
        "critical;level=1.0",
        "critical; level=1",
        "critical;level=1;level=1",
        "critical;level=1;a=1",
        "critical;a=1;level=1",
        "critical;Level=1",
        ";level=1",
        "128;level=1",
        "critical, critical",
        "u=3",
    ] {
        assert_eq!(priority(&headers(&PRIORITY, value)), None, "{value:?}");
    }
}

#[test]
fn a_level_is_read_with_the_share_and_without() {
    for (value, number, refused) in [
        ("0", 0, 0),
        ("128", 128, 0),
        ("128;refused=0", 128, 0),
        ("128;refused=16384", 128, 16_384),
        ("007;refused=00001", 7, 1),
        ("255;refused=65535", 255, 65_535),
    ] {
        let level = AdmissionLevel::at(Priority::from_u8(number), refused);
        let read = admission_level(&headers(&ADMISSION_LEVEL, value));
        assert_eq!(read, Some(level), "{value}");
    }
}

#[test]
fn a_level_that_is_not_exactly_of_its_form_is_not_heard() {
    for value in [
        "",
        "-1",
        "256",
        "0128",
        "1.0",
        "critical",
        "128;",
        "128;refused",
        "128;refused=",
        "128;refused=-1",
        "128;refused=65536",
        "128;refused=000001",
        "128;refused=1.5",
        "128;refused=?1",
        "128;refused=\"1\"",
        "128; refused=1",
        "128 ;refused=1",
        "128;refused=1 ",
        "128;refused=1;refused=2",
        "128;refused=1;a",
        "128;a;refused=1",
        "128;admitted=1",
        ";refused=1",
        "128, 129",
        "128,",
    ] {
        let read = admission_level(&headers(&ADMISSION_LEVEL, value));
        assert_eq!(read, None, "{value:?}");
    }
}

#[test]
fn a_level_out_of_a_cache_is_not_heard() {
    let mut headers = headers(&ADMISSION_LEVEL, "128");
    headers.insert("age", HeaderValue::from_static("0"));
    assert!(admission_level(&headers).is_some());
    headers.insert("age", HeaderValue::from_static("30"));
    assert_eq!(admission_level(&headers), None);
}

#[test]
fn of_two_levels_the_higher_stays() {
    let level = |number, refused| AdmissionLevel::at(Priority::from_u8(number), refused);
    for (further_in, ours, expected) in [
        (level(64, 7), level(64, 8), "64;refused=8"),
        (level(64, 8), level(64, 7), "64;refused=8"),
        (level(64, 8), level(64, 8), "64;refused=8"),
        (level(64, 65_535), level(65, 0), "65"),
        (level(65, 0), level(64, 65_535), "65"),
        (level(65, 0), AdmissionLevel::ALL, "65"),
    ] {
        let mut headers = HeaderMap::new();
        announce_level(&mut headers, further_in);
        announce_level(&mut headers, ours);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[&ADMISSION_LEVEL], expected);
    }
    // What cannot be read is no level, and does not stay.
    for broken in ["", "256", "200;refused=x"] {
        let mut headers = headers(&ADMISSION_LEVEL, broken);
        announce_level(&mut headers, level(64, 0));
        assert_eq!(headers[&ADMISSION_LEVEL], "64");
        headers.append(&ADMISSION_LEVEL, HeaderValue::from_static("255"));
        announce_level(&mut headers, level(63, 0));
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[&ADMISSION_LEVEL], "63");
    }
}

#[test]
fn where_everything_is_admitted_nothing_is_written() {
    let mut headers = HeaderMap::new();
    announce_level(&mut headers, AdmissionLevel::ALL);
    assert_eq!(headers.capacity(), 0);
    // Of what there is, nothing is removed.
    let further_in = HeaderValue::from_static("0;refused=1");
    headers.insert(&ADMISSION_LEVEL, further_in.clone());
    announce_level(&mut headers, AdmissionLevel::ALL);
    assert_eq!(headers[&ADMISSION_LEVEL], further_in);
}

#[test]
fn time_is_written_rounded_down() {
    for (left, ours, grpc) in [
        (Duration::ZERO, "0", "0n"),
        (Duration::from_nanos(1), "1", "1n"),
        (Duration::from_nanos(999_999), "1", "999999n"),
        (Duration::from_nanos(1_999_999), "1", "1999999n"),
        (Duration::from_nanos(99_999_999), "99", "99999999n"),
        (Duration::from_nanos(100_000_999), "100", "100000u"),
        (Duration::from_micros(99_999_999), "99999", "99999999u"),
        (Duration::from_micros(100_000_999), "100000", "100000m"),
        (LONGEST_TIMEOUT, "86400000", "86400000m"),
        (Duration::MAX, "86400000", "86400000m"),
    ] {
        assert_eq!(timeout_value(left), ours, "{left:?}");
        assert_eq!(grpc_timeout_value(left), grpc, "{left:?}");
    }
}

#[test]
fn a_default_context_is_not_written_and_removes_what_is_there() {
    let nothing = || unreachable!("there is no deadline to compare");
    let mut headers = HeaderMap::new();
    write(&mut headers, &Context::default(), nothing);
    assert!(headers.is_empty());
    // A stranger's claims do not travel on in a request that is handed on.
    for name in [&TIMEOUT, &ATTEMPT, &PRIORITY, &RETRIED] {
        headers.append(name, HeaderValue::from_static("9"));
        headers.append(name, HeaderValue::from_static("255"));
    }
    headers.insert("x-other", HeaderValue::from_static("stays"));
    write(&mut headers, &Context::default(), nothing);
    assert_eq!(headers.len(), 1);
}

#[test]
fn a_context_is_written_as_it_is_now() {
    let now = Instant::from_nanos(1_000);
    let context = Context::default()
        .with_deadline(Deadline::at(now + millis(70)))
        .with_attempt(2)
        .with_priority(Priority::SHEDDABLE)
        .with_retried_by(Name::literal("edge"));
    let mut headers = headers(&PRIORITY, "255");
    write(&mut headers, &context, || now + millis(20));
    assert_eq!(headers.len(), 4);
    assert_eq!(headers[&TIMEOUT], "50");
    assert_eq!(headers[&ATTEMPT], "2");
    assert_eq!(headers[&PRIORITY], "0");
    assert_eq!(headers[&RETRIED], "?1");
    write(&mut headers, &context, || now + millis(90));
    assert_eq!(headers[&TIMEOUT], "0");
}

#[test]
fn a_shorter_timeout_of_grpcs_own_stays() {
    for (own, expected) in [("10m", "10m"), ("30m", "20000000n"), ("long", "20000000n")] {
        let mut headers = headers(&GRPC_TIMEOUT, own);
        write_grpc_timeout(&mut headers, millis(20));
        assert_eq!(headers[&GRPC_TIMEOUT], expected);
    }
}
