-- Access: people, subscriptions, what orders gave, what nodes should hold, and how nodes are.

CREATE TABLE people (
    user_id bigint PRIMARY KEY,
    trial_used boolean NOT NULL DEFAULT false,
    reminders boolean NOT NULL DEFAULT true,
    time_zone text NOT NULL DEFAULT '' CHECK (length(time_zone) <= 64)
);

CREATE TABLE subscriptions (
    id uuid PRIMARY KEY,
    user_id bigint NOT NULL UNIQUE REFERENCES people,
    until timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'grace', 'suspended', 'ended')),
    plan text NOT NULL,
    set_id text NOT NULL,
    key uuid UNIQUE,
    -- A secret, kept readable because its owner is shown it again and again.
    link text,
    link_hash bytea UNIQUE,
    grace_until timestamptz,
    delete_at timestamptz,
    trial boolean NOT NULL,
    auto_renew boolean NOT NULL,
    devices integer NOT NULL CHECK (devices >= 0),
    limit_bytes bigint CHECK (limit_bytes >= 0),
    used_bytes bigint NOT NULL CHECK (used_bytes >= 0),
    traffic_told smallint NOT NULL,
    last_order uuid,
    renew_for timestamptz,
    renew_attempts integer NOT NULL CHECK (renew_attempts >= 0),
    renew_next_at timestamptz,
    short_for timestamptz,
    short_told boolean NOT NULL,
    reminded_for timestamptz,
    reminded_left integer NOT NULL,
    devices_over_since timestamptz,
    devices_told_at timestamptz,
    version bigint NOT NULL CHECK (version > 0),
    due_at timestamptz,
    timer_version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT an_ended_one_has_no_key CHECK ((state = 'ended') = (key IS NULL)),
    CONSTRAINT key_and_link_go_together CHECK ((key IS NULL) = (link IS NULL)),
    CONSTRAINT link_and_hash_go_together CHECK ((link IS NULL) = (link_hash IS NULL)),
    CONSTRAINT grace_has_an_end CHECK (state <> 'grace' OR grace_until IS NOT NULL),
    CONSTRAINT a_suspended_one_is_deleted_one_day CHECK (state <> 'suspended' OR delete_at IS NOT NULL)
);
CREATE INDEX subscriptions_due ON subscriptions (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX subscriptions_plan ON subscriptions (plan) WHERE state <> 'ended';

-- What each order gave, once; kept, for an order may be taken back long after.
CREATE TABLE grants (
    order_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    subscription_id uuid NOT NULL,
    plan text NOT NULL,
    until timestamptz NOT NULL,
    span interval NOT NULL,
    traffic_bytes bigint NOT NULL,
    plan_before text NOT NULL,
    limit_before bigint,
    order_before uuid,
    trial_before boolean NOT NULL,
    given_at timestamptz NOT NULL,
    bought_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX grants_user ON grants (user_id);

-- The generation of the desired set: one row, locked last, so that the order of commits is the
-- order of generations.
CREATE TABLE desired_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    generation bigint NOT NULL CHECK (generation >= 0)
);
INSERT INTO desired_head (generation) VALUES (0);

-- Per set of nodes: how many entries it has and the sum of their digests, kept with every change.
CREATE TABLE node_sets (
    id text PRIMARY KEY,
    entries bigint NOT NULL CHECK (entries >= 0),
    digest_sum numeric(39, 0) NOT NULL CHECK (digest_sum >= 0)
);

-- What nodes should hold. A removed row stays as the record of its removal, with the reason.
CREATE TABLE desired (
    subscription_id uuid PRIMARY KEY,
    set_id text NOT NULL,
    key uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    flow text NOT NULL,
    digest numeric(39, 0) NOT NULL,
    generation bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    removed_for text,
    CONSTRAINT a_removal_says_why CHECK (removed_for <> '')
);
CREATE INDEX desired_changed ON desired (generation);
CREATE INDEX desired_removed ON desired (changed_at) WHERE removed_for IS NOT NULL;

CREATE TABLE rotations (
    subscription_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    generation bigint NOT NULL,
    link_too boolean NOT NULL,
    asked_at timestamptz NOT NULL,
    told_waiting integer
);

CREATE TABLE nodes (
    name text PRIMARY KEY,
    region text NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'draining', 'off')),
    state_actor text NOT NULL DEFAULT '',
    state_reason text NOT NULL DEFAULT '',
    state_at timestamptz,
    health text NOT NULL DEFAULT 'down' CHECK (health IN ('up', 'down', 'syncing', 'sick')),
    detail text NOT NULL DEFAULT '',
    generation bigint NOT NULL DEFAULT 0,
    hash text NOT NULL DEFAULT '',
    entries bigint NOT NULL DEFAULT 0,
    core text NOT NULL DEFAULT '',
    boot_id text NOT NULL DEFAULT '',
    uptime_seconds double precision NOT NULL DEFAULT 0,
    seen_at timestamptz
);

CREATE TABLE node_alarms (
    node text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    raised_at timestamptz NOT NULL,
    PRIMARY KEY (node, code)
);

-- The last comparison of each node with what it should hold, and the last dry one.
CREATE TABLE node_drifts (
    node text NOT NULL,
    dry_run boolean NOT NULL,
    at timestamptz NOT NULL,
    seconds double precision NOT NULL,
    missing integer NOT NULL,
    extra integer NOT NULL,
    "foreign" integer NOT NULL,
    mended integer NOT NULL,
    held_back text NOT NULL,
    PRIMARY KEY (node, dry_run)
);

-- The last absolute counter seen of each person on each node; what is added is the difference.
CREATE TABLE traffic_counters (
    node text NOT NULL,
    subscription_id uuid NOT NULL,
    bytes bigint NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (node, subscription_id)
);

CREATE TABLE online (
    node text NOT NULL,
    subscription_id uuid NOT NULL,
    addresses integer NOT NULL CHECK (addresses > 0),
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (node, subscription_id)
);
CREATE INDEX online_subscription ON online (subscription_id);

-- Days given to everybody: who said so and why, how far it got, and what each was given.
CREATE TABLE extensions (
    action_id uuid PRIMARY KEY,
    days integer NOT NULL CHECK (days > 0),
    reason text NOT NULL,
    actor text NOT NULL,
    plan text NOT NULL,
    ended_within_days integer NOT NULL,
    asked_at timestamptz NOT NULL,
    after_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    finished_at timestamptz
);
CREATE TABLE extended (
    action_id uuid NOT NULL REFERENCES extensions,
    subscription_id uuid NOT NULL,
    until_before timestamptz NOT NULL,
    until_after timestamptz NOT NULL,
    PRIMARY KEY (action_id, subscription_id)
);
