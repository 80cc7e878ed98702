CREATE SCHEMA vpn;

CREATE FUNCTION vpn.drop_day_partitions(inbox_before date, outbox_before date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'vpn'
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

CREATE FUNCTION vpn.ensure_day_partitions(inbox_first date, outbox_first date, last_day date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'vpn'
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

CREATE TABLE vpn.aggregate_versions (
    aggregate text NOT NULL,
    version bigint NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

CREATE TABLE vpn.desired (
    subscription_id uuid NOT NULL,
    set_id text NOT NULL,
    key uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    flow text NOT NULL,
    digest numeric(39,0) NOT NULL,
    generation bigint NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    removed_for text,
    CONSTRAINT a_removal_says_why CHECK ((removed_for <> ''::text))
);

CREATE TABLE vpn.desired_head (
    one boolean DEFAULT true NOT NULL,
    generation bigint NOT NULL,
    CONSTRAINT desired_head_generation_check CHECK ((generation >= 0)),
    CONSTRAINT desired_head_one_check CHECK (one)
);

CREATE TABLE vpn.effects (
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

CREATE TABLE vpn.extended (
    action_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    until_before timestamp with time zone NOT NULL,
    until_after timestamp with time zone NOT NULL
);

CREATE TABLE vpn.extensions (
    action_id uuid NOT NULL,
    days integer NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    plan text NOT NULL,
    ended_within_days integer NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    after_id uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT extensions_days_check CHECK ((days > 0))
);

CREATE TABLE vpn.grants (
    order_id uuid NOT NULL,
    user_id bigint NOT NULL,
    subscription_id uuid NOT NULL,
    plan text NOT NULL,
    until timestamp with time zone NOT NULL,
    span interval NOT NULL,
    traffic_bytes bigint NOT NULL,
    plan_before text NOT NULL,
    limit_before bigint,
    order_before uuid,
    trial_before boolean NOT NULL,
    given_at timestamp with time zone NOT NULL,
    bought_at timestamp with time zone,
    revoked_at timestamp with time zone,
    chosen_at timestamp with time zone
);

CREATE TABLE vpn.inbox (
    day date NOT NULL,
    id uuid NOT NULL
)
PARTITION BY RANGE (day);

CREATE TABLE vpn.node_alarms (
    node text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    raised_at timestamp with time zone NOT NULL
);

CREATE TABLE vpn.node_drifts (
    node text NOT NULL,
    dry_run boolean NOT NULL,
    at timestamp with time zone NOT NULL,
    seconds double precision NOT NULL,
    missing integer NOT NULL,
    extra integer NOT NULL,
    "foreign" integer NOT NULL,
    mended integer NOT NULL,
    held_back text NOT NULL
);

CREATE TABLE vpn.node_sets (
    id text NOT NULL,
    entries bigint NOT NULL,
    digest_sum numeric(39,0) NOT NULL,
    CONSTRAINT node_sets_digest_sum_check CHECK ((digest_sum >= (0)::numeric)),
    CONSTRAINT node_sets_entries_check CHECK ((entries >= 0))
);

CREATE TABLE vpn.nodes (
    name text NOT NULL,
    region text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    state_actor text DEFAULT ''::text NOT NULL,
    state_reason text DEFAULT ''::text NOT NULL,
    state_at timestamp with time zone,
    health text DEFAULT 'down'::text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    hash text DEFAULT ''::text NOT NULL,
    entries bigint DEFAULT 0 NOT NULL,
    core text DEFAULT ''::text NOT NULL,
    boot_id text DEFAULT ''::text NOT NULL,
    uptime_seconds double precision DEFAULT 0 NOT NULL,
    seen_at timestamp with time zone,
    emptied boolean DEFAULT false NOT NULL,
    CONSTRAINT nodes_health_check CHECK ((health = ANY (ARRAY['up'::text, 'down'::text, 'syncing'::text, 'sick'::text]))),
    CONSTRAINT nodes_state_check CHECK ((state = ANY (ARRAY['active'::text, 'draining'::text, 'off'::text])))
);

CREATE TABLE vpn.online (
    node text NOT NULL,
    subscription_id uuid NOT NULL,
    addresses integer NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    CONSTRAINT online_addresses_check CHECK ((addresses > 0))
);

CREATE TABLE vpn.outbox (
    day date NOT NULL,
    id uuid NOT NULL,
    subject text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL,
    published_at timestamp with time zone
)
PARTITION BY RANGE (day);

CREATE TABLE vpn.parked (
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

CREATE TABLE vpn.people (
    user_id bigint NOT NULL,
    trial_used boolean DEFAULT false NOT NULL,
    reminders boolean DEFAULT true NOT NULL,
    time_zone text DEFAULT ''::text NOT NULL,
    language text DEFAULT ''::text NOT NULL,
    CONSTRAINT people_language_check CHECK ((length(language) <= 35)),
    CONSTRAINT people_time_zone_check CHECK ((length(time_zone) <= 64))
);

CREATE TABLE vpn.rotations (
    subscription_id uuid NOT NULL,
    user_id bigint NOT NULL,
    generation bigint NOT NULL,
    link_too boolean NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    told_waiting integer
);

CREATE TABLE vpn.schema_version (
    number integer NOT NULL,
    key text NOT NULL,
    digest text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE vpn.starts (
    id uuid NOT NULL,
    count integer NOT NULL,
    last_at timestamp with time zone NOT NULL,
    CONSTRAINT starts_count_check CHECK ((count > 0))
);

CREATE TABLE vpn.subscriptions (
    id uuid NOT NULL,
    user_id bigint NOT NULL,
    until timestamp with time zone NOT NULL,
    state text NOT NULL,
    plan text NOT NULL,
    set_id text NOT NULL,
    key uuid,
    link text,
    link_hash bytea,
    grace_until timestamp with time zone,
    delete_at timestamp with time zone,
    trial boolean NOT NULL,
    auto_renew boolean NOT NULL,
    devices integer NOT NULL,
    limit_bytes bigint,
    used_bytes bigint NOT NULL,
    traffic_told smallint NOT NULL,
    last_order uuid,
    renew_for timestamp with time zone,
    renew_attempts integer NOT NULL,
    renew_next_at timestamp with time zone,
    short_for timestamp with time zone,
    short_told boolean NOT NULL,
    reminded_for timestamp with time zone,
    reminded_left integer NOT NULL,
    devices_over_since timestamp with time zone,
    devices_told_at timestamp with time zone,
    version bigint NOT NULL,
    due_at timestamp with time zone,
    timer_version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT a_suspended_one_is_deleted_one_day CHECK (((state <> 'suspended'::text) OR (delete_at IS NOT NULL))),
    CONSTRAINT an_ended_one_has_no_key CHECK (((state = 'ended'::text) = (key IS NULL))),
    CONSTRAINT grace_has_an_end CHECK (((state <> 'grace'::text) OR (grace_until IS NOT NULL))),
    CONSTRAINT key_and_link_go_together CHECK (((key IS NULL) = (link IS NULL))),
    CONSTRAINT link_and_hash_go_together CHECK (((link IS NULL) = (link_hash IS NULL))),
    CONSTRAINT subscriptions_devices_check CHECK ((devices >= 0)),
    CONSTRAINT subscriptions_limit_bytes_check CHECK ((limit_bytes >= 0)),
    CONSTRAINT subscriptions_renew_attempts_check CHECK ((renew_attempts >= 0)),
    CONSTRAINT subscriptions_state_check CHECK ((state = ANY (ARRAY['active'::text, 'grace'::text, 'suspended'::text, 'ended'::text]))),
    CONSTRAINT subscriptions_used_bytes_check CHECK ((used_bytes >= 0)),
    CONSTRAINT subscriptions_version_check CHECK ((version > 0))
);

CREATE TABLE vpn.traffic_counters (
    node text NOT NULL,
    subscription_id uuid NOT NULL,
    bytes bigint NOT NULL,
    epoch text DEFAULT ''::text NOT NULL,
    CONSTRAINT traffic_counters_bytes_check CHECK ((bytes >= 0))
);

CREATE TABLE vpn.traffic_past (
    subscription_id uuid NOT NULL,
    epoch text NOT NULL,
    node text NOT NULL,
    bytes bigint NOT NULL,
    CONSTRAINT traffic_past_bytes_check CHECK ((bytes >= 0))
);

ALTER TABLE ONLY vpn.aggregate_versions
    ADD CONSTRAINT aggregate_versions_pkey PRIMARY KEY (aggregate);

ALTER TABLE ONLY vpn.desired_head
    ADD CONSTRAINT desired_head_pkey PRIMARY KEY (one);

ALTER TABLE ONLY vpn.desired
    ADD CONSTRAINT desired_pkey PRIMARY KEY (subscription_id);

ALTER TABLE ONLY vpn.effects
    ADD CONSTRAINT effects_pkey PRIMARY KEY (key);

ALTER TABLE ONLY vpn.extended
    ADD CONSTRAINT extended_pkey PRIMARY KEY (action_id, subscription_id);

ALTER TABLE ONLY vpn.extensions
    ADD CONSTRAINT extensions_pkey PRIMARY KEY (action_id);

ALTER TABLE ONLY vpn.grants
    ADD CONSTRAINT grants_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY vpn.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id, day);

ALTER TABLE ONLY vpn.node_alarms
    ADD CONSTRAINT node_alarms_pkey PRIMARY KEY (node, code);

ALTER TABLE ONLY vpn.node_drifts
    ADD CONSTRAINT node_drifts_pkey PRIMARY KEY (node, dry_run);

ALTER TABLE ONLY vpn.node_sets
    ADD CONSTRAINT node_sets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY vpn.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (name);

ALTER TABLE ONLY vpn.online
    ADD CONSTRAINT online_pkey PRIMARY KEY (node, subscription_id);

ALTER TABLE ONLY vpn.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id, day);

ALTER TABLE ONLY vpn.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (id);

ALTER TABLE ONLY vpn.people
    ADD CONSTRAINT people_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY vpn.rotations
    ADD CONSTRAINT rotations_pkey PRIMARY KEY (subscription_id);

ALTER TABLE ONLY vpn.schema_version
    ADD CONSTRAINT schema_version_key_key UNIQUE (key);

ALTER TABLE ONLY vpn.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (number);

ALTER TABLE ONLY vpn.starts
    ADD CONSTRAINT starts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY vpn.subscriptions
    ADD CONSTRAINT subscriptions_key_key UNIQUE (key);

ALTER TABLE ONLY vpn.subscriptions
    ADD CONSTRAINT subscriptions_link_hash_key UNIQUE (link_hash);

ALTER TABLE ONLY vpn.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY vpn.subscriptions
    ADD CONSTRAINT subscriptions_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY vpn.traffic_counters
    ADD CONSTRAINT traffic_counters_pkey PRIMARY KEY (node, subscription_id);

ALTER TABLE ONLY vpn.traffic_past
    ADD CONSTRAINT traffic_past_pkey PRIMARY KEY (subscription_id, epoch, node);

CREATE INDEX desired_changed ON vpn.desired USING btree (generation);

CREATE INDEX desired_removed ON vpn.desired USING btree (changed_at) WHERE (removed_for IS NOT NULL);

CREATE INDEX effects_about ON vpn.effects USING btree (about, key COLLATE "C") WHERE (about IS NOT NULL);

CREATE INDEX effects_due ON vpn.effects USING btree (due_at) WHERE (state = 'due'::text);

CREATE INDEX effects_settled ON vpn.effects USING btree (settled_at) WHERE (state <> 'due'::text);

CREATE INDEX grants_user ON vpn.grants USING btree (user_id);

CREATE INDEX online_subscription ON vpn.online USING btree (subscription_id);

CREATE INDEX outbox_pending ON ONLY vpn.outbox USING btree (id) WHERE (published_at IS NULL);

CREATE INDEX parked_waiting ON vpn.parked USING btree (parked_at) WHERE (state <> 'done'::text);

CREATE INDEX subscriptions_due ON vpn.subscriptions USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX subscriptions_plan ON vpn.subscriptions USING btree (plan) WHERE (state <> 'ended'::text);

CREATE INDEX traffic_counters_epoch ON vpn.traffic_counters USING btree (subscription_id, epoch) WHERE (epoch <> ''::text);

ALTER TABLE ONLY vpn.extended
    ADD CONSTRAINT extended_action_id_fkey FOREIGN KEY (action_id) REFERENCES vpn.extensions(action_id);

ALTER TABLE ONLY vpn.subscriptions
    ADD CONSTRAINT subscriptions_user_id_fkey FOREIGN KEY (user_id) REFERENCES vpn.people(user_id);
