CREATE SCHEMA gateway;

CREATE FUNCTION gateway.drop_day_partitions(inbox_before date, outbox_before date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'gateway'
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

CREATE FUNCTION gateway.ensure_day_partitions(inbox_first date, outbox_first date, last_day date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'gateway'
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

CREATE TABLE gateway.aggregate_versions (
    aggregate text NOT NULL,
    version bigint NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

CREATE TABLE gateway.checkouts (
    checkout_id uuid NOT NULL,
    user_id bigint NOT NULL,
    product text NOT NULL,
    product_id text NOT NULL,
    credits bigint NOT NULL,
    bonus_credits bigint NOT NULL,
    tier text DEFAULT ''::text NOT NULL,
    amounts jsonb NOT NULL,
    priced_at timestamp with time zone NOT NULL,
    order_id uuid,
    method text DEFAULT ''::text NOT NULL,
    state text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT checkouts_bonus_credits_check CHECK ((bonus_credits >= 0)),
    CONSTRAINT checkouts_check CHECK (((method <> ''::text) OR (state = ANY (ARRAY['offered'::text, 'dropped'::text])))),
    CONSTRAINT checkouts_credits_check CHECK ((credits >= 0)),
    CONSTRAINT checkouts_product_check CHECK ((product = ANY (ARRAY['pack'::text, 'plan'::text, 'access'::text]))),
    CONSTRAINT checkouts_state_check CHECK ((state = ANY (ARRAY['offered'::text, 'asked'::text, 'open'::text, 'paid'::text, 'failed'::text, 'dropped'::text])))
);

CREATE TABLE gateway.conversations (
    bot_id bigint NOT NULL,
    user_id bigint NOT NULL,
    state text,
    data jsonb NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE gateway.deliveries (
    id uuid NOT NULL,
    user_id bigint NOT NULL,
    shard smallint NOT NULL,
    kind text NOT NULL,
    order_id uuid,
    part smallint DEFAULT 0 NOT NULL,
    key text DEFAULT ''::text NOT NULL,
    final boolean DEFAULT false NOT NULL,
    body jsonb NOT NULL,
    state text DEFAULT 'intent'::text NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    due_at timestamp with time zone NOT NULL,
    leased_by uuid,
    message_id bigint,
    reason text DEFAULT ''::text NOT NULL,
    traceparent text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    CONSTRAINT deliveries_check CHECK (((kind <> 'result'::text) OR (order_id IS NOT NULL))),
    CONSTRAINT deliveries_check1 CHECK (((state = 'intent'::text) = (settled_at IS NULL))),
    CONSTRAINT deliveries_kind_check CHECK ((kind = ANY (ARRAY['send'::text, 'edit'::text, 'result'::text, 'delete'::text]))),
    CONSTRAINT deliveries_state_check CHECK ((state = ANY (ARRAY['intent'::text, 'sent'::text, 'failed'::text, 'superseded'::text])))
);

CREATE TABLE gateway.effects (
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

CREATE TABLE gateway.files (
    object_key text NOT NULL,
    shown_as text NOT NULL,
    file_id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT files_shown_as_check CHECK ((shown_as = ANY (ARRAY['photo'::text, 'video'::text, 'document'::text])))
);

CREATE TABLE gateway.groups (
    chat_id bigint NOT NULL,
    told_at timestamp with time zone NOT NULL
);

CREATE TABLE gateway.inbox (
    day date NOT NULL,
    id uuid NOT NULL
)
PARTITION BY RANGE (day);

CREATE TABLE gateway.media (
    id uuid NOT NULL,
    user_id bigint NOT NULL,
    shard smallint NOT NULL,
    file_unique_id text NOT NULL,
    file_id text NOT NULL,
    size_bytes bigint NOT NULL,
    mime text NOT NULL,
    state text NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    due_at timestamp with time zone NOT NULL,
    leased_by uuid,
    ref jsonb,
    thumbnail jsonb,
    error text DEFAULT ''::text NOT NULL,
    traceparent text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone NOT NULL,
    CONSTRAINT media_check CHECK (((state = 'available'::text) = (ref IS NOT NULL))),
    CONSTRAINT media_check1 CHECK (((state = 'failed'::text) = (error <> ''::text))),
    CONSTRAINT media_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'downloading'::text, 'available'::text, 'failed'::text])))
);

CREATE TABLE gateway.messages (
    chat_id bigint NOT NULL,
    key text NOT NULL,
    message_id bigint NOT NULL,
    has_media boolean DEFAULT false NOT NULL,
    final boolean DEFAULT false NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

CREATE TABLE gateway.outbox (
    day date NOT NULL,
    id uuid NOT NULL,
    subject text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL,
    published_at timestamp with time zone
)
PARTITION BY RANGE (day);

CREATE TABLE gateway.parked (
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

CREATE TABLE gateway.persons (
    user_id bigint NOT NULL,
    language text NOT NULL,
    time_zone text DEFAULT ''::text NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    blocked_at timestamp with time zone
);

CREATE TABLE gateway.schema_version (
    number integer NOT NULL,
    key text NOT NULL,
    digest text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE gateway.screens (
    order_id uuid NOT NULL,
    user_id bigint NOT NULL,
    workflow_id text NOT NULL,
    catalogue_version integer NOT NULL,
    price_credits bigint NOT NULL,
    base_price_credits bigint NOT NULL,
    priced_at timestamp with time zone NOT NULL,
    media_ids uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    message_id bigint,
    state text NOT NULL,
    params jsonb DEFAULT '{}'::jsonb NOT NULL,
    outputs jsonb DEFAULT '[]'::jsonb NOT NULL,
    shown_ahead integer,
    cancel_asked boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT screens_base_price_credits_check CHECK ((base_price_credits >= 0)),
    CONSTRAINT screens_price_credits_check CHECK ((price_credits >= 0)),
    CONSTRAINT screens_state_check CHECK ((state = ANY (ARRAY['priced'::text, 'confirming'::text, 'placed'::text, 'accepted'::text, 'running'::text, 'refused'::text, 'completed'::text, 'refunded'::text, 'dropped'::text])))
);

CREATE TABLE gateway.stars_statement (
    bot_id bigint NOT NULL,
    lines_read bigint NOT NULL,
    read_at timestamp with time zone NOT NULL,
    CONSTRAINT stars_statement_lines_read_check CHECK ((lines_read >= 0))
);

CREATE TABLE gateway.starts (
    id uuid NOT NULL,
    count integer NOT NULL,
    last_at timestamp with time zone NOT NULL,
    CONSTRAINT starts_count_check CHECK ((count > 0))
);

CREATE TABLE gateway.updates (
    bot_id bigint NOT NULL,
    update_id bigint NOT NULL,
    user_id bigint NOT NULL,
    starts smallint DEFAULT 0 NOT NULL,
    answers jsonb DEFAULT '[]'::jsonb NOT NULL,
    received_at timestamp with time zone NOT NULL,
    handled_at timestamp with time zone
);

ALTER TABLE ONLY gateway.aggregate_versions
    ADD CONSTRAINT aggregate_versions_pkey PRIMARY KEY (aggregate);

ALTER TABLE ONLY gateway.checkouts
    ADD CONSTRAINT checkouts_pkey PRIMARY KEY (checkout_id);

ALTER TABLE ONLY gateway.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (bot_id, user_id);

ALTER TABLE ONLY gateway.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY gateway.effects
    ADD CONSTRAINT effects_pkey PRIMARY KEY (key);

ALTER TABLE ONLY gateway.files
    ADD CONSTRAINT files_pkey PRIMARY KEY (object_key, shown_as);

ALTER TABLE ONLY gateway.groups
    ADD CONSTRAINT groups_pkey PRIMARY KEY (chat_id);

ALTER TABLE ONLY gateway.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id, day);

ALTER TABLE ONLY gateway.media
    ADD CONSTRAINT media_pkey PRIMARY KEY (id);

ALTER TABLE ONLY gateway.media
    ADD CONSTRAINT media_user_id_file_unique_id_key UNIQUE (user_id, file_unique_id);

ALTER TABLE ONLY gateway.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (chat_id, key);

ALTER TABLE ONLY gateway.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id, day);

ALTER TABLE ONLY gateway.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (id);

ALTER TABLE ONLY gateway.persons
    ADD CONSTRAINT persons_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY gateway.schema_version
    ADD CONSTRAINT schema_version_key_key UNIQUE (key);

ALTER TABLE ONLY gateway.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (number);

ALTER TABLE ONLY gateway.screens
    ADD CONSTRAINT screens_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY gateway.stars_statement
    ADD CONSTRAINT stars_statement_pkey PRIMARY KEY (bot_id);

ALTER TABLE ONLY gateway.starts
    ADD CONSTRAINT starts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY gateway.updates
    ADD CONSTRAINT updates_pkey PRIMARY KEY (bot_id, update_id);

CREATE INDEX checkouts_old ON gateway.checkouts USING brin (created_at);

CREATE INDEX conversations_expired ON gateway.conversations USING btree (expires_at);

CREATE INDEX deliveries_due ON gateway.deliveries USING btree (shard, due_at) WHERE (state = 'intent'::text);

CREATE INDEX deliveries_old ON gateway.deliveries USING brin (created_at);

CREATE UNIQUE INDEX deliveries_result ON gateway.deliveries USING btree (order_id, part) WHERE (kind = 'result'::text);

CREATE INDEX deliveries_waiting ON gateway.deliveries USING btree (user_id, id) WHERE (state = 'intent'::text);

CREATE INDEX effects_about ON gateway.effects USING btree (about, key COLLATE "C") WHERE (about IS NOT NULL);

CREATE INDEX effects_due ON gateway.effects USING btree (due_at) WHERE (state = 'due'::text);

CREATE INDEX effects_settled ON gateway.effects USING btree (settled_at) WHERE (state <> 'due'::text);

CREATE INDEX files_old ON gateway.files USING brin (created_at);

CREATE INDEX media_due ON gateway.media USING btree (shard, due_at) WHERE (state = ANY (ARRAY['pending'::text, 'downloading'::text]));

CREATE INDEX media_used ON gateway.media USING btree (used_at);

CREATE INDEX messages_old ON gateway.messages USING brin (updated_at);

CREATE INDEX outbox_pending ON ONLY gateway.outbox USING btree (id) WHERE (published_at IS NULL);

CREATE INDEX parked_waiting ON gateway.parked USING btree (parked_at) WHERE (state <> 'done'::text);

CREATE INDEX screens_confirming ON gateway.screens USING gin (media_ids) WHERE (state = 'confirming'::text);

CREATE INDEX screens_of_user ON gateway.screens USING btree (user_id, created_at);

CREATE INDEX screens_queued ON gateway.screens USING btree (order_id) WHERE (state = 'accepted'::text);

CREATE INDEX updates_received ON gateway.updates USING brin (received_at);
