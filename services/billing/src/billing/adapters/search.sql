-- name: find_users_of
-- Whose an id is: an order's, payment's, charge's, gift's or adjustment's; a code is nobody's.
-- $1: the texts it may be, $2: as a UUID, $3: as a number, $4: as a code; null: it is none.
SELECT 'order' AS record, order_id::text AS id, user_id FROM orders WHERE order_id = $2::uuid
UNION ALL SELECT 'payment', payment_id::text, user_id FROM payments
    WHERE payment_id = $2::uuid OR provider_ref = ANY($1::text[])
UNION ALL SELECT 'charge', charge_id, user_id FROM charges WHERE charge_id = ANY($1::text[])
UNION ALL SELECT 'grant', grant_key, user_id FROM grants WHERE grant_key = ANY($1::text[])
UNION ALL SELECT 'gift', gift_id::text, giver_id FROM gifts WHERE gift_id = $2::uuid OR code = $4
UNION ALL SELECT 'plan', order_id::text, user_id FROM plan_purchases WHERE order_id = $2::uuid
UNION ALL SELECT 'adjustment', adjustment_id::text, user_id FROM adjustments
    WHERE adjustment_id = $2::uuid
UNION ALL SELECT 'order', order_id::text, user_id FROM order_refunds WHERE refund_id = $2::uuid
UNION ALL (SELECT DISTINCT 'subscription', subscription_id::text, user_id FROM access_grants
    WHERE subscription_id = $2::uuid)
UNION ALL SELECT 'promo', code, 0 FROM promos WHERE code = $4
UNION ALL SELECT 'user', user_id::text, user_id FROM accounts WHERE user_id = $3::bigint
LIMIT 20

-- name: find_order
-- An order from being placed to being delivered, with its hold; `access.` if vpn answers it.
SELECT f.at, CASE WHEN o.pool = 'vpn' THEN replace(f.what, 'order.', 'access.') ELSE f.what END
    AS what, $1::text AS id, f.detail FROM orders o LEFT JOIN holds h USING (order_id)
CROSS JOIN LATERAL (VALUES
    (o.placed_at, CASE o.lane WHEN 'renewal' THEN 'order.renewal' ELSE 'order.placed' END,
        jsonb_build_object('user', o.user_id, 'workflow', o.workflow_id,
            'price', o.price_credits, 'discount', o.discount_percent)),
    (CASE WHEN h.order_id IS NOT NULL THEN o.placed_at END, 'hold.' || h.state,
        jsonb_build_object('credits', h.amount, 'expires', h.expires_at)),
    (o.started_at, 'order.started', jsonb_build_object('server', o.server)),
    (CASE WHEN o.cancel_requested THEN coalesce(o.finished_at, o.placed_at) END,
        'order.cancel_requested', '{}'::jsonb),
    (o.finished_at, 'order.' || o.state, jsonb_build_object('reason', o.reason, 'gift', o.gift,
        'price', o.price_credits)),
    (o.delivered_at, 'order.delivered', jsonb_build_object('message', o.delivery_message_id,
        'reason', o.delivery_reason)),
    (o.deliver_due_at, 'order.delivery_due', jsonb_build_object('asked', o.deliver_asked))
) AS f (at, what, detail)
WHERE o.order_id = $1::uuid AND f.at IS NOT NULL

-- name: find_access
-- What vpn gave for an order, and whether it was taken back.
SELECT f.at, f.what, g.order_id::text AS id, f.detail FROM access_grants g
CROSS JOIN LATERAL (VALUES
    (g.granted_at, 'access.granted', jsonb_build_object('user', g.user_id,
        'until', g.until, 'subscription', g.subscription_id)),
    (g.revoked_at, 'access.revoked', jsonb_build_object('subscription', g.subscription_id))
) AS f (at, what, detail)
WHERE g.order_id = $1::uuid AND f.at IS NOT NULL LIMIT $2

