//! The inbox in PostgreSQL.
