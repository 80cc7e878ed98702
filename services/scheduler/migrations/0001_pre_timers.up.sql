-- Timers and ticks: what fires when. Due is judged by the database's clock.

CREATE TABLE timers (
    key text PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 200),
    version bigint NOT NULL CHECK (version > 0),
    due_at timestamptz NOT NULL,
    fire_subject text NOT NULL,
    fire_body bytea NOT NULL,
    traceparent text NOT NULL,
    -- A cancelled timer stays as a tombstone, so that a late schedule cannot bring it back.
    state text NOT NULL CHECK (state IN ('armed', 'fired', 'cancelled')),
    changed_at timestamptz NOT NULL
);
CREATE INDEX timers_armed ON timers (due_at) WHERE state = 'armed';
CREATE INDEX timers_ended ON timers (changed_at) WHERE state <> 'armed';

-- Recurring hints, the safety net behind the timers.
CREATE TABLE ticks (
    name text PRIMARY KEY,
    period_seconds double precision NOT NULL CHECK (period_seconds > 0),
    due_at timestamptz NOT NULL
);
