
-- Who stands in line for what: a lock is a place. Nothing is granted: who has
-- nobody of another saga before it, or shares with all of them, has it.
--
-- All rows of a request have one place, drawn while nobody else can enter these
-- lines. Rows that are there are written and deleted only by who has the row of
-- their saga locked, and are gone when that has ended.
CREATE TABLE {schema}.saga_lock (
  resource text COLLATE "C" NOT NULL,
  place bigint NOT NULL,
  saga uuid NOT NULL,
  name text COLLATE "C" NOT NULL, -- of the request, and of its letter
  mode text COLLATE "C" NOT NULL,
  letter uuid NOT NULL, -- the id of the letter that says that it has all
  told boolean NOT NULL, -- that letter was posted
  PRIMARY KEY (resource, place)
) WITH (
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_threshold = -1,
  autovacuum_analyze_scale_factor = 0.0,
  autovacuum_analyze_threshold = 50000
);

CREATE INDEX saga_lock_by_saga ON {schema}.saga_lock (saga, name);
CREATE INDEX saga_lock_waiting ON {schema}.saga_lock (resource, place) WHERE NOT told;
CREATE INDEX saga_lock_alone ON {schema}.saga_lock (resource, place) WHERE mode = 'exclusive';

CREATE SEQUENCE {schema}.saga_lock_place;

-- Sagas that were swept and not thrown away, a row each. Nothing but a question
-- for one of them reads it, and nothing empties it but who operates it, by
-- `ended`. Of an id that was used again the last is found.
--
-- The columns `log_…` are those of the log, as arrays of one length: the nth
-- elements of all are the nth line. `mail_…` are those of the letters that were
-- never read, the oldest first. Nothing is encoded, so nothing is lost, and
-- `unnest(log_kind, log_step, log_data, log_at)` is the log again. What is long
-- is compressed by the server.
CREATE TABLE {schema}.saga_archive (
  saga uuid NOT NULL,
  nth bigint GENERATED ALWAYS AS IDENTITY,
  bucket smallint NOT NULL,
  name text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  hash bigint NOT NULL,
  input bytea NOT NULL,
  deadline timestamptz,
  stage text COLLATE "C" NOT NULL,
  result bytea,
  length bigint NOT NULL,
  started timestamptz NOT NULL,
  changed timestamptz NOT NULL,
  ended timestamptz NOT NULL,
  log_epoch bigint[],
  log_kind text[],
  log_step text[],
  log_item bigint[],
  log_attempt bigint[],
  log_data bytea[],
  log_mail uuid[],
  log_at timestamptz[],
  mail_id uuid[],
  mail_subject text[],
  mail_name text[],
  mail_data bytea[],
  mail_at timestamptz[],
  PRIMARY KEY (saga, nth)
);

CREATE INDEX saga_archive_by_time ON {schema}.saga_archive (ended);

-- What is known of a saga, as saga_read has it; of one that is archived if there
-- is no other of its id. Of one moment, so that one that is moved meanwhile is
-- found in one of the places.
CREATE FUNCTION {schema}.saga_find(of_saga uuid) RETURNS TABLE (
  nth bigint, what integer, saga uuid, seq bigint, a text, b text, data bytea, at timestamptz,
  n bigint, m bigint, mail uuid, loads integer, result bytea, started timestamptz,
  changed timestamptz
) LANGUAGE sql STABLE AS $$
  WITH archived AS (
    SELECT v.* FROM {schema}.saga_archive v
    WHERE v.saga = of_saga AND NOT EXISTS (SELECT FROM {schema}.saga s WHERE s.id = of_saga)
    ORDER BY v.nth DESC LIMIT 1
  )
  SELECT * FROM (
    SELECT r.* FROM {schema}.saga_read(ARRAY[of_saga]) r
    UNION ALL
    SELECT 1, 0, v.saga, v.length, v.name::text, v.stage::text, v.input, v.deadline, v.version,
      v.hash, NULL::uuid, 0, v.result, v.started, v.changed
    FROM archived v
    UNION ALL
    SELECT 1, 1, v.saga, e.seq, e.kind, e.step, e.data, e.at, e.item, e.attempt, e.mail,
      NULL, NULL, NULL, NULL
    FROM archived v, unnest(
      v.log_kind, v.log_step, v.log_data, v.log_at, v.log_item, v.log_attempt, v.log_mail
    ) WITH ORDINALITY e(kind, step, data, at, item, attempt, mail, seq)
    UNION ALL
    SELECT 1, 2, v.saga, l.seq, l.subject, l.name, l.data, l.at, 0, 0, l.id,
      NULL, NULL, NULL, NULL
    FROM archived v, unnest(
      v.mail_subject, v.mail_name, v.mail_data, v.mail_at, v.mail_id
    ) WITH ORDINALITY l(subject, name, data, at, id, seq)
  ) r (nth, what, saga, seq) ORDER BY r.what, r.seq
