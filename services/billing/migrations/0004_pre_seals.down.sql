DROP TABLE seals;
ALTER TABLE transfers DROP COLUMN written_in;
