-- A payment screen may also sell VPN access.
ALTER TABLE checkouts DROP CONSTRAINT checkouts_product_check;
ALTER TABLE checkouts ADD CONSTRAINT checkouts_product_check
    CHECK (product IN ('pack', 'plan', 'access'));
