"""offers: what can be bought now, and how it can be paid."""

from __future__ import annotations

import msgspec

from billing.domain.currencies import exponent_of
from billing.ports import Reads
from billing.ports.payments import PaymentReads, Till
from chassis.clock import Clock
from contracts.money import NO_CREDITS, Credits
from contracts.payments import STARS, GetOffers, Method, Offers, Subscribed


async def get_offers(
    request: GetOffers, *, till: Till, seen: PaymentReads, reads: Reads, clock: Clock
) -> Offers:
    now = clock.now()
    suspended = await seen.suspended()
    tenders = {name: till.offers.tenders[name] for name in till.on if name not in suspended}
    currencies = {tender.currency for tender in tenders.values()}
    account = await reads.account(request.user_id)
    available = NO_CREDITS
    if account is not None:
        live = (lot.remaining for lot in account.lots.values() if lot.is_live(now))
        available = Credits(sum(live))
    running = await seen.subscriptions(request.user_id, now)
    return Offers(
        packs=tuple(
            pack for pack in till.offers.packs.values() if currencies.intersection(pack.prices)
        ),
        plans=tuple(
            plan if STARS in tenders else msgspec.structs.replace(plan, stars=0)
            for plan in till.offers.plans.values()
        ),
        access=tuple(till.offers.access.values()),
        methods=tuple(
            Method(provider=name, currency=tender.currency, exponent=exponent_of(tender.currency))
            for name, tender in tenders.items()
        ),
        priced_at=now,
        available_credits=available,
        debt_credits=account.debt if account is not None else NO_CREDITS,
        subscriptions=tuple(
            Subscribed(
                charge_id=each.charge_id, plan_id=each.plan_id, state=each.state, until=each.until
            )
            for each in running
        ),
    )
