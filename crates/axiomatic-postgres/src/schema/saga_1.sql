-- A saga: what is known of it beside its log. It is written again with each
-- line of the log, on its own page: what changes each time stands in no index.
CREATE TABLE {schema}.saga (
  id uuid PRIMARY KEY,
  bucket smallint NOT NULL,
  name text COLLATE "C" NOT NULL, -- of its definition, as are version and hash
  version bigint NOT NULL,
  hash bigint NOT NULL,
  input bytea NOT NULL,
  deadline timestamptz,
  stage text COLLATE "C" NOT NULL,
  result bytea,
  length bigint NOT NULL, -- how many lines the log has
  loads integer NOT NULL,
  held bigint, -- the epoch of the lease it is held by; due if another followed
  wake timestamptz, -- when it is due; NULL while it is held, or waits for mail
  mail_due timestamptz, -- when its mail makes it due; NULL if none does
  last bigint, -- a hash of the last change, if that had no line
  started timestamptz NOT NULL,
  changed timestamptz NOT NULL,
  ended timestamptz
) WITH (
  fillfactor = 60,
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0,
  -- An empty table and a full one have one plan: no statistics are waited for.
  autovacuum_analyze_scale_factor = 0.0,
  autovacuum_analyze_threshold = 50000
);

CREATE INDEX saga_due ON {schema}.saga (bucket, wake) WHERE wake IS NOT NULL;
CREATE INDEX saga_mailed ON {schema}.saga (bucket, mail_due) WHERE mail_due IS NOT NULL;
CREATE INDEX saga_held ON {schema}.saga (bucket, held) WHERE held IS NOT NULL;
CREATE INDEX saga_ended ON {schema}.saga (ended) WHERE ended IS NOT NULL;
CREATE INDEX saga_by_stage ON {schema}.saga (stage, id);

-- The logs. Only ever appended to, by who has the row of the saga locked.
CREATE TABLE {schema}.saga_event (
  saga uuid NOT NULL,
  seq bigint NOT NULL, -- from 1 on, without a gap
  epoch bigint NOT NULL, -- of the lease under which it was written
  kind text COLLATE "C" NOT NULL,
  step text COLLATE "C" NOT NULL,
  item bigint NOT NULL,
  attempt bigint NOT NULL,
  data bytea NOT NULL,
  mail uuid,
  at timestamptz NOT NULL,
  PRIMARY KEY (saga, seq)
) WITH (
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.0,
  autovacuum_analyze_threshold = 50000
);

CREATE INDEX saga_event_mail ON {schema}.saga_event (saga, mail) WHERE mail IS NOT NULL;

-- Letters that wait to be read. Posted by who has the row of the saga locked,
-- so that their numbers are in the order in which they were committed.
CREATE TABLE {schema}.saga_mail (
  saga uuid NOT NULL,
  nth bigint GENERATED ALWAYS AS IDENTITY,
  id uuid NOT NULL,
  subject text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  data bytea NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (saga, nth)
) WITH (
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_threshold = -1,
  autovacuum_analyze_scale_factor = 0.0,
  autovacuum_analyze_threshold = 50000
);

CREATE UNIQUE INDEX saga_mail_id ON {schema}.saga_mail (saga, id);

-- Renewed every few seconds, in place.
CREATE TABLE {schema}.saga_lease (
  bucket smallint PRIMARY KEY,
  epoch bigint NOT NULL,
  owner text COLLATE "C",
  until timestamptz NOT NULL,
  since timestamptz NOT NULL -- when this epoch began
) WITH (
  fillfactor = 10,
  autovacuum_vacuum_scale_factor = 0.0,
  autovacuum_vacuum_threshold = 200,
  autovacuum_vacuum_cost_delay = 0
);

INSERT INTO {schema}.saga_lease (bucket, epoch, owner, until, since)
SELECT n, 0, NULL, clock_timestamp(), clock_timestamp() FROM generate_series(0, 63) n;

CREATE TABLE {schema}.saga_executor (
  executor text COLLATE "C" PRIMARY KEY,
  until timestamptz NOT NULL
) WITH (
  fillfactor = 10,
  autovacuum_vacuum_scale_factor = 0.0,
  autovacuum_vacuum_threshold = 200,
  autovacuum_vacuum_cost_delay = 0
);

