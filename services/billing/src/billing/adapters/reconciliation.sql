-- name: charges_of_period
-- Charges of a period, and others by their id.
SELECT charge_id, payment_id, user_id, amount_minor, currency, paid_at, state, refunded_minor
FROM charges
WHERE provider = $1 AND ((paid_at >= $2 AND paid_at < $3) OR charge_id = ANY($4::text[]))

-- name: statement_lines
-- What a statement that comes page by page said since a moment, line by line.
SELECT split_part(event_key, ':', 2) AS kind, body, received_at FROM provider_events
WHERE provider = $1 AND way = 'statement' AND event_key LIKE 'statement:%' AND received_at >= $2
