-- name: load_steps
-- What gave or set a person's tier, the oldest first.
SELECT version, tier, given_at, span, at_least, since, until, withdrawn
FROM tier_steps WHERE user_id = $1 ORDER BY version

-- name: save_steps
-- New steps, and which of the known ones count no more.
INSERT INTO tier_steps (user_id, version, tier, given_at, span, at_least, since, until, withdrawn)
SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::timestamptz[], $5::interval[],
                         $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::boolean[])
ON CONFLICT (user_id, version) DO UPDATE SET withdrawn = excluded.withdrawn
