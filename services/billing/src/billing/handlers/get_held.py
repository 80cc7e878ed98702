"""get_held: money that waits for a person to decide, the oldest first."""

from __future__ import annotations

from billing.domain.currencies import EXPONENTS
from billing.ports.payments import PaymentReads
from contracts.operators import GetHeld, Held, HeldCharge

LIMIT_MAX = 500
"""An answer has to fit into a message."""


async def get_held(request: GetHeld, *, seen: PaymentReads) -> Held:
    limit = min(max(request.limit, 1), LIMIT_MAX)
    found = await seen.held(limit + 1)
    return Held(
        charges=tuple(
            HeldCharge(
                provider=each.provider,
                charge_id=each.charge_id,
                code=each.reason,
                amount_minor=each.amount_minor,
                currency=each.currency,
                exponent=EXPONENTS.get(each.currency, 0),
                paid_at=each.paid_at,
                user_id=each.user_id,
                payment_id=each.payment_id,
            )
            for each in found[:limit]
        ),
        cut=len(found) > limit,
    )
