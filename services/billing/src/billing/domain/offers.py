"""Offers: what can be bought for money or credits, and in which currency each provider asks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from billing.domain.currencies import EXPONENTS, MINOR_MAX, STARS_CURRENCY
from billing.domain.plans import RANKS
from contracts.access import AccessPlan
from contracts.billing import TIER_NONE
from contracts.money import CREDITS_MAX
from contracts.payments import STARS, Pack, Plan

PRODUCT_ID = re.compile(r"[a-z0-9_]{1,32}")
"""Short enough to travel in an invoice's payload, with nothing that would end a field there."""
SUBSCRIPTION_DAYS = 30
"""The one period Telegram renews."""
SUBSCRIPTION_STARS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Tender:
    """What a provider asks for; `accepted_assets`: in what a fiat price may be paid."""

    currency: str
    accepted_assets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offers:
    packs: Mapping[str, Pack] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    tenders: Mapping[str, Tender] = field(default_factory=dict)
    """By provider."""
    access: Mapping[str, AccessPlan] = field(default_factory=dict)
    """VPN access; empty: none is sold here."""


def problems(
    packs: Sequence[Pack], plans: Sequence[Plan], tenders: Mapping[str, Tender]
) -> list[str]:
    """What is wrong with an offer, each with its field; empty: nothing."""
    found: list[str] = []
    seen: set[str] = set()
    for product_id in (*(pack.id for pack in packs), *(plan.id for plan in plans)):
        if not PRODUCT_ID.fullmatch(product_id):
            found.append(f"{product_id}: id: lower case letters, digits and _, at most 32")
        if product_id in seen:
            found.append(f"{product_id}: id: stands twice")
        seen.add(product_id)
    for pack in packs:
        found += _pack_problems(pack)
    for plan in plans:
        found += _plan_problems(plan)
    for provider, tender in tenders.items():
        if tender.currency not in EXPONENTS:
            found.append(f"methods.{provider}: currency: {tender.currency} is not known")
        if (provider == STARS) != (tender.currency == STARS_CURRENCY):
            found.append(f"methods.{provider}: currency: XTR is for stars and nobody else")
    return found


def _pack_problems(pack: Pack) -> list[str]:
    found = []
    if not 1 <= pack.credits <= CREDITS_MAX or not 0 <= pack.bonus_credits <= CREDITS_MAX:
        found.append(f"{pack.id}: credits: at least 1; bonus_credits: at least 0")
    for currency, amount in pack.prices.items():
        if currency not in EXPONENTS:
            found.append(f"{pack.id}: prices: {currency} is not known")
        if not 1 <= amount <= MINOR_MAX:
            found.append(f"{pack.id}: prices.{currency}: must be above 0")
    return found


def _plan_problems(plan: Plan) -> list[str]:
    found = []
    if plan.tier not in RANKS or plan.tier == TIER_NONE:
        found.append(f"{plan.id}: tier: {plan.tier} cannot be sold")
    if plan.days < 1 or not 1 <= plan.price_credits <= CREDITS_MAX:
        found.append(f"{plan.id}: days, price_credits: at least 1")
    if not 0 <= plan.stars <= SUBSCRIPTION_STARS_MAX:
        found.append(f"{plan.id}: stars: 0 to {SUBSCRIPTION_STARS_MAX}")
    if plan.stars and plan.days != SUBSCRIPTION_DAYS:
        found.append(f"{plan.id}: stars: Telegram renews every {SUBSCRIPTION_DAYS} days only")
    return found
