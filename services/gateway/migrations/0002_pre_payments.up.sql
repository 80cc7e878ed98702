-- Payment screens, and how far Telegram's own statement was read.

-- One row per screen that may become a payment (or a plan bought with credits): what it offered,
-- at which amounts, and what became of it. `checkout_id` is the payment's id, or the plan order's.
CREATE TABLE checkouts (
    checkout_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    product text NOT NULL CHECK (product IN ('pack', 'plan')),
    product_id text NOT NULL,
    credits bigint NOT NULL CHECK (credits >= 0),
    bonus_credits bigint NOT NULL CHECK (bonus_credits >= 0),
    tier text NOT NULL DEFAULT '',
    amounts jsonb NOT NULL,
    priced_at timestamptz NOT NULL,
    order_id uuid,
    method text NOT NULL DEFAULT '',
    state text NOT NULL CHECK (state IN ('offered', 'asked', 'open', 'paid', 'failed', 'dropped')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (method <> '' OR state IN ('offered', 'dropped'))
);
CREATE INDEX checkouts_old ON checkouts USING brin (created_at);

-- Lines of the statement that were read, per bot: Telegram lists them oldest first and by offset.
CREATE TABLE stars_statement (
    bot_id bigint PRIMARY KEY,
    lines_read bigint NOT NULL CHECK (lines_read >= 0),
    read_at timestamptz NOT NULL
);
