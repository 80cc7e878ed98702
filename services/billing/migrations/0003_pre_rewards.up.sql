-- What people are given: promo codes, the daily draw, gifts, referrals.

CREATE TABLE promos (
    code text PRIMARY KEY CHECK (code = upper(code) AND length(code) BETWEEN 3 AND 40),
    kind text NOT NULL CHECK (kind IN ('credits', 'discount', 'tier')),
    value integer NOT NULL CHECK (value > 0 AND (kind <> 'discount' OR value <= 100)),
    tier text NOT NULL DEFAULT '',
    uses_max integer NOT NULL CHECK (uses_max >= 0),
    used integer NOT NULL DEFAULT 0,
    newcomers_only boolean NOT NULL DEFAULT false,
    lot_days integer NOT NULL DEFAULT 0 CHECK (lot_days >= 0),
    starts_at timestamptz,
    ends_at timestamptz,
    saved_by text NOT NULL,
    saved_at timestamptz NOT NULL,
    CONSTRAINT never_used_too_often CHECK (used >= 0 AND (uses_max = 0 OR used <= uses_max))
) WITH (fillfactor = 80);

CREATE TABLE promo_uses (
    code text NOT NULL,
    user_id bigint NOT NULL,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (code, user_id)
);

-- The last unknown codes each person tried: who guesses must wait.
CREATE TABLE promo_misses (
    user_id bigint PRIMARY KEY,
    missed_at timestamptz[] NOT NULL
) WITH (fillfactor = 70);

-- Discounts a person may use on their next order: one won in a draw, or given by a promo code.
CREATE TABLE discounts (
    user_id bigint NOT NULL,
    discount_key text NOT NULL,
    percent integer NOT NULL CHECK (percent BETWEEN 1 AND 100),
    valid_until timestamptz NOT NULL,
    -- The order that uses it; empty again when that order was refunded.
    order_id uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, discount_key)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX discounts_by_order ON discounts (order_id) WHERE order_id IS NOT NULL;

-- One seed a shop day, made before the day begins; what is published until its end is the hash.
CREATE TABLE draw_days (
    day date PRIMARY KEY,
    seed bytea NOT NULL CHECK (length(seed) = 32),
    commitment text NOT NULL,
    made_at timestamptz NOT NULL
);

CREATE TABLE draws (
    user_id bigint NOT NULL,
    day date NOT NULL,
    prize text NOT NULL CHECK (prize IN ('SSR', 'SR', 'R', 'C')),
    percent integer NOT NULL,
    drawn_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, day)
);

-- Credits on their way from one person to another. Only paid credits can be given.
CREATE TABLE gifts (
    gift_id uuid PRIMARY KEY,
    code text NOT NULL UNIQUE,
    giver_id bigint NOT NULL,
    credits integer NOT NULL CHECK (credits > 0),
    -- The giver's lots they were taken from: [lot number, amount] pairs.
    parts jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'opened', 'returned')),
    opened_by bigint,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT opened_by_somebody_else CHECK (opened_by IS NULL OR opened_by <> giver_id),
    CONSTRAINT opened_ones_have_an_owner CHECK ((state = 'opened') = (opened_by IS NOT NULL))
);
CREATE INDEX gifts_expiring ON gifts (expires_at) WHERE state = 'waiting';
CREATE INDEX gifts_waiting_of ON gifts (giver_id) WHERE state = 'waiting';

-- Who came by whose link: once per newcomer, for ever.
CREATE TABLE referrals (
    newcomer_id bigint PRIMARY KEY,
    referrer_id bigint NOT NULL,
    joined_at timestamptz NOT NULL,
    payments_counted integer NOT NULL DEFAULT 0,
    CONSTRAINT nobody_refers_themselves CHECK (newcomer_id <> referrer_id)
);
CREATE INDEX referrals_of ON referrals (referrer_id);

-- A part of a newcomer's payment for whoever brought them, held back until it cannot be refunded.
CREATE TABLE referral_rewards (
    provider text NOT NULL,
    charge_id text NOT NULL,
    referrer_id bigint NOT NULL,
    newcomer_id bigint NOT NULL,
    credits integer NOT NULL CHECK (credits > 0),
    due_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('held', 'credited', 'cancelled')),
    PRIMARY KEY (provider, charge_id)
);
CREATE INDEX referral_rewards_due ON referral_rewards (due_at) WHERE state = 'held';
CREATE INDEX referral_rewards_of ON referral_rewards (referrer_id);

ALTER TABLE accounts ADD COLUMN referral_code text UNIQUE;
ALTER TABLE lots ADD COLUMN expiry_told boolean NOT NULL DEFAULT false;
ALTER TABLE orders ADD COLUMN base_price_credits integer;
ALTER TABLE orders ADD COLUMN discount_percent integer NOT NULL DEFAULT 0
    CHECK (discount_percent BETWEEN 0 AND 100);
-- Rounded up to a whole credit; empty where nothing was held, and for orders of before.
ALTER TABLE orders ADD CONSTRAINT discounts_are_exact CHECK (
    base_price_credits IS NULL
    OR price_credits = base_price_credits
        - base_price_credits::bigint * discount_percent / 100
);
