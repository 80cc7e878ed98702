"""charges: what a person paid lately, newest first."""

from __future__ import annotations

from billing.ports.payments import PaymentReads
from contracts.payments import ChargeLine, Charges, GetCharges

LIMIT_MAX = 50


async def get_charges(request: GetCharges, *, seen: PaymentReads) -> Charges:
    found = await seen.charges(request.user_id, max(1, min(request.limit, LIMIT_MAX)))
    return Charges(
        charges=tuple(
            ChargeLine(
                charge_id=each.charge_id,
                provider=each.provider,
                product_id=each.product_id,
                amount_minor=each.amount_minor,
                currency=each.currency,
                credits=each.credits,
                state=each.state,
                paid_at=each.paid_at,
            )
            for each in found
        )
    )
