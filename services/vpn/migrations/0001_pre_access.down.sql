-- Only the runtime's tables for now: access itself comes with its own migration.
SELECT 1;