-- Sagas with their logs and letters, in the order in which they are asked for:
-- first the saga (what = 0), then its log (1), then its letters (2). All of it
-- is seen as of one moment, that at which the statement around it began.
CREATE FUNCTION {schema}.saga_read(of_sagas uuid[]) RETURNS TABLE (
  nth bigint, what integer, saga uuid, seq bigint, a text, b text, data bytea, at timestamptz,
  n bigint, m bigint, mail uuid, loads integer, result bytea, started timestamptz,
  changed timestamptz
) LANGUAGE sql STABLE AS $$
  SELECT * FROM (
    SELECT w.nth, 0, s.id, s.length, s.name::text, s.stage::text, s.input, s.deadline,
      s.version, s.hash, NULL::uuid, s.loads, s.result, s.started, s.changed
    FROM unnest(of_sagas) WITH ORDINALITY w(id, nth) JOIN {schema}.saga s ON s.id = w.id
    UNION ALL
    SELECT w.nth, 1, e.saga, e.seq, e.kind::text, e.step::text, e.data, e.at, e.item, e.attempt,
      e.mail, NULL, NULL, NULL, NULL
    FROM unnest(of_sagas) WITH ORDINALITY w(id, nth) JOIN {schema}.saga_event e ON e.saga = w.id
    UNION ALL
    SELECT w.nth, 2, l.saga, l.nth, l.subject::text, l.name::text, l.data, l.at, 0, 0, l.id,
      NULL, NULL, NULL, NULL
    FROM unnest(of_sagas) WITH ORDINALITY w(id, nth) JOIN {schema}.saga_mail l ON l.saga = w.id
  ) r (nth, what, saga, seq) ORDER BY r.nth, r.what, r.seq
$$;

-- Whether a lease is held and the log has so many lines: 'held', 'lost' or
-- 'conflict'. The lease is locked until the end of the transaction. Locked
-- first and compared then, by a statement that sees what was committed while it
-- waited, and by the time that it is by then: a statement that does both at
-- once compares before it waits, and again only if the row was changed.
--
-- A key share: a renewal does not wait for it, nor it for a renewal. A claim
-- takes the row for update, and passes over one that is locked like this.
--
-- This one and the next are called in transactions of others, who may have set
-- what they like.
CREATE FUNCTION {schema}.saga_fence(
  of_bucket integer, of_epoch bigint, of_owner text, of_saga uuid, after bigint
) RETURNS text LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
BEGIN
  PERFORM FROM {schema}.saga_lease l WHERE l.bucket = of_bucket FOR KEY SHARE;
  IF NOT EXISTS (
    SELECT FROM {schema}.saga_lease l WHERE l.bucket = of_bucket AND l.epoch = of_epoch
      AND l.owner = of_owner AND l.until > clock_timestamp()
  ) THEN
    RETURN 'lost';
  END IF;
  IF NOT EXISTS (
    SELECT FROM {schema}.saga s WHERE s.id = of_saga AND s.length = after AND s.ended IS NULL
  ) THEN
    RETURN 'conflict';
  END IF;
  RETURN 'held';
END
$$;

-- Changes many sagas, and begins many, no saga more than once: each is written
-- whole or not at all, whatever becomes of the others.
--
-- Leases are given once each, and appends, starts and lines name theirs by its
-- place: a line of the nth append has the request n, one of the nth start -n.
-- With `is_fenced` the leases are locked and compared already. Who cannot lock a
-- row within `patience` fails; without one it waits.
--
-- The saga of an append that ends it leaves the lines in which it stands: for
-- each of them there is a row more, 'left', with the name of what it is for and
-- the mode in which it stood there.
CREATE FUNCTION {schema}.saga_write(
  is_fenced boolean, patience text,
  lease_bucket integer[], lease_epoch bigint[], lease_owner text[],
  append_saga uuid[], append_lease integer[], append_after bigint[], append_lines bigint[],
  append_stage text[], append_ends boolean[], append_holds boolean[], append_wake bigint[],
  append_result bytea[], append_progress boolean[], append_read bigint[], append_last bigint[],
  start_saga uuid[], start_bucket integer[], start_name text[], start_version bigint[],
  start_hash bigint[], start_input bytea[], start_deadline bigint[], start_lease integer[],
  start_lines bigint[], start_stage text[], start_ends boolean[], start_result bytea[],
  line_request integer[], line_seq bigint[], line_kind text[], line_step text[],
  line_item bigint[], line_attempt bigint[], line_data bytea[], line_mail uuid[]
) RETURNS TABLE (request integer, outcome text, line text, mode text) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  held_leases integer[]; -- the leases that are
  written integer[]; -- the appends that are, and
  begun integer[]; -- the starts
  begun_sagas uuid[];
  today timestamptz;
