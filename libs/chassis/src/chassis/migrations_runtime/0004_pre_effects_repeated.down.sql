ALTER TABLE effects DROP COLUMN attempts_before;
