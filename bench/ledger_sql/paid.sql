-- What billing does for one Stars payment: charge, two lots, two grants; one per transaction.
-- pgbench takes every colon before a word for a variable of its own, hence chr(58).
BEGIN;
WITH next AS MATERIALIZED (SELECT nextval('bench_payments') AS n) SELECT a.user_id AS uid, ('ffffffff' || lpad(to_hex(next.n), 24, '0'))::uuid AS pid, uuidv7() AS mid FROM next JOIN accounts AS a ON a.user_id = next.n % :users + 1 FOR NO KEY UPDATE OF a \gset
INSERT INTO inbox (day, id) VALUES (current_date, :mid::uuid) ON CONFLICT DO NOTHING;
SAVEPOINT one;
INSERT INTO provider_events (provider, event_key, way, body, received_at) VALUES ('stars', 'paid' || chr(58) || 'bench-' || :pid::text, 'chat', decode(repeat('ab', 300), 'hex'), now()) ON CONFLICT (provider, event_key) DO NOTHING RETURNING event_key \gset
SELECT provider, charge_id, payment_id, user_id, product_id, amount_minor, currency, paid_at, state, version, reason, actor, credits, bonus_credits, lot, bonus_lot, tier, tier_from, tier_until, tier_replaced, taken, debt_credits, taken_seconds, late, recurring, settled_at, traceparent FROM charges WHERE provider = 'stars' AND charge_id = 'bench-' || :pid::text FOR NO KEY UPDATE;
SELECT payment_id, user_id, provider, product, product_id, credits, bonus_credits, amount_minor, currency, created_at, order_id, state, version, provider_ref, pay_url, reason, expires_at, checked_at, check_due_at, traceparent FROM payments WHERE payment_id = :pid::uuid FOR NO KEY UPDATE;
SELECT count(*) FROM charges WHERE payment_id = :pid::uuid;
SELECT user_id, available, held, debt, in_flight, transfers, lots_opened, tier, tier_until, tier_version, trial_renews_at FROM accounts WHERE user_id = :uid FOR NO KEY UPDATE;
SELECT user_id, number, kind, granted, remaining, expires_at, state FROM lots WHERE user_id = :uid AND (remaining > 0 OR kind = 'trial' OR number = 1);
UPDATE accounts SET available = available + 330, held = held, debt = debt, in_flight = in_flight, transfers = transfers + 2, lots_opened = lots_opened + 2, trial_renews_at = NULL WHERE user_id = :uid RETURNING transfers, lots_opened \gset
INSERT INTO charges (provider, charge_id, payment_id, user_id, product_id, amount_minor, currency, paid_at, state, version, reason, actor, credits, bonus_credits, lot, bonus_lot, tier, tier_from, tier_until, tier_replaced, taken, debt_credits, taken_seconds, late, recurring, settled_at, traceparent) VALUES ('stars', 'bench-' || :pid::text, :pid::uuid, :uid, 'credits_300', 275, 'XTR', now(), 'paid', 1, '', '', 330, 30, :lots_opened - 1, :lots_opened, '', NULL, NULL, '', '[]', 0, 0, false, false, NULL, '') ON CONFLICT (provider, charge_id) DO NOTHING RETURNING charge_id \gset
INSERT INTO lots (user_id, number, kind, granted, remaining, expires_at, state) VALUES (:uid, :lots_opened - 1, 'paid', 300, 300, NULL, 'open'), (:uid, :lots_opened, 'bonus', 30, 30, NULL, 'open');
INSERT INTO transfers (at, user_id, number, lot, debit, credit, amount, kind, order_id, reason) VALUES (now(), :uid, :transfers - 1, :lots_opened - 1, 'house' || chr(58) || 'sales', 'available', 300, 'grant', NULL, 'payment'), (now(), :uid, :transfers, :lots_opened, 'house' || chr(58) || 'gifts', 'available', 30, 'grant', NULL, 'payment_bonus');
INSERT INTO grants (granted_at, grant_key, user_id, lot, kind, credits, expires_at, reason, actor) VALUES (now(), 'credit' || chr(58) || 'stars' || chr(58) || 'bench-' || :pid::text, :uid, :lots_opened - 1, 'paid', 300, NULL, 'payment', 'stars'), (now(), 'bonus' || chr(58) || 'stars' || chr(58) || 'bench-' || :pid::text, :uid, :lots_opened, 'bonus', 30, NULL, 'payment_bonus', 'stars');
UPDATE payments SET state = 'paid', version = 3, provider_ref = provider_ref, pay_url = '', reason = '', expires_at = expires_at, checked_at = NULL, check_due_at = NULL WHERE payment_id = :pid::uuid;
UPDATE referrals SET payments_counted = payments_counted + 1 WHERE newcomer_id = :uid AND payments_counted < 3;
SELECT count(*) FROM provider_events WHERE provider = 'stars' AND event_key = 'refunded' || chr(58) || 'bench-' || :pid::text;
UPDATE provider_events SET handled_at = now(), outcome = 'credited' WHERE provider = 'stars' AND event_key = 'paid' || chr(58) || 'bench-' || :pid::text;
RELEASE SAVEPOINT one;
WITH written AS (INSERT INTO outbox (day, id, subject, headers, body) VALUES (current_date, uuidv7(), 'billing.evt.payment_credited.v1', repeat('h', 250), decode(repeat('ab', 300), 'hex')) RETURNING id) SELECT array_agg(id) AS written FROM written \gset
COMMIT;
UPDATE outbox SET published_at = now() WHERE day = current_date AND id = ANY(:written::uuid[]);
