-- The messages that each consumer has seen. The rows stand in the order in
-- which they came, so that the oldest ones go from one end.
CREATE TABLE inbox_seen (
  consumer TEXT NOT NULL,
  id TEXT NOT NULL,
  first_seen INTEGER NOT NULL, -- microseconds since 1970
  result BLOB,
  UNIQUE (consumer, id)
) STRICT;

-- Attempts that have begun, and of which nobody knows how they ended.
CREATE TABLE inbox_start (
  consumer TEXT NOT NULL,
  id TEXT NOT NULL,
  started INTEGER NOT NULL,
  at INTEGER NOT NULL, -- of the last
  PRIMARY KEY (consumer, id)
) STRICT, WITHOUT ROWID;

-- Messages that are not handled until an operator says so.
CREATE TABLE inbox_quarantine (
  consumer TEXT NOT NULL,
  id TEXT NOT NULL,
  started INTEGER NOT NULL,
  reason TEXT NOT NULL,
  since INTEGER NOT NULL,
  delivery TEXT NOT NULL, -- all but the body: JSON
  body BLOB NOT NULL,
  UNIQUE (consumer, id)
) STRICT;

-- What is remembered of each key that an outbox has numbered.
CREATE TABLE inbox_watermark (
  consumer TEXT NOT NULL,
  source TEXT NOT NULL,
  tenant TEXT NOT NULL, -- '' for none, else '=' and the tenant
  key TEXT NOT NULL,
  through INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  ahead TEXT NOT NULL, -- spans of numbers: '9-12 14'
  rejected INTEGER,
  missing_since INTEGER,
  PRIMARY KEY (consumer, source, tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_watermark_missing ON inbox_watermark (missing_since)
  WHERE missing_since IS NOT NULL;

-- Messages that came ahead of others of their keys.
CREATE TABLE inbox_held (
  consumer TEXT NOT NULL,
  source TEXT NOT NULL,
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  number INTEGER NOT NULL,
  delivery TEXT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (consumer, source, tenant, key, number)
) STRICT;
