-- A call that is made again, because of an older one about the same, has all its attempts anew.

ALTER TABLE effects ADD COLUMN attempts_before integer NOT NULL DEFAULT 0;
