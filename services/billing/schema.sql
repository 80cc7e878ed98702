CREATE SCHEMA billing;

CREATE FUNCTION billing.drop_day_partitions(inbox_before date, outbox_before date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'billing'
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

CREATE FUNCTION billing.ensure_day_partitions(inbox_first date, outbox_first date, last_day date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'billing'
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

CREATE FUNCTION billing.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

CREATE TABLE billing.accounts (
    user_id bigint NOT NULL,
    available bigint NOT NULL,
    held bigint NOT NULL,
    debt bigint NOT NULL,
    in_flight integer NOT NULL,
    transfers integer NOT NULL,
    lots_opened integer NOT NULL,
    tier text NOT NULL,
    tier_until timestamp with time zone,
    tier_version integer NOT NULL,
    trial_renews_at timestamp with time zone,
    deep_link text NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    CONSTRAINT accounts_available_check CHECK ((available >= 0)),
    CONSTRAINT accounts_debt_check CHECK ((debt >= 0)),
    CONSTRAINT accounts_held_check CHECK ((held >= 0)),
    CONSTRAINT accounts_in_flight_check CHECK ((in_flight >= 0)),
    CONSTRAINT accounts_lots_opened_check CHECK ((lots_opened >= 0)),
    CONSTRAINT accounts_tier_check CHECK ((tier = ANY (ARRAY['none'::text, 'vip'::text, 'black_gold'::text]))),
    CONSTRAINT accounts_tier_version_check CHECK ((tier_version >= 0)),
    CONSTRAINT accounts_transfers_check CHECK ((transfers >= 0)),
    CONSTRAINT accounts_user_id_check CHECK ((user_id > 0)),
    CONSTRAINT debt_is_paid_first CHECK (((debt = 0) OR (available = 0)))
)
WITH (fillfactor='70');

CREATE TABLE billing.aggregate_versions (
    aggregate text NOT NULL,
    version bigint NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

CREATE TABLE billing.effects (
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
    CONSTRAINT effects_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT effects_state_check CHECK ((state = ANY (ARRAY['due'::text, 'done'::text, 'failed'::text])))
);

CREATE TABLE billing.grants (
    grant_key text NOT NULL,
    user_id bigint NOT NULL,
    lot integer NOT NULL,
    kind text NOT NULL,
    credits integer NOT NULL,
    expires_at timestamp with time zone,
    reason text NOT NULL,
    actor text NOT NULL,
    granted_at timestamp with time zone NOT NULL,
    CONSTRAINT grants_credits_check CHECK ((credits > 0)),
    CONSTRAINT grants_grant_key_check CHECK (((length(grant_key) >= 1) AND (length(grant_key) <= 200)))
);

CREATE TABLE billing.holds (
    order_id uuid NOT NULL,
    user_id bigint NOT NULL,
    amount integer NOT NULL,
    parts jsonb NOT NULL,
    quota_day date,
    expires_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    CONSTRAINT holds_amount_check CHECK ((amount >= 0)),
    CONSTRAINT holds_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'posted'::text, 'voided'::text, 'expired'::text])))
);

CREATE TABLE billing.inbox (
    day date NOT NULL,
    id uuid NOT NULL
)
PARTITION BY RANGE (day);

CREATE TABLE billing.lots (
    user_id bigint NOT NULL,
    number integer NOT NULL,
    kind text NOT NULL,
    granted integer NOT NULL,
    remaining integer NOT NULL,
    expires_at timestamp with time zone,
    state text NOT NULL,
    CONSTRAINT lots_check CHECK (((remaining >= 0) AND (remaining <= granted))),
    CONSTRAINT lots_granted_check CHECK ((granted > 0)),
    CONSTRAINT lots_kind_check CHECK ((kind = ANY (ARRAY['trial'::text, 'bonus'::text, 'paid'::text]))),
    CONSTRAINT lots_number_check CHECK ((number > 0)),
    CONSTRAINT lots_state_check CHECK ((state = ANY (ARRAY['open'::text, 'expired'::text, 'revoked'::text]))),
    CONSTRAINT only_open_lots_hold CHECK (((state = 'open'::text) OR (remaining = 0)))
)
WITH (fillfactor='70');

CREATE TABLE billing.orders (
    order_id uuid NOT NULL,
    user_id bigint NOT NULL,
    workflow_id text NOT NULL,
    catalogue_version integer NOT NULL,
    price_credits integer NOT NULL,
    digest bytea NOT NULL,
    pool text NOT NULL,
    lane text NOT NULL,
    state text NOT NULL,
    version integer NOT NULL,
    reason text NOT NULL,
    placed_at timestamp with time zone NOT NULL,
    start_before timestamp with time zone,
    traceparent text NOT NULL,
    cancel_requested boolean DEFAULT false NOT NULL,
    gift boolean DEFAULT false NOT NULL,
    server text,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    outputs bytea,
    deliver_due_at timestamp with time zone,
    deliver_asked integer DEFAULT 0 NOT NULL,
    delivered_at timestamp with time zone,
    delivery_message_id bigint,
    delivery_reason text,
    CONSTRAINT gifts_were_not_charged CHECK (((NOT gift) OR (state = 'refunded'::text))),
    CONSTRAINT orders_state_check CHECK ((state = ANY (ARRAY['accepted'::text, 'running'::text, 'completed'::text, 'refunded'::text, 'refused'::text]))),
    CONSTRAINT orders_version_check CHECK ((version > 0)),
    CONSTRAINT results_belong_to_ends CHECK (((outputs IS NULL) OR (state = 'completed'::text) OR ((state = 'refunded'::text) AND gift)))
)
WITH (fillfactor='80');

