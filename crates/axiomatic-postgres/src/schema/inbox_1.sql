-- The messages that each consumer has seen, by the time of the first: what is
-- old goes with its partition. Each partition has a unique index of its own,
-- and whoever looks looks in all of them.
CREATE TABLE {schema}.inbox_seen (
  consumer text COLLATE "C" NOT NULL,
  id bytea NOT NULL, -- text, which may hold what PostgreSQL's does not
  first_seen timestamptz NOT NULL,
  result bytea
) PARTITION BY RANGE (first_seen);

-- What is seen at times for which no partition was made. It is empty where
-- somebody sweeps.
CREATE TABLE {schema}.inbox_seen_default PARTITION OF {schema}.inbox_seen DEFAULT;
CREATE UNIQUE INDEX inbox_seen_default_key ON {schema}.inbox_seen_default (consumer, id);
CREATE INDEX inbox_seen_default_by_time ON {schema}.inbox_seen_default (first_seen);

-- Attempts that have begun, and of which nobody knows how they ended.
CREATE TABLE {schema}.inbox_start (
  consumer text COLLATE "C" NOT NULL,
  id bytea NOT NULL,
  started integer NOT NULL,
  at timestamptz NOT NULL, -- of the last
  PRIMARY KEY (consumer, id)
) WITH (
  autovacuum_vacuum_scale_factor = 0.0,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0
);

-- Messages that are not handled until an operator says so.
CREATE TABLE {schema}.inbox_quarantine (
  consumer text COLLATE "C" NOT NULL,
  id bytea NOT NULL,
  started integer NOT NULL,
  reason text NOT NULL,
  since timestamptz NOT NULL,
  delivery text NOT NULL, -- all but the body: JSON
  body bytea NOT NULL,
  PRIMARY KEY (consumer, id)
);

