ALTER TABLE transfers DROP CONSTRAINT transfers_kind_check;
ALTER TABLE transfers ADD CONSTRAINT transfers_kind_check CHECK (kind IN (
    'hold', 'post', 'void', 'expire', 'grant', 'trial', 'revoke', 'restore', 'adjust', 'plan',
    'gift', 'gift_back'
));
DROP TABLE access_grants, order_refunds;
