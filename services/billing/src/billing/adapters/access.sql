-- name: add_access_grants
-- What vpn gave for orders; told again, it is known already.
INSERT INTO access_grants (order_id, user_id, subscription_id, until, granted_at, revoked_at)
SELECT t.order_id, t.user_id, t.subscription_id, t.until, $1::timestamptz,
       CASE WHEN t.revoked THEN $1::timestamptz END
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::timestamptz[], $6::boolean[])
    AS t(order_id, user_id, subscription_id, until, revoked)
ON CONFLICT (order_id) DO NOTHING

-- name: revoke_access_grant
-- It is being taken back.
UPDATE access_grants SET revoked_at = $2 WHERE order_id = $1 AND revoked_at IS NULL

-- name: find_order_refunds
-- What was given back of an order, in the order of time.
SELECT refund_id, order_id, user_id, credits, debt_paid_credits, reason, actor, approved_by
FROM order_refunds WHERE order_id = $1 ORDER BY refunded_at, refund_id

-- name: find_order_refund
-- One of them, whatever order it was of.
SELECT refund_id, order_id, user_id, credits, debt_paid_credits, reason, actor, approved_by
FROM order_refunds WHERE refund_id = $1

-- name: add_order_refund
-- One more.
INSERT INTO order_refunds (refund_id, order_id, user_id, credits, debt_paid_credits, reason,
                           actor, approved_by, refunded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: audit_order_refunds
-- Orders whose refunds are not their transfers, exceed the price, or are of no completed order.
WITH moved AS (
    SELECT user_id, order_id, sum(amount) AS credits, sum(amount) FILTER (WHERE credit = 'debt')
        AS debt
    FROM transfers WHERE kind = 'credit_back' GROUP BY user_id, order_id
), told AS (
    SELECT user_id, order_id, sum(credits) AS credits, sum(debt_paid_credits) AS debt
    FROM order_refunds GROUP BY user_id, order_id
)
SELECT user_id FROM moved AS m FULL JOIN told AS t USING (user_id, order_id)
LEFT JOIN orders AS o USING (user_id, order_id)
LEFT JOIN holds AS h USING (user_id, order_id)
WHERE (m.credits, coalesce(m.debt, 0)) IS DISTINCT FROM (t.credits, t.debt)
   OR o.state IS DISTINCT FROM 'completed' OR t.credits > h.amount

-- name: audit_access
-- Access charged for and not given, given and not charged for, or refunded and not taken back.
WITH back AS (
    SELECT order_id, sum(credits) AS credits FROM order_refunds GROUP BY order_id
)
SELECT coalesce(o.user_id, g.user_id) AS user_id
FROM (SELECT * FROM orders WHERE pool = 'vpn' AND state = 'completed') AS o
FULL JOIN access_grants AS g USING (order_id)
LEFT JOIN back AS b USING (order_id)
WHERE g.order_id IS NULL
   OR (g.revoked_at IS NULL) IS DISTINCT FROM
      (o.order_id IS NOT NULL AND (b.credits IS NULL OR b.credits < o.price_credits))
