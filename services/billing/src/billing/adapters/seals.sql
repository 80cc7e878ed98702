-- name: last_seal
-- The newest seal, or nothing.
SELECT number, up_to::text AS up_to, digest FROM seals ORDER BY number DESC LIMIT 1

-- name: seal_horizon
-- Up to which transaction to seal: none that runs may be below it, and about so many rows.
SELECT least(
    pg_snapshot_xmin(pg_current_snapshot()),
    (SELECT written_in FROM transfers WHERE written_in > (
        SELECT written_in FROM transfers WHERE written_in >= $1::text::xid8
        ORDER BY written_in OFFSET $2 LIMIT 1
    ) ORDER BY written_in LIMIT 1)
)::text

-- name: rows_to_seal
-- Transfers written from one transaction on, below another, in the one order they are sealed in.
SELECT user_id, number, lot, amount, debit, credit, kind, order_id, reason, at FROM transfers
WHERE written_in >= $1::text::xid8 AND written_in < $2::text::xid8
ORDER BY written_in, user_id, number

-- name: add_seal
-- Another replica that sealed the same rows first collides on the number.
INSERT INTO seals (number, up_to, transfers, digest, sealed_at)
VALUES ($1, $2::text::xid8, $3, $4, $5)

-- name: all_seals
-- Every seal, oldest first.
SELECT number, up_to::text AS up_to, transfers, digest FROM seals ORDER BY number