-- name: find_subscription
-- The orders a subscription was granted by, the newest first.
SELECT order_id::text AS id FROM access_grants
WHERE subscription_id = $1::uuid ORDER BY granted_at DESC LIMIT $2

-- name: find_refunds_of_order
-- What operators gave back of an order.
SELECT refunded_at AS at, 'order.credited_back' AS what, order_id::text AS id, jsonb_build_object(
    'credits', credits, 'debt', nullif(debt_paid_credits, 0), 'reason', reason, 'actor', actor,
    'approved_by', approved_by, 'refund', refund_id) AS detail
FROM order_refunds WHERE order_id = $1::uuid ORDER BY refunded_at LIMIT $2

-- name: find_transfers_of_order
-- What an order moved in the ledger.
SELECT at, 'transfer.' || kind AS what, user_id || '/' || number AS id,
    jsonb_build_object('credits', amount, 'from', debit, 'to', credit, 'lot', lot,
        'reason', reason) AS detail
FROM transfers WHERE user_id = $2 AND order_id = $1::uuid ORDER BY number LIMIT $3

-- name: find_payment
-- A payment, everything that was charged under it, and what providers said of those charges.
SELECT p.created_at AS at, 'payment.' || p.state AS what, p.payment_id::text AS id,
    jsonb_build_object('user', p.user_id, 'provider', p.provider, 'product', p.product_id,
        'amount_minor', p.amount_minor, 'currency', p.currency, 'invoice', p.provider_ref,
        'reason', p.reason, 'order', p.order_id) AS detail
FROM payments p WHERE p.payment_id = $1::uuid

-- name: find_charges
-- Charges by their id or their payment: when paid, what they gave, how they ended.
SELECT f.at, f.what, c.charge_id AS id, f.detail FROM charges c
LEFT JOIN grants g ON g.grant_key = 'credit:' || c.provider || ':' || c.charge_id
CROSS JOIN LATERAL (VALUES
    (c.paid_at, 'charge.came', jsonb_build_object('user', c.user_id, 'provider', c.provider,
        'amount_minor', c.amount_minor, 'currency', c.currency, 'payment', c.payment_id,
        'late', c.late, 'recurring', c.recurring)),
    (g.granted_at, 'charge.credited', jsonb_build_object('credits', c.credits, 'lot', c.lot,
        'grant', g.grant_key, 'tier_until', c.tier_until)),
    (CASE WHEN c.tier <> '' THEN c.paid_at END, 'charge.plan', jsonb_build_object(
        'product', c.product_id, 'tier', c.tier, 'tier_until', c.tier_until)),
    (coalesce(c.settled_at, c.paid_at), 'charge.' || c.state,
        jsonb_build_object('reason', c.reason, 'actor', c.actor, 'debt', nullif(c.debt_credits, 0),
            'taken', nullif(c.debt_credits + (SELECT coalesce(sum((part ->> 1)::bigint), 0)
                FROM jsonb_array_elements(c.taken) AS part), 0)))
) AS f (at, what, detail)
WHERE (c.charge_id = ANY($1::text[]) OR c.payment_id = $2::uuid) AND f.at IS NOT NULL
ORDER BY f.at LIMIT $3

-- name: find_grant
-- One grant of credits with its reason and actor.
SELECT granted_at AS at, 'grant.' || kind AS what, grant_key AS id, jsonb_build_object(
    'user', user_id, 'credits', credits, 'lot', lot, 'reason', reason, 'actor', actor,
    'expires', expires_at) AS detail
FROM grants WHERE grant_key = $1

-- name: find_gift
-- A gift from being made to being opened or returned.
SELECT made_at AS at, 'gift.' || state AS what, gift_id::text AS id, jsonb_build_object(
    'giver', giver_id, 'credits', credits, 'opened_by', opened_by, 'expires', expires_at) AS detail
FROM gifts WHERE gift_id = $1::uuid

