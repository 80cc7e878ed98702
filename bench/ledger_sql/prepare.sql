-- People with plenty of credits, orders that wait for their ends, invoices to be paid. What has a
-- number up to :ends or :payments belongs to everybody, what follows to the one hot account.
INSERT INTO accounts (user_id, available, held, debt, in_flight, transfers, lots_opened, tier,
                      tier_version, deep_link, opened_at)
SELECT g, :credits, 0, 0, 0, 1, 1, 'none', 0, '', now() FROM generate_series(1, :users + 1) g;

INSERT INTO lots (user_id, number, kind, granted, remaining, state)
SELECT user_id, 1, 'paid', available, available, 'open' FROM accounts;

INSERT INTO grants (granted_at, grant_key, user_id, lot, kind, credits, reason, actor)
SELECT now(), 'opening:' || user_id, user_id, 1, 'paid', available, '', 'bench' FROM accounts;

INSERT INTO transfers (user_id, number, lot, amount, debit, credit, kind, reason, at)
SELECT user_id, 1, 1, available, 'house:sales', 'available', 'grant', '', now() FROM accounts;

CREATE TEMPORARY TABLE waiting AS
SELECT lpad(to_hex(n), 32, '0')::uuid AS order_id, user_id,
       1 + row_number() OVER (PARTITION BY user_id ORDER BY n) AS number
FROM (SELECT n, CASE WHEN n < :ends THEN n % :users ELSE :users END + 1 AS user_id
      FROM generate_series(0, :ends + :hot_ends - 1) AS n) AS each;

INSERT INTO orders (placed_at, order_id, user_id, workflow_id, catalogue_version, price_credits,
                    digest, pool, lane, state, version, reason, start_before, traceparent,
                    base_price_credits, discount_percent)
SELECT now(), order_id, user_id, 'image.product_scene', 1, 10, decode(repeat('ab', 16), 'hex'),
       'image', 'regular', 'accepted', 1, '', now() + interval '30 min', '', 10, 0 FROM waiting;

INSERT INTO holds (order_id, user_id, amount, parts, quota_day, expires_at, state)
SELECT order_id, user_id, 10, '[[1, 10]]', NULL, now() + interval '3 hours', 'pending' FROM waiting;

INSERT INTO transfers (user_id, number, lot, amount, debit, credit, kind, order_id, reason, at)
SELECT user_id, number, 1, 10, 'available', 'held', 'hold', order_id, '', now() FROM waiting;

UPDATE accounts AS a
SET available = available - 10 * orders, held = 10 * orders, in_flight = orders,
    transfers = 1 + orders
FROM (SELECT user_id, count(*)::int AS orders FROM waiting GROUP BY 1) AS w
WHERE a.user_id = w.user_id;

UPDATE lots AS l SET remaining = a.available FROM accounts AS a WHERE a.user_id = l.user_id;

INSERT INTO payments (payment_id, user_id, provider, product, product_id, credits, bonus_credits,
                      amount_minor, currency, state, version, provider_ref, created_at, expires_at)
SELECT id, user_id, 'stars', 'pack', 'credits_300', 300, 30, 275, 'XTR', 'pending', 2, id::text,
       now(), now() + interval '3 hours'
FROM (SELECT ('ffffffff' || lpad(to_hex(n), 24, '0'))::uuid AS id,
             CASE WHEN n < :payments THEN n % :users ELSE :users END + 1 AS user_id
      FROM generate_series(0, :payments + :hot_payments - 1) AS n) AS each;

-- pgbench takes the second half of what is everybody's.
CREATE SEQUENCE bench_ends START :ends_of_pgbench CACHE 50;
CREATE SEQUENCE bench_payments START :payments_of_pgbench CACHE 50;
