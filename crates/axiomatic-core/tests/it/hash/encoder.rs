//! Composite keys: which bytes, and that they can be read in one way only.

use axiomatic_core::hash::Encoder;
use proptest::prelude::*;

/// Exact bytes: stored forms depend on them.
#[test]
fn parts_have_these_bytes_for_ever() {
    let mut key = Encoder::new();
    key.text("ab").bytes(&[0xff]).number(258).signed(-2);
    key.wide(1 << 120).flag(false).flag(true).absent().text("é");
    let want = concat!(
        "01 02 00 00 00 00 00 00 00 61 62 ",
        "02 01 00 00 00 00 00 00 00 ff ",
        "03 02 01 00 00 00 00 00 00 ",
        "04 fe ff ff ff ff ff ff ff ",
        "05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 ",
        "06 00 06 01 07 ",
        "01 02 00 00 00 00 00 00 00 c3 a9",
    );
    let got: Vec<_> = key.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(got.join(" "), want);
    key.clear();
    assert_eq!(key.as_bytes(), b"");
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Bytes(Vec<u8>),
    Number(u64),
    Signed(i64),
    Wide(u128),
    Flag(bool),
    Absent,
}

fn encode(parts: &[Part]) -> Vec<u8> {
    let mut key = Encoder::new();
    for part in parts {
        match part {
            Part::Text(text) => key.text(text),
            Part::Bytes(bytes) => key.bytes(bytes),
            Part::Number(number) => key.number(*number),
            Part::Signed(number) => key.signed(*number),
            Part::Wide(number) => key.wide(*number),
            Part::Flag(flag) => key.flag(*flag),
            Part::Absent => key.absent(),
        };
    }
    key.as_bytes().to_vec()
}

/// Reads a key back: what can be read back is not the key of anything else.
fn decode(mut rest: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some((tag, after)) = rest.split_first() {
        let mut after = after;
        let mut take = |length: usize| {
            let (taken, left) = after.split_at(length);
            after = left;
            taken
        };
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        parts.push(match *tag {
            1 => {
                let length = number(take(8)) as usize;
                Part::Text(String::from_utf8(take(length).to_vec()).unwrap())
            }
            2 => {
                let length = number(take(8)) as usize;
                Part::Bytes(take(length).to_vec())
            }
            3 => Part::Number(number(take(8))),
            4 => Part::Signed(number(take(8)) as i64),
            5 => Part::Wide(u128::from_le_bytes(take(16).try_into().unwrap())),
            6 => Part::Flag(take(1)[0] != 0),
            7 => Part::Absent,
            tag => panic!("no part has the tag {tag}"),
        });
        rest = after;
    }
    parts
}

/// Few different bytes, and those that tags and lengths are made of, so that
/// one part often looks like another's beginning.
fn part() -> impl Strategy<Value = Part> {
    let byte = 0..8u8;
    prop_oneof![
        "[\u{0}-\u{7}a]{0,10}".prop_map(Part::Text),
        prop::collection::vec(byte, 0..20).prop_map(Part::Bytes),
        prop_oneof![0..8u64, any::<u64>()].prop_map(Part::Number),
        prop_oneof![-4..4i64, any::<i64>()].prop_map(Part::Signed),
        prop_oneof![0..8u128, any::<u128>()].prop_map(Part::Wide),
        any::<bool>().prop_map(Part::Flag),
        Just(Part::Absent),
    ]
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    prop::collection::vec(part(), 0..6)
}

proptest! {
    #[test]
    fn a_key_can_be_read_in_one_way_only(parts in parts()) {
        prop_assert_eq!(decode(&encode(&parts)), parts);
    }

    #[test]
    fn different_parts_never_have_equal_bytes(one in parts(), other in parts()) {
        prop_assert_eq!(encode(&one) == encode(&other), one == other);
    }

    /// What a stranger would try who chooses one part: to write the rest of
    /// another's key into it.
    #[test]
    fn a_part_that_holds_other_parts_bytes_is_not_those_parts(
        first in prop::collection::vec(0..8u8, 0..4),
        rest in prop::collection::vec(part(), 1..4),
    ) {
        let mut forged = first.clone();
        forged.extend(encode(&rest));
        let mut honest = vec![Part::Bytes(first)];
        honest.extend(rest);
        prop_assert_ne!(encode(&[Part::Bytes(forged)]), encode(&honest));
    }

    /// Keys as one would join them by hand: the same bytes cut elsewhere.
    #[test]
    fn one_text_cut_in_two_places_is_two_keys(text in "[a-c]{2,12}", cuts in any::<[usize; 2]>()) {
        let cut = |at: usize| {
            let (one, other) = text.split_at(at % (text.len() + 1));
            encode(&[Part::Text(one.to_owned()), Part::Text(other.to_owned())])
        };
        let same = cuts[0] % (text.len() + 1) == cuts[1] % (text.len() + 1);
        prop_assert_eq!(cut(cuts[0]) == cut(cuts[1]), same);
    }
}
