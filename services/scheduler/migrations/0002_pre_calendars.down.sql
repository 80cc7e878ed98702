DROP TABLE operator_actions, kind_limits;
DROP FUNCTION refuse_change();
ALTER TABLE ticks RESET (fillfactor, autovacuum_vacuum_threshold);
DROP INDEX timers_grouped, timers_grouped_due, timers_due;
ALTER TABLE timers RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_vacuum_insert_scale_factor, autovacuum_analyze_scale_factor,
    autovacuum_vacuum_cost_delay
);
-- What the older release does not know has ended one way or another.
UPDATE timers SET state = 'fired' WHERE state IN ('skipped', 'coalesced');
ALTER TABLE timers
    DROP CONSTRAINT a_group_coalesces,
    DROP CONSTRAINT timers_state_check,
    ADD CONSTRAINT timers_state_check CHECK (state IN ('armed', 'fired', 'cancelled')),
    DROP COLUMN rule,
    DROP COLUMN group_name,
    DROP COLUMN late_max_seconds,
    DROP COLUMN catch_up,
    DROP COLUMN kind;
