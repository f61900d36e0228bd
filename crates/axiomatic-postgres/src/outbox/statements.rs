//! The texts of all statements, with the schema in them: made once.

use super::{backlog_gauge, fetch, health, leases, operate, outgoing, plain, settle, tidy};
use crate::options::Schema;

#[derive(Debug)]
pub(super) struct Statements {
    pub(super) leases: leases::Sql,
    pub(super) fetch: fetch::Sql,
    pub(super) settle: settle::Sql,
    pub(super) tidy: tidy::Sql,
    pub(super) operate: operate::Sql,
    pub(super) health: health::Sql,
    pub(super) outgoing: outgoing::Sql,
    pub(super) plain: plain::Sql,
    pub(super) backlog_gauge: backlog_gauge::Sql,
}

impl Statements {
    pub(super) fn new(schema: &Schema) -> Self {
        Statements {
            leases: leases::Sql::new(schema),
            fetch: fetch::Sql::new(schema),
            settle: settle::Sql::new(schema),
            tidy: tidy::Sql::new(schema),
            operate: operate::Sql::new(schema),
            health: health::Sql::new(schema),
            outgoing: outgoing::Sql::new(schema),
            plain: plain::Sql::new(schema),
            backlog_gauge: backlog_gauge::Sql::new(schema),
        }
    }
}
