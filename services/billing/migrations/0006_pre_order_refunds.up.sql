-- Completed orders given back by hand, and what vpn gave for access orders.

CREATE TABLE order_refunds (
    refund_id uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    user_id bigint NOT NULL,
    credits integer NOT NULL CHECK (credits > 0),
    -- So much of them went to the debt; the rest into the lots the order had been paid from.
    debt_paid_credits integer NOT NULL CHECK (debt_paid_credits BETWEEN 0 AND credits),
    reason text NOT NULL CHECK (reason <> ''),
    actor text NOT NULL CHECK (actor <> ''),
    approved_by text NOT NULL,
    refunded_at timestamptz NOT NULL,
    CONSTRAINT nobody_approves_alone CHECK (approved_by <> actor)
);
CREATE INDEX order_refunds_of ON order_refunds (order_id);

-- As `access_granted` told it; orders are found by the subscription, too.
CREATE TABLE access_grants (
    order_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    subscription_id uuid NOT NULL,
    until timestamptz NOT NULL,
    granted_at timestamptz NOT NULL,
    -- When billing had it taken back: it was given too late, or the order was refunded.
    revoked_at timestamptz
);
CREATE INDEX access_grants_of ON access_grants (subscription_id);

ALTER TABLE transfers DROP CONSTRAINT transfers_kind_check;
ALTER TABLE transfers ADD CONSTRAINT transfers_kind_check CHECK (kind IN (
    'hold', 'post', 'void', 'expire', 'grant', 'trial', 'revoke', 'restore', 'adjust', 'plan',
    'gift', 'gift_back', 'credit_back'
));
