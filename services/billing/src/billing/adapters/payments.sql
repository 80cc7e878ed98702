-- name: find_payments
-- Invoices, locked, always in ascending order: who changes one holds its owner's account too.
SELECT payment_id, user_id, provider, product, product_id, credits, bonus_credits, amount_minor,
       currency, created_at, order_id, state, version, provider_ref, pay_url, reason, expires_at,
       checked_at, check_due_at, traceparent
FROM payments WHERE payment_id = ANY($1::uuid[])
ORDER BY payment_id FOR NO KEY UPDATE

-- name: read_payment
-- One invoice, for showing and judging only.
SELECT payment_id, user_id, provider, product, product_id, credits, bonus_credits, amount_minor,
       currency, created_at, order_id, state, version, provider_ref, pay_url, reason, expires_at,
       checked_at, check_due_at, traceparent
FROM payments WHERE payment_id = $1

-- name: payment_owners
-- Whose these invoices are.
SELECT payment_id, user_id FROM payments WHERE payment_id = ANY($1::uuid[])

-- name: add_payment
-- A new invoice.
INSERT INTO payments (payment_id, user_id, provider, product, product_id, credits, bonus_credits,
                      amount_minor, currency, created_at, order_id, state, version, provider_ref,
                      pay_url, reason, expires_at, checked_at, check_due_at, traceparent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)

-- name: save_payments
-- What became of invoices.
UPDATE payments AS p
SET state = t.state, version = t.version, provider_ref = t.provider_ref, pay_url = t.pay_url,
    reason = t.reason, expires_at = t.expires_at, checked_at = t.checked_at,
    check_due_at = t.check_due_at
FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[],
            $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
    AS t(payment_id, state, version, provider_ref, pay_url, reason, expires_at, checked_at,
         check_due_at)
WHERE p.payment_id = t.payment_id

-- name: payments_due
-- Invoices to ask their provider about, the longest waiting first.
SELECT payment_id, user_id, provider, product, product_id, credits, bonus_credits, amount_minor,
       currency, created_at, order_id, state, version, provider_ref, pay_url, reason, expires_at,
       checked_at, check_due_at, traceparent
FROM payments WHERE provider = $1 AND check_due_at <= $2
ORDER BY check_due_at LIMIT $3

-- name: payments_overdue
-- Open invoices whose time has passed.
SELECT payment_id, user_id FROM payments
WHERE provider = $1 AND check_due_at <= $2 AND state IN ('created', 'pending')
ORDER BY check_due_at LIMIT $3

