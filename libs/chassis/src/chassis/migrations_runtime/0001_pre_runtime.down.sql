-- Only for a schema that is being given up: dead letters and unpublished messages go with it.
DROP FUNCTION drop_day_partitions(date, date);
DROP FUNCTION ensure_day_partitions(date, date, date);
DROP TABLE effects, aggregate_versions, parked, starts, outbox, inbox;
