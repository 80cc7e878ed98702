-- What each person gave or took by hand alone, by shop day; and charges given back in part.

CREATE TABLE alone_days (
    -- As names are compared: trimmed, in lower case.
    person text NOT NULL,
    day date NOT NULL,
    credits bigint NOT NULL CHECK (credits >= 0),
    PRIMARY KEY (person, day)
);

-- So much of a charge is no longer ours, and so much more is on its way back. What was taken before
-- the refund that is under way: the first `kept_parts` of `taken`, and `kept_debt`.
ALTER TABLE charges
    ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN refunding_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN kept_parts integer NOT NULL DEFAULT 0,
    ADD COLUMN kept_debt integer NOT NULL DEFAULT 0;
UPDATE charges SET refunded_minor = amount_minor WHERE state IN ('refunded', 'charged_back');
UPDATE charges SET refunding_minor = amount_minor WHERE state = 'refunding';
ALTER TABLE charges ADD CONSTRAINT no_more_goes_back_than_came CHECK (
    refunded_minor >= 0 AND refunding_minor >= 0
    AND refunded_minor + refunding_minor <= amount_minor
    AND (refunding_minor > 0) = (state = 'refunding'));
