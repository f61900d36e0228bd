-- Requests by their keys: those that are under way, and the answers of those
-- that are complete. What is long stands last: who looks at a lease does not
-- read it.
CREATE TABLE idempotency (
  record BLOB NOT NULL UNIQUE, -- a UUID
  tenant TEXT NOT NULL, -- names are equal only if every byte is
  method TEXT NOT NULL,
  route TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('leased', 'released', 'completed')),
  epoch INTEGER NOT NULL, -- of the last claim
  owner BLOB NOT NULL, -- of the last claim: a UUID
  lease_until INTEGER NOT NULL, -- microseconds since 1970
  attempts INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, -- when the retention ends
  steps TEXT NOT NULL DEFAULT '', -- lines of JSON
  request_head TEXT, -- all but the body: JSON
  response_head TEXT,
  request_body BLOB,
  response_body BLOB,
  UNIQUE (tenant, method, route, key)
) STRICT;
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

-- Those that can be run without their clients.
CREATE INDEX idempotency_open ON idempotency (lease_until)
  WHERE state <> 'completed' AND request_head IS NOT NULL;
