use crate::options::Schema;

#[derive(Debug)]
pub(super) struct Sql {}

impl Sql {
    pub(super) fn new(_schema: &Schema) -> Self {
        Sql {}
    }
}
