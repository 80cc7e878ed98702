ALTER TABLE charges DROP COLUMN refunded_minor, DROP COLUMN refunding_minor,
    DROP COLUMN kept_parts, DROP COLUMN kept_debt;
DROP TABLE alone_days;