-- name: find_promo
-- What a promo code gives, and how often it did.
SELECT saved_at AS at, 'promo.' || kind AS what, code AS id, jsonb_build_object(
    'value', value, 'tier', tier, 'used', used, 'uses_max', nullif(uses_max, 0),
    'newcomers_only', newcomers_only, 'starts', starts_at, 'ends', ends_at, 'actor', saved_by)
    AS detail
FROM promos WHERE code = $1

-- name: find_plan
-- A plan bought with credits.
SELECT bought_at AS at, 'plan.bought' AS what, order_id::text AS id, jsonb_build_object('user', user_id,
    'plan', plan_id, 'credits', charged_credits, 'until', until) AS detail
FROM plan_purchases WHERE order_id = $1::uuid

-- name: find_adjustment
-- Credits added or taken by hand.
SELECT adjusted_at AS at, 'adjustment.made' AS what, adjustment_id::text AS id,
    jsonb_build_object('user', user_id, 'credits', credits, 'reason', reason, 'actor', actor,
        'approved_by', approved_by, 'debt', debt_credits) AS detail
FROM adjustments WHERE adjustment_id = $1::uuid

-- name: find_account
-- How a person's account stands.
SELECT opened_at AS at, 'account.opened' AS what, user_id::text AS id, jsonb_build_object(
    'available', available, 'held', held, 'debt', debt, 'in_flight', in_flight, 'tier', tier,
    'tier_until', tier_until, 'came_by', deep_link) AS detail
FROM accounts WHERE user_id = $1

-- name: find_recent
-- A person's last payments, charges, orders and tier changes, newest first.
(SELECT created_at AS at, 'payment.' || state AS what, payment_id::text AS id,
    jsonb_build_object('provider', provider, 'product', product_id, 'amount_minor', amount_minor,
        'currency', currency) AS detail
FROM payments WHERE user_id = $1 ORDER BY payment_id DESC LIMIT $2)
UNION ALL (SELECT CASE WHEN state IN ('refunded', 'charged_back', 'rejected')
        THEN coalesce(settled_at, paid_at) ELSE paid_at END,
    'charge.' || state, charge_id, jsonb_build_object('provider', provider, 'credits', credits,
        'amount_minor', amount_minor, 'currency', currency, 'reason', reason, 'actor', actor,
        'taken', nullif(debt_credits + (SELECT coalesce(sum((part ->> 1)::bigint), 0)
            FROM jsonb_array_elements(taken) AS part), 0))
FROM charges WHERE user_id = $1 ORDER BY paid_at DESC LIMIT $2)
UNION ALL (SELECT placed_at, CASE pool WHEN 'vpn' THEN 'access.' ELSE 'order.' END || state,
    order_id::text, jsonb_build_object(
    'workflow', workflow_id, 'price', price_credits, 'reason', reason)
FROM orders WHERE order_id IN (SELECT order_id FROM transfers
    WHERE user_id = $1 AND order_id IS NOT NULL ORDER BY number DESC LIMIT $2 * 3) LIMIT $2)
UNION ALL (SELECT changed_at, 'tier.' || tier, user_id || '/' || version, jsonb_build_object(
    'until', until, 'reason', reason, 'actor', actor)
FROM tier_changes WHERE user_id = $1 ORDER BY version DESC LIMIT $2)
UNION ALL (SELECT granted_at, 'grant.' || kind, grant_key, jsonb_build_object(
    'credits', credits, 'reason', reason, 'actor', actor)
FROM grants WHERE user_id = $1 ORDER BY lot DESC LIMIT $2)

-- name: find_actions
-- What operators did about an id, tried or done.
SELECT acted_at AS at, 'operator.' || action AS what, subject_id AS id, jsonb_build_object(
    'actor', actor, 'dry_run', dry_run, 'outcome', outcome) || detail AS detail
FROM operator_actions WHERE subject_id = ANY($1::text[]) ORDER BY number DESC LIMIT $2
