-- In which language apps are told why nothing passes; empty: nobody said yet, so in English.
ALTER TABLE people ADD COLUMN language text NOT NULL DEFAULT '' CHECK (length(language) <= 35);
