ALTER TABLE effects DROP COLUMN settled_at;
