-- name: lock_accounts
-- Queue behind whoever changes these accounts, always in ascending order.
SELECT user_id FROM accounts WHERE user_id = ANY($1::bigint[])
ORDER BY user_id FOR NO KEY UPDATE

-- name: load_accounts
-- The balances and tiers of the given people; the lock also covers an account opened since.
SELECT user_id, available, held, debt, in_flight, transfers, lots_opened,
       tier, tier_until, tier_version, trial_renews_at
FROM accounts WHERE user_id = ANY($1::bigint[])
ORDER BY user_id FOR NO KEY UPDATE

-- name: load_lots
-- Lots of the given numbers and, if they are to be spent ($3), all that hold something and the
-- trial lot.
SELECT user_id, number, kind, granted, remaining, expires_at, state
FROM lots
WHERE user_id = ANY($1::bigint[])
  AND ($3 AND (remaining > 0 OR kind = 'trial') OR number = ANY($2::integer[]))

-- name: open_account
-- A new account with nothing in it; an existing one is left alone.
INSERT INTO accounts (user_id, available, held, debt, in_flight, transfers, lots_opened,
                      tier, tier_version, deep_link, opened_at)
VALUES ($1, 0, 0, 0, 0, 0, 0, 'none', 0, $2, $3)
ON CONFLICT (user_id) DO NOTHING
RETURNING user_id

-- name: save_accounts
-- What a sitting at the ledger left in each account.
UPDATE accounts AS a
SET available = t.available, held = t.held, debt = t.debt, in_flight = t.in_flight,
    transfers = t.transfers, lots_opened = t.lots_opened, trial_renews_at = t.trial_renews_at
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::integer[],
            $6::integer[], $7::integer[], $8::timestamptz[])
    AS t(user_id, available, held, debt, in_flight, transfers, lots_opened, trial_renews_at)
WHERE a.user_id = t.user_id

-- name: open_lots
-- The lots a sitting opened.
INSERT INTO lots (user_id, number, kind, granted, remaining, expires_at, state)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::integer[], $5::integer[],
                     $6::timestamptz[], $7::text[])

-- name: save_lots
-- What a sitting left in lots that were there before.
UPDATE lots AS l
SET granted = t.granted, remaining = t.remaining, expires_at = t.expires_at, state = t.state
FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::integer[],
            $5::timestamptz[], $6::text[])
    AS t(user_id, number, granted, remaining, expires_at, state)
WHERE l.user_id = t.user_id AND l.number = t.number

-- name: due_trials
-- Accounts whose trial credits are to be renewed, locked, those seen before ($3) left out.
SELECT user_id FROM accounts
WHERE trial_renews_at <= $1 AND user_id <> ALL($3::bigint[])
ORDER BY trial_renews_at LIMIT $2
FOR NO KEY UPDATE SKIP LOCKED

-- name: expired_lots
-- Open lots whose time has passed, oldest first.
SELECT user_id, number FROM lots
WHERE state = 'open' AND expires_at <= $1
ORDER BY expires_at LIMIT $2

-- name: save_tier
-- A change of tier, and its entry in the record of changes.
WITH changed AS (
    UPDATE accounts SET tier = $2, tier_until = $3, tier_version = $4
    WHERE user_id = $1 RETURNING user_id
)
INSERT INTO tier_changes (user_id, version, tier, until, reason, actor, changed_at)
SELECT user_id, $4, $2, $3, $5, $6, $7 FROM changed

-- name: find_grants
-- Grants already made under these keys.
SELECT grant_key, user_id, kind, credits, expires_at, reason
FROM grants WHERE grant_key = ANY($1::text[])

-- name: add_grants
-- The grants of a sitting; a key can stand once.
INSERT INTO grants (granted_at, grant_key, user_id, lot, kind, credits, expires_at, reason, actor)
SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::integer[], $5::text[], $6::integer[],
                         $7::timestamptz[], $8::text[], $9::text[])

-- name: find_digests
-- Which of these order ids are used, and by what business fields.
SELECT order_id, digest FROM orders WHERE order_id = ANY($1::uuid[])

-- name: add_holds
-- One hold for every accepted order.
INSERT INTO holds (order_id, user_id, amount, parts, quota_day, expires_at, state)
SELECT order_id, user_id, amount, parts::jsonb, quota_day, expires_at, 'pending'
FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::text[], $5::date[], $6::timestamptz[])
    AS t(order_id, user_id, amount, parts, quota_day, expires_at)

-- name: load_orders
-- Orders with their holds, as the endings need them.
SELECT o.order_id, o.user_id, o.workflow_id, o.catalogue_version, o.price_credits, o.digest,
       o.placed_at, o.pool, o.lane, o.start_before, o.state, o.version, o.reason,
       o.cancel_requested, o.gift, o.finished_at, o.outputs, o.traceparent,
       o.base_price_credits, o.discount_percent,
       h.amount, h.expires_at, h.state AS hold_state, h.parts, h.quota_day
