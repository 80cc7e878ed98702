-- What the exactly-once runtime of every service keeps beside the service's own tables.

-- One row per handled message. The partition is a pure function of the id (UUIDv7 time).
CREATE TABLE inbox (
    day date NOT NULL,
    id uuid NOT NULL,
    PRIMARY KEY (id, day)
) PARTITION BY RANGE (day);

-- Messages to publish, written in the transaction that decided them; marked when stored by NATS.
CREATE TABLE outbox (
    day date NOT NULL,
    id uuid NOT NULL,
    subject text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL,
    published_at timestamptz,
    PRIMARY KEY (id, day)
) PARTITION BY RANGE (day);
CREATE INDEX outbox_pending ON outbox (id) WHERE published_at IS NULL;

-- Handler starts of messages delivered again and again, counted before the handler begins.
CREATE TABLE starts (
    id uuid PRIMARY KEY,
    count integer NOT NULL CHECK (count > 0),
    last_at timestamptz NOT NULL
);

-- Dead letters: kept here, in their owner's database; the stream DEAD carries only the notice.
CREATE TABLE parked (
    id uuid PRIMARY KEY,
    stream text NOT NULL,
    consumer text NOT NULL,
    subject text NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    reason text NOT NULL,
    traceparent text NOT NULL,
    parked_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('parked', 'fresh', 'done')),
    redriven_at timestamptz,
    redriven_by text
);
CREATE INDEX parked_waiting ON parked (parked_at) WHERE state <> 'done';

-- The newest version seen of whatever carries state; anything not newer is ignored.
CREATE TABLE aggregate_versions (
    aggregate text PRIMARY KEY,
    version bigint NOT NULL,
    seen_at timestamptz NOT NULL
);

-- Calls to the outside world: claimed with a lease, made with no connection held.
CREATE TABLE effects (
    key text PRIMARY KEY,
    kind text NOT NULL,
    body bytea NOT NULL,
    traceparent text NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    ambiguous boolean NOT NULL DEFAULT false,
    leased_until timestamptz,
    state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'done', 'failed')),
    last_reason text NOT NULL DEFAULT ''
);
CREATE INDEX effects_due ON effects (due_at) WHERE state = 'due';

-- The service's own role may not create or drop tables; these two functions are its only way to
-- do so. SECURITY DEFINER: they run as the schema's owner, on two named tables alone. A table is
-- made first and attached after, since CREATE ... PARTITION OF would lock the parent exclusively.
CREATE FUNCTION ensure_day_partitions(inbox_first date, outbox_first date, last_day date)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    parent text;
    child text;
    day date;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext(current_schema() || ':partitions'));
    FOREACH parent IN ARRAY ARRAY['inbox', 'outbox'] LOOP
        day := CASE parent WHEN 'inbox' THEN inbox_first ELSE outbox_first END;
        WHILE day <= last_day LOOP
            child := parent || '_' || to_char(day, 'YYYYMMDD');
            IF to_regclass(quote_ident(child)) IS NULL THEN
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', child, parent);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                               parent, child, day, day + 1);
            END IF;
            day := day + 1;
        END LOOP;
    END LOOP;
END $$;

CREATE FUNCTION drop_day_partitions(inbox_before date, outbox_before date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    child record;
    pending boolean;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext(current_schema() || ':partitions'));
    FOR child IN
        SELECT c.relname AS name, p.relname AS parent,
               to_date(right(c.relname, 8), 'YYYYMMDD') AS day
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        JOIN pg_class p ON p.oid = i.inhparent
        WHERE p.oid IN ('inbox'::regclass, 'outbox'::regclass)
    LOOP
        IF child.parent = 'inbox' AND child.day >= inbox_before THEN CONTINUE; END IF;
        IF child.parent = 'outbox' THEN
            IF child.day >= outbox_before THEN CONTINUE; END IF;
            -- A row nobody published yet keeps its whole day.
            EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE published_at IS NULL)', child.name)
                INTO pending;
            IF pending THEN CONTINUE; END IF;
        END IF;
        EXECUTE format('DROP TABLE %I', child.name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;
