use crate::options::Schema;

#[derive(Debug)]
pub(super) struct Sql {}

impl Sql {
    pub(super) fn new(_schema: &Schema) -> Self {
        Sql {}
    }
}

pub(super) async fn divide(
    _database: &crate::Database,
    _buckets: axiomatic_coordination::outbox::Buckets,
) -> Result<bool, axiomatic_coordination::StoreError> {
    Ok(true)
}