BEGIN
  IF patience IS NOT NULL THEN
    PERFORM set_config('lock_timeout', patience, true);
  END IF;
  IF is_fenced THEN
    held_leases := ARRAY(SELECT generate_subscripts(lease_bucket, 1));
  ELSE
    -- Locked first and compared then, as above.
    PERFORM FROM {schema}.saga_lease l WHERE l.bucket = ANY (lease_bucket)
    ORDER BY l.bucket FOR KEY SHARE;
    held_leases := ARRAY(
      SELECT g.nth::integer
      FROM unnest(lease_bucket, lease_epoch, lease_owner) WITH ORDINALITY g(bucket, epoch, owner, nth)
      JOIN {schema}.saga_lease l ON l.bucket = g.bucket
      WHERE l.epoch = g.epoch AND l.owner = g.owner AND l.until > clock_timestamp()
    );
  END IF;

  IF cardinality(append_saga) > 0 THEN
    PERFORM FROM {schema}.saga s WHERE s.id IN (
      SELECT p.saga FROM unnest(append_saga, append_lease) p(saga, lease) WHERE p.lease = ANY (held_leases)
    ) ORDER BY s.id FOR NO KEY UPDATE;
    today := clock_timestamp();
    written := ARRAY(
      SELECT p.nth::integer
      FROM unnest(append_saga, append_lease, append_after, append_last)
        WITH ORDINALITY p(saga, lease, after, last, nth)
      JOIN {schema}.saga s ON s.id = p.saga
      WHERE p.lease = ANY (held_leases) AND s.length = p.after AND s.ended IS NULL
        AND (p.last IS NULL OR s.last IS DISTINCT FROM p.last)
    );
    IF 0 < ANY (append_read) THEN
      DELETE FROM {schema}.saga_mail m WHERE (m.saga, m.nth) IN (
        SELECT o.saga, o.nth
        FROM unnest(append_saga, append_read) WITH ORDINALITY p(saga, read, nth),
          LATERAL (
            SELECT l.saga, l.nth FROM {schema}.saga_mail l WHERE l.saga = p.saga
            ORDER BY l.nth LIMIT p.read
          ) o
        WHERE p.read > 0 AND p.nth = ANY (written)
      );
    END IF;
    UPDATE {schema}.saga s SET length = s.length + p.lines, stage = p.stage,
      result = coalesce(p.result, s.result),
      loads = CASE WHEN p.progress THEN 0 ELSE s.loads END,
      held = CASE WHEN p.holds AND NOT p.ends THEN lease_epoch[p.lease] END,
      wake = CASE WHEN NOT p.holds AND NOT p.ends THEN today + p.wake * interval '1 microsecond' END,
      -- What one that is parked has cannot be read yet, and would have it taken
      -- and parked again without end. Once it goes on, that is looked for again.
      mail_due = CASE WHEN p.ends OR p.stage = 'parked' THEN NULL
        WHEN s.mail_due IS NOT NULL OR s.stage = 'parked' THEN (
          SELECT l.at FROM {schema}.saga_mail l WHERE l.saga = s.id ORDER BY l.nth LIMIT 1
        ) END,
      last = p.last, changed = today, ended = CASE WHEN p.ends THEN today END
    FROM unnest(
        append_saga, append_lease, append_lines, append_stage, append_ends, append_holds,
        append_wake, append_result, append_progress, append_last
      ) WITH ORDINALITY p(
        saga, lease, lines, stage, ends, holds, wake, result, progress, last, nth
      )
    WHERE s.id = p.saga AND p.nth = ANY (written);
    INSERT INTO {schema}.saga_event (
      saga, seq, epoch, kind, step, item, attempt, data, mail, at
    )
    SELECT append_saga[e.request], e.seq, lease_epoch[append_lease[e.request]], e.kind, e.step,
      e.item, e.attempt, e.data, e.mail, today
    FROM unnest(
      line_request, line_seq, line_kind, line_step, line_item, line_attempt, line_data, line_mail
    ) e(request, seq, kind, step, item, attempt, data, mail)
    WHERE e.request > 0 AND e.request = ANY (written);
    IF true = ANY (append_ends) THEN
      RETURN QUERY DELETE FROM {schema}.saga_lock k
      USING unnest(append_saga, append_ends) WITH ORDINALITY p(saga, ends, nth)
      WHERE k.saga = p.saga AND p.ends AND p.nth = ANY (written)
      RETURNING p.nth::integer, 'left'::text, k.resource::text, k.mode::text;
    END IF;
    IF cardinality(written) = cardinality(append_saga) THEN
      RETURN QUERY SELECT u.nth, 'held', NULL::text, NULL::text FROM unnest(written) u(nth);
    ELSE
      -- What is not written may have been before.
      RETURN QUERY SELECT p.nth::integer, CASE
        WHEN p.nth = ANY (written) THEN 'held'
        WHEN NOT p.lease = ANY (held_leases) THEN 'lost'
        WHEN s.id IS NULL THEN 'conflict'
        WHEN p.lines = 0 THEN CASE WHEN s.last = p.last AND s.length = p.after THEN 'held'
          ELSE 'conflict' END
        WHEN NOT EXISTS (
          SELECT FROM unnest(
            line_request, line_seq, line_kind, line_step, line_item, line_attempt, line_data, line_mail
          ) e(request, seq, kind, step, item, attempt, data, mail)
          LEFT JOIN {schema}.saga_event x ON x.saga = p.saga AND x.seq = e.seq
          WHERE e.request = p.nth AND (x.epoch, x.kind, x.step, x.item, x.attempt, x.data, x.mail)
            IS DISTINCT FROM (
              lease_epoch[p.lease], e.kind, e.step, e.item, e.attempt, e.data, e.mail
            )
        ) THEN 'held'
        ELSE 'conflict' END, NULL::text, NULL::text
      FROM unnest(append_saga, append_lease, append_after, append_lines, append_last)
        WITH ORDINALITY p(saga, lease, after, lines, last, nth)
      LEFT JOIN {schema}.saga s ON s.id = p.saga;
    END IF;
  END IF;

  IF cardinality(start_saga) > 0 THEN
    today := clock_timestamp();
    WITH made AS (
      INSERT INTO {schema}.saga (
        id, bucket, name, version, hash, input, deadline, stage, result, length, loads, held,
        wake, started, changed, ended
      )
      SELECT p.saga, p.bucket, p.name, p.version, p.hash, p.input,
        today + p.deadline * interval '1 microsecond',
        CASE WHEN p.is_held THEN p.stage ELSE 'running' END,
        CASE WHEN p.is_held THEN p.result END,
        CASE WHEN p.is_held THEN p.lines ELSE 0 END,
        0,
        CASE WHEN p.is_held AND NOT p.ends THEN lease_epoch[p.lease] END,
        CASE WHEN NOT p.is_held THEN today END,
        today, today,
        CASE WHEN p.is_held AND p.ends THEN today END
      FROM (
        SELECT u.*, coalesce(u.lease = ANY (held_leases), false) AS is_held
        FROM unnest(
          start_saga, start_bucket, start_name, start_version, start_hash, start_input,
          start_deadline, start_lease, start_lines, start_stage, start_ends, start_result
        ) u(
          saga, bucket, name, version, hash, input, deadline, lease, lines, stage, ends, result
        )
      ) p
      ORDER BY p.saga
      ON CONFLICT (id) DO NOTHING
      RETURNING id
    )
    SELECT array_agg(made.id) INTO begun_sagas FROM made;
    begun := ARRAY(
      SELECT p.nth::integer FROM unnest(start_saga) WITH ORDINALITY p(saga, nth)
      WHERE p.saga = ANY (begun_sagas)
    );
    INSERT INTO {schema}.saga_event (
      saga, seq, epoch, kind, step, item, attempt, data, mail, at
    )
    SELECT start_saga[-e.request], e.seq, lease_epoch[start_lease[-e.request]], e.kind, e.step,
      e.item, e.attempt, e.data, e.mail, today
    FROM unnest(
      line_request, line_seq, line_kind, line_step, line_item, line_attempt, line_data, line_mail
    ) e(request, seq, kind, step, item, attempt, data, mail)
    WHERE e.request < 0 AND -e.request = ANY (begun) AND start_lease[-e.request] = ANY (held_leases);
    RETURN QUERY SELECT -p.nth::integer, CASE
      WHEN p.nth = ANY (begun) THEN
        CASE WHEN p.lease = ANY (held_leases) THEN 'held' ELSE 'waits' END
      WHEN s.id IS NULL THEN 'gone'
      WHEN s.name = p.name AND s.input = p.input THEN 'before'
      ELSE 'other' END, NULL::text, NULL::text
    FROM unnest(start_saga, start_name, start_input, start_lease)
      WITH ORDINALITY p(saga, name, input, lease, nth)
    LEFT JOIN {schema}.saga s ON s.id = p.saga;
  END IF;
