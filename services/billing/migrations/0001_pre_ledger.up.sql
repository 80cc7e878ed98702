-- Accounts, lots, transfers, holds and orders. Every figure has a rule the database itself keeps:
-- the domain decides, these constraints back it up.
-- There is no foreign key between them: each would cost a lookup and a row lock per order, and
-- `billing audit` checks the same relations over all rows.

CREATE TABLE accounts (
    user_id bigint PRIMARY KEY CHECK (user_id > 0),
    available bigint NOT NULL CHECK (available >= 0),
    held bigint NOT NULL CHECK (held >= 0),
    debt bigint NOT NULL CHECK (debt >= 0),
    in_flight integer NOT NULL CHECK (in_flight >= 0),
    -- How many transfers and lots this account has: their numbers have no gaps.
    transfers integer NOT NULL CHECK (transfers >= 0),
    lots_opened integer NOT NULL CHECK (lots_opened >= 0),
    tier text NOT NULL CHECK (tier IN ('none', 'vip', 'black_gold')),
    tier_until timestamptz,
    tier_version integer NOT NULL CHECK (tier_version >= 0),
    -- Null once the person has paid, or where the shop gives no trial.
    trial_renews_at timestamptz,
    deep_link text NOT NULL,
    opened_at timestamptz NOT NULL,
    CONSTRAINT debt_is_paid_first CHECK (debt = 0 OR available = 0)
) WITH (fillfactor = 70);
CREATE INDEX accounts_trial_due ON accounts (trial_renews_at) WHERE trial_renews_at IS NOT NULL;

CREATE TABLE lots (
    user_id bigint NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    kind text NOT NULL CHECK (kind IN ('trial', 'bonus', 'paid')),
    granted integer NOT NULL CHECK (granted > 0),
    remaining integer NOT NULL CHECK (remaining BETWEEN 0 AND granted),
    expires_at timestamptz,
    state text NOT NULL CHECK (state IN ('open', 'expired', 'revoked')),
    PRIMARY KEY (user_id, number),
    CONSTRAINT only_open_lots_hold CHECK (state = 'open' OR remaining = 0)
) WITH (fillfactor = 70);
-- `remaining` is not named here, so that spending from a lot leaves this index alone.
CREATE INDEX lots_expiring ON lots (expires_at) WHERE state = 'open' AND expires_at IS NOT NULL;

-- Immutable. Numbered per account by the domain: two sittings that decided from the same state
-- collide on the key instead of both counting.
CREATE TABLE transfers (
    user_id bigint NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    lot integer NOT NULL,
    amount integer NOT NULL CHECK (amount > 0),
    debit text NOT NULL,
    credit text NOT NULL CHECK (credit <> debit),
    kind text NOT NULL
        CHECK (kind IN ('hold', 'post', 'void', 'expire', 'grant', 'trial', 'revoke')),
    order_id uuid,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (user_id, number)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER transfers_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One row per screen a person confirmed, refused ones included: an id is used once, for ever.
CREATE TABLE orders (
    order_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    workflow_id text NOT NULL,
    catalogue_version integer NOT NULL,
    price_credits integer NOT NULL,
    digest bytea NOT NULL,
    pool text NOT NULL,
    lane text NOT NULL,
    state text NOT NULL
        CHECK (state IN ('accepted', 'running', 'completed', 'refunded', 'refused')),
    version integer NOT NULL CHECK (version > 0),
    reason text NOT NULL,
    placed_at timestamptz NOT NULL,
    start_before timestamptz,
    traceparent text NOT NULL,
    cancel_requested boolean NOT NULL DEFAULT false,
    gift boolean NOT NULL DEFAULT false,
    server text,
    started_at timestamptz,
    finished_at timestamptz,
    outputs bytea,
    deliver_due_at timestamptz,
    deliver_asked integer NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    delivery_message_id bigint,
    delivery_reason text,
    CONSTRAINT results_belong_to_ends
        CHECK (outputs IS NULL OR state = 'completed' OR (state = 'refunded' AND gift)),
    CONSTRAINT gifts_were_not_charged CHECK (NOT gift OR state = 'refunded')
) WITH (fillfactor = 80);
CREATE INDEX orders_delivery_due ON orders (deliver_due_at) WHERE deliver_due_at IS NOT NULL;

-- One row per accepted order, at amount 0 too. `parts` are [lot number, amount] pairs.
CREATE TABLE holds (
    order_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    amount integer NOT NULL CHECK (amount >= 0),
    parts jsonb NOT NULL,
    quota_day date,
    expires_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'posted', 'voided', 'expired'))
);
CREATE INDEX holds_pending ON holds (expires_at) WHERE state = 'pending';

-- Free orders used on the last day one was used; only free workflows have rows.
CREATE TABLE quotas (
    user_id bigint NOT NULL,
    workflow_id text NOT NULL,
    day date NOT NULL,
    used integer NOT NULL CHECK (used >= 0),
    PRIMARY KEY (user_id, workflow_id)
) WITH (fillfactor = 70);

-- Credits that were added, each for one named reason, once, for ever.
CREATE TABLE grants (
    grant_key text PRIMARY KEY CHECK (length(grant_key) BETWEEN 1 AND 200),
    user_id bigint NOT NULL,
    lot integer NOT NULL,
    kind text NOT NULL,
    credits integer NOT NULL CHECK (credits > 0),
    expires_at timestamptz,
    reason text NOT NULL,
    actor text NOT NULL,
    granted_at timestamptz NOT NULL,
    UNIQUE (user_id, lot)
);

-- Who was given or lost which tier, by whom and why.
CREATE TABLE tier_changes (
    user_id bigint NOT NULL,
    version integer NOT NULL,
    tier text NOT NULL,
    until timestamptz,
    reason text NOT NULL,
    actor text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, version)
);