$$;

-- Moves sagas that have ended, and are locked by whoever calls it, to the
-- archive: all but the deletion, which follows in the same transaction.
CREATE FUNCTION {schema}.saga_archive_these(of_sagas uuid[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO {schema}.saga_archive (
    saga, bucket, name, version, hash, input, deadline, stage, result, length, started, changed,
    ended, log_epoch, log_kind, log_step, log_item, log_attempt, log_data, log_mail, log_at,
    mail_id, mail_subject, mail_name, mail_data, mail_at
  )
  SELECT s.id, s.bucket, s.name, s.version, s.hash, s.input, s.deadline, s.stage, s.result,
    s.length, s.started, s.changed, s.ended, log.*, letters.*
  FROM unnest(of_sagas) WITH ORDINALITY w(id, nth) JOIN {schema}.saga s ON s.id = w.id,
  LATERAL (
    SELECT array_agg(e.epoch), array_agg(e.kind), array_agg(e.step), array_agg(e.item),
      array_agg(e.attempt), array_agg(e.data), array_agg(e.mail), array_agg(e.at)
    FROM (SELECT * FROM {schema}.saga_event g WHERE g.saga = s.id ORDER BY g.seq) e
  ) log,
  LATERAL (
    SELECT array_agg(l.id), array_agg(l.subject), array_agg(l.name), array_agg(l.data),
      array_agg(l.at)
    FROM (SELECT * FROM {schema}.saga_mail g WHERE g.saga = s.id ORDER BY g.nth) l
  ) letters
  ORDER BY w.nth
$$;

-- HOW WHOEVER WAITS IS TOLD, AND NO TWO STAND STILL
--
-- Entering (saga_enter) and leaving (saga_write) are transactions of their own,
-- and neither waits for the other: who leaves takes no lock but that of its own
-- saga. So each looks for the other when it has committed. Whoever leaves, at
-- the heads of the lines that it has left (saga_pass_on). Whoever enters and has
-- not all, once more at its own (saga_tell). A request has all when it has
-- committed and the last that was in its way has. Whichever of these is the
-- last to commit sees the others when it looks thereafter: nobody is overlooked
-- by all. Two may see the same; the letter is one.
--
-- One place is in the way of another unless both are shared. So whoever leaves
-- looks for no more than those it can have been in the way of: behind a place
-- that it had alone for all, behind one that it shared for those who want the
-- line alone. Who shares the line and waits elsewhere is found by who leaves
-- that other line, since the last in its way stood there.
--
-- If one dies between its commit and its look, a row is left whose saga has all
-- and is not told, which whoever attends finds (saga_heal).
--
-- Who enters locks, in this order: the lines, by advisory locks in the order of
-- their numbers; its lease; the row of its saga; and waits for nothing after
-- that. The row it locks as whoever writes does, since who is to post a letter
-- would have to lock it so in any case, and two that first share a lock and then
-- want more wait for each other. Who appends locks leases, then sagas, in their
-- order, and no lines. Who passes on locks sagas, in their order, and nothing
-- else. Places are written by who has their saga locked already. So who waits
-- for a lock holds none that comes later in: lines, leases, sagas; and no two
-- wait for each other.

-- Whether one of this mode, at this place of a line, waits for one of another
-- saga that stands before it.
CREATE FUNCTION {schema}.saga_lock_waits(
  of_resource text, of_place bigint, of_saga uuid, of_mode text
) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM {schema}.saga_lock k
    WHERE k.resource = of_resource AND k.place < of_place AND k.saga <> of_saga
      AND k.mode = 'exclusive'
  ) OR of_mode = 'exclusive' AND EXISTS (
    SELECT FROM {schema}.saga_lock k
    WHERE k.resource = of_resource AND k.place < of_place AND k.saga <> of_saga
  );
END
$$;

-- Whether a saga waits for one of these, by whichever of its requests.
CREATE FUNCTION {schema}.saga_waits_for(of_saga uuid, resources text[]) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM {schema}.saga_lock k WHERE k.saga = of_saga AND k.resource = ANY (resources)
      AND {schema}.saga_lock_waits(k.resource, k.place, k.saga, k.mode)
  );