FROM orders AS o LEFT JOIN holds AS h USING (order_id)
WHERE o.order_id = ANY($1::uuid[])

-- name: end_orders
-- How orders ended; a delivery is due for those that have a result.
UPDATE orders AS o
SET state = t.state, version = t.version, reason = t.reason, gift = t.gift,
    finished_at = $1, outputs = t.outputs, deliver_due_at = t.deliver_due_at
FROM unnest($2::uuid[], $3::text[], $4::integer[], $5::text[], $6::boolean[], $7::bytea[],
            $8::timestamptz[])
    AS t(order_id, state, version, reason, gift, outputs, deliver_due_at)
WHERE o.order_id = t.order_id

-- name: end_holds
-- A hold ends once: only pending ones are changed, and the caller compares the count.
UPDATE holds AS h SET state = t.state
FROM unnest($1::uuid[], $2::text[]) AS t(order_id, state)
WHERE h.order_id = t.order_id AND h.state = 'pending'

-- name: mark_cancel_requested
-- Remember that somebody wants these stopped, for the answer that comes.
UPDATE orders SET cancel_requested = true WHERE order_id = ANY($1::uuid[])

-- name: mark_started
-- The first start of accepted orders; a late word about an ended one changes nothing.
UPDATE orders AS o SET state = 'running', server = t.server, started_at = t.started_at
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS t(order_id, server, started_at)
WHERE o.order_id = t.order_id AND o.state = 'accepted'
RETURNING o.pool, o.server

-- name: record_deliveries
-- A result reached its chat, or never can; a message id outranks a reason told before.
UPDATE orders AS o
SET delivered_at = $1, deliver_due_at = NULL,
    delivery_message_id = nullif(t.message_id, 0), delivery_reason = nullif(t.reason, '')
FROM unnest($2::uuid[], $3::bigint[], $4::text[]) AS t(order_id, message_id, reason)
WHERE o.order_id = t.order_id AND o.outputs IS NOT NULL
  AND (o.delivered_at IS NULL OR (o.delivery_message_id IS NULL AND t.message_id <> 0))

-- name: undelivered
-- Results nobody confirmed the delivery of, locked; those busy now come next time.
SELECT order_id, user_id, workflow_id, price_credits, gift, outputs, deliver_asked, traceparent
FROM orders
WHERE deliver_due_at <= $1
ORDER BY deliver_due_at LIMIT $2
FOR NO KEY UPDATE SKIP LOCKED

-- name: postpone_deliveries
-- They were asked for once more; when to ask again.
UPDATE orders AS o SET deliver_due_at = t.due_at, deliver_asked = o.deliver_asked + 1
FROM unnest($1::uuid[], $2::timestamptz[]) AS t(order_id, due_at)
WHERE o.order_id = t.order_id

-- name: overdue_holds
-- Pending holds past their expiry, and whose they are.
SELECT order_id, user_id FROM holds
WHERE state = 'pending' AND expires_at <= $1
ORDER BY expires_at LIMIT $2

-- name: pending_holds
-- What these people have pending, with the lots it came from.
SELECT order_id, user_id, amount, expires_at, state, parts, quota_day
FROM holds WHERE state = 'pending' AND user_id = ANY($1::bigint[])

-- name: oldest_pending
-- When the oldest pending order was placed, and the oldest whose job nobody has started.
SELECT min(o.placed_at) AS held,
       min(o.placed_at) FILTER (WHERE o.state = 'accepted' AND o.pool = ANY($1::text[])) AS waiting
FROM holds AS h JOIN orders AS o USING (order_id)
WHERE h.state = 'pending'

-- name: load_quotas
-- What these people used of these workflows' free orders.
SELECT q.user_id, q.workflow_id, q.day, q.used
FROM quotas AS q
JOIN unnest($1::bigint[], $2::text[]) AS t(user_id, workflow_id) USING (user_id, workflow_id)

-- name: save_quotas
-- The counts after a sitting.
INSERT INTO quotas (user_id, workflow_id, day, used)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::date[], $4::integer[])
ON CONFLICT (user_id, workflow_id) DO UPDATE SET day = excluded.day, used = excluded.used

-- name: read_spent_since
-- What a person's orders and plans cost them since a moment.
SELECT coalesce(sum(amount), 0)::bigint FROM transfers
WHERE user_id = $1 AND kind IN ('post', 'plan') AND at >= $2

