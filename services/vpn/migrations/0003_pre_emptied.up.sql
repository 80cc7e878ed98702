-- A node that is off is waited for until it confirmed that it holds nobody.
ALTER TABLE nodes ADD COLUMN emptied boolean NOT NULL DEFAULT false;
