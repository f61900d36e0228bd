-- A key that a client has used. A row is inserted by the first claim, written
-- again by each step, each renewal and the answer, and deleted when its
-- retention has ended. Bodies are compressed and stored beside the table where
-- they are long, and are not written again with the row.
CREATE TABLE {schema}.idempotency (
  tenant text COLLATE "C" NOT NULL,
  method text COLLATE "C" NOT NULL,
  route text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  record uuid PRIMARY KEY, -- drawn by who first claimed it
  epoch bigint NOT NULL, -- of the claim that has it
  owner uuid NOT NULL, -- who made that claim
  adopted_by uuid, -- the same, if it came without a client
  fingerprint bytea NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN ('running', 'released', 'completed')),
  lease_until timestamptz NOT NULL, -- or when it was released
  lease_lasts interval NOT NULL, -- each time that it is renewed
  attempts integer NOT NULL,
  steps text COLLATE "C" NOT NULL, -- lines of JSON, one for each phase that has ended
  request_head text, -- all but the body: JSON
  request_body bytea,
  response_head text,
  response_body bytea,
  expires_at timestamptz NOT NULL,
  -- When it can be resumed without its client. A column of its own, so that
  -- the lease of a request that is not stored stands in no index, and to renew
  -- it is to write a row and nothing else.
  abandoned_at timestamptz GENERATED ALWAYS AS (
    CASE WHEN request_head IS NOT NULL AND response_head IS NULL THEN lease_until END
  ) STORED
) WITH (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0,
  -- An empty table and a full one have one plan: no statistics are waited for.
  autovacuum_analyze_scale_factor = 0.0,
  autovacuum_analyze_threshold = 50000
);

CREATE UNIQUE INDEX idempotency_name ON {schema}.idempotency (tenant, route, method, key);

CREATE INDEX idempotency_abandoned ON {schema}.idempotency (abandoned_at)
  WHERE abandoned_at IS NOT NULL;

CREATE INDEX idempotency_adopted ON {schema}.idempotency (adopted_by)
  WHERE adopted_by IS NOT NULL;

-- Claims a key: `outcome` is 'mine', 'in progress', 'completed' or 'mismatch'.
--
-- It reads without a lock, and what it then writes it locks only if nobody
-- else has: an atomic phase has its row locked, and is not waited for. Each
-- statement in here sees what was committed before it began, so that who loses
-- a race looks again and sees who has won.
CREATE FUNCTION {schema}.idempotency_claim(
  of_tenant text, of_method text, of_route text, of_key text, of_fingerprint bytea,
  of_owner uuid, lasts_micros bigint, kept_micros bigint, of_request text, of_body bytea,
  OUT outcome text, OUT its_record uuid, OUT its_epoch bigint, OUT its_attempts integer,
  OUT its_steps text, OUT ends_in bigint, OUT head text, OUT body bytea
) LANGUAGE plpgsql AS $$
DECLARE
  lasts constant interval := lasts_micros * interval '1 microsecond';
  kept constant interval := kept_micros * interval '1 microsecond';
  today timestamptz;
  seen record;
  is_there boolean;
  is_held boolean;
  is_asked_again boolean;
BEGIN
  FOR look IN 1..3 LOOP
    SELECT i.record, i.epoch, i.owner, i.fingerprint, i.state, i.lease_until, i.expires_at,
      i.response_head, i.response_body
    INTO seen FROM {schema}.idempotency i
    WHERE i.tenant = of_tenant AND i.route = of_route AND i.method = of_method AND i.key = of_key;
    is_there := FOUND;
    today := clock_timestamp();

    IF NOT is_there THEN
      -- It waits for another first claim, which is one statement. Should that
      -- one be in an atomic phase by now, it gives up, and is asked again.
      PERFORM set_config('lock_timeout', '1s', true);
      INSERT INTO {schema}.idempotency (
        tenant, method, route, key, record, epoch, owner, fingerprint, state, lease_until,
        lease_lasts, attempts, steps, request_head, request_body, expires_at
      ) VALUES (
        of_tenant, of_method, of_route, of_key, of_owner, 1, of_owner, of_fingerprint, 'running',
        today + lasts, lasts, 1, '', of_request, of_body, today + kept
      ) ON CONFLICT DO NOTHING;
      IF FOUND THEN
        outcome := 'mine';
        its_record := of_owner;
        its_epoch := 1;
        its_attempts := 1;
        its_steps := '';
        RETURN;
      END IF;
      CONTINUE;
    END IF;

    is_held := seen.state = 'running' AND seen.lease_until > today;
    IF seen.expires_at <= today AND NOT is_held THEN
      -- Forgotten, though nobody has swept it.
      PERFORM FROM {schema}.idempotency i
      WHERE i.record = seen.record AND i.epoch = seen.epoch AND i.state = seen.state
        AND i.lease_until = seen.lease_until AND i.expires_at = seen.expires_at
      FOR UPDATE SKIP LOCKED;
      CONTINUE WHEN NOT FOUND;
      UPDATE {schema}.idempotency i
      SET record = of_owner, epoch = 1, owner = of_owner, adopted_by = NULL,
        fingerprint = of_fingerprint, state = 'running', lease_until = today + lasts,
        lease_lasts = lasts, attempts = 1, steps = '', request_head = of_request,
        request_body = of_body, response_head = NULL, response_body = NULL,
        expires_at = today + kept
      WHERE i.record = seen.record;
      outcome := 'mine';
      its_record := of_owner;
      its_epoch := 1;
      its_attempts := 1;
      its_steps := '';
      RETURN;
    END IF;

    IF seen.fingerprint <> of_fingerprint THEN
      outcome := 'mismatch';
      RETURN;
    END IF;
    IF seen.state = 'completed' THEN
      outcome := 'completed';
      head := seen.response_head;
      body := seen.response_body;
      RETURN;
    END IF;
    is_asked_again := seen.state = 'running' AND seen.owner = of_owner;
    IF is_held AND NOT is_asked_again THEN
      outcome := 'in progress';
      ends_in := (extract(epoch FROM seen.lease_until - today) * 1000000)::bigint;
      RETURN;
    END IF;
    PERFORM FROM {schema}.idempotency i
    WHERE i.record = seen.record AND i.epoch = seen.epoch AND i.state = seen.state
      AND i.lease_until = seen.lease_until
    FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    UPDATE {schema}.idempotency i
    SET epoch = i.epoch + CASE WHEN is_asked_again THEN 0 ELSE 1 END,
      attempts = i.attempts + CASE WHEN is_asked_again THEN 0 ELSE 1 END,
      owner = of_owner, adopted_by = CASE WHEN is_asked_again THEN i.adopted_by END,
      state = 'running', lease_until = today + lasts, lease_lasts = lasts,
      request_head = coalesce(i.request_head, of_request),
      request_body = CASE WHEN i.request_head IS NULL THEN of_body ELSE i.request_body END,
      expires_at = today + kept
    WHERE i.record = seen.record
    RETURNING i.record, i.epoch, i.attempts, i.steps
    INTO its_record, its_epoch, its_attempts, its_steps;
    outcome := 'mine';
    RETURN;
  END LOOP;

  IF is_there THEN
    -- Its lease has ended, and its row is locked: by its atomic phase, or by
    -- who takes it over.
    outcome := 'in progress';
    ends_in := 0;
  ELSIF EXISTS (SELECT FROM {schema}.idempotency i WHERE i.record = of_owner) THEN
    RAISE EXCEPTION 'the owner has claimed another key' USING ERRCODE = '22023';
  ELSE
    RAISE EXCEPTION 'the key comes and goes' USING ERRCODE = '40001';
  END IF;
