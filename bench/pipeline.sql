-- What billing does for one accepted order, one order per transaction, as prepared statements.
-- The ids come back with statements that run anyway, so no round trip is added.
\set uid random(1, :users)
BEGIN;
SELECT user_id, uuidv7() AS oid, uuidv7() AS mid FROM accounts WHERE user_id = :uid FOR NO KEY UPDATE \gset
INSERT INTO inbox (day, id) VALUES (current_date, :mid::uuid) ON CONFLICT DO NOTHING;
SELECT user_id, available, held, debt, in_flight, transfers, lots_opened, tier, tier_until, tier_version, trial_renews_at FROM accounts WHERE user_id = :uid;
SELECT user_id, number, kind, granted, remaining, expires_at, state FROM lots WHERE user_id = :uid AND (remaining > 0 OR kind = 'trial');
SELECT order_id, digest FROM orders WHERE order_id = :oid::uuid;
SELECT user_id, discount_key, percent, valid_until, order_id FROM discounts WHERE user_id = :uid AND order_id IS NULL AND valid_until > now();
INSERT INTO orders (placed_at, order_id, user_id, workflow_id, catalogue_version, price_credits, digest, pool, lane, state, version, reason, start_before, finished_at, traceparent, base_price_credits, discount_percent) VALUES (now(), :oid::uuid, :uid, 'image.product_scene', 1, 10, '\x00112233445566778899aabbccddeeff', 'image', 'regular', 'accepted', 1, '', now() + interval '30 min', NULL, '', 10, 0);
INSERT INTO holds (order_id, user_id, amount, parts, quota_day, expires_at, state) VALUES (:oid::uuid, :uid, 10, '[[1, 10]]'::jsonb, NULL, now() + interval '46 min', 'pending');
UPDATE accounts SET available = available - 10, held = held + 10, debt = debt, in_flight = in_flight + 1, transfers = transfers + 1, lots_opened = lots_opened, trial_renews_at = trial_renews_at WHERE user_id = :uid RETURNING transfers \gset
UPDATE lots SET granted = granted, remaining = remaining - 10, expires_at = expires_at, state = state WHERE user_id = :uid AND number = 1;
INSERT INTO transfers (at, user_id, number, lot, debit, credit, amount, kind, order_id, reason) VALUES (now(), :uid, :transfers, 1, 'available', 'held', 10, 'hold', :oid::uuid, '');
WITH written AS (INSERT INTO outbox (day, id, subject, headers, body) VALUES (current_date, uuidv7(), 'jobs.image.regular', repeat('h', 210), decode(repeat('ab', 330), 'hex')), (current_date, uuidv7(), 'billing.evt.order_accepted.v1', repeat('h', 250), decode(repeat('ab', 210), 'hex')) RETURNING id) SELECT array_agg(id) AS written FROM written \gset
COMMIT;
UPDATE outbox SET published_at = now() WHERE day = current_date AND id = ANY(:written::uuid[]);
