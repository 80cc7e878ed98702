-- Outside calls that set one and the same thing: the newest has to be the last one made.

ALTER TABLE effects ADD COLUMN about text;
CREATE INDEX effects_about ON effects (about, key COLLATE "C") WHERE about IS NOT NULL;