END
$$;

-- Takes what is due under these leases, the longest due first. Only what it
-- returns is written. One that is held by its lease already is here for its
-- mail: it goes to the end of the line, so that others have their turn.
--
-- What this release cannot read is marked, and due again after the pause. The
-- last row (what = 3) says whether more is due, and when the next is.
CREATE FUNCTION {schema}.saga_take(
  lease_bucket integer[], lease_epoch bigint[], lease_owner text[], at_most bigint, pause bigint,
  stages text[], kinds text[], subjects text[]
) RETURNS TABLE (
  nth bigint, what integer, saga uuid, seq bigint, a text, b text, data bytea, at timestamptz,
  n bigint, m bigint, mail uuid, loads integer, result bytea, started timestamptz,
  changed timestamptz, lease integer, is_broken boolean, today timestamptz
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  held_leases integer[];
  due_sagas uuid[];
  taken uuid[];
  broken uuid[];
  due_until timestamptz;
  next timestamptz;
BEGIN
  PERFORM FROM {schema}.saga_lease l WHERE l.bucket = ANY (lease_bucket)
  ORDER BY l.bucket FOR KEY SHARE;
  due_until := clock_timestamp();
  held_leases := ARRAY(
    SELECT g.nth::integer
    FROM unnest(lease_bucket, lease_epoch, lease_owner) WITH ORDINALITY g(bucket, epoch, owner, nth)
    JOIN {schema}.saga_lease l ON l.bucket = g.bucket
    WHERE l.epoch = g.epoch AND l.owner = g.owner AND l.until > due_until
  );
  due_sagas := ARRAY(
    SELECT d.id FROM unnest(held_leases) h(nth)
    JOIN {schema}.saga_lease l ON l.bucket = lease_bucket[h.nth],
    LATERAL (
      (SELECT s.id, s.wake AS due FROM {schema}.saga s
       WHERE s.bucket = l.bucket AND s.wake <= due_until ORDER BY s.wake LIMIT at_most + 1)
      UNION ALL
      (SELECT s.id, s.mail_due FROM {schema}.saga s
       WHERE s.bucket = l.bucket AND s.mail_due <= due_until ORDER BY s.mail_due LIMIT at_most + 1)
      UNION ALL
      (SELECT s.id, l.since FROM {schema}.saga s
       WHERE s.bucket = l.bucket AND s.held < l.epoch ORDER BY s.held LIMIT at_most + 1)
    ) d
    GROUP BY d.id ORDER BY min(d.due), d.id LIMIT at_most + 1
  );
  -- What another has locked is changing, and looked at again when it has.
  WITH free AS MATERIALIZED (
    SELECT s.id, f.nth FROM unnest(due_sagas[:at_most]) WITH ORDINALITY f(id, nth)
    JOIN {schema}.saga s ON s.id = f.id
    JOIN {schema}.saga_lease l ON l.bucket = s.bucket
    WHERE s.wake <= due_until OR s.mail_due <= due_until OR s.held < l.epoch
    FOR NO KEY UPDATE OF s SKIP LOCKED
  ), now_held AS (
    UPDATE {schema}.saga s SET held = l.epoch, wake = NULL, last = NULL,
      loads = s.loads + CASE WHEN s.held = l.epoch THEN 0 ELSE 1 END,
      mail_due = CASE WHEN s.held = l.epoch AND s.mail_due IS NOT NULL THEN due_until
        ELSE s.mail_due END
    FROM free f, {schema}.saga_lease l WHERE s.id = f.id AND l.bucket = s.bucket
    RETURNING s.id, f.nth
  )
  SELECT coalesce(array_agg(u.id ORDER BY u.nth), '{}') INTO taken FROM now_held u;

  broken := ARRAY(
    SELECT s.id FROM {schema}.saga s, LATERAL (
      SELECT count(*) AS lines, count(*) FILTER (
        WHERE e.seq BETWEEN 1 AND s.length AND e.kind = ANY (kinds)
          AND e.item BETWEEN 0 AND 4294967295 AND e.attempt BETWEEN 0 AND 4294967295
      ) AS sound
      FROM {schema}.saga_event e WHERE e.saga = s.id
    ) log
    WHERE s.id = ANY (taken) AND (
      NOT s.stage = ANY (stages) OR s.version NOT BETWEEN 0 AND 4294967295
      OR s.loads < 0 OR log.lines <> s.length OR log.sound <> s.length
      OR EXISTS (
        SELECT FROM {schema}.saga_mail l WHERE l.saga = s.id AND NOT l.subject = ANY (subjects)
      )
    )
  );
  IF cardinality(broken) > 0 THEN
    UPDATE {schema}.saga s SET held = NULL, wake = due_until + pause * interval '1 microsecond',
      mail_due = CASE WHEN s.mail_due IS NOT NULL
        THEN due_until + pause * interval '1 microsecond' END
    WHERE s.id = ANY (broken);
  END IF;

  SELECT min(w.due) INTO next FROM unnest(held_leases) h(nth), LATERAL (
    (SELECT s.wake AS due FROM {schema}.saga s
     WHERE s.bucket = lease_bucket[h.nth] AND s.wake > due_until ORDER BY s.wake LIMIT 1)
    UNION ALL
    (SELECT s.mail_due FROM {schema}.saga s
     WHERE s.bucket = lease_bucket[h.nth] AND s.mail_due > due_until ORDER BY s.mail_due LIMIT 1)
  ) w;
  RETURN QUERY SELECT r.*, (SELECT min(h.nth) FROM unnest(held_leases) h(nth) WHERE lease_bucket[h.nth] = s.bucket), r.saga = ANY (broken),
    due_until
  FROM {schema}.saga_read(taken) r JOIN {schema}.saga s ON s.id = r.saga
  ORDER BY r.nth, r.what, r.seq;
  RETURN QUERY SELECT NULL::bigint, 3, NULL::uuid, cardinality(due_sagas)::bigint, NULL, NULL,
    NULL::bytea, next, NULL::bigint, NULL::bigint, NULL::uuid, NULL::integer, NULL::bytea,
    NULL::timestamptz, NULL::timestamptz, NULL::integer, NULL::boolean, due_until;
END
$$;

-- Posts a letter: 'accepted', 'missing' or 'ended'.
CREATE FUNCTION {schema}.saga_post(
  of_saga uuid, of_id uuid, of_subject text, of_name text, of_data bytea
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  seen record;
BEGIN
  SELECT s.ended, s.mail_due INTO seen FROM {schema}.saga s WHERE s.id = of_saga
  FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 'missing';
  END IF;
  IF EXISTS (SELECT FROM {schema}.saga_event e WHERE e.saga = of_saga AND e.mail = of_id)
    OR EXISTS (SELECT FROM {schema}.saga_mail l WHERE l.saga = of_saga AND l.id = of_id)
  THEN
    RETURN 'accepted';
  END IF;
  IF seen.ended IS NOT NULL THEN
    RETURN 'ended';
  END IF;
  INSERT INTO {schema}.saga_mail (saga, id, subject, name, data, at)
  VALUES (of_saga, of_id, of_subject, of_name, of_data, clock_timestamp());
  IF seen.mail_due IS NULL OR seen.mail_due > clock_timestamp() THEN
    UPDATE {schema}.saga s SET mail_due = clock_timestamp() WHERE s.id = of_saga;
  END IF;
  RETURN 'accepted';
END
$$;

-- Throws away sagas that ended so long ago, or archives them; and executors that
-- are gone.
CREATE FUNCTION {schema}.saga_sweep(
  retention bigint, is_archived boolean, at_most bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  old uuid[];
BEGIN
  WITH free AS MATERIALIZED (
    SELECT s.id FROM {schema}.saga s
    WHERE s.ended <= clock_timestamp() - retention * interval '1 microsecond'
    ORDER BY s.ended LIMIT at_most FOR UPDATE SKIP LOCKED
  )
  SELECT coalesce(array_agg(f.id), '{}') INTO old FROM free f;
  IF is_archived THEN
    PERFORM {schema}.saga_archive_these(old);
  END IF;
  DELETE FROM {schema}.saga_event e WHERE e.saga = ANY (old);
  DELETE FROM {schema}.saga_mail l WHERE l.saga = ANY (old);
  DELETE FROM {schema}.saga s WHERE s.id = ANY (old);
  DELETE FROM {schema}.saga_executor x WHERE x.executor IN (
    SELECT g.executor FROM {schema}.saga_executor g WHERE g.until <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
  );
  RETURN cardinality(old);
END
$$;