-- name: keep_event
-- What a provider said, as it came; the same fact once.
INSERT INTO provider_events (provider, event_key, way, body, received_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (provider, event_key) DO NOTHING
RETURNING event_key

-- name: keep_handled
-- What a provider said, as it came first, and what was made of it last.
INSERT INTO provider_events (provider, event_key, way, body, received_at, handled_at, outcome)
SELECT $1, t.event_key, $2, t.body, $3, $3, t.outcome
FROM unnest($4::text[], $5::bytea[], $6::text[]) AS t(event_key, body, outcome)
ORDER BY t.event_key
ON CONFLICT (provider, event_key) DO UPDATE
SET handled_at = excluded.handled_at, outcome = excluded.outcome

-- name: find_told
-- Which of these facts a provider told before.
SELECT event_key FROM provider_events WHERE provider = $1 AND event_key = ANY($2::text[])

-- name: provider_state
-- How far a provider was reconciled, and how it fares.
SELECT provider, cursor, suspended_reason, webhook_seen_at, polled_first, reconciled_at
FROM providers WHERE provider = $1 FOR NO KEY UPDATE

-- name: save_provider_state
-- The same after a round.
INSERT INTO providers (provider, cursor, suspended_reason, webhook_seen_at, polled_first,
                       reconciled_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (provider) DO UPDATE
SET cursor = excluded.cursor, suspended_reason = excluded.suspended_reason,
    webhook_seen_at = excluded.webhook_seen_at, polled_first = excluded.polled_first,
    reconciled_at = excluded.reconciled_at

-- name: suspended_providers
-- Providers that cannot be used now.
SELECT provider FROM providers WHERE suspended_reason <> ''

-- name: find_charge
-- Money that came, locked.
SELECT provider, charge_id, payment_id, user_id, product_id, amount_minor, currency, paid_at,
       state, version, reason, actor, credits, bonus_credits, lot, bonus_lot, tier, tier_from,
       tier_until, tier_replaced, taken, debt_credits, taken_seconds, late, recurring, settled_at,
       traceparent, refunded_minor, refunding_minor, kept_parts, kept_debt
FROM charges WHERE provider = $1 AND charge_id = $2 FOR NO KEY UPDATE

-- name: known_charges
-- Which of these charges are recorded, locked, always in ascending order.
SELECT charge_id FROM charges WHERE provider = $1 AND charge_id = ANY($2::text[])
ORDER BY charge_id FOR NO KEY UPDATE

-- name: last_charges
-- A person's last charges.
SELECT provider, charge_id, payment_id, user_id, product_id, amount_minor, currency, paid_at,
       state, version, reason, actor, credits, bonus_credits, lot, bonus_lot, tier, tier_from,
       tier_until, tier_replaced, taken, debt_credits, taken_seconds, late, recurring, settled_at,
       traceparent, refunded_minor, refunding_minor, kept_parts, kept_debt
FROM charges WHERE user_id = $1 ORDER BY paid_at DESC, charge_id LIMIT $2

-- name: held_charges
-- Money that waits for a person to decide, the oldest first.
SELECT provider, charge_id, payment_id, user_id, product_id, amount_minor, currency, paid_at,
       state, version, reason, actor, credits, bonus_credits, lot, bonus_lot, tier, tier_from,
       tier_until, tier_replaced, taken, debt_credits, taken_seconds, late, recurring, settled_at,
       traceparent, refunded_minor, refunding_minor, kept_parts, kept_debt
FROM charges WHERE state = 'review' ORDER BY paid_at, charge_id LIMIT $1

-- name: add_charges
-- Charges are recorded once, whatever way told us of them.
INSERT INTO charges (provider, charge_id, payment_id, user_id, product_id, amount_minor, currency,
                     paid_at, state, version, reason, actor, credits, bonus_credits, lot, bonus_lot,
                     tier, tier_from, tier_until, tier_replaced, taken, debt_credits, taken_seconds,
                     late, recurring, settled_at, traceparent, refunded_minor, refunding_minor,
                     kept_parts, kept_debt)
SELECT provider, charge_id, payment_id, user_id, product_id, amount_minor, currency,
       paid_at, state, version, reason, actor, credits, bonus_credits, lot, bonus_lot,
       tier, tier_from, tier_until, tier_replaced, taken::jsonb, debt_credits, taken_seconds,
       late, recurring, settled_at, traceparent, refunded_minor, refunding_minor, kept_parts,
       kept_debt
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::bigint[], $7::text[],
            $8::timestamptz[], $9::text[], $10::integer[], $11::text[], $12::text[],
            $13::integer[], $14::integer[], $15::integer[], $16::integer[], $17::text[],
            $18::timestamptz[], $19::timestamptz[], $20::text[], $21::text[], $22::integer[],
            $23::bigint[], $24::boolean[], $25::boolean[], $26::timestamptz[], $27::text[],
            $28::bigint[], $29::bigint[], $30::integer[], $31::integer[])
    AS t(provider, charge_id, payment_id, user_id, product_id, amount_minor, currency,
         paid_at, state, version, reason, actor, credits, bonus_credits, lot, bonus_lot,
         tier, tier_from, tier_until, tier_replaced, taken, debt_credits, taken_seconds,
         late, recurring, settled_at, traceparent, refunded_minor, refunding_minor, kept_parts,
         kept_debt)
ORDER BY charge_id
ON CONFLICT (provider, charge_id) DO NOTHING
RETURNING charge_id

-- name: save_charge
-- What became of a charge.
UPDATE charges
SET state = $3, version = $4, reason = $5, actor = $6, credits = $7, lot = $8, bonus_lot = $9,
    tier = $10, tier_from = $11, tier_until = $12, tier_replaced = $13, taken = $14,
    debt_credits = $15, taken_seconds = $16, late = $17, settled_at = $18, user_id = $19,
    bonus_credits = $20, refunded_minor = $21, refunding_minor = $22, kept_parts = $23,
    kept_debt = $24
WHERE provider = $1 AND charge_id = $2

-- name: count_charges
-- How many charges were credited for invoices; one that is held bought nothing yet.
SELECT payment_id, count(*) FROM charges
WHERE payment_id = ANY($1::uuid[]) AND (lot IS NOT NULL OR tier <> '') GROUP BY payment_id

-- name: unclear_refunds
-- Refunds whose end nobody waits for any more, the oldest payment first.
SELECT charge_id, user_id FROM charges
WHERE provider = $1 AND state = 'refunding' AND reason = $2 ORDER BY paid_at LIMIT $3

-- name: charge_owners
-- Whose these charges are.
SELECT charge_id, user_id FROM charges WHERE provider = $1 AND charge_id = ANY($2::text[])

-- name: subscription_of_charge
-- A subscription by the charge that began it.
SELECT charge_id, user_id, plan_id, payment_id, state, until, version
FROM subscriptions WHERE charge_id = $1 FOR NO KEY UPDATE

-- name: subscription_of_payment
-- The newest subscription of an invoice: somebody may subscribe by it again.
SELECT charge_id, user_id, plan_id, payment_id, state, until, version
FROM subscriptions WHERE payment_id = $1 ORDER BY until DESC LIMIT 1 FOR NO KEY UPDATE

-- name: live_subscriptions
-- A person's subscriptions whose time has not passed. One whose last money went back is over once
-- its renewals are stopped; until then it is there to be stopped, and no second one is sold.
SELECT charge_id, user_id, plan_id, payment_id, state, until, version
FROM subscriptions AS s
WHERE user_id = $1 AND until > $2 AND state <> 'ended'
  AND (state = 'active'
       OR coalesce((SELECT c.state FROM charges AS c
                    WHERE c.payment_id = s.payment_id AND c.tier <> ''
                    ORDER BY c.paid_at DESC, c.charge_id LIMIT 1), '')
          NOT IN ('refunding', 'refunded', 'charged_back'))
ORDER BY until

-- name: is_given_back
-- Whether the last money of a subscription went back, or is on its way.
SELECT coalesce((SELECT state FROM charges WHERE payment_id = $1 AND tier <> ''
                 ORDER BY paid_at DESC, charge_id LIMIT 1), '')
       IN ('refunding', 'refunded', 'charged_back')

-- name: save_subscription
-- A subscription as it is now.
INSERT INTO subscriptions (charge_id, user_id, plan_id, payment_id, state, until, version)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (charge_id) DO UPDATE
SET state = excluded.state, until = excluded.until, version = excluded.version

-- name: find_purchase
-- A plan bought with credits.
SELECT order_id, user_id, plan_id, digest, charged_credits, until
FROM plan_purchases WHERE order_id = $1

-- name: add_purchase
-- One more.
INSERT INTO plan_purchases (order_id, user_id, plan_id, digest, charged_credits, until, bought_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: find_adjustment
-- An adjustment by its id.
SELECT adjustment_id, user_id, credits, reason, actor, approved_by, debt_credits
FROM adjustments WHERE adjustment_id = $1

-- name: add_adjustment
-- One more.
INSERT INTO adjustments (adjustment_id, user_id, credits, reason, actor, approved_by,
                         debt_credits, adjusted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: refused_alone
-- What somebody asked for and was refused because a second person has to agree. $5: since the last
-- consent alone.
SELECT detail FROM operator_actions
WHERE action = $1 AND subject_id = $2 AND actor = $3 AND outcome = $4 AND NOT dry_run
  AND NOT ($5 AND number < (
    SELECT coalesce(max(number), 0) FROM operator_actions
    WHERE action = $1 AND subject_id = $2 AND outcome = 'agreed' AND NOT dry_run))

-- name: alone_on
-- What these people did alone that day, theirs alone to add to until the transaction ends.
INSERT INTO alone_days AS a (person, day, credits)
SELECT person, $2, 0 FROM unnest($1::text[]) AS t(person) ORDER BY person
ON CONFLICT (person, day) DO UPDATE SET credits = a.credits
RETURNING person, credits

-- name: save_alone
-- The same with what they did now.
UPDATE alone_days AS a SET credits = t.credits
FROM unnest($1::text[], $2::bigint[]) AS t(person, credits)
WHERE a.person = t.person AND a.day = $3

-- name: note_action
-- What an operator did, or was refused.
INSERT INTO operator_actions (actor, action, subject_id, detail, dry_run, outcome, acted_at)
VALUES ($1, $2, $3, $4, false, $5, $6)

-- name: audit_charges
-- Charges whose credits are not their grants, such grants without a charge, money for nothing.
WITH owed AS (
    SELECT 'credit:' || provider || ':' || charge_id AS grant_key, user_id, lot
    FROM charges WHERE lot IS NOT NULL
    UNION ALL
    SELECT 'bonus:' || provider || ':' || charge_id, user_id, bonus_lot
    FROM charges WHERE bonus_lot IS NOT NULL
), given AS (
    SELECT grant_key, user_id, lot, credits FROM grants
    WHERE grant_key LIKE 'credit:%' OR grant_key LIKE 'bonus:%'
)
SELECT coalesce(o.user_id, g.user_id) AS user_id
FROM owed AS o FULL JOIN given AS g USING (grant_key)
WHERE (o.user_id, o.lot) IS DISTINCT FROM (g.user_id, g.lot)
UNION ALL
SELECT c.user_id FROM charges AS c
WHERE (c.state = 'paid' AND c.lot IS NULL AND c.tier = '')
   OR c.credits <> (SELECT coalesce(sum(t.credits), 0) FROM given AS t
                    WHERE t.user_id = c.user_id AND t.lot IN (c.lot, c.bonus_lot))

-- name: audit_payments
-- Invoices called paid without money, and money credited for invoices not called paid.
SELECT p.user_id FROM payments AS p
WHERE (p.state = 'paid') IS DISTINCT FROM EXISTS (
    SELECT FROM charges AS c
    WHERE c.payment_id = p.payment_id AND c.user_id = p.user_id
      AND (c.lot IS NOT NULL OR c.tier <> ''))

-- name: audit_refunds
-- People from whom more or less was taken back than their refunded charges say.
WITH moved AS (
    SELECT user_id, sum(CASE kind WHEN 'revoke' THEN amount ELSE -amount END) AS credits
    FROM transfers WHERE kind IN ('revoke', 'restore') GROUP BY user_id
), refunds AS (
    -- Of what was bought and of the bonus, each rounded by itself, halves up.
    SELECT user_id,
           div(2 * (credits - bonus_credits)::numeric * (refunded_minor + refunding_minor)
               + amount_minor, 2 * amount_minor)
           + div(2 * bonus_credits::numeric * (refunded_minor + refunding_minor)
                 + amount_minor, 2 * amount_minor) AS bought,
           debt_credits + (SELECT coalesce(sum((part ->> 1)::bigint), 0)
                           FROM jsonb_array_elements(taken) AS part) AS taken
    FROM charges WHERE refunded_minor + refunding_minor > 0
), told AS (
    SELECT user_id, sum(taken) AS credits FROM refunds GROUP BY user_id
)
SELECT user_id FROM moved AS m FULL JOIN told AS t USING (user_id)
WHERE coalesce(m.credits, 0) <> coalesce(t.credits, 0)
UNION ALL
SELECT user_id FROM refunds WHERE taken <> bought
UNION ALL
SELECT user_id FROM charges
WHERE (state IN ('refunded', 'charged_back')) <> (refunded_minor = amount_minor)

-- name: audit_by_hand
-- People whose adjustments or bought plans differ from the transfers they left.
WITH moved AS (
    SELECT user_id,
           sum(CASE WHEN kind = 'plan' THEN amount ELSE 0 END) AS plans,
           sum(CASE WHEN kind <> 'adjust' THEN 0
                    WHEN debit = 'house:gifts' THEN amount ELSE -amount END) AS adjusted
    FROM transfers WHERE kind IN ('plan', 'adjust') GROUP BY user_id
), bought AS (
    SELECT user_id, sum(charged_credits) AS plans FROM plan_purchases GROUP BY user_id
), adjusted AS (
    SELECT user_id, sum(credits) AS adjusted FROM adjustments GROUP BY user_id
)
SELECT user_id FROM moved AS m
FULL JOIN bought AS b USING (user_id)
FULL JOIN adjusted AS a USING (user_id)
WHERE coalesce(m.plans, 0) <> coalesce(b.plans, 0)
   OR coalesce(m.adjusted, 0) <> coalesce(a.adjusted, 0)