-- What is remembered of each key that an outbox has numbered; a row is
-- written again for each message, on its own page if there is room.
CREATE TABLE {schema}.inbox_watermark (
  consumer text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  tenant text COLLATE "C" NOT NULL, -- '' for none, else '=' and the tenant
  key text COLLATE "C" NOT NULL,
  through bigint NOT NULL,
  epoch bigint NOT NULL,
  ahead text NOT NULL, -- spans of numbers: '9-12 14'
  rejected bigint,
  missing_since timestamptz,
  PRIMARY KEY (consumer, source, tenant, key)
) WITH (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX inbox_watermark_missing ON {schema}.inbox_watermark (missing_since)
  WHERE missing_since IS NOT NULL;

-- Messages that came ahead of others of their keys.
CREATE TABLE {schema}.inbox_held (
  consumer text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  delivery text NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (consumer, source, tenant, key, number)
);

-- Takes the turn of a message, until the end of the transaction, and then
-- looks whether it was seen; and if it was not, and that is to be written
-- down, does so. Each statement in here sees what was committed before it
-- began, if the transaction is READ COMMITTED; in any other, it sees what was
-- committed before it waited, and would find a message new that is not. So it
-- does nothing there, and says in what it was called.
--
-- A function, since its plans are kept: planning a look into each partition
-- takes longer than the look.
CREATE FUNCTION {schema}.inbox_see(
  of_consumer text, of_id bytea, turn bigint, may_have_started boolean, write_down boolean,
  OUT isolation text, OUT is_new boolean, OUT seen timestamptz, OUT kept bytea
) LANGUAGE plpgsql AS $$
BEGIN
  isolation := current_setting('transaction_isolation');
  is_new := false;
  IF isolation NOT IN ('read committed', 'read uncommitted') THEN
    RETURN;
  END IF;
  PERFORM pg_advisory_xact_lock(turn);
  IF may_have_started THEN
    DELETE FROM {schema}.inbox_start s WHERE s.consumer = of_consumer AND s.id = of_id;
  END IF;
  SELECT s.first_seen, s.result INTO seen, kept FROM {schema}.inbox_seen s
  WHERE s.consumer = of_consumer AND s.id = of_id;
  IF FOUND THEN
    RETURN;
  END IF;
  is_new := true;
  IF write_down THEN
    INSERT INTO {schema}.inbox_seen (consumer, id, first_seen)
    VALUES (of_consumer, of_id, clock_timestamp());
  END IF;
END
$$;

-- Takes the turn of a message, and reads what is known of its attempts.
CREATE FUNCTION {schema}.inbox_attempts(
  of_consumer text, of_id bytea, turn bigint,
  OUT isolation text, OUT is_quarantined boolean, OUT begun integer
) LANGUAGE plpgsql AS $$
BEGIN
  isolation := current_setting('transaction_isolation');
  PERFORM pg_advisory_xact_lock(turn);
  is_quarantined := EXISTS (
    SELECT FROM {schema}.inbox_quarantine q WHERE q.consumer = of_consumer AND q.id = of_id
  );
  SELECT s.started INTO begun FROM {schema}.inbox_start s
  WHERE s.consumer = of_consumer AND s.id = of_id;
  begun := coalesce(begun, 0);
END
$$;

-- Takes the turn of a key, also of one that never was, and reads what is
-- remembered of it, and the time.
CREATE FUNCTION {schema}.inbox_turn(
  of_consumer text, of_source text, of_tenant text, of_key text, turn bigint,
  OUT isolation text, OUT today timestamptz, OUT is_known boolean, OUT through bigint,
  OUT epoch bigint, OUT ahead text, OUT rejected bigint, OUT missing_since timestamptz
) LANGUAGE plpgsql AS $$
BEGIN
  isolation := current_setting('transaction_isolation');
  PERFORM pg_advisory_xact_lock(turn);
  SELECT w.through, w.epoch, w.ahead, w.rejected, w.missing_since
  INTO through, epoch, ahead, rejected, missing_since FROM {schema}.inbox_watermark w
  WHERE w.consumer = of_consumer AND w.source = of_source AND w.tenant = of_tenant
    AND w.key = of_key;
  is_known := FOUND;
  today := clock_timestamp();
END
$$;

-- The partitions and their times, but for the default.
CREATE FUNCTION {schema}.inbox_partitions(
  OUT name text, OUT begins timestamptz, OUT ends timestamptz
) RETURNS SETOF record LANGUAGE plpgsql SET timezone TO 'UTC' SET datestyle TO 'ISO' AS $$
BEGIN
  RETURN QUERY
    SELECT c.relname::text, substring(b.bounds FROM 'FROM \(''([^'']+)''\)')::timestamptz,
      substring(b.bounds FROM 'TO \(''([^'']+)''\)')::timestamptz
    FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid,
      LATERAL pg_catalog.pg_get_expr(c.relpartbound, c.oid) b(bounds)
    WHERE i.inhparent = '{schema}.inbox_seen'::regclass AND b.bounds <> 'DEFAULT';
END
$$;

-- Makes partitions of this width for now and for so many widths ahead, as far
-- as they are missing, and returns how many it made. `turn` is that of those
-- who change partitions; who does not get a lock within `patience` fails.
CREATE FUNCTION {schema}.inbox_make_partitions(
  width bigint, ahead integer, turn bigint, patience text
) RETURNS integer LANGUAGE plpgsql SET timezone TO 'UTC' SET datestyle TO 'ISO' AS $$
DECLARE
  step constant interval := width * interval '1 microsecond';
  made integer := 0;
  ready integer;
  last timestamptz;
  newest timestamptz;
  begins timestamptz;
  ends timestamptz;
  name text;
BEGIN
  SELECT count(*) INTO ready FROM {schema}.inbox_partitions() p WHERE p.ends > clock_timestamp();
  IF ready > ahead THEN
    RETURN 0;
  END IF;
  PERFORM set_config('lock_timeout', patience, true);
  PERFORM pg_advisory_xact_lock(turn);
  -- Nobody adds to the default meanwhile: a partition cannot be made for
  -- times of which rows stand there.
  LOCK TABLE ONLY {schema}.inbox_seen IN ACCESS EXCLUSIVE MODE;
  SELECT count(*) FILTER (WHERE p.ends > clock_timestamp()), max(p.ends) INTO ready, last
  FROM {schema}.inbox_partitions() p;
  SELECT max(d.first_seen) INTO newest FROM {schema}.inbox_seen_default d;
  begins := timestamptz 'epoch'
    + div((extract(epoch FROM clock_timestamp()) * 1000000)::numeric, width) * step;
  IF newest >= begins THEN
    begins := timestamptz 'epoch'
      + (div((extract(epoch FROM newest) * 1000000)::numeric, width) + 1) * step;
  END IF;
  begins := greatest(begins, last);
  WHILE ready <= ahead LOOP
    -- The first is narrower if those before it had another width.
    ends := timestamptz 'epoch'
      + (div((extract(epoch FROM begins) * 1000000)::numeric, width) + 1) * step;
    name := 'inbox_seen_' || to_char(begins, 'YYYYMMDD_HH24MISS_US');
    EXECUTE format(
      'CREATE TABLE {schema}.%I PARTITION OF {schema}.inbox_seen FOR VALUES FROM (%L) TO (%L) '
      -- Rows are inserted, and go with the table.
      'WITH (autovacuum_vacuum_insert_threshold = -1)',
      name, begins, ends
    );
    EXECUTE format(
      'CREATE UNIQUE INDEX %I ON {schema}.%I (consumer, id)', name || '_key', name
    );
    begins := ends;
    ready := ready + 1;
    made := made + 1;
  END LOOP;
  RETURN made;
END
$$;

-- What holds nothing but messages that were seen before this time; the
-- default only if it holds any.
CREATE FUNCTION {schema}.inbox_old_partitions(age bigint) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
  before constant timestamptz := clock_timestamp() - age * interval '1 microsecond';
BEGIN
  RETURN QUERY
    SELECT p.name FROM {schema}.inbox_partitions() p WHERE p.ends <= before ORDER BY p.ends;
  IF (SELECT max(d.first_seen) < before FROM {schema}.inbox_seen_default d) THEN
    RETURN NEXT 'inbox_seen_default';
  END IF;
END
$$;

-- Drops one of the old partitions, or empties the default; false if it is not
-- old, is gone, or another is changing partitions.
CREATE FUNCTION {schema}.inbox_drop_partition(
  which text, age bigint, turn bigint, patience text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('lock_timeout', patience, true);
  IF NOT pg_try_advisory_xact_lock(turn) THEN
    RETURN false;
  END IF;
  -- The whole first, as those do who insert.
  LOCK TABLE ONLY {schema}.inbox_seen IN ACCESS EXCLUSIVE MODE;
  IF which NOT IN (SELECT * FROM {schema}.inbox_old_partitions(age)) THEN
    RETURN false;
  END IF;
  IF which = 'inbox_seen_default' THEN
    TRUNCATE {schema}.inbox_seen_default;
  ELSE
    EXECUTE format('DROP TABLE {schema}.%I', which);
  END IF;
  RETURN true;
END
$$;
