-- name: load_discounts
-- What these people may still use.
SELECT user_id, discount_key, percent, valid_until, order_id FROM discounts
WHERE user_id = ANY($1::bigint[]) AND order_id IS NULL AND valid_until > $2

-- name: add_discounts
-- New discounts; each key gives one person one, once.
INSERT INTO discounts (created_at, user_id, discount_key, percent, valid_until)
SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::integer[], $5::timestamptz[])

-- name: use_discounts
-- The orders that use them; the caller compares the count.
UPDATE discounts AS d SET order_id = t.order_id
FROM unnest($1::bigint[], $2::text[], $3::uuid[]) AS t(user_id, discount_key, order_id)
WHERE d.user_id = t.user_id AND d.discount_key = t.discount_key AND d.order_id IS NULL

-- name: give_back_discounts
-- Refunded orders free what they used while it is valid.
UPDATE discounts SET order_id = NULL WHERE order_id = ANY($1::uuid[]) AND valid_until > $2

-- name: find_referrer
-- Whose referral code this is.
SELECT user_id FROM accounts WHERE referral_code = $1

-- name: add_referral
-- Somebody new came by a link, once for ever.
INSERT INTO referrals (newcomer_id, referrer_id, joined_at) VALUES ($1, $2, $3)

-- name: count_referred_payments
-- More payments of newcomers, up to the last one that earns anything; how many of these earn.
WITH due AS (
    SELECT r.newcomer_id, r.payments_counted, t.payments
    FROM referrals AS r
    JOIN unnest($1::bigint[], $2::integer[]) AS t(newcomer_id, payments) USING (newcomer_id)
    WHERE r.payments_counted < $3
    ORDER BY r.newcomer_id FOR NO KEY UPDATE OF r
)
UPDATE referrals AS r
SET payments_counted = least(d.payments_counted + d.payments, $3)
FROM due AS d WHERE r.newcomer_id = d.newcomer_id
RETURNING r.newcomer_id, r.referrer_id, r.payments_counted - d.payments_counted AS earning

-- name: add_rewards
-- Parts of payments, held back.
INSERT INTO referral_rewards
    (provider, charge_id, referrer_id, newcomer_id, credits, due_at, state)
SELECT *, 'held' FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::integer[],
                             $6::timestamptz[])

-- name: cancel_reward
-- The payment went back in time: nothing is earned.
UPDATE referral_rewards SET state = 'cancelled'
WHERE provider = $1 AND charge_id = $2 AND state = 'held'
RETURNING charge_id

-- name: due_rewards
-- To whom held rewards are due, the longest waiting first.
SELECT referrer_id FROM referral_rewards
WHERE state = 'held' AND due_at <= $1
ORDER BY due_at LIMIT $2

-- name: lock_due_rewards
-- Held rewards due to these people; a refund under way for one of them waits or was first.
SELECT provider, charge_id, referrer_id, newcomer_id, credits, due_at, state
FROM referral_rewards
WHERE state = 'held' AND due_at <= $2 AND referrer_id = ANY($1::bigint[])
ORDER BY due_at, provider, charge_id LIMIT $3
FOR NO KEY UPDATE

-- name: credited_rewards
-- What these people have been credited so far.
SELECT referrer_id, sum(credits)::bigint AS credits FROM referral_rewards
WHERE state = 'credited' AND referrer_id = ANY($1::bigint[])
GROUP BY referrer_id

-- name: settle_rewards
-- How held rewards ended, and with how much.
UPDATE referral_rewards AS r SET state = t.state, credits = t.credits
FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[])
    AS t(provider, charge_id, state, credits)
WHERE r.provider = t.provider AND r.charge_id = t.charge_id AND r.state = 'held'

-- name: lock_promos
-- Codes as they stand, locked in ascending order: uses are counted one redeemer after another.
SELECT code, kind, value, tier, uses_max, used, newcomers_only, lot_days, starts_at, ends_at
FROM promos WHERE code = ANY($1::text[])
ORDER BY code FOR NO KEY UPDATE