-- name: read_history
-- A person's transfers before a number, newest first.
SELECT t.number, t.at, t.kind, t.debit, t.credit, t.lot, t.amount, t.order_id,
       coalesce(o.workflow_id, '') AS workflow_id, t.reason,
       coalesce(o.discount_percent, 0) AS percent
FROM transfers AS t LEFT JOIN orders AS o USING (order_id)
WHERE t.user_id = $1 AND t.number < $2
ORDER BY t.number DESC LIMIT $3

-- name: read_gains
-- What moved no credits before a moment: status and discounts that came or went, plans whose money
-- went back, orders a discount paid whole. A plan paid with credits is a transfer.
SELECT changed_at AS at, 'tier' AS kind, tier, until, 0 AS percent,
       split_part(split_part(reason, ':', 1), ' ', 1) AS reason, '' AS product_id,
       0::bigint AS amount_minor, '' AS currency, interval '0' AS taken, NULL::uuid AS order_id,
       '' AS workflow_id
FROM tier_changes
WHERE user_id = $1 AND changed_at < $2 AND reason NOT LIKE 'plan:%'
UNION ALL
SELECT created_at, 'discount', '', valid_until, percent, split_part(discount_key, ':', 1),
       '', 0, '', interval '0', NULL, ''
FROM discounts WHERE user_id = $1 AND created_at < $2
UNION ALL
SELECT settled_at, 'refund', tier, NULL, 0, state, product_id, amount_minor, currency,
       make_interval(secs => taken_seconds), NULL, ''
FROM charges
WHERE user_id = $1 AND settled_at < $2 AND tier <> '' AND state IN ('refunded', 'charged_back')
UNION ALL
SELECT o.placed_at, 'free', '', NULL, o.discount_percent, '', '', 0, '', interval '0', o.order_id,
       o.workflow_id
FROM discounts AS d JOIN orders AS o USING (order_id)
WHERE d.user_id = $1 AND o.placed_at < $2 AND o.price_credits = 0 AND o.base_price_credits > 0
ORDER BY at DESC LIMIT $3

-- name: read_order_place
-- Where an order stands: its state and what its place in the queue follows from.
SELECT state, pool, lane, placed_at FROM orders WHERE order_id = $1

-- name: read_queue
-- Orders of the pool that start before this one, or run now, counted by workflow.
SELECT o.workflow_id, o.state, count(*)::bigint AS orders
FROM holds AS h JOIN orders AS o USING (order_id)
WHERE h.state = 'pending' AND o.pool = $1
  AND (o.state = 'running'
       OR (o.lane = 'priority' AND $2 <> 'priority')
       OR (o.lane = $2 AND (o.placed_at, o.order_id) < ($3, $4::uuid)))
GROUP BY 1, 2

-- name: read_oldest_job
-- The oldest job that is decided but not yet on its stream (an id tells its time).
SELECT id FROM outbox WHERE published_at IS NULL AND subject LIKE 'jobs.%'
ORDER BY id LIMIT 1

-- name: audit_accounts
-- People whose lots, balance and replay of transfers differ, or whose transfers have a gap.
WITH replayed AS (
    SELECT user_id,
           sum(amount * ((credit = 'available')::int - (debit = 'available')::int)) AS available,
           sum(amount * ((credit = 'held')::int - (debit = 'held')::int)) AS held,
           sum(amount * ((debit = 'debt')::int - (credit = 'debt')::int)) AS debt,
           count(*) AS transfers, max(number) AS last
    FROM transfers GROUP BY user_id
), kept AS (
    SELECT user_id, sum(remaining) AS available, count(*) AS lots FROM lots GROUP BY user_id
), pending AS (
    SELECT user_id, sum(amount) AS held, count(*) AS orders
    FROM holds WHERE state = 'pending' GROUP BY user_id
)
SELECT user_id FROM accounts AS a
FULL JOIN replayed AS r USING (user_id)
FULL JOIN kept AS k USING (user_id)
FULL JOIN pending AS p USING (user_id)
WHERE (a.available, a.held, a.debt, a.transfers, a.transfers, a.lots_opened, a.in_flight)
      IS DISTINCT FROM
      (coalesce(r.available, 0), coalesce(r.held, 0), coalesce(r.debt, 0),
       coalesce(r.transfers, 0), coalesce(r.last, 0), coalesce(k.lots, 0), coalesce(p.orders, 0))
   OR a.available IS DISTINCT FROM coalesce(k.available, 0)
   OR a.held IS DISTINCT FROM coalesce(p.held, 0)
ORDER BY user_id

