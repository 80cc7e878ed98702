"""price: what an order would cost this person now."""

from __future__ import annotations

from collections.abc import Mapping

from billing.domain import prices, quotas, tiers
from billing.domain.errors import UnknownWorkflowError
from billing.domain.terms import Terms
from billing.ports import Reads
from chassis.clock import Clock
from contracts.billing import TIER_NONE, GetPrice, Price
from contracts.catalogue import Workflow
from contracts.money import NO_CREDITS, Credits


async def get_price(
    request: GetPrice,
    *,
    reads: Reads,
    clock: Clock,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
) -> Price:
    """Raises UnknownWorkflowError: the request is answered with its code."""
    workflow = catalogue.get(request.workflow_id)
    if workflow is None:
        raise UnknownWorkflowError
    now = clock.now()
    account = await reads.account(request.user_id)
    tier = tiers.tier_of(account, now) if account is not None else TIER_NONE
    available = NO_CREDITS
    if account is not None:
        live = [lot for lot in account.lots.values() if lot.is_live(now)]
        available = Credits(sum(lot.remaining for lot in live))
    left = None
    if quotas.daily_limit(workflow, tier) is not None:
        today = quotas.shop_day(now, terms.zone)
        used = await reads.quota_used(request.user_id, workflow.id, today)
        left = quotas.left_today(workflow, tier, used)
    # A free order never uses a discount: there is nothing to ask for then.
    costs = account is not None and workflow.price_credits
    held = await reads.discounts(request.user_id, now) if costs else []
    offer = prices.offer_of(workflow, held, now)
    return Price(
        workflow_id=workflow.id,
        catalogue_version=workflow.version,
        price_credits=offer.price,
        base_price_credits=offer.base,
        discount_percent=offer.percent,
        discount_until=offer.discount.valid_until if offer.discount is not None else None,
        priced_at=now,
        available_credits=available,
        debt_credits=account.debt if account is not None else NO_CREDITS,
        free_left_today=left,
        tier=tier,
    )
