-- When an effect ended, so that old ones can be deleted. `aggregate_versions` gets no index on
-- seen_at for the same purpose: every event would write it, only the hourly delete would read it.

ALTER TABLE effects ADD COLUMN settled_at timestamptz;
UPDATE effects SET settled_at = now() WHERE state <> 'due';
ALTER TABLE effects ADD CONSTRAINT settled_ones_say_when
    CHECK ((state = 'due') = (settled_at IS NULL));
CREATE INDEX effects_settled ON effects (settled_at) WHERE state <> 'due';
