-- Counters belong to a node's disk: what another disk counts begins anew, and an old disk may return.
ALTER TABLE traffic_counters ADD COLUMN epoch text NOT NULL DEFAULT '';

CREATE TABLE traffic_past (
    subscription_id uuid NOT NULL,
    epoch text NOT NULL,
    node text NOT NULL,
    bytes bigint NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (subscription_id, epoch, node)
);

CREATE INDEX traffic_counters_epoch ON traffic_counters (subscription_id, epoch)
    WHERE epoch <> '';
