//! Values as PostgreSQL's protocol has them, binary: whichever driver carries
//! them, they are written and read here.

use std::error::Error;

use axiomatic_coordination::{MessageId, StoreError, Timestamp, Why};
use bytes::{Bytes, BytesMut};
use postgres_protocol::types;
use postgres_protocol::{IsNull, Oid};
use uuid::Uuid;

/// Microseconds from the Unix epoch to PostgreSQL's, the year 2000.
const EPOCH: i64 = 946_684_800_000_000;

/// A type of PostgreSQL by its number, and that of its array.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) oid: Oid,
    array: Oid,
}

pub(crate) const BOOL: Kind = Kind {
    oid: 16,
    array: 1000,
};
pub(crate) const BYTEA: Kind = Kind {
    oid: 17,
    array: 1001,
};
pub(crate) const INT8: Kind = Kind {
    oid: 20,
    array: 1016,
};
pub(crate) const INT4: Kind = Kind {
    oid: 23,
    array: 1007,
};
pub(crate) const TEXT: Kind = Kind {
    oid: 25,
    array: 1009,
};
pub(crate) const UUID: Kind = Kind {
    oid: 2950,
    array: 2951,
};

/// A value to be bound.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    /// The number of its type.
    pub(crate) oid: Oid,
    /// The value; nothing for NULL.
    pub(crate) value: Option<Bytes>,
}

/// What can be bound, and stand in an array.
pub(crate) trait ToWire {
    const KIND: Kind;

    fn write(&self, to: &mut BytesMut);
}

macro_rules! to_wire {
    ($type:ty, $kind:expr, |$value:ident, $to:ident| $write:expr) => {
        impl ToWire for $type {
            const KIND: Kind = $kind;

            fn write(&self, $to: &mut BytesMut) {
                let $value = self;
                $write;
            }
        }
    };
}

to_wire!(bool, BOOL, |value, to| types::bool_to_sql(*value, to));
to_wire!(i32, INT4, |value, to| types::int4_to_sql(*value, to));
to_wire!(i64, INT8, |value, to| types::int8_to_sql(*value, to));
to_wire!(&str, TEXT, |value, to| types::text_to_sql(value, to));
to_wire!(String, TEXT, |value, to| types::text_to_sql(value, to));
to_wire!(&[u8], BYTEA, |value, to| types::bytea_to_sql(value, to));
to_wire!(Uuid, UUID, |value, to| types::uuid_to_sql(
    *value.as_bytes(),
    to
));
to_wire!(MessageId, UUID, |value, to| types::uuid_to_sql(
    value.into_bytes(),
    to
));

impl Param {
    /// One value.
    pub(crate) fn new<T: ToWire>(value: T) -> Self {
        Self::nullable(Some(value))
    }

    /// One value, or NULL.
    pub(crate) fn nullable<T: ToWire>(value: Option<T>) -> Self {
        let value = value.map(|value| {
            let mut bytes = BytesMut::new();
            value.write(&mut bytes);
            bytes.freeze()
        });
        Param {
            oid: T::KIND.oid,
            value,
        }
    }

    /// An array.
    pub(crate) fn array<T: ToWire>(
        values: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> Self {
        Self::nullable_array(values.into_iter().map(Some))
    }

    /// An array some of whose elements are NULL.
    pub(crate) fn nullable_array<T: ToWire>(
        values: impl IntoIterator<Item = Option<T>, IntoIter: ExactSizeIterator>,
    ) -> Self {
        let values = values.into_iter();
        let dimension = types::ArrayDimension {
            len: i32::try_from(values.len()).unwrap_or(i32::MAX),
            lower_bound: 1,
        };
        let mut bytes = BytesMut::new();
        let element = |value: Option<T>, to: &mut BytesMut| {
            Ok(match value {
                Some(value) => {
                    value.write(to);
                    IsNull::No
                }
                None => IsNull::Yes,
            })
        };
        let written = types::array_to_sql([dimension], T::KIND.oid, values, element, &mut bytes);
        // It fails for an element of more than two gigabytes only, which no
        // server takes: without its array the statement is refused.
        if written.is_err() {
            bytes.clear();
        }
        Param {
            oid: T::KIND.array,
            value: Some(bytes.freeze()),
        }
    }
}

/// A row of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Row(pub(crate) Vec<Option<Bytes>>);

/// What a column can be read as. Statements say by a cast which type comes.
pub(crate) trait FromWire: Sized {
    fn read(bytes: &Bytes) -> Result<Self, Box<dyn Error + Send + Sync>>;
}

impl FromWire for bool {
    fn read(bytes: &Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        types::bool_from_sql(bytes)
    }
}

impl FromWire for i32 {
    fn read(bytes: &Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        types::int4_from_sql(bytes)
    }
}

impl FromWire for i64 {
    fn read(bytes: &Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        types::int8_from_sql(bytes)
    }
}

impl FromWire for String {
    fn read(bytes: &Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        types::text_from_sql(bytes).map(str::to_owned)
    }
}

impl FromWire for Bytes {
    fn read(bytes: &Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(bytes.clone())
    }
}

impl FromWire for Uuid {
    fn read(bytes: &Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        types::uuid_from_sql(bytes).map(Uuid::from_bytes)
    }
}

impl FromWire for MessageId {
    fn read(bytes: &Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        types::uuid_from_sql(bytes).map(MessageId::from_bytes)
    }
}

impl FromWire for Timestamp {
    fn read(bytes: &Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let since_2000 = types::timestamp_from_sql(bytes)?;
        Ok(Timestamp::from_micros(since_2000.saturating_add(EPOCH)))
    }
}

impl Row {
    /// The value of a column.
    pub(crate) fn get<T: FromWire>(&self, column: usize) -> Result<T, StoreError> {
        let value = self.nullable(column)?;
        value.ok_or_else(|| damaged(format!("column {column} is NULL")))
    }

    /// The value of a column, unless it is NULL.
    pub(crate) fn nullable<T: FromWire>(&self, column: usize) -> Result<Option<T>, StoreError> {
        let value = self.0.get(column);
        let value = value.ok_or_else(|| damaged(format!("there is no column {column}")))?;
        let value = value.as_ref().map(T::read).transpose();
        value.map_err(|error| damaged(format!("column {column}: {error}")))
    }
}

/// The answer holds what no statement of ours makes it hold.
pub(crate) fn damaged(what: String) -> StoreError {
    StoreError::new(Why::Corrupt).because(what)
}