CREATE TABLE billing.outbox (
    day date NOT NULL,
    id uuid NOT NULL,
    subject text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL,
    published_at timestamp with time zone
)
PARTITION BY RANGE (day);

CREATE TABLE billing.parked (
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

CREATE TABLE billing.quotas (
    user_id bigint NOT NULL,
    workflow_id text NOT NULL,
    day date NOT NULL,
    used integer NOT NULL,
    CONSTRAINT quotas_used_check CHECK ((used >= 0))
)
WITH (fillfactor='70');

CREATE TABLE billing.schema_version (
    number integer NOT NULL,
    key text NOT NULL,
    digest text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE billing.starts (
    id uuid NOT NULL,
    count integer NOT NULL,
    last_at timestamp with time zone NOT NULL,
    CONSTRAINT starts_count_check CHECK ((count > 0))
);

CREATE TABLE billing.tier_changes (
    user_id bigint NOT NULL,
    version integer NOT NULL,
    tier text NOT NULL,
    until timestamp with time zone,
    reason text NOT NULL,
    actor text NOT NULL,
    changed_at timestamp with time zone NOT NULL
);

CREATE TABLE billing.transfers (
    user_id bigint NOT NULL,
    number integer NOT NULL,
    lot integer NOT NULL,
    amount integer NOT NULL,
    debit text NOT NULL,
    credit text NOT NULL,
    kind text NOT NULL,
    order_id uuid,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT transfers_amount_check CHECK ((amount > 0)),
    CONSTRAINT transfers_check CHECK ((credit <> debit)),
    CONSTRAINT transfers_kind_check CHECK ((kind = ANY (ARRAY['hold'::text, 'post'::text, 'void'::text, 'expire'::text, 'grant'::text, 'trial'::text, 'revoke'::text]))),
    CONSTRAINT transfers_number_check CHECK ((number > 0))
);

ALTER TABLE ONLY billing.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY billing.aggregate_versions
    ADD CONSTRAINT aggregate_versions_pkey PRIMARY KEY (aggregate);

ALTER TABLE ONLY billing.effects
    ADD CONSTRAINT effects_pkey PRIMARY KEY (key);

ALTER TABLE ONLY billing.grants
    ADD CONSTRAINT grants_pkey PRIMARY KEY (grant_key);

ALTER TABLE ONLY billing.grants
    ADD CONSTRAINT grants_user_id_lot_key UNIQUE (user_id, lot);

ALTER TABLE ONLY billing.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY billing.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id, day);

ALTER TABLE ONLY billing.lots
    ADD CONSTRAINT lots_pkey PRIMARY KEY (user_id, number);

ALTER TABLE ONLY billing.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY billing.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id, day);

ALTER TABLE ONLY billing.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.quotas
    ADD CONSTRAINT quotas_pkey PRIMARY KEY (user_id, workflow_id);

ALTER TABLE ONLY billing.schema_version
    ADD CONSTRAINT schema_version_key_key UNIQUE (key);

ALTER TABLE ONLY billing.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (number);

ALTER TABLE ONLY billing.starts
    ADD CONSTRAINT starts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.tier_changes
    ADD CONSTRAINT tier_changes_pkey PRIMARY KEY (user_id, version);

ALTER TABLE ONLY billing.transfers
    ADD CONSTRAINT transfers_pkey PRIMARY KEY (user_id, number);

CREATE INDEX accounts_trial_due ON billing.accounts USING btree (trial_renews_at) WHERE (trial_renews_at IS NOT NULL);

CREATE INDEX effects_due ON billing.effects USING btree (due_at) WHERE (state = 'due'::text);

CREATE INDEX holds_pending ON billing.holds USING btree (expires_at) WHERE (state = 'pending'::text);

CREATE INDEX lots_expiring ON billing.lots USING btree (expires_at) WHERE ((state = 'open'::text) AND (expires_at IS NOT NULL));

CREATE INDEX orders_delivery_due ON billing.orders USING btree (deliver_due_at) WHERE (deliver_due_at IS NOT NULL);

CREATE INDEX outbox_pending ON ONLY billing.outbox USING btree (id) WHERE (published_at IS NULL);

CREATE INDEX parked_waiting ON billing.parked USING btree (parked_at) WHERE (state <> 'done'::text);

CREATE TRIGGER transfers_are_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON billing.transfers FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();
