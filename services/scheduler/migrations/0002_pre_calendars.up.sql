-- Kinds, catch-up, groups and calendars of timers; limits of kinds; what operators did.

ALTER TABLE timers
    -- Empty: set by the release before this one.
    ADD COLUMN kind text NOT NULL DEFAULT '',
    ADD COLUMN catch_up text NOT NULL DEFAULT 'fire'
        CHECK (catch_up IN ('fire', 'skip', 'coalesce')),
    ADD COLUMN late_max_seconds integer NOT NULL DEFAULT 0 CHECK (late_max_seconds >= 0),
    ADD COLUMN group_name text NOT NULL DEFAULT '',
    -- Time zone, quiet hours and recurrence, where there are any.
    ADD COLUMN rule jsonb,
    DROP CONSTRAINT timers_state_check,
    ADD CONSTRAINT timers_state_check
        CHECK (state IN ('armed', 'fired', 'cancelled', 'skipped', 'coalesced')),
    ADD CONSTRAINT a_group_coalesces CHECK ((group_name <> '') = (catch_up = 'coalesce'));

-- A firing leaves a dead row and a dead entry at the very place where the next look begins: they
-- are cleaned up after thousands, not after a fifth of a million.
ALTER TABLE timers SET (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1
);

-- Of each kind the earliest, so that kinds take turns. Replaces timers_armed, which the release
-- before this one still needs.
CREATE INDEX timers_due ON timers (kind, due_at) WHERE state = 'armed';
CREATE INDEX timers_grouped_due ON timers (due_at) WHERE state = 'armed' AND group_name <> '';
CREATE INDEX timers_grouped ON timers (group_name, due_at, key)
    WHERE group_name <> '' AND state IN ('armed', 'fired');

-- One row per limited kind: when its last firings are paid off. Updated in place (HOT).
CREATE TABLE kind_limits (
    kind text PRIMARY KEY,
    free_at timestamptz NOT NULL
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 500);
ALTER TABLE ticks SET (fillfactor = 20, autovacuum_vacuum_threshold = 500);

-- Every operator action, done, refused or only tried (dry run).
CREATE TABLE operator_actions (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor text NOT NULL,
    action text NOT NULL,
    key text NOT NULL,
    detail jsonb NOT NULL,
    dry_run boolean NOT NULL,
    outcome text NOT NULL,
    acted_at timestamptz NOT NULL
);
CREATE INDEX operator_actions_of ON operator_actions (key, number);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER operator_actions_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE
    ON operator_actions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
