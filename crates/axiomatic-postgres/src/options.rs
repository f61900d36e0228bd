//! Where the tables are, and how many connections there are to them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::schema::Tables;

/// Where the tables are, and how this crate connects to them.
///
/// ```
/// use axiomatic_postgres::Options;
///
/// let options = Options::new().schema("shop_messaging")?.connections(8);
/// # let _ = options;
/// # Ok::<_, axiomatic_postgres::InvalidSchema>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) schema: Schema,
    pub(crate) tables: Tables,
    pub(crate) connections: usize,
    pub(crate) patience: Duration,
}

impl Options {
    /// The schema `axiomatic`, whose tables are made if they are missing; 4
    /// connections; 10 s for a statement.
    pub fn new() -> Self {
        Options {
            schema: Schema("axiomatic".into()),
            tables: Tables::default(),
            connections: 4,
            patience: Duration::from_secs(10),
        }
    }

    /// In which schema the tables are. Every statement names it, so that no
    /// search path matters; a schema a tenant is as many outboxes.
    ///
    /// # Errors
    ///
    /// [`InvalidSchema`] if it is empty, longer than PostgreSQL's 63 bytes, or
    /// has a character that no name needs.
    pub fn schema(mut self, name: impl Into<Box<str>>) -> Result<Self, InvalidSchema> {
        self.schema = Schema::new(name.into())?;
        Ok(self)
    }

    /// What is done about tables that are missing or old.
    #[must_use]
    pub fn tables(mut self, tables: Tables) -> Self {
        self.tables = tables;
        self
    }

    /// How many connections there are at most, for all relays and operators
    /// of this database: a relay uses three at once at most. At least one.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// How long a statement of a relay or an operator may take, with the wait
    /// for a connection. A server that does not answer for so long is given up,
    /// with the connection.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// The name of a schema, as it stands in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schema(Box<str>);

impl Schema {
    fn new(name: Box<str>) -> Result<Self, InvalidSchema> {
        let is_sound = |character: char| character.is_ascii_alphanumeric() || character == '_';
        if name.is_empty() || name.len() > 63 || !name.chars().all(is_sound) {
            return Err(InvalidSchema(name));
        }
        Ok(Schema(name))
    }

    /// The bare name, for a value that is bound.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Schema {
    /// Quoted: a name that is no word of SQL without may be one within.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// This is no name for a schema of ours: letters, digits and `_` make one, at
/// most 63 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSchema(Box<str>);

impl fmt::Display for InvalidSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InvalidSchema(name) = self;
        write!(
            f,
            "{name:?} is no name for a schema: 1 to 63 of A-Z, a-z, 0-9 and _"
        )
    }
}

impl Error for InvalidSchema {}
