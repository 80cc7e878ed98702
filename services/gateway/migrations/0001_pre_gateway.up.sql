-- What the gateway knows: whom it talks to, what they are doing, what is to be said and was said.

-- People who wrote to the bot; in a private chat the user id is the chat id.
CREATE TABLE persons (
    user_id bigint PRIMARY KEY,
    language text NOT NULL,
    time_zone text NOT NULL DEFAULT '',
    opened_at timestamptz NOT NULL,
    blocked_at timestamptz
);

-- aiogram's state and data of one person, in one row so that they live and expire together.
CREATE TABLE conversations (
    bot_id bigint NOT NULL,
    user_id bigint NOT NULL,
    state text,
    data jsonb NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bot_id, user_id)
);
CREATE INDEX conversations_expired ON conversations (expires_at);

-- The inbox of Telegram updates, with the answers, so that a repeat repeats the answer.
-- `starts` counts tries that were committed before the handler began: a body that kills the
-- process cannot loop. handled_at is null until an update is done.
CREATE TABLE updates (
    bot_id bigint NOT NULL,
    update_id bigint NOT NULL,
    user_id bigint NOT NULL,
    starts smallint NOT NULL DEFAULT 0,
    answers jsonb NOT NULL DEFAULT '[]',
    received_at timestamptz NOT NULL,
    handled_at timestamptz,
    PRIMARY KEY (bot_id, update_id)
);
CREATE INDEX updates_received ON updates USING brin (received_at);

-- Groups that were told, once, that only private chats are served.
CREATE TABLE groups (
    chat_id bigint PRIMARY KEY,
    told_at timestamptz NOT NULL
);

-- Sent messages that will be edited later, by a name of our own such as order:<id>.
CREATE TABLE messages (
    chat_id bigint NOT NULL,
    key text NOT NULL,
    message_id bigint NOT NULL,
    has_media boolean NOT NULL DEFAULT false,
    final boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (chat_id, key)
);
CREATE INDEX messages_old ON messages USING brin (updated_at);

-- One row per screen that may become an order: its price, its inputs, what was decided.
CREATE TABLE screens (
    order_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    workflow_id text NOT NULL,
    catalogue_version integer NOT NULL,
    price_credits bigint NOT NULL CHECK (price_credits >= 0),
    base_price_credits bigint NOT NULL CHECK (base_price_credits >= 0),
    priced_at timestamptz NOT NULL,
    media_ids uuid[] NOT NULL DEFAULT '{}',
    message_id bigint,
    state text NOT NULL CHECK (state IN (
        'priced', 'confirming', 'placed', 'accepted', 'running', 'refused', 'completed', 'refunded',
        'dropped'
    )),
    params jsonb NOT NULL DEFAULT '{}',
    outputs jsonb NOT NULL DEFAULT '[]',
    shown_ahead integer,
    cancel_asked boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX screens_of_user ON screens (user_id, created_at);
CREATE INDEX screens_queued ON screens (order_id) WHERE state = 'accepted';
CREATE INDEX screens_confirming ON screens USING gin (media_ids) WHERE state = 'confirming';

-- Messages to send that no update waits for. `leased_by` is the replica that is sending now: whoever
-- takes over its shard knows that it is gone and starts again at once.
CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    shard smallint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('send', 'edit', 'result', 'delete')),
    order_id uuid,
    part smallint NOT NULL DEFAULT 0,
    key text NOT NULL DEFAULT '',
    final boolean NOT NULL DEFAULT false,
    body jsonb NOT NULL,
    state text NOT NULL DEFAULT 'intent' CHECK (state IN ('intent', 'sent', 'failed', 'superseded')),
    attempts smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    leased_by uuid,
    message_id bigint,
    reason text NOT NULL DEFAULT '',
    traceparent text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    settled_at timestamptz,
    CHECK (kind <> 'result' OR order_id IS NOT NULL),
    CHECK ((state = 'intent') = (settled_at IS NULL))
);
CREATE UNIQUE INDEX deliveries_result ON deliveries (order_id, part) WHERE kind = 'result';
CREATE INDEX deliveries_due ON deliveries (shard, due_at) WHERE state = 'intent';
CREATE INDEX deliveries_waiting ON deliveries (user_id, id) WHERE state = 'intent';
CREATE INDEX deliveries_old ON deliveries USING brin (created_at);

-- What Telegram calls a stored object it already has, per way of showing it.
CREATE TABLE files (
    object_key text NOT NULL,
    shown_as text NOT NULL CHECK (shown_as IN ('photo', 'video', 'document')),
    file_id text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (object_key, shown_as)
);
CREATE INDEX files_old ON files USING brin (created_at);

-- Files people sent. Available: checked, re-encoded, stored. Leases as in deliveries.
CREATE TABLE media (
    id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    shard smallint NOT NULL,
    file_unique_id text NOT NULL,
    file_id text NOT NULL,
    size_bytes bigint NOT NULL,
    mime text NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'downloading', 'available', 'failed')),
    attempts smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    leased_by uuid,
    ref jsonb,
    thumbnail jsonb,
    error text NOT NULL DEFAULT '',
    traceparent text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    UNIQUE (user_id, file_unique_id),
    CHECK ((state = 'available') = (ref IS NOT NULL)),
    CHECK ((state = 'failed') = (error <> ''))
);
CREATE INDEX media_due ON media (shard, due_at) WHERE state IN ('pending', 'downloading');
CREATE INDEX media_used ON media (used_at);
