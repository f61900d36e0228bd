//! Lists of structured fields (RFC 9651), as far as these fields need them.

use std::borrow::Cow;
use std::convert::Infallible;

use http::{HeaderMap, HeaderName};
use sfv::visitor::{DictionaryVisitor, InnerListVisitor};
use sfv::visitor::{EntryVisitor, Ignored, ItemVisitor, ListVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};

/// How many members of a list are looked at: the other side decides how many
/// there are, and nobody is limited by more.
const LOOKED_AT: usize = 16;

/// A member of a list, or an entry of a dictionary under its key.
#[derive(Debug, Default)]
pub(super) struct Member<'h> {
    pub(super) value: Value<'h>,
    pub(super) quota: Number,
    pub(super) window: Number,
    pub(super) remaining: Number,
    pub(super) more_after: Number,
    /// It counts something else than requests.
    pub(super) is_foreign: bool,
}

impl Member<'_> {
    pub(super) fn is_named(&self) -> bool {
        matches!(self.value, Value::Named(_))
    }
}

/// What a member is, before its parameters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Value<'h> {
    /// A string, or a token as some have it.
    Named(Cow<'h, str>),
    /// A number in thousandths, which is what there may be.
    Thousandths(u64),
    /// Nothing that these fields know.
    #[default]
    Strange,
}

/// A parameter that is a number, if it is there and if it is one.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Number {
    #[default]
    Absent,
    Is(u64),
    Malformed,
}

impl Number {
    /// A number that has to be there.
    pub(super) fn required(self) -> Option<u64> {
        match self {
            Number::Is(number) => Some(number),
            Number::Absent | Number::Malformed => None,
        }
    }

    /// One that may be left out, but not be something else.
    pub(super) fn optional(self) -> Option<Option<u64>> {
        match self {
            Number::Absent => Some(None),
            Number::Is(number) => Some(Some(number)),
            Number::Malformed => None,
        }
    }
}

/// The members of a list, which may stand on several lines. There are none if
/// one of the lines is no list: then all of it is to be ignored.
pub(super) fn list<'h>(headers: &'h HeaderMap, name: &'static HeaderName) -> Vec<Member<'h>> {
    let mut members = Vec::new();
    for line in headers.get_all(name) {
        let visitor = Members(&mut members);
        if Parser::new(line).parse_list_with_visitor(visitor).is_err() {
            return Vec::new();
        }
    }
    members
}

/// The numbers of a dictionary under these keys, in the same way.
pub(super) fn dictionary<const N: usize>(
    headers: &HeaderMap,
    name: &'static HeaderName,
    keys: [&str; N],
) -> [Option<u64>; N] {
    let mut found = [None; N];
    for line in headers.get_all(name) {
        let visitor = Entries(keys, &mut found);
        if Parser::new(line)
            .parse_dictionary_with_visitor(visitor)
            .is_err()
        {
            return [None; N];
        }
    }
    found
}

fn integer(value: &BareItemFromInput<'_>) -> Option<u64> {
    match value {
        BareItemFromInput::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

struct Members<'m, 'h>(&'m mut Vec<Member<'h>>);

impl<'h> ListVisitor<'h> for Members<'_, 'h> {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self) -> Result<impl EntryVisitor<'h>, Infallible> {
        let is_looked_at = self.0.len() < LOOKED_AT;
        Ok(is_looked_at.then_some(Entry(&mut *self.0)))
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Entry<'m, 'h>(&'m mut Vec<Member<'h>>);

impl<'h> EntryVisitor<'h> for Entry<'_, 'h> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'h>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'h>, Infallible> {
        Ok(Ignored)
    }
}

impl<'h> ItemVisitor<'h> for Entry<'_, 'h> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'h>,
    ) -> Result<impl ParameterVisitor<'h, Out = ()>, Infallible> {
        let value = match item {
            BareItemFromInput::String(Cow::Borrowed(name)) => Value::Named(name.as_str().into()),
            BareItemFromInput::String(Cow::Owned(name)) => {
                Value::Named(Cow::Owned(String::from(name)))
            }
            BareItemFromInput::Token(name) => Value::Named(name.as_str().into()),
            BareItemFromInput::Integer(number) => u64::try_from(number)
                .map_or(Value::Strange, |number| Value::Thousandths(number * 1_000)),
            BareItemFromInput::Decimal(number) => u64::try_from(number.as_integer_scaled_1000())
                .map_or(Value::Strange, Value::Thousandths),
            _ => Value::Strange,
        };
        self.0.push(Member {
            value,
            ..Member::default()
        });
        Ok(Parameters(self.0.last_mut()))
    }
}

struct Parameters<'m, 'h>(Option<&'m mut Member<'h>>);

impl<'h> ParameterVisitor<'h> for Parameters<'_, 'h> {
    type Out = ();
    type Error = Infallible;

    // Of two parameters with one key the last counts (RFC 9651, 4.2.3.2).
    fn parameter(
        &mut self,
        key: &'h KeyRef,
        value: BareItemFromInput<'h>,
    ) -> Result<(), Infallible> {
        let Some(member) = &mut self.0 else {
            return Ok(());
        };
        let number = match key.as_str() {
            "q" => &mut member.quota,
            "w" => &mut member.window,
            "r" => &mut member.remaining,
            "t" => &mut member.more_after,
            "qu" => {
                let requests = matches!(&value, BareItemFromInput::String(unit) if unit.as_str() == "requests");
                member.is_foreign = !requests;
                return Ok(());
            }
            _ => return Ok(()),
        };
        *number = integer(&value).map_or(Number::Malformed, Number::Is);
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Entries<'m, const N: usize>([&'m str; N], &'m mut [Option<u64>; N]);

impl<'h, const N: usize> DictionaryVisitor<'h> for Entries<'_, N> {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self, key: &'h KeyRef) -> Result<impl EntryVisitor<'h>, Infallible> {
        let index = self.0.iter().position(|known| *known == key.as_str());
        Ok(index.map(|index| Found(&mut self.1[index])))
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Found<'m>(&'m mut Option<u64>);

impl<'h> EntryVisitor<'h> for Found<'_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'h>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'h>, Infallible> {
        *self.0 = None;
        Ok(Ignored)
    }
}

impl<'h> ItemVisitor<'h> for Found<'_> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'h>,
    ) -> Result<impl ParameterVisitor<'h, Out = ()>, Infallible> {
        *self.0 = integer(&item);
        Ok(Ignored)
    }
}
