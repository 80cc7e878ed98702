DROP INDEX charges_refunding;
DROP TABLE tier_steps;
