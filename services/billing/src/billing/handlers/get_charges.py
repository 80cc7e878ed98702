"""charges: what a person paid lately, newest first."""

from __future__ import annotations

from billing.domain.charges import Charge
from billing.domain.offers import Offers
from billing.ports.payments import PaymentReads
from contracts.money import NO_CREDITS, Credits
from contracts.payments import ChargeLine, Charges, GetCharges

LIMIT_MAX = 50


async def get_charges(request: GetCharges, *, seen: PaymentReads, offers: Offers) -> Charges:
    found = await seen.charges(request.user_id, max(1, min(request.limit, LIMIT_MAX)))
    return Charges(charges=tuple(_line(each, offers) for each in found))


def _line(charge: Charge, offers: Offers) -> ChargeLine:
    pack = offers.packs.get(charge.product_id)
    plan = offers.plans.get(charge.product_id)
    return ChargeLine(
        charge_id=charge.charge_id,
        provider=charge.provider,
        product_id=charge.product_id,
        amount_minor=charge.amount_minor,
        currency=charge.currency,
        credits=charge.credits,
        state=charge.state,
        paid_at=charge.paid_at,
        pack_credits=Credits(pack.credits + pack.bonus_credits) if pack is not None else NO_CREDITS,
        tier=plan.tier if plan is not None else charge.tier,
        days=plan.days if plan is not None else 0,
    )
