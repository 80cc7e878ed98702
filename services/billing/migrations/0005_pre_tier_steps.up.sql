-- What gave or set each person's tier: a refund derives it anew from what is still paid for.

CREATE TABLE tier_steps (
    user_id bigint NOT NULL,
    -- The account's tier_version the step led to.
    version integer NOT NULL CHECK (version >= 0),
    tier text NOT NULL CHECK (tier IN ('none', 'vip', 'black_gold')),
    given_at timestamptz NOT NULL,
    -- Days that were added; empty: the tier was set outright until `until`.
    span interval,
    at_least timestamptz,
    since timestamptz NOT NULL,
    until timestamptz,
    withdrawn boolean NOT NULL DEFAULT false,
    PRIMARY KEY (user_id, version)
);

-- A tier of before is what it is, whatever led to it.
INSERT INTO tier_steps (user_id, version, tier, given_at, since, until)
SELECT user_id, tier_version, tier, now(), now(), tier_until
FROM accounts WHERE tier <> 'none' AND (tier_until IS NULL OR tier_until > now());

-- Looked through every day for refunds nobody waits for any more.
CREATE INDEX charges_refunding ON charges (provider, paid_at) WHERE state = 'refunding';
