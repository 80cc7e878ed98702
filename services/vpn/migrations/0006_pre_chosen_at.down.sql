ALTER TABLE grants DROP COLUMN chosen_at;
