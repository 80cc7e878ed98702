ALTER TABLE transfers DROP CONSTRAINT transfers_kind_check;
ALTER TABLE transfers ADD CONSTRAINT transfers_kind_check
    CHECK (kind IN ('hold', 'post', 'void', 'expire', 'grant', 'trial', 'revoke'));
DROP TABLE operator_actions, adjustments, providers, plan_purchases, subscriptions,
    provider_events, charges, payments;
ALTER TABLE grants DROP CONSTRAINT grants_grant_key_check;
ALTER TABLE grants ADD CONSTRAINT grants_grant_key_check
    CHECK (length(grant_key) BETWEEN 1 AND 200);