-- name: audit_lots
-- Lots whose remainder differs from the replay of the transfers that name them.
WITH replayed AS (
    SELECT user_id, lot,
           sum(amount * ((credit = 'available')::int - (debit = 'available')::int)) AS remaining
    FROM transfers WHERE 'available' IN (debit, credit) GROUP BY user_id, lot
)
SELECT l.user_id FROM lots AS l
FULL JOIN replayed AS r ON r.user_id = l.user_id AND r.lot = l.number
WHERE l.remaining IS DISTINCT FROM coalesce(r.remaining, 0)

-- name: audit_negative
-- Balances below zero, or credits beside an unpaid debt.
SELECT user_id FROM accounts
WHERE least(available, held, debt, in_flight) < 0 OR (debt > 0 AND available > 0)

-- name: audit_holds
-- Holds whose transfers do not say what their state and parts say.
WITH moved AS (
    SELECT order_id,
           sum(amount) FILTER (WHERE kind = 'hold') AS held,
           sum(amount) FILTER (WHERE kind = 'post') AS posted,
           sum(amount) FILTER (WHERE kind = 'void') AS voided
    FROM transfers WHERE order_id IS NOT NULL GROUP BY order_id
), parts AS (
    SELECT order_id, coalesce(sum((part ->> 1)::bigint), 0) AS amount
    FROM holds LEFT JOIN LATERAL jsonb_array_elements(parts) AS part ON true GROUP BY order_id
)
SELECT coalesce(h.user_id, 0) AS user_id FROM holds AS h
FULL JOIN moved AS m USING (order_id)
LEFT JOIN parts AS p USING (order_id)
WHERE (h.amount, h.amount,
       CASE WHEN h.state = 'posted' THEN h.amount ELSE 0 END,
       CASE WHEN h.state IN ('voided', 'expired') THEN h.amount ELSE 0 END)
      IS DISTINCT FROM
      (p.amount, coalesce(m.held, 0), coalesce(m.posted, 0), coalesce(m.voided, 0))

-- name: audit_orders
-- Orders whose state and hold disagree: charged exactly if completed, refused without a hold.
SELECT coalesce(o.user_id, h.user_id) AS user_id
FROM orders AS o FULL JOIN holds AS h USING (order_id)
WHERE (CASE o.state
           WHEN 'accepted' THEN h.state = 'pending'
           WHEN 'running' THEN h.state = 'pending'
           WHEN 'completed' THEN h.state = 'posted'
           WHEN 'refunded' THEN h.state = 'voided' OR h.state = 'expired'
           WHEN 'refused' THEN h.state IS NULL
       END) IS NOT TRUE
   OR (h.order_id IS NOT NULL AND (h.user_id, h.amount) IS DISTINCT FROM (o.user_id, o.price_credits))

-- name: audit_results
-- Completed orders without a result (access has none), and results of orders nobody may have.
SELECT user_id FROM orders
WHERE (state = 'completed' AND outputs IS NULL AND pool <> 'vpn')
   OR (outputs IS NOT NULL AND delivered_at IS NULL AND deliver_due_at IS NULL)
   OR (delivered_at IS NOT NULL AND delivery_message_id IS NULL AND delivery_reason IS NULL)

-- name: audit_quotas
-- Counts of free orders that differ from the holds that use them.
WITH used AS (
    SELECT h.user_id, o.workflow_id, h.quota_day AS day, count(*) AS used
    FROM holds AS h JOIN orders AS o USING (order_id)
    WHERE h.quota_day IS NOT NULL AND h.state IN ('pending', 'posted')
    GROUP BY 1, 2, 3
)
SELECT q.user_id FROM quotas AS q
LEFT JOIN used AS u USING (user_id, workflow_id, day)
WHERE q.used IS DISTINCT FROM coalesce(u.used, 0)

-- name: audit_grants
-- Grants that differ from the transfers of the lot they opened, and such lots without a grant.
WITH given AS (
    SELECT user_id, lot, sum(amount) AS credits FROM transfers WHERE kind = 'grant' GROUP BY 1, 2
)
SELECT user_id FROM grants AS g FULL JOIN given AS t USING (user_id, lot)
WHERE g.credits IS DISTINCT FROM t.credits

-- name: audit_figures
-- How much there is: what the report says beside what it found.
SELECT (SELECT count(*) FROM accounts) AS accounts,
       (SELECT count(*) FROM transfers) AS transfers,
       (SELECT count(*) FROM orders) AS orders,
       (SELECT count(*) FROM orders WHERE state = 'completed') AS completed,
       (SELECT count(*) FROM orders WHERE state = 'refunded') AS refunded,
       (SELECT count(*) FROM orders WHERE state = 'refused') AS refused,
       (SELECT count(*) FROM orders WHERE gift) AS gifts,
       (SELECT count(*) FROM holds WHERE state = 'pending') AS pending,
       (SELECT count(*) FROM orders WHERE outputs IS NOT NULL AND delivered_at IS NULL)
           AS undelivered
