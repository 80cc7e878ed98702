-- What billing does for one job that succeeded: the hold is posted; one per transaction.
-- pgbench takes every colon before a word for a variable of its own, hence chr(58).
BEGIN;
WITH next AS MATERIALIZED (SELECT nextval('bench_ends') AS n) SELECT a.user_id AS uid, lpad(to_hex(next.n), 32, '0')::uuid AS oid, uuidv7() AS mid FROM next JOIN accounts AS a ON a.user_id = next.n % :users + 1 FOR NO KEY UPDATE OF a \gset
INSERT INTO inbox (day, id) VALUES (current_date, :mid::uuid) ON CONFLICT DO NOTHING;
SELECT o.order_id, o.user_id, o.workflow_id, o.catalogue_version, o.price_credits, o.digest, o.placed_at, o.pool, o.lane, o.start_before, o.state, o.version, o.reason, o.cancel_requested, o.gift, o.finished_at, o.outputs, o.traceparent, o.base_price_credits, o.discount_percent, h.amount, h.expires_at, h.state AS hold_state, h.parts, h.quota_day FROM orders AS o LEFT JOIN holds AS h USING (order_id) WHERE o.order_id = :oid::uuid;
SELECT user_id, available, held, debt, in_flight, transfers, lots_opened, tier, tier_until, tier_version, trial_renews_at FROM accounts WHERE user_id = :uid FOR NO KEY UPDATE;
UPDATE orders SET state = 'completed', version = 2, reason = '', gift = false, finished_at = now(), outputs = decode(repeat('ab', 150), 'hex'), deliver_due_at = now() + interval '10 min' WHERE order_id = :oid::uuid;
UPDATE holds SET state = 'posted' WHERE order_id = :oid::uuid AND state = 'pending';
UPDATE accounts SET available = available, held = held - 10, debt = debt, in_flight = in_flight - 1, transfers = transfers + 1, lots_opened = lots_opened, trial_renews_at = trial_renews_at WHERE user_id = :uid RETURNING transfers \gset
INSERT INTO transfers (at, user_id, number, lot, debit, credit, amount, kind, order_id, reason) VALUES (now(), :uid, :transfers, 1, 'held', 'house' || chr(58) || 'revenue', 10, 'post', :oid::uuid, '');
WITH written AS (INSERT INTO outbox (day, id, subject, headers, body) VALUES (current_date, uuidv7(), 'billing.evt.order_completed.v1', repeat('h', 250), decode(repeat('ab', 330), 'hex')) RETURNING id) SELECT array_agg(id) AS written FROM written \gset
COMMIT;
UPDATE outbox SET published_at = now() WHERE day = current_date AND id = ANY(:written::uuid[]);
