CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  lane INTEGER NOT NULL,
  message_id BLOB NOT NULL,
  topic TEXT NOT NULL,
  key TEXT,
  tenant TEXT,
  body BLOB NOT NULL,
  headers TEXT,
  trace_parent TEXT,
  trace_state TEXT,
  sequence INTEGER,
  first INTEGER,
  failures INTEGER NOT NULL DEFAULT 0,
  started INTEGER NOT NULL DEFAULT 0,
  enqueued_at INTEGER NOT NULL
) STRICT;

-- The id stands behind it: a lane's oldest message is its first entry.
CREATE INDEX outbox_by_lane ON outbox (lane);

-- Lanes that are not ready; blocked_until is NULL for those that are parked.
CREATE TABLE outbox_lane (
  lane INTEGER PRIMARY KEY,
  blocked_until INTEGER,
  cause TEXT,
  error TEXT NOT NULL,
  since INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox_lease (
  bucket INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL,
  owner TEXT,
  until INTEGER NOT NULL,
  suspect_through INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox_relay (
  relay TEXT PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox_pause (
  kind TEXT NOT NULL,
  which TEXT NOT NULL,
  PRIMARY KEY (kind, which)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox_dead (
  id INTEGER PRIMARY KEY,
  lane INTEGER NOT NULL,
  message_id BLOB NOT NULL,
  topic TEXT NOT NULL,
  key TEXT,
  tenant TEXT,
  body BLOB NOT NULL,
  headers TEXT,
  trace_parent TEXT,
  trace_state TEXT,
  sequence INTEGER,
  first INTEGER,
  failures INTEGER NOT NULL,
  started INTEGER NOT NULL,
  enqueued_at INTEGER NOT NULL,
  cause TEXT NOT NULL,
  error TEXT NOT NULL,
  since INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox_archive (
  id INTEGER PRIMARY KEY,
  lane INTEGER NOT NULL,
  message_id BLOB NOT NULL,
  topic TEXT NOT NULL,
  key TEXT,
  tenant TEXT,
  body BLOB NOT NULL,
  headers TEXT,
  trace_parent TEXT,
  trace_state TEXT,
  sequence INTEGER,
  first INTEGER,
  failures INTEGER NOT NULL,
  started INTEGER NOT NULL,
  enqueued_at INTEGER NOT NULL,
  published_at INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_archive_by_time ON outbox_archive (published_at);

-- The last number of each key of ordered messages. A tenant is stored with a
-- '=' before it, and none as '', so that none and '' differ.
CREATE TABLE outbox_sequence (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  last INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_sequence_by_time ON outbox_sequence (at);

-- How many rows outbox has, by whoever inserts and deletes them.
CREATE TABLE outbox_backlog (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  messages INTEGER NOT NULL
) STRICT;

INSERT INTO outbox_backlog (one, messages) VALUES (1, 0);
