-- A hash chain over committed transfers: whoever changes a row, or drops one, breaks it.

-- Rewrites the table once, while the service is down for the upgrade.
ALTER TABLE transfers ADD COLUMN written_in xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX transfers_written_in ON transfers (written_in);

CREATE TABLE seals (
    number bigint PRIMARY KEY CHECK (number > 0),
    -- Sealed are the rows of transactions below this one; the next seal begins here.
    up_to xid8 NOT NULL,
    transfers bigint NOT NULL CHECK (transfers > 0),
    digest bytea NOT NULL CHECK (length(digest) = 32),
    sealed_at timestamptz NOT NULL
);
CREATE TRIGGER seals_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