END
$$;

-- Renews a lease; whether it is held.
--
-- The row may be locked, for long, by the request's own atomic phase. That
-- renews the lease when it ends, and nobody takes over what is locked: so the
-- lease is held, if it is this one that the row says, and nothing is written.
-- All others lock it for a moment, for which this waits.
CREATE FUNCTION {schema}.idempotency_renew(
  of_record uuid, of_epoch bigint, lasts_micros bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  lasts constant interval := lasts_micros * interval '1 microsecond';
BEGIN
  FOR look IN 1..5 LOOP
    PERFORM FROM {schema}.idempotency i
    WHERE i.record = of_record AND i.epoch = of_epoch AND i.state = 'running'
    FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
      UPDATE {schema}.idempotency i
      SET lease_until = clock_timestamp() + lasts, lease_lasts = lasts
      WHERE i.record = of_record;
      RETURN true;
    END IF;
    IF NOT EXISTS (
      SELECT FROM {schema}.idempotency i
      WHERE i.record = of_record AND i.epoch = of_epoch AND i.state = 'running'
    ) THEN
      RETURN false;
    END IF;
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN true;
END
$$;

-- Claims the request that was abandoned longest ago; nothing if there is none.
CREATE FUNCTION {schema}.idempotency_adopt(
  of_owner uuid, lasts_micros bigint, abandoned_micros bigint, at_most bigint,
  OUT its_tenant text, OUT its_method text, OUT its_route text, OUT its_key text,
  OUT its_record uuid, OUT its_epoch bigint, OUT its_attempts integer, OUT its_steps text,
  OUT head text, OUT body bytea
) LANGUAGE plpgsql AS $$
DECLARE
  lasts constant interval := lasts_micros * interval '1 microsecond';
  today timestamptz;
  latest timestamptz;
  which uuid;
  is_asked_again boolean;
BEGIN
  -- Who asks again may be waiting for what it asked before.
  PERFORM pg_advisory_xact_lock(hashtextextended('{schema} idempotency ' || of_owner, 0));
  today := clock_timestamp();
  latest := today - abandoned_micros * interval '1 microsecond';
  SELECT i.record INTO which FROM {schema}.idempotency i
  WHERE i.adopted_by = of_owner AND i.state = 'running' AND i.lease_until > today
  FOR UPDATE SKIP LOCKED;
  is_asked_again := FOUND;
  IF NOT is_asked_again THEN
    SELECT i.record INTO which FROM {schema}.idempotency i
    WHERE i.abandoned_at <= latest AND i.attempts <= at_most AND i.expires_at > today
    ORDER BY i.abandoned_at LIMIT 1
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      RETURN;
    END IF;
  END IF;
  UPDATE {schema}.idempotency i
  SET epoch = i.epoch + CASE WHEN is_asked_again THEN 0 ELSE 1 END,
    attempts = i.attempts + CASE WHEN is_asked_again THEN 0 ELSE 1 END,
    owner = of_owner, adopted_by = of_owner, state = 'running', lease_until = today + lasts,
    lease_lasts = lasts
  WHERE i.record = which
  RETURNING i.tenant, i.method, i.route, i.key, i.record, i.epoch, i.attempts, i.steps,
    i.request_head, i.request_body
  INTO its_tenant, its_method, its_route, its_key, its_record, its_epoch, its_attempts,
    its_steps, head, body;
END
$$;