END
$$;

-- Has a saga stand in line: 'held', 'waits', 'busy' or 'lost'. Resources are
-- given once each. Of what it wanted, nothing is there if it is busy or lost.
--
-- Who has committed before these lines were locked is seen by every statement
-- behind that, and nobody enters them until this has committed: so in each line
-- the order of places is that of commits, and of two that ask at once one sees
-- the other. That the saga has not ended is looked at when its row is locked:
-- who ends it writes that row, and deletes what stands in line by then. One that
-- only looked could insert what nobody would ever delete.
CREATE FUNCTION {schema}.saga_enter(
  of_bucket integer, of_epoch bigint, of_owner text, of_saga uuid, of_name text, of_letter uuid,
  resources text[], modes text[], may_wait boolean
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  number bigint;
  stands text[]; -- where it does by this request, if it does
  is_told boolean;
  is_blocked boolean;
BEGIN
  -- The numbers are those of the table: who uses it for something else waits, and
  -- nothing worse.
  FOR number IN
    SELECT DISTINCT hashtextextended(u.resource, '{schema}.saga_lock'::regclass::oid::bigint)
    FROM unnest(resources) u(resource) ORDER BY 1
  LOOP
    PERFORM pg_advisory_xact_lock(number);
  END LOOP;
  -- Locked first and compared then, as by saga_fence.
  PERFORM FROM {schema}.saga_lease l WHERE l.bucket = of_bucket FOR KEY SHARE;
  IF NOT EXISTS (
    SELECT FROM {schema}.saga_lease l WHERE l.bucket = of_bucket AND l.epoch = of_epoch
      AND l.owner = of_owner AND l.until > clock_timestamp()
  ) THEN
    RETURN 'lost';
  END IF;
  PERFORM FROM {schema}.saga s WHERE s.id = of_saga AND s.ended IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 'lost';
  END IF;

  SELECT array_agg(k.resource), bool_and(k.told) INTO stands, is_told
  FROM {schema}.saga_lock k WHERE k.saga = of_saga AND k.name = of_name;
  IF is_told THEN
    RETURN 'held';
  END IF;
  is_blocked := {schema}.saga_waits_for(of_saga, coalesce(stands, resources));
  IF stands IS NULL THEN
    is_blocked := is_blocked OR EXISTS (
      SELECT FROM unnest(resources, modes) u(resource, mode)
      WHERE {schema}.saga_lock_waits(u.resource, 9223372036854775807, of_saga, u.mode)
    );
    IF is_blocked AND (
      NOT may_wait OR EXISTS (SELECT FROM {schema}.saga_lock k WHERE k.saga = of_saga)
    ) THEN
      RETURN 'busy';
    END IF;
    number := nextval('{schema}.saga_lock_place');
    INSERT INTO {schema}.saga_lock (resource, place, saga, name, mode, letter, told)
    SELECT u.resource, number, of_saga, of_name, u.mode, of_letter, NOT is_blocked
    FROM unnest(resources, modes) u(resource, mode);
  ELSIF NOT is_blocked THEN
    UPDATE {schema}.saga_lock k SET told = true WHERE k.saga = of_saga AND k.name = of_name;
  END IF;
  IF is_blocked THEN
    RETURN 'waits';
  END IF;
  PERFORM {schema}.saga_post(of_saga, of_letter, 'signal', of_name, 'null');
  RETURN 'held';
END
$$;

-- Posts the letters of those of these requests that have all and are not told,
-- and returns how many there were. Without patience it passes over sagas that
-- others have locked.
--
-- That a request has all stays so until its saga ends, so it can be looked at
-- before anything is locked; that it is not told, and there still, only then.
CREATE FUNCTION {schema}.saga_tell(
  of_sagas uuid[], of_names text[], is_patient boolean
) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  ready_sagas uuid[];
  ready_names text[];
  locked uuid[];
  one record;
  told_now bigint := 0;
BEGIN
  SELECT array_agg(g.saga), array_agg(g.name) INTO ready_sagas, ready_names
  FROM (SELECT DISTINCT u.saga, u.name FROM unnest(of_sagas, of_names) u(saga, name)) g
  WHERE NOT {schema}.saga_waits_for(g.saga, ARRAY(
    SELECT k.resource FROM {schema}.saga_lock k WHERE k.saga = g.saga AND k.name = g.name
  ));
  IF ready_sagas IS NULL THEN
    RETURN 0;
  END IF;
  IF is_patient THEN
    locked := ARRAY(
      SELECT s.id FROM {schema}.saga s WHERE s.id = ANY (ready_sagas)
      ORDER BY s.id FOR NO KEY UPDATE
    );
  ELSE
    locked := ARRAY(
      SELECT s.id FROM {schema}.saga s WHERE s.id = ANY (ready_sagas)
      ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED
    );
  END IF;
  FOR one IN
    SELECT DISTINCT k.saga, k.name, k.letter
    FROM unnest(ready_sagas, ready_names) u(saga, name)
    JOIN {schema}.saga_lock k ON k.saga = u.saga AND k.name = u.name
    WHERE NOT k.told AND k.saga = ANY (locked)
  LOOP
    PERFORM {schema}.saga_post(one.saga, one.letter, 'signal', one.name, 'null');
    UPDATE {schema}.saga_lock k SET told = true WHERE k.saga = one.saga AND k.name = one.name;
    told_now := told_now + 1;
  END LOOP;
  RETURN told_now;
END
$$;

-- Tells those at the heads of these lines who have all, and returns how many
-- there were. Of each line it looks at those who are not told, and no further
-- than to the first that waits there: a saga that waits stood in no line before,
-- so whoever stands behind that one waits for it, or for what it waits for.
--
-- The modes are those of the places that were left. Where that is 'shared' only
-- those count who want the line alone, and of them no more than one does not
-- wait there: who stands behind it waits for it. They are read through the index
-- of those, which no others are in, however many share the line.
CREATE FUNCTION {schema}.saga_pass_on(
  resources text[], modes text[], is_patient boolean
) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  line text;
  left_as text;
  one record;
  sagas uuid[] := '{}';
  names text[] := '{}';
BEGIN
  FOR line, left_as IN SELECT u.resource, u.mode FROM unnest(resources, modes) u(resource, mode)
  LOOP
    IF left_as = 'shared' THEN
      -- One that is told is compared here and not by the query, which would
      -- else have two indexes to choose from.
      FOR one IN
        SELECT k.place, k.saga, k.name, k.mode, k.told FROM {schema}.saga_lock k
        WHERE k.resource = line AND k.mode = 'exclusive' ORDER BY k.place
      LOOP
        CONTINUE WHEN one.told;
        EXIT WHEN {schema}.saga_lock_waits(line, one.place, one.saga, one.mode);
        sagas := sagas || one.saga;
        names := names || one.name;
      END LOOP;
      CONTINUE;
    END IF;
    FOR one IN
      SELECT k.place, k.saga, k.name, k.mode FROM {schema}.saga_lock k
      WHERE k.resource = line AND NOT k.told ORDER BY k.place
    LOOP
      EXIT WHEN {schema}.saga_lock_waits(line, one.place, one.saga, one.mode);
      sagas := sagas || one.saga;
      names := names || one.name;
    END LOOP;
  END LOOP;
  IF sagas = '{}' THEN
    RETURN 0;
  END IF;
  RETURN {schema}.saga_tell(sagas, names, is_patient);
END
$$;

-- Passes on in all lines in which somebody waits, for those who died before they
-- did. It waits for nobody: what another has locked is looked at by who comes
-- one.
CREATE FUNCTION {schema}.saga_heal() RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  line text := ''; -- which no resource is
  resources text[] := '{}';
BEGIN
  LOOP
    SELECT k.resource INTO line FROM {schema}.saga_lock k
    WHERE NOT k.told AND k.resource > line ORDER BY k.resource LIMIT 1;
    EXIT WHEN NOT FOUND;
    resources := resources || line;
  END LOOP;
  RETURN {schema}.saga_pass_on(
    resources, array_fill('exclusive'::text, ARRAY[cardinality(resources)]), false
  );
END
$$;
