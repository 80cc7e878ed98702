-- Only for a schema that is being given up.
DROP TABLE checkouts, stars_statement;
