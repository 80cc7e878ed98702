-- name: export_charges
-- Money that came in a period, oldest first, with what it bought and how it ended.
SELECT c.paid_at, c.provider, c.charge_id, c.payment_id::text AS payment_id, c.user_id,
    c.product_id, c.amount_minor, c.currency, c.credits, c.state, c.settled_at, c.late, c.recurring,
    c.reason, c.actor
FROM charges c WHERE c.paid_at >= $1 AND c.paid_at < $2 ORDER BY c.paid_at, c.charge_id

-- name: export_transfers
-- Every movement of credits in a period, oldest first.
SELECT at, user_id, number, kind, lot, debit, credit, amount, order_id::text AS order_id, reason
FROM transfers WHERE at >= $1 AND at < $2 ORDER BY at, user_id, number

-- name: export_adjustments
-- Credits added or taken by hand in a period, with who did it and who agreed.
SELECT adjusted_at, adjustment_id::text AS adjustment_id, user_id, credits, debt_credits,
    reason, actor, approved_by
FROM adjustments
WHERE adjusted_at >= $1 AND adjusted_at < $2 ORDER BY adjusted_at
