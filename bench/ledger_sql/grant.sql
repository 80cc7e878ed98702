-- What billing does for one grant: a lot is opened under a key; one per transaction.
-- pgbench takes every colon before a word for a variable of its own, hence chr(58).
\set uid random(1, :users)
BEGIN;
SELECT user_id, uuidv7() AS mid FROM accounts WHERE user_id = :uid FOR NO KEY UPDATE \gset
INSERT INTO inbox (day, id) VALUES (current_date, :mid::uuid) ON CONFLICT DO NOTHING;
SELECT grant_key, user_id, kind, credits, expires_at, reason FROM grants WHERE grant_key = 'bench:' || :mid::text;
SELECT user_id, available, held, debt, in_flight, transfers, lots_opened, tier, tier_until, tier_version, trial_renews_at FROM accounts WHERE user_id = :uid FOR NO KEY UPDATE;
SELECT user_id, number, kind, granted, remaining, expires_at, state FROM lots WHERE user_id = :uid AND (remaining > 0 OR kind = 'trial' OR number = 1);
UPDATE accounts SET available = available + 10, held = held, debt = debt, in_flight = in_flight, transfers = transfers + 1, lots_opened = lots_opened + 1, trial_renews_at = trial_renews_at WHERE user_id = :uid RETURNING transfers, lots_opened \gset
INSERT INTO grants (granted_at, grant_key, user_id, lot, kind, credits, expires_at, reason, actor) VALUES (now(), 'bench:' || :mid::text, :uid, :lots_opened, 'bonus', 10, NULL, 'bench', 'bench');
INSERT INTO lots (user_id, number, kind, granted, remaining, expires_at, state) VALUES (:uid, :lots_opened, 'bonus', 10, 10, NULL, 'open');
INSERT INTO transfers (at, user_id, number, lot, debit, credit, amount, kind, order_id, reason) VALUES (now(), :uid, :transfers, :lots_opened, 'house' || chr(58) || 'gifts', 'available', 10, 'grant', NULL, 'bench');
WITH written AS (INSERT INTO outbox (day, id, subject, headers, body) VALUES (current_date, uuidv7(), 'billing.evt.credits_granted.v1', repeat('h', 250), decode(repeat('ab', 150), 'hex')) RETURNING id) SELECT array_agg(id) AS written FROM written \gset
COMMIT;
UPDATE outbox SET published_at = now() WHERE day = current_date AND id = ANY(:written::uuid[]);
