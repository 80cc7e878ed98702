-- Only for a schema that is being given up: every balance goes with it.
DROP TABLE tier_changes, grants, quotas, holds, orders, transfers, lots, accounts;
DROP FUNCTION refuse_change();
