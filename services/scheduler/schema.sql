CREATE SCHEMA scheduler;

CREATE FUNCTION scheduler.drop_day_partitions(inbox_before date, outbox_before date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'scheduler'
    AS $$
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

CREATE FUNCTION scheduler.ensure_day_partitions(inbox_first date, outbox_first date, last_day date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'scheduler'
    AS $$
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

CREATE FUNCTION scheduler.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

CREATE TABLE scheduler.aggregate_versions (
    aggregate text NOT NULL,
    version bigint NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

CREATE TABLE scheduler.effects (
    key text NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    traceparent text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    ambiguous boolean DEFAULT false NOT NULL,
    leased_until timestamp with time zone,
    state text DEFAULT 'due'::text NOT NULL,
    last_reason text DEFAULT ''::text NOT NULL,
    settled_at timestamp with time zone,
    about text,
    attempts_before integer DEFAULT 0 NOT NULL,
    CONSTRAINT effects_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT effects_state_check CHECK ((state = ANY (ARRAY['due'::text, 'done'::text, 'failed'::text]))),
    CONSTRAINT settled_ones_say_when CHECK (((state = 'due'::text) = (settled_at IS NULL)))
);

CREATE TABLE scheduler.inbox (
    day date NOT NULL,
    id uuid NOT NULL
)
PARTITION BY RANGE (day);

CREATE TABLE scheduler.kind_limits (
    kind text NOT NULL,
    free_at timestamp with time zone NOT NULL
)
WITH (fillfactor='20', autovacuum_vacuum_threshold='500');

CREATE TABLE scheduler.operator_actions (
    number bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    key text NOT NULL,
    detail jsonb NOT NULL,
    dry_run boolean NOT NULL,
    outcome text NOT NULL,
    acted_at timestamp with time zone NOT NULL
);

ALTER TABLE scheduler.operator_actions ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME scheduler.operator_actions_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE scheduler.outbox (
    day date NOT NULL,
    id uuid NOT NULL,
    subject text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL,
    published_at timestamp with time zone
)
PARTITION BY RANGE (day);

CREATE TABLE scheduler.parked (
    id uuid NOT NULL,
    stream text NOT NULL,
    consumer text NOT NULL,
    subject text NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    reason text NOT NULL,
    traceparent text NOT NULL,
    parked_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    redriven_at timestamp with time zone,
    redriven_by text,
    CONSTRAINT parked_state_check CHECK ((state = ANY (ARRAY['parked'::text, 'fresh'::text, 'done'::text])))
);

CREATE TABLE scheduler.schema_version (
    number integer NOT NULL,
    key text NOT NULL,
    digest text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE scheduler.starts (
    id uuid NOT NULL,
    count integer NOT NULL,
    last_at timestamp with time zone NOT NULL,
    CONSTRAINT starts_count_check CHECK ((count > 0))
);

CREATE TABLE scheduler.ticks (
    name text NOT NULL,
    period_seconds double precision NOT NULL,
    due_at timestamp with time zone NOT NULL,
    CONSTRAINT ticks_period_seconds_check CHECK ((period_seconds > (0)::double precision))
)
WITH (fillfactor='20', autovacuum_vacuum_threshold='500');

CREATE TABLE scheduler.timers (
    key text NOT NULL,
    version bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    fire_subject text NOT NULL,
    fire_body bytea NOT NULL,
    traceparent text NOT NULL,
    state text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    kind text DEFAULT ''::text NOT NULL,
    catch_up text DEFAULT 'fire'::text NOT NULL,
    late_max_seconds integer DEFAULT 0 NOT NULL,
    group_name text DEFAULT ''::text NOT NULL,
    rule jsonb,
    CONSTRAINT a_group_coalesces CHECK (((group_name <> ''::text) = (catch_up = 'coalesce'::text))),
    CONSTRAINT timers_catch_up_check CHECK ((catch_up = ANY (ARRAY['fire'::text, 'skip'::text, 'coalesce'::text]))),
    CONSTRAINT timers_key_check CHECK (((length(key) >= 1) AND (length(key) <= 200))),
    CONSTRAINT timers_late_max_seconds_check CHECK ((late_max_seconds >= 0)),
    CONSTRAINT timers_state_check CHECK ((state = ANY (ARRAY['armed'::text, 'fired'::text, 'cancelled'::text, 'skipped'::text, 'coalesced'::text]))),
    CONSTRAINT timers_version_check CHECK ((version > 0))
)
WITH (autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_insert_scale_factor='0.05', autovacuum_analyze_scale_factor='0.05', autovacuum_vacuum_cost_delay='1');

ALTER TABLE ONLY scheduler.aggregate_versions
    ADD CONSTRAINT aggregate_versions_pkey PRIMARY KEY (aggregate);

ALTER TABLE ONLY scheduler.effects
    ADD CONSTRAINT effects_pkey PRIMARY KEY (key);

ALTER TABLE ONLY scheduler.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id, day);

ALTER TABLE ONLY scheduler.kind_limits
    ADD CONSTRAINT kind_limits_pkey PRIMARY KEY (kind);

ALTER TABLE ONLY scheduler.operator_actions
    ADD CONSTRAINT operator_actions_pkey PRIMARY KEY (number);

ALTER TABLE ONLY scheduler.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id, day);

ALTER TABLE ONLY scheduler.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (id);

ALTER TABLE ONLY scheduler.schema_version
    ADD CONSTRAINT schema_version_key_key UNIQUE (key);

ALTER TABLE ONLY scheduler.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (number);

ALTER TABLE ONLY scheduler.starts
    ADD CONSTRAINT starts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY scheduler.ticks
    ADD CONSTRAINT ticks_pkey PRIMARY KEY (name);

ALTER TABLE ONLY scheduler.timers
    ADD CONSTRAINT timers_pkey PRIMARY KEY (key);

CREATE INDEX effects_about ON scheduler.effects USING btree (about, key COLLATE "C") WHERE (about IS NOT NULL);

CREATE INDEX effects_due ON scheduler.effects USING btree (due_at) WHERE (state = 'due'::text);

CREATE INDEX effects_settled ON scheduler.effects USING btree (settled_at) WHERE (state <> 'due'::text);

CREATE INDEX operator_actions_of ON scheduler.operator_actions USING btree (key, number);

CREATE INDEX outbox_pending ON ONLY scheduler.outbox USING btree (id) WHERE (published_at IS NULL);

CREATE INDEX parked_waiting ON scheduler.parked USING btree (parked_at) WHERE (state <> 'done'::text);

CREATE INDEX timers_due ON scheduler.timers USING btree (kind, due_at) WHERE (state = 'armed'::text);

CREATE INDEX timers_ended ON scheduler.timers USING btree (changed_at) WHERE (state <> 'armed'::text);

CREATE INDEX timers_grouped ON scheduler.timers USING btree (group_name, due_at, key) WHERE ((group_name <> ''::text) AND (state = ANY (ARRAY['armed'::text, 'fired'::text])));

CREATE INDEX timers_grouped_due ON scheduler.timers USING btree (due_at) WHERE ((state = 'armed'::text) AND (group_name <> ''::text));

CREATE TRIGGER operator_actions_are_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON scheduler.operator_actions FOR EACH STATEMENT EXECUTE FUNCTION scheduler.refuse_change();