-- name: save_promo
-- A new code, or a known one with other terms; what was used stays used.
INSERT INTO promos (code, kind, value, tier, uses_max, newcomers_only, lot_days,
                    starts_at, ends_at, saved_by, saved_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (code) DO UPDATE SET
    kind = excluded.kind, value = excluded.value, tier = excluded.tier,
    uses_max = excluded.uses_max, newcomers_only = excluded.newcomers_only,
    lot_days = excluded.lot_days, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
    saved_by = excluded.saved_by, saved_at = excluded.saved_at

-- name: record_operator_action
-- What an operator did to a promo code, for the audit trail.
INSERT INTO operator_actions (actor, action, subject_id, detail, dry_run, outcome, acted_at)
VALUES ($1, 'save_promo', $2, $3, false, 'done', $4)

-- name: find_promo_uses
-- Which of these people have redeemed which of these codes.
SELECT u.code, u.user_id FROM promo_uses AS u
JOIN unnest($1::text[], $2::bigint[]) AS t(code, user_id) USING (code, user_id)

-- name: find_payers
-- Who of these people ever paid, refunded or not.
SELECT DISTINCT user_id FROM charges
WHERE user_id = ANY($1::bigint[]) AND state NOT IN ('review', 'rejected')

-- name: add_promo_uses
-- Who redeemed what: each person each code once.
INSERT INTO promo_uses (used_at, code, user_id)
SELECT $1, * FROM unnest($2::text[], $3::bigint[])

-- name: count_promo_uses
-- How often codes were redeemed in this sitting.
UPDATE promos AS p SET used = p.used + t.uses
FROM (SELECT code, count(*) AS uses FROM unnest($1::text[]) AS each(code) GROUP BY code) AS t
WHERE p.code = t.code

-- name: load_promo_misses
-- When these people last tried unknown codes.
SELECT user_id, missed_at FROM promo_misses WHERE user_id = ANY($1::bigint[])

-- name: save_promo_misses
-- The moments one person tried unknown codes, the old ones left out.
INSERT INTO promo_misses (user_id, missed_at) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET missed_at = excluded.missed_at

-- name: ensure_draw_day
-- A day's seed, unless another replica was first.
INSERT INTO draw_days (day, seed, commitment, made_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (day) DO NOTHING
RETURNING day

-- name: read_draw_day
-- A day's seed and what was published of it.
SELECT day, seed, commitment FROM draw_days WHERE day = $1

-- name: read_commitments
-- What is published of these days' seeds.
SELECT day, commitment FROM draw_days WHERE day = ANY($1::date[])

-- name: find_draws
-- What these people drew on a day.
SELECT user_id, day, prize, percent FROM draws WHERE user_id = ANY($1::bigint[]) AND day = $2

-- name: add_draws
-- What was drawn: one lot a person and day.
INSERT INTO draws (drawn_at, user_id, day, prize, percent)
SELECT $1, * FROM unnest($2::bigint[], $3::date[], $4::text[], $5::integer[])

-- name: read_draw
-- What a person drew on a day, and whether an order used it.
SELECT w.user_id, w.day, w.prize, w.percent, d.order_id IS NOT NULL AS used
FROM draws AS w
LEFT JOIN discounts AS d ON d.user_id = w.user_id AND d.discount_key = 'draw:' || to_char(w.day, 'YYYY-MM-DD')
WHERE w.user_id = $1 AND w.day = $2

-- name: find_gift
-- A gift by its id.
SELECT gift_id, code, giver_id, credits, parts, made_at, expires_at, state, opened_by
FROM gifts WHERE gift_id = $1

-- name: add_gift
-- Credits set aside for whoever opens the link first.
INSERT INTO gifts (gift_id, code, giver_id, credits, parts, made_at, expires_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting')

-- name: lock_gifts
-- Gifts by their codes, locked in ascending order: the first opener decides.
SELECT gift_id, code, giver_id, credits, parts, made_at, expires_at, state, opened_by
FROM gifts WHERE code = ANY($1::text[])
ORDER BY code FOR NO KEY UPDATE

-- name: lock_waiting_gifts
-- What somebody gave and nobody opened yet, locked in ascending order as above.
SELECT gift_id, code, giver_id, credits, parts, made_at, expires_at, state, opened_by
FROM gifts WHERE giver_id = $1 AND state = 'waiting'
ORDER BY code FOR NO KEY UPDATE

-- name: expired_gifts
-- Gifts nobody opened in time, and whose they are.
SELECT code, giver_id FROM gifts
WHERE state = 'waiting' AND expires_at <= $1
ORDER BY expires_at LIMIT $2

-- name: settle_gifts
-- How waiting gifts ended; the caller compares the count.
UPDATE gifts AS g SET state = t.state, opened_by = t.opened_by
FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS t(gift_id, state, opened_by)
WHERE g.gift_id = t.gift_id AND g.state = 'waiting'

-- name: take_expiring_lots
-- Paid and bonus lots that expire soon and whose owners were not told yet: told now.
UPDATE lots AS l SET expiry_told = true
FROM (SELECT user_id, number FROM lots
      WHERE state = 'open' AND expires_at > $1 AND expires_at <= $2
        AND kind <> 'trial' AND remaining > 0 AND NOT expiry_told
      ORDER BY expires_at LIMIT $3
      FOR NO KEY UPDATE SKIP LOCKED) AS due
WHERE l.user_id = due.user_id AND l.number = due.number
RETURNING l.user_id, l.kind, l.remaining, l.expires_at

-- name: make_referral_code
-- A person's referral code, made when they first ask for it.
UPDATE accounts SET referral_code = $2 WHERE user_id = $1 AND referral_code IS NULL
RETURNING referral_code

-- name: read_standing
-- A person's referral code, whom they brought, and what that earned.
SELECT a.referral_code,
       (SELECT count(*) FROM referrals WHERE referrer_id = $1) AS invited,
       coalesce(sum(r.credits) FILTER (WHERE r.state = 'credited'), 0)::bigint AS earned,
       coalesce(sum(r.credits) FILTER (WHERE r.state = 'held'), 0)::bigint AS pending
FROM accounts AS a LEFT JOIN referral_rewards AS r ON r.referrer_id = a.user_id
WHERE a.user_id = $1 GROUP BY a.referral_code

-- name: audit_gifts
-- Gifts whose transfers do not say what their state says.
WITH moved AS (
    SELECT reason,
           sum(amount) FILTER (WHERE credit = 'house:gifts_waiting') AS given,
           sum(amount) FILTER (WHERE debit = 'house:gifts_waiting' AND kind = 'gift') AS opened,
           sum(amount) FILTER (WHERE debit = 'house:gifts_waiting' AND kind = 'gift_back')
               AS returned
    FROM transfers WHERE kind IN ('gift', 'gift_back') GROUP BY reason
)
SELECT coalesce(g.giver_id, 0) AS user_id FROM gifts AS g
FULL JOIN moved AS m ON m.reason = 'gift:' || g.gift_id
WHERE (g.credits, CASE WHEN g.state = 'opened' THEN g.credits ELSE 0 END,
       CASE WHEN g.state = 'returned' THEN g.credits ELSE 0 END)
      IS DISTINCT FROM
      (m.given, coalesce(m.opened, 0), coalesce(m.returned, 0))

-- name: audit_discounts
-- Orders that name a discount without having one, and discounts used by an order that does not.
SELECT coalesce(o.user_id, d.user_id) AS user_id
FROM (SELECT order_id, user_id, discount_percent AS percent, state FROM orders
      WHERE discount_percent > 0) AS o
FULL JOIN (SELECT order_id, user_id, percent FROM discounts WHERE order_id IS NOT NULL) AS d
    USING (order_id)
WHERE (d.order_id IS NULL AND o.state <> 'refunded')
   OR (d.order_id IS NOT NULL AND (o.user_id, o.percent) IS DISTINCT FROM (d.user_id, d.percent))

-- name: audit_promos
-- Codes counted otherwise than they were redeemed.
WITH counted AS (SELECT code, count(*) AS uses FROM promo_uses GROUP BY code)
SELECT 0::bigint AS user_id FROM promos AS p FULL JOIN counted AS c USING (code)
WHERE p.used IS DISTINCT FROM coalesce(c.uses, 0)
