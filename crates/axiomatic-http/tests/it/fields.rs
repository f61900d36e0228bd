use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_http::fields;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use sfv::visitor::{ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};

use crate::oracle::{
    check_level, check_priority, check_read, check_timeout, check_value, check_written, headers,
};

/// Anything at all, and things that are nearly right.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let anything = prop::collection::vec(any::<u8>(), 0..40);
    let nearly = prop::collection::vec("[tgapr?][0-9]{0,10}[numSMH?1;]{0,2}", 0..6);
    let classes = "p(critical|sheddable|[0-9]{1,3})(-plus)?(;level=[0-9]{0,3}){0,2}";
    let levels = "l(64|[0-9]{0,4})([; ]refused=(655[0-9]{2}|[0-9]{0,6})){0,2}";
    let ours = prop::collection::vec(prop_oneof![classes, levels], 1..3);
    prop_oneof![
        anything,
        nearly.prop_map(|lines| lines.join("\n").into_bytes()),
        ours.prop_map(|lines| lines.join("\n").into_bytes())
    ]
}

/// What an item of structured fields says, as one who knows them all has it.
#[derive(Debug, Default)]
struct Item {
    number: Option<i64>,
    token: Option<String>,
    parameters: Vec<(String, i64)>,
}

impl Item {
    fn parse(value: &HeaderValue) -> Option<Item> {
        let mut item = Item::default();
        let parsed = Parser::new(value).parse_item_with_visitor(&mut item);
        parsed.is_ok().then_some(item)
    }
}

impl<'h> ItemVisitor<'h> for &mut Item {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'h>,
    ) -> Result<impl ParameterVisitor<'h, Out = ()>, Infallible> {
        match item {
            BareItemFromInput::Integer(number) => self.number = Some(number.into()),
            BareItemFromInput::Token(token) => self.token = Some(token.as_str().to_owned()),
            _ => {}
        }
        Ok(self)
    }
}

impl<'h> ParameterVisitor<'h> for &mut Item {
    type Out = ();
    type Error = Infallible;

    fn parameter(
        &mut self,
        key: &'h KeyRef,
        value: BareItemFromInput<'h>,
    ) -> Result<(), Infallible> {
        if let BareItemFromInput::Integer(number) = value {
            self.parameters
                .push((key.as_str().to_owned(), number.into()));
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_is_sent_is_in_bounds_or_nothing(lines in lines()) {
        prop_assert_eq!(check_read(&headers(&lines)), Ok(()));
    }

    #[test]
    fn what_is_written_is_read_and_never_longer(
        magnitude in 0..64_u32,
        nanos in any::<u64>(),
    ) {
        prop_assert_eq!(check_written(Duration::from_nanos(nanos >> magnitude)), Ok(()));
    }

    #[test]
    fn what_is_announced_of_a_level_is_heard(number in 0..1_u32 << 24, before in 0..1_u32 << 24) {
        let [level, further_in] = [number, before].map(AdmissionLevel::from_u32);
        let mut headers = HeaderMap::new();
        fields::announce_level(&mut headers, level);
        let heard = fields::admission_level(&headers);
        prop_assert_eq!(heard, (number > 0).then_some(level));
        fields::announce_level(&mut headers, further_in);
        let heard = fields::admission_level(&headers);
        prop_assert_eq!(heard.map(AdmissionLevel::as_u32).unwrap_or(0), number.max(before));
        prop_assert!(headers.len() <= 1);
    }

    /// What we read, everybody who knows structured fields reads as the same;
    /// what else they would read is nothing to us.
    #[test]
    fn a_level_and_a_priority_are_items_of_structured_fields(
        lines in lines(),
        number in 0..1_u32 << 24,
    ) {
        let written = AdmissionLevel::from_u32(number);
        let mut said = headers(&lines);
        let value = fields::admission_level_value(written);
        said.entry(&fields::ADMISSION_LEVEL).or_insert(value);
        if let Some(level) = fields::admission_level(&said) {
            let item = Item::parse(&said[&fields::ADMISSION_LEVEL]);
            let item = item.expect("an item");
            prop_assert_eq!(item.number, Some(level.priority().as_u8().into()));
            let refused: Vec<_> = item.parameters.iter().map(|(key, n)| (key.as_str(), *n)).collect();
            let expected = [("refused", i64::from(level.refused()))];
            prop_assert!(refused == expected || refused.is_empty() && level.refused() == 0);
        }
        if let Some(priority) = fields::priority(&said) {
            let item = Item::parse(&said[&fields::PRIORITY]).expect("an item");
            let Some(class) = item.token else {
                prop_assert_eq!(item.number, Some(priority.as_u8().into()));
                return Ok(());
            };
            // As a person would say it, with a hyphen for the space.
            let level = item.parameters.first().map_or(0, |(_, level)| *level);
            let named = priority.with_level(0).to_string();
            prop_assert_eq!(named.replace(' ', "-"), class);
            prop_assert_eq!(i64::from(priority.level()), level);
        }
    }
}

#[test]
fn time_that_is_left_is_never_written_as_none() {
    for nanos in [1, 999, 999_999, 1_000_000] {
        let left = Duration::from_nanos(nanos);
        assert_ne!(fields::timeout_value(left), "0", "{left:?}");
        assert_ne!(fields::grpc_timeout_value(left), "0n", "{left:?}");
        assert_eq!(check_written(left), Ok(()));
    }
    assert_eq!(fields::timeout_value(Duration::ZERO), "0");
    assert_eq!(fields::grpc_timeout_value(Duration::ZERO), "0n");
    assert_eq!(check_written(Duration::MAX), Ok(()));
}

#[test]
fn what_the_fuzzer_found_or_began_with_holds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut replayed = 0;
    for place in ["corpus/http_fields", "regressions/http_fields"] {
        for file in std::fs::read_dir(fuzz.join(place)).into_iter().flatten() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(check_read(&headers(&bytes)), Ok(()), "{path:?}");
            replayed += 1;
        }
    }
    assert!(replayed >= 5, "{replayed} files; is the corpus gone?");
}

