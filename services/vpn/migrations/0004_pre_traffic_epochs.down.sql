DROP TABLE traffic_past;
DROP INDEX traffic_counters_epoch;
ALTER TABLE traffic_counters DROP COLUMN epoch;
