-- Sagas: how far each is, beside its log.
CREATE TABLE saga (
  id INTEGER PRIMARY KEY,
  saga BLOB NOT NULL UNIQUE CHECK (length(saga) = 16), -- a UUID
  bucket INTEGER NOT NULL,
  stage TEXT NOT NULL,
  length INTEGER NOT NULL, -- how many lines its log has
  loads INTEGER NOT NULL, -- how often it was taken since it went forward
  wake INTEGER, -- when it is looked at; NULL: somebody has it, or it has ended
  mailed INTEGER, -- since when a letter makes it due; NULL: none does
  started INTEGER NOT NULL, -- microseconds since 1970, as are all times
  changed INTEGER NOT NULL,
  ended INTEGER,
  deadline INTEGER,
  name TEXT NOT NULL, -- of its definition
  version INTEGER NOT NULL,
  hash INTEGER NOT NULL,
  input BLOB NOT NULL,
  result BLOB
) STRICT;

-- Those that somebody has come first, then those that are due the longest.
-- That none has ended stands there again since SQLite would look for it.
CREATE INDEX saga_open ON saga (bucket, wake, ended) WHERE ended IS NULL;
CREATE INDEX saga_mailed ON saga (bucket, mailed, ended)
  WHERE mailed IS NOT NULL AND ended IS NULL;
CREATE INDEX saga_ended ON saga (ended) WHERE ended IS NOT NULL;
CREATE INDEX saga_by_stage ON saga (stage, saga);

-- Their logs, which are only ever appended to.
CREATE TABLE saga_event (
  saga BLOB NOT NULL,
  seq INTEGER NOT NULL, -- 1 is the first line
  kind TEXT NOT NULL,
  step TEXT NOT NULL,
  item INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  data BLOB NOT NULL,
  mail BLOB, -- the letter that it was: a UUID
  epoch INTEGER NOT NULL, -- of the lease it was written under
  at INTEGER NOT NULL,
  PRIMARY KEY (saga, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX saga_event_by_mail ON saga_event (saga, mail) WHERE mail IS NOT NULL;

-- What was said to them and is not read.
CREATE TABLE saga_mail (
  saga BLOB NOT NULL,
  nth INTEGER NOT NULL,
  id BLOB NOT NULL, -- a UUID
  subject TEXT NOT NULL,
  name TEXT NOT NULL,
  data BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (saga, nth)
) STRICT, WITHOUT ROWID;

-- Who stands in line for what they lock. Whoever has nobody of another saga
-- before it in a line, or shares it with all of those, has it.
CREATE TABLE saga_lock (
  resource TEXT NOT NULL,
  place INTEGER NOT NULL, -- in its line
  saga BLOB NOT NULL,
  request TEXT NOT NULL, -- its name, among those of the saga
  mode TEXT NOT NULL, -- shared or exclusive
  told INTEGER NOT NULL, -- 1: it has all of its request, and was told so
  PRIMARY KEY (resource, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX saga_lock_by_saga ON saga_lock (saga, request, mode);
CREATE INDEX saga_lock_waiting ON saga_lock (resource, mode, place) WHERE told = 0;

-- Those that were swept into the archive, one row each: nothing reads it but a
-- question for one of them, and what it holds too long is yours to delete.
CREATE TABLE saga_archive (
  id INTEGER PRIMARY KEY, -- of two of one saga the later has the greater
  saga BLOB NOT NULL,
  name TEXT NOT NULL, -- of its definition
  version INTEGER NOT NULL,
  hash INTEGER NOT NULL,
  stage TEXT NOT NULL,
  result BLOB,
  started INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  archived INTEGER NOT NULL,
  input BLOB NOT NULL,
  length INTEGER NOT NULL, -- how many lines its log has
  -- The log and the mail that is not read, as bytes: 1 for what follows; how
  -- many lines; of each kind, step, item, attempt, data, mail, at; how many
  -- letters; of each id, subject, name, data. Numbers have seven bits in each
  -- byte, the lowest first, and the eighth if more follow. Texts and blobs
  -- have their length before them; no mail is an empty one. A time is what it
  -- is more than the one before it, the first more than `started`; twice that,
  -- or, if it is less than nothing, twice that many less, less one.
  log BLOB NOT NULL
) STRICT;
CREATE INDEX saga_archive_by_saga ON saga_archive (saga);

CREATE TABLE saga_lease (
  bucket INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL, -- only ever grows
  owner TEXT,
  until INTEGER NOT NULL
) STRICT;

WITH RECURSIVE every (bucket) AS (
  SELECT 0 UNION ALL SELECT bucket + 1 FROM every WHERE bucket < 63
)
INSERT INTO saga_lease (bucket, epoch, owner, until) SELECT bucket, 0, NULL, 0 FROM every;

CREATE TABLE saga_executor (
  executor TEXT PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