/// The oracle is worth something only if it sees what is wrong.
#[test]
fn the_oracle_sees_planted_bugs() {
    // The first of two, signs and spaces, and a number that wraps.
    let careless = |headers: &HeaderMap| {
        let text = headers.get(&fields::TIMEOUT)?.to_str().ok()?;
        let millis: u64 = text.trim().parse().ok()?;
        Some(Duration::from_millis(millis & u64::from(u32::MAX)))
    };
    assert_eq!(
        check_timeout(&headers(b"t70"), careless(&headers(b"t70"))),
        Ok(())
    );
    for lines in ["t70\nt80", "t+5", "t 5", "t4294967297", "t70\ng1m"] {
        let headers = headers(lines.as_bytes());
        assert!(
            check_timeout(&headers, careless(&headers)).is_err(),
            "{lines}"
        );
        assert_eq!(check_read(&headers), Ok(()), "{lines}");
    }
    // The first of two parameters, one that is cut to its bits, and one that is
    // taken for another.
    for (lines, careless) in [
        ("l128;refused=7;refused=8", 128 << 16 | 7),
        ("l128;refused=65537", 128 << 16 | 1),
        ("l384", 128 << 16),
        ("l128;admitted=7", 128 << 16 | 7),
        ("l128;refused", 128 << 16),
        ("l128\nl129", 128 << 16),
    ] {
        let headers = headers(lines.as_bytes());
        let careless = Some(AdmissionLevel::from_u32(careless));
        assert!(check_level(&headers, careless).is_err(), "{lines}");
        assert_eq!(check_read(&headers), Ok(()), "{lines}");
    }
    for (lines, careless) in [
        ("pcritical;level=64", 191),
        ("pCritical", 128),
        ("pcritical;level=1;level=2", 130),
        ("p384", 128),
        ("psheddable\npcritical", 0),
    ] {
        let headers = headers(lines.as_bytes());
        let careless = Some(Priority::from_u8(careless));
        assert!(check_priority(&headers, careless).is_err(), "{lines}");
        assert_eq!(check_read(&headers), Ok(()), "{lines}");
    }
    let said = headers(b"l64;refused=1\npsheddable-plus;level=9");
    assert!(check_level(&said, None).is_err() && check_priority(&said, None).is_err());
    // Rounded up, to the nearest, to nothing, and to a coarse unit.
    for (nanos, careless) in [
        (1_500_001, "2"),
        (999_999_999, "1000"),
        (400_000, "0"),
        (7_900_000_000, "7000"),
        (0, "1"),
        (5_000_000, "5m"),
    ] {
        let left = Duration::from_nanos(nanos);
        let careless = HeaderValue::from_static(careless);
        assert!(
            check_value(left, &fields::TIMEOUT, careless).is_err(),
            "{left:?}"
        );
    }
    for (nanos, careless) in [(999, "1u"), (99_999_999, "100m"), (7_900_000_000, "7S")] {
        let left = Duration::from_nanos(nanos);
        let careless = HeaderValue::from_static(careless);
        assert!(
            check_value(left, &fields::GRPC_TIMEOUT, careless).is_err(),
            "{left:?}"
        );
    }
}
