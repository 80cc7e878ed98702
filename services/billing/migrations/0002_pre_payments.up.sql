-- Money from outside: what was asked for, what came, what providers told us, word for word.

-- One row per invoice, whoever made it. The provider's own id is unique beside its name.
CREATE TABLE payments (
    payment_id uuid PRIMARY KEY,
    user_id bigint NOT NULL CHECK (user_id > 0),
    provider text NOT NULL,
    product text NOT NULL CHECK (product IN ('pack', 'plan')),
    product_id text NOT NULL,
    credits integer NOT NULL CHECK (credits >= 0),
    bonus_credits integer NOT NULL CHECK (bonus_credits >= 0),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    state text NOT NULL
        CHECK (state IN ('created', 'pending', 'paid', 'expired', 'cancelled', 'failed')),
    version integer NOT NULL CHECK (version > 0),
    provider_ref text,
    pay_url text NOT NULL DEFAULT '',
    order_id uuid,
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    -- When the provider was last asked about it, and when it is to be asked again.
    checked_at timestamptz,
    check_due_at timestamptz,
    traceparent text NOT NULL DEFAULT '',
    UNIQUE (provider, provider_ref),
    CONSTRAINT pending_ones_are_known_there CHECK (state <> 'pending' OR provider_ref IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX payments_check_due ON payments (provider, check_due_at)
    WHERE check_due_at IS NOT NULL;
CREATE INDEX payments_of_user ON payments (user_id, payment_id);
-- Operators search by an id alone: whose it is, they want to find out.
CREATE INDEX payments_by_ref ON payments (provider_ref);

-- Money that came: one row per charge, credited once. A subscription's payment has many.
CREATE TABLE charges (
    provider text NOT NULL,
    charge_id text NOT NULL CHECK (length(charge_id) BETWEEN 1 AND 200),
    payment_id uuid,
    -- 0: nobody knows whose it is; it waits in review.
    user_id bigint NOT NULL CHECK (user_id >= 0),
    product_id text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    paid_at timestamptz NOT NULL,
    state text NOT NULL
        CHECK (state IN ('review', 'paid', 'refunding', 'refunded', 'charged_back', 'rejected')),
    version integer NOT NULL CHECK (version > 0),
    reason text NOT NULL DEFAULT '',
    actor text NOT NULL DEFAULT '',
    -- What it bought: lots of this account, or days of a tier.
    credits integer NOT NULL CHECK (credits >= 0),
    bonus_credits integer NOT NULL DEFAULT 0 CHECK (bonus_credits BETWEEN 0 AND credits),
    lot integer,
    bonus_lot integer,
    tier text NOT NULL DEFAULT '',
    tier_from timestamptz,
    tier_until timestamptz,
    tier_replaced text NOT NULL DEFAULT '',
    -- What its refund took: [lot number, credits] pairs, what became debt, how much of the tier.
    taken jsonb NOT NULL DEFAULT '[]',
    debt_credits integer NOT NULL DEFAULT 0 CHECK (debt_credits >= 0),
    taken_seconds bigint NOT NULL DEFAULT 0 CHECK (taken_seconds >= 0),
    late boolean NOT NULL DEFAULT false,
    recurring boolean NOT NULL DEFAULT false,
    settled_at timestamptz,
    traceparent text NOT NULL DEFAULT '',
    PRIMARY KEY (provider, charge_id),
    CONSTRAINT paid_ones_have_a_payment_or_a_person
        CHECK (state <> 'paid' OR payment_id IS NOT NULL OR actor <> ''),
    CONSTRAINT nobody_is_credited CHECK (user_id > 0 OR (lot IS NULL AND tier = ''))
) WITH (fillfactor = 80);
CREATE INDEX charges_of_user ON charges (user_id, paid_at);
CREATE INDEX charges_of_payment ON charges (payment_id);
CREATE INDEX charges_by_id ON charges (charge_id);
CREATE INDEX charges_in_review ON charges (paid_at) WHERE state = 'review';

-- What a provider told us, as it came, before anything was made of it. `event_key` names the fact.
CREATE TABLE provider_events (
    provider text NOT NULL,
    event_key text NOT NULL CHECK (length(event_key) BETWEEN 1 AND 300),
    way text NOT NULL CHECK (way IN ('webhook', 'poll', 'chat', 'statement')),
    body bytea NOT NULL,
    received_at timestamptz NOT NULL,
    handled_at timestamptz,
    outcome text NOT NULL DEFAULT '',
    PRIMARY KEY (provider, event_key)
);

-- Native subscriptions: the charge that began one names it.
CREATE TABLE subscriptions (
    charge_id text PRIMARY KEY,
    user_id bigint NOT NULL,
    plan_id text NOT NULL,
    payment_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'cancelled', 'ended')),
    until timestamptz NOT NULL,
    version integer NOT NULL CHECK (version > 0)
);
CREATE INDEX subscriptions_of_user ON subscriptions (user_id);
CREATE INDEX subscriptions_of_payment ON subscriptions (payment_id);

-- Plans bought with credits: an order id buys once, for ever.
CREATE TABLE plan_purchases (
    order_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    plan_id text NOT NULL,
    digest bytea NOT NULL,
    charged_credits integer NOT NULL CHECK (charged_credits > 0),
    until timestamptz NOT NULL,
    bought_at timestamptz NOT NULL
);
CREATE INDEX plan_purchases_of_user ON plan_purchases (user_id);

-- How far each provider was reconciled, and how it fares.
CREATE TABLE providers (
    provider text PRIMARY KEY,
    cursor text NOT NULL DEFAULT '',
    suspended_reason text NOT NULL DEFAULT '',
    webhook_seen_at timestamptz,
    polled_first integer NOT NULL DEFAULT 0,
    reconciled_at timestamptz
);

-- Credits added or taken by hand, each by a named person, above a limit by two.
CREATE TABLE adjustments (
    adjustment_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    credits integer NOT NULL CHECK (credits <> 0),
    reason text NOT NULL,
    actor text NOT NULL,
    approved_by text NOT NULL DEFAULT '',
    debt_credits integer NOT NULL DEFAULT 0,
    adjusted_at timestamptz NOT NULL,
    CONSTRAINT nobody_approves_alone CHECK (approved_by <> actor)
);

-- Every operator action, done or refused or only tried (dry run).
CREATE TABLE operator_actions (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor text NOT NULL,
    action text NOT NULL,
    subject_id text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    dry_run boolean NOT NULL,
    outcome text NOT NULL,
    acted_at timestamptz NOT NULL
);
CREATE INDEX operator_actions_of ON operator_actions (subject_id, number);
CREATE TRIGGER operator_actions_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE
    ON operator_actions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE transfers DROP CONSTRAINT transfers_kind_check;
ALTER TABLE transfers ADD CONSTRAINT transfers_kind_check CHECK (kind IN (
    'hold', 'post', 'void', 'expire', 'grant', 'trial', 'revoke', 'restore', 'adjust', 'plan',
    'gift', 'gift_back'
));
-- `credit:<provider>:<charge id>`: as long as a charge id may be.
ALTER TABLE grants DROP CONSTRAINT grants_grant_key_check;
ALTER TABLE grants ADD CONSTRAINT grants_grant_key_check
    CHECK (length(grant_key) BETWEEN 1 AND 260);
